//! A study without TOML, and a model without a formula: its gradient is written by hand.
//!
//!     cargo run --release --example library
//!
//! ℓ(w; z) = ½(w − z)² with z ~ N(0, 1) has its minimum at 0 and unit gradient noise. Under SGD with batch 1 the
//! variance of w settles at η/(2 − η), under gradient descent w goes to 0 and stays.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use perrin::dynamics::{Decay, Law, Sampling, Schedule, Training};
use perrin::ensemble::{self, NoSink, Options, Silent};
use perrin::lanes::{LANES, Lane};
use perrin::law;
use perrin::model::formula::Expression;
use perrin::model::{Batch, Layout, Model, Nodes, Origin, Population, Scratch, Shape, StandardLaw, Variate};
use perrin::report::{self, Report, Style};
use perrin::study::{
    At, Claim, ClaimLaw, Dynamics, Initial, Instant, LossSystem, Observable, ObservableKind, Run, Statistic,
    Study, System, Tolerance,
};

/// Samples asked for at a time.
const CHUNK: usize = 16;

/// ½(w − z)².
struct Parabola {
    layout: Layout,
    population: Population,
}

impl Parabola {
    fn new() -> Self {
        let mut layout = Layout::default();
        layout.push("w", Shape::SCALAR);
        // Two nodes at ±1 have the mean and the variance of N(0, 1): enough for this gradient's first two moments.
        let nodes = Nodes {
            width: 1,
            values: vec![-1.0, 1.0],
            weights: vec![0.5, 0.5],
            origin: Origin::Quadrature { per_variate: 2, error: 0.0 },
        };
        let fresh = vec![Variate { law: StandardLaw::Normal, len: 1, offset: 0 }];
        Self { layout, population: Population { width: 1, fresh: Some(fresh), nodes } }
    }

    /// Calls `each(z, a, tile, lane)` for every sample of every replica.
    fn samples(
        batch: &mut dyn Batch,
        tiles: usize,
        scratch: &mut Scratch,
        mut each: impl FnMut(f64, f64, usize, usize),
    ) {
        let uniform = batch.uniform_weight();
        let (samples, weights) = scratch.lanes.split_at_mut(CHUNK * tiles);
        for first in (0..batch.len()).step_by(CHUNK) {
            let count = CHUNK.min(batch.len() - first);
            batch.fill(first, count, &mut samples[..count * tiles], &mut weights[..count * tiles]);
            for i in 0..count * tiles {
                for lane in 0..LANES {
                    each(samples[i].0[lane], uniform.unwrap_or(weights[i].0[lane]), i % tiles, lane);
                }
            }
        }
    }
}

impl Model for Parabola {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn population(&self) -> &Population {
        &self.population
    }
    fn scratch(&self, tiles: usize) -> Scratch {
        Scratch { lanes: vec![Lane::default(); 2 * CHUNK * tiles] }
    }
    fn weighted_gradient(
        &self,
        theta: &[Lane],
        batch: &mut dyn Batch,
        gradient: &mut [Lane],
        scratch: &mut Scratch,
    ) {
        gradient.fill(Lane::default());
        Self::samples(batch, theta.len(), scratch, |z, a, tile, lane| {
            gradient[tile].0[lane] += a * (theta[tile].0[lane] - z);
        });
    }
    fn weighted_loss(&self, theta: &[Lane], batch: &mut dyn Batch, loss: &mut [Lane], scratch: &mut Scratch) {
        loss.fill(Lane::default());
        Self::samples(batch, theta.len(), scratch, |z, a, tile, lane| {
            let residual = theta[tile].0[lane] - z;
            loss[tile].0[lane] += a * (0.5 * residual * residual);
        });
    }
}

/// `variance of w = value` for one dynamics.
fn variance(value: &str, dynamics: usize, expect_holds: bool) -> Result<Claim, Box<dyn Error>> {
    let formula = Expression::parse(value).map_err(|errors| errors[0].message.clone())?;
    let law = ClaimLaw::Equals {
        observable: "w".into(),
        statistic: Statistic::Variance,
        at: At::Stationary,
        value: vec![formula],
        value_text: value.into(),
        tolerance: Tolerance::Exact,
    };
    Ok(Claim { law, dynamics: vec![dynamics], expect_holds, significance: 1e-3, line: 0 })
}

fn main() -> Result<(), Box<dyn Error>> {
    let training = Training {
        rate: Schedule::constant(0.1),
        batch: 1,
        decay: Decay::None,
        momentum: 0.0,
        sampling: Sampling::WithReplacement,
    };
    let instants: Vec<Instant> = (0..=200).map(|i| Instant { step: 10 * i, time: i as f64 }).collect();
    let dynamics = |name: &str, law| Dynamics {
        name: name.into(),
        law,
        training: Some(training.clone()),
        instants: instants.clone(),
    };
    let mut study = Study {
        title: "A parabola, its gradient written by hand".into(),
        path: String::new(),
        text: String::new(),
        overrides: vec![],
        resolved: String::new(),
        constants: BTreeMap::new(),
        system: System::Loss(LossSystem { model: Arc::new(Parabola::new()), formula: None }),
        initial: vec![Initial::Fixed(vec![1.0])],
        dynamics: vec![dynamics("gd", Law::GradientDescent), dynamics("sgd", Law::Sgd)],
        run: Run {
            replicas: 1000,
            seed: 7,
            burn_in: 0.5,
            trajectories: 0,
            significance: 1e-3,
            resolution: 0.2,
        },
        observables: vec![Observable {
            name: "w".into(),
            shape: Shape::SCALAR,
            hidden: false,
            kind: ObservableKind::Parameter { offset: 0 },
        }],
        symmetries: vec![],
        // The continuous value is 5 % off, which these many replicas see: a control.
        claims: vec![variance("rate/(2 - rate)", 1, true)?, variance("rate/2", 1, false)?],
    };
    study.observables.extend(law::needs(&study));

    let options =
        Options { threads: None, stop: &AtomicBool::new(false), progress: &Silent, sink: &mut NoSink };
    let record = ensemble::run(&study, &study.observables, options)?;
    let claims = law::judge(&study, &record);
    let digest = ensemble::digest(&record);
    let report = Report { study: &study, record: &record, claims: &claims, digest: &digest, output: None };
    print!("{}", report::table(&report, &Style::default()));
    Ok(())
}

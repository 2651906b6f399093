//! A study without TOML, and a model without a formula: its gradient is written by hand.
//!
//!     cargo run --release --example library
//!
//! ℓ(w; z) = ½(w − z)² with z ~ N(0, 1) has its minimum at 0 and unit gradient noise. Under SGD with batch 1 the
//! variance of w settles at η/(2 − η), under gradient descent w goes to 0 and stays.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use perrin::ensemble::{self, NoSink, Options, Silent};
use perrin::lanes::{LANES, Lane};
use perrin::law;
use perrin::model::{Batch, Layout, Model, Nodes, Origin, Population, Scratch, Shape, StandardLaw, Variate};
use perrin::report::{self, Report, Style};
use perrin::study::{Draft, Rendered};

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
        Self {
            layout,
            population: Population {
                width: 1,
                fresh: Some(fresh),
                rows: None,
                cells: vec![],
                nodes: nodes.into(),
            },
        }
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
        Scratch { lanes: vec![Lane::default(); 2 * CHUNK * tiles], ..Scratch::default() }
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

fn main() -> Result<(), Box<dyn Error>> {
    let mut study = Draft::new("A parabola, its gradient written by hand")
        .parameter("w", 1.0)
        .model(Arc::new(Parabola::new()))
        .training("rate", 0.1)
        .dynamics("gd", "gradient-descent")
        .dynamics("sgd", "sgd")
        .run("steps", 2000)
        .run("replicas", 1000)
        .run("seed", 7)
        .claim(toml::toml! {
            equals = { observable = "w", statistic = "variance", value = "rate/(2 - rate)", dynamics = "sgd" }
        })
        // The continuous value is 5 % off, which these many replicas see: a control.
        .claim(toml::toml! {
            expect = "fails"
            equals = { observable = "w", statistic = "variance", value = "rate/2", dynamics = "sgd" }
        })
        .resolve()
        .map_err(|errors| Rendered(&errors).to_string())?;
    study.observables.extend(law::needs(&study));

    let options =
        Options { threads: None, stop: &AtomicBool::new(false), progress: &Silent, sink: &mut NoSink };
    let record = ensemble::run(&study, &study.observables, options)?;
    let claims = law::judge(&study, &record);
    let digest = ensemble::digest(&record);
    let report = Report {
        study: &study,
        record: &record,
        claims: &claims,
        digest: &digest,
        output: None,
        interrupted: record.interrupted,
    };
    print!("{}", report::table(&report, &Style::default()));
    if claims.iter().all(|claim| claim.as_expected) {
        Ok(())
    } else {
        Err("a claim came out otherwise".into())
    }
}

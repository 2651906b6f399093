//! Studies and records made by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use crate::dynamics::{Decay, Law, Sampling, Schedule, Training};
use crate::ensemble::record::{DynamicsRecord, ObservableRecord, Record, Stationary};
use crate::law::{ClaimResult, judge, needs};
use crate::model::formula::{DataEntry, DataSource, Expression, FormulaModel, ModelSpec, SdeModel};
use crate::model::{Layout, Shape};
use crate::stats::moments::Moments;
use crate::study::{
    At, Claim, ClaimLaw, Dynamics, Equation, Initial, LossSystem, Observable, ObservableKind, Run, Statistic,
    Study, System, Tolerance,
};

pub(super) fn formula(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

pub(super) fn training(rate: f64, batch: usize) -> Training {
    Training {
        rate: Schedule::constant(rate),
        batch,
        decay: Decay::None,
        momentum: 0.0,
        sampling: Sampling::WithReplacement,
        course: crate::dynamics::Course::default(),
    }
}

pub(super) fn dynamics(name: &str, law: Law, training: Option<Training>) -> Dynamics {
    Dynamics { name: name.to_owned(), law, training, instants: Vec::new() }
}

/// A study of `[loss]` with parameters of the given shapes, all starting at 0; a law is fresh that begins with this word.
pub(super) fn loss_study(
    parameters: &[(&str, Shape)],
    data: &[(&str, &str)],
    size: Option<usize>,
    loss: &str,
) -> Study {
    let mut layout = Layout::default();
    for (name, shape) in parameters {
        layout.push(*name, *shape);
    }
    // Five regressors for whoever asks.
    let regressors = loss.contains("dot(w, x)").then(|| DataEntry {
        name: "x".to_owned(),
        source: DataSource::Formula { formula: formula("normal(0, 1)"), shape: Some(Shape::vector(5)) },
    });
    let spec = ModelSpec {
        layout: layout.clone(),
        constants: BTreeMap::new(),
        data: data
            .iter()
            .map(|(name, law)| DataEntry {
                name: (*name).to_owned(),
                source: match law.strip_prefix("fresh ") {
                    Some(law) => DataSource::Fresh { formula: formula(law), shape: None },
                    None => DataSource::Formula { formula: formula(law), shape: None },
                },
            })
            .chain(regressors)
            .collect(),
        size,
        loss: formula(loss),
        decay: 0.0,
        seed: 1,
    };
    let model = Arc::new(FormulaModel::new(spec).unwrap_or_else(|e| panic!("{loss}: {e:?}")));
    let system = System::Loss(LossSystem { model: model.clone(), formula: Some(model) });
    study(system, &layout)
}

pub(super) fn sde_study(model: SdeModel) -> Study {
    let layout = model.layout().clone();
    study(System::Sde(Arc::new(model)), &layout)
}

fn study(system: System, layout: &Layout) -> Study {
    Study {
        warnings: vec![],
        title: String::new(),
        path: String::new(),
        text: String::new(),
        overrides: Vec::new(),
        resolved: String::new(),
        constants: BTreeMap::new(),
        system,
        starts: Vec::new(),
        initial: layout.parameters().iter().map(|p| Initial::Fixed(vec![0.0; p.shape.len()])).collect(),
        dynamics: Vec::new(),
        run: Run {
            replicas: 0,
            seed: 1,
            burn_in: 0.5,
            trajectories: 0,
            significance: 1e-3,
            resolution: 0.2,
            precision: None,
        },
        observables: layout
            .parameters()
            .iter()
            .map(|p| Observable {
                name: p.name.clone(),
                shape: p.shape,
                hidden: false,
                kind: ObservableKind::Parameter { offset: p.offset },
            })
            .collect(),
        symmetries: Vec::new(),
        claims: Vec::new(),
    }
}

pub(super) fn claim(law: ClaimLaw, dynamics: &[usize]) -> Claim {
    Claim { law, dynamics: dynamics.to_vec(), expect_holds: true, significance: 1e-3, line: 0 }
}

pub(super) fn einstein(equation: Equation, tolerance: Option<f64>) -> Claim {
    claim(ClaimLaw::Einstein { equation, tolerance }, &[0])
}

pub(super) fn equals(
    observable: &str,
    statistic: Statistic,
    at: At,
    value: &str,
    tolerance: Tolerance,
) -> Claim {
    let law = ClaimLaw::Equals {
        observable: observable.to_owned(),
        statistic,
        at,
        value: vec![formula(value)],
        value_text: value.to_owned(),
        tolerance,
    };
    claim(law, &[0])
}

/// Normal numbers of one seed.
pub(super) struct Noise(pub Xoshiro256PlusPlus);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }
}

/// How long the runs are.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub replicas: usize,
    pub steps: usize,
    pub burn_in: usize,
    pub every: usize,
}

/// Moves every replica from `start` by `step` and records the study's observables and those its claims need.
pub(super) fn simulate(
    study: &mut Study,
    plan: Plan,
    seed: u64,
    start: &dyn Fn(&mut Noise) -> Vec<f64>,
    step: &dyn Fn(&mut [f64], &mut Noise),
) -> Record {
    let needed = needs(study);
    study.observables.extend(needed);
    let parameters = study.layout().len();
    let mut paths: Vec<Vec<Vec<f64>>> = Vec::new();
    for replica in 0..plan.replicas {
        let mut noise = Noise::new(seed.wrapping_mul(1_000_003).wrapping_add(replica as u64));
        let mut state = start(&mut noise);
        let mut path = vec![state.clone()];
        for index in 1..=plan.steps {
            step(&mut state, &mut noise);
            if index % plan.every == 0 {
                path.push(state.clone());
            }
        }
        paths.push(path);
    }
    let instants = paths[0].len();
    let burn_in = plan.burn_in.div_ceil(plan.every);
    let observables = study
        .observables
        .iter()
        .map(|observable| {
            let value = |state: &[f64]| -> Vec<f64> {
                match &observable.kind {
                    ObservableKind::Parameter { offset } => {
                        state[*offset..offset + observable.shape.len()].to_vec()
                    }
                    ObservableKind::Function(function) => function.value(&state[..parameters]),
                    ObservableKind::SingularValues(_)
                    | ObservableKind::Moving(_)
                    | ObservableKind::Ledger(_)
                    | ObservableKind::Integral(_)
                    | ObservableKind::Passage(_)
                    | ObservableKind::Balance(_)
                    | ObservableKind::NoiseMoments(_)
                    | ObservableKind::DecayRate { .. } => {
                        unreachable!("not used here")
                    }
                }
            };
            let values: Vec<Vec<Vec<f64>>> =
                paths.iter().map(|path| path.iter().map(|state| value(state)).collect()).collect();
            observed(&observable.name, observable.shape, &values, burn_in)
        })
        .collect();
    let times: Vec<f64> = (0..instants).map(|k| (k * plan.every) as f64).collect();
    Record {
        dynamics: vec![DynamicsRecord {
            name: study.dynamics[0].name.clone(),
            steps: times.iter().map(|t| *t as u64).collect(),
            times,
            burn_in,
            replicas: plan.replicas,
            requested: plan.replicas,
            most: plan.replicas,
            diverged: Vec::new(),
            failure: None,
            kept: plan.replicas,
            observables,
            seconds: 0.0,
            profile: None,
        }],
        ..Record::default()
    }
}

/// The record of `values[replica][instant][component]`.
pub(super) fn observed(
    name: &str,
    shape: Shape,
    values: &[Vec<Vec<f64>>],
    burn_in: usize,
) -> ObservableRecord {
    let (components, instants) = (shape.len(), values[0].len());
    let mut record = ObservableRecord {
        name: name.to_owned(),
        shape: shape.dims(),
        stationary: Stationary { instants: instants - burn_in, ..Stationary::default() },
        ..ObservableRecord::default()
    };
    for t in 0..instants {
        for c in 0..components {
            record.ensemble.push(Moments::of(values.iter().map(|path| path[t][c])));
        }
    }
    let half = (instants - burn_in) / 2;
    for path in values {
        record.trajectories.extend(path.iter().flatten());
        record.last.extend(&path[instants - 1]);
        for c in 0..components {
            let of = |range: std::ops::Range<usize>| {
                let m = Moments::of(path[range].iter().map(|value| value[c]));
                (m.mean, if m.count > 0 { m.m2 / m.count as f64 } else { f64::NAN })
            };
            let s = &mut record.stationary;
            let (mean, variance) = of(burn_in..instants);
            s.mean.push(mean);
            s.variance.push(variance);
            let (mean, variance) = of(burn_in..burn_in + half);
            s.first_mean.push(mean);
            s.first_variance.push(variance);
            let (mean, variance) = of(instants - half..instants);
            s.second_mean.push(mean);
            s.second_variance.push(variance);
            record
                .max_change
                .push(path.iter().map(|value| (value[c] - path[0][c]).abs()).fold(0.0, f64::max));
        }
    }
    record
}

/// The single result of a study with one claim.
pub(super) fn only(study: &Study, record: &Record) -> ClaimResult {
    let mut results = judge(study, record);
    assert_eq!(results.len(), 1);
    results.remove(0)
}

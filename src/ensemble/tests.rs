//! Whole runs: same bits however carried out, laws against closed forms.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::run::run_in_blocks;
use super::*;
use crate::dynamics::{Decay, Law, Sampling, Schedule, Training};
use crate::model::formula::{
    DataEntry, DataSource, Diffusion, Expression, FormulaModel, ModelSpec, SdeModel,
};
use crate::model::{Layout, Shape};
use crate::study::{Dynamics, Initial, Instant, LossSystem, Observable, ObservableKind, Run, Study, System};

pub fn layout(parameters: &[(&str, Shape)]) -> Layout {
    let mut layout = Layout::default();
    for (name, shape) in parameters {
        layout.push(*name, *shape);
    }
    layout
}

fn formula(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

/// A loss over scalar parameters, data given by formulas.
pub fn loss(parameters: &[(&str, Shape)], data: &[(&str, &str)], size: Option<usize>, text: &str) -> System {
    let data = data
        .iter()
        .map(|(name, law)| DataEntry {
            name: (*name).to_owned(),
            source: DataSource::Formula { formula: formula(law), shape: None },
        })
        .collect();
    let spec = ModelSpec {
        layout: layout(parameters),
        constants: BTreeMap::new(),
        data,
        size,
        loss: formula(text),
        decay: 0.0,
        seed: 11,
    };
    let model = Arc::new(FormulaModel::new(spec).map_err(|e| format!("{e:?}")).unwrap());
    System::Loss(LossSystem { model: model.clone(), formula: Some(model) })
}

pub fn sde(parameters: &[(&str, Shape)], drift: &[(&str, &str)], diffusion: &[(&str, &str)]) -> System {
    let named = |list: &[(&str, &str)]| -> Vec<(String, Expression)> {
        list.iter().map(|(n, f)| ((*n).to_owned(), formula(f))).collect()
    };
    let noise: Vec<_> = named(diffusion).into_iter().map(|(n, f)| (n, Diffusion::Own(f))).collect();
    let model = SdeModel::new(layout(parameters), &BTreeMap::new(), &named(drift), &noise, false);
    System::Sde(Arc::new(model.map_err(|e| format!("{e:?}")).unwrap()))
}

pub fn training(rate: f64, batch: usize) -> Training {
    Training {
        rate: Schedule::constant(rate),
        batch,
        decay: Decay::None,
        momentum: 0.0,
        sampling: Sampling::WithReplacement,
    }
}

/// Instants at these steps, t = step · rate.
pub fn dynamics(law: Law, training: Option<Training>, rate: f64, steps: &[u64]) -> Dynamics {
    let instants = steps.iter().map(|&step| Instant { step, time: step as f64 * rate }).collect();
    Dynamics { name: law.name().to_owned(), law, training, instants }
}

pub fn study(system: System, initial: Vec<Initial>, dynamics: Vec<Dynamics>, replicas: usize) -> Study {
    let mut study = Study {
        title: String::new(),
        path: String::new(),
        text: String::new(),
        overrides: vec![],
        resolved: String::new(),
        constants: BTreeMap::new(),
        system,
        initial,
        dynamics,
        run: Run { replicas, seed: 7, burn_in: 0.5, trajectories: 3, significance: 1e-3, resolution: 0.2 },
        observables: vec![],
        symmetries: vec![],
        claims: vec![],
    };
    study.observables = study
        .layout()
        .parameters()
        .iter()
        .map(|p| Observable {
            name: p.name.clone(),
            shape: p.shape,
            hidden: false,
            kind: ObservableKind::Parameter { offset: p.offset },
        })
        .collect();
    study
}

/// Adds a formula to what is observed.
pub fn observe(study: &mut Study, name: &str, text: &str) {
    let function = match &study.system {
        System::Loss(loss) => loss.formula.as_ref().unwrap().function(&formula(text)).unwrap(),
        System::Sde(equation) => equation.function(&formula(text)).unwrap(),
    };
    study.observables.push(Observable {
        name: name.to_owned(),
        shape: function.shape(),
        hidden: false,
        kind: ObservableKind::Function(Arc::new(function)),
    });
}

pub fn simulate(study: &Study, threads: usize, most: Option<usize>) -> Record {
    let stop = AtomicBool::new(false);
    let options = Options { threads: Some(threads), stop: &stop, progress: &Silent, sink: &mut NoSink };
    run_in_blocks(study, &study.observables, options, most).unwrap()
}

pub fn fixed(values: &[f64]) -> Vec<Initial> {
    values.iter().map(|&x| Initial::Fixed(vec![x])).collect()
}

pub const SCALAR: Shape = Shape::SCALAR;

/// (uwx − 1)² with x ~ N(0, 1), under every law that moves it.
fn rescaling(replicas: usize) -> Study {
    let system = loss(&[("u", SCALAR), ("w", SCALAR)], &[("x", "normal(0, 1)")], None, "(u*w*x - 1)^2");
    let steps = [0, 1, 7, 20, 40];
    let t = || Some(training(0.01, 2));
    let laws = vec![
        dynamics(Law::Sgd, t(), 0.01, &steps),
        dynamics(Law::GaussianSgd, t(), 0.01, &steps),
        dynamics(Law::Langevin { order: 1, substeps: 3 }, t(), 0.01, &steps),
        dynamics(Law::GradientDescent, t(), 0.01, &steps),
        dynamics(Law::GradientFlow { tolerance: 1e-12 }, t(), 0.01, &steps),
    ];
    let initial = vec![Initial::Fixed(vec![1.5]), Initial::Normal { mean: 0.2, standard_deviation: 0.1 }];
    let mut study = study(system, initial, laws, replicas);
    observe(&mut study, "charge", "u^2 - w^2");
    study
}

#[test]
fn threads_and_block_sizes_do_not_reach_a_bit() {
    let study = rescaling(300);
    let record = simulate(&study, 1, None);
    let one = digest(&record);
    for (threads, most) in [(2, None), (3, None), (1, Some(1)), (2, Some(4)), (3, Some(16))] {
        assert_eq!(digest(&simulate(&study, threads, most)), one, "{threads} threads, blocks of {most:?}");
    }
    let mut other = study;
    other.run.seed = 8;
    assert_ne!(digest(&simulate(&other, 1, None)), one);
}

#[test]
fn a_longer_ensemble_extends_a_shorter_one() {
    let (short, long) = (simulate(&rescaling(100), 2, None), simulate(&rescaling(277), 2, None));
    assert_eq!(digest_of_first(&short, 100), digest_of_first(&long, 100));
    assert_ne!(digest_of_first(&short, 100), digest_of_first(&long, 101));
}

#[test]
fn neither_records_nor_observables_nor_other_dynamics_change_a_path() {
    let full = simulate(&rescaling(64), 1, None);
    let mut bare = rescaling(64);
    bare.observables.truncate(2);
    for dynamics in &mut bare.dynamics {
        dynamics.instants = vec![dynamics.instants[0], dynamics.instants[4]];
    }
    bare.dynamics.remove(0);
    let bare = simulate(&bare, 1, None);
    for (a, b) in bare.dynamics.iter().zip(&full.dynamics[1..]) {
        assert_eq!(a.name, b.name);
        assert_eq!(a.observables[0].last, b.observables[0].last);
        assert_eq!(a.observables[1].last, b.observables[1].last);
    }
}

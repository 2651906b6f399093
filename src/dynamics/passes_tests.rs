//! A step in one pass is the step of separate loops, to the bit: the lowest level has no passes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dynamics::{Clock, Decay, Law, Motion, Sampling, Schedule, Setting, System, Training};
use crate::lanes::{Lane, Level};
use crate::model::formula::{
    DataEntry, DataSource, Diffusion, Expression, FormulaModel, ModelSpec, SdeModel,
};
use crate::model::{Layout, Shape};
use crate::scheme::{Increments, Method, Scheme};

const TILES: usize = 3;

pub(super) fn formula(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

fn layout(parameters: &[(&str, Shape)]) -> Layout {
    let mut layout = Layout::default();
    for &(name, shape) in parameters {
        layout.push(name, shape);
    }
    layout
}

pub(super) fn loss(
    parameters: &[(&str, Shape)],
    data: &[(&str, &str, Option<Shape>)],
    size: Option<usize>,
    text: &str,
) -> System {
    let data = data
        .iter()
        .map(|(name, law, shape)| DataEntry {
            name: (*name).to_owned(),
            source: DataSource::Formula { formula: formula(law), shape: *shape },
        })
        .collect();
    let spec = ModelSpec {
        layout: layout(parameters),
        constants: BTreeMap::new(),
        data,
        size,
        loss: formula(text),
        decay: 0.0,
        seed: 3,
    };
    let model = Arc::new(FormulaModel::new(spec).map_err(|e| format!("{e:?}")).unwrap());
    System::Loss { model: model.clone(), formula: Some(model) }
}

fn sde(
    parameters: &[(&str, Shape)],
    drift: &[(&str, &str)],
    diffusion: &[(&str, &[(&str, &str)])],
) -> System {
    let drift: Vec<_> = drift.iter().map(|(n, f)| ((*n).to_owned(), formula(f))).collect();
    let diffusion: Vec<_> = diffusion
        .iter()
        .map(|(n, parts)| {
            let own = match *parts {
                [("", text)] => Diffusion::Own(formula(text)),
                named => Diffusion::Named(named.iter().map(|(w, f)| ((*w).to_owned(), formula(f))).collect()),
            };
            ((*n).to_owned(), own)
        })
        .collect();
    let model = SdeModel::new(layout(parameters), &BTreeMap::new(), &drift, &diffusion, false);
    System::Sde(Arc::new(model.map_err(|e| format!("{e:?}")).unwrap()))
}

/// θ and v after thirty steps from a start that differs between replicas, and whether the steps were passes.
fn run(law: &Law, training: Option<&Training>, system: &System, level: Level) -> (Vec<Lane>, bool) {
    Level::force(level, || {
        let starts = [];
        let setting =
            Setting { law, training, system: system.clone(), instants: &[], starts: &starts, together: None };
        let motion = Motion::new(&setting).unwrap();
        let parameters = match system {
            System::Loss { model, .. } => model.layout().len(),
            System::Sde(model) => model.layout().len(),
        };
        let start = |i: usize| Lane(std::array::from_fn(|l| 0.3 + 0.01 * (i * 8 + l) as f64));
        let mut theta: Vec<Lane> = (0..parameters * TILES).map(start).collect();
        let mut stepper = motion.stepper(7, 16, TILES);
        let at = |step: u64| Clock { step, time: 0.01 * step as f64 };
        assert!(stepper.advance(&mut theta, at(0), at(11), &mut |_| true));
        assert!(stepper.advance(&mut theta, at(11), at(30), &mut |_| true));
        theta.extend_from_slice(stepper.velocity());
        (theta, motion.passes.of(TILES).is_some())
    })
}

/// Compares all levels; `native` says whether there should be passes. A level that this process does not have is run at the
/// widest that it has.
fn compare(law: &Law, training: Option<&Training>, system: &System, native: bool, what: &str) {
    let (wanted, pass) = run(law, training, system, Level::V1);
    assert!(!pass && wanted.iter().all(|x| x.0.iter().all(|x| x.is_finite())), "{what}");
    for level in [Level::V3, Level::V4] {
        let machine = cfg!(all(unix, target_arch = "x86_64")) && level.min(Level::widest()) > Level::V1;
        let (theta, pass) = run(law, training, system, level);
        assert_eq!(pass, native && machine, "{what} at {level:?}");
        for (got, wanted) in theta.iter().zip(&wanted) {
            assert_eq!(got.0.map(f64::to_bits), wanted.0.map(f64::to_bits), "{what} at {level:?}");
        }
    }
}

fn training(batch: usize) -> Training {
    Training {
        rate: Schedule { pieces: vec![(0, 0.01), (17, 0.003)] },
        batch,
        decay: Decay::None,
        momentum: 0.0,
        sampling: Sampling::WithReplacement,
        course: crate::dynamics::Course::default(),
    }
}

const S: Shape = Shape::SCALAR;

#[test]
fn minibatches() {
    let two = [("u", S), ("w", S)];
    let normal = [("x", "normal(0, 1)", None)];
    let product = loss(&two, &normal, None, "(u*w*x - 1)^2");
    let vector = [("a", Shape::vector(3)), ("b", S)];
    let mixed = [("x", "normal(0, 1)", Some(Shape::vector(3))), ("e", "uniform(0, 1)", None)];
    let table = loss(&vector, &mixed, Some(20), "(dot(a, x) + b*sum(x) - e)^2/(1 + e) + 0.1*norm2(a)");
    let fresh = loss(&vector, &mixed, None, "sqrt(1 + (dot(a, x) - e)^2) + relu(b - e) + abs(b*e)^3");
    let matrix = [("A", Shape::matrix(2, 3)), ("c", Shape::vector(2))];
    let layer = loss(&matrix, &mixed, None, "norm2(A @ x + c - [e, 1]) + (1 + norm2(c))^-2");
    for batch in [1, 2, 5] {
        compare(&Law::Sgd, Some(&training(batch)), &product, true, "product");
        compare(&Law::Sgd, Some(&training(batch)), &table, true, "table");
        compare(&Law::Sgd, Some(&training(batch)), &fresh, true, "fresh");
        // The kernel of sums of products of matrices has an order of its own.
        let settings = Training { decay: Decay::Force(0.2), ..training(batch) };
        let (theta, _) = run(&Law::Sgd, Some(&settings), &layer, Level::V4);
        assert_eq!(theta, run(&Law::Sgd, Some(&settings), &layer, Level::V1).0, "layer, {batch}");
    }
    let decay = Training { decay: Decay::Force(0.2), ..training(2) };
    compare(&Law::Sgd, Some(&decay), &product, true, "decay");
    let epochs = Sampling::WithoutReplacement { drop_last: false };
    compare(&Law::Sgd, Some(&Training { sampling: epochs, ..training(4) }), &table, true, "epochs");
    let heavy = Training { momentum: 0.5, ..decay };
    compare(&Law::Sgd, Some(&heavy), &product, true, "momentum");
    compare(&Law::Sgd, Some(&Training { momentum: 0.9, ..training(1) }), &fresh, true, "more momentum");
    // A batch that is shorter than the others, and what has no form in a pass; functions that are no single instructions have.
    compare(&Law::Sgd, Some(&Training { sampling: epochs, ..training(3) }), &table, false, "uneven");
    let nested =
        loss(&vector, &mixed, None, "softplus(dot(a, tanh(x*a)) - e) + log(1 + exp(b*e)) + (1 + e)^0.3*b^2");
    let soft = loss(&vector, &mixed, None, "dot(softmax(a), x)^2 + b^2");
    let tanh = loss(&two, &normal, None, "(u*tanh(w*x) - 1)^2");
    for batch in [1, 3] {
        compare(&Law::Sgd, Some(&training(batch)), &tanh, true, "tanh");
        compare(&Law::Sgd, Some(&training(batch)), &nested, true, "nested");
    }
    compare(&Law::Sgd, Some(&training(1)), &soft, false, "softmax");
}

#[test]
fn noise_in_one_sum() {
    let two = [("u", S), ("w", S)];
    let normal = [("x", "normal(0, 1)", None)];
    let product = loss(&two, &normal, None, "(u*w*x - 1)^2");
    let table = loss(&two, &[("x", "normal(0.5, 1)", None)], Some(6), "(u*w*x - 1)^4");
    let method = Method { scheme: Scheme::EulerMaruyama, increments: Increments::Normal };
    for substeps in [1, 3] {
        let law = Law::Langevin { order: 1, substeps, method };
        compare(&law, Some(&training(1)), &product, true, "langevin");
        compare(&law, Some(&Training { decay: Decay::Force(0.3), ..training(2) }), &table, true, "table");
    }
    compare(&Law::GaussianSgd, Some(&training(2)), &product, true, "gaussian");
    // More sums, and so a factor of their covariance; of rank one where the two are alike.
    let line = loss(&two, &normal, None, "(u*x + w - 1)^2");
    compare(&Law::GaussianSgd, Some(&training(2)), &line, true, "two sums");
    let heavy = Training { momentum: 0.5, decay: Decay::Force(0.1), ..training(2) };
    compare(&Law::GaussianSgd, Some(&heavy), &line, true, "two sums with momentum");
    let alike = loss(&two, &normal, None, "(u*x - 1)^2 + (w*x - 1)^2");
    compare(&Law::GaussianSgd, Some(&training(1)), &alike, true, "two sums alike");
    let three = [("a", S), ("b", S), ("c", S)];
    let parabola = loss(&three, &[("x", "uniform(-1, 1)", None)], None, "(a + b*x + c*x^2 - 1)^2");
    compare(&Law::GaussianSgd, Some(&training(1)), &parabola, true, "three sums");
    let table = loss(&three, &normal, Some(3), "(a + b*x + c*x^2 - 1)^2");
    compare(&Law::GaussianSgd, Some(&training(1)), &table, true, "three sums of rank two");
}

#[test]
fn slopes_that_do_not_exist() {
    let two = [("u", S), ("w", S)];
    let normal = [("x", "normal(0, 1)", None)];
    for (text, native) in [
        ("sqrt(relu(u*x)) + u^2 + w^2", true),
        ("abs(w)^(-0.3)*0.1 + relu(u*x)^0.75 + u^2", true),
        ("u^2/(0.1 + relu(w*x)) + (w - 1)^2", true),
        ("sqrt(abs(max(u, 0)*w)) + (u - w)^2", false),
        ("min(1/relu(u*x), 2) + max(log(relu(w)), -5)", true),
    ] {
        compare(&Law::Sgd, Some(&training(2)), &loss(&two, &normal, None, text), native, text);
    }
}

#[test]
fn equations() {
    let method = Method { scheme: Scheme::EulerMaruyama, increments: Increments::Normal };
    let law = Law::Integrated { dt: 0.01, method };
    let x = [("x", S)];
    compare(&law, None, &sde(&x, &[("x", "-2*x")], &[("x", &[("", "0.5")])]), true, "harmonic");
    compare(&law, None, &sde(&x, &[("x", "x - x^3")], &[("x", &[("", "0.3*x")])]), true, "double well");
    compare(&law, None, &sde(&x, &[("x", "-x")], &[]), true, "no noise");
    let phase = [("q", Shape::vector(2)), ("p", Shape::vector(2))];
    let drift = [("q", "p"), ("p", "-q/(1 + norm2(q)) - 0.5*p")];
    compare(&law, None, &sde(&phase, &drift, &[("p", &[("", "0.4")])]), true, "phase space");
    let shared: &[(&str, &[(&str, &str)])] =
        &[("q", &[("a", "0.1"), ("b", "0.2*norm2(p)")]), ("p", &[("b", "0.3")])];
    compare(&law, None, &sde(&phase, &drift, shared), true, "shared noise");
    compare(&law, None, &sde(&x, &[("x", "-sin(x)")], &[("x", &[("", "0.5*exp(-x)")])]), true, "sine");
}

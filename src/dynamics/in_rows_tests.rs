//! A descent in rows is the one in lanes, to the bit: where accounts are kept, all is in lanes.

use std::ops::Range;
use std::sync::Arc;

use super::passes_tests::{formula, loss};
use crate::dynamics::{Book, Clock, Decay, Law, Motion, Sampling, Schedule, Setting, System, Training};
use crate::lanes::{Lane, Level};
use crate::model::Shape;

const S: Shape = Shape::SCALAR;

fn training(batch: usize) -> Training {
    Training {
        rate: Schedule { pieces: vec![(0, 0.02), (5, 0.007)] },
        batch,
        decay: Decay::None,
        momentum: 0.0,
        sampling: Sampling::WithReplacement,
        course: crate::dynamics::Course::default(),
    }
}

fn motion(system: &System, training: &Training) -> Motion {
    let system = system.clone();
    let training = Some(training);
    Motion::new(&Setting { law: &Law::Sgd, training, system, instants: &[], starts: &[], together: None })
        .unwrap()
}

/// θ and v at every instant, with what is not a number as one that is.
fn path(motion: &Motion, system: &System, books: &[Book], tiles: usize) -> Vec<u64> {
    let System::Loss { model, .. } = system else { unreachable!("losses only") };
    let start = |i: usize| Lane(std::array::from_fn(|l| 0.3 - 0.02 * ((i * 8 + l) % 29) as f64));
    let mut theta: Vec<Lane> = (0..model.layout().len() * tiles).map(start).collect();
    let mut stepper = motion.stepper_with(books, 7, 16, tiles);
    let mut seen = Vec::new();
    let instants = [0, 1, 4, 11, 12].map(|step| Clock { step, time: step as f64 });
    for pair in instants.windows(2) {
        assert!(stepper.advance(&mut theta, pair[0], pair[1], &mut |_| true));
        seen.extend(theta.iter().chain(stepper.velocity()).flat_map(|lane| lane.0));
    }
    seen.into_iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }).collect()
}

/// Compares both ways at every level; `rows` are the elements that should be in rows.
fn compare(system: &System, training: &Training, rows: Option<&Range<usize>>, what: &str) -> Vec<u64> {
    let what = format!("{what}, {training:?}");
    let System::Loss { formula: Some(model), .. } = system else { unreachable!("formulas only") };
    let book = [Book::Integral(Arc::new(model.function(&formula("loss")).unwrap()))];
    let motion = motion(system, training);
    assert_eq!(motion.in_rows().as_ref(), rows, "{what}");
    let mut last = Vec::new();
    for tiles in [1, 3] {
        let lanes = Level::force(Level::V1, || path(&motion, system, &book, tiles));
        for level in Level::ALL {
            let (in_rows, in_lanes) = Level::force(level, || {
                (path(&motion, system, &[], tiles), path(&motion, system, &book, tiles))
            });
            assert!(in_rows == lanes, "{what}: in rows, {tiles} tiles at {level:?}");
            assert!(in_lanes == lanes, "{what}: in lanes, {tiles} tiles at {level:?}");
        }
        last = lanes;
    }
    last
}

fn finite(path: &[u64]) -> bool {
    path.iter().all(|&bits| f64::from_bits(bits).is_finite())
}

#[test]
fn links_shapes_and_batches() {
    let momenta =
        [(0.0, Decay::None), (0.9, Decay::None), (0.0, Decay::Force(0.3)), (0.5, Decay::Force(0.3))];
    let links = [
        "(dot(w, x) - y)^2",
        "softplus(-y*dot(w, x))",
        "(tanh(dot(x, w)) - y)^2/2",
        "sqrt(1 + (dot(w, x) - y)^2)",
    ];
    for (i, len) in [8, 9, 13, 64, 70, 131].into_iter().enumerate() {
        let w = [("w", Shape::vector(len))];
        let data = [("x", "normal(0, 0.3)", Some(Shape::vector(len))), ("y", "normal(0, 1)", None)];
        let system = loss(&w, &data, Some(40), links[i % links.len()]);
        for (j, batch) in [2, 7, 8, 11, 16, 37].into_iter().enumerate() {
            let (momentum, decay) = momenta[(i + j) % momenta.len()];
            let training = Training { decay, momentum, ..training(batch) };
            assert!(finite(&compare(&system, &training, Some(&(0..len)), links[i % links.len()])));
        }
        // Too few rows to be worth their turns, were there any.
        compare(&system, &training(1), None, "one sample");
    }
}

#[test]
fn parameters_beside_those_in_rows() {
    let len = 11;
    let data = [("x", "normal(0, 0.3)", Some(Shape::vector(len))), ("y", "normal(0, 1)", None)];
    let w = ("w", Shape::vector(len));
    let heavy = Training { momentum: 0.8, decay: Decay::Force(0.1), ..training(9) };
    for training in [&training(8), &heavy] {
        let affine = "softplus(-y*(dot(w, x) + b))";
        let before = loss(&[("b", S), w], &data, Some(40), affine);
        assert!(finite(&compare(&before, training, Some(&(1..1 + len)), "one before")));
        let behind = loss(&[w, ("b", S)], &data, Some(40), affine);
        assert!(finite(&compare(&behind, training, Some(&(0..len)), "one behind")));
        let around =
            loss(&[("a", Shape::vector(3)), w, ("b", S)], &data, Some(40), "(dot(w, x) + b - norm2(a)*y)^2");
        assert!(finite(&compare(&around, training, Some(&(3..3 + len)), "around")));
        // w is needed in lanes, too; there are two of them; the sum is not the gradient.
        let ridge = loss(&[w], &data, Some(40), "(dot(w, x) - y)^2 + 0.1*norm2(w)");
        assert!(finite(&compare(&ridge, training, None, "ridge")));
        let two = [data[0], data[1], ("z", "normal(0, 0.3)", Some(Shape::vector(len)))];
        let two = loss(&[w, ("u", Shape::vector(len))], &two, Some(40), "(dot(w, x) + dot(u, z) - y)^2");
        assert!(finite(&compare(&two, training, None, "two")));
        let function = loss(&[w], &data, Some(40), "(dot(tanh(w), x) - y)^2");
        assert!(finite(&compare(&function, training, None, "a function of w")));
    }
}

#[test]
fn epochs() {
    let len = 10;
    let w = [("w", Shape::vector(len))];
    let data = [("x", "normal(0, 0.3)", Some(Shape::vector(len))), ("y", "normal(0, 1)", None)];
    let system = loss(&w, &data, Some(43), "(dot(w, x) - y)^2");
    for (batch, drop_last, rows) in
        [(8, true, true), (8, false, true), (14, false, false), (14, true, true), (43, false, true)]
    {
        let sampling = Sampling::WithoutReplacement { drop_last };
        let training = Training { sampling, momentum: 0.5, ..training(batch) };
        assert!(finite(&compare(&system, &training, rows.then_some(&(0..len)), "epochs")));
    }
}

#[test]
fn replicas_diverge_alike() {
    let len = 9;
    let w = [("w", Shape::vector(len)), ("b", S)];
    let data = [("x", "rademacher()", Some(Shape::vector(len))), ("y", "normal(0, 1)", None)];
    let system = loss(&w, &data, Some(40), "(dot(w, x) + b - y)^2");
    for (rate, momentum) in [(1e60, 0.0), (1e100, 0.9), (1e300, 0.0)] {
        let training = Training { rate: Schedule { pieces: vec![(0, rate)] }, momentum, ..training(8) };
        assert!(!finite(&compare(&system, &training, Some(&(0..len)), "diverging")));
    }
}

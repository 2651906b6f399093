//! A small study with a made-up record, for the tests of tables and JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dynamics::{Decay, Law, Sampling, Schedule, Training};
use crate::ensemble::{DynamicsRecord, ObservableRecord, Record, Stationary};
use crate::law::{ClaimResult, Kind, Test, Verdict};
use crate::model::formula::{DataEntry, DataSource, Expression, FormulaModel, ModelSpec};
use crate::model::{Layout, Shape};
use crate::stats::moments::Moments;
use crate::study::{
    Claim, ClaimLaw, Dynamics, Equation, Initial, Instant, LossSystem, Observable, ObservableKind, Run,
    Study, System,
};

pub(super) const REPLICAS: usize = 6;
const INSTANTS: usize = 5;

/// (w·x − 1)² with two weights, under SGD and its Langevin equation.
pub(super) fn study() -> Study {
    let mut layout = Layout::default();
    layout.push("w", Shape::vector(2));
    let formula = FormulaModel::new(ModelSpec {
        layout: layout.clone(),
        constants: BTreeMap::new(),
        data: vec![DataEntry {
            name: "x".into(),
            source: DataSource::Formula {
                formula: Expression::parse("normal(0, 1)").unwrap(),
                shape: Some(Shape::vector(2)),
            },
        }],
        size: None,
        loss: Expression::parse("(dot(w, x) - 1)^2").unwrap(),
        decay: 0.0,
        seed: 7,
    })
    .unwrap();
    let formula = Arc::new(formula);
    let training = Training {
        rate: Schedule::constant(0.1),
        batch: 2,
        decay: Decay::None,
        momentum: 0.0,
        sampling: Sampling::WithReplacement,
        course: crate::dynamics::Course::default(),
    };
    let dynamics = |name: &str, law: Law, momentum| Dynamics {
        name: name.into(),
        law,
        training: Some(Training { momentum, ..training.clone() }),
        instants: (0..INSTANTS as u64).map(|i| Instant { step: 10 * i, time: i as f64 }).collect(),
    };
    Study {
        title: "Two weights".into(),
        path: "two.toml".into(),
        text: String::new(),
        overrides: vec![],
        resolved: String::new(),
        constants: BTreeMap::new(),
        system: System::Loss(LossSystem { model: formula.clone(), formula: Some(formula) }),
        initial: vec![Initial::Fixed(vec![0.0, 0.0])],
        starts: vec![],
        dynamics: vec![dynamics("sgd", Law::Sgd, 0.9), dynamics("sde", Law::langevin(4), 0.0)],
        run: Run {
            replicas: REPLICAS,
            seed: 7,
            burn_in: 0.4,
            trajectories: 2,
            significance: 1e-3,
            resolution: 0.2,
            precision: None,
        },
        observables: vec![Observable {
            name: "w".into(),
            shape: Shape::vector(2),
            hidden: false,
            kind: ObservableKind::Parameter { offset: 0 },
        }],
        symmetries: vec![],
        claims: vec![Claim {
            law: ClaimLaw::Einstein { equation: Equation::Own, tolerance: None },
            dynamics: vec![0, 1],
            expect_holds: true,
            significance: 1e-3,
            line: 20,
        }],
        warnings: vec![],
    }
}

/// `w` scattered about (1, −2), and a hidden scalar; SGD is stationary, the SDE drifts and lost a replica.
pub(super) fn record() -> Record {
    let observable = |name: &str, shape: Vec<usize>, hidden, drift: f64| {
        let components: usize = shape.iter().product();
        let level = |c: usize| if c == 0 { 1.0 } else { -2.0 };
        let wiggle = |r: usize, c: usize| 0.01 * ((r * 7 + c * 3) % 5) as f64 - 0.02;
        let each = |of: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
            (0..REPLICAS * components).map(|i| of(i / components, i % components)).collect()
        };
        ObservableRecord {
            name: name.into(),
            shape,
            hidden,
            ensemble: (0..INSTANTS * components)
                .map(|i| {
                    let (t, c) = (i / components, i % components);
                    Moments::of((0..REPLICAS).map(|r| level(c) + wiggle(r, c) + drift * t as f64))
                })
                .collect(),
            last: each(&|r, c| level(c) + wiggle(r, c)),
            stationary: Stationary {
                instants: 3,
                mean: each(&|r, c| level(c) + wiggle(r, c)),
                variance: each(&|r, c| 0.25 + wiggle(r, c)),
                first_mean: each(&|r, c| level(c) + wiggle(r + 1, c) - drift),
                first_variance: each(&|r, c| 0.25 + wiggle(r + 2, c)),
                second_mean: each(&|r, c| level(c) + wiggle(r + 3, c) + drift),
                second_variance: each(&|r, c| 0.25 + wiggle(r + 4, c)),
            },
            max_change: each(&|_, _| 1.0),
            trajectories: vec![0.5; 2 * INSTANTS * components],
        }
    };
    let dynamics = |name: &str, drift: f64| DynamicsRecord {
        name: name.into(),
        steps: (0..INSTANTS as u64).map(|i| 10 * i).collect(),
        times: (0..INSTANTS).map(|i| i as f64).collect(),
        burn_in: 2,
        replicas: REPLICAS,
        requested: REPLICAS,
        most: REPLICAS,
        diverged: if drift > 0.0 { vec![(3, 40)] } else { vec![] },
        failure: None,
        kept: 2,
        observables: vec![observable("w", vec![2], false, drift), observable("hidden", vec![], true, drift)],
        seconds: 0.25,
        profile: None,
    };
    Record { dynamics: vec![dynamics("sgd", 0.0), dynamics("sde", 0.5)], ..Record::default() }
}

/// A claim that holds in all of six tests, a control that fails as it must, and one that is undecided.
pub(super) fn claims() -> Vec<ClaimResult> {
    let test = |i: usize, verdict| Test {
        quantity: format!("covariance of w[0], w[{i}]"),
        measured: 0.25 + 0.001 * i as f64,
        standard_error: 0.002,
        predicted: 0.25,
        tolerance: 0.0,
        p_value: 0.5 / (1.0 + i as f64),
        kind: Kind::Exact,
        verdict,
        note: None,
    };
    let claim = |verdict, expect, tests: Vec<Test>, reason: Option<&str>| ClaimResult {
        claim: 0,
        law: "einstein",
        dynamics: "sgd".into(),
        verdict,
        expect,
        as_expected: verdict == expect,
        tests,
        reason: reason.map(ToOwned::to_owned),
    };
    vec![
        claim(Verdict::Holds, Verdict::Holds, (0..6).map(|i| test(i, Verdict::Holds)).collect(), None),
        claim(Verdict::Fails, Verdict::Fails, vec![test(1, Verdict::Fails)], None),
        claim(
            Verdict::Undecided,
            Verdict::Holds,
            vec![],
            Some("not stationary yet: run about 3 times as long"),
        ),
        claim(Verdict::Holds, Verdict::Fails, vec![test(0, Verdict::Holds)], None),
    ]
}

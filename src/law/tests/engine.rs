//! `einstein` on the engine's own runs: every law of motion against the equation of its own, and a neighbour's.

use std::sync::atomic::AtomicBool;

use super::bench::*;
use crate::dynamics::{Decay, Law, Sampling, Training};
use crate::ensemble::{self, NoSink, Options, Silent};
use crate::law::{ClaimResult, Verdict, judge, needs};
use crate::model::Shape;
use crate::scheme::{Method, Scheme};
use crate::study::{Dynamics, Equation, Initial, Instant, Study};

/// Runs the study with `steps` iterations, recorded every `every`.
pub(super) fn run(study: &mut Study, replicas: usize, steps: u64, every: u64) -> Vec<ClaimResult> {
    for dynamics in &mut study.dynamics {
        let training = dynamics.training.clone().unwrap();
        dynamics.instants = (0..=steps / every)
            .map(|k| Instant { step: k * every, time: training.rate.time(k * every) })
            .collect();
    }
    ready(study, replicas)
}

/// Runs the study of an equation for a time, recorded every `every`.
pub(super) fn run_for(study: &mut Study, replicas: usize, time: f64, every: f64) -> Vec<ClaimResult> {
    for dynamics in &mut study.dynamics {
        let between = match dynamics.law {
            Law::Integrated { dt, .. } => (every / dt).round() as u64,
            _ => 1,
        };
        dynamics.instants = (0..=(time / every).round() as u64)
            .map(|k| Instant { step: k * between, time: k as f64 * every })
            .collect();
    }
    ready(study, replicas)
}

fn ready(study: &mut Study, replicas: usize) -> Vec<ClaimResult> {
    study.run.replicas = replicas;
    let needed = needs(study);
    study.observables.extend(needed);
    let stop = AtomicBool::new(false);
    let options = Options { threads: Some(1), stop: &stop, progress: &Silent, sink: &mut NoSink };
    let record = ensemble::run(study, &study.observables, options).unwrap();
    judge(study, &record)
}

pub(super) fn named(laws: Vec<(Law, Training)>) -> Vec<Dynamics> {
    laws.into_iter().map(|(law, training)| dynamics(law.name(), law, Some(training))).collect()
}

fn claims_on_all(study: &mut Study) {
    for equation in [Equation::Own, Equation::Continuous, Equation::Discrete] {
        let mut claim = einstein(equation, None);
        claim.dynamics = (0..study.dynamics.len()).collect();
        study.claims.push(claim);
    }
}

/// Two correlated parameters on a finite population of five, with decay.
pub(super) fn small_population() -> Study {
    let mut study = loss_study(
        &[("a", Shape::SCALAR), ("b", Shape::SCALAR)],
        &[("x", "normal(0.5, 1)"), ("y", "0.7*x + normal(0, 0.5)")],
        Some(5),
        "0.5*(a*x + b - y)^2",
    );
    study.initial = vec![Initial::Fixed(vec![0.3]), Initial::Normal { mean: 0.0, standard_deviation: 0.1 }];
    study
}

#[test]
fn every_law_of_motion_obeys_its_own_stationary_equation() {
    let mut plain = training(0.12, 2);
    plain.decay = Decay::Penalty(0.1);
    let mut heavy = plain.clone();
    heavy.momentum = 0.5;
    let mut partial = plain.clone();
    partial.sampling = Sampling::WithoutReplacement { drop_last: false };
    let mut study = small_population();
    let langevin = Law::langevin(4);
    study.dynamics = named(vec![
        (Law::Sgd, plain.clone()),
        (Law::GaussianSgd, heavy.clone()),
        (langevin, partial),
        (Law::OrnsteinUhlenbeck, plain.clone()),
    ]);
    study.dynamics.push(dynamics("heavy", Law::Sgd, Some(heavy)));
    claims_on_all(&mut study);
    let results = run(&mut study, 1024, 600, 5);
    let verdict = |equation: usize, name: &str| {
        results.iter().find(|r| r.claim == equation && r.dynamics == name).unwrap()
    };
    for name in ["sgd", "gaussian-sgd", "langevin", "ornstein-uhlenbeck", "heavy"] {
        let own = verdict(0, name);
        assert_eq!(own.verdict, Verdict::Holds, "{own:#?}");
    }
    for (equation, name) in [
        (1, "sgd"),
        (1, "gaussian-sgd"),
        (2, "gaussian-sgd"),
        (2, "langevin"),
        (2, "ornstein-uhlenbeck"),
        (2, "heavy"),
    ] {
        let other = verdict(equation, name);
        assert_eq!(other.verdict, Verdict::Fails, "{other:#?}");
    }
}

#[test]
fn fresh_draws_and_their_nodes_obey_the_same_equation() {
    let mut study = loss_study(
        &[("w", Shape::SCALAR)],
        &[("x", "normal(0, 1)"), ("y", "0.7*x + normal(0, 0.5)")],
        None,
        "0.5*(w*x - y)^2",
    );
    study.dynamics = named(vec![(Law::Sgd, training(0.2, 1)), (Law::GaussianSgd, training(0.2, 1))]);
    claims_on_all(&mut study);
    let results = run(&mut study, 1024, 400, 5);
    for result in &results {
        let expected = if result.claim == 1 { Verdict::Fails } else { Verdict::Holds };
        assert_eq!(result.verdict, expected, "{result:#?}");
    }
}

/// Own equations hold, and each named neighbour fails.
fn own_and_neighbours(study: &mut Study, steps: u64, every: u64, own: &[&str], neighbours: &[(usize, &str)]) {
    claims_on_all(study);
    let results = run(study, 2048, steps, every);
    let verdict = |equation: usize, name: &str| {
        results.iter().find(|r| r.claim == equation && r.dynamics == name).unwrap()
    };
    for name in own {
        assert_eq!(verdict(0, name).verdict, Verdict::Holds, "{:#?}", verdict(0, name));
    }
    for &(equation, name) in neighbours {
        let other = verdict(equation, name);
        assert_eq!(other.verdict, Verdict::Fails, "{other:#?}");
    }
}

#[test]
fn svag_inertia_and_the_second_order_obey_equations_of_their_own() {
    let plain = training(0.08, 2);
    let mut study = small_population();
    let method = Method::default();
    study.dynamics = named(vec![
        (Law::Svag { level: 3 }, plain.clone()),
        (Law::Underdamped { friction: 0.4, substeps: 1 }, plain.clone()),
        (Law::Langevin { order: 2, substeps: 2, method }, plain),
    ]);
    let own = ["svag", "underdamped", "langevin"];
    let neighbours = [(2, "svag"), (1, "underdamped"), (2, "underdamped"), (1, "langevin"), (2, "langevin")];
    own_and_neighbours(&mut study, 800, 10, &own, &neighbours);
}

#[test]
fn epochs_and_schemes_with_additive_noise_are_exact() {
    // Noise that does not depend on θ, correlated, and two curvatures.
    let mut study = loss_study(
        &[("a", Shape::SCALAR), ("b", Shape::SCALAR)],
        &[("x", "normal(0, 1)"), ("y", "0.7*x + normal(0, 0.5)")],
        Some(6),
        "0.5*(a - x)^2 + (b - y)^2 + 0.3*a*b",
    );
    let mut epochs = training(0.2, 2);
    epochs.sampling = Sampling::WithoutReplacement { drop_last: false };
    let mut heavy = training(0.1, 4);
    heavy.sampling = Sampling::WithoutReplacement { drop_last: false };
    heavy.momentum = 0.6;
    let by = |scheme| Law::Langevin { order: 1, substeps: 1, method: Method { scheme, ..Method::default() } };
    study.dynamics = vec![
        dynamics("epochs", Law::Sgd, Some(epochs)),
        dynamics("heavy", Law::Sgd, Some(heavy)),
        dynamics("heun", by(Scheme::Heun), Some(training(0.6, 2))),
        dynamics("weak", by(Scheme::Weak2), Some(training(0.6, 2))),
        dynamics("strong", by(Scheme::StochasticRungeKutta), Some(training(0.6, 2))),
    ];
    let own = ["epochs", "heavy", "heun", "weak", "strong"];
    let neighbours =
        [(1, "epochs"), (2, "epochs"), (2, "heavy"), (1, "heun"), (2, "heun"), (2, "weak"), (2, "strong")];
    // Recorded every 5 iterations: all three places of an epoch of three batches.
    own_and_neighbours(&mut study, 600, 5, &own, &neighbours);
}

#[test]
fn additive_noise_has_no_heavy_tails_at_any_rate_that_is_stable() {
    // ½aw² − wx: curvature and noise are each sample's own constants.
    let additive = || loss_study(&[("w", Shape::SCALAR)], &[("x", "normal(0, 1)")], None, "10*w^2 - w*x");
    let by = |scheme| Law::Langevin { order: 1, substeps: 1, method: Method { scheme, ..Method::default() } };
    let heavy = |share: f64, momentum: f64| {
        let settings = Training { momentum, ..training(share / 20.0, 1) };
        dynamics(&format!("heavy {share} {momentum}"), Law::Sgd, Some(settings))
    };
    let mut study = additive();
    study.dynamics = vec![
        dynamics("inertia", Law::Underdamped { friction: 1.0, substeps: 1 }, Some(training(0.1, 1))),
        dynamics("inertia 3.8", Law::Underdamped { friction: 0.5, substeps: 1 }, Some(training(0.19, 1))),
        dynamics("weak", by(Scheme::Weak2), Some(training(0.1, 1))),
        dynamics("weak 2.6", by(Scheme::Weak2), Some(training(0.13, 1))),
        dynamics("strong", by(Scheme::StochasticRungeKutta), Some(training(0.095, 1))),
        dynamics("svag", Law::Svag { level: 2 }, Some(training(0.19, 1))),
        dynamics("langevin", Law::langevin(2), Some(training(0.19, 1))),
        heavy(1.9, 0.9),
        heavy(1.5, 0.5),
        heavy(1.1, 0.1),
        heavy(1.25, 0.25),
        heavy(3.5, 0.9),
    ];
    let mut claim = einstein(Equation::Own, None);
    claim.dynamics = (0..study.dynamics.len()).collect();
    study.claims = vec![claim];
    for result in run(&mut study, 512, 400, 5) {
        assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
        let variance = result.tests.iter().find(|t| t.quantity == "variance of w").unwrap().predicted;
        match result.dynamics.as_str() {
            "inertia" => assert!((variance / 0.0025 - 1.0).abs() < 1e-12),
            "weak" => assert!((variance / 0.00125 - 1.0).abs() < 0.2),
            _ => {}
        }
    }
    // Its rate times curvature is 1 + momentum: the variance is 3.
    let mut one = loss_study(&[("w", Shape::SCALAR)], &[("x", "normal(0, 1)")], None, "0.5*(w - x)^2");
    one.dynamics = vec![dynamics("sgd", Law::Sgd, Some(Training { momentum: 0.5, ..training(1.5, 1) }))];
    one.claims = vec![einstein(Equation::Own, None)];
    let result = run(&mut one, 512, 200, 5).remove(0);
    assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
    assert!((result.tests[1].predicted - 3.0).abs() < 1e-12, "{result:#?}");
}

#[test]
fn what_has_not_moved_or_is_not_known_to_be_bounded_is_undecided() {
    let at = |rate: f64, start: f64, loss: &str| {
        let mut study = loss_study(&[("w", Shape::SCALAR)], &[("x", "normal(0, 1)")], None, loss);
        study.initial = vec![Initial::Fixed(vec![start])];
        study.dynamics = named(vec![
            (Law::Sgd, training(rate, 1)),
            (Law::langevin(2), training(rate, 1)),
            (Law::OrnsteinUhlenbeck, training(rate, 1)),
        ]);
        let mut claim = einstein(Equation::Own, None);
        claim.dynamics = (0..3).collect();
        study.claims = vec![claim];
        study
    };
    for rate in [1e-12, 1e-6, 1e-4] {
        for result in run(&mut at(rate, 1.0, "0.5*(w - x)^2"), 64, 1000, 10) {
            assert_eq!(result.verdict, Verdict::Undecided, "{result:#?}");
            assert!(result.reason.unwrap().contains("remembers its start"));
        }
    }
    // As long as ten relaxations.
    for result in run(&mut at(0.02, 1.0, "0.5*(w - x)^2"), 512, 2000, 20) {
        assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
    }
    // Huber's loss by another name: ηH = 2.2 at the minimum, and gradients of at most 1 + decay·w.
    let result = run(&mut at(2.0, 0.1, "sqrt(1 + w^2) + 0.05*w^2 - 0.1*w*x"), 64, 500, 5).remove(0);
    assert_eq!(result.verdict, Verdict::Undecided, "{result:#?}");
    assert!(result.reason.as_ref().unwrap().contains("not quadratic"), "{result:#?}");
    // Of a quadratic loss it is known.
    let result = run(&mut at(2.2, 0.0, "0.5*w^2 - 0.001*w*x"), 64, 50, 1).remove(0);
    assert_eq!(result.verdict, Verdict::Fails, "{result:#?}");
    assert!(result.reason.unwrap().contains("no stationary law exists"));
}

#[test]
fn epochs_of_a_quadratic_loss_are_predicted_over_permutations() {
    // At rates where taking θ to keep still within an epoch is 10 % and more off.
    let mut plain = training(0.3, 1);
    plain.sampling = Sampling::WithoutReplacement { drop_last: false };
    let mut heavy = training(0.1, 2);
    heavy.sampling = Sampling::WithoutReplacement { drop_last: true };
    heavy.momentum = 0.6;
    heavy.decay = Decay::Penalty(0.1);
    for size in [5, 12] {
        // All 120 permutations, and a sample of many.
        let mut study = loss_study(
            &[("a", Shape::SCALAR), ("b", Shape::SCALAR)],
            &[("x", "normal(0.5, 1)"), ("y", "0.7*x + normal(0, 0.5)")],
            Some(size),
            "0.5*(a*x + b - y)^2",
        );
        study.dynamics = vec![
            dynamics("epochs", Law::Sgd, Some(plain.clone())),
            dynamics("heavy", Law::Sgd, Some(heavy.clone())),
        ];
        claims_on_all(&mut study);
        let results = run(&mut study, 2048, 720, 6);
        for name in ["epochs", "heavy"] {
            let own = results.iter().find(|r| r.claim == 0 && r.dynamics == name).unwrap();
            assert_eq!(own.verdict, Verdict::Holds, "{size} {own:#?}");
            assert_eq!(own.tests[0].kind, crate::law::Kind::Exact);
            let all = own.tests[0].note.as_ref().unwrap().contains("all 120 permutations");
            assert_eq!(all, size == 5, "{own:#?}");
            for equation in [1, 2] {
                let other = results.iter().find(|r| r.claim == equation && r.dynamics == name).unwrap();
                assert_eq!(other.verdict, Verdict::Fails, "{size} {other:#?}");
            }
        }
    }
}

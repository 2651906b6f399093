//! The laws between SGD and its equations: order 2, SVAG, inertia, and schemes of the Langevin equation.
//!
//! Statistical tests as in `law_tests`.

use super::tests::*;
use super::*;
use crate::dynamics::{Decay, Law, Training};
use crate::scheme::{Increments, Method, Scheme};
use crate::study::System;

/// ℓ = ½(w − x)², x ~ N(0, 1): a = c = 1.
fn unit_harmonic() -> System {
    loss(&[("w", SCALAR)], &[("x", "normal(0, 1)")], None, "0.5*(w - x)^2")
}

fn variance_at_end(record: &Record, dynamics: usize) -> (f64, f64) {
    let m = record.dynamics[dynamics].observables[0].ensemble.last().unwrap();
    assert_eq!(m.count as usize, record.dynamics[dynamics].replicas, "some have diverged");
    (m.variance(), m.variance_standard_error())
}

fn agrees((value, error): (f64, f64), expected: f64, control: f64) {
    let z = (value - expected) / error;
    assert!(z.abs() < 5.0, "{value} ± {error} against {expected}: z = {z}");
    let z = (value - control) / error;
    assert!(z.abs() > 5.0, "{value} ± {error} cannot tell {control}: z = {z}");
}

fn langevin(order: u32, substeps: u32, scheme: Scheme, increments: Increments) -> Law {
    Law::Langevin { order, substeps, method: Method { scheme, increments } }
}

fn second_order(substeps: u32) -> Law {
    langevin(2, substeps, Scheme::EulerMaruyama, Increments::Normal)
}

/// One step without noise from (0.8, −0.6) of L = (uw − 1)² + u²: the step over −h.
fn drift(law: Law, training: Training) -> [f64; 2] {
    let eta = training.rate.last();
    let system = loss(&[("u", SCALAR), ("w", SCALAR)], &[], Some(1), "(u*w - 1)^2 + u^2");
    let laws = vec![dynamics(law, Some(training), eta, &[0, 1])];
    let record = simulate(&study(system, fixed(&[0.8, -0.6]), laws, 1), 1, None);
    let last = |i: usize| record.dynamics[0].observables[i].last[0];
    [(0.8 - last(0)) / eta, (-0.6 - last(1)) / eta]
}

#[test]
fn second_order_drift_is_the_slope_of_the_modified_loss() {
    let eta = 0.05;
    for lambda in [0.0, 0.3] {
        let objective = |u: f64, w: f64| (u * w - 1.0).powi(2) + u * u + 0.5 * lambda * (u * u + w * w);
        let step = 1e-4;
        let slope = |f: &dyn Fn(f64, f64) -> f64, u: f64, w: f64| {
            [
                (f(u + step, w) - f(u - step, w)) / (2.0 * step),
                (f(u, w + step) - f(u, w - step)) / (2.0 * step),
            ]
        };
        let modified = |u: f64, w: f64| {
            let [a, b] = slope(&objective, u, w);
            objective(u, w) + eta / 4.0 * (a * a + b * b)
        };
        let expected = slope(&modified, 0.8, -0.6);
        let training = || Training { decay: Decay::Force(lambda), ..training(eta, 1) };
        let ours = drift(second_order(1), training());
        let first = drift(Law::langevin(1), training());
        for i in 0..2 {
            assert!((ours[i] - expected[i]).abs() < 1e-5, "{ours:?} {expected:?}");
            assert!((first[i] - expected[i]).abs() > 0.05);
        }
    }
}

#[test]
fn the_mean_of_the_second_order_equation() {
    // f = ½x², x₀ = 1, T = 1: SGD (1 − η)^{1/η}; order 1 e⁻¹, order 2 e^{−1 − η/2}; errors of the means at η = 0.1 and 0.05.
    let mut errors = Vec::new();
    for (eta, steps) in [(0.1, 10), (0.05, 20)] {
        let system = loss(&[("w", SCALAR)], &[], Some(1), "0.5*w^2");
        let laws = [second_order(2000), Law::langevin(2000), Law::Sgd]
            .into_iter()
            .map(|law| dynamics(law, Some(training(eta, 1)), eta, &[0, steps]))
            .collect();
        let record = simulate(&study(system, fixed(&[1.0]), laws, 1), 1, None);
        let last = |i: usize| record.dynamics[i].observables[0].last[0];
        errors.push([(last(0) - last(2)).abs(), (last(1) - last(2)).abs()]);
    }
    for (ours, reference) in errors.iter().zip([[0.001_259_3, 0.019_201], [0.000_310_54, 0.009_393_5]]) {
        for (ours, reference) in ours.iter().zip(reference) {
            // Steps of η/2000 leave 1e-5 of the mean.
            assert!((ours - reference).abs() < 2e-5, "{errors:?}");
        }
    }
}

#[test]
fn svag_goes_from_sgd_to_its_equation() {
    // a = c = 1, η = 0.4: ηc/(2a(1 − ηa/(2l))). n = 131072: 0.4 % on a variance.
    let eta = 0.4;
    let laws = [1, 2, 4, 8].map(|level| dynamics(Law::Svag { level }, Some(training(eta, 1)), eta, &[0, 30]));
    let mut laws = laws.to_vec();
    laws.push(dynamics(Law::Sgd, Some(training(eta, 1)), eta, &[0, 30]));
    let record = simulate(&study(unit_harmonic(), fixed(&[0.0]), laws, 131_072), 2, None);
    let expected = [0.25, 0.222_222_2, 0.210_526_3, 0.205_128_2, 0.2];
    for level in 0..4 {
        agrees(variance_at_end(&record, level), expected[level], expected[level + 1]);
    }
    assert_eq!(record.dynamics[0].observables[0].last, record.dynamics[4].observables[0].last);
}

#[test]
fn inertia_has_the_heavy_balls_law_without_its_steps() {
    // a = 2, c = 1, η = 0.1, β = 0.9: the heavy ball 0.263889, the equation ηc/(2aγ) = 0.25, exactly so by BAOAB. n = 32768.
    let (eta, a) = (0.1, 2.0);
    let harmonic = || loss(&[("w", SCALAR)], &[("x", "normal(0, 0.5)")], None, "(w - x)^2");
    let under = |friction, substeps| Law::Underdamped { friction, substeps };
    let laws = vec![
        dynamics(under(0.1, 1), Some(training(eta, 1)), eta, &[0, 300]),
        dynamics(under(0.1, 3), Some(training(eta, 1)), eta, &[0, 300]),
        dynamics(under(1.0, 1), Some(training(eta, 1)), eta, &[0, 300]),
    ];
    let record = simulate(&study(harmonic(), fixed(&[0.3]), laws, 32768), 2, None);
    agrees(variance_at_end(&record, 0), 0.25, 0.263_888_9);
    agrees(variance_at_end(&record, 1), 0.25, 0.263_888_9);
    agrees(variance_at_end(&record, 2), eta / (2.0 * a), eta / (2.0 * a * (1.0 - eta * a / 2.0)));
    // Without noise: ηθ̈ + γθ̇ + aθ = 0 from rest, and the heavy ball near it.
    let system = loss(&[("w", SCALAR)], &[], Some(1), "w^2");
    let heavy = Training { momentum: 0.9, ..training(eta, 1) };
    let laws = vec![
        dynamics(under(0.1, 50), Some(training(eta, 1)), eta, &[0, 20]),
        dynamics(Law::Sgd, Some(heavy), eta, &[0, 20]),
    ];
    let record = simulate(&study(system, fixed(&[1.0]), laws, 1), 1, None);
    let (gamma, t) = (0.1_f64, 2.0_f64);
    let rate = gamma / (2.0 * eta);
    let frequency = (a / eta - rate * rate).sqrt();
    let exact = (-rate * t).exp() * ((frequency * t).cos() + rate / frequency * (frequency * t).sin());
    let last = |i: usize| record.dynamics[i].observables[0].last[0];
    assert!((last(0) - exact).abs() < 1e-4, "{} {exact}", last(0));
    assert!((last(1) - exact).abs() < 0.25 && (last(1) - exact).abs() > 1e-2, "{} {exact}", last(1));
}

#[test]
fn schemes_of_the_langevin_equation_agree_on_multiplicative_noise() {
    // ℓ = ½(xw − y)² with x, y ~ N(0, 1): dw = −w dt + √(η(2w² + 1)) dW, ⟨w²⟩ = η/(2 − 2η); read after Stratonovich, the drift −(1 − η)w gives
    // η/(2(1 − η) − 2η). n = 16384.
    let eta = 0.2;
    let system =
        loss(&[("w", SCALAR)], &[("x", "normal(0, 1)"), ("y", "normal(0, 1)")], None, "0.5*(x*w - y)^2");
    let laws: Vec<_> = [
        (8, Scheme::Heun, Increments::Normal),
        (8, Scheme::Heun, Increments::Rademacher),
        (1, Scheme::Weak2, Increments::Normal),
        (1, Scheme::Weak2, Increments::ThreePoint),
        (16, Scheme::EulerMaruyama, Increments::Rademacher),
    ]
    .into_iter()
    .map(|(substeps, scheme, increments)| {
        dynamics(langevin(1, substeps, scheme, increments), Some(training(eta, 1)), eta, &[0, 40])
    })
    .collect();
    let record = simulate(&study(system, fixed(&[0.0]), laws, 16384), 2, None);
    let expected = eta / (2.0 - 2.0 * eta);
    for index in 0..5 {
        let control = eta / (2.0 * (1.0 - eta) - 2.0 * eta);
        agrees(variance_at_end(&record, index), expected, control);
    }
}

#[test]
fn threads_and_block_sizes_do_not_reach_a_bit() {
    let system = loss(&[("u", SCALAR), ("w", SCALAR)], &[("x", "normal(0, 1)")], Some(12), "(u*w*x - 1)^2");
    let steps = [0, 3, 20];
    let t = || Some(training(0.01, 2));
    let laws = vec![
        dynamics(Law::Svag { level: 3 }, t(), 0.01, &steps),
        dynamics(Law::Underdamped { friction: 0.2, substeps: 2 }, t(), 0.01, &steps),
        dynamics(second_order(2), t(), 0.01, &steps),
        dynamics(langevin(2, 1, Scheme::Weak2, Increments::ThreePoint), t(), 0.01, &steps),
        dynamics(langevin(1, 2, Scheme::Heun, Increments::Rademacher), t(), 0.01, &steps),
    ];
    let study = study(system, fixed(&[1.2, 0.4]), laws, 300);
    let one = digest(&simulate(&study, 1, None));
    for (threads, most) in [(2, None), (1, Some(1)), (2, Some(4))] {
        assert_eq!(digest(&simulate(&study, threads, most)), one, "{threads} {most:?}");
    }
}

//! Every law of motion against its closed form and reference numbers, through whole runs.
//!
//! Statistical tests: fixed seed, n replicas as stated, |z| < 5 (odds 6e-7 a comparison for a new seed); each has a control,
//! the nearest wrong formula, that the same data reject at |z| > 5.

use super::tests::*;
use super::*;
use crate::dynamics::{Decay, Law, Sampling, Schedule, Training};
use crate::study::{Dynamics, Initial, Instant, Study, System};

/// Statistic of a component at the last instant, with its standard error.
fn variance_at_end(record: &Record, dynamics: usize, observable: usize) -> (f64, f64) {
    let d = &record.dynamics[dynamics];
    let m = d.observables[observable].ensemble.last().unwrap();
    assert_eq!(m.count as usize, d.replicas, "some have diverged");
    (m.variance(), m.variance_standard_error())
}

fn mean_at_end(record: &Record, dynamics: usize, observable: usize) -> (f64, f64) {
    let m = record.dynamics[dynamics].observables[observable].ensemble.last().unwrap();
    (m.mean, m.standard_error())
}

fn agrees((value, error): (f64, f64), expected: f64, control: f64) {
    let z = (value - expected) / error;
    assert!(z.abs() < 5.0, "{value} ± {error} against {expected}: z = {z}");
    let z = (value - control) / error;
    assert!(z.abs() > 5.0, "{value} ± {error} cannot tell {control}: z = {z}");
}

/// ℓ = (w − x)², x ~ N(0, ½²): H = 2, noise of variance 1.
fn harmonic() -> System {
    loss(&[("w", SCALAR)], &[("x", "normal(0, 0.5)")], None, "(w - x)^2")
}

#[allow(clippy::unnecessary_wraps, reason = "a dynamics takes its training as an option")]
fn with(mut t: Training, change: impl FnOnce(&mut Training)) -> Option<Training> {
    change(&mut t);
    Some(t)
}

#[test]
fn gradient_descent_follows_its_recursion() {
    let (a, b) = (1.0, -0.5);
    let steps = [0, 1, 5, 12, 30];
    let base = || training(0.05, 1);
    let schedule = || Schedule { pieces: vec![(0, 0.01), (5, 0.2), (13, 0.02)] };
    let settings = [
        with(base(), |_| {}),
        with(base(), |t| t.decay = Decay::Force(0.3)),
        with(base(), |t| t.decay = Decay::Penalty(0.3)),
        with(base(), |t| t.momentum = 0.9),
        with(base(), |t| {
            t.rate = schedule();
            t.momentum = 0.5;
            t.decay = Decay::Force(0.1);
        }),
    ];
    let laws = settings.iter().map(|t| dynamics(Law::GradientDescent, t.clone(), 0.05, &steps)).collect();
    // L = (uw − 1)² + u²: gradient (2(uw − 1)w + 2u, 2(uw − 1)u).
    let system = loss(&[("u", SCALAR), ("w", SCALAR)], &[], Some(1), "(u*w - 1)^2 + u^2");
    let record = simulate(&study(system, fixed(&[a, b]), laws, 3), 1, None);
    for (t, d) in settings.iter().flatten().zip(&record.dynamics) {
        let (mut u, mut w, mut p, mut q) = (a, b, 0.0, 0.0);
        let lambda = match t.decay {
            Decay::None => 0.0,
            Decay::Force(x) => x,
            Decay::Penalty(x) => 2.0 * x,
        };
        for k in 0..=30_u64 {
            if let Some(i) = d.steps.iter().position(|s| *s == k) {
                assert!((d.observables[0].ensemble[i].mean - u).abs() < 1e-14, "{t:?} {k}");
                assert!((d.observables[1].ensemble[i].mean - w).abs() < 1e-14, "{t:?} {k}");
                assert_eq!(d.observables[0].ensemble[i].m2, 0.0);
            }
            let eta = if t.rate.pieces.len() == 1 {
                0.05
            } else if k < 5 {
                0.01
            } else if k < 13 {
                0.2
            } else {
                0.02
            };
            let r = 2.0 * (u * w - 1.0);
            let (gu, gw) = (r * w + 2.0 * u + lambda * u, r * u + lambda * w);
            p = t.momentum * p - eta * gu;
            q = t.momentum * q - eta * gw;
            u += p;
            w += q;
        }
    }
    assert_ne!(
        record.dynamics[1].observables[0].last, record.dynamics[2].observables[0].last,
        "the two conventions of decay differ"
    );
}

#[test]
fn stationary_variances_of_the_harmonic_loss() {
    // Discrete Lyapunov, without and with a heavy ball: a = 2, c = 1, η = 0.1. n = 32768: 0.8 % on a variance.
    let (a, eta) = (2.0, 0.1);
    let end = [0, 400];
    let t = || training(eta, 1);
    let laws = vec![
        dynamics(Law::Sgd, Some(t()), eta, &end),
        dynamics(Law::GaussianSgd, Some(t()), eta, &end),
        dynamics(Law::Sgd, with(t(), |t| t.momentum = 0.9), eta, &end),
        dynamics(Law::GaussianSgd, with(t(), |t| t.momentum = 0.9), eta, &end),
        dynamics(Law::langevin(1), Some(t()), eta, &end),
        dynamics(Law::langevin(4), Some(t()), eta, &end),
        dynamics(Law::OrnsteinUhlenbeck, Some(t()), eta, &end),
        dynamics(Law::Sgd, with(t(), |t| t.batch = 4), eta, &end),
        dynamics(Law::Sgd, with(t(), |t| t.decay = Decay::Force(1.0)), eta, &end),
        dynamics(Law::OrnsteinUhlenbeck, with(t(), |t| t.decay = Decay::Penalty(0.5)), eta, &end),
    ];
    let record = simulate(&study(harmonic(), fixed(&[0.3]), laws, 32768), 2, None);
    let discrete = |a: f64, h: f64| eta / (2.0 * a * (1.0 - h * a / 2.0));
    let sde = eta / (2.0 * a);
    agrees(variance_at_end(&record, 0, 0), discrete(a, eta), sde);
    agrees(variance_at_end(&record, 1, 0), discrete(a, eta), sde);
    agrees(variance_at_end(&record, 2, 0), 0.263_888_888_9, 0.25);
    agrees(variance_at_end(&record, 3, 0), 0.263_888_888_9, 0.25);
    agrees(variance_at_end(&record, 4, 0), discrete(a, eta), sde);
    agrees(variance_at_end(&record, 5, 0), discrete(a, eta / 4.0), discrete(a, eta));
    agrees(variance_at_end(&record, 6, 0), sde, discrete(a, eta));
    agrees(variance_at_end(&record, 7, 0), discrete(a, eta) / 4.0, sde / 4.0);
    agrees(variance_at_end(&record, 8, 0), discrete(3.0, eta), discrete(4.0, eta));
    agrees(variance_at_end(&record, 9, 0), eta / 6.0, eta / 8.0);
}

#[test]
fn the_transient_mean_tells_iterations_from_time() {
    // (1 − ηa)^k against e^{−aηk}; Ornstein–Uhlenbeck has the second. n = 16384.
    let (eta, k) = (0.1, 5);
    let laws = [Law::Sgd, Law::GaussianSgd, Law::OrnsteinUhlenbeck]
        .map(|law| dynamics(law, Some(training(eta, 1)), eta, &[0, k]))
        .to_vec();
    let record = simulate(&study(harmonic(), fixed(&[1.0]), laws, 16384), 2, None);
    let (discrete, continuous) = (0.8_f64.powi(5), (-1.0_f64).exp());
    agrees(mean_at_end(&record, 0, 0), discrete, continuous);
    agrees(mean_at_end(&record, 1, 0), discrete, continuous);
    agrees(mean_at_end(&record, 2, 0), continuous, discrete);
}

#[test]
fn a_schedule_changes_the_stationary_variance() {
    // Rate 0.3, then 0.1 for 200 steps of relaxation (0.8^400): the variance of the last rate.
    let pieces = vec![(0, 0.3), (50, 0.1)];
    let t = || with(training(0.3, 1), |t| t.rate = Schedule { pieces: pieces.clone() });
    let laws = [Law::Sgd, Law::GaussianSgd, Law::OrnsteinUhlenbeck]
        .map(|law| dynamics(law, t(), 0.1, &[0, 50, 250]))
        .to_vec();
    let record = simulate(&study(harmonic(), fixed(&[0.0]), laws, 16384), 2, None);
    let discrete = |eta: f64| eta / (4.0 * (1.0 - eta));
    agrees(variance_at_end(&record, 0, 0), discrete(0.1), discrete(0.3));
    agrees(variance_at_end(&record, 1, 0), discrete(0.1), discrete(0.3));
    agrees(variance_at_end(&record, 2, 0), 0.025, 0.075);
    let middle = &record.dynamics[0].observables[0].ensemble[1];
    agrees((middle.variance(), middle.variance_standard_error()), discrete(0.3), discrete(0.1));
}

/// H = [[2, ½], [½, 1]], C = [[1, 0.3], [0.3, ½]], not commuting.
fn two_dimensional() -> System {
    let data = [("a", "normal(0, 1)"), ("b", "normal(0, sqrt(0.41))")];
    let text = "u^2 + 0.5*u*v + 0.5*v^2 + u*a + v*(0.3*a + b)";
    loss(&[("u", SCALAR), ("v", SCALAR)], &data, None, text)
}

#[test]
fn stationary_covariances_of_two_parameters() {
    // n = 32768; SGD, its Gaussian twin, momentum, Langevin, Ornstein–Uhlenbeck.
    let eta = 0.1;
    let end = [0, 300];
    let t = || training(eta, 1);
    let laws = vec![
        dynamics(Law::Sgd, Some(t()), eta, &end),
        dynamics(Law::GaussianSgd, Some(t()), eta, &end),
        dynamics(Law::OrnsteinUhlenbeck, Some(t()), eta, &end),
        dynamics(Law::Sgd, with(t(), |t| t.momentum = 0.5), eta, &end),
    ];
    let mut study = study(two_dimensional(), fixed(&[0.0, 0.0]), laws, 32768);
    observe(&mut study, "uv", "u*v");
    observe(&mut study, "uu", "u^2");
    observe(&mut study, "vv", "v^2");
    let record = simulate(&study, 2, None);
    let discrete = [0.002_755_579_6, 0.027_341_609_2, 0.025_370_272_9];
    let continuous = [0.001_904_761_9, 0.024_523_809_5, 0.024_047_619_0];
    let momentum = [0.004_741_861_8, 0.052_805_764_5, 0.049_671_247_2];
    for i in 0..3 {
        for (dynamics, expected, control) in [
            (0, discrete[i], momentum[i]),
            (1, discrete[i], momentum[i]),
            (2, continuous[i], discrete[i] * 1.2),
            (3, momentum[i], discrete[i]),
        ] {
            agrees(mean_at_end(&record, dynamics, 2 + i), expected, control);
        }
    }
    // The Ornstein–Uhlenbeck law is no discrete one where they differ by a tenth.
    agrees(mean_at_end(&record, 2, 3), continuous[1], discrete[1]);
}

#[test]
fn linear_regression_has_noise_that_depends_on_the_state() {
    // Online regression: d = 5, S = 1, η = 0.1 and (5, 4, 0.2) with σ = ½; ½ in the loss. n = 16384.
    let names = ["a", "b", "c", "d", "e"];
    let parameters: Vec<_> = names.iter().map(|n| (*n, SCALAR)).collect();
    let xs = ["p", "q", "r", "s", "t"];
    let mut data: Vec<_> = xs.iter().map(|x| (*x, "normal(0, 1)")).collect();
    data.push(("noise", "normal(0, 1)"));
    let run = |sigma: f64, eta: f64, batch: usize| {
        let text = format!("0.5*(a*p + b*q + c*r + d*s + e*t - {sigma}*noise)^2");
        let system = loss(&parameters, &data, None, &text);
        let laws = vec![dynamics(Law::Sgd, Some(training(eta, batch)), eta, &[0, 150])];
        simulate(&study(system, fixed(&[0.0; 5]), laws, 16384), 2, None)
    };
    let one = run(1.0, 0.1, 1);
    let two = run(0.5, 0.2, 4);
    for i in 0..5 {
        agrees(variance_at_end(&one, 0, i), 0.076_923_1, 0.052_63);
        agrees(variance_at_end(&two, 0, i), 0.008_333_33, 0.006_944);
    }
}

#[test]
fn epochs_without_replacement() {
    // Reshuffled epochs: M = 20, a = 1, η = 0.05, at the end and in the middle of an epoch. n = 32768.
    let system = loss(&[("w", SCALAR)], &[("x", "normal(0, 1)")], Some(20), "0.5*(w - x)^2");
    let System::Loss(ref model) = system else { panic!("a loss") };
    let table = &model.model.population().nodes;
    assert_eq!((table.width, table.len()), (1, 20));
    let mean = table.values.iter().sum::<f64>() / 20.0;
    let s2 = table.values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20.0;
    let eta = 0.05;
    let without = |drop_last| Sampling::WithoutReplacement { drop_last };
    let t = |batch, sampling| with(training(eta, batch), |t| t.sampling = sampling);
    let laws = vec![
        dynamics(Law::Sgd, t(1, without(false)), eta, &[0, 290, 300]),
        dynamics(Law::Sgd, t(1, Sampling::WithReplacement), eta, &[0, 290, 300]),
        dynamics(Law::Sgd, t(20, without(false)), eta, &[0, 300]),
        dynamics(Law::GaussianSgd, t(4, without(false)), eta, &[0, 300]),
        dynamics(Law::OrnsteinUhlenbeck, t(4, without(false)), eta, &[0, 300]),
    ];
    let record = simulate(&study(system, fixed(&[mean]), laws, 32768), 2, None);
    agrees(variance_at_end(&record, 0, 0), 0.002_136_487_3 * s2, 0.025_641 * s2);
    let middle = &record.dynamics[0].observables[0].ensemble[1];
    let middle = (middle.variance(), middle.variance_standard_error());
    agrees(middle, 0.009_606_402_4 * s2, 0.002_136_487_3 * s2);
    agrees(variance_at_end(&record, 1, 0), 0.025_641 * s2, 0.002_136 * s2);
    // The whole table at every step is gradient descent.
    assert!(variance_at_end(&record, 2, 0).0 < 1e-30);
    // The factor (N − S)/(S(N − 1)) = 16/76, against 1/S.
    let discrete = eta / (2.0 * (1.0 - eta / 2.0));
    agrees(variance_at_end(&record, 3, 0), discrete * s2 * 16.0 / 76.0, discrete * s2 / 4.0);
    agrees(variance_at_end(&record, 4, 0), eta / 2.0 * s2 * 16.0 / 76.0, eta / 2.0 * s2 / 4.0);
}

#[test]
fn charges_obey_their_step_law_to_rounding() {
    // The charge's step law: with d = θ' − ρθ = −ηĝ, C' = ρ²C + dᵀAd, because θᵀAĝ = 0 in every step.
    let eta = 0.01;
    let every: Vec<u64> = (0..=200).collect();
    let system = || {
        loss(
            &[("u", SCALAR), ("w", SCALAR)],
            &[("x", "normal(0, 1)"), ("e", "normal(0, 1)")],
            None,
            "(u*w*x - x - e)^2",
        )
    };
    for lambda in [0.0, 0.3] {
        let t = || with(training(eta, 2), |t| t.decay = Decay::Force(lambda));
        let laws = vec![
            dynamics(Law::Sgd, t(), eta, &every),
            dynamics(Law::GaussianSgd, t(), eta, &every),
            dynamics(Law::langevin(1), t(), eta, &every),
            dynamics(Law::GradientDescent, t(), eta, &every),
        ];
        let record = simulate(&study(system(), fixed(&[1.25, 0.75]), laws, 8), 1, None);
        let rho = 1.0 - eta * lambda;
        for d in &record.dynamics {
            let path = |o: usize, r: usize| &d.observables[o].trajectories[r * 201..(r + 1) * 201];
            for r in 0..3 {
                let (u, w) = (path(0, r), path(1, r));
                for k in 0..200 {
                    let (du, dw) = (u[k + 1] - rho * u[k], w[k + 1] - rho * w[k]);
                    let predicted = rho * rho * (u[k] * u[k] - w[k] * w[k]) + (du * du - dw * dw);
                    let got = u[k + 1] * u[k + 1] - w[k + 1] * w[k + 1];
                    assert!((got - predicted).abs() < 4e-15, "{} {r} {k}: {got} {predicted}", d.name);
                    // The control: ρ in place of ρ².
                    let wrong = rho * (u[k] * u[k] - w[k] * w[k]) + (du * du - dw * dw);
                    assert!(lambda == 0.0 || (got - wrong).abs() > 1e-5);
                }
            }
        }
    }
}

#[test]
fn gradient_flow_keeps_the_charge_and_the_closed_form() {
    let steps = [0, 10, 1000, 100_000];
    let law = || Law::GradientFlow { tolerance: 1e-12 };
    let laws = || vec![dynamics(law(), Some(training(0.01, 1)), 0.01, &steps)];
    let system = loss(
        &[("u", SCALAR), ("w", SCALAR)],
        &[("x", "normal(0, 1)"), ("e", "normal(0, 1)")],
        None,
        "(u*w*x - x - e)^2",
    );
    let initial = vec![Initial::Fixed(vec![1.5]), Initial::Uniform { low: 0.1, high: 0.9 }];
    let mut flow = study(system, initial, laws(), 16);
    observe(&mut flow, "charge", "u^2 - w^2");
    observe(&mut flow, "product", "u*w");
    let record = simulate(&flow, 1, None);
    let observables = &record.dynamics[0].observables;
    assert!(observables[2].max_change.iter().all(|c| *c < 1e-10), "{:?}", observables[2].max_change);
    assert!(observables[3].last.iter().all(|p| (p - 1.0).abs() < 1e-11));
    // θ̇ = −2(θ − 0) − λθ: e^{−(2 + λ)t}.
    let mut decayed = laws();
    decayed[0].training.as_mut().unwrap().decay = Decay::Force(0.5);
    let record = simulate(&study(harmonic(), fixed(&[0.7]), decayed, 3), 1, None);
    for (moments, time) in record.dynamics[0].observables[0].ensemble.iter().zip(&record.dynamics[0].times) {
        let exact = 0.7 * (-2.5 * time).exp();
        assert!((moments.mean - exact).abs() <= 1e-10 * exact + 1e-16, "{time}: {} {exact}", moments.mean);
        assert_eq!(moments.m2, 0.0);
    }
}

#[test]
fn a_shared_path_is_the_path_of_each() {
    // Starts that are the same but not by name run lane by lane.
    for law in [Law::GradientDescent, Law::GradientFlow { tolerance: 1e-12 }] {
        let run = |initial| {
            let laws = vec![dynamics(law.clone(), Some(training(0.02, 1)), 0.02, &[0, 3, 50])];
            simulate(&study(harmonic(), initial, laws, 20), 1, None)
        };
        let shared = run(fixed(&[0.7]));
        let own = run(vec![Initial::Normal { mean: 0.7, standard_deviation: 0.0 }]);
        assert_eq!(digest(&shared), digest(&own));
    }
}

#[test]
fn diverged_replicas_are_counted_and_excluded() {
    // ℓ = w⁴/4, η = 1: w' = w(1 − w²) runs away for |w| > √2.
    let system = loss(&[("w", SCALAR)], &[], Some(1), "0.25*w^4");
    let steps: Vec<u64> = (0..=30).collect();
    let laws = vec![dynamics(Law::GradientDescent, Some(training(1.0, 1)), 1.0, &steps)];
    let initial = vec![Initial::Normal { mean: 0.0, standard_deviation: 1.5 }];
    let mut quartic = study(system, initial, laws, 100);
    observe(&mut quartic, "w2", "w^2");
    let record = simulate(&quartic, 2, None);
    let d = &record.dynamics[0];
    assert_eq!(d.replicas, 100);
    let dead: Vec<usize> = d.diverged.iter().map(|x| x.0).collect();
    assert!(dead.len() > 10 && dead.len() < 90 && dead.is_sorted());
    for (o, observable) in d.observables.iter().enumerate() {
        for r in 0..100 {
            let is_dead = dead.contains(&r);
            assert_eq!(observable.last[r].is_nan(), is_dead);
            assert_eq!(observable.stationary.mean[r].is_nan(), is_dead);
            assert_eq!(observable.max_change[r].is_nan(), is_dead);
        }
        for (i, step) in d.steps.iter().enumerate() {
            let counted = 100 - d.diverged.iter().filter(|x| x.1 <= *step).count();
            assert_eq!(observable.ensemble[i].count as usize, counted, "{o} {step}");
            assert!(observable.ensemble[i].mean.is_finite() && observable.ensemble[i].max.is_finite());
        }
    }
    // w² overflows before w: what is observed decides when it shows.
    let mut bare = quartic;
    bare.observables.truncate(1);
    let later = simulate(&bare, 2, None);
    assert!(later.dynamics[0].diverged.iter().zip(&d.diverged).any(|(a, b)| a.1 > b.1));
}

#[test]
fn windows_hold_the_averages_of_the_path() {
    let every: Vec<u64> = (0..=10).collect();
    let laws = vec![dynamics(Law::Sgd, Some(training(0.1, 1)), 0.1, &every)];
    let record = simulate(&study(harmonic(), fixed(&[1.0]), laws, 5), 1, None);
    let d = &record.dynamics[0];
    let o = &d.observables[0];
    assert_eq!((d.burn_in, o.stationary.instants, d.kept), (5, 6, 3));
    let moments = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        (mean, x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64)
    };
    for r in 0..3 {
        let path = &o.trajectories[r * 11..(r + 1) * 11];
        let s = &o.stationary;
        for ((mean, variance), window) in [
            ((s.mean[r], s.variance[r]), &path[5..]),
            ((s.first_mean[r], s.first_variance[r]), &path[5..8]),
            ((s.second_mean[r], s.second_variance[r]), &path[8..]),
        ] {
            let (m, v) = moments(window);
            assert!((mean - m).abs() < 1e-15 && (variance - v).abs() < 1e-15);
        }
        assert_eq!(o.last[r], path[10]);
        let change = path.iter().map(|x| (x - path[0]).abs()).fold(0.0, f64::max);
        assert_eq!(o.max_change[r], change);
    }
    assert_eq!(o.ensemble.len(), 11);
    assert_eq!(o.ensemble[0].mean, 1.0);
}

fn equation(law: Law, steps: &[u64], dt: f64) -> Dynamics {
    let instants = steps.iter().map(|&step| Instant { step, time: step as f64 * dt }).collect();
    Dynamics { name: law.name().to_owned(), law, training: None, instants }
}

#[test]
fn ornstein_uhlenbeck_by_euler_and_exactly() {
    // Einstein relation: μ = 2, D = 3: 0.75; Euler–Maruyama at h = 0.2 has 0.9375. n = 16384.
    let system = sde(&[("x", SCALAR)], &[("x", "-2*x")], &[("x", "sqrt(3)")]);
    let mut exact = equation(Law::Exact, &[0, 1, 2, 3], 1.7);
    exact.instants[1].time = 0.25;
    let laws = vec![equation(Law::euler_maruyama(0.2), &[0, 1, 60], 0.2), exact];
    let record = simulate(&study(system, fixed(&[1.0]), laws, 16384), 2, None);
    agrees(variance_at_end(&record, 0, 0), 0.9375, 0.75);
    agrees(variance_at_end(&record, 1, 0), 0.75, 0.9375);
    let first = &record.dynamics[1].observables[0].ensemble[1];
    agrees((first.mean, first.standard_error()), (-0.5_f64).exp(), 0.5);
    let variance = 0.75 * (1.0 - (-1.0_f64).exp());
    agrees((first.variance(), first.variance_standard_error()), variance, 0.75);
    let first = &record.dynamics[0].observables[0].ensemble[1];
    agrees((first.mean, first.standard_error()), 0.6, (-0.4_f64).exp());
}

#[test]
fn scalars_with_common_columns_are_correlated() {
    // dx = −x dt + dW₁, dy = −2y dt + ρ dW₁ + √(1 − ρ²) dW₂: ⟨xy⟩ = ρ/3 (1 − e^{−3t}) exactly; by Euler's steps ρ/(3 − 2h). n = 32768.
    let (rho, dt) = (0.6, 0.05);
    let system = sde(
        &[("x", SCALAR), ("y", SCALAR)],
        &[("x", "-x"), ("y", "-2*y")],
        &[("x", "[[1, 0]]"), ("y", "[[0.6, 0.8]]")],
    );
    let laws = vec![equation(Law::Exact, &[0, 1], 6.0), equation(Law::euler_maruyama(dt), &[0, 120], dt)];
    let mut study = study(system, fixed(&[0.0, 0.0]), laws, 32768);
    observe(&mut study, "xy", "x*y");
    let record = simulate(&study, 2, None);
    agrees(mean_at_end(&record, 0, 2), rho / 3.0, 0.0);
    agrees(mean_at_end(&record, 1, 2), rho / (3.0 - 2.0 * dt), 0.0);
}

#[test]
fn time_in_formulas_is_that_of_the_stage_and_begins_where_the_run_does() {
    // dx = t dt from t = 2, ten steps of 0.1: Euler Σ(2 + kh)h, with Heun's stages the integral 2.5.
    let drift = vec![("x".to_owned(), crate::model::formula::Expression::parse("t").unwrap())];
    let model = crate::model::formula::SdeModel::new(
        layout(&[("x", SCALAR)]),
        &std::collections::BTreeMap::new(),
        &drift,
        &[],
        false,
    );
    let system = System::Sde(std::sync::Arc::new(model.unwrap().starting_at(2.0)));
    let heun = crate::scheme::Method { scheme: crate::scheme::Scheme::Heun, ..Default::default() };
    let laws = vec![
        equation(Law::euler_maruyama(0.1), &[0, 3, 10], 0.1),
        equation(Law::Integrated { dt: 0.1, method: heun }, &[0, 3, 10], 0.1),
    ];
    let record = simulate(&study(system.clone(), fixed(&[0.0]), laws, 8), 1, None);
    let end = |d: usize| record.dynamics[d].observables[0].last[0];
    assert!((end(0) - 2.45).abs() < 1e-14, "{}", end(0));
    assert!((end(1) - 2.5).abs() < 1e-14, "{}", end(1));
    let System::Sde(equation) = system else { panic!("an equation") };
    assert!(equation.linear().unwrap_err().contains("the time t"));
    assert!(equation.dissipation().is_err() && equation.force(0).is_err());
}

#[test]
fn geometric_brownian_motion_by_euler() {
    // E X(1) = (1 + μh)^n for μ = σ = 1, n = 16 steps; against e. 32768 replicas.
    let system = sde(&[("x", SCALAR)], &[("x", "x")], &[("x", "x")]);
    let laws = vec![equation(Law::euler_maruyama(1.0 / 16.0), &[0, 16], 1.0 / 16.0)];
    let record = simulate(&study(system, fixed(&[1.0]), laws, 65536), 2, None);
    let (mean, error) = mean_at_end(&record, 0, 0);
    let expected = (1.0 + 1.0 / 16.0_f64).powi(16);
    assert!((mean - expected).abs() < 5.0 * error, "{mean} ± {error}: {expected}");
    // E X² = (1 + 2μh + μ²h² + σ²h)^n tells the scheme from the equation and from a lost noise.
    let h = 1.0 / 16.0_f64;
    let second = (1.0 + 3.0 * h + h * h).powi(16);
    let d = &record.dynamics[0].observables[0];
    let squares = crate::stats::moments::Moments::of(d.last.iter().map(|x| x * x));
    let z = (squares.mean - second) / squares.standard_error();
    assert!(z.abs() < 5.0 && (squares.mean - expected * expected) / squares.standard_error() > 5.0, "{z}");
}

#[test]
fn laws_that_do_not_fit_are_refused() {
    let run = |system, law, training: Option<Training>| {
        let laws = vec![dynamics(law, training, 0.1, &[0, 1])];
        let refused: Study = study(system, fixed(&[1.0]), laws, 1);
        let stop = std::sync::atomic::AtomicBool::new(false);
        let options = Options { threads: Some(1), stop: &stop, progress: &Silent, sink: &mut NoSink };
        match super::run(&refused, &refused.observables, options) {
            Err(RunError::Dynamics { reason, .. }) => reason,
            other => panic!("{:?}", other.map(|_| ())),
        }
    };
    let equation = || sde(&[("x", SCALAR)], &[("x", "-x^3")], &[("x", "1")]);
    assert!(run(equation(), Law::Exact, None).contains("linear drift"));
    assert!(run(equation(), Law::Sgd, None).contains("[loss]"));
    assert!(run(harmonic(), Law::euler_maruyama(0.1), None).contains("[sde]"));
    let heavy = with(training(0.1, 1), |t| t.momentum = 0.9);
    assert!(run(harmonic(), Law::langevin(1), heavy).contains("momentum"));
    let saddle = loss(&[("w", SCALAR)], &[("x", "normal(0, 1)")], None, "-(w - x)^2");
    assert!(!run(saddle, Law::OrnsteinUhlenbeck, Some(training(0.1, 1))).is_empty());
}

//! `einstein` on runs of plain loops.

use super::bench::*;
use crate::dynamics::{Decay, Law};
use crate::law::{ClaimResult, Kind, Verdict, needs};
use crate::model::formula::{Diffusion, SdeModel};
use crate::model::{Layout, Shape};
use crate::study::{Equation, Study};

const SLOPE: f64 = 0.7;
const SIGMA: f64 = 0.5;

/// ½(wx − y)² with x ~ N(0, 1), y = 0.7x + N(0, ½²), fresh draws.
fn regression() -> Study {
    loss_study(
        &[("w", Shape::SCALAR)],
        &[("x", "normal(0, 1)"), ("y", "0.7*x + normal(0, 0.5)")],
        None,
        "0.5*(w*x - y)^2",
    )
}

/// One step of SGD on it: state (w, v).
fn sgd(rate: f64, batch: usize, decay: f64, momentum: f64) -> impl Fn(&mut [f64], &mut Noise) {
    move |state, noise| {
        let mut gradient = decay * state[0];
        for _ in 0..batch {
            let x = noise.normal();
            let y = SLOPE * x + SIGMA * noise.normal();
            gradient += (state[0] * x - y) * x / batch as f64;
        }
        state[1] = momentum * state[1] - rate * gradient;
        state[0] += state[1];
    }
}

fn at_rest(_: &mut Noise) -> Vec<f64> {
    vec![0.0, 0.0]
}

const PLAN: Plan = Plan { replicas: 300, steps: 600, burn_in: 100, every: 5 };

fn run(mut study: Study, plan: Plan, step: &dyn Fn(&mut [f64], &mut Noise)) -> ClaimResult {
    let record = simulate(&mut study, plan, 1, &at_rest, step);
    only(&study, &record)
}

fn verdict_of(result: &ClaimResult, verdict: Verdict) {
    assert_eq!(result.verdict, verdict, "{result:#?}");
}

#[test]
fn sgd_obeys_its_own_equation_and_no_other() {
    for (batch, decay, momentum) in [(1, 0.0, 0.0), (2, 0.3, 0.0), (4, 0.1, 0.6)] {
        let mut settings = training(0.2, batch);
        settings.decay = Decay::Force(decay);
        settings.momentum = momentum;
        let study = |equation| {
            let mut study = regression();
            study.dynamics = vec![dynamics("sgd", Law::Sgd, Some(settings.clone()))];
            study.claims = vec![einstein(equation, None)];
            study
        };
        let result = run(study(Equation::Own), PLAN, &sgd(0.2, batch, decay, momentum));
        verdict_of(&result, Verdict::Holds);
        assert!(result.tests.iter().all(|t| t.kind == Kind::Exact));
        assert_eq!(result.tests[0].quantity, "mean of w");
        assert_eq!(result.tests[1].quantity, "variance of w");
        if decay == 0.0 && momentum == 0.0 {
            // Online regression with s = 1: (ησ²/S)/(2 − η(1 + 2/S)).
            let closed = 0.2 * SIGMA * SIGMA / (2.0 - 0.2 * 3.0);
            assert!((result.tests[1].predicted - closed).abs() < 1e-12);
            assert!((result.tests[0].predicted - SLOPE).abs() < 1e-12);
        }
        // Controls: the SDE's equation, the same motion with half the batch, and with the decay's other convention.
        verdict_of(
            &run(study(Equation::Continuous), PLAN, &sgd(0.2, batch, decay, momentum)),
            Verdict::Fails,
        );
        verdict_of(&run(study(Equation::Own), PLAN, &sgd(0.2, batch * 2, decay, momentum)), Verdict::Fails);
        if decay > 0.0 {
            verdict_of(
                &run(study(Equation::Own), PLAN, &sgd(0.2, batch, 2.0 * decay, momentum)),
                Verdict::Fails,
            );
        }
        if momentum > 0.0 {
            verdict_of(
                &run(study(Equation::Discrete), PLAN, &sgd(0.2, batch, decay, momentum)),
                Verdict::Fails,
            );
        }
    }
}

#[test]
fn a_langevin_equation_with_substeps_has_its_own_noise() {
    // Noise of variance f(σ² + 2δ²) (the covariance of (wx − y)x), dt = η/m.
    let (rate, substeps) = (0.3, 4);
    let step = move |state: &mut [f64], noise: &mut Noise| {
        for _ in 0..substeps {
            let h = rate / f64::from(substeps);
            let delta = state[0] - SLOPE;
            let power = rate * (SIGMA * SIGMA + 2.0 * delta * delta);
            state[0] += -delta * h + (power * h).sqrt() * noise.normal();
        }
    };
    let study = |equation| {
        let mut study = regression();
        study.dynamics = vec![dynamics("sde", Law::langevin(4), Some(training(rate, 1)))];
        study.claims = vec![einstein(equation, None)];
        study
    };
    let plan = Plan { replicas: 6000, steps: 300, ..PLAN };
    let result = run(study(Equation::Own), plan, &step);
    verdict_of(&result, Verdict::Holds);
    // Σ(2 − h) = η(σ² + 2Σ).
    let closed = rate * SIGMA * SIGMA / (2.0 - rate / 4.0 - 2.0 * rate);
    assert!((result.tests[1].predicted - closed).abs() < 1e-12);
    verdict_of(&run(study(Equation::Discrete), plan, &step), Verdict::Fails);
    verdict_of(&run(study(Equation::Continuous), plan, &step), Verdict::Fails);
}

#[test]
fn an_ornstein_uhlenbeck_process_has_constant_noise() {
    let rate = 0.2;
    let study = |equation| {
        let mut study = regression();
        study.dynamics = vec![dynamics("ou", Law::OrnsteinUhlenbeck, Some(training(rate, 1)))];
        study.claims = vec![einstein(equation, None)];
        study
    };
    let variance = 0.5 * rate * SIGMA * SIGMA;
    let keep = (-rate).exp();
    let step = move |state: &mut [f64], noise: &mut Noise| {
        state[0] =
            SLOPE + keep * (state[0] - SLOPE) + (variance * (1.0 - keep * keep)).sqrt() * noise.normal();
    };
    let plan = Plan { replicas: 1000, ..PLAN };
    let result = run(study(Equation::Own), plan, &step);
    verdict_of(&result, Verdict::Holds);
    assert!((result.tests[1].predicted - variance).abs() < 1e-12);
    // The noise of the regression itself grows with the distance: 25 % more variance.
    verdict_of(&run(study(Equation::Continuous), plan, &step), Verdict::Fails);
}

#[test]
fn too_few_replicas_too_short_a_run_and_divergence_are_told_apart() {
    let study = || {
        let mut study = regression();
        study.dynamics = vec![dynamics("sgd", Law::Sgd, Some(training(0.2, 1)))];
        study.claims = vec![einstein(Equation::Own, None)];
        study
    };
    let few = run(study(), Plan { replicas: 4, steps: 150, ..PLAN }, &sgd(0.2, 1, 0.0, 0.0));
    verdict_of(&few, Verdict::Undecided);
    assert!(few.reason.as_ref().unwrap().contains("replicas"), "{few:?}");
    // Relaxation time 5 steps; the window opens after 1.
    let early = run(study(), Plan { replicas: 2000, steps: 9, burn_in: 1, every: 1 }, &sgd(0.2, 1, 0.0, 0.0));
    verdict_of(&early, Verdict::Undecided);
    assert!(early.reason.as_ref().unwrap().contains("times as long"), "{early:?}");

    let mut study = study();
    let mut record = simulate(&mut study, PLAN, 1, &at_rest, &sgd(0.2, 1, 0.0, 0.0));
    record.dynamics[0].diverged.push((17, 35));
    let diverged = only(&study, &record);
    verdict_of(&diverged, Verdict::Fails);
    assert!(diverged.reason.unwrap().contains("replica 17 by step 35"));
    // A dynamics that was never reached.
    record.dynamics.clear();
    verdict_of(&only(&study, &record), Verdict::Undecided);
}

#[test]
fn a_variance_without_a_standard_error_is_undecided() {
    // Online regression: the fourth moment of plain SGD exists below η = 0.383451.
    let at = |rate, batch| {
        let mut study = regression();
        study.dynamics = vec![dynamics("sgd", Law::Sgd, Some(training(rate, batch)))];
        study.claims = vec![einstein(Equation::Own, None)];
        run(study, Plan { replicas: 500, ..PLAN }, &sgd(rate, batch, 0.0, 0.0))
    };
    verdict_of(&at(0.33, 1), Verdict::Holds);
    let heavy = at(0.43, 1);
    verdict_of(&heavy, Verdict::Undecided);
    assert!(heavy.reason.unwrap().contains("heavy tails"));
    assert_eq!(heavy.tests[0].verdict, Verdict::Holds);
    verdict_of(&at(0.43, 4), Verdict::Holds);
}

#[test]
fn instability_has_a_reason() {
    // Mean-square stable iff 3η < 2.
    let with = |settings| {
        let mut study = regression();
        study.dynamics = vec![dynamics("sgd", Law::Sgd, Some(settings))];
        study.claims = vec![einstein(Equation::Own, None)];
        run(study, Plan { replicas: 3, steps: 20, burn_in: 10, every: 1 }, &|_, _| {})
    };
    let unstable = with(training(0.7, 1));
    verdict_of(&unstable, Verdict::Fails);
    assert!(unstable.reason.unwrap().contains("mean-square"));
}

#[test]
fn fresh_draws_in_many_dimensions_are_predicted_from_a_sample_with_its_error() {
    // Five regressors, a noise and an idle draw with a kink: no quadrature. Closed form: 0.0769231 each at η = 0.1, S = 1.
    let mut study = loss_study(
        &[("w", Shape::vector(5))],
        &[("e", "normal(0, 1)"), ("idle", "normal(0, 1)")],
        None,
        "0.5*(dot(w, x) - e)^2 + 1e-9*abs(idle)*sum(w)",
    );
    study.dynamics = vec![dynamics("sgd", Law::Sgd, Some(training(0.1, 1)))];
    study.claims = vec![einstein(Equation::Own, None)];
    let step = |state: &mut [f64], noise: &mut Noise| {
        let x: Vec<f64> = (0..5).map(|_| noise.normal()).collect();
        let r: f64 = x.iter().zip(state.iter()).map(|(x, w)| x * w).sum::<f64>() - noise.normal();
        for (w, x) in state.iter_mut().zip(&x) {
            *w -= 0.1 * r * x;
        }
    };
    let plan = Plan { replicas: 300, steps: 800, burn_in: 200, every: 10 };
    let record = simulate(&mut study, plan, 3, &|_| vec![0.0; 5], &step);
    let result = only(&study, &record);
    verdict_of(&result, Verdict::Holds);
    let variance = result.tests.iter().find(|t| t.quantity == "variance of w[2]").unwrap();
    assert!((variance.predicted / (0.1 / 1.3) - 1.0).abs() < 0.03, "{variance:?}");
    assert!(variance.note.as_ref().unwrap().contains("262144 samples"));
}

#[test]
fn dynamics_with_decays_of_their_own_have_centers_of_their_own() {
    let mut study = regression();
    let mut decayed = training(0.2, 1);
    decayed.decay = Decay::Penalty(0.5);
    study.dynamics = vec![
        dynamics("plain", Law::Sgd, Some(training(0.2, 1))),
        dynamics("decayed", Law::Sgd, Some(decayed.clone())),
        dynamics("also", Law::GaussianSgd, Some(decayed)),
    ];
    study.claims = vec![einstein(Equation::Own, None)];
    study.claims[0].dynamics = vec![0, 1, 2];
    let needed = needs(&study);
    let names: Vec<&str> = needed.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["einstein:second_moments", "einstein:second_moments:decayed"]);
    // About 0.7 and about 0.7/2: λ = 2γ = 1 beside a curvature of 1.
    for (observable, center) in needed.iter().zip([0.7, 0.35]) {
        let crate::study::ObservableKind::Function(function) = &observable.kind else { panic!("a formula") };
        assert!((function.value(&[1.0])[0] - (1.0_f64 - center).powi(2)).abs() < 1e-12);
    }
}

#[test]
fn a_flat_loss_has_no_center_and_says_so() {
    let mut study = loss_study(
        &[("u", Shape::SCALAR), ("w", Shape::SCALAR)],
        &[("x", "normal(0, 1)")],
        None,
        "(u*w - 1 + x)^2",
    );
    study.initial = vec![crate::study::Initial::Fixed(vec![1.5]), crate::study::Initial::Fixed(vec![0.5])];
    study.dynamics = vec![dynamics("sgd", Law::Sgd, Some(training(0.01, 1)))];
    study.claims = vec![einstein(Equation::Own, None)];
    assert!(needs(&study).is_empty());
    let result = run(study, Plan { replicas: 3, steps: 20, burn_in: 10, every: 1 }, &|_, _| {});
    verdict_of(&result, Verdict::Undecided);
    assert!(result.reason.unwrap().contains("flat"));
}

#[test]
fn vectors_are_judged_entry_by_entry_and_needs_are_asked_once() {
    // ½(w·x − y)², finite population of 5 of Rademacher-like rows: compared by simulation with replacement.
    let mut study = loss_study(
        &[("w", Shape::vector(2)), ("b", Shape::SCALAR)],
        &[("x", "normal(0, 1)"), ("z", "normal(0, 1)"), ("y", "x - 0.5*z + normal(0, 0.3)")],
        Some(6),
        "0.5*(w.T @ [[1.0, 0.0], [0.0, 0.0]] @ w * x^2 * 0 + (dot(w, [1, 0])*x + dot(w, [0, 1])*z + b - y)^2)",
    );
    study.dynamics = vec![dynamics("sgd", Law::Sgd, Some(training(0.1, 1)))];
    study.claims = vec![einstein(Equation::Own, None)];
    study.observables.clear();
    let needed = needs(&study);
    let names: Vec<&str> = needed.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["einstein:second_moments", "einstein:parameter:w", "einstein:parameter:b"]);
    assert!(needed.iter().all(|o| o.hidden));
    study.observables.extend(needed);
    assert!(needs(&study).is_empty());

    let crate::study::System::Loss(loss) = &study.system else { panic!("a loss") };
    let model = loss.formula.clone().unwrap();
    let gradients = {
        // Affine in θ: three gradients a sample and the one at 0 give all.
        let at = |theta: &[f64]| model.sample_gradients(theta);
        [at(&[0.0, 0.0, 0.0]), at(&[1.0, 0.0, 0.0]), at(&[0.0, 1.0, 0.0]), at(&[0.0, 0.0, 1.0])]
    };
    let step = move |state: &mut [f64], noise: &mut Noise| {
        let k = (rand::Rng::next_u64(&mut noise.0) % 6) as usize;
        let g: Vec<f64> = (0..3)
            .map(|i| {
                let base = gradients[0][3 * k + i];
                base + (0..3).map(|j| state[j] * (gradients[j + 1][3 * k + i] - base)).sum::<f64>()
            })
            .collect();
        for (x, g) in state.iter_mut().zip(g) {
            *x -= 0.1 * g;
        }
    };
    let plan = Plan { replicas: 300, steps: 3000, burn_in: 1000, every: 20 };
    let record = simulate(&mut study, plan, 3, &|_| vec![0.0; 3], &step);
    let result = only(&study, &record);
    verdict_of(&result, Verdict::Holds);
    assert_eq!(result.tests.len(), 9);
    assert_eq!(result.tests[4].quantity, "covariance of w[0], w[1]");
}

#[test]
fn beyond_leading_order_the_claim_is_an_equivalence() {
    // ℓ = (w² − y)²/8 about w = 1, y ~ N(1, ½²): H = 1, C = ¼·σ² = 1/16, noise and curvature depend on w.
    let study = |tolerance| {
        let mut study =
            loss_study(&[("w", Shape::SCALAR)], &[("y", "normal(1, 0.5)")], None, "(w^2 - y)^2/8");
        study.initial = vec![crate::study::Initial::Fixed(vec![0.8])];
        study.dynamics = vec![dynamics("sgd", Law::Sgd, Some(training(0.05, 1)))];
        study.claims = vec![einstein(Equation::Own, tolerance)];
        study
    };
    let with = |noise_scale: f64| {
        move |state: &mut [f64], noise: &mut Noise| {
            let y = 1.0 + 0.5 * noise_scale * noise.normal();
            state[0] -= 0.05 * 0.5 * (state[0] * state[0] - y) * state[0];
        }
    };
    let run = |mut study: Study, scale: f64, replicas: usize| {
        let plan = Plan { replicas, steps: 1200, burn_in: 200, every: 20 };
        let record = simulate(&mut study, plan, 5, &|_| vec![1.0], &with(scale));
        only(&study, &record)
    };
    let result = run(study(None), 1.0, 2000);
    verdict_of(&result, Verdict::Holds);
    assert!(result.tests.iter().all(|t| t.kind == Kind::LeadingOrder));
    let variance = &result.tests[1];
    // ηC/(2H)/(1 − ηH/2) and a tenth of it.
    assert!((variance.predicted - 0.05 / 16.0 / 1.95).abs() < 1e-12);
    assert!((variance.tolerance - 0.1 * variance.predicted).abs() < 1e-15);
    verdict_of(&run(study(None), std::f64::consts::SQRT_2, 2000), Verdict::Fails);
    verdict_of(&run(study(None), 1.0, 20), Verdict::Undecided);
    verdict_of(&run(study(Some(0.3)), 1.1, 2000), Verdict::Holds);
}

#[test]
fn many_parameters_are_judged_on_the_diagonal_and_the_trace() {
    // ½‖w − y‖², y ~ N(0, 1)^20: additive noise, Var = η/(2 − η) each.
    let mut study =
        loss_study(&[("w", Shape::vector(20))], &[("y", "rademacher")], None, "0.5*norm2(w) - y*sum(w)");
    study.dynamics = vec![dynamics("gd", Law::GaussianSgd, Some(training(0.1, 1)))];
    study.claims = vec![einstein(Equation::Own, None)];
    assert!(needs(&study).is_empty());
    let step = |state: &mut [f64], noise: &mut Noise| {
        // One common noise: C is the matrix of ones.
        let common = noise.normal();
        for x in state {
            *x -= 0.1 * (*x - common);
        }
    };
    let plan = Plan { replicas: 400, steps: 400, burn_in: 100, every: 10 };
    let record = simulate(&mut study, plan, 3, &|_| vec![0.0; 20], &step);
    let result = only(&study, &record);
    verdict_of(&result, Verdict::Holds);
    assert_eq!(result.tests.len(), 41);
    let trace = result.tests.last().unwrap();
    assert_eq!(trace.quantity, "trace of the covariance");
    assert!((trace.predicted - 20.0 * 0.1 / 1.9).abs() < 1e-12);
}

#[test]
fn linear_stochastic_equations_have_their_own_laws() {
    // Einstein relation: μ = 2, D = 3: 0.75; Euler–Maruyama at h = 0.2: 0.9375.
    let study = |law, equation| {
        let mut layout = Layout::default();
        layout.push("x", Shape::SCALAR);
        let model = SdeModel::new(
            layout,
            &std::collections::BTreeMap::new(),
            &[("x".to_owned(), formula("1 - 2*x"))],
            &[("x".to_owned(), Diffusion::Own(formula("sqrt(3)")))],
            false,
        )
        .unwrap();
        let mut study = sde_study(model);
        study.dynamics = vec![dynamics("em", law, None)];
        study.claims = vec![einstein(equation, None)];
        study
    };
    let h: f64 = 0.2;
    let em = move |state: &mut [f64], noise: &mut Noise| {
        state[0] += (1.0 - 2.0 * state[0]) * h + (3.0 * h).sqrt() * noise.normal();
    };
    let plan = Plan { replicas: 1000, steps: 200, burn_in: 50, every: 5 };
    let result = run(study(Law::euler_maruyama(h), Equation::Own), plan, &em);
    verdict_of(&result, Verdict::Holds);
    assert!((result.tests[0].predicted - 0.5).abs() < 1e-14);
    assert!((result.tests[1].predicted - 0.9375).abs() < 1e-13);
    let control = run(study(Law::euler_maruyama(h), Equation::Continuous), plan, &em);
    verdict_of(&control, Verdict::Fails);
    assert!((control.tests[1].predicted - 0.75).abs() < 1e-14);
    let exact = run(study(Law::Exact, Equation::Own), plan, &em);
    verdict_of(&exact, Verdict::Fails);
    verdict_of(&run(study(Law::Exact, Equation::Discrete), plan, &em), Verdict::Undecided);
}

#[test]
fn a_deterministic_descent_ends_in_the_minimum_without_scatter() {
    let study = |equation| {
        let mut study = regression();
        study.dynamics = vec![dynamics("gd", Law::GradientDescent, Some(training(0.2, 1)))];
        study.claims = vec![einstein(equation, None)];
        study
    };
    let step = |state: &mut [f64], _: &mut Noise| state[0] -= 0.2 * (state[0] - SLOPE);
    let plan = Plan { replicas: 1, steps: 600, burn_in: 300, every: 10 };
    verdict_of(&run(study(Equation::Own), plan, &step), Verdict::Holds);
    verdict_of(&run(study(Equation::Discrete), plan, &step), Verdict::Fails);
    let short = Plan { steps: 20, burn_in: 10, every: 1, ..plan };
    verdict_of(&run(study(Equation::Own), short, &step), Verdict::Undecided);
}

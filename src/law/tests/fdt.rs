//! `fdt` on the engine's own runs: each law of motion balances by its own noise, and not by another's.

use super::bench::*;
use super::engine::{named, run, run_for, small_population};
use crate::dynamics::{Decay, Law, Sampling, Schedule, Training};
use crate::law::{ClaimResult, Kind, Verdict};
use crate::model::Shape;
use crate::model::formula::{Diffusion, SdeModel};
use crate::scheme::{Method, Scheme};
use crate::stats::kolmogorov;
use crate::study::{ClaimLaw, Initial, Moment, Relation, Study};

const RELATIONS: [Relation; 2] = [Relation::First, Relation::Second];
const MOMENTS: [Moment; 3] = [Moment::Own, Moment::Second, Moment::Covariance];

/// All relations with all moments on all dynamics, in this order.
fn claim_all(study: &mut Study) {
    for relation in RELATIONS {
        for moment in MOMENTS {
            let mut claim = claim(ClaimLaw::Fdt { relation, moment, tolerance: None }, &[0]);
            claim.dynamics = (0..study.dynamics.len()).collect();
            study.claims.push(claim);
        }
    }
}

fn of<'a>(results: &'a [ClaimResult], relation: usize, moment: usize, name: &str) -> &'a ClaimResult {
    results.iter().find(|r| r.claim == 3 * relation + moment && r.dynamics == name).unwrap()
}

#[test]
fn quadratic_losses_obey_both_relations_exactly() {
    let mut plain = training(0.12, 2);
    plain.decay = Decay::Penalty(0.1);
    let mut heavy = plain.clone();
    heavy.momentum = 0.5;
    let mut partial = plain.clone();
    partial.sampling = Sampling::WithoutReplacement { drop_last: false };
    let mut study = small_population();
    study.dynamics = named(vec![
        (Law::Sgd, plain.clone()),
        (Law::GaussianSgd, heavy.clone()),
        (Law::langevin(4), partial.clone()),
    ]);
    study.dynamics.push(dynamics("heavy", Law::Sgd, Some(heavy)));
    study.dynamics.push(dynamics("svag", Law::Svag { level: 4 }, Some(plain.clone())));
    claim_all(&mut study);
    let results = run(&mut study, 1024, 500, 5);
    for relation in 0..2 {
        for name in ["sgd", "gaussian-sgd", "langevin", "heavy", "svag"] {
            let own = of(&results, relation, 0, name);
            assert_eq!(own.verdict, Verdict::Holds, "{own:#?}");
            assert_eq!(own.tests[0].kind, Kind::Exact);
            // Without momentum and with steps the second moment is its own.
            let second = of(&results, relation, 1, name).verdict;
            assert_eq!(second, if name == "sgd" { Verdict::Holds } else { Verdict::Fails }, "{name}");
            let covariance = of(&results, relation, 2, name);
            // For a Langevin equation that is the continuous relation, right to leading order in its step.
            if name == "langevin" {
                assert_eq!(covariance.tests[0].kind, Kind::LeadingOrder);
            } else {
                assert_eq!(covariance.verdict, Verdict::Fails, "{covariance:#?}");
            }
        }
    }
}

#[test]
fn epochs_balance_by_the_minibatches_that_were_drawn() {
    let mut epochs = training(0.12, 2);
    epochs.decay = Decay::Penalty(0.1);
    epochs.sampling = Sampling::WithoutReplacement { drop_last: false };
    let mut heavy = epochs.clone();
    heavy.momentum = 0.8;
    heavy.sampling = Sampling::WithoutReplacement { drop_last: true };
    let mut study = small_population();
    study.dynamics = vec![
        dynamics("epochs", Law::Sgd, Some(epochs.clone())),
        dynamics("heavy", Law::Sgd, Some(heavy.clone())),
    ];
    claim_all(&mut study);
    // Recorded every 5 steps, epochs are of three and of two.
    for result in run(&mut study, 2048, 500, 5) {
        // By the gradient at θ, as if batches knew nothing of each other, nothing balances.
        let own = result.claim % 3 == 0;
        assert_eq!(result.verdict, if own { Verdict::Holds } else { Verdict::Fails }, "{result:#?}");
        assert_eq!(result.tests[0].kind, Kind::Exact);
    }
    // A loss that is not quadratic: the first relation is as exact.
    let mut net = loss_study(
        &[("w", Shape::SCALAR), ("u", Shape::SCALAR)],
        &[("x", "normal(0, 1)"), ("y", "normal(0, 0.7) + tanh(x)")],
        Some(6),
        "(u*tanh(w*x) - y)^2 + 0.1*(u^2 + w^2)",
    );
    net.initial = vec![Initial::Fixed(vec![1.0]), Initial::Fixed(vec![1.0])];
    net.dynamics =
        vec![dynamics("heavy", Law::Sgd, Some(Training { rate: Schedule::constant(0.1), ..heavy }))];
    claim_all(&mut net);
    let results = run(&mut net, 1024, 600, 10);
    let (first, second) = (of(&results, 0, 0, "heavy"), of(&results, 1, 0, "heavy"));
    assert_eq!((first.verdict, first.tests[0].kind), (Verdict::Holds, Kind::Exact), "{first:#?}");
    assert_eq!(second.tests[0].kind, Kind::LeadingOrder, "{second:#?}");
    assert_eq!(of(&results, 0, 1, "heavy").verdict, Verdict::Fails);
    // A window that begins before an epoch has ended.
    net.run.burn_in = 0.0;
    let result = run(&mut net, 64, 600, 10).remove(0);
    assert_eq!(result.verdict, Verdict::Undecided);
    assert!(result.reason.unwrap().contains("two whole epochs"));
}

#[test]
fn epochs_err_as_often_as_they_say() {
    // The window begins when e⁻³ of the start is left: of that no window of this length knows, and a telescoping sum did.
    let mut study = small_population();
    let mut epochs = training(0.12, 2);
    epochs.decay = Decay::Penalty(0.1);
    epochs.sampling = Sampling::WithoutReplacement { drop_last: false };
    study.dynamics = vec![dynamics("epochs", Law::Sgd, Some(epochs))];
    study.claims = RELATIONS
        .map(|relation| claim(ClaimLaw::Fdt { relation, moment: Moment::Own, tolerance: None }, &[0]))
        .to_vec();
    let mut p_values = [Vec::new(), Vec::new()];
    for seed in 0..240 {
        study.run.seed = 5000 + seed;
        for (list, result) in p_values.iter_mut().zip(run(&mut study, 128, 120, 6)) {
            let test = &result.tests[0];
            assert!(test.verdict != Verdict::Fails || test.p_value < 1e-3, "{result:#?}");
            list.push(test.p_value);
        }
    }
    for mut list in p_values {
        list.sort_by(f64::total_cmp);
        let count = list.len() as f64;
        let distance = kolmogorov::distance(&list);
        assert!(kolmogorov::p_value(distance, count) > 1e-4, "{distance} of {count}: {list:?}");
        // A control: half the p-values.
        let halves: Vec<f64> = list.iter().map(|p| 0.5 * p).collect();
        let distance = kolmogorov::distance(&halves);
        assert!(kolmogorov::p_value(distance, count) < 1e-9, "{distance}");
    }
}

#[test]
fn the_drift_of_order_2_and_other_schemes_balance_by_their_own() {
    let mut plain = training(0.2, 4);
    plain.decay = Decay::Penalty(0.1);
    let langevin = |order, substeps, scheme| Law::Langevin {
        order,
        substeps,
        method: Method { scheme, ..Method::default() },
    };
    let mut study = small_population();
    study.dynamics = vec![
        dynamics("second", langevin(2, 2, Scheme::EulerMaruyama), Some(plain.clone())),
        dynamics("weak", langevin(2, 2, Scheme::Weak2), Some(plain.clone())),
        dynamics("heun", langevin(1, 4, Scheme::Heun), Some(plain)),
    ];
    claim_all(&mut study);
    let results = run(&mut study, 1024, 300, 5);
    for relation in 0..2 {
        for (name, kind) in
            [("second", Kind::Exact), ("weak", Kind::LeadingOrder), ("heun", Kind::LeadingOrder)]
        {
            let own = of(&results, relation, 0, name);
            assert_eq!((own.verdict, own.tests[0].kind), (Verdict::Holds, kind), "{own:#?}");
        }
        // Without the drift's second part: η a/2 of it (what Euler and Maruyama's two steps of η/2 add happens to make up for half).
        let first_order = of(&results, relation, 2, "weak");
        assert_eq!(first_order.verdict, Verdict::Fails, "{first_order:#?}");
        assert_eq!(of(&results, relation, 1, "heun").verdict, Verdict::Fails);
    }
}

#[test]
fn equations_balance_by_their_generator() {
    let build = |drift: [&str; 2], diffusion: [&str; 2], stratonovich| {
        let mut layout = crate::model::Layout::default();
        layout.push("a", Shape::SCALAR);
        layout.push("b", Shape::SCALAR);
        let entry = |name: &str, text: &str| (name.to_owned(), formula(text));
        let noise = |name: &str, text: &str| (name.to_owned(), Diffusion::Own(formula(text)));
        let model = SdeModel::new(
            layout,
            &std::collections::BTreeMap::new(),
            &[entry("a", drift[0]), entry("b", drift[1])],
            &[noise("a", diffusion[0]), noise("b", diffusion[1])],
            stratonovich,
        );
        sde_study(model.unwrap_or_else(|e| panic!("{e:?}")))
    };
    let scheme = |scheme, dt| Law::Integrated { dt, method: Method { scheme, ..Method::default() } };
    let claims = |study: &mut Study| {
        study.claims = MOMENTS
            .into_iter()
            .map(|moment| {
                let law = ClaimLaw::Fdt { relation: Relation::First, moment, tolerance: None };
                let mut claim = claim(law, &[0]);
                claim.dynamics = (0..study.dynamics.len()).collect();
                claim
            })
            .collect();
    };
    // Linear, about (3, 0); and with noise that grows with the state, after Stratonovich.
    let mut linear = build(["3 - a + 0.5*b", "-2*b - 0.5*(a - 3)"], ["1", "0.7"], false);
    linear.dynamics = vec![
        dynamics("exact", Law::Exact, None),
        dynamics("em", scheme(Scheme::EulerMaruyama, 0.4), None),
        dynamics("heun", scheme(Scheme::Heun, 0.05), None),
    ];
    let mut curved = build(["-a^3 - a", "-3*b"], ["0.4*sqrt(1 + a^2)", "b + 1"], true);
    curved.dynamics = vec![
        dynamics("em", scheme(Scheme::EulerMaruyama, 0.2), None),
        dynamics("milstein", scheme(Scheme::Milstein, 0.02), None),
        dynamics("strong", scheme(Scheme::StochasticRungeKutta, 0.02), None),
    ];
    for study in [&mut linear, &mut curved] {
        claims(study);
        let results = run_for(study, 1024, 40.0, 0.4);
        for (index, result) in results.iter().enumerate() {
            let own = index < 3;
            let exact = ["exact", "em"].contains(&result.dynamics.as_str());
            if own {
                let kind = if exact { Kind::Exact } else { Kind::LeadingOrder };
                assert_eq!((result.verdict, result.tests[0].kind), (Verdict::Holds, kind), "{result:#?}");
            }
        }
        // Euler and Maruyama's step is seen.
        let covariance = results.iter().find(|r| r.claim == 2 && r.dynamics == "em").unwrap();
        assert_eq!(covariance.verdict, Verdict::Fails, "{covariance:#?}");
    }
    // Control: what is written after Stratonovich is not balanced as if it were Itô's.
    let mut wrong = build(["-a^3 - a", "-3*b"], ["0.4*sqrt(1 + a^2)", "b + 1"], false);
    wrong.dynamics = vec![dynamics("em", scheme(Scheme::EulerMaruyama, 0.2), None)];
    claims(&mut wrong);
    let needed = crate::law::needs(&wrong);
    let mut mixed = curved.clone();
    mixed.dynamics.truncate(1);
    mixed.claims = wrong.claims[..1].to_vec();
    mixed.observables.retain(|o| !o.name.starts_with("fdt:"));
    mixed.observables.extend(needed);
    let result = run_for(&mut mixed, 1024, 40.0, 0.4).remove(0);
    assert_eq!(result.verdict, Verdict::Fails, "{result:#?}");
}

#[test]
fn wiener_processes_balance_by_their_powers_and_not_their_amplitudes() {
    // dx = −(x − ½y)dt + p + q, dy = −2y dt − ½q: Tr BBᵀ = 0.9² + 0.7² + 0.25, whatever the signs; and x³ in place of x.
    for (drift, sign) in [("0.5*y - x", 1.0), ("0.5*y - x", -1.0), ("0.5*y - x^3", -1.0)] {
        let mut layout = crate::model::Layout::default();
        layout.push("x", Shape::SCALAR);
        layout.push("y", Shape::SCALAR);
        let named = |list: &[(&str, f64)]| {
            Diffusion::Named(list.iter().map(|(n, b)| ((*n).to_owned(), formula(&b.to_string()))).collect())
        };
        let model = SdeModel::new(
            layout,
            &std::collections::BTreeMap::new(),
            &[("x".to_owned(), formula(drift)), ("y".to_owned(), formula("-2*y"))],
            &[
                ("x".to_owned(), named(&[("p", 0.9), ("q", 0.7 * sign)])),
                ("y".to_owned(), named(&[("q", -0.5)])),
            ],
            false,
        );
        let model = model.unwrap_or_else(|e| panic!("{e:?}"));
        let trace = model.dissipation().unwrap().value(&[0.3, -0.2])[2];
        assert!((trace - 1.55).abs() < 1e-12, "{trace}");
        let mut study = sde_study(model);
        let linear = !drift.contains('^');
        let em = Law::Integrated { dt: if linear { 0.5 } else { 0.1 }, method: Method::default() };
        study.dynamics = vec![dynamics("em", em, None)];
        if linear {
            study.dynamics.push(dynamics("exact", Law::Exact, None));
        }
        for &moment in if linear { &[Moment::Own, Moment::Covariance][..] } else { &[Moment::Own] } {
            let law = ClaimLaw::Fdt { relation: Relation::First, moment, tolerance: None };
            let mut claim = claim(law, &[0]);
            claim.dynamics = (0..study.dynamics.len()).collect();
            study.claims.push(claim);
        }
        for result in run_for(&mut study, 2048, 40.0, 0.5) {
            // Control: without Euler and Maruyama's step.
            let right = result.claim == 0 || result.dynamics == "exact";
            let wanted = if right { Verdict::Holds } else { Verdict::Fails };
            assert_eq!((result.verdict, result.tests[0].kind == Kind::Exact), (wanted, right), "{result:#?}");
        }
    }
}

#[test]
fn the_equation_about_the_minimum_balances_by_force_and_noise_of_the_minimum() {
    // At η = 0.4 C(θ) is a quarter and more beyond C(θ*) on average; and a loss that is not quadratic.
    let quadratic = small_population();
    let mut net = loss_study(
        &[("w", Shape::SCALAR), ("u", Shape::SCALAR)],
        &[("x", "normal(0, 1)"), ("y", "normal(0, 0.7) + tanh(x)")],
        Some(12),
        "(u*tanh(w*x) - y)^2 + 0.1*(u^2 + w^2)",
    );
    net.initial = vec![Initial::Fixed(vec![1.0]), Initial::Fixed(vec![1.0])];
    for (mut study, rate) in [(quadratic, 0.4), (net, 0.2)] {
        let mut plain = training(rate, 1);
        plain.decay = Decay::Penalty(0.1);
        study.dynamics = named(vec![(Law::OrnsteinUhlenbeck, plain)]);
        claim_all(&mut study);
        let results = run(&mut study, 2048, 400, 4);
        for relation in 0..2 {
            let own = of(&results, relation, 0, "ornstein-uhlenbeck");
            assert_eq!((own.verdict, own.tests[0].kind), (Verdict::Holds, Kind::Exact), "{own:#?}");
            // It knows no step: what steps would add is too much.
            let second = of(&results, relation, 1, "ornstein-uhlenbeck");
            assert_eq!(second.verdict, Verdict::Fails, "{second:#?}");
        }
    }
}

#[test]
fn noise_that_has_died_out_balances_nothing() {
    // All samples agree on w = 0: every path comes there.
    let mut study = loss_study(&[("w", Shape::SCALAR)], &[("h", "uniform(0.5, 1.5)")], Some(4), "0.5*h*w^2");
    study.initial = vec![Initial::Fixed(vec![0.7])];
    let inertia = Law::Underdamped { friction: 0.5, substeps: 1 };
    study.dynamics = named(vec![
        (Law::Sgd, training(0.4, 1)),
        (Law::langevin(2), training(0.4, 1)),
        (inertia, training(0.2, 1)),
        (Law::OrnsteinUhlenbeck, training(0.4, 1)),
    ]);
    claim_all(&mut study);
    for result in run(&mut study, 64, 1200, 100) {
        assert_eq!(result.verdict, Verdict::Undecided, "{result:#?}");
        assert!(result.reason.as_ref().unwrap().contains("nothing to balance"), "{result:#?}");
    }
}

#[test]
fn the_first_relation_is_exact_for_any_loss_and_the_second_is_not() {
    // At η = 0.5 the tanh net is far from quadratic where it fluctuates.
    let mut study = loss_study(
        &[("w", Shape::SCALAR), ("u", Shape::SCALAR)],
        &[("x", "normal(0, 1)"), ("y", "normal(0, 0.7) + tanh(x)")],
        Some(40),
        "(u*tanh(w*x) - y)^2 + 0.1*(u^2 + w^2)",
    );
    study.initial = vec![Initial::Fixed(vec![1.0]), Initial::Fixed(vec![1.0])];
    let mut heavy = training(0.1, 1);
    heavy.momentum = 0.4;
    study.dynamics = named(vec![(Law::Sgd, training(0.2, 1))]);
    study.dynamics.push(dynamics("heavy", Law::Sgd, Some(heavy)));
    claim_all(&mut study);
    let results = run(&mut study, 2048, 600, 10);
    for name in ["sgd", "heavy"] {
        let own = of(&results, 0, 0, name);
        assert_eq!(own.verdict, Verdict::Holds, "{own:#?}");
        assert_eq!(own.tests[0].kind, Kind::Exact);
        let covariance = of(&results, 0, 2, name);
        assert_eq!(covariance.verdict, Verdict::Fails, "{covariance:#?}");
        let second = of(&results, 1, 0, name);
        assert_eq!(second.tests[0].kind, Kind::LeadingOrder, "{second:#?}");
    }
}

#[test]
fn a_state_that_is_not_stationary_is_undecided() {
    let mut study = small_population();
    study.initial = vec![Initial::Fixed(vec![30.0]), Initial::Fixed(vec![30.0])];
    study.dynamics = named(vec![(Law::Sgd, training(0.005, 2))]);
    study.claims =
        vec![claim(ClaimLaw::Fdt { relation: Relation::First, moment: Moment::Own, tolerance: None }, &[0])];
    let result = run(&mut study, 128, 400, 10).remove(0);
    assert_eq!(result.verdict, Verdict::Undecided);
    assert!(result.reason.unwrap().contains("is not stationary"));
}

#[test]
fn the_equation_with_inertia_balances_by_its_kinetic_energy() {
    let mut study = small_population();
    let mut slow = training(0.02, 2);
    slow.momentum = 0.7;
    let inertia = Law::Underdamped { friction: 0.3, substeps: 2 };
    study.dynamics = vec![dynamics("inertia", inertia, Some(slow))];
    claim_all(&mut study);
    let results = run(&mut study, 1024, 2000, 20);
    for relation in 0..2 {
        let own = of(&results, relation, 0, "inertia");
        assert_eq!((own.verdict, own.tests[0].kind), (Verdict::Holds, Kind::LeadingOrder), "{own:#?}");
        let second = of(&results, relation, 1, "inertia");
        assert_eq!(second.verdict, Verdict::Fails, "{second:#?}");
    }
}

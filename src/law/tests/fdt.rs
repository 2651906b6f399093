//! `fdt` on the engine's own runs: each law of motion balances by its own noise, and not by another's.

use super::bench::*;
use super::engine::{named, run, small_population};
use crate::dynamics::{Decay, Law, Sampling};
use crate::law::{ClaimResult, Kind, Verdict};
use crate::model::Shape;
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
    study.dynamics.push(dynamics("epochs", Law::Sgd, Some(partial)));
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
        let memory = of(&results, relation, 0, "epochs");
        assert_eq!(memory.verdict, Verdict::Undecided);
        assert!(memory.reason.as_ref().unwrap().contains("remember each other"));
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

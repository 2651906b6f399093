//! `decay-rate` on the engine's own runs.

use super::bench::*;
use super::engine::{named, run};
use crate::dynamics::Law;
use crate::law::{Kind, Verdict};
use crate::model::Shape;
use crate::study::{Claim, ClaimLaw, Initial, Observable, ObservableKind, Study, Tolerance};

/// (uwx)²/2 with x = 1: multiplies u and w by random factors where x is random.
fn study(law: Law, rate: f64, x: &str) -> Study {
    let mut study = loss_study(&[("w", Shape::SCALAR)], &[("x", x)], None, "0.5*(w*x)^2");
    study.initial = vec![Initial::Fixed(vec![1.0])];
    study.dynamics = named(vec![(law, training(rate, 1))]);
    study
}

fn claim_on(study: &mut Study, value: &str, share: (f64, f64), tolerance: Tolerance) -> Claim {
    let fit = format!("rates {share:?}");
    if !study.observables.iter().any(|o| o.name == fit) {
        study.observables.push(Observable {
            name: fit.clone(),
            shape: Shape::matrix(1, 3),
            hidden: true,
            kind: ObservableKind::DecayRate {
                of: Box::new(ObservableKind::Parameter { offset: 0 }),
                components: 1,
                from: share.0,
                to: share.1,
            },
        });
    }
    let law = ClaimLaw::DecayRate {
        observable: "w".to_owned(),
        fit,
        value: vec![formula(value)],
        value_text: value.to_owned(),
        from: share.0,
        to: share.1,
        tolerance,
    };
    claim(law, &[0])
}

#[test]
fn deterministic_decay_is_compared_at_rounding() {
    let mut study = study(Law::GradientDescent, 0.1, "1");
    for value in ["-log(1 - rate)/rate", "1", "2"] {
        let claim = claim_on(&mut study, value, (0.1, 0.9), Tolerance::Exact);
        study.claims.push(claim);
    }
    let verdicts: Vec<Verdict> = run(&mut study, 4, 100, 10).iter().map(|r| r.verdict).collect();
    assert_eq!(verdicts, [Verdict::Holds, Verdict::Fails, Verdict::Fails]);
}

#[test]
fn a_path_and_the_mean_decay_at_rates_of_their_own() {
    // w' = (1 − ηx²)w with η = 0.3: ⟨ln|1 − ηx²|⟩ = −0.394617 a step (quadrature); ln⟨1 − ηx²⟩ = −0.35667. Near
    // ηx² = 1 the logarithm is large, but its scatter is finite.
    let mut study = study(Law::Sgd, 0.3, "normal(0, 1)");
    for value in ["TYPICAL/rate", "-log(1 - rate)/rate"] {
        let claim = claim_on(&mut study, &value.replace("TYPICAL", "0.394617"), (0.0, 1.0), Tolerance::Exact);
        study.claims.push(claim);
    }
    let results = run(&mut study, 4096, 60, 2);
    assert_eq!(results[0].verdict, Verdict::Holds, "{:#?}", results[0]);
    assert_eq!(results[1].verdict, Verdict::Fails, "{:#?}", results[1]);
    let test = &results[0].tests[0];
    assert_eq!(test.kind, Kind::Exact);
    // 1 − ηx² is negative for |x| > 1.8.
    assert!(test.note.as_ref().unwrap().contains("changes its sign in"), "{test:?}");
}

#[test]
fn zeros_and_short_fits_are_undecided() {
    let mut gone = study(Law::GradientDescent, 1.0, "1");
    let claim = claim_on(&mut gone, "1", (0.0, 1.0), Tolerance::Relative(0.1));
    gone.claims.push(claim);
    let result = run(&mut gone, 4, 10, 1).remove(0);
    assert_eq!(result.verdict, Verdict::Undecided);
    assert!(result.reason.unwrap().contains("exactly 0 at a recorded instant in 4 of 4 replicas"));
    let mut short = study(Law::GradientDescent, 0.1, "1");
    let claim = claim_on(&mut short, "1", (0.4, 0.6), Tolerance::Absolute(0.2));
    short.claims.push(claim);
    let result = run(&mut short, 4, 100, 10).remove(0);
    assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
    let result = run(&mut short, 4, 100, 25).remove(0);
    assert!(result.reason.unwrap().contains("1 recorded instants lie between"));
}

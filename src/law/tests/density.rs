//! `stationary-density` on the engine's own runs.

use super::bench::*;
use super::engine::run;
use crate::dynamics::{Law, Sampling, Training};
use crate::law::kesten::{self, Untold};
use crate::law::{ClaimResult, Kind, Verdict};
use crate::model::Shape;
use crate::study::{Claim, ClaimLaw, DensityReading, Initial, Study, System, Tail};

fn density(reading: DensityReading, tail: Option<Tail>, tolerance: Option<f64>) -> Claim {
    let law = ClaimLaw::StationaryDensity { observable: "w".to_owned(), reading, tail, tolerance };
    claim(law, &[0])
}

/// Linear regression in one parameter about 0: noise η(2w² + 1) in the Langevin equation.
fn regression(law: Law, rate: f64) -> Study {
    let mut study = loss_study(
        &[("w", Shape::SCALAR)],
        &[("x", "normal(0, 1)"), ("y", "normal(0, 1)")],
        None,
        "0.5*(w*x - y)^2",
    );
    study.initial = vec![Initial::Normal { mean: 0.0, standard_deviation: 0.3 }];
    study.dynamics = vec![dynamics("own", law, Some(training(rate, 1)))];
    study
}

fn one(mut study: Study, claim: Claim, replicas: usize) -> ClaimResult {
    study.claims = vec![claim];
    run(&mut study, replicas, 120, 4).remove(0)
}

#[test]
fn the_exact_process_has_the_normal_law_and_no_other() {
    let own = density(DensityReading::Own, None, None);
    let result = one(regression(Law::OrnsteinUhlenbeck, 0.2), own.clone(), 4096);
    assert_eq!((result.verdict, result.tests[0].kind), (Verdict::Holds, Kind::Exact), "{result:#?}");
    // Few replicas see too little.
    let result = one(regression(Law::OrnsteinUhlenbeck, 0.2), own.clone(), 256);
    assert_eq!(result.verdict, Verdict::Undecided, "{result:#?}");
    // The same law with a rate 20 % higher: a variance 20 % higher, a distance of 0.022.
    let mut other = regression(Law::OrnsteinUhlenbeck, 0.2);
    other.claims = vec![own];
    let instants: Vec<crate::study::Instant> =
        (0..=30).map(|k| crate::study::Instant { step: 4 * k, time: 0.8 * k as f64 }).collect();
    other.run.replicas = 1 << 16;
    other.dynamics[0].instants = instants;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let options = crate::ensemble::Options {
        threads: Some(1),
        stop: &stop,
        progress: &crate::ensemble::Silent,
        sink: &mut crate::ensemble::NoSink,
    };
    let record = crate::ensemble::run(&other, &other.observables, options).unwrap();
    other.dynamics[0].training = Some(training(0.24, 1));
    let result = only(&other, &record);
    assert_eq!(result.verdict, Verdict::Fails, "{result:#?}");
}

#[test]
fn multiplicative_noise_is_read_after_ito() {
    let law = || Law::langevin(16);
    let own = density(DensityReading::Own, None, Some(0.04));
    let result = one(regression(law(), 0.8), own, 1 << 14);
    assert_eq!((result.verdict, result.tests[0].kind), (Verdict::Holds, Kind::LeadingOrder), "{result:#?}");
    // The normal law of Gibbs is 0.03 away, Stratonovich's 0.05.
    for wrong in [DensityReading::Stratonovich, DensityReading::Gibbs] {
        let result = one(regression(law(), 0.8), density(wrong, None, Some(0.005)), 1 << 15);
        assert_eq!(result.verdict, Verdict::Fails, "{wrong:?} {result:#?}");
    }
}

#[test]
fn the_tail_of_sgd_is_kestens() {
    // κ = 1.546 at η = 0.8, where the variance is infinite; the Langevin equation's is 2.25.
    let claim = |tail| density(DensityReading::Own, Some(tail), Some(0.12));
    let result = one(regression(Law::Sgd, 0.8), claim(Tail::Own), 1 << 17);
    assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
    assert!((result.tests[0].predicted - 1.5464).abs() < 0.03, "{result:#?}");
    let result = one(regression(Law::Sgd, 0.8), claim(Tail::Density), 1 << 17);
    assert_eq!(result.verdict, Verdict::Fails, "{result:#?}");
    assert!((result.tests[0].predicted - 2.25).abs() < 0.02);
}

#[test]
fn the_tail_of_svag_is_that_of_its_own_steps() {
    // Level 1 is SGD, κ = 1.546 at η = 0.8. Higher levels come down to the Langevin equation's 2.25 or above it.
    let claim = || density(DensityReading::Own, Some(Tail::Own), Some(0.15));
    let result = one(regression(Law::Svag { level: 1 }, 0.8), claim(), 1 << 16);
    assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
    assert!((result.tests[0].predicted - 1.5464).abs() < 0.03, "{result:#?}");
    assert!(result.tests[0].note.as_ref().unwrap().contains("655 of 65536 moduli"), "{result:#?}");
    // The density's index is another: the control.
    let density = density(DensityReading::Own, Some(Tail::Density), Some(0.15));
    assert_eq!(one(regression(Law::Svag { level: 1 }, 0.8), density, 1 << 16).verdict, Verdict::Fails);
}

#[test]
fn a_tail_that_is_not_known_is_undecided_and_counts_replicas() {
    let claim = |tolerance| density(DensityReading::Own, Some(Tail::Own), Some(tolerance));
    let heavy = loss_study(
        &[("w", Shape::SCALAR)],
        &[("x", "normal(0, 1)"), ("y", "normal(0, 1)")],
        Some(16),
        "0.5*(w*x - y)^2",
    );
    let System::Loss(loss) = &heavy.system else { panic!("a loss") };
    let model = loss.formula.as_ref().unwrap();
    let sampling = Sampling::WithoutReplacement { drop_last: false };
    let settings = Training { sampling, ..training(0.3, 2) };
    let index = |law: &Law, settings: &Training| kesten::index(model, law, settings, 0.0, 1);
    let unknown = |law: &Law, settings: &Training| matches!(index(law, settings), Err(Untold::Unknown(_)));
    assert!(unknown(&Law::Svag { level: 2 }, &settings));
    assert!(unknown(&Law::Sgd, &Training { momentum: 0.5, ..training(0.3, 2) }));
    assert!(!unknown(&Law::Sgd, &settings) && !unknown(&Law::Svag { level: 2 }, &training(0.3, 2)));
    // Replicas, not the moduli of the tail, are what a reader can raise.
    let result = one(regression(Law::Sgd, 0.8), claim(0.01), 1 << 13);
    assert_eq!(result.verdict, Verdict::Undecided, "{result:#?}");
    assert!(result.reason.as_ref().unwrap().contains("(now 8192)"), "{result:#?}");
}

#[test]
fn a_state_that_collapses_has_no_density() {
    let mut study = loss_study(&[("w", Shape::SCALAR)], &[("y", "normal(0.1, 1)")], None, "(w^2 - y)^2");
    study.initial = vec![Initial::Fixed(vec![0.3])];
    study.dynamics = vec![dynamics("sgd", Law::Sgd, Some(training(0.08, 1)))];
    let result = one(study, density(DensityReading::Own, None, None), 64);
    assert_eq!(result.verdict, Verdict::Fails);
    assert!(result.reason.unwrap().contains("cannot be normalised at 0"));
}

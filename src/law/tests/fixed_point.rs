//! Fixed points of charges: found from any start with noise, not without, and nowhere where there is none.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::ensemble::{NoSink, Options, Silent, run};
use crate::law::{ClaimResult, Verdict, judge};
use crate::study::{Rendered, Study, parse};

fn study(parameters: &str, loss: &str, symmetry: &str, dynamics: &str, more: &str) -> Study {
    let text = format!(
        "[parameters]\n{parameters}\n[data]\nx = \"rademacher\"\ne = \"rademacher\"\n[loss]\nformula = \"{loss}\"\n\
         [training]\nrate = 0.02\n{more}\n[dynamics]\nd = {dynamics}\n[run]\nsteps = 4000\nreplicas = 64\nseed = 3\nrecord = 4\n\
         [symmetries]\ns = {symmetry}\n[[claims]]\nfixed-point = {{ symmetry = \"s\" }}\n"
    );
    parse("s.toml", &text, Path::new(""), &[]).unwrap_or_else(|e| panic!("{}\n{text}", Rendered(&e)))
}

fn judged(study: &Study) -> ClaimResult {
    let options =
        Options { threads: Some(1), stop: &AtomicBool::new(false), progress: &Silent, sink: &mut NoSink };
    let record = run(study, &study.observables, options).unwrap();
    judge(study, &record).remove(0)
}

const RESCALING: &str = "{ exponential = { u = 1, w = -1 } }";
const FACTORS: &str = "(u*w*x - x - e)^2";
const SPREAD: &str = "u = { init = \"uniform(0.4, 2)\" }\nw = { init = \"uniform(0.5, 1)\" }";
const STARTS: &str = "u = 1.0\nw = 1.0\n[starts]\na = { u = 2.0, w = 0.5 }\nb = { u = -0.5, w = -1.8 }\nc = { w = \"normal(0.3, 0.05)\" }";

#[test]
fn noise_brings_every_start_to_the_fixed_point_and_its_absence_does_not() {
    for (starts, groups) in [(SPREAD, 2), (STARTS, 3)] {
        let noisy = judged(&study(starts, FACTORS, RESCALING, "\"sgd\"", ""));
        assert_eq!(noisy.verdict, Verdict::Holds, "{noisy:#?}");
        // A mean a group, their difference, and that there is a fixed point.
        assert_eq!(noisy.tests.len(), groups + 2);
        for law in ["\"gradient-descent\"", "\"gradient-flow\""] {
            let frozen = judged(&study(starts, FACTORS, RESCALING, law, ""));
            assert_eq!(frozen.verdict, Verdict::Fails, "{frozen:#?}");
        }
    }
}

#[test]
fn momentum_and_decay_have_the_fixed_point_of_their_own() {
    // u² w with decay: eigenvalues 1 and −2, where no symmetry of u and w says what λ* is.
    let symmetry = "{ exponential = { u = 1, w = -2 } }";
    for (law, more) in [
        ("\"sgd\"", "penalty = 0.05"),
        ("\"sgd\"", "momentum = 0.5"),
        ("{ langevin = { substeps = 2 } }", ""),
    ] {
        let result = judged(&study(SPREAD, "(u^2*w*x - x - e)^2", symmetry, law, more));
        assert_eq!(result.verdict, Verdict::Holds, "{law} {more} {result:#?}");
    }
    // Decay alone.
    let result = judged(&study(SPREAD, FACTORS, RESCALING, "\"gradient-descent\"", "penalty = 0.1"));
    assert_eq!(result.verdict, Verdict::Holds, "{result:#?}");
}

#[test]
fn starts_that_are_one_say_nothing_and_noise_of_one_sign_has_no_fixed_point() {
    let one = judged(&study("u = 1.2\nw = 1.0", FACTORS, RESCALING, "\"sgd\"", ""));
    assert_eq!(one.verdict, Verdict::Undecided, "{one:#?}");
    assert!(one.reason.unwrap().contains("spread the starts"));
    let outwards = judged(&study(
        "w = { shape = [2], init = \"normal(1, 0.2)\" }",
        "(dot([1, 2], w)*x/sqrt(norm2(w)) - e)^2",
        "{ scale = [\"w\"] }",
        "\"sgd\"",
        "",
    ));
    assert_eq!(outwards.verdict, Verdict::Fails);
    assert!(outwards.tests[0].quantity.starts_with("share of replicas"), "{outwards:#?}");
    assert_eq!(outwards.tests[0].measured, 0.0);
}

/// The study's claim replaced by one about an instant.
fn stated(parameters: &str, loss: &str, symmetry: &str, dynamics: &str, claim: &str) -> ClaimResult {
    let text = study(parameters, loss, symmetry, dynamics, "").text;
    let text = text.replace(
        "fixed-point = { symmetry = \"s\" }",
        &format!("fixed-point = {{ symmetry = \"s\", {claim} }}"),
    );
    let study =
        parse("s.toml", &text, Path::new(""), &[]).unwrap_or_else(|e| panic!("{}\n{text}", Rendered(&e)));
    judged(&study)
}

#[test]
fn a_value_is_claimed_of_one_instant() {
    let verdict = |loss, symmetry, parameters, claim: &str| {
        stated(parameters, loss, symmetry, "\"gradient-flow\"", claim)
    };
    // T+/T- = (w/u)^2: λ* = ½ ln(w/u), and not ln(w/u).
    let product = |claim: &str| verdict(FACTORS, RESCALING, "u = 1.5\nw = 0.5", claim);
    let right = product("value = \"0.5*log(1/3)\", tolerance = 1e-9");
    assert_eq!(right.verdict, Verdict::Holds, "{right:#?}");
    assert!((right.tests[0].measured + 0.549_306_144_3).abs() < 1e-9);
    assert_eq!(product("value = \"log(1/3)\", tolerance = 1e-9").verdict, Verdict::Fails);
    // Gradient flow forgets a part of it on its way to the minimum.
    assert_eq!(product("value = \"0.5*log(1/3)\", at = \"end\", tolerance = 1e-3").verdict, Verdict::Fails);
    // A = diag(2, 1, -1), s = (0.5, 1.2, 2): the root of Σ a e^(-2λa) s.
    let mixed = |claim: &str| {
        verdict(
            "0.7071067811865476*a*c^2*x + 1.0954451150103321*b*c*e",
            "{ exponential = { a = 2, b = 1, c = -1 } }",
            "a = 0.5\nb = 1.118033988749895\nc = 1.0",
            claim,
        )
    };
    assert_eq!(mixed("value = 0.01945321422, tolerance = 1e-9").verdict, Verdict::Holds);
    assert_eq!(mixed("value = 0.03890642844, tolerance = 1e-9").verdict, Verdict::Fails);
}

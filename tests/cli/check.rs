//! `perrin check`: what would run.

use crate::workplace::{HARMONIC, Workplace};

#[test]
fn shows_the_law_the_cost_and_the_claims_and_runs_nothing() {
    // A run of this length would not end.
    let place = Workplace::with(&HARMONIC.replace("steps = 400", "steps = 1_000_000_000_000"));
    place
        .perrin(&["check", "study.toml"])
        .expect(0)
        .shows(&[
            "Harmonic",
            "infinite",
            "Gauss quadrature",
            "stochastic gradient descent",
            "θ' = θ − ηĝ",
            "η = 0.1",
            "1 000 000 000 000 steps",
            "6.4e13 replica-steps",
            "estimate)",
            "mean of w at the end = 0 ± 0.5",
        ])
        .silent_on_stderr();
    assert_eq!(place.files(), ["study.toml"]);
}

#[test]
fn the_same_as_a_document() {
    let place = Workplace::with(HARMONIC);
    let document =
        place.perrin(&["check", "study.toml", "--json", "--set", "run.replicas=10"]).expect(0).json();
    assert_eq!(document["replicas"], 10);
    assert_eq!(document["dynamics"]["sgd"]["replica_steps"], 4000);
    assert_eq!(document["cost"]["replica_steps"], 4000);
    assert_eq!(document["claims"][0]["law"], "equals");
    assert!(document["population"]["error"].as_f64().unwrap() < 1e-6);
}

#[test]
fn settings_without_effect_are_named() {
    let study = HARMONIC
        .replace("batch = 1", "batch = 1\nmomentum = 0.5")
        .replace("sgd = \"sgd\"", "sgd = \"sgd\"\nflow = \"gradient-flow\"");
    let place = Workplace::with(&study);
    place
        .perrin(&["check", "study.toml"])
        .expect(0)
        .shows(&["warning: `flow` (gradient-flow) runs without the momentum of [training], 0.5"]);
}

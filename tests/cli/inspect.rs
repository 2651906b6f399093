//! `perrin inspect`: what a file holds.

use crate::workplace::{HARMONIC, Workplace};

#[test]
fn shows_attributes_groups_claims_and_digest() {
    let place = Workplace::with(HARMONIC);
    let run = place
        .perrin(&["run", "study.toml", "-o", "out.h5", "--json", "--set", "run.seed=5"])
        .expect(0)
        .json();
    let digest = run["digest"].as_str().unwrap();
    place
        .perrin(&["inspect", "out.h5"])
        .expect(0)
        .shows(&[
            "Harmonic",
            "complete",
            "perrin run study.toml -o out.h5 --json --set run.seed=5",
            "seed",
            "xoshiro256++",
            digest,
            "/sgd",
            "trajectories",
            "replica 64",
            "time 41",
            "/claims",
            "equals",
            "holds",
        ])
        .silent_on_stderr();
    let document = place.perrin(&["inspect", "out.h5", "--json"]).expect(0).json();
    assert_eq!(document["status"], "complete");
    assert_eq!(document["digest"], digest);
    assert_eq!(document["study"], HARMONIC);
    assert_eq!(document["dynamics"]["sgd"]["observables"]["w"]["shape"], serde_json::json!([]));
    assert_eq!(document["claims"][0]["verdict"], "holds");
}

#[test]
fn more_replicas_than_there_are_is_a_wrong_command() {
    let place = Workplace::with(HARMONIC);
    place.perrin(&["run", "study.toml", "-o", "out.h5"]).expect(0);
    place.perrin(&["inspect", "out.h5", "--replicas", "65"]).expect(2).says(&["the file holds 64"]);
}

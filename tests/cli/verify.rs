//! `perrin verify`: several studies, one table, no files.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use crate::workplace::{HARMONIC, Workplace};

/// A folder `models/` with one study of each outcome.
fn catalogue() -> Workplace {
    let place = Workplace::new();
    std::fs::create_dir(place.path("models")).unwrap();
    place.write("models/good.toml", HARMONIC);
    let control = HARMONIC.replace("value = \"0\"", "value = \"2\"") + "expect = \"fails\"\n";
    place.write("models/control.toml", &control);
    place.write("models/wrong.toml", &HARMONIC.replace("value = \"0\"", "value = \"2\""));
    // Two replicas cannot settle a variance.
    let doubtful = HARMONIC.replace("replicas = 64", "replicas = 2").replace(
        "statistic = \"mean\", at = \"end\", value = \"0\", absolute_tolerance = 0.5",
        "statistic = \"variance\", value = \"0.0526316\"",
    );
    place.write("models/doubtful.toml", &doubtful);
    place
}

fn counts(document: &Value) -> [u64; 4] {
    ["held", "failed", "undecided", "controls"].map(|key| document[key].as_u64().unwrap())
}

fn names(document: &Value) -> Vec<&str> {
    document["studies"].as_array().unwrap().iter().map(|s| s["study"].as_str().unwrap()).collect()
}

#[test]
fn the_program_carries_its_catalogue_and_writes_nothing() {
    let place = Workplace::new();
    let outcome = place.perrin(&["verify", "einstein", "rescaling", "einstein"]).expect(0);
    outcome
        .shows(&["law", "system", "predicted", "measured", "verdict", "✓ holds", "control", "2 studies"])
        .says(&["  einstein: ", "  rescaling: ", " as expected, "]);
    assert!(place.files().is_empty(), "{:?}", place.files());
    place.perrin(&["verify", "einstein", "--quiet"]).expect(0).silent_on_stderr();
}

#[test]
fn the_document_is_the_claims_of_each_study_and_four_counts() {
    let place = catalogue();
    let outcome = place.perrin(&["verify", "--json", "--threads", "1"]).expect(1);
    assert_eq!(outcome.stdout.lines().count(), 1);
    let document = outcome.json();
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["format", "studies", "held", "failed", "undecided", "controls"]);
    assert_eq!(document["format"], 1);
    assert_eq!(names(&document), ["control", "doubtful", "good", "wrong"]);
    assert_eq!(counts(&document), [1, 1, 1, 1]);
    // As `perrin run` says it.
    let run = place.perrin(&["run", "models/good.toml", "--json"]).expect(0).json();
    assert_eq!(document["studies"][2]["claims"], run["claims"]);
}

#[test]
fn the_exit_code_is_that_of_the_claims() {
    let place = catalogue();
    for (names, code) in [
        (&["good", "control"][..], 0),
        (&["good", "wrong"], 1),
        (&["doubtful"], 1),
        (&[], 1),
        (&["models/good.toml"], 0),
        (&["models"], 1),
        (&["models/none.toml"], 2),
        (&["god"], 2),
        (&["."], 2),
    ] {
        let mut arguments = vec!["verify"];
        arguments.extend(names);
        place.perrin(&arguments).expect(code);
    }
    let wrong = place.perrin(&["verify", "wrong", "doubtful"]);
    wrong.shows(&[
        "✗ wrong: equals of `sgd` fails, expected: holds",
        "? doubtful: equals of `sgd` is undecided",
    ]);
    place
        .perrin(&["verify", "god"])
        .says(&["there is no study `god` in the catalogue", "did you mean `good`?"])
        .silent_on_stdout();
}

#[test]
fn overrides_go_to_every_study_and_what_is_wrong_is_said_before_anything_runs() {
    let place = catalogue();
    let first = |outcome: &Value| outcome["studies"][0]["claims"][0]["tests"][0]["measured"].clone();
    let plain = place.perrin(&["verify", "good", "control", "--json"]).expect(0).json();
    let other =
        place.perrin(&["verify", "good", "control", "--json", "--set", "run.seed=5"]).expect(0).json();
    assert_ne!(first(&plain), first(&other));
    place.write("models/broken.toml", &HARMONIC.replace("rate = 0.1", "rate = -0.1"));
    place
        .perrin(&["verify", "--set", "run.steps=0"])
        .expect(2)
        .says(&["models/broken.toml:13:8", "--set run.steps=0"])
        .silent_on_stdout();
}

#[test]
fn quick_puts_other_values_in_place_and_leaves_studies_out() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("models")).unwrap();
    let quick = HARMONIC.to_owned() + "\n[quick]\nrun.replicas = 16\nclaims.0.equals.value = 2\n";
    place.write("models/short.toml", &quick);
    place.write("models/long.toml", &format!("quick = false\n{HARMONIC}"));
    place.write("models/same.toml", HARMONIC);
    assert_eq!(names(&place.perrin(&["verify", "--json"]).expect(0).json()), ["long", "same", "short"]);

    let outcome = place.perrin(&["verify", "--json", "--quick"]).expect(1);
    let document = outcome.json();
    assert_eq!(names(&document), ["same", "short"]);
    assert_eq!(counts(&document), [1, 1, 0, 0]);
    assert_eq!(document["studies"][1]["claims"][0]["tests"][0]["predicted"], 2.0);
    outcome.says(&["not in the quick set: long"]);
    // The command has the last word.
    place.perrin(&["verify", "--quick", "--set", "claims.0.equals.value=0"]).expect(0);
    // A run is the study as it is.
    let run = place.perrin(&["run", "models/short.toml", "--json"]).expect(0).json();
    assert_eq!(run["replicas"], 64);
}

#[cfg(unix)]
#[test]
fn an_interrupt_shows_what_is_done() {
    let place = catalogue();
    let long =
        HARMONIC.replace("steps = 400", "steps = 20_000").replace("replicas = 64", "replicas = 5_000_000");
    place.write("models/zlong.toml", &long);
    let mut child = place.command(&["verify", "good", "zlong", "--json"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("good:") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "the program ended by itself");
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(names(&document), ["good"]);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("interrupted: 1 of 2 studies"), "{rest}");
}

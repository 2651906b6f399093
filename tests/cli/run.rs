//! `perrin run`: what a good study gives.

use std::fs;

use crate::workplace::{HARMONIC, Outcome, Workplace};

#[test]
fn a_study_is_run_judged_shown_and_written() {
    let place = Workplace::with(HARMONIC);
    place
        .perrin(&["run", "study.toml"])
        .expect(0)
        .shows(&["Harmonic", "64 replicas", "sgd", "✓ holds", "equals", "study.h5"])
        .silent_on_stderr();
    assert_eq!(place.files(), ["study.h5", "study.toml"]);
    place.perrin(&["inspect", "study.h5"]).expect(0).shows(&["complete"]);
}

#[test]
fn a_claim_that_fails_gives_1_and_one_that_should_gives_0() {
    let wrong = HARMONIC.replace("value = \"0\"", "value = \"2\"");
    let place = Workplace::with(&wrong);
    place.perrin(&["run", "study.toml"]).expect(1).shows(&["✗ fails", "1 came out otherwise"]);
    let control = format!("{wrong}expect = \"fails\"\n");
    place.write("study.toml", &control);
    place.perrin(&["run", "study.toml"]).expect(0).shows(&["✓ fails", "1 control fails as it must"]);
}

#[test]
fn a_claim_that_cannot_be_decided_gives_1() {
    // Two replicas cannot settle a variance.
    let place = Workplace::with(&HARMONIC.replace("replicas = 64", "replicas = 2").replace(
        "statistic = \"mean\", at = \"end\", value = \"0\", absolute_tolerance = 0.5",
        "statistic = \"variance\", value = \"0.0526316\"",
    ));
    let shown = place.perrin(&["run", "study.toml"]).expect(1).shows(&["? undecided", "  1 undecided"]);
    assert!(!shown.stdout.contains("otherwise"), "{}", shown.stdout);
    place.perrin(&["inspect", "study.h5"]).expect(0).shows(&["?  equals"]);
}

#[test]
fn a_dynamics_of_which_nothing_is_left_gives_3_unless_that_is_claimed() {
    let lost = HARMONIC.replace("rate = 0.1", "rate = 3.0").replace("steps = 400", "steps = 4000");
    assert!(lost.contains("rate = 3.0") && lost.contains("steps = 4000"));
    let (bare, _) = lost.split_once("[[claims]]").unwrap();
    let place = Workplace::with(bare);
    // Without claims, and with a control that nothing makes fail but divergence.
    place.perrin(&["run", "study.toml"]).expect(3).says(&["all 64 replicas of `sgd` diverged"]);
    let control =
        "[[claims]]\nequals = { observable = \"w\", at = \"end\", value = 5 }\nexpect = \"fails\"\n";
    place.write("study.toml", &format!("{bare}{control}"));
    place.perrin(&["run", "study.toml"]).expect(3).shows(&["? undecided", "a reason of its own"]);
    place.write("study.toml", &format!("{bare}[[claims]]\ndiverges = {{ dynamics = \"sgd\" }}\n"));
    place.perrin(&["run", "study.toml"]).expect(0).shows(&["✓ holds", "1 holds"]);
}

#[test]
fn runs_at_once_get_a_file_each() {
    let place = Workplace::with(HARMONIC);
    let runs: Vec<_> = (0..6).map(|_| place.command(&["run", "study.toml"]).spawn().unwrap()).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let numbers = ["-2.h5", "-3.h5", "-4.h5", "-5.h5", "-6.h5", ".h5", ".toml"];
    assert_eq!(place.files(), numbers.map(|n| format!("study{n}")));
}

#[test]
fn without_an_output_named_nothing_is_ever_overwritten() {
    let place = Workplace::with(HARMONIC);
    for _ in 0..3 {
        place.perrin(&["run", "study.toml"]).expect(0);
    }
    assert_eq!(place.files(), ["study-2.h5", "study-3.h5", "study.h5", "study.toml"]);
    let second = fs::read(place.path("study-2.h5")).unwrap();
    place.perrin(&["run", "study.toml", "--force"]).expect(0);
    assert_eq!(place.files().len(), 4);
    assert_eq!(fs::read(place.path("study-2.h5")).unwrap(), second);
}

#[test]
fn an_output_that_exists_is_kept() {
    let place = Workplace::with(HARMONIC);
    place.write("mine.h5", "precious");
    place
        .perrin(&["run", "study.toml", "-o", "mine.h5"])
        .expect(3)
        .says(&["mine.h5 exists already", "--force", "-o"])
        .silent_on_stdout();
    assert_eq!(fs::read_to_string(place.path("mine.h5")).unwrap(), "precious");
    assert_eq!(place.files(), ["mine.h5", "study.toml"]);
    place.perrin(&["run", "study.toml", "-o", "mine.h5", "--force"]).expect(0);
    place.perrin(&["inspect", "mine.h5"]).expect(0);
}

#[test]
fn the_study_is_never_its_own_output() {
    let place = Workplace::with(HARMONIC);
    place
        .perrin(&["run", "study.toml", "-o", "study.toml", "--force"])
        .expect(2)
        .says(&["is the study itself"]);
    assert_eq!(fs::read_to_string(place.path("study.toml")).unwrap(), HARMONIC);
}

fn digest(outcome: Outcome) -> String {
    let digest = outcome.expect(0).json()["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest.len(), 64);
    digest
}

#[test]
fn the_digest_depends_on_the_seed_and_on_nothing_of_the_machine() {
    let place = Workplace::with(HARMONIC);
    let one = digest(place.perrin(&["run", "study.toml", "--json", "--threads", "1"]));
    for arguments in [&["--threads", "2"][..], &["--threads", "7"], &[], &["--quiet"]] {
        let mut command = place.command(&["run", "study.toml", "--json"]);
        assert_eq!(digest(Outcome::of(command.args(arguments))), one, "{arguments:?}");
    }
    for level in ["v1", "v3", "v4"] {
        let mut command = place.command(&["run", "study.toml", "--json"]);
        assert_eq!(digest(Outcome::of(command.env("PERRIN_SIMD", level))), one, "{level}");
    }
    let other = digest(place.perrin(&["run", "study.toml", "--json", "--set", "run.seed=2"]));
    assert_ne!(other, one);
}

#[test]
fn more_replicas_change_none_of_the_first() {
    let place = Workplace::with(HARMONIC);
    place.perrin(&["run", "study.toml", "-o", "few.h5", "--set", "run.replicas=20"]).expect(0);
    place.perrin(&["run", "study.toml", "-o", "many.h5", "--set", "run.replicas=50"]).expect(0);
    let of_first = |file: &str, replicas: &str| {
        let outcome = place.perrin(&["inspect", file, "--json", "--replicas", replicas]).expect(0);
        outcome.json()["digest_of_first"]["digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(of_first("few.h5", "20"), of_first("many.h5", "20"));
    assert_ne!(of_first("few.h5", "20"), of_first("few.h5", "19"));
}

#[test]
fn momentum_that_does_nothing_is_said_and_quiet_is_quiet() {
    let study = HARMONIC
        .replace("batch = 1", "batch = 1\nmomentum = 0.5")
        .replace("sgd = \"sgd\"", "sgd = \"sgd\"\nflow = \"gradient-flow\"");
    let place = Workplace::with(&study);
    place
        .perrin(&["run", "study.toml"])
        .expect(0)
        .says(&["warning: `flow` (gradient-flow) runs without the momentum of [training], 0.5"]);
    place.perrin(&["run", "study.toml", "--quiet"]).expect(0).silent_on_stderr();
}

#[test]
fn a_profile_says_how_it_was_computed_and_changes_no_number() {
    let place = Workplace::with(HARMONIC);
    place.perrin(&["run", "study.toml", "--profile", "--threads", "1", "-o", "a.h5"]).expect(0).shows(&[
        "1 thread, vector unit v",
        "steps a second",
        "of its time: noise",
        "storage",
    ]);
    let document = |arguments: &[&str]| -> serde_json::Value {
        let mut all = vec!["run", "study.toml", "--json"];
        all.extend(arguments);
        serde_json::from_str(&place.perrin(&all).expect(0).stdout).unwrap()
    };
    let profiled = document(&["--profile", "-o", "b.h5"]);
    let plain = document(&["-o", "c.h5"]);
    assert_eq!(profiled["digest"], plain["digest"]);
    let profile = &profiled["dynamics"]["sgd"]["profile"];
    assert!(profile["steps_a_second"].as_f64().unwrap() > 0.0);
    assert!(profile["thread_seconds"]["gradient"].as_f64().unwrap() > 0.0);
    assert!(plain["dynamics"]["sgd"]["profile"].is_null());
}

#[test]
fn precision_grows_the_ensemble_and_the_file() {
    let place = Workplace::with(HARMONIC);
    let precision = "run.precision={ observable = \"w\", standard_error = 0.002 }";
    let grown =
        place.perrin(&["run", "study.toml", "-o", "grown.h5", "--json", "--set", precision]).expect(0).json();
    let replicas = grown["dynamics"]["sgd"]["replicas"].as_u64().unwrap();
    // The time average over 20 instants two apart has the standard deviation 0.12 or so: (0.12/0.002)² replicas.
    assert!((1000..20_000).contains(&replicas), "{replicas}");
    let reached = &grown["dynamics"]["sgd"]["precision"];
    assert_eq!((&reached["at"], &reached["reached"]), (&"stationary".into(), &true.into()));
    assert!(reached["standard_error"].as_f64().unwrap() <= 0.002);
    // The same numbers as an ensemble of that size, in the file, too.
    let outright = format!("run.replicas={replicas}");
    let whole =
        place.perrin(&["run", "study.toml", "-o", "whole.h5", "--json", "--set", &outright]).expect(0).json();
    assert_eq!(grown["digest"], whole["digest"]);
    let first = |file: &str, count: &str| {
        let outcome = place.perrin(&["inspect", file, "--json", "--replicas", count]).expect(0);
        outcome.json()["digest_of_first"]["digest"].as_str().unwrap().to_owned()
    };
    for count in ["64", &replicas.to_string()] {
        assert_eq!(first("grown.h5", count), first("whole.h5", count));
    }
    // What was asked for in the end, not at first.
    let inspected = place.perrin(&["inspect", "grown.h5", "--json"]).expect(0).json();
    assert_eq!(inspected["dynamics"]["sgd"]["requested"], grown["dynamics"]["sgd"]["replicas"]);
    // A cap that is too low is said.
    let capped = "run.precision={ observable = \"w\", standard_error = 1e-6, most = 700 }";
    let outcome = place.perrin(&["run", "study.toml", "-o", "capped.h5", "--set", capped]).expect(0);
    outcome.shows(&["700 replicas: w ± ", "not reached"]);
}

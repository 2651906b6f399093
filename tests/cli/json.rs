//! `--json`: the document of design §6, for results and for failures.

use serde_json::Value;

use crate::workplace::{HARMONIC, Workplace};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_run_as_one_document() {
    let place = Workplace::with(HARMONIC);
    let outcome = place.perrin(&["run", "study.toml", "--json"]).expect(0).silent_on_stderr();
    assert_eq!(outcome.stdout.lines().count(), 1, "one document, one line");
    let document = outcome.json();
    assert_eq!(
        keys(&document),
        [
            "format",
            "perrin",
            "title",
            "seed",
            "replicas",
            "digest",
            "interrupted",
            "output",
            "dynamics",
            "claims"
        ]
    );
    assert_eq!(document["format"], 1);
    assert_eq!(document["seed"], 1);
    assert_eq!(document["replicas"], 64);
    assert_eq!(document["interrupted"], false);
    assert_eq!(document["output"], "study.h5");

    let sgd = &document["dynamics"]["sgd"];
    assert_eq!(sgd["diverged"], 0);
    let time = numbers(&sgd["time"]);
    assert_eq!((time.len(), time[0], time[40]), (41, 0.0, 40.0));
    let w = &sgd["observables"]["w"];
    assert_eq!(keys(w), ["mean", "standard_error", "variance"]);
    assert_eq!(numbers(&w["mean"]).len(), 41);
    assert_eq!((numbers(&w["mean"])[0], numbers(&w["variance"])[0]), (0.0, 0.0));
    let stationary = &sgd["stationary"]["w"];
    for key in ["mean", "standard_error", "variance", "variance_standard_error"] {
        assert!(stationary[key].is_f64(), "{key}: {stationary}");
    }
    assert_eq!(stationary["reached"], true);
    // n = 64 replicas of about 10 independent instants: the error of the variance is about 6 %.
    let variance = stationary["variance"].as_f64().unwrap();
    let error = stationary["variance_standard_error"].as_f64().unwrap();
    let exact = 0.1 / 1.9;
    assert!(error < 0.15 * exact && (variance - exact).abs() < 5.0 * error, "{variance} ± {error}, {exact}");

    let claim = &document["claims"][0];
    assert_eq!((claim["law"].as_str(), claim["verdict"].as_str()), (Some("equals"), Some("holds")));
    assert_eq!((claim["dynamics"].as_str(), claim["expect"].as_str()), (Some("sgd"), Some("holds")));
    let test = &claim["tests"][0];
    for key in ["quantity", "measured", "standard_error", "predicted", "tolerance", "p_value", "kind"] {
        assert!(!test[key].is_null(), "{key}: {test}");
    }
}

#[test]
fn vectors_and_matrices_are_nested_lists() {
    let study = HARMONIC
        .replace("w = 0.0", "w = 0.0\nM = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]\nv = [7.0, 8.0]")
        .replace("0.5*(w - x)^2", "0.5*(w - x)^2 + 0*sum(M) + 0*sum(v)");
    let place = Workplace::with(&study);
    let document = place.perrin(&["run", "study.toml", "--json"]).expect(0).json();
    let observables = &document["dynamics"]["sgd"]["observables"];
    assert_eq!(observables["M"]["mean"][0], serde_json::json!([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
    assert_eq!(observables["v"]["mean"][40], serde_json::json!([7.0, 8.0]));
    let stationary = &document["dynamics"]["sgd"]["stationary"];
    assert_eq!(stationary["M"]["variance"], serde_json::json!([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]));
}

#[test]
fn what_is_not_finite_is_null() {
    // η·H = 3: every replica diverges.
    let place = Workplace::with(HARMONIC);
    let outcome = place.perrin(&[
        "run",
        "study.toml",
        "--json",
        "--set",
        "training.rate=3.0",
        "--set",
        "run.steps=4000",
    ]);
    let outcome =
        outcome.expect(3).says(&["all 64 replicas of `sgd` diverged, by step ", "diverges = { dynamics"]);
    for word in ["NaN", "Infinity", ":inf", ":-inf", "[inf", ",inf"] {
        assert!(!outcome.stdout.contains(word), "{word} in strict JSON");
    }
    let document = outcome.json();
    let sgd = &document["dynamics"]["sgd"];
    assert_eq!(sgd["diverged"], 64);
    assert!(sgd["observables"]["w"]["mean"][40].is_null());
    assert!(sgd["stationary"]["w"]["mean"].is_null());
    assert_eq!(document["claims"][0]["verdict"], "fails");
}

#[test]
fn failures_are_documents_too() {
    let place =
        Workplace::with(&HARMONIC.replace("rate = 0.1", "rate = -0.1").replace("batch = 1", "bach = 1"));
    let document = place.perrin(&["run", "study.toml", "--json"]).expect(2).json();
    assert_eq!(document["format"], 1);
    let error = &document["error"];
    assert_eq!(keys(error), ["message", "file", "line", "column", "help"]);
    assert_eq!(error["file"], "study.toml");
    let lines: Vec<u64> =
        document["errors"].as_array().unwrap().iter().map(|e| e["line"].as_u64().unwrap()).collect();
    assert!(lines.contains(&13) && lines.contains(&14), "both errors at once: {document}");

    for (arguments, code) in [
        (&["run", "nowhere.toml", "--json"][..], 2),
        (&["run", "study.toml", "--json", "--colour"], 2),
        (&["inspect", "nowhere.h5", "--json"], 2),
        (&["inspect", "study.toml", "--json"], 2),
        (&["check", "study.toml", "--json"], 2),
    ] {
        let document = place.perrin(arguments).expect(code).json();
        assert!(!document["error"]["message"].as_str().unwrap().is_empty(), "{document}");
    }
}

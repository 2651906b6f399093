//! Tables of every form, and what is none.

use std::process::Command;

use serde_json::json;

use crate::workplace::{HARMONIC, Workplace};

/// The harmonic study on the rows of a table.
fn on(table: &str) -> String {
    HARMONIC
        .replace("x = \"normal(0, 1)\"", "x = { column = \"x\" }")
        .replace("[training]", &format!("[population]\ntable = \"{table}\"\n\n[training]"))
}

#[test]
fn devices_pipes_and_folders_are_no_tables_and_no_studies() {
    let place = Workplace::new();
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    std::fs::create_dir(place.path("folder")).unwrap();
    for (path, what) in [("/dev/zero", "is a device"), ("pipe", "is a pipe"), ("folder", "is a folder")] {
        place.write("study.toml", &on(path));
        for arguments in
            [&["check", "study.toml"][..], &["run", "study.toml"], &["check", path], &["symmetries", path]]
        {
            let outcome = place.perrin(arguments).expect(2);
            assert!(outcome.stderr.contains(what), "{}", outcome.story());
        }
    }
}

#[test]
fn a_law_beside_a_table_is_drawn_once_or_anew_and_that_is_said() {
    let place = Workplace::new();
    place.write("t.csv", "x\n1\n1\n");
    let study = |noise: &str| {
        on("t.csv")
            .replace("0.5*(w - x)^2", "0.5*(w - x - n)^2")
            .replace("[loss]", &format!("n = {noise}\n\n[loss]"))
    };
    // Drawn once: two numbers, the same for all replicas; a warning says so, unless that is said to be meant.
    place.write("study.toml", &study("\"normal(0, 1)\""));
    let outcome = place.perrin(&["check", "study.toml", "--json"]).expect(0);
    let document = outcome.json();
    assert_eq!(document["population"]["fresh"], false);
    let warnings = document["warnings"].to_string();
    assert!(
        warnings.contains("`n` is drawn once for every row") && warnings.contains("fresh = true"),
        "{warnings}"
    );
    place.write("study.toml", &study("{ law = \"normal(0, 1)\", fresh = false }"));
    assert_eq!(place.perrin(&["check", "study.toml", "--json"]).expect(0).json()["warnings"], json!([]));
    place.write("study.toml", &study("{ law = \"normal(0, 1)\", fresh = true }"));
    let document = place.perrin(&["check", "study.toml", "--json"]).expect(0).json();
    assert_eq!((&document["population"]["fresh"], &document["warnings"]), (&json!(true), &json!([])));
    let text = place.perrin(&["check", "study.toml"]).expect(0).stdout;
    assert!(text.contains("2 rows, each with fresh draws whenever it is taken"), "{text}");
}

#[test]
fn a_symmetry_that_one_row_breaks_is_none() {
    let place = Workplace::new();
    let rows: Vec<String> =
        (0..900).map(|k| format!("{},{},{}\n", u8::from(k == 400), k % 7, k % 5)).collect();
    let rows = rows.concat();
    place.write("t.csv", &format!("a,b,c\n{rows}"));
    let study = on("t.csv")
        .replace("{ column = \"x\" }", "{ columns = [\"a\", \"b\"] }\nc = \"c\"")
        .replace("w = 0.0", "w = [0.0, 0.0]")
        .replace("0.5*(w - x)^2", "(dot(w, x) - c)^2");
    place.write("study.toml", &study);
    let document = place.perrin(&["symmetries", "study.toml", "--json"]).expect(0).json();
    assert_eq!(document["dimension"], 0);
    assert_eq!(document["rows"], json!({ "checked": 900, "all": 900 }));
    let text = place.perrin(&["symmetries", "study.toml"]).expect(0).stdout;
    assert!(text.contains("all 900 rows of the population"), "{text}");
}

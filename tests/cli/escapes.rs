//! What a user or a file says never gives orders to a terminal: control characters of any kind are shown as escapes.

use std::process::Command;

use crate::workplace::{HARMONIC, Outcome, Workplace};

/// Sets a title, clears the screen, and turns the direction of writing.
const EVIL: &str = r"a\u001b]0;owned\u0007\u009b2J\u202eb";
const RAW: &str = "a\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}b";

#[track_caller]
fn harmless(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        let bad = text.find(|c: char| c.is_control() && c != '\n' || c == '\u{202e}');
        assert!(bad.is_none(), "{:?}: {}", &text[bad.unwrap_or(0)..], outcome.story().escape_debug());
    }
}

/// The same once more with colours asked for: only sequences of colour may come.
#[track_caller]
fn harmless_in_colour(place: &Workplace, arguments: &[&str]) {
    let outcome = Outcome::of(place.command(arguments).env("CLICOLOR_FORCE", "1"));
    for text in [&outcome.stdout, &outcome.stderr] {
        for (at, _) in text.match_indices('\u{1b}') {
            let end = text[at..].find('m').map_or(text.len(), |end| at + end);
            let codes = text[at..end].trim_start_matches("\u{1b}[");
            assert!(codes.len() < 8 && codes.chars().all(|c| c == ';' || c.is_ascii_digit()), "{codes:?}");
        }
        assert!(!text.contains(['\u{7}', '\u{9b}', '\u{202e}']), "{text:?}");
    }
}

#[test]
fn names_that_a_study_gives() {
    let study = HARMONIC
        .replace("\"Harmonic\"", &format!("\"Harmonic {EVIL}\""))
        .replace("sgd = \"sgd\"", &format!("\"{EVIL}\" = \"sgd\""))
        .replace("[[claims]]", &format!("[observe]\n\"{EVIL}\" = \"w^2\"\n\n[[claims]]"));
    let place = Workplace::with(&study);
    for arguments in [
        &["check", "study.toml"][..],
        &["run", "study.toml", "-o", "a.h5"],
        &["inspect", "a.h5"],
        &["symmetries", "study.toml"],
    ] {
        let outcome = place.perrin(arguments);
        harmless(&outcome);
        harmless_in_colour(&place, arguments);
        harmless(&place.perrin(&[arguments, &["--json"]].concat()));
    }
    // The title arrives whole where it is data.
    let document = place.perrin(&["check", "study.toml", "--json"]).json();
    if let Some(title) = document["title"].as_str() {
        assert_eq!(title, format!("Harmonic {RAW}"));
    }
}

#[test]
fn a_title_is_escaped_in_every_command() {
    let place = Workplace::with(&HARMONIC.replace("\"Harmonic\"", &format!("\"Harmonic {EVIL}\"")));
    let shown = r"Harmonic a\u001b]0;owned\u0007\u009b2J\u202eb";
    place.perrin(&["check", "study.toml"]).expect(0).shows(&[shown]);
    place.perrin(&["run", "study.toml", "-o", "a.h5"]).expect(0).shows(&[shown]);
    let outcome = place.perrin(&["inspect", "a.h5"]).expect(0).shows(&[shown]);
    harmless(&outcome);
    let title = place.perrin(&["inspect", "a.h5", "--json"]).json()["title"].clone();
    assert_eq!(title, format!("Harmonic {RAW}"));
}

#[test]
fn what_is_wrong_with_a_study_and_a_command() {
    let place = Workplace::with(HARMONIC);
    place.write("table.csv", &format!("x,\"{RAW}\"\n1,2\n"));
    place.write("bad.csv", &format!("{RAW}\n{RAW}\n"));
    place.write(&format!("{RAW}.toml"), "oops");
    for (from, to) in [
        ("rate = 0.1", format!("\"{EVIL}\" = 0.1")),
        ("w = 0.0", format!("w = \"{EVIL}\"")),
        ("sgd = \"sgd\"", format!("sgd = \"{EVIL}\"")),
        ("\"0.5*(w - x)^2\"", format!("\"0.5*(w - x)^2 + {EVIL}\"")),
        ("[data]", format!("[data]\ny = {{ file = \"{EVIL}\" }}\n")),
        ("[data]", "[data]\ny = { file = \"table.csv\", column = \"z\" }\n".to_owned()),
        ("[data]", "[data]\ny = { file = \"bad.csv\", column = \"z\" }\n".to_owned()),
        ("observable = \"w\"", format!("observable = \"{EVIL}\"")),
        ("[training]", format!("[\"{EVIL}\"]\nx = 1\n[training]")),
        ("[training]", format!("[{RAW}]\nx = 1\n[training]")),
    ] {
        assert!(HARMONIC.contains(from), "{from}");
        place.write("study.toml", &HARMONIC.replace(from, &to));
        for arguments in [&["check", "study.toml"][..], &["check", "study.toml", "--json"]] {
            let outcome = place.perrin(arguments).expect(2);
            harmless(&outcome);
            harmless_in_colour(&place, arguments);
        }
    }
    place.write("study.toml", HARMONIC);
    let file = format!("{RAW}.toml");
    let set = format!("{RAW}=3");
    let value = format!("run.steps={RAW}");
    let rate = format!("training.rate=\"{RAW}\"");
    for arguments in [
        &["check", RAW][..],
        &["check", &file],
        &[RAW],
        &["run", "study.toml", "--threads", RAW],
        &["check", "study.toml", "--set", &set],
        &["check", "study.toml", "--set", &value],
        &["check", "study.toml", "--set", &rate],
        &["inspect", RAW],
        &["inspect", &file],
        &["verify", RAW],
        &["run", "study.toml", "-o", &format!("no/{RAW}.h5")],
    ] {
        let outcome = place.perrin(arguments);
        assert!(outcome.code == 2 || outcome.code == 3, "{}", outcome.story().escape_debug());
        harmless(&outcome);
        harmless_in_colour(&place, arguments);
    }
}

#[test]
fn attributes_of_a_foreign_file() {
    let place = Workplace::with(HARMONIC);
    place.perrin(&["run", "study.toml", "-o", "a.h5"]).expect(0);
    let layout = |text: &str| {
        let file = hdf5::H5File::create(place.path("foreign.h5")).unwrap();
        file.set_attr_string("layout", text).unwrap();
        file.set_attr_string("title", RAW).unwrap();
        file.set_attr_string("perrin_version", RAW).unwrap();
        file.set_attr_string("status", RAW).unwrap();
        file.close().unwrap();
    };
    for text in [RAW, "{\"format\": 1}", "{\"format\": 99}", "{\"format\": 2}"] {
        layout(text);
        let outcome = place.perrin(&["inspect", "foreign.h5"]).expect(2);
        harmless(&outcome);
        harmless_in_colour(&place, &["inspect", "foreign.h5"]);
    }
}

#[test]
#[cfg(unix)]
fn progress_of_a_name_that_gives_orders() {
    // Under `script` standard error is a terminal, where the bar is drawn; without it there is nothing to see.
    if Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let study = HARMONIC
        .replace("sgd = \"sgd\"", &format!("\"{EVIL}\" = \"sgd\""))
        .replace("steps = 400", "steps = 200_000");
    let place = Workplace::with(&study);
    let line = format!("'{}' run study.toml -o a.h5", env!("CARGO_BIN_EXE_perrin"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(place.path("."));
    let outcome = Outcome::of(&mut command);
    assert!(!outcome.stdout.contains("\u{1b}]0;"), "{}", outcome.story().escape_debug());
    assert!(!outcome.stdout.contains(['\u{7}', '\u{9b}', '\u{202e}']), "{}", outcome.story().escape_debug());
}

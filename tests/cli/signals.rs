//! Ctrl-C.
#![cfg(unix)]

use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use crate::workplace::{HARMONIC, Workplace};

/// A run of hours, and its child once the file is there.
fn begun(place: &Workplace) -> Child {
    let mut child = place.command(&["run", "study.toml", "-o", "out.h5", "--json"]).spawn().unwrap();
    let begin = Instant::now();
    while !place.path("out.h5").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
        assert!(begin.elapsed() < Duration::from_secs(60), "no file after a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn ended(child: Child) -> Output {
    let begin = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(60), "took {:?} to stop", begin.elapsed());
    output
}

fn long() -> Workplace {
    Workplace::with(
        &HARMONIC.replace("steps = 400", "steps = 20_000").replace("replicas = 64", "replicas = 5_000_000"),
    )
}

#[test]
fn an_interrupt_saves_what_is_done_and_says_how_to_go_on() {
    for name in ["-INT", "-TERM", "-QUIT", "-USR1", "-XFSZ"] {
        let place = long();
        let child = begun(&place);
        signal(&child, name);
        let output = ended(child);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(
            stderr.contains("interrupted:") && stderr.contains("out.h5") && stderr.contains("--force"),
            "{stderr}"
        );
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["interrupted"], true);
        let inspected = place.perrin(&["inspect", "out.h5", "--json"]).expect(0).json();
        assert_eq!(inspected["status"], "interrupted");
        assert_eq!(inspected["dynamics"]["sgd"]["requested"], 5_000_000);
        // Null where it had not begun.
        let judged = document["dynamics"]["sgd"]["replicas"].as_u64().unwrap_or(0);
        assert_eq!(inspected["dynamics"]["sgd"]["replicas"], judged);
    }
}

/// A regression of 40 parameters, whose stationary equation takes minutes: no claim is judged at once.
const SLOW_TO_JUDGE: &str = r#"[parameters]
w = { shape = [40], init = "normal(0, 0.1)" }
[data]
x = { shape = [40], law = "normal(0, 1)" }
e = "normal(0, 1)"
[population]
size = 6000
[loss]
formula = "0.5*(dot(w, x) - e)^2"
[training]
rate = 0.02
[dynamics]
sgd = "sgd"
[run]
steps = 4
replicas = 8
[[claims]]
einstein = {}
"#;

#[test]
fn one_signal_ends_the_judging() {
    let place = Workplace::with(SLOW_TO_JUDGE);
    let mut child = begun(&place);
    let begin = Instant::now();
    // Until all replicas are there.
    loop {
        let inspected = place.perrin(&["inspect", "out.h5", "--json"]).expect(0).json();
        if inspected["dynamics"]["sgd"]["replicas"] == 8 {
            break;
        }
        assert!(child.try_wait().unwrap().is_none(), "judging ended by itself");
        assert!(begin.elapsed() < Duration::from_secs(120), "no replica after two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "-TERM");
    let output = ended(child);
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["interrupted"], true);
    assert_eq!(document["claims"][0]["verdict"], "undecided");
    let reason = document["claims"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("judging was interrupted"), "{reason}");
    let inspected = place.perrin(&["inspect", "out.h5", "--json"]).expect(0).json();
    assert_eq!(inspected["status"], "interrupted");
}

#[test]
fn a_kill_leaves_a_file_that_opens() {
    let place = long();
    let mut child = begun(&place);
    child.kill().unwrap();
    child.wait().unwrap();
    let inspected = place.perrin(&["inspect", "out.h5", "--json"]).expect(0).json();
    assert_eq!(inspected["status"], "running");
    if cfg!(target_os = "linux") {
        assert_eq!(inspected["process"]["lives"], false);
        place.perrin(&["inspect", "out.h5"]).expect(0).shows(&["killed while it ran"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_goes_on_is_told_from_a_dead_one() {
    let place = long();
    let mut child = begun(&place);
    let inspected = place.perrin(&["inspect", "out.h5", "--json"]).expect(0).json();
    assert_eq!(
        (&inspected["process"]["lives"], &inspected["process"]["id"]),
        (&true.into(), &child.id().into())
    );
    place.perrin(&["inspect", "out.h5"]).expect(0).shows(&["running (process "]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_limit_on_the_size_of_files_ends_the_run_as_failed() {
    let place = long();
    let script = format!(
        "ulimit -f 1000 && exec {} run study.toml --set run.steps=400 -o out.h5 --quiet",
        env!("CARGO_BIN_EXE_perrin")
    );
    let output = Command::new("bash").args(["-c", &script]).current_dir(place.path("")).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("ulimit -f"), "{stderr}");
    let inspected = place.perrin(&["inspect", "out.h5", "--json"]).expect(0).json();
    assert_eq!(inspected["status"], "failed");
}

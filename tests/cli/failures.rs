//! What cannot be done, and what is said of it. (Studies that are wrong have their own fixtures.)

use std::fs;
use std::process::Command;

use crate::workplace::{HARMONIC, Outcome, Workplace, text};

#[test]
fn wrong_commands_give_2() {
    let place = Workplace::with(HARMONIC);
    for (arguments, said) in [
        (&[][..], "Usage"),
        (&["rune"], "unrecognized subcommand"),
        (&["run"], "STUDY"),
        (&["run", "study.toml", "--forse"], "--force"),
        (&["run", "study.toml", "--threads", "0"], "--threads"),
        (&["run", "study.toml", "--threads", "two"], "--threads"),
        (&["run", "nowhere.toml"], "nowhere.toml"),
        (&["run", "."], "study"),
        (&["check", "nowhere.toml"], "nowhere.toml"),
        (&["inspect", "nowhere.h5"], "there is no file nowhere.h5"),
        (&["inspect", "study.toml"], "no HDF5 file"),
        (&["run", "study.toml", "--set", "run.replica=3"], "replicas"),
        (&["run", "study.toml", "--set", "run.replicas"], "--set"),
    ] {
        place.perrin(arguments).expect(2).says(&[said]).silent_on_stdout();
    }
    assert_eq!(place.files(), ["study.toml"], "nothing is left behind");
}

#[test]
fn help_and_version_are_data() {
    let place = Workplace::new();
    place.perrin(&["--help"]).expect(0).shows(&["run", "check", "inspect", "Exit codes"]).silent_on_stderr();
    place.perrin(&["run", "--help"]).expect(0).shows(&["--set", "--force"]).silent_on_stderr();
    place.perrin(&["--version"]).expect(0).shows(&[env!("CARGO_PKG_VERSION")]).silent_on_stderr();
}

#[test]
fn outputs_that_cannot_be_written_give_3_before_anything_runs() {
    // So many steps that a run would not end.
    let place = Workplace::with(&HARMONIC.replace("steps = 400", "steps = 1_000_000_000_000"));
    let file = place.path("study.toml").join("below-a-file.h5");
    let mut places = vec![text(&file), "no/such/folder/out.h5", ".", "folder/"];
    fs::create_dir(place.path("folder")).unwrap();
    if cfg!(target_os = "linux") {
        places.extend(["/proc/out.h5", "/sys/out.h5", "/dev/full"]);
    }
    for output in places {
        let outcome = place.perrin(&["run", "study.toml", "-o", output, "--force"]);
        let outcome = outcome.expect(3).silent_on_stdout();
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.story());
        let json = place.perrin(&["run", "study.toml", "-o", output, "--force", "--json"]).expect(3);
        assert!(json.json()["error"]["message"].is_string());
    }
    assert_eq!(place.files(), ["folder", "study.toml"], "nothing is left behind");
}

#[test]
#[cfg(unix)]
fn a_disk_that_fills_gives_3_and_says_so() {
    let place = Workplace::with(&HARMONIC.replace("trajectories = 2", "trajectories = 64"));
    // A limit on the size of files, with its signal ignored, is an error of writing like a full disk.
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 16; exec \"$0\" run study.toml -o out.h5",
            env!("CARGO_BIN_EXE_perrin"),
        ])
        .current_dir(place.path("."));
    let outcome = Outcome::of(&mut command).expect(3).silent_on_stdout();
    assert!(
        outcome.stderr.starts_with("error: ") && outcome.stderr.contains("out.h5"),
        "{}",
        outcome.story()
    );
}

#[test]
#[cfg(target_os = "linux")]
fn standard_output_that_is_full_gives_3() {
    let place = Workplace::with(HARMONIC);
    for arguments in
        [&["check", "study.toml"][..], &["check", "study.toml", "--json"], &["run", "--json", "study.toml"]]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let outcome = Outcome::of(place.command(arguments).stdout(full));
        outcome.expect(3).says(&["cannot write to standard output"]);
    }
    // The run itself is not lost.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let outcome = Outcome::of(place.command(&["run", "--json", "study.toml", "-o", "kept.h5"]).stdout(full));
    outcome.expect(3).says(&["the run is saved in kept.h5"]);
    assert_eq!(place.perrin(&["inspect", "kept.h5", "--json"]).expect(0).json()["status"], "complete");
}

#[test]
fn a_closed_pipe_ends_quietly_with_0() {
    let place = Workplace::with(HARMONIC);
    for arguments in
        [&["run", "study.toml"][..], &["run", "study.toml", "--json"], &["check", "study.toml"], &["--help"]]
    {
        let mut child = place.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
    // What was to be written has been written all the same.
    place.perrin(&["inspect", "study.h5"]).expect(0).shows(&["complete"]);
}

#[test]
fn a_run_too_large_for_the_machine_is_refused() {
    let place = Workplace::with(&HARMONIC.replace("replicas = 64", "replicas = 1_000_000_000_000_000"));
    let outcome = place.perrin(&["run", "study.toml"]);
    assert!(outcome.code == 2 || outcome.code == 3, "{}", outcome.story());
    assert!(outcome.stderr.starts_with("error: "), "{}", outcome.story());
}

#[test]
fn a_law_that_cannot_move_the_loss_is_an_error_of_the_study_at_its_dynamics() {
    let flat = "[parameters]\nu = 1.0\nw = 0.5\n[data]\nx = \"normal(1, 0.3)\"\n[loss]\nformula = \"(u*w*x - 1)^2\"\n\
                [training]\nrate = 0.01\n[dynamics]\nd = \"ornstein-uhlenbeck\"\n[run]\nsteps = 10\nreplicas = 8\n";
    let place = Workplace::with(flat);
    place.perrin(&["run", "study.toml"]).expect(2).says(&[
        "the minimum is not isolated",
        "study.toml:11:5",
        "^^^",
    ]);
    let set = "dynamics.d={ ornstein-uhlenbeck = { batch = 2 } }";
    place.perrin(&["run", "study.toml", "--set", set]).expect(2).says(&["--set dynamics.d", "^^^"]);
}

#[test]
fn a_place_without_curvature_is_no_minimum_to_be_linearised_about() {
    // A minimum without curvature, and a loss that falls for ever; whatever the start.
    for loss in ["0.25*w^4 - 0.1*w*x", "exp(-w) + 0.01*x*w"] {
        for start in ["0.2", "1.0", "5.0"] {
            let study = format!(
                "[parameters]\nw = {start}\n[data]\nx = \"normal(0, 1)\"\n[loss]\nformula = \"{loss}\"\n\
                 [training]\nrate = 0.1\n[dynamics]\nou = \"ornstein-uhlenbeck\"\n[run]\nsteps = 10\nreplicas = 8\n"
            );
            let place = Workplace::with(&study);
            for command in ["check", "run"] {
                place.perrin(&[command, "study.toml"]).expect(2).says(&["flat", "study.toml:10:6", "^^^"]);
            }
            // A control: the same with curvature.
            let set = format!("loss.formula=\"{loss} + 0.01*w^2\"");
            place.perrin(&["run", "study.toml", "--set", &set]).expect(0);
        }
    }
}

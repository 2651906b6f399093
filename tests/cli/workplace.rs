//! A folder of its own for each test, and the program run in it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// SGD on a parabola with unit noise: stationary variance η/(2 − η) = 0.0526.
pub const HARMONIC: &str = r#"title = "Harmonic"

[parameters]
w = 0.0

[data]
x = "normal(0, 1)"

[loss]
formula = "0.5*(w - x)^2"

[training]
rate = 0.1
batch = 1

[dynamics]
sgd = "sgd"

[run]
steps = 400
replicas = 64
seed = 1
record = 40
burn_in = 0.5
trajectories = 2

[[claims]]
equals = { observable = "w", statistic = "mean", at = "end", value = "0", absolute_tolerance = 0.5 }
"#;

/// A temporary folder.
pub struct Workplace {
    folder: TempDir,
}

/// What a run of the program left.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    command: String,
}

impl Workplace {
    /// Empty.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With `study.toml`.
    pub fn with(study: &str) -> Self {
        let place = Self::new();
        place.write("study.toml", study);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Names in the folder, sorted; temporary files too.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The program, to be run in the folder without a terminal and without the tester's wishes for colours.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perrin"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn perrin(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }
}

impl Outcome {
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            command: format!("{command:?}"),
        }
    }

    /// Everything, for the message of a failed test.
    pub fn story(&self) -> String {
        format!(
            "{}\nexit code {}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.story());
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.story()))
    }

    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} on stderr: {}", self.story());
        }
        self
    }

    #[track_caller]
    pub fn shows(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "no {part:?} on stdout: {}", self.story());
        }
        self
    }

    #[track_caller]
    pub fn silent_on_stdout(self) -> Self {
        assert_eq!(self.stdout, "", "{}", self.story());
        self
    }

    #[track_caller]
    pub fn silent_on_stderr(self) -> Self {
        assert_eq!(self.stderr, "", "{}", self.story());
        self
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    let text: &OsStr = path.as_os_str();
    text.to_str().unwrap()
}

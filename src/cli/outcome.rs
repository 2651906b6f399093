//! How a command ends: exit codes, and failures with their messages.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::ensemble::{RunError, SinkError};
use crate::report::FORMAT;
use crate::store::StoreError;
use crate::study::printable::printable;
use crate::study::{Diagnostic, Study};

/// How a command that was carried out came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All is as expected.
    AsExpected,
    /// A claim came out otherwise.
    Otherwise,
    /// Nothing is left of a dynamics: all of its replicas diverged.
    Lost,
    /// Stopped by a signal, with what is done saved.
    Interrupted,
}

impl Outcome {
    pub fn code(self) -> u8 {
        match self {
            Outcome::AsExpected => 0,
            Outcome::Otherwise => 1,
            Outcome::Lost => 3,
            Outcome::Interrupted => 130,
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    /// The study is wrong.
    Study(Vec<Diagnostic>),
    /// The command is wrong.
    Command { message: String, help: String },
    /// The command line is wrong, in the parser's words.
    Usage { message: String, help: String, rendered: String },
    /// It could not be done.
    Run { message: String, help: String },
    /// Nobody reads our output any more: no failure, but the end.
    ClosedPipe,
}

/// Most errors of a study that are shown.
const MOST_SHOWN: usize = 100;

impl Failure {
    pub fn command(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Command { message: message.into(), help: help.into() }
    }

    pub fn run(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Run { message: message.into(), help: help.into() }
    }

    /// The same with what can be done about it, where nothing is said of that yet.
    pub fn with_help(self, text: String) -> Self {
        match self {
            Failure::Run { message, help } if help.is_empty() => Failure::Run { message, help: text },
            other => other,
        }
    }

    /// The same with the study's name in front, where several are run.
    pub fn of_study(self, name: &str) -> Self {
        match self {
            Failure::Run { message, help } => Failure::Run { message: format!("{name}: {message}"), help },
            other => other,
        }
    }

    pub fn code(&self) -> u8 {
        match self {
            Failure::ClosedPipe => 0,
            Failure::Study(_) | Failure::Command { .. } | Failure::Usage { .. } => 2,
            Failure::Run { .. } => 3,
        }
    }

    pub fn exit(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The message for a terminal, with a line feed at its end.
    pub fn text(&self, colour: bool) -> String {
        match self {
            Failure::ClosedPipe => String::new(),
            Failure::Study(diagnostics) => {
                let shown: Vec<String> =
                    diagnostics.iter().take(MOST_SHOWN).map(|d| d.render(colour)).collect();
                let mut text = shown.join("\n");
                if let Some(more) = diagnostics.len().checked_sub(MOST_SHOWN).filter(|n| *n > 0) {
                    text.push_str(&format!("\n… and {more} errors more\n"));
                }
                text
            }
            Failure::Usage { rendered, .. } => rendered.clone(),
            Failure::Command { message, help } | Failure::Run { message, help } => {
                let mut text = format!("{} {}\n", tag("error:", "1;31", colour), printable(message));
                if !help.is_empty() {
                    text.push_str(&format!("{} {}\n", tag("help:", "1;36", colour), printable(help)));
                }
                text
            }
        }
    }

    /// The document for `--json`: the first error under `error`, all of several under `errors`.
    pub fn json(&self) -> Value {
        let plain = |message: &str, help: &str| json!({ "message": message, "file": null, "line": null, "column": null, "help": help });
        let errors: Vec<Value> = match self {
            Failure::ClosedPipe => vec![],
            Failure::Study(diagnostics) => diagnostics.iter().map(Diagnostic::to_json).collect(),
            Failure::Usage { message, help, .. }
            | Failure::Command { message, help }
            | Failure::Run { message, help } => vec![plain(message, help)],
        };
        let mut document = json!({ "format": FORMAT, "error": errors.first() });
        if let (true, Value::Object(map)) = (errors.len() > 1, &mut document) {
            map.insert("errors".into(), Value::Array(errors));
        }
        document
    }
}

/// A word in a colour, by its ANSI code.
pub(super) fn tag(word: &str, code: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Failure::Study(diagnostics)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let help = match &error {
            StoreError::Exists { .. } => "--force replaces it; -o FILE names another",
            StoreError::NoFolder { .. } | StoreError::NotWritable { .. } | StoreError::NotAFile { .. } => {
                "-o FILE names another place"
            }
            StoreError::Full { .. } => "make room, or name a file on another disk with -o",
            StoreError::Mismatch { .. } | StoreError::Stopped { .. } => {
                "this is a bug of perrin's: please report it with the study file"
            }
            StoreError::Foreign { .. } => "give a file that `perrin run` wrote",
            _ => "",
        };
        // The message must not say the remedy twice.
        let message = match &error {
            StoreError::Exists { path } => format!("{} exists already", path.display()),
            other => other.to_string(),
        };
        Failure::run(message, help)
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        Failure::run(error.message, "what was committed before stays readable: see `perrin inspect`")
    }
}

impl Failure {
    /// A run that could not be carried out; a law that cannot move the study's system is an error of the study, at its place.
    pub fn of_run(error: RunError, study: &Study) -> Self {
        match error {
            RunError::Sink(error) => error.into(),
            RunError::Threads { .. } => Failure::run(error.to_string(), "ask for fewer with --threads"),
            RunError::Dynamics { dynamics, reason } => {
                let message = format!("`{dynamics}`: {reason}");
                let help = "choose another law of motion for this dynamics";
                Failure::Study(vec![study.error_at_dynamics(&dynamics, message, help)])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_diagnostics_stand_under_errors_the_first_under_error() {
        let failure = Failure::Study(vec![
            Diagnostic::whole("a.toml", "one", "mend it"),
            Diagnostic::whole("a.toml", "two", "mend it too"),
        ]);
        let document = failure.json();
        assert_eq!(document["format"], 1);
        assert_eq!(document["error"]["message"], "one");
        assert_eq!(document["errors"][1]["message"], "two");
        assert_eq!(failure.code(), 2);
        let one = Failure::run("disk full", "make room");
        assert!(one.json().get("errors").is_none());
        assert_eq!(one.code(), 3);
        assert_eq!(one.text(false), "error: disk full\nhelp: make room\n");
    }
}

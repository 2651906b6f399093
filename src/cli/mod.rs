//! The command line: one file a command. The only layer that prints, reads flags, or chooses exit codes.
//!
//! Data go to standard output, progress and messages to standard error.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | all is as expected |
//! | 1 | a claim came out otherwise, or undecided |
//! | 2 | the command or the study is wrong |
//! | 3 | the run could not be carried out, or nothing is left of a dynamics |
//! | 130 | interrupted, with what is done saved |

mod args;
mod bug;
mod check;
mod inspect;
mod interrupt;
mod memory;
mod outcome;
mod output;
mod progress;
mod run;
mod simulate;
mod symmetries;
mod terminal;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Arguments, Command};
use outcome::{Failure, Outcome};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    // Known before the line is understood, so that a misspelt flag is answered in JSON, too.
    let json = typed.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json");
    memory::watch(json);
    let result = bug::caught(|| dispatch(&typed)).unwrap_or_else(Err);
    match result {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(failure) => tell(&failure, json),
    }
}

fn dispatch(typed: &[OsString]) -> Result<Outcome, Failure> {
    let arguments = match Arguments::try_parse_from(typed) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match arguments.command {
        Command::Run(run) => run::run(&run, typed),
        Command::Check(check) => check::check(&check),
        Command::Verify(verify) => verify::verify(&verify),
        Command::Symmetries(symmetries) => symmetries::symmetries(&symmetries),
        Command::Inspect(inspect) => inspect::inspect(&inspect),
    }
}

/// Help and version are data; anything else is a wrong command.
fn usage(error: &clap::Error) -> Result<Outcome, Failure> {
    let text = error.render();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let colour = terminal::style().colour;
        terminal::print(&if colour { text.ansi().to_string() } else { text.to_string() })?;
        return Ok(Outcome::AsExpected);
    }
    let plain = text.to_string();
    let rendered = if terminal::colour_on_stderr() { text.ansi().to_string() } else { plain.clone() };
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let (message, help) =
            ("no command given".to_owned(), "give run, check, verify, symmetries or inspect".to_owned());
        return Err(Failure::Usage { message, help, rendered });
    }
    let message = plain.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let lines = plain.lines().skip(1).map(str::trim);
    let help = lines.filter(|l| !l.is_empty() && !l.starts_with("For more")).collect::<Vec<_>>().join("; ");
    Err(Failure::Usage { message, help, rendered })
}

fn tell(failure: &Failure, json: bool) -> ExitCode {
    if matches!(failure, Failure::ClosedPipe) {
        return failure.exit();
    }
    if json {
        match terminal::print_json(&failure.json()) {
            // Of a closed pipe, nobody is left to be told.
            Ok(()) | Err(Failure::ClosedPipe) => return failure.exit(),
            // A full disk, say, takes neither the document nor the failure.
            Err(_) => {}
        }
    }
    terminal::tell(&failure.text(terminal::colour_on_stderr()));
    failure.exit()
}

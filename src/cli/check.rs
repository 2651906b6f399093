//! `perrin check`: what would run, and what it would cost.

use super::args;
use super::outcome::{Failure, Outcome};
use super::terminal;
use crate::report::Outlook;
use crate::study;
use crate::{ensemble, law};

/// Reads and resolves the study, and shows it; runs nothing.
pub(super) fn check(arguments: &args::Check) -> Result<Outcome, Failure> {
    let mut study = study::load(&arguments.study.study, &arguments.study.overrides)?;
    ensemble::check(&study).map_err(|error| Failure::of_run(error, &study))?;
    study.observables.extend(law::needs(&study));
    let outlook = Outlook::new(&study);
    if arguments.json {
        terminal::print_json(&outlook.json())?;
    } else {
        terminal::print(&outlook.text(&terminal::style()))?;
    }
    Ok(Outcome::AsExpected)
}

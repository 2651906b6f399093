//! `perrin check`: what would run, and what it would cost.

use std::time::Duration;

use super::outcome::{Failure, Outcome};
use super::{args, memory, terminal};
use crate::ensemble::{self, Trial};
use crate::law;
use crate::report::Outlook;
use crate::study::{self, Study};

/// The longest that all trials together take.
const TRIAL: Duration = Duration::from_millis(50);

/// A trial of a study's dynamics, where its record fits this machine.
pub(super) fn tried(study: &Study, outlook: Outlook<'_>) -> Result<Option<Trial>, Failure> {
    if memory::within(outlook.record()).is_err() {
        return Ok(None);
    }
    ensemble::trial(study, &study.observables, TRIAL).map(Some).map_err(|error| Failure::of_run(error, study))
}

/// Reads and resolves the study, and shows it; runs nothing but a trial.
pub(super) fn check(arguments: &args::Check) -> Result<Outcome, Failure> {
    let mut study = study::load(&arguments.study.study, &arguments.study.overrides)?;
    ensemble::check(&study).map_err(|error| Failure::of_run(error, &study))?;
    study.observables.extend(law::needs(&study));
    let outlook = Outlook::new(&study);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // What this machine cannot hold is not tried: another may.
    let trial = tried(&study, outlook)?;
    let outlook = trial.as_ref().map_or(outlook, |trial| outlook.with(trial, threads));
    if arguments.json {
        terminal::print_json(&outlook.json())?;
    } else {
        terminal::print(&outlook.text(&terminal::style()))?;
    }
    Ok(Outcome::AsExpected)
}

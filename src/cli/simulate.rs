//! From a study to its verdicts: what all commands that simulate have in common.

use std::sync::Arc;
use std::time::Duration;

use super::outcome::Failure;
use super::progress::Bar;
use super::{interrupt, memory};
use crate::ensemble::{self, Options, Record, Sink};
use crate::law::{self, ClaimResult};
use crate::report::Outlook;
use crate::study::Study;

/// Observables that the claims need beside the study's own; refuses a run that the machine cannot hold.
pub(super) fn prepare(study: &mut Study) -> Result<(), Failure> {
    study.observables.extend(law::needs(study));
    memory::within(Outlook::new(study).memory())
}

/// What judging may still take after Ctrl-C: verdicts that come at once are kept.
const PATIENCE: Duration = Duration::from_secs(1);

/// A study that was simulated and judged.
pub(super) struct Simulated {
    pub record: Arc<Record>,
    pub claims: Vec<ClaimResult>,
    /// Not all was done, or not all judged.
    pub interrupted: bool,
}

/// Simulates and judges.
pub(super) fn simulate(
    study: &Arc<Study>,
    threads: Option<u16>,
    progress: &Bar,
    sink: &mut dyn Sink,
) -> Result<Simulated, Failure> {
    let stop = interrupt::watch();
    let options = Options { threads: threads.map(usize::from), stop, progress, sink };
    let run = ensemble::run(study, &study.observables, options);
    progress.end();
    let record = Arc::new(run.map_err(|error| Failure::of_run(error, study))?);
    let (judged_study, judged_record) = (study.clone(), record.clone());
    let (mut claims, ended) =
        ensemble::aside(stop, PATIENCE, move |tell| law::judge_each(&judged_study, &judged_record, tell));
    claims.extend(law::unjudged(study, claims.len()));
    Ok(Simulated { interrupted: record.interrupted || !ended, record, claims })
}

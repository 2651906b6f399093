//! From a study to its verdicts: what all commands that simulate have in common.

use super::interrupt;
use super::outcome::Failure;
use super::progress::Bar;
use crate::ensemble::{self, Options, Record, Sink};
use crate::law::{self, ClaimResult};
use crate::report::{Outlook, bytes};
use crate::study::Study;

/// Observables that the claims need beside the study's own; refuses a run that the machine cannot hold.
pub(super) fn prepare(study: &mut Study) -> Result<(), Failure> {
    study.observables.extend(law::needs(study));
    within_memory(Outlook::new(study).memory())
}

/// Simulates and judges.
pub(super) fn simulate(
    study: &Study,
    threads: Option<u16>,
    progress: &Bar,
    sink: &mut dyn Sink,
) -> Result<(Record, Vec<ClaimResult>), Failure> {
    let options = Options { threads: threads.map(usize::from), stop: interrupt::watch(), progress, sink };
    let run = ensemble::run(study, &study.observables, options);
    progress.end();
    let record = run.map_err(|error| Failure::of_run(error, study))?;
    let claims = law::judge(study, &record);
    Ok((record, claims))
}

/// A run that the machine cannot hold is refused before it begins, where the machine says how much it has.
fn within_memory(needed: u64) -> Result<(), Failure> {
    match machine_memory() {
        Some(total) if needed > total => Err(Failure::run(
            format!("the run keeps {} in memory, this machine has {}", bytes(needed), bytes(total)),
            "lower `replicas`, `record` or `trajectories` in [run], or observe less",
        )),
        _ => Ok(()),
    }
}

/// Linux's word for it; elsewhere nothing is known.
fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_machine_has_is_refused() {
        assert!(within_memory(0).is_ok());
        if machine_memory().is_some() {
            assert_eq!(within_memory(u64::MAX).map_err(|f| f.code()), Err(3));
        }
    }
}

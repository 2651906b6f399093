//! `diverges`: every path of a law of motion is lost; and what divergence means for all other claims.
//!
//! A diverged replica makes a claim fail that is expected to hold. A control must fail for a reason of its own, which it has not shown where paths
//! are lost: it is undecided.

use super::measure::Run;
use super::settle::Settled;
use super::verdict::{Kind, Test, Verdict};
use crate::ensemble::record::{DynamicsRecord, Record};
use crate::study::{ClaimLaw, Study};

/// Judges the claim for one dynamics: the share of its replicas that diverged is 1.
pub(super) fn judge(run: &Run) -> Settled {
    let (lost, all) = (run.record.diverged.len(), run.record.replicas);
    let verdict = if lost == all { Verdict::Holds } else { Verdict::Fails };
    let test = Test {
        quantity: "share of replicas that diverged".to_owned(),
        measured: lost as f64 / all as f64,
        standard_error: 0.0,
        predicted: 1.0,
        tolerance: 0.0,
        p_value: f64::from(u8::from(lost == all)),
        kind: Kind::Exact,
        verdict,
        note: last(run.record).map(|step| format!("{lost} of {all}, the last by step {step}")),
    };
    Settled::of_tests(vec![test], None)
}

/// Step by which the last of the diverged replicas did.
fn last(record: &DynamicsRecord) -> Option<u64> {
    record.diverged.iter().map(|&(_, step)| step).max()
}

/// What becomes of a claim where replicas diverged, `words` saying which; it is `expected` to hold, or a control.
pub(super) fn of_divergence(words: &str, expected: bool) -> Settled {
    if expected {
        return Settled::without_tests(Verdict::Fails, words);
    }
    Settled::without_tests(
        Verdict::Undecided,
        format!("a control must fail for a reason of its own, which divergence is not: {words}"),
    )
}

/// `3 of 64 replicas of `sgd` diverged (replica 5 by step 120)`, if any did.
pub(super) fn words(name: &str, record: &DynamicsRecord) -> Option<String> {
    let &(replica, step) = record.diverged.first()?;
    let why = record.failure.as_ref().map_or_else(String::new, |(_, reason)| format!(": {reason}"));
    Some(format!(
        "{} of {} replicas of {name} diverged (replica {replica} by step {step}){why}",
        record.diverged.len(),
        record.replicas
    ))
}

/// Dynamics of which no replica is left, although no claim says so; in words.
pub fn lost(study: &Study, record: &Record) -> Vec<String> {
    let claimed =
        |name: &str| {
            study.claims.iter().filter(|c| c.expect_holds && matches!(c.law, ClaimLaw::Diverges)).any(
                |claim| claim.dynamics.iter().filter_map(|&d| study.dynamics.get(d)).any(|d| d.name == name),
            )
        };
    let gone = |d: &&DynamicsRecord| d.replicas > 0 && d.diverged.len() == d.replicas && !claimed(&d.name);
    record
        .dynamics
        .iter()
        .filter(gone)
        .map(|d| {
            let all = if d.replicas == 1 {
                "the one replica".to_owned()
            } else {
                format!("all {} replicas", d.replicas)
            };
            let why = d.failure.as_ref().map_or_else(String::new, |(_, reason)| format!(": {reason}"));
            format!("{all} of `{}` diverged, by step {}{why}", d.name, last(d).unwrap_or(0))
        })
        .collect()
}

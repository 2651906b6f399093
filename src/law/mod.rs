//! The laws that theory claims, and how they are judged: one file a claim.

pub mod lyapunov;
pub mod recursion;
pub mod verdict;

pub use verdict::{ClaimResult, Kind, Test, Verdict};

use crate::ensemble::record::Record;
use crate::study::{Observable, Study};

/// Hidden observables that the study's claims need beside those it names: to be appended to
/// [`Study::observables`] before the run. Calling it again afterwards returns nothing new.
pub fn needs(_study: &Study) -> Vec<Observable> {
    Vec::new()
}

/// Judges every claim of the study: a pure function of the study and what its run recorded.
/// One result for each claim and each of its dynamics, in file order.
pub fn judge(_study: &Study, _record: &Record) -> Vec<ClaimResult> {
    Vec::new()
}

//! Precision on demand: an ensemble that grows until a mean is known well enough, keeping every replica it has.
//!
//! Growth goes in steps of [`STEP`] replicas. A replica's path knows nothing of how many there are, and moments fold as they
//! would have in an ensemble of that size from the start: so the first R replicas are those of an ensemble of R, and the
//! grown one is bit by bit the one that would have been asked for outright. How far it grows is a function of the recorded
//! numbers alone.
//!
//! A rule that stops by the numbers biases them: where they are skewed, mean and standard error are correlated, by the skewness g, and what stops with a
//! small error tends to have a mean on one side. The bias is about g/√R standard errors, with R ≥ 512 no more than g/20 of one.

use super::record::DynamicsRecord;
use crate::stats::moments::Moments;
use crate::study::{Precision, PrecisionMean};

/// Replicas that an ensemble grows by, at least; a multiple of every block's.
pub const STEP: usize = 512;

/// Standard error of the mean that a precision names, the largest over components: from the scatter between replicas of the
/// time average after burn-in, or of the last value. NaN where a replica diverged, or where there is only one.
pub fn standard_error(precision: &Precision, record: &DynamicsRecord) -> f64 {
    let Some(observable) = record.observables.iter().find(|o| o.name == precision.observable) else {
        return f64::NAN;
    };
    let values = match precision.of {
        PrecisionMean::Stationary => &observable.stationary.mean,
        PrecisionMean::End => &observable.last,
    };
    let components = observable.components().max(1);
    let errors = (0..components)
        .map(|c| Moments::of(values.iter().skip(c).step_by(components).copied()).standard_error());
    errors.fold(0.0, |largest: f64, e| if e.is_nan() || largest.is_nan() { f64::NAN } else { largest.max(e) })
}

/// Replicas to begin with: as many as the study asks for, in whole steps.
pub(super) fn first(precision: &Precision, replicas: usize) -> usize {
    replicas.next_multiple_of(STEP).min(precision.most)
}

/// Replicas to go on to, if the precision is not reached and may be; a little more than the standard error asks for, at most
/// four times as many as there are, since that error is known by few at first.
pub(super) fn next(precision: &Precision, record: &DynamicsRecord) -> Option<usize> {
    let count = record.replicas;
    let error = standard_error(precision, record);
    // A diverged ensemble does not grow.
    if error.is_nan() || error <= precision.standard_error || count >= precision.most {
        return None;
    }
    let ratio = error / precision.standard_error;
    let wanted = (1.02 * count as f64 * ratio * ratio).min(4.0 * count as f64) as usize;
    Some(wanted.max(count + 1).next_multiple_of(STEP).min(precision.most))
}

#[cfg(test)]
mod tests {
    use super::super::record::ObservableRecord;
    use super::*;

    fn record(replicas: usize, spread: f64) -> DynamicsRecord {
        let last = (0..replicas).map(|r| if r % 2 == 0 { spread } else { -spread }).collect();
        let observable = ObservableRecord { name: "x".to_owned(), last, ..ObservableRecord::default() };
        DynamicsRecord { replicas, observables: vec![observable], ..DynamicsRecord::default() }
    }

    #[test]
    fn growth_goes_to_what_the_error_asks_for_and_ends() {
        let precision = Precision {
            observable: "x".to_owned(),
            standard_error: 0.02,
            of: PrecisionMean::End,
            most: 100_000,
        };
        assert_eq!((first(&precision, 100), first(&precision, 1 << 20)), (512, 100_000));
        // 1/√1024 = 0.031: 2.44 times as many.
        assert_eq!(next(&precision, &record(1024, 1.0)), Some(2560));
        assert_eq!(next(&precision, &record(1024, 10.0)), Some(4096));
        assert_eq!(next(&precision, &record(2560, 1.0)), None);
        assert_eq!(next(&precision, &record(1024, f64::NAN)), None);
        let capped = Precision { most: 1500, ..precision };
        assert_eq!(next(&capped, &record(1024, 1.0)), Some(1500));
        assert_eq!(next(&capped, &record(1500, 1.0)), None);
    }
}

//! `decay-rate`: an observable decays (or grows) exponentially, at a rate.
//!
//! The rate is minus the slope of the least-squares line through ln|x| against t, replica by replica; its error comes
//! from the scatter of the replicas' rates. This is the rate of a typical path, ⟨d ln|x|/dt⟩: that of the mean, d ln⟨x⟩/dt,
//! is another number where noise multiplies x, larger by half the growth rate of the variance of ln|x|.
//!
//! An x that is exactly 0 at an instant of the fit has no logarithm: the claim is undecided then. Changes of sign do no
//! harm to ln|x|, but are reported: an x that fluctuates about 0 does not decay.

use super::measure::{Run, certain, component_name, largest, strided};
use super::number::short;
use super::rounding::{NOTHING, Rounding, along_a_path};
use super::settle::{Question, Settled, settle};
use super::value::{values, width};
use super::verdict::Verdict;
use crate::ensemble::decay::{Line, NUMBERS, line};
use crate::ensemble::record::ObservableRecord;
use crate::model::formula::Expression;
use crate::stats::Estimate;
use crate::study::{ObservableKind, Tolerance};

/// Fewest instants of a fit.
const FEWEST: usize = 3;

/// What the claim says.
pub(super) struct DecayRate<'a> {
    pub observable: &'a str,
    pub fit: &'a str,
    pub value: &'a [Expression],
    pub share: (f64, f64),
    pub tolerance: Tolerance,
}

/// Judges the claim for one dynamics.
pub(super) fn judge(claim: &DecayRate, run: &Run, significance: f64) -> Settled {
    match questions(claim, run) {
        Ok(questions) => settle(questions, significance),
        Err(reason) => Settled::without_tests(Verdict::Undecided, reason),
    }
}

fn questions(claim: &DecayRate, run: &Run) -> Result<Vec<Question>, String> {
    let observable = run.observable(claim.observable)?;
    let fits = run.observable(claim.fit)?;
    let predicted = values(claim.value, run, observable)?;
    let (from, to) = claim.share;
    let instants = line(&run.record.times, from, to).instants.len();
    if instants < FEWEST {
        return Err(format!(
            "{instants} recorded instants lie between the shares {} and {} of the run: record more",
            short(from),
            short(to)
        ));
    }
    predicted
        .into_iter()
        .enumerate()
        .map(|(component, predicted)| question(claim, run, (observable, fits), component, predicted))
        .collect()
}

fn question(
    claim: &DecayRate,
    run: &Run,
    (observable, fits): (&ObservableRecord, &ObservableRecord),
    component: usize,
    predicted: f64,
) -> Result<Question, String> {
    let numbers = |which: usize| strided(&fits.last, NUMBERS * component + which, fits.components());
    let (rates, zeros, changes) = (numbers(0), numbers(1), numbers(2));
    let name = component_name(observable, component);
    let replicas = rates.len();
    let vanished = zeros.iter().filter(|z| **z > 0.0).count();
    if vanished > 0 {
        return Err(format!(
            "`{name}` is exactly 0 at a recorded instant in {vanished} of {replicas} replicas, where its logarithm has no \
             value: fit an earlier share of the run"
        ));
    }
    let crossing = changes.iter().filter(|c| **c > 0.0).count();
    Ok(Question {
        quantity: format!("decay rate of {name}"),
        estimate: certain(run, Estimate::of_sample(&rates)),
        prediction_error: 0.0,
        squared: None,
        predicted,
        tolerance: width(claim.tolerance, predicted),
        resolution: run.study.run.resolution
            * if predicted == 0.0 { deviation(&rates) } else { predicted.abs() },
        rounding: rounding(claim, run, observable, component),
        note: (crossing > 0).then(|| {
            format!("{name} changes its sign in {crossing} of {replicas} replicas: the fit is to ln|{name}|")
        }),
        doubt: None,
        averaged: false,
    })
}

/// Rounding of a fitted rate: of the logarithms that it sums up, what the steps until then can gather; and, unless the observable is a number of the
/// state itself, a share of the largest value ever seen, beside the smallest at each instant.
fn rounding(claim: &DecayRate, run: &Run, observable: &ObservableRecord, component: usize) -> Rounding {
    let (from, to) = claim.share;
    let Line { instants, weights } = line(&run.record.times, from, to);
    let of_state = run
        .study
        .observables
        .iter()
        .any(|o| o.name == observable.name && matches!(o.kind, ObservableKind::Parameter { .. }));
    let beside = NOTHING * largest(observable, component, 0..run.record.times.len());
    let components = observable.components().max(1);
    let mut sum = Rounding::default();
    for instant in instants {
        let steps = run.record.steps.get(instant).copied().unwrap_or(0);
        let own = along_a_path(&run.dynamics.law, steps);
        let smallest = observable
            .ensemble
            .get(instant * components + component)
            .map_or(0.0, |m| if m.min * m.max > 0.0 { m.min.abs().min(m.max.abs()) } else { 0.0 });
        let floor = if of_state || smallest == 0.0 { 0.0 } else { beside / smallest };
        sum = sum.plus(Rounding { own, floor }.times(weights[instant].abs()));
    }
    sum
}

/// Standard deviation.
fn deviation(values: &[f64]) -> f64 {
    let estimate = Estimate::of_sample(values);
    estimate.standard_error * estimate.units.sqrt()
}

//! `equals`: a statistic of an observable has a value.

use super::measure::{Keeps, Run, Watched, certain, component_name, instant, stationarity, window};
use super::number::short;
use super::settle::{Question, Settled, settle};
use super::value::{values, width};
use super::verdict::{Kind, Test, Verdict};
use crate::ensemble::record::ObservableRecord;
use crate::model::formula::Expression;
use crate::stats::Estimate;
use crate::study::{At, Statistic, Tolerance};

/// What the claim says.
pub(super) struct Equals<'a> {
    pub observable: &'a str,
    pub statistic: Statistic,
    pub at: At,
    pub value: &'a [Expression],
    pub tolerance: Tolerance,
}

/// Judges the claim for one dynamics.
pub(super) fn judge(claim: &Equals, run: &Run, significance: f64) -> Settled {
    let outcome = run.observable(claim.observable).and_then(|observable| {
        let predicted = values(claim.value, run, observable)?;
        match claim.statistic {
            Statistic::Minimum | Statistic::Maximum => extremes(claim, run, observable, &predicted),
            _ => moments(claim, run, observable, &predicted, significance),
        }
    });
    outcome.unwrap_or_else(|reason| Settled::without_tests(Verdict::Undecided, reason))
}

fn tolerance(claim: &Equals, predicted: f64) -> Option<f64> {
    width(claim.tolerance, predicted)
}

/// What was measured of one component.
struct Measured {
    estimate: Estimate,
    squared: Option<Estimate>,
    /// Standard deviation of the observable: an exact claim must be able to see a share of |predicted|, or of
    /// this (of its square, for squares) where the prediction is 0.
    deviation: f64,
}

/// Mean, variance, second moment and standard deviation.
fn moments(
    claim: &Equals,
    run: &Run,
    observable: &ObservableRecord,
    predicted: &[f64],
    significance: f64,
) -> Result<Settled, String> {
    let components = observable.components();
    let mut moving = None;
    let (measured, range, when, note): (Vec<Measured>, _, String, Option<String>) =
        if claim.at == At::Stationary {
            run.schedule_settled()?;
            let windows =
                (0..components).map(|c| window(run, observable, c)).collect::<Result<Vec<_>, String>>()?;
            let watched: Vec<Watched> = windows
                .iter()
                .enumerate()
                .map(|(component, window)| Watched {
                    name: component_name(observable, component),
                    window,
                    observable,
                    component,
                    keeps: keeps(claim),
                    allowance: drift_allowance(claim, predicted[component]),
                })
                .collect();
            moving = stationarity(run, &watched, significance)?;
            let measured = windows
                .iter()
                .map(|window| Measured {
                    estimate: match claim.statistic {
                        Statistic::Variance => window.variance(),
                        Statistic::SecondMoment => window.second_moment(),
                        Statistic::StandardDeviation => window.standard_deviation(),
                        _ => window.mean(),
                    },
                    squared: (claim.statistic == Statistic::StandardDeviation).then(|| window.variance()),
                    deviation: window.variance().value.max(0.0).sqrt(),
                })
                .collect();
            (measured, run.record.burn_in..run.record.times.len(), "stationary ".to_owned(), None)
        } else {
            let (index, when, note) = instant(run.record, claim.at).ok_or("nothing was recorded")?;
            let measured = (0..components)
                .map(|component| {
                    let moments = observable
                        .ensemble
                        .get(index * components + component)
                        .ok_or_else(|| format!("`{}` was not recorded {when}", claim.observable))?;
                    let variance = if moments.count < 2 && run.replicas_alike() {
                        Estimate::exact(0.0)
                    } else {
                        Estimate::variance_of(moments)
                    };
                    Ok(Measured {
                        estimate: match claim.statistic {
                            Statistic::Variance => variance,
                            Statistic::SecondMoment => Estimate::second_moment_of(moments),
                            Statistic::StandardDeviation => variance.sqrt(),
                            _ => Estimate::mean_of(moments),
                        },
                        squared: (claim.statistic == Statistic::StandardDeviation).then_some(variance),
                        deviation: variance.value.max(0.0).sqrt(),
                    })
                })
                .collect::<Result<Vec<_>, String>>()?;
            (measured, index..index + 1, when, note)
        };
    let name = claim.statistic.words();
    let questions = measured
        .into_iter()
        .enumerate()
        .map(|(component, measured)| {
            let shown = component_name(observable, component);
            let predicted = predicted[component];
            let rounding = run.rounding(observable, component, range.clone());
            let square = matches!(claim.statistic, Statistic::Variance | Statistic::SecondMoment);
            let rounding = match claim.statistic {
                Statistic::Variance => rounding.of_square(measured.deviation),
                Statistic::SecondMoment => rounding.of_square(measured.estimate.value.max(0.0).sqrt()),
                _ => rounding,
            };
            let reference = if predicted.abs() > rounding.floor {
                predicted.abs()
            } else if square {
                measured.deviation * measured.deviation
            } else {
                measured.deviation
            };
            Question {
                quantity: if claim.at == At::Stationary {
                    format!("{when}{name} of {shown}")
                } else {
                    format!("{name} of {shown} {when}")
                },
                estimate: certain(run, measured.estimate),
                prediction_error: 0.0,
                squared: measured.squared.map(|s| certain(run, s)),
                predicted,
                tolerance: tolerance(claim, predicted),
                resolution: run.study.run.resolution * reference,
                rounding,
                note: note.clone(),
                doubt: None,
                averaged: claim.at == At::Stationary,
            }
        })
        .collect();
    Ok(settle(questions, significance).but_moving(moving, 1.0))
}

/// For a mean within a tolerance, a variance that seems to move matters only if it surely does.
fn keeps(claim: &Equals) -> Keeps {
    match claim.statistic {
        Statistic::Mean if claim.tolerance != Tolerance::Exact => Keeps::Mean,
        Statistic::Variance | Statistic::StandardDeviation => Keeps::Square,
        _ => Keeps::Both,
    }
}

/// Drifts of a quarter of the tolerance (of the mean) do not keep a leading-order claim from being judged.
fn drift_allowance(claim: &Equals, predicted: f64) -> f64 {
    let Some(tolerance) = tolerance(claim, predicted) else { return 0.0 };
    match claim.statistic {
        Statistic::Variance | Statistic::SecondMoment => (0.25 * tolerance).sqrt(),
        _ => 0.25 * tolerance,
    }
}

/// Minimum and maximum over replicas (and over the window's instants). They have no standard error: with a
/// tolerance they are compared as they are. Exactly, a recorded extreme can refute a bound and can attain it;
/// one that stays short of the bound says nothing of what more replicas would reach, unless all are alike.
fn extremes(
    claim: &Equals,
    run: &Run,
    observable: &ObservableRecord,
    predicted: &[f64],
) -> Result<Settled, String> {
    let components = observable.components();
    let lowest = claim.statistic == Statistic::Minimum;
    let (range, when, note) = if claim.at == At::Stationary {
        (run.record.burn_in..run.record.times.len(), String::new(), None)
    } else {
        let (index, when, note) = instant(run.record, claim.at).ok_or("nothing was recorded")?;
        (index..index + 1, format!(" {when}"), note)
    };
    let prefix = if claim.at == At::Stationary { "stationary " } else { "" };
    let mut reason = None;
    let mut tests = Vec::with_capacity(components);
    for (component, &predicted) in predicted.iter().enumerate() {
        let at = |index: usize| observable.ensemble.get(index * components + component);
        let seen = range.clone().filter_map(at).filter(|m| m.count > 0);
        let measured = if lowest {
            seen.map(|m| m.min).fold(f64::INFINITY, f64::min)
        } else {
            seen.map(|m| m.max).fold(f64::NEG_INFINITY, f64::max)
        };
        if !measured.is_finite() {
            return Err(format!("no finite value of `{}` was recorded{when}", claim.observable));
        }
        let shown = component_name(observable, component);
        let quantity = format!("{prefix}{} of {shown}{when}", claim.statistic.words());
        let rounding = run.rounding(observable, component, range.clone()).most();
        let allowed = tolerance(claim, predicted);
        let beyond = if lowest { measured < predicted } else { measured > predicted };
        let deviation = (measured - predicted).abs();
        let verdict = match allowed.filter(|width| *width > 0.0) {
            Some(width) if deviation <= width && width >= rounding => Verdict::Holds,
            Some(width) if deviation > width + rounding => Verdict::Fails,
            Some(width) => {
                reason.get_or_insert(format!(
                    "{quantity}: a tolerance of {} is not told from what rounding can make, {}",
                    short(width),
                    short(rounding)
                ));
                Verdict::Undecided
            }
            None if deviation <= rounding => Verdict::Holds,
            None if beyond || run.replicas_alike() => Verdict::Fails,
            None => {
                reason.get_or_insert(format!(
                    "{quantity}: the recorded one, {}, stays short of {}; what more replicas would reach is not known",
                    short(measured),
                    short(predicted)
                ));
                Verdict::Undecided
            }
        };
        tests.push(Test {
            quantity,
            measured,
            standard_error: f64::NAN,
            predicted,
            tolerance: allowed.unwrap_or(rounding),
            p_value: f64::from(u8::from(verdict != Verdict::Fails)),
            kind: if allowed.is_some() { Kind::LeadingOrder } else { Kind::Exact },
            verdict,
            note: note.clone(),
        });
    }
    Ok(Settled::of_tests(tests, reason))
}

//! Reading a record: components of observables as estimates, windows and instants.

use std::borrow::Cow;
use std::ops::Range;

use super::number::short;
use super::rounding::{NOTHING, Rounding, along_a_path};
use crate::ensemble::record::{DynamicsRecord, ObservableRecord};
use crate::stats::Estimate;
use crate::stats::multiple::holm;
use crate::stats::window::{Stationarity, TimeAverages, Window, longer};
use crate::study::{At, Dynamics, Study};

/// One law of motion as it was studied and as it was recorded.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub study: &'a Study,
    pub dynamics: &'a Dynamics,
    pub record: &'a DynamicsRecord,
}

impl<'a> Run<'a> {
    /// The recorded observable of that name.
    pub fn observable(&self, name: &str) -> Result<&'a ObservableRecord, String> {
        self.record
            .observables
            .iter()
            .find(|o| o.name == name)
            .ok_or_else(|| format!("`{name}` was not recorded"))
    }

    /// Largest modulus of a component within the window of stationary averages.
    pub fn window_size(&self, observable: &ObservableRecord, component: usize) -> f64 {
        largest(observable, component, self.record.burn_in..self.record.times.len())
    }

    /// Rounding of a component's values within the window of stationary averages.
    pub fn window_rounding(&self, observable: &ObservableRecord, component: usize) -> Rounding {
        self.rounding(observable, component, self.record.burn_in..self.record.times.len())
    }

    /// Rounding of a component's values at the instants of `range`: of their own size what the steps until then can gather, or a share of the
    /// largest value ever seen.
    pub fn rounding(&self, observable: &ObservableRecord, component: usize, range: Range<usize>) -> Rounding {
        let last = range.end.saturating_sub(1).min(self.record.steps.len().saturating_sub(1));
        let steps = self.record.steps.get(last).copied().unwrap_or(0);
        Rounding {
            own: along_a_path(&self.dynamics.law, steps) * largest(observable, component, range),
            floor: NOTHING * largest(observable, component, 0..self.record.times.len()),
        }
    }

    /// True where every replica follows the same path: one of them says all.
    pub fn replicas_alike(&self) -> bool {
        self.dynamics.law.deterministic() && self.study.one_start()
    }

    /// Why there is no stationary average although there is a window: the rate, momentum or decay changes within it.
    pub fn schedule_settled(&self) -> Result<(), String> {
        let Some(training) = &self.dynamics.training else { return Ok(()) };
        let (last_change, what) = training.last_change();
        match self.record.steps.get(self.record.burn_in) {
            Some(&first) if first < last_change => Err(format!(
                "the {what} still changes at step {last_change}, within the window of stationary averages that starts at \
                 step {first}: run longer or raise burn_in"
            )),
            _ => Ok(()),
        }
    }
}

/// `w`, `w[2]`, `W[1,0]`.
pub(super) fn component_name(observable: &ObservableRecord, component: usize) -> String {
    match observable.shape.as_slice() {
        [] => observable.name.clone(),
        [_] => format!("{}[{component}]", observable.name),
        [.., columns] => format!("{}[{},{}]", observable.name, component / columns, component % columns),
    }
}

/// Largest modulus of a component over replicas and the instants of `range`.
pub(super) fn largest(observable: &ObservableRecord, component: usize, range: Range<usize>) -> f64 {
    let components = observable.components().max(1);
    range
        .filter_map(|index| observable.ensemble.get(index * components + component))
        .filter(|m| m.count > 0)
        .map(|m| m.min.abs().max(m.max.abs()))
        .fold(0.0, f64::max)
}

/// Relative difference of times that counts as rounding.
const SAME_TIME: f64 = 1e-9;

/// Index of the instant and how to speak of it; a time that was not recorded is replaced by the nearest one.
pub(super) fn instant(record: &DynamicsRecord, at: At) -> Option<(usize, String, Option<String>)> {
    let last = record.times.len().checked_sub(1)?;
    match at {
        At::Start => Some((0, "at the start".to_owned(), None)),
        At::End | At::Stationary => Some((last, "at the end".to_owned(), None)),
        At::Time(time) => {
            let distance = |index: &usize| (record.times[*index] - time).abs();
            let nearest = (0..=last).min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
            let found = record.times[nearest];
            let note = (distance(&nearest) > SAME_TIME * time.abs()).then(|| {
                format!("t = {} was not recorded; the nearest instant is {}", short(time), short(found))
            });
            Some((nearest, format!("at t = {}", short(found)), note))
        }
    }
}

/// The window after burn-in of one component: replicas as units, or batches of the kept path of a lone replica.
pub(super) fn window<'a>(
    run: &Run,
    observable: &'a ObservableRecord,
    component: usize,
) -> Result<Window, String> {
    let components = observable.components().max(1);
    let record = run.record;
    if record.replicas == 1 && !run.replicas_alike() {
        if record.kept == 0 || observable.trajectories.is_empty() {
            return Err("one replica without a kept path has no standard error: keep its path (run.trajectories = 1) \
                        or run more replicas"
                .to_owned());
        }
        // The first kept path; its instants are the first in the array.
        let path: Vec<f64> = observable
            .trajectories
            .iter()
            .take(record.times.len() * components)
            .skip(record.burn_in * components + component)
            .step_by(components)
            .copied()
            .collect();
        return Window::of_path(&path);
    }
    let stationary = &observable.stationary;
    let pick = |values: &'a [f64]| -> Cow<'a, [f64]> {
        if components == 1 { Cow::Borrowed(values) } else { strided(values, component, components).into() }
    };
    let averages = TimeAverages {
        instants: stationary.instants,
        mean: pick(&stationary.mean),
        variance: pick(&stationary.variance),
        first_mean: pick(&stationary.first_mean),
        first_variance: pick(&stationary.first_variance),
        second_mean: pick(&stationary.second_mean),
        second_variance: pick(&stationary.second_variance),
    };
    Window::of_replicas(&averages)
}

/// An estimate of replicas that are all alike has no error even if there is only one.
pub(super) fn certain(run: &Run, estimate: Estimate) -> Estimate {
    if estimate.standard_error.is_nan() && run.replicas_alike() {
        Estimate { standard_error: 0.0, ..estimate }
    } else {
        estimate
    }
}

/// A window with what is needed to say why it is not stationary.
pub(super) struct Watched<'a> {
    /// For messages.
    pub name: String,
    pub window: &'a Window,
    pub observable: &'a ObservableRecord,
    pub component: usize,
    /// What of it must be stationary.
    pub keeps: Keeps,
    /// Drifts as small as this do not matter (a share of a stated tolerance); 0 for exact claims.
    pub allowance: f64,
}

/// What of an observable a claim needs to be stationary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// The mean: a variance that moves (or has no finite scatter) does not matter.
    MeanAlone,
    /// The mean, within the allowance: a variance that moves by what may be chance does not matter.
    Mean,
    /// The mean square about the mean: where the mean moves, that counts by its square.
    Square,
    /// Mean and variance.
    Both,
}

/// Why windows may not be stationary, where chance may be all there is to it.
#[derive(Clone, Debug)]
pub(super) struct Unsteady {
    pub reason: String,
    /// How far what moves may have led astray what the window measures, in standard errors of that.
    pub reach: f64,
}

/// Below this probability a window moves, whatever else was looked at; above it, one window of thousands does by chance.
const SURELY: f64 = 1e-6;

/// An exponential approach of rate 1/τ leaves the mean of a window of length T off by ½ coth(T/4τ) times the difference of its halves:
/// by this where T = 2τ, by less in longer windows.
const LEFT: f64 = 1.1;

/// Standard errors by which the halves may differ more than was measured.
const HIDDEN: f64 = 3.0;

/// Whether windows are stationary, together at level `significance`: what speaks against it, if something does that may still be
/// chance.
///
/// # Errors
/// Where they surely are not: a sentence that names the worst one and how much longer to run.
pub(super) fn stationarity(
    run: &Run,
    watched: &[Watched],
    significance: f64,
) -> Result<Option<Unsteady>, String> {
    let judged: Vec<Stationarity> = watched
        .iter()
        .map(|w| w.window.stationarity(significance, run.window_rounding(w.observable, w.component).most()))
        .collect();
    let p_value = |(w, s): (&Watched, &Stationarity)| {
        let rounding = run.window_rounding(w.observable, w.component).most();
        if w.keeps == Keeps::MeanAlone && s.drift.standard_error > rounding {
            s.drift.p_value(0.0, 0.0)
        } else {
            s.p_value
        }
    };
    let adjusted = holm(&watched.iter().zip(&judged).map(p_value).collect::<Vec<_>>());
    let sure = SURELY.min(significance);
    let moved: Vec<usize> = (0..watched.len())
        .filter(|&i| adjusted[i] <= significance)
        .filter(|&i| !negligible(&judged[i], &watched[i], significance, adjusted[i] <= sure))
        .collect();
    let worst = moved.iter().copied().min_by(|&a, &b| adjusted[a].total_cmp(&adjusted[b]));
    let moving = worst.map(|worst| Unsteady {
        reason: moving(run, &watched[worst], &judged[worst], adjusted[worst]),
        reach: moved.iter().map(|&i| reach(&watched[i], &judged[i])).fold(0.0, f64::max),
    });
    if let (Some(worst), Some(moving)) = (worst, &moving)
        && adjusted[worst] <= sure
    {
        return Err(moving.reason.clone());
    }
    if let Some((w, verdict)) = watched.iter().zip(&judged).find(|(_, verdict)| verdict.apart) {
        return Err(format!(
            "`{}` is not stationary: the replicas keep to places of their own (R̂ = {}); run longer, or start them \
             from one well",
            w.name,
            short(verdict.r_hat)
        ));
    }
    Ok(moving)
}

/// The drift is shown to be smaller than the allowance.
fn negligible(verdict: &Stationarity, watched: &Watched, significance: f64, surely: bool) -> bool {
    let allowance = watched.allowance;
    let drift = &verdict.drift;
    let spread = &verdict.spread;
    let of_mean = match watched.keeps {
        Keeps::MeanAlone => true,
        Keeps::Mean => !surely,
        Keeps::Square | Keeps::Both => false,
    };
    allowance > 0.0
        && drift.equivalence_p_value(0.0, allowance) <= significance
        && (of_mean || spread.equivalence_p_value(0.0, allowance * allowance) <= significance)
}

/// Above this probability the mean, or the mean square, is not what moves.
const STILL: f64 = 0.01;

/// How far what a window measures may be from its stationary value, in standard errors of its own.
fn reach(watched: &Watched, verdict: &Stationarity) -> f64 {
    let motion = |moved: &Estimate| LEFT * (moved.value.abs() + HIDDEN * moved.standard_error);
    let in_errors = |motion: f64, measured: &Estimate| {
        let reach = motion / measured.standard_error;
        if reach.is_nan() { f64::INFINITY } else { reach }
    };
    let mean = watched.window.mean();
    let about = watched.window.about(mean.value);
    let of_mean = match watched.keeps {
        Keeps::Square => in_errors(motion(&verdict.drift).powi(2), &about),
        _ => in_errors(motion(&verdict.drift), &mean),
    };
    if watched.keeps == Keeps::MeanAlone {
        return of_mean;
    }
    let of_square = in_errors(motion(&verdict.spread), &about);
    // One of the two moves; the other counts if it may do so too.
    match (verdict.drift.p_value(0.0, 0.0) <= STILL, verdict.spread.p_value(0.0, 0.0) <= STILL) {
        (true, false) => of_mean,
        (false, true) => of_square,
        _ => of_mean.max(of_square),
    }
}

fn moving(run: &Run, watched: &Watched, verdict: &Stationarity, p_value: f64) -> String {
    let record = run.record;
    let end = record.times.last().copied().unwrap_or(0.0);
    let burn_in =
        if end > 0.0 { record.times.get(record.burn_in).copied().unwrap_or(0.0) / end } else { 0.0 };
    let components = watched.observable.components().max(1);
    let average = |values: &[f64]| {
        let picked: Vec<f64> = values.iter().skip(watched.component).step_by(components).copied().collect();
        picked.iter().sum::<f64>() / picked.len() as f64
    };
    let start = watched.observable.ensemble.get(watched.component).map_or(f64::NAN, |m| m.mean);
    let stationary = &watched.observable.stationary;
    let by_mean = watched.keeps == Keeps::MeanAlone
        || verdict.drift.p_value(0.0, 0.0) <= verdict.spread.p_value(0.0, 0.0)
        || verdict.drift.standard_error == 0.0;
    let (what, drift) = if by_mean { ("mean", &verdict.drift) } else { ("variance", &verdict.spread) };
    // What the standard error of the drift hides, or rounding where there is none.
    let hidden = drift.standard_error.max(run.window_rounding(watched.observable, watched.component).most());
    let factor = by_mean
        .then(|| {
            longer(start, average(&stationary.first_mean), average(&stationary.second_mean), burn_in, hidden)
        })
        .flatten();
    let advice = match factor {
        Some(factor) => format!("run about {} times as long", short((10.0 * factor).ceil() / 10.0)),
        None => "run several times as long".to_owned(),
    };
    format!(
        "`{}` is not stationary: its {what} moves by {} ± {} from the first half of the window to the second (p = {}); \
         {advice}",
        watched.name,
        short(drift.value),
        short(drift.standard_error),
        short(p_value)
    )
}

/// Stationary averages of one component, for tables and JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct StationarySummary {
    /// Mean over time and replicas.
    pub mean: f64,
    /// Its standard error, from the scatter between replicas (NaN where it cannot be had).
    pub standard_error: f64,
    /// Variance over time and replicas.
    pub variance: f64,
    /// Its standard error.
    pub variance_standard_error: f64,
    /// Effective number of independent samples.
    pub effective_samples: f64,
    /// R̂ of the replicas' halves.
    pub r_hat: f64,
    /// Stationarity has been reached as far as the data can tell.
    pub reached: bool,
}

/// Stationary averages of every component of an observable; empty where no instant lies after burn-in.
pub fn stationary_summary(
    study: &Study,
    dynamics: &Dynamics,
    record: &DynamicsRecord,
    observable: &ObservableRecord,
) -> Vec<StationarySummary> {
    let run = Run { study, dynamics, record };
    let significance = study.run.significance;
    (0..observable.components())
        .filter_map(|component| {
            let stationary = &observable.stationary;
            let Ok(window) = window(&run, observable, component) else {
                // Too short to judge, but the numbers themselves exist.
                let mean =
                    Estimate::of_sample(&strided(&stationary.mean, component, observable.components()));
                let within =
                    Estimate::of_sample(&strided(&stationary.variance, component, observable.components()));
                return mean.value.is_finite().then_some(StationarySummary {
                    mean: mean.value,
                    standard_error: mean.standard_error,
                    variance: within.value,
                    variance_standard_error: f64::NAN,
                    effective_samples: f64::NAN,
                    r_hat: f64::NAN,
                    reached: false,
                });
            };
            let verdict =
                window.stationarity(significance, run.window_rounding(observable, component).most());
            let (mean, variance) = (certain(&run, window.mean()), certain(&run, window.variance()));
            Some(StationarySummary {
                mean: mean.value,
                standard_error: mean.standard_error,
                variance: variance.value,
                variance_standard_error: variance.standard_error,
                effective_samples: window.effective_samples(),
                r_hat: verdict.r_hat,
                reached: verdict.reached && run.schedule_settled().is_ok(),
            })
        })
        .collect()
}

pub(super) fn strided(values: &[f64], component: usize, components: usize) -> Vec<f64> {
    values.iter().skip(component).step_by(components.max(1)).copied().collect()
}

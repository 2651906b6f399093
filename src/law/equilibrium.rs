//! `equilibrium`: two motions in their stationary states, side by side.
//!
//! Measured are the difference of their means and the ratio of their variances over the window, and Kolmogorov and Smirnov's and
//! Wasserstein's distance of their last values, one a replica. Replicas of the same number may share random numbers, so all
//! errors come from pairs: of the ratio R = A/B from the scatter of `a_r` − R·`b_r` (Fieller 1954), of the distances from
//! resampled pairs.
//!
//! With a `variance_ratio` the ratio is judged; with `same` the means, the variances and the distance of Kolmogorov and Smirnov
//! are. What nothing is claimed of is reported only.

use super::measure::{Keeps, Run, Unsteady, Watched, component_name, stationarity, window};
use super::number::short;
use super::rounding::Rounding;
use super::settle::{Question, Settled, settle};
use super::value::evaluate;
use super::verdict::{Kind, Test, Verdict};
use crate::ensemble::record::ObservableRecord;
use crate::model::formula::Expression;
use crate::stats::bootstrap::{Resampled, distances};
use crate::stats::kolmogorov::{p_value, quantile};
use crate::stats::{Estimate, Window};
use crate::study::Dynamics;

/// A shift by one standard deviation changes a normal distribution function by as much, for small shifts.
const DISTANCE_A_DEVIATION: f64 = 0.4;

/// What the claim says.
pub(super) struct Equilibrium<'a> {
    pub observable: &'a str,
    /// The first's variance over the second's.
    pub ratio: Option<&'a Expression>,
    pub same: bool,
    pub tolerance: Option<f64>,
}

/// Judges the claim for the two motions.
pub(super) fn judge(claim: &Equilibrium, first: &Run, second: &Run, significance: f64) -> Settled {
    match attempt(claim, first, second, significance) {
        Ok(settled) => settled,
        Err(reason) => Settled::without_tests(Verdict::Undecided, reason),
    }
}

fn attempt(claim: &Equilibrium, first: &Run, second: &Run, significance: f64) -> Result<Settled, String> {
    let sides = [Side::new(claim, first)?, Side::new(claim, second)?];
    let mut moving = None;
    for side in &sides {
        let here = side.stationarity(significance)?;
        moving = [moving, here].into_iter().flatten().max_by(|a, b| a.reach.total_cmp(&b.reach));
    }
    let ratio = match claim.ratio {
        Some(formula) => Some(evaluate(formula, first)?),
        None => None,
    };
    let components = sides[0].observable.components();
    let mut questions = Vec::new();
    let mut reported = Vec::new();
    let mut distributions = Vec::new();
    for component in 0..components {
        let pair = Pair::new(claim, &sides, component);
        let predicted = ratio.as_ref().map(|r| r[component.min(r.len() - 1)]);
        let mean = pair.mean_difference();
        if claim.same {
            questions.push(mean);
        } else {
            reported.push(unclaimed(&mean));
        }
        match predicted.or(claim.same.then_some(1.0)) {
            Some(predicted) => questions.push(pair.variance_ratio(Some(predicted))),
            None => reported.push(unclaimed(&pair.variance_ratio(None))),
        }
        let [ks, wasserstein] = pair.distances();
        let judged = claim.same && claim.tolerance.is_none();
        if judged {
            distributions.push((pair.name.clone(), ks, pair.count));
        } else {
            reported.push(distance_test("Kolmogorov–Smirnov", &pair.name, ks));
        }
        reported.push(distance_test("Wasserstein-1", &pair.name, wasserstein));
    }
    // The level is shared between what is settled together and the distances.
    let all = (questions.len() + distributions.len()).max(1) as f64;
    let share = questions.len() as f64 / all;
    let mut settled = if questions.is_empty() {
        Settled::of_tests(Vec::new(), None)
    } else {
        settle(questions, significance * share)
    };
    let mut reason = settled.reason.take();
    let mut tests = settled.tests;
    for (name, ks, count) in distributions {
        let resolution = DISTANCE_A_DEVIATION * first.study.run.resolution;
        tests.push(judged_distance(&name, ks, count, significance / all, resolution, &mut reason));
    }
    tests.extend(reported);
    Ok(Settled::of_tests(tests, reason).but_moving(moving, 1.0))
}

/// One motion.
struct Side<'a> {
    run: Run<'a>,
    observable: &'a ObservableRecord,
    windows: Vec<Window>,
}

impl<'a> Side<'a> {
    fn new(claim: &Equilibrium, run: &Run<'a>) -> Result<Self, String> {
        let here = |reason: String| format!("{}: {reason}", run.dynamics.name);
        run.schedule_settled().map_err(here)?;
        let observable = run.observable(claim.observable)?;
        let windows = (0..observable.components())
            .map(|c| window(run, observable, c))
            .collect::<Result<Vec<_>, String>>()
            .map_err(here)?;
        Ok(Self { run: *run, observable, windows })
    }

    fn stationarity(&self, significance: f64) -> Result<Option<Unsteady>, String> {
        let watched: Vec<Watched> = self
            .windows
            .iter()
            .enumerate()
            .map(|(component, window)| Watched {
                name: component_name(self.observable, component),
                window,
                observable: self.observable,
                component,
                keeps: Keeps::Both,
                allowance: 0.0,
            })
            .collect();
        let here = |reason| format!("{}: {reason}", self.run.dynamics.name);
        let moving = stationarity(&self.run, &watched, significance).map_err(here)?;
        Ok(moving.map(|m| Unsteady { reason: here(m.reason), ..m }))
    }

    fn last(&self, component: usize) -> Vec<f64> {
        super::measure::strided(&self.observable.last, component, self.observable.components())
    }
}

/// One component of both.
struct Pair<'a> {
    name: String,
    names: (&'a Dynamics, &'a Dynamics),
    first: &'a Window,
    second: &'a Window,
    last: [Vec<f64>; 2],
    /// Of the pairs.
    count: f64,
    roundings: [Rounding; 2],
    tolerance: Option<f64>,
    resolution: f64,
    seed: u64,
}

impl<'a> Pair<'a> {
    fn new(claim: &Equilibrium, sides: &'a [Side<'a>; 2], component: usize) -> Self {
        let [first, second] = sides;
        let mut last = [first.last(component), second.last(component)];
        let pairs = last[0].len().min(last[1].len());
        for list in &mut last {
            list.truncate(pairs);
        }
        Self {
            name: component_name(first.observable, component),
            names: (first.run.dynamics, second.run.dynamics),
            first: &first.windows[component],
            second: &second.windows[component],
            last,
            count: pairs as f64,
            roundings: sides.each_ref().map(|s| s.run.window_rounding(s.observable, component)),
            tolerance: claim.tolerance,
            resolution: first.run.study.run.resolution,
            seed: first.run.study.run.seed,
        }
    }

    fn question(&self, quantity: String, estimate: Estimate, predicted: f64, scale: f64) -> Question {
        Question {
            quantity,
            estimate,
            prediction_error: 0.0,
            squared: None,
            predicted,
            tolerance: self.tolerance.map(|t| t * scale),
            resolution: self.resolution * scale,
            rounding: self.roundings[0].plus(self.roundings[1]),
            note: None,
            doubt: None,
            averaged: true,
        }
    }

    /// Against 0, in units of the second's standard deviation.
    fn mean_difference(&self) -> Question {
        let difference: Vec<f64> =
            self.first.means().iter().zip(self.second.means()).map(|(a, b)| a - b).collect();
        let deviation = self.second.variance().value.max(0.0).sqrt();
        let quantity = format!("mean of {}, {} − {}", self.name, self.names.0.name, self.names.1.name);
        self.question(quantity, Estimate::of_sample(&difference), 0.0, deviation)
    }

    /// Against a predicted ratio; the error is that at the prediction, or at the measured ratio without one.
    fn variance_ratio(&self, predicted: Option<f64>) -> Question {
        let (a, b) = (self.first.variance().value, self.second.variance().value);
        let ratio = a / b;
        let at = predicted.unwrap_or(ratio);
        let squares = |window: &Window| window.squares_about(window.mean().value);
        let scatter: Vec<f64> =
            squares(self.first).iter().zip(squares(self.second)).map(|(a, b)| (a - at * b) / at).collect();
        let of_scatter = Estimate::of_sample(&scatter);
        let estimate =
            Estimate { value: ratio, standard_error: of_scatter.standard_error * at / b, ..of_scatter };
        let quantity = format!("variance of {}, {} / {}", self.name, self.names.0.name, self.names.1.name);
        let relative = |rounding: Rounding, variance: f64| {
            rounding.of_square(variance.max(0.0).sqrt()).times(ratio / variance)
        };
        Question {
            rounding: relative(self.roundings[0], a).plus(relative(self.roundings[1], b)),
            ..self.question(quantity, estimate, at, at.abs())
        }
    }

    fn distances(&self) -> [Resampled; 2] {
        distances(&self.last[0], &self.last[1], self.seed)
    }
}

/// Measured, and nothing more.
fn unclaimed(question: &Question) -> Test {
    Test {
        quantity: question.quantity.clone(),
        measured: question.estimate.value,
        standard_error: question.estimate.standard_error,
        predicted: f64::NAN,
        tolerance: 0.0,
        p_value: f64::NAN,
        kind: Kind::Exact,
        verdict: Verdict::Holds,
        note: Some("reported only".to_owned()),
    }
}

fn distance_test(kind: &str, name: &str, found: Resampled) -> Test {
    Test {
        quantity: format!("{kind} distance of {name}"),
        measured: found.value,
        standard_error: found.standard_error,
        predicted: f64::NAN,
        tolerance: 0.0,
        p_value: f64::NAN,
        kind: Kind::Exact,
        verdict: Verdict::Holds,
        note: Some(format!("reported only; {}", interval(found))),
    }
}

fn interval(found: Resampled) -> String {
    format!("95 % from {} to {}", short(found.interval.0), short(found.interval.1))
}

/// The same law, tested by the distance; it holds if a distance of `resolution` would have been seen.
fn judged_distance(
    name: &str,
    found: Resampled,
    count: f64,
    significance: f64,
    resolution: f64,
    reason: &mut Option<String>,
) -> Test {
    let effective = 0.5 * count;
    let p = p_value(found.value, effective);
    let detectable = quantile(significance, effective) + 1.28 * 0.5 / effective.sqrt();
    let verdict = if p <= significance {
        Verdict::Fails
    } else if detectable <= resolution {
        Verdict::Holds
    } else {
        let needed = super::number::round_up(count * (detectable / resolution).powi(2));
        reason.get_or_insert(format!(
            "a Kolmogorov–Smirnov distance of {} would not be seen reliably, only one of {}; about {needed} replicas (now \
             {count}) would tell",
            short(resolution),
            short(detectable)
        ));
        Verdict::Undecided
    };
    Test {
        quantity: format!("Kolmogorov–Smirnov distance of {name}"),
        measured: found.value,
        standard_error: found.standard_error,
        predicted: 0.0,
        tolerance: 0.0,
        p_value: p,
        kind: Kind::Exact,
        verdict,
        note: Some(interval(found)),
    }
}

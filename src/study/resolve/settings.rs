//! `rate batch decay momentum` as names of formulas: numbers of each dynamics, for claims; and of all together, for the
//! formulas that all share ([loss], [data], [observe]), where each has one value.

use super::dynamics::Motions;
use super::names::{Broken, Unsettled};
use super::{Constants, Kind, number};
use crate::dynamics::{Law, Schedule, Training};
use crate::study::clock::{Clock, Pace};

/// The names with their values; of a rate that changes, the last.
pub fn settings(training: Option<&Training>) -> [(&'static str, f64); 4] {
    [
        ("rate", training.map_or(1.0, |t| t.rate.last())),
        ("batch", training.map_or(1.0, |t| t.batch as f64)),
        ("decay", training.map_or(0.0, |t| t.decay.force())),
        ("momentum", training.map_or(0.0, |t| t.momentum)),
    ]
}

/// Adds the names to what formulas know that all runs of a loss share: with the values of [training], and a warning where
/// a dynamics has another one; a rate that changes there has no value to take.
pub fn share(motions: &Motions, kind: Option<Kind>, constants: &mut Constants, names: &mut Broken) {
    if kind != Some(Kind::Loss) {
        return;
    }
    let runs: Vec<(&str, &Training)> =
        motions.list.iter().filter_map(|m| Some((m.name.as_str(), m.training.as_ref()?))).collect();
    let of_all = motions.shared.as_ref().or(runs.first().map(|(_, training)| *training));
    for (index, (name, value)) in settings(of_all).into_iter().enumerate() {
        if name == "rate" && of_all.is_some_and(|t| t.rate.pieces.len() > 1) {
            names.unsettled.push(Unsettled {
                message: "`rate` changes during the run, and here it has one value".to_owned(),
                help: "put the value that is meant into [constants] under another name; `value` of a claim knows the last \
                       `rate` of its dynamics"
                    .to_owned(),
                name,
            });
            continue;
        }
        constants.insert(name.to_owned(), number(value));
        let differs = |training: &Training| {
            settings(Some(training))[index].1 != value || (name == "rate" && training.rate.pieces.len() > 1)
        };
        let Some((run, training)) = runs.iter().find(|(_, training)| differs(training)) else { continue };
        let own = if name == "rate" && training.rate.pieces.len() > 1 {
            "one that changes".to_owned()
        } else {
            settings(Some(training))[index].1.to_string()
        };
        let there = format!("is {value} in formulas that all dynamics share; `{run}` has {own}");
        names.shared.push((name, format!("`{name}` {there}")));
        if name == "decay" {
            names.shared.push(("objective", format!("the decay of `objective` {there}")));
        }
    }
}

/// A dynamics that ends elsewhere than the run by less than this share of it, because its rate does not divide the time, is not spoken of.
const WORTH_SAYING: f64 = 1e-3;

/// Leaves out the pieces of schedules that begin when the run is over, and says so, once a schedule; and which steps end
/// elsewhere than the run.
pub fn end(motions: &mut Motions, clock: &mut Clock) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut seen: Vec<Schedule> = Vec::new();
    let whole = clock.clone();
    for motion in &mut motions.list {
        let steps = whole.steps_of(motion.pace());
        if let Law::Integrated { dt, .. } = motion.law
            && (steps as f64 * dt - whole.time).abs() > 1e-9 * whole.time
        {
            let reached = (steps as f64 * dt * 1e9).round() / 1e9;
            warnings.push(format!(
                "`{}` runs to t = {reached}, not {}: its dt of {dt} does not divide the time",
                motion.name, whole.time
            ));
        }
        if let Pace::Schedule(own) = motion.pace()
            && (own.time(steps) - whole.time).abs() > WORTH_SAYING * whole.time
        {
            let reached = (own.time(steps) * 1e9).round() / 1e9;
            warnings.push(format!(
                "`{}` runs to t = {reached}, not {}: its rate does not divide the time",
                motion.name, whole.time
            ));
        }
        let Some(training) = &mut motion.training else { continue };
        let written = training.rate.clone();
        let Some((step, rate)) = training.rate.end_at(steps) else { continue };
        if seen.contains(&written) {
            continue;
        }
        let shared = whole.steps.as_ref().is_some_and(|(schedule, _)| *schedule == written);
        let whose = if shared { "[training]".to_owned() } else { format!("`{}`", motion.name) };
        warnings.push(format!(
            "the rate of {whose} would be {rate} from step {step} on, and the run has {steps} steps"
        ));
        seen.push(written);
    }
    if let Some((schedule, steps)) = &mut clock.steps {
        schedule.end_at(*steps);
        motions.base = Some(schedule.clone());
        if let Some(shared) = &mut motions.shared {
            shared.rate = schedule.clone();
        }
    }
    warnings
}

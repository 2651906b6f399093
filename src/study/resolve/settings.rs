//! `rate batch decay momentum` as names of formulas: numbers of each dynamics, for claims; and of all together, for the
//! formulas that all share ([loss], [data], [observe]), where each has one value.

use super::dynamics::Motions;
use super::names::{Broken, Unsettled};
use super::{Constants, Kind, number};
use crate::dynamics::{Law, Schedule, Training};
use crate::study::clock::Clock;

/// The names with their values; of a rate that changes, the last.
pub fn settings(training: Option<&Training>) -> [(&'static str, f64); 4] {
    [
        ("rate", training.map_or(1.0, |t| t.rate.last())),
        ("batch", training.map_or(1.0, |t| t.batch as f64)),
        ("decay", training.map_or(0.0, |t| t.decay.force())),
        ("momentum", training.map_or(0.0, |t| t.momentum)),
    ]
}

/// Adds the names that have one value in all runs of a loss; the others, and `objective` with a decay among them, are
/// told apart.
pub fn share(motions: &Motions, kind: Option<Kind>, constants: &mut Constants, names: &mut Broken) {
    if kind != Some(Kind::Loss) {
        return;
    }
    let runs: Vec<(&str, &Training)> =
        motions.list.iter().filter_map(|m| Some((m.name.as_str(), m.training.as_ref()?))).collect();
    let first = runs.first().map(|(_, training)| *training).or(motions.shared.as_ref());
    for (index, (name, value)) in settings(first).into_iter().enumerate() {
        let own = |training: &Training| settings(Some(training))[index].1;
        let changing = runs.iter().find(|(_, t)| name == "rate" && t.rate.pieces.len() > 1);
        let other = runs.iter().find(|(_, t)| own(t) != value).zip(runs.first());
        let why = match (changing, other) {
            (Some((run, _)), _) => format!("changes during the run of `{run}`, and here it has one value"),
            (None, Some(((run, training), (first, _)))) => {
                format!(
                    "is {value} for `{first}` and {} for `{run}`, and here it has one value",
                    own(training)
                )
            }
            (None, None) => {
                constants.insert(name.to_owned(), number(value));
                continue;
            }
        };
        names.unsettled.push(Unsettled {
            message: format!("`{name}` {why}"),
            help: format!(
                "put the value that is meant into [constants] under another name; `value` of a claim knows the \
                 `{name}` of its dynamics{}",
                if name == "rate" { ", the last where it changes" } else { "" }
            ),
            name,
        });
        if name == "decay" {
            names.unsettled.push(Unsettled {
                message: format!("the decay of `objective` {why}"),
                help: "write it out, as loss + 0.5*lambda*norm2(w), with the decay that is meant".to_owned(),
                name: "objective",
            });
        }
    }
}

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

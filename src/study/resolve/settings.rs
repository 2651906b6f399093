//! `rate batch decay momentum` as names of formulas: numbers of each dynamics, for claims; and of all together, for the
//! formulas that all share ([loss], [data], [observe]), where each has one value.

use super::dynamics::Motions;
use super::names::{Broken, Unsettled};
use super::{Constants, Kind, number};
use crate::dynamics::{Decay, Law, Schedule, Training};
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
        if of_all.is_some_and(|t| changes(t, name)) {
            let mut unsettled = |name: &'static str, what: &str| {
                names.unsettled.push(Unsettled {
                    message: format!("{what} changes during the run, and here it has one value"),
                    help: format!(
                        "put the value that is meant into [constants] under another name; `value` of a claim knows the last \
                         `{name}` of its dynamics"
                    ),
                    name,
                });
            };
            unsettled(name, &format!("`{name}`"));
            if name == "decay" {
                unsettled("objective", "the decay of `objective`");
            }
            continue;
        }
        constants.insert(name.to_owned(), number(value));
        let differs =
            |training: &Training| settings(Some(training))[index].1 != value || changes(training, name);
        let Some((run, training)) = runs.iter().find(|(_, training)| differs(training)) else { continue };
        let own = if changes(training, name) {
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

/// True if the setting of that name changes during the run.
fn changes(training: &Training, name: &str) -> bool {
    match name {
        "rate" => !training.rate.is_constant(),
        "momentum" => training.course.momentum.is_some(),
        "decay" => training.course.decay.is_some(),
        _ => false,
    }
}

/// A dynamics that ends elsewhere than the run by less than this share of it, because its rate does not divide the time, is not spoken of.
const WORTH_SAYING: f64 = 1e-3;

/// A setting, its schedule as written, and the first piece that begins when the run is over.
type Cut = (&'static str, Schedule, (u64, f64));

/// Leaves out what begins at iteration `steps` or later; a setting that changes no more has its last value for good.
fn cut(training: &mut Training, steps: u64) -> Vec<Cut> {
    let mut list = Vec::new();
    let written = training.rate.clone();
    list.extend(training.rate.end_at(steps).map(|first| ("rate", written, first)));
    let Training { momentum, decay, course, .. } = training;
    let mut end = |name, schedule: &mut Option<Schedule>| {
        let own = schedule.as_mut()?;
        let written = own.clone();
        let first = own.end_at(steps)?;
        let last = own.last();
        if own.is_constant() {
            *schedule = None;
        }
        list.push((name, written, first));
        Some(last)
    };
    if let Some(last) = end("momentum", &mut course.momentum) {
        *momentum = last;
    }
    if let Some(last) = end("decay", &mut course.decay) {
        *decay = match *decay {
            _ if last == 0.0 => Decay::None,
            Decay::Penalty(_) => Decay::Penalty(0.5 * last),
            _ => Decay::Force(last),
        };
    }
    list
}

/// Leaves out the pieces of schedules that begin when the run is over, and says so, once a schedule; and which steps end
/// elsewhere than the run.
pub fn end(motions: &mut Motions, clock: &mut Clock) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut seen: Vec<(&str, Schedule)> = Vec::new();
    let shared = motions.shared.clone();
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
        for (what, written, (step, value)) in cut(training, steps) {
            if seen.contains(&(what, written.clone())) {
                continue;
            }
            let shared = match (what, &shared) {
                ("rate", _) => whole.steps.as_ref().is_some_and(|(schedule, _)| *schedule == written),
                ("momentum", Some(t)) => t.course.momentum.as_ref() == Some(&written),
                ("decay", Some(t)) => t.course.decay.as_ref() == Some(&written),
                _ => false,
            };
            let whose = if shared { "[training]".to_owned() } else { format!("`{}`", motion.name) };
            warnings.push(format!(
                "the {what} of {whose} would be {value} from step {step} on, and the run has {steps} steps"
            ));
            seen.push((what, written));
        }
    }
    if let Some((schedule, steps)) = &mut clock.steps {
        schedule.end_at(*steps);
        motions.base = Some(schedule.clone());
        if let Some(shared) = &mut motions.shared {
            cut(shared, *steps);
            shared.rate = schedule.clone();
        }
    }
    warnings
}

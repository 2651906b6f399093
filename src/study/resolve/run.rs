//! `[run]`: lengths, replicas, recording.

use super::Length;
use super::claims::find;
use super::dynamics::Motions;
use super::observe::Observables;
use crate::dynamics::{Law, Training};
use crate::model::Layout;
use crate::study::clock::{self, Clock, MOST_INSTANTS, Pace, Record};
use crate::study::resolved::{At, Claim, ClaimLaw, Dynamics, Precision, PrecisionMean, Run};
use crate::study::source::Span;
use crate::study::spec::read::Errors;
use crate::study::spec::{Field, RecordSpec, RunSpec, Spec};

/// Most replicas.
const MOST_REPLICAS: u64 = 1 << 32;

/// Parameters with more numbers are not recorded unless asked for.
const RECORDED_PARAMETERS: usize = 1000;

/// Steps are counted exactly as numbers, too.
const MOST_STEPS: u64 = 1 << 53;

/// Default of `replicas`.
const REPLICAS: u64 = 1024;

/// Most replicas that an ensemble grows to unless more is said.
const MOST_GROWN: u64 = 1_000_000;

/// Default of `record`.
const RECORD: u64 = 100;

/// `[run]` without the length.
pub struct Resolved {
    pub run: Run,
    pub record: Option<Record>,
    pub record_parameters: bool,
}

/// The time t at which runs begin, for formulas that have it.
pub fn start(spec: &Spec, errors: &mut Errors<'_>) -> f64 {
    let Some(given) = spec.run.as_ref().and_then(|run| run.value.from.given()) else { return 0.0 };
    if given.value.is_finite() {
        return given.value;
    }
    errors.at(given.span, format!("`from` is {}", given.value), "give the time t at which the run begins");
    0.0
}

pub fn run(spec: &Spec, layout: &Layout, errors: &mut Errors<'_>) -> Option<Resolved> {
    let Some(section) = &spec.run else {
        if !spec.written("run") {
            errors.at(
                Span::default(),
                "the study has no [run]",
                "add [run] with steps = 1000 or time = 10.0, and replicas = 1000",
            );
        }
        return None;
    };
    let written = &section.value;
    let replicas = count(&written.replicas, REPLICAS, "replicas", 1, MOST_REPLICAS, errors);
    let trajectories = count(&written.trajectories, 0, "trajectories", 0, MOST_REPLICAS, errors);
    if let Some(given) = written.trajectories.given()
        && given.value > replicas
    {
        errors.at(
            given.span,
            format!("{} trajectories of {replicas} replicas", given.value),
            format!("`trajectories` is the number of replicas whose path is kept: at most {replicas}"),
        );
    }
    let burn_in = within(
        &written.burn_in,
        0.5,
        "burn_in",
        (0.0, true),
        1.0,
        "the share of the time left out of stationary averages is at least 0 and below 1",
        errors,
    );
    let significance = within(
        &written.significance,
        1e-3,
        "significance",
        (0.0, false),
        1.0,
        "the chance that a true claim fails is above 0 and below 1, for example 1e-3",
        errors,
    );
    let resolution = within(
        &written.resolution,
        0.2,
        "resolution",
        (0.0, false),
        f64::INFINITY,
        "the relative deviation that must be seen is above 0, for example 0.2",
        errors,
    );
    let record = record(written, errors);
    Some(Resolved {
        run: Run {
            replicas: usize::try_from(replicas).unwrap_or(usize::MAX),
            seed: written.seed.value().copied().unwrap_or(0),
            burn_in,
            trajectories: usize::try_from(trajectories).unwrap_or(usize::MAX),
            significance,
            resolution,
            // Once there are observables to name.
            precision: None,
        },
        record,
        record_parameters: written
            .record_parameters
            .value()
            .copied()
            .unwrap_or(layout.len() <= RECORDED_PARAMETERS),
    })
}

/// `precision`, whose observable may be a formula.
pub fn precision(
    spec: &Spec,
    replicas: usize,
    observables: &mut Observables<'_>,
    errors: &mut Errors<'_>,
) -> Option<Precision> {
    let run = &spec.run.as_ref()?.value;
    let written = run.precision.as_ref()?;
    let found = written.observable.given().and_then(|text| find(text, observables, errors));
    let most = match written.most.given() {
        None => MOST_GROWN.max(replicas as u64),
        Some(given) => {
            if given.value < replicas as u64 {
                errors.at(
                    given.span,
                    format!("at most {} replicas, but `replicas` is {replicas}", given.value),
                    "`replicas` is where the ensemble begins, `most` where it ends: give the larger as `most`",
                );
            }
            given.value
        }
    };
    let of = match (written.at.value(), run.burn_in.is_absent()) {
        (Some(&"end"), _) | (None, true) => PrecisionMean::End,
        _ => PrecisionMean::Stationary,
    };
    Some(Precision {
        observable: found?.name,
        standard_error: *written.standard_error.value()?,
        of,
        most: usize::try_from(most).unwrap_or(usize::MAX),
    })
}

fn count(field: &Field<u64>, default: u64, name: &str, low: u64, high: u64, errors: &mut Errors<'_>) -> u64 {
    let Some(given) = field.given() else { return default };
    if given.value < low || given.value > high {
        errors.at(
            given.span,
            format!("`{name}` is {}", given.value),
            format!("choose {name} from {low} to {high}"),
        );
        return default;
    }
    given.value
}

/// A number above `low` (or from it, where inclusive) and below `high`.
fn within(
    field: &Field<f64>,
    default: f64,
    name: &str,
    (low, inclusive): (f64, bool),
    high: f64,
    help: &str,
    errors: &mut Errors<'_>,
) -> f64 {
    let Some(given) = field.given() else { return default };
    let x = given.value;
    if x < low || (x == low && !inclusive) || x >= high {
        errors.at(given.span, format!("`{name}` is {x}"), help);
        return default;
    }
    x
}

fn record(written: &RunSpec, errors: &mut Errors<'_>) -> Option<Record> {
    let given = written.record.given()?;
    let many = |n: u64, span: Span, errors: &mut Errors<'_>| {
        if n == 0 || n > MOST_INSTANTS {
            errors.at(
                span,
                format!("{n} recorded instants"),
                format!("record from 1 to {MOST_INSTANTS} instants; the start is recorded always"),
            );
            return false;
        }
        true
    };
    match &given.value {
        RecordSpec::Count(n) => many(*n, given.span, errors).then_some(Record::Count(*n)),
        RecordSpec::Log(n) => many(n.value, n.span, errors).then_some(Record::Log(n.value)),
        RecordSpec::Every(every) if every.value <= 0.0 => {
            errors.at(
                every.span,
                format!("`every` is {}", every.value),
                "give the time between instants, above 0",
            );
            None
        }
        RecordSpec::Every(every) => Some(Record::Every(every.value)),
        RecordSpec::At(times) if !many(times.len() as u64, given.span, errors) => None,
        RecordSpec::At(times) => {
            let wrong = times
                .iter()
                .enumerate()
                .find(|(i, now)| now.value < 0.0 || (*i > 0 && times[i - 1].value >= now.value));
            if let Some((_, now)) = wrong {
                errors.at(
                    now.span,
                    format!("t = {} is out of order", now.value),
                    "give times from 0 on, each later than the one before",
                );
                return None;
            }
            Some(Record::At(times.iter().map(|t| t.value).collect()))
        }
    }
}

/// T and the number of steps.
pub fn clock(spec: &Spec, motion: &Motions, errors: &mut Errors<'_>) -> Length {
    let section = spec.run.as_ref()?;
    let written = &section.value;
    let clock = match (&written.steps, &written.time) {
        (Field::Absent, Field::Absent) => {
            errors.at(section.at, "[run] says neither `steps` nor `time`", "add steps = 1000 or time = 10.0");
            return None;
        }
        (Field::Given(_), Field::Given(time)) => {
            errors.at_key(
                time.span,
                "[run] says both `steps` and `time`",
                "keep one of the two; t = Σ η is the same clock for all",
            );
            return None;
        }
        (Field::Given(steps), Field::Absent) => {
            if steps.value == 0 {
                errors.at(steps.span, "`steps` is 0", "run at least one step");
                return None;
            }
            from_steps(steps.value, steps.span, motion, errors)?
        }
        (Field::Absent, Field::Given(time)) => {
            if time.value <= 0.0 {
                errors.at(time.span, format!("`time` is {}", time.value), "give a time above 0");
                return None;
            }
            let steps = motion.base.clone().map(|s| {
                let n = clock::steps_for(&s, time.value);
                (s, n)
            });
            Clock { steps, time: time.value }
        }
        _ => return None,
    };
    let place = written.time.span().or(written.steps.span()).unwrap_or(section.at);
    if !clock.time.is_finite() {
        errors.at(place, "the run is infinitely long", "choose fewer steps");
        return None;
    }
    if let Some(Record::Every(every)) = record(written, &mut Errors::new(errors.sources))
        && clock.time / every > MOST_INSTANTS as f64
        && let Some(given) = written.record.given()
    {
        errors.at(
            given.span,
            format!("{:.0} recorded instants", clock.time / every),
            format!("record at most {MOST_INSTANTS} instants"),
        );
    }
    check_steps(&clock, place, motion, errors);
    Some(clock)
}

fn from_steps(steps: u64, at: Span, motion: &Motions, errors: &mut Errors<'_>) -> Option<Clock> {
    if let Some(schedule) = &motion.base {
        return Some(Clock { time: schedule.time(steps), steps: Some((schedule.clone(), steps)) });
    }
    if motion.broken {
        return None;
    }
    // An SDE: steps of the one dt that all dynamics share.
    let steps_of: Vec<Option<f64>> = motion
        .list
        .iter()
        .map(|m| if let Law::Integrated { dt, .. } = m.law { Some(dt) } else { None })
        .collect();
    match steps_of[..] {
        [Some(dt), ref rest @ ..] if rest.iter().all(|other| *other == Some(dt)) => {
            Some(Clock { steps: None, time: steps as f64 * dt })
        }
        _ => {
            errors.at(
                at,
                "`steps` has no length here: the dynamics have no rate or dt in common",
                "give `time` instead: it is the same clock for every dynamics",
            );
            None
        }
    }
}

/// Gradients of single samples that nobody can wait for: thirty years of one processor at a nanosecond each.
const MOST_WORK: f64 = 1e18;

/// What a dynamics of so many steps takes of its whole ensemble; refused where it cannot end.
pub struct Work<'a> {
    pub name: &'a str,
    pub law: &'a Law,
    pub training: Option<&'a Training>,
    pub steps: u64,
    pub replicas: usize,
}

impl Work<'_> {
    /// Says what is too much at `place`; true if nothing is.
    pub fn check(&self, place: Span, errors: &mut Errors<'_>) -> bool {
        let Self { name, law, training, steps, replicas } = *self;
        if steps > MOST_STEPS {
            let many = if steps == u64::MAX { "more than 2^64".to_owned() } else { steps.to_string() };
            errors.at(
                place,
                format!("`{name}` would make {many} steps"),
                "choose a shorter run or a longer step: steps are counted up to 2^53",
            );
            return false;
        }
        let (substeps, evaluations) = law.substeps();
        let batch = match law {
            Law::Sgd | Law::Svag { .. } => training.map_or(1, |t| t.batch),
            _ => 1,
        };
        let gradients =
            steps as f64 * f64::from(substeps) * evaluations as f64 * batch as f64 * replicas as f64;
        if gradients > MOST_WORK {
            let mut factors = vec![format!("{steps} steps"), format!("{replicas} replicas")];
            if u64::from(substeps) * evaluations > 1 {
                factors.push(format!("{} evaluations a step", u64::from(substeps) * evaluations));
            }
            if batch > 1 {
                factors.push(format!("a batch of {batch}"));
            }
            errors.at(
                place,
                format!(
                    "`{name}` would not end: {} make {gradients:.1e} evaluations, {:.0} years at a nanosecond each",
                    factors.join(" × "),
                    gradients * 1e-9 / 3.156e7
                ),
                "choose a shorter run, fewer replicas or substeps, a smaller batch, or a longer step",
            );
            return false;
        }
        true
    }
}

/// Counts what every dynamics will do.
pub fn work(clock: &Clock, motion: &Motions, replicas: usize, errors: &mut Errors<'_>) {
    // Too many of the study's own steps are reported at their place.
    if clock.steps.as_ref().is_some_and(|(_, steps)| *steps > MOST_STEPS) {
        return;
    }
    for one in &motion.list {
        if matches!(one.pace(), Pace::Instants) {
            continue;
        }
        let steps = clock.steps_of(one.pace());
        Work { name: &one.name, law: &one.law, training: one.training.as_ref(), steps, replicas }
            .check(one.dt.unwrap_or(one.at), errors);
    }
}

/// Every dynamics must make at least one step.
fn check_steps(clock: &Clock, place: Span, motion: &Motions, errors: &mut Errors<'_>) {
    for one in &motion.list {
        if clock.steps_of(one.pace()) > 0 {
            continue;
        }
        match one.law {
            Law::Integrated { dt, .. } => errors.at(
                one.dt.unwrap_or(one.at),
                format!("dt = {dt} is longer than the whole run, {}", clock.time),
                "choose a dt well below the time of the run",
            ),
            _ => errors.at(
                place,
                format!("the run is shorter than one step of `{}`: t = {}", one.name, clock.time),
                "run longer, or choose a smaller rate",
            ),
        }
    }
    if let Some((_, steps)) = &clock.steps
        && *steps > MOST_STEPS
    {
        errors.at(place, format!("{steps} steps"), "choose a shorter run: steps are counted up to 2^53");
    }
}

/// Most times off the grid that are reported.
const MOST_REPORTED: usize = 3;

/// Times that `record` asks for are ends of steps of every dynamics.
pub fn check_record(
    spec: &Spec,
    record: Option<&Record>,
    motion: &Motions,
    clock: &Clock,
    errors: &mut Errors<'_>,
) {
    let Some(given) = spec.run.as_ref().and_then(|section| section.value.record.given()) else { return };
    let Some(record) = record else { return };
    let place = |index: usize| match &given.value {
        RecordSpec::At(times) => times.get(index).map_or(given.span, |t| t.span),
        RecordSpec::Every(every) => every.span,
        RecordSpec::Count(_) | RecordSpec::Log(_) => given.span,
    };
    let all: Vec<usize> = (0..motion.list.len()).collect();
    if matches!(record, Record::Every(every) if clock.time / every > MOST_INSTANTS as f64) {
        return;
    }
    // A period that does not fit is one error, not as many as it has multiples.
    let most = if matches!(record, Record::Every(_)) { 1 } else { MOST_REPORTED };
    let mut reported = 0;
    for (index, time) in clock.asked(record).into_iter().enumerate() {
        if time > clock.time * (1.0 + clock::SAME) {
            errors.at(
                place(index),
                format!("the time {time} is outside the run"),
                format!("the run goes from 0 to {}", clock.time),
            );
            return;
        }
        if let Some(message) = off_the_grid(time, &all, motion, clock) {
            errors.at(
                place(index),
                message,
                "give times at which steps end, or a dt (or rate) that divides them; exact and gradient-flow are recorded at \
                 any time",
            );
            reported += 1;
            if reported == most {
                return;
            }
        }
    }
}

/// Which of these dynamics have no step that ends at `time`, and where their nearest do.
pub fn off_the_grid(time: f64, dynamics: &[usize], motion: &Motions, clock: &Clock) -> Option<String> {
    let mut said = Vec::new();
    let mut more = 0;
    for one in dynamics.iter().filter_map(|&index| motion.list.get(index)) {
        let Some((before, after)) = clock.around(one.pace(), time) else { continue };
        if said.len() == MOST_REPORTED {
            more += 1;
            continue;
        }
        let name = &one.name;
        let near = match after {
            Some(after) => format!("{} and {}", plain(before), plain(after)),
            None => format!("{}, its last", plain(before)),
        };
        said.push(if said.is_empty() {
            format!("no step of `{name}` ends at t = {}: the nearest end at {near}", plain(time))
        } else {
            format!("; nor of `{name}`: {near}")
        });
    }
    if more > 0 {
        said.push(format!("; nor of {more} more"));
    }
    (!said.is_empty()).then(|| said.concat())
}

/// With twelve digits, those of rounding left out.
fn plain(x: f64) -> String {
    format!("{x:.11e}").parse::<f64>().unwrap_or(x).to_string()
}

/// The dynamics with their recorded instants (those that `claims` speak of included), and the record with its default.
pub fn instants(
    motion: &Motions,
    clock: &Clock,
    record: Option<Record>,
    claims: &[Claim],
) -> (Vec<Dynamics>, Record) {
    let record = record.unwrap_or_else(|| {
        let steps = match &clock.steps {
            Some((_, steps)) => *steps,
            None => motion
                .list
                .iter()
                .filter(|m| !matches!(m.pace(), Pace::Instants))
                .map(|m| clock.steps_of(m.pace()))
                .max()
                .unwrap_or(RECORD),
        };
        Record::Count(RECORD.min(steps.max(1)))
    });
    let list = motion
        .list
        .iter()
        .enumerate()
        .map(|(index, m)| {
            let mut instants = clock.instants(&record, m.pace());
            for time in claimed_times(claims, index) {
                clock.insert(&mut instants, m.pace(), time);
            }
            Dynamics { name: m.name.clone(), law: m.law.clone(), training: m.training.clone(), instants }
        })
        .collect();
    (list, record)
}

/// Times at which a claim about dynamics `index` looks.
fn claimed_times(claims: &[Claim], index: usize) -> impl Iterator<Item = f64> {
    claims.iter().filter(move |c| c.dynamics.contains(&index)).filter_map(|claim| match claim.law {
        ClaimLaw::Equals { at: At::Time(time), .. } => Some(time),
        _ => None,
    })
}

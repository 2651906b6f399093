//! `convergence`: the ladder of runs that a claim about an order needs.
//!
//! Schemes are compared on common Wiener paths, of which each step reads as many increments as it is long: with the equation itself (`exact`)
//! as a finer run stands for it, or with another run of the same equation.

use super::claims::Parts;
use super::dynamics::Motion;
use super::run::Work;
use crate::dynamics::{Law, Schedule, Training};
use crate::scheme::{Increments, Method, NoiseKind, Scheme};
use crate::study::resolved::{At, Convergence, Dynamics, HiddenRun, Instant, Varied};
use crate::study::source::{Span, Spanned};
use crate::study::spec::read::{Errors, suggestion};
use crate::study::spec::{ConvergenceSpec, Field, VARIED};

/// A slope must be as near to the order as this.
const TOLERANCE: f64 = 0.15;
/// How much finer than the finest step the run is that stands for the equation itself.
const FINER: u32 = 4;
/// The same where it is measured by a scheme of second order.
const MUCH_FINER: u32 = 8;
/// Most parts of the smallest value that all values are multiples of.
const MOST_PARTS: u32 = 64;
/// Most increments of a path in one step.
const MOST_TOGETHER: u64 = 1 << 24;
/// Deviation from whole numbers that is rounding.
const ROUNDING: f64 = 1e-9;

type Failed = Option<()>;

/// The ladder, and the index of the dynamics that it judges; what is wrong is reported.
pub fn resolve(
    spec: &ConvergenceSpec,
    parts: &Parts<'_>,
    observable: Option<String>,
    errors: &mut Errors<'_>,
) -> Option<(usize, Convergence)> {
    let of = named(&spec.of, parts, false, errors);
    let to = named(&spec.to, parts, true, errors);
    let (index, to) = (of??, to?);
    if let (true, Some(given)) = (to == Some(index), spec.to.given()) {
        errors.at(
            given.span,
            format!("`{}` is compared with itself", given.value),
            "name another dynamics, or \"exact\" for a scheme over dt or substeps",
        );
        return None;
    }
    let of = &parts.motion.list[index];
    let other = to.map(|i| &parts.motion.list[i]);
    let over = spec.over.given()?;
    applies(over, of, other, errors)?;
    let values = values(spec.values.given()?, over.value, errors)?;
    let time = time(spec, parts, errors)?;
    let strong = spec.kind.value() == Some(&"strong");
    let ladder = Ladder {
        of,
        other,
        over: over.value,
        values: &values,
        time,
        place: spec.at.span(),
        replicas: parts.replicas,
        strong,
        noise: parts.noise,
    };
    let (rungs, remainder) = ladder.rungs(spec, errors)?;
    let convergence = Convergence {
        observable: observable?,
        of: of.name.clone(),
        to: spec.to.value()?.clone(),
        over: over.value,
        steps: values.iter().map(|v| ladder.step(v.value)).collect(),
        values: values.iter().map(|v| v.value).collect(),
        time,
        order: *spec.order.value()?,
        tolerance: spec.tolerance.value().copied().unwrap_or(TOLERANCE),
        strong,
        rungs,
        remainder,
    };
    Some((index, convergence))
}

/// Index of a dynamics by name, or `None` within for `exact` where no dynamics has that name.
#[allow(clippy::option_option, reason = "an error is another nothing than exact")]
fn named(
    field: &Field<String>,
    parts: &Parts<'_>,
    exact: bool,
    errors: &mut Errors<'_>,
) -> Option<Option<usize>> {
    let given = field.given()?;
    let found = parts.motion.list.iter().position(|m| m.name == given.value);
    if found.is_some() || (exact && given.value == "exact") {
        return Some(found);
    }
    if !parts.motion.names.contains(&given.value) {
        let known = parts.motion.names.iter().map(String::as_str);
        let known = known.chain(exact.then_some("exact"));
        let help = suggestion(&given.value, known.collect::<Vec<_>>().into_iter());
        errors.at(given.span, format!("unknown dynamics `{}`", given.value), help);
    }
    None
}

/// The setting must be one of the dynamics'.
fn applies(over: &Spanned<Varied>, of: &Motion, to: Option<&Motion>, errors: &mut Errors<'_>) -> Failed {
    let has = match (over.value, &of.law) {
        (Varied::Rate, _) => of.training.is_some(),
        (Varied::Dt, Law::Integrated { .. })
        | (Varied::Substeps, Law::Langevin { .. } | Law::Underdamped { .. })
        | (Varied::Level, Law::Svag { .. }) => true,
        _ => false,
    };
    let name = VARIED.iter().find(|(_, v)| *v == over.value).map_or("", |(n, _)| n);
    if !has {
        errors.at(
            over.span,
            format!("`{}` ({}) has no `{name}`", of.name, of.law.name()),
            "rate belongs to the laws of a loss, dt to the schemes of an [sde], substeps to langevin and underdamped, level \
             to svag",
        );
        return None;
    }
    if over.value == Varied::Rate && to.is_none() {
        errors.at(
            over.span,
            "the rate is part of the equation, which changes with it: there is nothing exact to converge to",
            "name in `to` the dynamics of the same rate that it is compared with, as of = \"sde\", to = \"sgd\"",
        );
        return None;
    }
    Some(())
}

fn values(
    given: &Spanned<Vec<Spanned<f64>>>,
    over: Varied,
    errors: &mut Errors<'_>,
) -> Option<Vec<Spanned<f64>>> {
    if given.value.len() < 3 {
        errors.at(
            given.span,
            format!("{} values make no slope that could be wrong", given.value.len()),
            "give three or more, each half of the one before",
        );
        return None;
    }
    let whole = matches!(over, Varied::Substeps | Varied::Level);
    for (i, value) in given.value.iter().enumerate() {
        let x = value.value;
        if !(x > 0.0 && x.is_finite()) || (whole && (x.fract() != 0.0 || x > 1e6)) {
            let wanted = if whole { "a whole number from 1 up" } else { "a number above 0" };
            errors.at(value.span, format!("the value {x} is not possible"), format!("give {wanted}"));
            return None;
        }
        if given.value[..i].iter().any(|other| other.value == x) {
            errors.at(value.span, format!("the value {x} stands twice"), "give each value once");
            return None;
        }
    }
    Some(given.value.clone())
}

fn time(spec: &ConvergenceSpec, parts: &Parts<'_>, errors: &mut Errors<'_>) -> Option<f64> {
    let end = parts.clock?.time;
    match spec.at.given() {
        None if spec.at.is_absent() => Some(end),
        None => None,
        Some(Spanned { value: At::End, .. }) => Some(end),
        Some(Spanned { value: At::Time(t), .. }) if *t > 0.0 => Some(*t),
        Some(other) => {
            errors.at(other.span, "an order is measured at a time above 0", "give at = 1.0, or at = \"end\"");
            None
        }
    }
}

/// What the runs are made from.
struct Ladder<'a> {
    of: &'a Motion,
    other: Option<&'a Motion>,
    over: Varied,
    values: &'a [Spanned<f64>],
    time: f64,
    /// Where the time is given.
    place: Option<Span>,
    replicas: usize,
    strong: bool,
    noise: Option<NoiseKind>,
}

type Rungs = (Vec<(HiddenRun, HiddenRun)>, Option<f64>);

impl Ladder<'_> {
    /// The step that a value stands for.
    fn step(&self, value: f64) -> f64 {
        match self.over {
            Varied::Rate | Varied::Dt => value,
            Varied::Substeps | Varied::Level => 1.0 / value,
        }
    }

    fn rungs(&self, spec: &ConvergenceSpec, errors: &mut Errors<'_>) -> Option<Rungs> {
        let common = self.common(spec, errors)?;
        if self.strong {
            self.check_strong(spec, common.is_some(), errors)?;
        }
        let mut rungs = Vec::new();
        for value in self.values {
            let of =
                self.changed(self.of, value, common.as_ref().map(|c| c.together(value.value, self)), errors)?;
            let to = match (&common, self.other) {
                (Some(common), _) => common.reference.clone(),
                (None, Some(other)) if self.over == Varied::Rate => {
                    self.changed(other, value, None, errors)?
                }
                (None, Some(other)) => {
                    self.hidden(other, other.law.clone(), other.training.clone(), None, value, errors)?
                }
                (None, None) => return None,
            };
            rungs.push((of, to));
        }
        Some((rungs, common.and_then(|c| c.remainder)))
    }

    fn check_strong(&self, spec: &ConvergenceSpec, common: bool, errors: &mut Errors<'_>) -> Failed {
        let increments = method(&self.of.law).map_or(Increments::Normal, |m| m.increments);
        if increments != Increments::Normal
            && let Some(kind) = spec.kind.given()
        {
            errors.at(
                kind.span,
                format!("a strong order speaks of paths, and {} increments have none", increments.name()),
                "claim the weak order, or take increments = \"normal\"",
            );
            return None;
        }
        if !common && let Some(to) = spec.to.given() {
            errors.at(
                to.span,
                format!("`{}` and `{}` have no Wiener path in common", self.of.name, to.value),
                "a strong order is that of a scheme, over dt or substeps, to \"exact\"",
            );
            return None;
        }
        Some(())
    }

    /// The common path, if both follow one.
    #[allow(clippy::option_option, reason = "an error is another nothing than no common path")]
    fn common(&self, spec: &ConvergenceSpec, errors: &mut Errors<'_>) -> Option<Option<Common>> {
        let place = spec.values.span().unwrap_or_default();
        match (self.over, &self.of.law, self.other) {
            (Varied::Dt, Law::Integrated { method, .. }, None) => {
                let finer = if method.scheme == Scheme::Weak2 { MUCH_FINER } else { FINER };
                let unit = self.unit(place, errors)?;
                let fine = unit / f64::from(finer);
                let reference = self.reference(*method);
                let law = Law::Integrated { dt: fine, method: reference };
                self.on_path(law, fine, reference.scheme == method.scheme, errors).map(Some)
            }
            (Varied::Dt, Law::Integrated { .. }, Some(other)) => {
                let Law::Integrated { dt, .. } = other.law else { return Some(None) };
                let nested = self.values.iter().all(|v| whole(v.value / dt).is_some());
                if !nested {
                    return Some(None);
                }
                self.on_path(other.law.clone(), dt, false, errors).map(Some)
            }
            (Varied::Substeps, Law::Langevin { order, method, .. }, None) => {
                let finer = if method.scheme == Scheme::Weak2 { FINER } else { MUCH_FINER };
                let mut all: u64 = 1;
                for value in self.values {
                    let n = value.value as u64;
                    all = all / gcd(all, n) * n;
                }
                let substeps = all * u64::from(finer);
                let Some(substeps) = u32::try_from(substeps).ok().filter(|n| u64::from(*n) <= MOST_TOGETHER)
                else {
                    errors.at(
                        place,
                        "the values have no common multiple that a run could be made with",
                        "give values that divide each other, such as 1, 2, 4, 8",
                    );
                    return None;
                };
                let reference = Method { increments: Increments::Normal, ..*method };
                let law = Law::Langevin { order: *order, substeps, method: reference };
                self.on_path(law, 1.0 / f64::from(substeps), true, errors).map(Some)
            }
            (_, _, None) => {
                errors.at(
                    spec.to.span().unwrap_or(place),
                    format!("nothing finer stands for the exact law of `{}`", self.of.name),
                    "\"exact\" is for schemes over dt, and langevin over substeps: name a dynamics",
                );
                None
            }
            _ => Some(None),
        }
    }

    /// The scheme that follows paths best.
    fn reference(&self, method: Method) -> Method {
        let scheme = match self.noise {
            Some(NoiseKind::Additive | NoiseKind::Scalar | NoiseKind::Diagonal) => {
                Scheme::StochasticRungeKutta
            }
            _ if !self.strong => Scheme::Weak2,
            _ => method.scheme,
        };
        Method { scheme, increments: Increments::Normal }
    }

    /// The largest step of which every value is a multiple.
    fn unit(&self, place: crate::study::source::Span, errors: &mut Errors<'_>) -> Option<f64> {
        let smallest = self.values.iter().map(|v| v.value).fold(f64::INFINITY, f64::min);
        let found = (1..=MOST_PARTS)
            .map(|parts| smallest / f64::from(parts))
            .find(|unit| self.values.iter().all(|v| whole(v.value / unit).is_some()));
        if found.is_none() {
            errors.at(
                place,
                "the steps have no common part, so that they follow no common path",
                "give steps that are multiples of the smallest, such as 0.1, 0.05, 0.025",
            );
        }
        found
    }

    fn on_path(&self, law: Law, fine: f64, same: bool, errors: &mut Errors<'_>) -> Option<Common> {
        let first = self.values.first()?;
        let motion = if self.over == Varied::Dt { self.other.unwrap_or(self.of) } else { self.of };
        let mut reference = self.hidden(motion, law, motion.training.clone(), Some(1), first, errors)?;
        reference.dynamics.name = format!("exact law of {}", self.of.name);
        Some(Common { reference, fine, remainder: same.then_some(fine) })
    }

    /// A dynamics with the setting changed.
    fn changed(
        &self,
        motion: &Motion,
        value: &Spanned<f64>,
        together: Option<u32>,
        errors: &mut Errors<'_>,
    ) -> Option<HiddenRun> {
        let (mut law, mut training) = (motion.law.clone(), motion.training.clone());
        match (self.over, &mut law) {
            (Varied::Rate, _) => {
                let rate = Schedule::constant(value.value);
                training = training.map(|t| Training { rate, ..t });
            }
            (Varied::Dt, Law::Integrated { dt, .. }) => *dt = value.value,
            (Varied::Substeps, Law::Langevin { substeps, .. } | Law::Underdamped { substeps, .. })
            | (Varied::Level, Law::Svag { level: substeps }) => *substeps = value.value as u32,
            _ => return None,
        }
        let mut run = self.hidden(motion, law, training, together, value, errors)?;
        let name = VARIED.iter().find(|(_, v)| *v == self.over).map_or("", |(n, _)| n);
        run.dynamics.name = format!("{}, {name} = {}", motion.name, value.value);
        Some(run)
    }

    /// A run to the time in question, which must be a whole number of its steps.
    fn hidden(
        &self,
        motion: &Motion,
        law: Law,
        training: Option<Training>,
        together: Option<u32>,
        value: &Spanned<f64>,
        errors: &mut Errors<'_>,
    ) -> Option<HiddenRun> {
        let step = match (&law, &training) {
            (Law::Integrated { dt, .. }, _) => Some(*dt),
            (Law::Exact, _) | (_, None) => None,
            (_, Some(training)) => {
                if training.last_change().0 > 0 {
                    errors.at(
                        value.span,
                        format!("the {} of `{}` changes on the way", training.last_change().1, motion.name),
                        "an order is measured at one rate: give the dynamics a rate of its own",
                    );
                    return None;
                }
                Some(training.rate.last())
            }
        };
        let steps = match step {
            None => 1,
            Some(step) => {
                let Some(steps) = whole(self.time / step) else {
                    errors.at(
                        value.span,
                        format!("the time {} is no whole number of steps of {step}", self.time),
                        "choose values, and a time `at`, that fit",
                    );
                    return None;
                };
                steps
            }
        };
        let work = Work {
            name: &motion.name,
            law: &law,
            training: training.as_ref(),
            steps,
            replicas: self.replicas,
        };
        if !work.check(self.place.unwrap_or(value.span), errors) {
            return None;
        }
        let instants = vec![Instant { step: 0, time: 0.0 }, Instant { step: steps, time: self.time }];
        let dynamics = Dynamics { name: motion.name.clone(), law, training, instants };
        Some(HiddenRun { dynamics, together })
    }
}

/// A path that all runs of a ladder follow.
struct Common {
    reference: HiddenRun,
    /// Its step (1/substeps, where that is varied).
    fine: f64,
    remainder: Option<f64>,
}

impl Common {
    /// Increments of the path in one step.
    fn together(&self, value: f64, ladder: &Ladder<'_>) -> u32 {
        whole(ladder.step(value) / self.fine).and_then(|n| u32::try_from(n).ok()).unwrap_or(1)
    }
}

fn method(law: &Law) -> Option<Method> {
    match law {
        Law::Langevin { method, .. } | Law::Integrated { method, .. } => Some(*method),
        _ => None,
    }
}

/// The whole number that x is, to rounding.
fn whole(x: f64) -> Option<u64> {
    let n = x.round();
    (n >= 1.0 && (x - n).abs() <= ROUNDING * n).then_some(n as u64)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

//! `[training]` and `[dynamics]`: each law of motion with the settings that hold for it.

use std::sync::Arc;

use super::Kind;
use super::population::PopulationKind;
use super::training::{check_momentum, merge, schedule};
use crate::dynamics::{Convention, Law, Schedule, Training};
use crate::scheme::{Increments, Method, Scheme};
use crate::study::clock::Pace;
use crate::study::keys;
use crate::study::resolved::System;
use crate::study::source::{Span, Spanned};
use crate::study::spec::read::{Errors, misspelt};
use crate::study::spec::{DynamicsSpec, Field, MomentumSpec, Named, RateSpec, Spec, TrainingSpec};
use crate::study::tree::Value;

/// Accuracy of gradient flow, a step.
const FLOW_TOLERANCE: f64 = 1e-12;

/// Most steps that SVAG makes of one.
const MOST_LEVEL: u32 = 1_000_000;

/// One dynamics before its instants are known.
pub struct Motion {
    pub name: String,
    /// Place of the law.
    pub at: Span,
    pub law: Law,
    pub training: Option<Training>,
    /// Place of `dt`.
    pub dt: Option<Span>,
}

impl Motion {
    /// How it moves on the clock.
    pub fn pace(&self) -> Pace<'_> {
        match (&self.law, &self.training) {
            (Law::Integrated { dt, .. }, _) => Pace::Step(*dt),
            (Law::Exact, _) | (_, None) => Pace::Instants,
            (Law::GradientFlow { .. }, Some(training)) => Pace::Flow(&training.rate),
            (_, Some(training)) => Pace::Schedule(&training.rate),
        }
    }
}

/// All dynamics, and `[training]`'s own rate.
#[derive(Default)]
pub struct Motions {
    pub list: Vec<Motion>,
    /// Every name written, whether or not its law could be read.
    pub names: Vec<String>,
    pub base: Option<Schedule>,
    /// `[training]` by itself, for the names that formulas know.
    pub shared: Option<Training>,
    /// Something was reported: what is missing may be there.
    pub broken: bool,
}

pub fn dynamics(
    spec: &Spec,
    kind: Option<Kind>,
    population: &PopulationKind,
    errors: &mut Errors<'_>,
) -> Motions {
    let before = errors.list.len();
    let mut motions = Motions::default();
    let empty = TrainingSpec::default();
    let shared = spec.training.as_ref().map_or(&empty, |s| &s.value);
    let misspelt = match spec.tree.get("training") {
        Some(Spanned { value: Value::Table(table), .. }) => misspelt(table, &keys::TRAINING, "rate"),
        Some(_) => true,
        None => spec.written("training"),
    };
    let shared_broken = matches!(shared.rate, Field::Broken) || misspelt;
    motions.base = schedule(&shared.rate, errors);
    if kind == Some(Kind::Loss) {
        let merged = merge(shared, &empty, true, population, errors);
        motions.shared = motions.base.clone().map(|rate| Training { rate, ..merged });
    }
    let entries: &[Named<DynamicsSpec>] = spec.dynamics.as_ref().map_or(&[], |s| &s.value);
    if entries.is_empty() {
        let help = "add [dynamics] with a line such as sgd = \"sgd\"";
        match &spec.dynamics {
            Some(section) => errors.at(section.at, "[dynamics] is empty", help),
            None if !spec.written("dynamics") => {
                errors.at(Span::default(), "the study has no [dynamics]", help);
            }
            None => {}
        }
    }
    let mut rate_missing: Vec<&str> = Vec::new();
    for entry in entries {
        motions.names.push(entry.name.value.clone());
        check_name(&entry.name, errors);
        let Some(law) = entry.value.law.given() else { continue };
        if !fits(law, kind, errors) {
            continue;
        }
        let Some(law) = settings_of(&entry.value, law, shared, errors) else { continue };
        let at = entry.value.law.span().unwrap_or(entry.name.span);
        let mut motion =
            Motion { name: entry.name.value.clone(), at, law, training: None, dt: entry.value.dt.span() };
        if !motion.law.of_equation() {
            let own = &entry.value.training;
            let takes_momentum = motion.law.takes_momentum();
            check_momentum(&motion.law, own, errors);
            let rate = match &own.rate {
                Field::Absent => motions.base.clone(),
                given => schedule(given, errors),
            };
            let training = merge(shared, own, takes_momentum, population, errors);
            let Some(rate) = rate else {
                if own.rate.is_absent() && shared.rate.is_absent() && !shared_broken {
                    rate_missing.push(&entry.name.value);
                }
                continue;
            };
            let mut training = Training { rate, ..training };
            if let Law::Underdamped { friction, .. } = motion.law {
                training.momentum = (1.0 - friction).max(0.0);
                training.course.momentum = None;
                training.course.convention = Convention::Sutskever;
            }
            unstated(&motion, &training, [&own.momentum, &shared.momentum], errors);
            motion.training = Some(training);
        }
        motions.list.push(motion);
    }
    if !rate_missing.is_empty() && kind == Some(Kind::Loss) {
        let at = spec.training.as_ref().map_or_else(Span::default, |s| s.at);
        errors.at(
            at,
            if spec.training.is_some() {
                "`rate` is missing in [training]"
            } else {
                "the study has no [training]"
            },
            format!("add rate = 0.01 there: it is the clock of {}", rate_missing.join(", ")),
        );
    }
    motions.broken = errors.list.len() > before
        || shared_broken
        || entries
            .iter()
            .any(|e| e.value.law.is_broken() || e.value.training.rate.is_broken() || e.value.dt.is_broken());
    motions
}

/// Names of dynamics are groups of the output.
fn check_name(name: &Spanned<String>, errors: &mut Errors<'_>) {
    let text = &name.value;
    if text.is_empty() || text.contains('/') || text.chars().any(char::is_control) || text.starts_with('.') {
        errors.at(
            name.span,
            format!("`{text}` cannot be the name of a dynamics"),
            "it becomes a group of the output: use letters, digits, - and _",
        );
    } else if text == "claims" {
        errors.at(
            name.span,
            "`claims` is a group of the output already",
            "choose another name for the dynamics",
        );
    }
}

/// A law of a loss moves a loss, one of an SDE an SDE.
fn fits(law: &Spanned<&'static str>, kind: Option<Kind>, errors: &mut Errors<'_>) -> bool {
    let of_sde = law.value == "exact" || Scheme::named(law.value).is_some();
    match kind {
        Some(Kind::Loss) if of_sde => {
            errors.at(
                law.span,
                format!("`{}` moves an [sde], this study has a [loss]", law.value),
                "write langevin = {} for the loss's own Langevin equation",
            );
            false
        }
        Some(Kind::Sde) if !of_sde => {
            errors.at(
                law.span,
                format!("`{}` needs a [loss], this study has an [sde]", law.value),
                "an [sde] moves by euler-maruyama = { dt = 0.01 }, another scheme, or exact = {}",
            );
            false
        }
        Some(_) => true,
        None => !of_sde,
    }
}

fn settings_of(
    spec: &DynamicsSpec,
    law: &Spanned<&'static str>,
    shared: &TrainingSpec,
    errors: &mut Errors<'_>,
) -> Option<Law> {
    Some(match law.value {
        "gradient-flow" => {
            let tolerance = match &spec.tolerance {
                Field::Broken => return None,
                Field::Given(t) if !(t.value > 0.0 && t.value < 1.0) => {
                    errors.at(
                        t.span,
                        format!("`tolerance` is {}", t.value),
                        "the relative error a step is above 0 and below 1, for example 1e-12",
                    );
                    return None;
                }
                field => field.value().copied().unwrap_or(FLOW_TOLERANCE),
            };
            Law::GradientFlow { tolerance }
        }
        "gradient-descent" => Law::GradientDescent,
        "sgd" => Law::Sgd,
        "gaussian-sgd" => Law::GaussianSgd,
        "ornstein-uhlenbeck" => Law::OrnsteinUhlenbeck,
        "langevin" => langevin(spec, errors)?,
        "svag" => {
            let level = positive(&spec.level, "level", "svag of level 1 is SGD itself", errors)?;
            if let (true, Some(given)) = (level > MOST_LEVEL, spec.level.given()) {
                errors.at(
                    given.span,
                    format!("`level` is {level}"),
                    format!(
                        "each step becomes so many: a level of 16 is near the equation, {MOST_LEVEL} the most"
                    ),
                );
                return None;
            }
            Law::Svag { level }
        }
        "underdamped" => underdamped(spec, shared, errors)?,
        "exact" => Law::Exact,
        name => {
            let scheme = Scheme::named(name)?;
            let dt = spec.dt.given()?;
            if dt.value <= 0.0 {
                errors.at(
                    dt.span,
                    format!("`dt` is {}", dt.value),
                    "give a step above 0, well below the fastest time of the drift",
                );
                return None;
            }
            Law::Integrated { dt: dt.value, method: method(scheme, spec, errors)? }
        }
    })
}

/// A number of steps, levels: given, from 1 up.
fn positive(field: &Field<u64>, name: &str, help: &str, errors: &mut Errors<'_>) -> Option<u32> {
    let given = field.given()?;
    match u32::try_from(given.value) {
        Ok(n) if n > 0 => Some(n),
        _ => {
            errors.at(given.span, format!("`{name}` is {}", given.value), format!("{help}: at least 1"));
            None
        }
    }
}

fn substeps(spec: &DynamicsSpec, errors: &mut Errors<'_>) -> Option<u32> {
    match &spec.substeps {
        Field::Absent => Some(1),
        field => positive(field, "substeps", "the equation is integrated with dt = η/substeps", errors),
    }
}

/// Scheme and increments that go together.
fn method(scheme: Scheme, spec: &DynamicsSpec, errors: &mut Errors<'_>) -> Option<Method> {
    if spec.increments.is_broken() {
        return None;
    }
    let increments = spec.increments.value().and_then(|name| Increments::named(name)).unwrap_or_default();
    let method = Method { scheme, increments };
    if let (Err(sentence), Some(at)) = (method.check_increments(), spec.increments.span()) {
        let (message, help) = sentence.split_once(": ").unwrap_or((&sentence, ""));
        errors.at(at, message, help);
        return None;
    }
    Some(method)
}

fn underdamped(spec: &DynamicsSpec, shared: &TrainingSpec, errors: &mut Errors<'_>) -> Option<Law> {
    let own = &spec.training.momentum;
    let friction = match (&spec.friction, own) {
        (Field::Broken, _) => return None,
        (Field::Given(_), Field::Given(second)) => {
            errors.at_key(
                second.span,
                "`friction` and `momentum` are two names for one thing",
                "keep one: SGD with momentum β has the friction 1 − β",
            );
            return None;
        }
        (Field::Given(friction), _) if friction.value < 0.0 => {
            errors.at(
                friction.span,
                format!("`friction` is {}", friction.value),
                "give a friction that is not negative; SGD with momentum β has 1 − β, and without friction the energy grows",
            );
            return None;
        }
        (Field::Given(friction), _) => friction.value,
        (Field::Absent, own) => {
            let given = if own.is_absent() { &shared.momentum } else { own };
            match given {
                Field::Absent => 1.0,
                Field::Broken => return None,
                Field::Given(Spanned {
                    value: MomentumSpec { beta: RateSpec::Constant(beta), .. }, ..
                }) => 1.0 - beta,
                Field::Given(changing) => {
                    errors.at(
                        changing.span,
                        "the friction of \"underdamped\" is 1 − β, and this momentum changes on the way",
                        "give the dynamics a friction of its own: { underdamped = { friction = 0.1 } }",
                    );
                    return None;
                }
            }
        }
    };
    Some(Law::Underdamped { friction, substeps: substeps(spec, errors)? })
}

/// A rate that changes means different steps by different conventions: a warning where none is stated.
fn unstated(
    motion: &Motion,
    training: &Training,
    places: [&Field<MomentumSpec>; 2],
    errors: &mut Errors<'_>,
) {
    let stated = places
        .into_iter()
        .find(|field| !field.is_absent())
        .and_then(Field::value)
        .is_some_and(|m| !m.convention.is_absent());
    if !stated && motion.law.takes_momentum() && training.heavy() && !training.rate.is_constant() {
        errors.warn(&format!(
            "`{}`: where the rate changes, v' = βv − ηg (the rate within the velocity, as here) and PyTorch's buffer b' = βb + g, \
             θ' = θ − ηb', make different steps: write momentum = {{ beta = {}, convention = \"sutskever\" }}, or \"pytorch\"",
            motion.name, training.momentum
        ));
    }
}

fn langevin(spec: &DynamicsSpec, errors: &mut Errors<'_>) -> Option<Law> {
    let before = errors.list.len();
    if let Some(order) = spec.order.given() {
        match order.value {
            1 | 2 => {}
            n => errors.at(order.span, format!("langevin has no order {n}"), "write order = 1 or order = 2"),
        }
    }
    let scheme = match &spec.scheme {
        Field::Given(given) => {
            let scheme = Scheme::named(&given.value);
            if scheme.is_none() {
                errors.unknown(given.span, "scheme", &given.value, Scheme::ALL.iter().map(|s| s.name()));
            }
            scheme
        }
        Field::Absent => Some(Scheme::default()),
        Field::Broken => None,
    };
    let substeps = substeps(spec, errors);
    let method = method(scheme.unwrap_or_default(), spec, errors);
    if errors.list.len() > before || spec.order.is_broken() || scheme.is_none() {
        return None;
    }
    let order = if spec.order.value() == Some(&2) { 2 } else { 1 };
    Some(Law::Langevin { order, substeps: substeps?, method: method? })
}

/// The system as the laws of motion see it.
pub fn moving(system: &System) -> crate::dynamics::System {
    match system {
        System::Loss(loss) => {
            crate::dynamics::System::Loss { model: Arc::clone(&loss.model), formula: loss.formula.clone() }
        }
        System::Sde(sde) => crate::dynamics::System::Sde(Arc::clone(sde)),
    }
}

/// What a law of motion cannot do with this system, in its own words.
pub fn check_laws(motions: &Motions, system: &System, errors: &mut Errors<'_>) {
    let system = moving(system);
    for motion in &motions.list {
        if let Err(sentence) = crate::dynamics::check(&motion.law, motion.training.as_ref(), &system) {
            let (message, help) = sentence.split_once(": ").unwrap_or((&sentence, ""));
            let help = match (help, &motion.law) {
                ("", crate::dynamics::Law::Exact) => "integrate it instead: euler-maruyama = { dt = 0.01 }",
                ("", _) => "choose another law of motion",
                (help, _) => help,
            };
            errors.at(motion.at, message, help);
        }
    }
}

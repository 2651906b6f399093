//! `[[claims]]`: observables found or made, values and dynamics checked.

use std::sync::Arc;

use super::convergence;
use super::dynamics::{Motion, Motions};
use super::names::{self, Broken, Listed, SETTINGS};
use super::observe::Observables;
use super::run::off_the_grid;
use super::settings::settings;
use super::symmetries::{Symmetries, charge};
use super::{Constants, Kind, number};
use crate::dynamics::{Law, Ledger};
use crate::model::formula::Expression;
use crate::model::symmetry::{QuadraticForm, squares};
use crate::model::{Layout, Model, Shape, Symmetry};
use crate::scheme::NoiseKind;
use crate::study::clock::{self, Clock};
use crate::study::diagnostics::bounded;
use crate::study::resolved::{
    At, Claim, ClaimLaw, DensityReading, Equation, FixedPointValue, Moment, NoiseMoments, Observable,
    Relation, Statistic, Tolerance, Varied,
};
use crate::study::source::Spanned;
use crate::study::spec::read::{Errors, suggestion};
use crate::study::spec::{ClaimLawSpec, ClaimSpec, Field, Quantity, Scalar, Spec};

/// Default tolerance of `conserved`, relative to the charge's scale.
const CONSERVED_TOLERANCE: f64 = 1e-8;

/// Default tolerance of `fixed-point`, in λ.
const FIXED_POINT_TOLERANCE: f64 = 0.05;

/// What claims refer to.
pub struct Parts<'a> {
    pub kind: Option<Kind>,
    /// False for a model written in Rust.
    pub formula: bool,
    /// The loss.
    pub model: Option<Arc<dyn Model>>,
    pub motion: &'a Motions,
    /// Its formula.
    pub loss: Option<&'a Spanned<String>>,
    pub constants: &'a Constants,
    pub broken: &'a Broken,
    pub layout: &'a Layout,
    pub symmetries: &'a Symmetries,
    /// The equation depends on the time t.
    pub timed: bool,
    pub clock: Option<&'a Clock>,
    pub replicas: usize,
    /// What the noise of the system's equation is like.
    pub noise: Option<NoiseKind>,
    /// The equation is reflected at walls.
    pub walls: bool,
    pub significance: f64,
}

pub fn claims(
    spec: &Spec,
    parts: &Parts<'_>,
    observables: &mut Observables<'_>,
    errors: &mut Errors<'_>,
) -> Vec<Claim> {
    spec.claims.iter().filter_map(|claim| resolve(claim, parts, observables, errors)).collect()
}

fn resolve(
    spec: &ClaimSpec,
    parts: &Parts<'_>,
    observables: &mut Observables<'_>,
    errors: &mut Errors<'_>,
) -> Option<Claim> {
    let stochastic = match spec.law {
        ClaimLawSpec::Einstein { .. } => Some("einstein"),
        ClaimLawSpec::Fdt { .. } => Some("fdt"),
        ClaimLawSpec::StationaryDensity { .. } => Some("stationary-density"),
        _ => None,
    };
    if let (true, Some(name)) = (parts.timed, stochastic) {
        errors.at(
            spec.at,
            format!("`{name}` speaks of a stationary law, and the equation depends on the time t"),
            "claim moments at an instant: equals = { observable = \"x\", at = 2.0, value = … }",
        );
        return None;
    }
    // Theory of the equation alone: walls push, and change its law.
    let of_equation = match spec.law {
        ClaimLawSpec::NoetherFlow { .. } => Some("noether-flow"),
        ClaimLawSpec::Convergence { .. } => Some("convergence"),
        _ => stochastic,
    };
    if let (true, Some(name)) = (parts.walls, of_equation) {
        errors.at(
            spec.at,
            format!("`{name}` is the theory of an equation without walls, and this one has `reflect`"),
            "claim what is known with walls by equals = { … }",
        );
        return None;
    }
    let mut dynamics = dynamics(spec, stochastic, parts, errors);
    let law = match &spec.law {
        ClaimLawSpec::Equals { observable, statistic, at, value, tolerance, absolute_tolerance } => {
            let tolerance = either(tolerance, absolute_tolerance);
            let observable = observable.given().and_then(|text| find(text, observables, errors));
            check_instant(at, dynamics.as_deref(), parts, errors);
            let values = value.given().and_then(|v| {
                expressions(v, observable.as_ref(), tolerance, dynamics.as_deref(), parts, errors)
            });
            observable.zip(values).map(|(observable, value)| ClaimLaw::Equals {
                observable: observable.name,
                statistic: statistic.value().copied().unwrap_or(Statistic::Mean),
                at: at.value().copied().unwrap_or(At::Stationary),
                value,
                value_text: written(value_place(spec), errors),
                tolerance,
            })
        }
        ClaimLawSpec::Diverges => Some(ClaimLaw::Diverges),
        ClaimLawSpec::Conserved { observable, symmetry, tolerance } => {
            let tolerance = tolerance.value().copied().unwrap_or(CONSERVED_TOLERANCE);
            let found = match (observable, symmetry) {
                (Field::Given(text), Field::Absent) => {
                    find(text, observables, errors).map(|o| (o.name, text.clone()))
                }
                (Field::Absent, Field::Given(name)) => of_symmetry(name, parts, observables, errors),
                _ => None,
            };
            found.map(|(observable, text)| ClaimLaw::Conserved {
                scale: observables.magnitude(&observable, &text, errors),
                observable,
                tolerance,
            })
        }
        ClaimLawSpec::FixedPoint { symmetry, value, at_end, tolerance } => {
            let tolerance = tolerance.value().copied().unwrap_or(FIXED_POINT_TOLERANCE);
            let claimed = match value {
                Field::Given(value) => {
                    let absolute = Tolerance::Absolute(tolerance);
                    let list = expressions(value, None, absolute, dynamics.as_deref(), parts, errors)?;
                    let [formula] = &list[..] else {
                        errors.at(value.span, "λ* is one number", "give one number, or one formula");
                        return None;
                    };
                    Some(FixedPointValue {
                        formula: formula.clone(),
                        text: written(Some(value), errors),
                        at_end: at_end.value().copied().unwrap_or(false),
                    })
                }
                Field::Absent => None,
                Field::Broken => return None,
            };
            if let Some(list) = &mut dynamics {
                step_by_step(spec, list, parts, errors);
            }
            let found = symmetry.given().and_then(|name| {
                let symmetry = declared(name, parts, errors)?;
                if parts.kind == Some(Kind::Sde) {
                    errors.at(
                        name.span,
                        "`fixed-point` weighs the gradient noise of a loss, and this study has none",
                        "claim noether-flow, or equals of the charge, of an [sde]",
                    );
                    return None;
                }
                charge_of(name, symmetry, parts, errors)?;
                Some((name.value.clone(), symmetry.spectra(parts.layout)?))
            });
            found.zip(parts.model.clone()).map(|((symmetry, spectra), model)| {
                let name = format!("noise along {symmetry}");
                let moments = NoiseMoments { model, squares: squares(&spectra) };
                ClaimLaw::FixedPoint {
                    moments: observables.noise_moments(&name, moments),
                    symmetry,
                    spectra,
                    value: claimed,
                    tolerance,
                }
            })
        }
        ClaimLawSpec::NoetherFlow { symmetry, noise, decay, tolerance } => {
            if let Some(list) = &mut dynamics {
                step_by_step(spec, list, parts, errors);
                let relaxation = symmetry.value().map_or(0.0, |name| parts.symmetries.relaxation(name));
                let noisy = |motion: &Motion| !matches!(motion.law, Law::GradientFlow { .. } | Law::Exact);
                let decaying = |motion: &Motion| {
                    relaxation != 0.0 || motion.training.as_ref().is_some_and(|t| t.decay.force() != 0.0)
                };
                factored(spec, ("noise", noise, &noisy), list, parts, errors);
                factored(spec, ("decay", decay, &decaying), list, parts, errors);
            }
            let factor = |field: &Field<f64>| field.value().copied().unwrap_or(1.0);
            let found = symmetry.given().and_then(|name| {
                let symmetry = declared(name, parts, errors)?;
                let charge = charge_of(name, symmetry, parts, errors)?;
                Some((name.value.clone(), charge, parts.symmetries.relaxation(&name.value)))
            });
            let (noise, decay) = (factor(noise), factor(decay));
            found.map(|(symmetry, form, relaxation)| {
                let components = form.shape().len();
                let name = format!("ledger({symmetry}; noise {noise}, decay {decay})");
                let ledger = Ledger::new(form, noise, decay).relaxing(relaxation);
                ClaimLaw::NoetherFlow {
                    ledger: observables.ledger(&name, ledger),
                    symmetry,
                    components,
                    noise,
                    decay,
                    tolerance: tolerance.value().copied(),
                }
            })
        }
        ClaimLawSpec::DecayRate { observable, value, from, to, tolerance, absolute_tolerance } => {
            let share = shares(from, to, errors);
            let tolerance = either(tolerance, absolute_tolerance);
            let found = observable.given().and_then(|text| find(text, observables, errors));
            let values = value
                .given()
                .and_then(|v| expressions(v, found.as_ref(), tolerance, dynamics.as_deref(), parts, errors));
            found.zip(values).zip(share).map(|((found, value), (from, to))| ClaimLaw::DecayRate {
                fit: observables.decay_rate(&found, from, to),
                observable: found.name,
                value,
                value_text: written(value_place(spec), errors),
                from,
                to,
                tolerance,
            })
        }
        ClaimLawSpec::Convergence(ladder) => {
            let observable = ladder.observable.given().and_then(|text| find(text, observables, errors));
            if let Some(over) = ladder.over.given().filter(|over| over.value == Varied::Rate) {
                let formulas = [("the observable", ladder.observable.given()), ("[loss]", parts.loss)];
                for (whose, text) in formulas {
                    if text.is_some_and(|text| observables.mentions(&text.value, "rate")) {
                        errors.at(
                            over.span,
                            format!("the rate is varied, and in the formula of {whose} `rate` has one value"),
                            "put the value that is meant into [constants] under another name",
                        );
                    }
                }
            }
            let made = convergence::resolve(ladder, parts, observable.map(|o| o.name), errors);
            made.map(|(index, ladder)| {
                dynamics = Some(vec![index]);
                ClaimLaw::Convergence(Box::new(ladder))
            })
        }
        ClaimLawSpec::StationaryDensity { observable, interpretation, tail, tolerance } => {
            needs_formula(spec, "stationary-density", parts, errors);
            let numbers = parts.layout.len();
            if numbers > 1 {
                errors.at(
                    spec.at,
                    format!(
                        "`stationary-density` speaks of a state of one number, and this one has {numbers}"
                    ),
                    "reduce the study to one parameter, or claim moments with `equals`",
                );
            }
            let found = observable.given().and_then(|text| {
                let found = find(text, observables, errors)?;
                if found.shape.is_scalar() {
                    return Some(found);
                }
                errors.at(
                    text.span,
                    format!("`{}` has {} components", found.name, found.shape.len()),
                    "a density is that of one number: name a component or a norm",
                );
                None
            });
            found.map(|found| ClaimLaw::StationaryDensity {
                observable: found.name,
                reading: interpretation.value().copied().unwrap_or(DensityReading::Own),
                tail: tail.value().copied(),
                tolerance: tolerance.value().copied(),
            })
        }
        ClaimLawSpec::Equilibrium { between, observable, variance_ratio, same, tolerance } => {
            let pair = between.given().and_then(|names| pair(&names.value, parts, errors));
            dynamics = pair.map(|(first, _)| vec![first]);
            let found = observable.given().and_then(|text| find(text, observables, errors));
            let relative = tolerance.value().map_or(Tolerance::Exact, |t| Tolerance::Relative(*t));
            let ratio = match variance_ratio {
                Field::Absent => Some(None),
                Field::Broken => None,
                Field::Given(given) => expressions(given, None, relative, dynamics.as_deref(), parts, errors)
                    .and_then(|list| {
                        if list.len() > 1 {
                            errors.at(
                                given.span,
                                "one ratio for all components",
                                "give a number or a formula",
                            );
                        }
                        let (first, _) = pair?;
                        let value = list[0].evaluate_among(&scope(&parts.motion.list[first], parts)).ok()?;
                        if value.data[0] <= 0.0 {
                            errors.at(
                                given.span,
                                format!("the ratio of two variances is {}", value.data[0]),
                                "give a ratio above 0, such as 1",
                            );
                            return None;
                        }
                        list.into_iter().next().map(Some)
                    }),
            };
            let ratio_text = written(variance_ratio.given(), errors);
            pair.zip(found).zip(ratio).map(|(((_, second), found), ratio)| ClaimLaw::Equilibrium {
                second,
                observable: found.name,
                ratio,
                ratio_text,
                same: same.value().copied().unwrap_or(false),
                tolerance: tolerance.value().copied(),
            })
        }
        ClaimLawSpec::Fdt { relation, moment, tolerance } => {
            if let (Some(Kind::Sde), Some(given)) = (parts.kind, relation.given())
                && given.value == Relation::Second
            {
                errors.at(
                    given.span,
                    "the second relation speaks of a loss, and this study has none",
                    "claim relation = 1, or write the study with a [loss]",
                );
            }
            needs_formula(spec, "fdt", parts, errors);
            Some(ClaimLaw::Fdt {
                relation: relation.value().copied().unwrap_or(Relation::First),
                moment: moment.value().copied().unwrap_or(Moment::Own),
                tolerance: tolerance.value().copied(),
            })
        }
        ClaimLawSpec::Einstein { tolerance, equation } => {
            needs_formula(spec, "einstein", parts, errors);
            Some(ClaimLaw::Einstein {
                equation: equation.value().copied().unwrap_or(Equation::Own),
                tolerance: tolerance.value().copied(),
            })
        }
    };
    let significance = match spec.significance.given() {
        Some(s) if s.value > 0.0 && s.value < 1.0 => s.value,
        Some(s) => {
            errors.at(
                s.span,
                format!("`significance` is {}", s.value),
                "the chance that a true claim fails is above 0 and below 1, for example 1e-3",
            );
            parts.significance
        }
        None => parts.significance,
    };
    Some(Claim {
        law: law?,
        dynamics: dynamics?,
        expect_holds: spec.expect.value() != Some(&"fails"),
        significance,
        line: errors.sources.line(spec.at),
    })
}

fn needs_formula(spec: &ClaimSpec, law: &str, parts: &Parts<'_>, errors: &mut Errors<'_>) {
    if !parts.formula {
        errors.at(
            spec.at,
            format!("`{law}` needs the loss as a formula"),
            "write the model as a [loss], or claim with `equals`",
        );
    }
}

/// Indices of two dynamics with noise.
fn pair(names: &[Spanned<String>], parts: &Parts<'_>, errors: &mut Errors<'_>) -> Option<(usize, usize)> {
    let list = &parts.motion.list;
    let mut found = Vec::new();
    for name in names {
        match list.iter().position(|m| m.name == name.value) {
            Some(index) if list[index].law.deterministic() => errors.at(
                name.span,
                format!(
                    "`equilibrium` speaks of noise, and `{}` ({}) has none",
                    name.value,
                    list[index].law.name()
                ),
                "name a dynamics with noise, such as sgd or langevin",
            ),
            Some(index) if found.contains(&index) => {
                errors.at(
                    name.span,
                    format!("`{}` is compared with itself", name.value),
                    "name two dynamics",
                );
            }
            Some(index) => found.push(index),
            None if parts.motion.names.contains(&name.value) => {}
            None => errors.unknown(
                name.span,
                "dynamics",
                &name.value,
                parts.motion.names.iter().map(String::as_str),
            ),
        }
    }
    if let [first, second] = found[..] { Some((first, second)) } else { None }
}

/// Indices of the dynamics that a claim is about.
fn dynamics(
    spec: &ClaimSpec,
    stochastic: Option<&str>,
    parts: &Parts<'_>,
    errors: &mut Errors<'_>,
) -> Option<Vec<usize>> {
    let list = &parts.motion.list;
    // A balance needs something to balance: of the whole population there is a minibatch without noise.
    let samples = parts.model.as_ref().and_then(|m| m.population().finite());
    let whole = |motion: &Motion| {
        motion.training.as_ref().is_some_and(|t| samples.is_some() && t.noise_factor(samples) == 0.0)
    };
    let balance = matches!(spec.law, ClaimLawSpec::Fdt { .. });
    let silent = |motion: &Motion| motion.law.deterministic() || (balance && whole(motion));
    let Some(given) = spec.dynamics.given() else {
        if !spec.dynamics.is_absent() {
            return None;
        }
        let all: Vec<usize> =
            (0..list.len()).filter(|&i| stochastic.is_none() || !silent(&list[i])).collect();
        if let Some(law) = stochastic
            && all.is_empty()
            && !parts.motion.broken
            && !list.is_empty()
        {
            errors.at(
                spec.at,
                format!("`{law}` speaks of noise, and no dynamics of this study has any"),
                if balance && list.iter().any(whole) {
                    "minibatches of the whole population have none: lower the batch, or draw with replacement"
                } else {
                    "add sgd, gaussian-sgd, langevin or ornstein-uhlenbeck to [dynamics]"
                },
            );
        }
        return Some(all);
    };
    if given.value.is_empty() {
        errors.at(
            given.span,
            "this claim is about no dynamics",
            "name at least one, or remove `dynamics` to speak of all",
        );
        return None;
    }
    let mut indices = Vec::new();
    let mut fine = true;
    for name in &given.value {
        match list.iter().position(|m| m.name == name.value) {
            Some(index) if stochastic.is_some() && silent(&list[index]) => {
                fine = false;
                let help = if list[index].law.deterministic() {
                    "name a dynamics with noise, such as sgd or langevin"
                } else {
                    "its minibatches are the whole population: lower its batch, or draw with replacement"
                };
                errors.at(
                    name.span,
                    format!(
                        "`{}` speaks of noise, and `{}` ({}) has none",
                        stochastic.unwrap_or_default(),
                        name.value,
                        list[index].law.name()
                    ),
                    help,
                );
            }
            Some(index) if indices.contains(&index) => {
                fine = false;
                errors.at(name.span, format!("`{}` stands twice", name.value), "name each dynamics once");
            }
            Some(index) => indices.push(index),
            None => {
                fine = false;
                if !parts.motion.names.contains(&name.value) {
                    errors.unknown(
                        name.span,
                        "dynamics",
                        &name.value,
                        parts.motion.names.iter().map(String::as_str),
                    );
                }
            }
        }
    }
    fine.then_some(indices)
}

/// An observable by name or formula.
pub fn find(
    text: &Spanned<String>,
    observables: &mut Observables<'_>,
    errors: &mut Errors<'_>,
) -> Option<Observable> {
    let before = errors.list.len();
    let found = observables.of_claim(text, errors);
    // A single unknown name is more likely a misspelt observable than a formula.
    let bare = text.value.trim();
    if found.is_none()
        && errors.list.len() == before + 1
        && bare.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        && let Some(last) = errors.list.last_mut()
        && last.message.starts_with("unknown name")
    {
        last.message = bounded(format!("unknown observable `{bare}`"));
        last.help = bounded(format!("{}; or a formula", observables.suggestion(bare)));
    }
    found
}

/// The dynamics whose steps are known to the claim; one that is named and is not is an error.
fn step_by_step(spec: &ClaimSpec, list: &mut Vec<usize>, parts: &Parts<'_>, errors: &mut Errors<'_>) {
    let motions = &parts.motion.list;
    let law = format!("`{}`", spec.law.name());
    if let Some(given) = spec.dynamics.given() {
        for name in &given.value {
            if let Some(motion) = motions.iter().find(|m| m.name == name.value && m.law.budget().is_none()) {
                errors.at(
                    name.span,
                    format!(
                        "{law} speaks of a symmetry of the loss, and the law of `{}` ({}) has none",
                        name.value,
                        motion.law.name()
                    ),
                    "it is the equation linearised about a minimum: name sgd, langevin, or another",
                );
            }
        }
        return;
    }
    list.retain(|&index| motions[index].law.budget().is_some());
    if list.is_empty() && !motions.is_empty() && !parts.motion.broken {
        errors.at(
            spec.at,
            format!("{law} speaks of a symmetry of the loss, and no dynamics of this study has it"),
            "add sgd, or langevin, to [dynamics]",
        );
    }
}

/// Name and factor of a term, and whether a dynamics has it.
type Factored<'a> = (&'a str, &'a Field<f64>, &'a dyn Fn(&Motion) -> bool);

/// The dynamics whose charges have the term that a claim has a factor for; one that is named and has it not is an error.
fn factored(
    spec: &ClaimSpec,
    (term, factor, has): Factored<'_>,
    list: &mut Vec<usize>,
    parts: &Parts<'_>,
    errors: &mut Errors<'_>,
) {
    let Some(factor) = factor.given().filter(|f| f.value != 1.0) else { return };
    let motions = &parts.motion.list;
    if let Some(given) = spec.dynamics.given() {
        for name in &given.value {
            if let Some(motion) = motions.iter().find(|m| m.name == name.value && !has(m)) {
                errors.at(
                    name.span,
                    format!(
                        "`{term}` is a factor of the {term} in a charge, and the law of `{}` ({}) has none there",
                        name.value,
                        motion.law.name()
                    ),
                    format!("name a dynamics with {term}, or leave `{term}` out"),
                );
            }
        }
        return;
    }
    let before = list.len();
    list.retain(|&index| has(&motions[index]));
    if list.is_empty() && before > 0 && !parts.motion.broken {
        errors.at(
            factor.span,
            format!(
                "`{term}` is a factor of the {term} in a charge, and no dynamics of this study has any there"
            ),
            format!("add a dynamics with {term}, or leave `{term}` out"),
        );
    }
}

/// A declared symmetry.
fn declared<'s>(name: &Spanned<String>, parts: &Parts<'s>, errors: &mut Errors<'_>) -> Option<&'s Symmetry> {
    if let Some((_, symmetry)) = parts.symmetries.list.iter().find(|(n, _)| *n == name.value) {
        return Some(symmetry);
    }
    if !parts.symmetries.names.contains(&name.value) {
        let known = parts.symmetries.names.iter().map(String::as_str);
        let help = if parts.symmetries.names.is_empty() {
            "declare it in [symmetries], as in rescaling = { exponential = { u = 1, w = -1 } }".to_owned()
        } else {
            suggestion(&name.value, known)
        };
        errors.at(name.span, format!("unknown symmetry `{}`", name.value), help);
    }
    None
}

/// The charge of a symmetry of a loss.
fn charge_of(
    name: &Spanned<String>,
    symmetry: &Symmetry,
    parts: &Parts<'_>,
    errors: &mut Errors<'_>,
) -> Option<QuadraticForm> {
    if let Err(reason) = charge(symmetry, parts.layout) {
        no_charge(name, reason, errors);
    }
    symmetry.charge(parts.layout)
}

fn no_charge(name: &Spanned<String>, reason: &str, errors: &mut Errors<'_>) {
    errors.at(
        name.span,
        format!("the symmetry `{}` has no charge: {reason}", name.value),
        "name an exponential, scale or double_rotation symmetry, or give an observable",
    );
}

/// The charge of a symmetry, as a hidden observable.
fn of_symmetry(
    name: &Spanned<String>,
    parts: &Parts<'_>,
    observables: &mut Observables<'_>,
    errors: &mut Errors<'_>,
) -> Option<(String, Spanned<String>)> {
    let symmetry = declared(name, parts, errors)?;
    match charge(symmetry, parts.layout) {
        Ok(text) => {
            let text = Spanned::new(text, name.span);
            let observable = observables.of_formula(&format!("charge({})", name.value), &text, errors)?;
            Some((observable.name, text))
        }
        Err(reason) => {
            no_charge(name, reason, errors);
            None
        }
    }
}

/// A time within the run at which a step of every dynamics in question ends.
fn check_instant(at: &Field<At>, dynamics: Option<&[usize]>, parts: &Parts<'_>, errors: &mut Errors<'_>) {
    let (Some(Spanned { value: At::Time(t), span }), Some(clock)) = (at.given(), parts.clock) else { return };
    let end = clock.time;
    if !(0.0..=end * (1.0 + clock::SAME)).contains(t) {
        errors.at(*span, format!("the time {t} is outside the run"), format!("the run goes from 0 to {end}"));
    } else if let Some(message) = off_the_grid(*t, dynamics.unwrap_or(&[]), parts.motion, clock) {
        errors.at(
            *span,
            message,
            "give one of these times, a dt (or rate) that divides it, or `dynamics` that the claim is about; exact and \
             gradient-flow are recorded at any time",
        );
    }
}

/// The one tolerance of a claim, or none.
fn either(relative: &Field<f64>, absolute: &Field<f64>) -> Tolerance {
    match (relative, absolute) {
        (Field::Given(t), _) => Tolerance::Relative(t.value),
        (_, Field::Given(t)) => Tolerance::Absolute(t.value),
        _ => Tolerance::Exact,
    }
}

/// Shares of the run between which a line is fitted.
fn shares(from: &Field<f64>, to: &Field<f64>, errors: &mut Errors<'_>) -> Option<(f64, f64)> {
    if from.is_broken() || to.is_broken() {
        return None;
    }
    for (name, field) in [("from", from), ("to", to)] {
        if let Some(given) = field.given()
            && !(0.0..=1.0).contains(&given.value)
        {
            errors.at(
                given.span,
                format!("`{name}` is {}", given.value),
                "it is a share of the run, from 0 (its start) to 1 (its end)",
            );
            return None;
        }
    }
    let share = (from.value().copied().unwrap_or(0.0), to.value().copied().unwrap_or(1.0));
    if share.0 >= share.1 {
        let place = to.span().or(from.span()).unwrap_or_default();
        errors.at(
            place,
            format!("the fit goes from {} to {} of the run", share.0, share.1),
            "give `from` below `to`, for example from = 0.1, to = 0.9",
        );
        return None;
    }
    Some(share)
}

/// The value as formulas, one or one a component, each of which has a finite value for every dynamics.
fn expressions(
    value: &Spanned<Quantity>,
    observable: Option<&Observable>,
    tolerance: Tolerance,
    dynamics: Option<&[usize]>,
    parts: &Parts<'_>,
    errors: &mut Errors<'_>,
) -> Option<Vec<Expression>> {
    let scalars: Vec<&Spanned<Scalar>> = match &value.value {
        Quantity::Single(single) => vec![single],
        Quantity::Vector(list) => list.iter().collect(),
        Quantity::Matrix(rows) => rows.iter().flatten().collect(),
    };
    let mut list = Vec::new();
    let mut components = 0;
    for scalar in scalars {
        let text = match &scalar.value {
            Scalar::Number(x) => Spanned::new(format!("{x:?}"), scalar.span),
            Scalar::Formula(text) => Spanned::new(text.clone(), scalar.span),
        };
        let (expression, count) = claimed(&text, tolerance, dynamics, parts, errors)?;
        components += count;
        list.push(expression);
    }
    if let Some(observable) = observable
        && components != 1
        && components != observable.shape.len()
    {
        errors.at(
            value.span,
            format!(
                "the value has {components} components, `{}` has {}",
                observable.name,
                components_of(observable.shape)
            ),
            "give one number, which holds for all, or one a component",
        );
        return None;
    }
    Some(list)
}

fn components_of(shape: Shape) -> String {
    if shape.is_scalar() { "one".to_owned() } else { format!("{} ({shape})", shape.len()) }
}

/// One formula of the value, with the number of its components.
fn claimed(
    text: &Spanned<String>,
    tolerance: Tolerance,
    dynamics: Option<&[usize]>,
    parts: &Parts<'_>,
    errors: &mut Errors<'_>,
) -> Option<(Expression, usize)> {
    let expression = names::parse(&text.value, text, errors)?;
    let mut known: Listed<'_> = parts.constants.keys().map(String::as_str).collect();
    if parts.kind != Some(Kind::Sde) {
        known.extend(SETTINGS.iter().copied().filter(|s| *s != "pi"));
    }
    if !names::check(text, &expression, &known, parts.broken, false, errors) {
        return None;
    }
    let all: Vec<usize> = (0..parts.motion.list.len()).collect();
    let mut components = 1;
    for &index in dynamics.unwrap_or(&all) {
        let motion = &parts.motion.list[index];
        if motion.training.is_none() && !motion.law.of_equation() {
            continue;
        }
        match expression.evaluate_among(&scope(motion, parts)) {
            Ok(value) => {
                components = value.data.len();
                if let Some(bad) = value.data.iter().find(|x| !x.is_finite()) {
                    errors.at(
                        text.span,
                        format!("the value for `{}` is {bad}", motion.name),
                        "the claimed value must be finite",
                    );
                    return None;
                }
                if matches!(tolerance, Tolerance::Relative(_)) && value.data.contains(&0.0) {
                    errors.at(
                        text.span,
                        format!("a tolerance relative to 0, the value for `{}`", motion.name),
                        "give absolute_tolerance, in the observable's units",
                    );
                    return None;
                }
            }
            Err(error) => {
                errors.formula(text, 0, &error);
                return None;
            }
        }
    }
    Some((expression, components))
}

/// What the value of a claim about a dynamics may name.
fn scope(motion: &Motion, parts: &Parts<'_>) -> Constants {
    let mut scope = parts.constants.clone();
    scope.extend(settings(motion.training.as_ref()).map(|(name, value)| (name.to_owned(), number(value))));
    scope
}

fn value_place(spec: &ClaimSpec) -> Option<&Spanned<Quantity>> {
    match &spec.law {
        ClaimLawSpec::Equals { value, .. } | ClaimLawSpec::DecayRate { value, .. } => value.given(),
        _ => None,
    }
}

/// The value as written, on one line.
fn written(value: Option<&Spanned<Quantity>>, errors: &Errors<'_>) -> String {
    let Some(value) = value else { return String::new() };
    let text = match &value.value {
        Quantity::Single(Spanned { value: Scalar::Formula(text), .. }) => text.as_str(),
        _ => errors.sources.slice(value.span),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

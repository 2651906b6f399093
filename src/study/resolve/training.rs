//! `[training]`: rates, minibatches, decay, momentum and sampling, with their sense checked.

use super::population::PopulationKind;
use crate::dynamics::{Convention, Course, Decay, Law, Sampling, Schedule, Training};
use crate::study::source::{Span, Spanned};
use crate::study::spec::read::Errors;
use crate::study::spec::{Field, MomentumSpec, RateSpec, TrainingSpec};

/// η, with its sense checked.
pub fn schedule(field: &Field<RateSpec>, errors: &mut Errors<'_>) -> Option<Schedule> {
    let given = field.given()?;
    pieces(&given.value, given.span, "rate", errors, &|rate: f64| {
        let message = if rate > 0.0 && rate.is_finite() {
            return None;
        } else if rate < 0.0 {
            format!("the rate {rate} is negative")
        } else if rate == 0.0 {
            "the rate is 0".to_owned()
        } else {
            "the rate is not finite".to_owned()
        };
        Some((message, "the learning rate η is above 0, for example rate = 0.01"))
    })
}

/// What is wrong with a value, and how to mend it.
type Wrong<'a> = &'a dyn Fn(f64) -> Option<(String, &'static str)>;

/// A setting as a function of the step; its values are checked by `wrong`.
fn pieces(
    spec: &RateSpec,
    at: Span,
    name: &str,
    errors: &mut Errors<'_>,
    wrong: Wrong<'_>,
) -> Option<Schedule> {
    let mut fine = |value: f64, span: Span| match wrong(value) {
        None => true,
        Some((message, help)) => {
            errors.at(span, message, help);
            false
        }
    };
    match spec {
        RateSpec::Constant(value) => fine(*value, at).then(|| Schedule::constant(*value)),
        RateSpec::Schedule(list) => {
            let mut all = true;
            for (_, value) in list {
                all &= fine(value.value, value.span);
            }
            let mut pieces: Vec<(u64, f64)> = Vec::new();
            for (index, (step, value)) in list.iter().enumerate() {
                let after = pieces.last().map(|p| p.0);
                let Ok(first) = u64::try_from(step.value) else {
                    errors.at(
                        step.span,
                        format!("the step {} is negative", step.value),
                        "steps count from 0",
                    );
                    return None;
                };
                if index == 0 && first != 0 {
                    errors.at(
                        step.span,
                        format!("the schedule begins at step {first}"),
                        format!("the first piece is [0, {name}]"),
                    );
                    return None;
                }
                if after.is_some_and(|a| first <= a) {
                    errors.at(
                        step.span,
                        format!("step {first} does not come after step {}", after.unwrap_or(0)),
                        "steps of a schedule increase",
                    );
                    return None;
                }
                pieces.push((first, value.value));
            }
            all.then_some(Schedule { pieces })
        }
    }
}

/// β, with its sense checked.
pub fn momentum(field: &Field<MomentumSpec>, errors: &mut Errors<'_>) -> Option<(Schedule, Convention)> {
    let Spanned { value: spec, span } = field.given()?;
    let beta = pieces(&spec.beta, *span, "momentum", errors, &|beta: f64| {
        (!(0.0..1.0).contains(&beta)).then(|| {
            (
                format!("the momentum {beta} is not in [0, 1)"),
                "a heavy ball has 0 ≤ momentum < 1, for example 0.9",
            )
        })
    })?;
    let pytorch = spec.convention.value() == Some(&"pytorch");
    let (dampening, nesterov) = (&spec.dampening, &spec.nesterov);
    let others = [("dampening", dampening.span()), ("nesterov", nesterov.span())];
    if let (false, Some((name, Some(at)))) = (pytorch, others.into_iter().find(|(_, at)| at.is_some())) {
        errors.at_key(
            at,
            format!("`{name}` is a setting of PyTorch's momentum"),
            "add convention = \"pytorch\"",
        );
        return None;
    }
    if !pytorch {
        return Some((beta, Convention::Sutskever));
    }
    let nesterov = nesterov.value() == Some(&true);
    if let Some(given) = dampening.given()
        && !(0.0..1.0).contains(&given.value)
    {
        errors.at(
            given.span,
            format!("the dampening {} is not in [0, 1)", given.value),
            "PyTorch's buffer is β·buffer + (1 − dampening)·gradient: 0 is its default",
        );
        return None;
    }
    let dampening = dampening.value().copied().unwrap_or(0.0);
    if nesterov && dampening != 0.0 {
        errors.at(
            spec.dampening.span().unwrap_or(*span),
            "Nesterov's momentum is not dampened",
            "PyTorch has nesterov = true with dampening = 0 alone",
        );
        return None;
    }
    if !beta.is_constant() && beta.pieces.iter().any(|piece| piece.1 == 0.0) {
        errors.at(
            *span,
            "PyTorch leaves its buffer as it is while the momentum is 0, and takes it up again later",
            "give a momentum above 0 at every step, or convention = \"sutskever\"",
        );
        return None;
    }
    Some((beta, Convention::PyTorch { dampening, nesterov }))
}

/// Momentum given to a law that has none.
pub fn check_momentum(law: &Law, own: &TrainingSpec, errors: &mut Errors<'_>) {
    let takes = law.takes_momentum() || matches!(law, Law::Underdamped { .. });
    if let Some(momentum) = own.momentum.given()
        && !takes
        && momentum.value.beta != RateSpec::Constant(0.0)
    {
        errors.at(
            momentum.span,
            format!("`{}` has no momentum", law.name()),
            "momentum belongs to sgd, gaussian-sgd, gradient-descent and underdamped",
        );
    }
}

/// `[training]` with a dynamics' own settings over it; the rate is filled in by the caller.
pub fn merge(
    shared: &TrainingSpec,
    own: &TrainingSpec,
    shared_momentum: bool,
    population: &PopulationKind,
    errors: &mut Errors<'_>,
) -> Training {
    // Where neither is given, the shared place would be reported once a dynamics: `tidy` keeps it once.
    let batch = pick(&own.batch, &shared.batch);
    if let Some(given) = batch.given()
        && given.value == 0
    {
        errors.at(given.span, "`batch` is 0", "a minibatch has at least one sample");
    }
    if let (Some(given), PopulationKind::Finite(rows)) = (batch.given(), population)
        && given.value > *rows as u64
    {
        errors.at(
            given.span,
            format!("minibatch larger than the population: {} of {rows} samples", given.value),
            format!("choose batch ≤ {rows}"),
        );
    }
    let (decay, decays) = if own.weight_decay.is_absent() && own.penalty.is_absent() {
        decay(shared, errors)
    } else {
        decay(own, errors)
    };
    // Both are checked, whichever counts.
    let (of_all, of_own) = (momentum(&shared.momentum, errors), momentum(&own.momentum, errors));
    let ball = if own.momentum.is_absent() && shared_momentum { of_all } else { of_own };
    let (beta, convention) = ball.unwrap_or((Schedule::constant(0.0), Convention::Sutskever));
    Training {
        rate: Schedule::constant(1.0),
        batch: usize::try_from(batch.value().copied().unwrap_or(1)).unwrap_or(usize::MAX),
        decay,
        momentum: beta.last(),
        sampling: sampling(shared, own, population, errors),
        course: Course {
            convention,
            momentum: (!beta.is_constant()).then_some(beta),
            decay: decays.filter(|d| !d.is_constant()),
        },
    }
}

fn pick<'a, T>(own: &'a Field<T>, shared: &'a Field<T>) -> &'a Field<T> {
    if own.is_absent() { shared } else { own }
}

/// The decay, of one that changes the last, and its force as a function of the step.
fn decay(spec: &TrainingSpec, errors: &mut Errors<'_>) -> (Decay, Option<Schedule>) {
    if let (Some(first), Some(second)) = (spec.weight_decay.given(), spec.penalty.given()) {
        let later = if second.span > first.span { second } else { first };
        errors.at_key(
            later.span,
            "`weight_decay` and `penalty` are two conventions for one thing",
            "keep one: weight_decay = λ gives the force λθ, penalty = γ the force 2γθ",
        );
    }
    let mut read = |name: &'static str, field: &Field<RateSpec>| {
        let given = field.given()?;
        pieces(&given.value, given.span, name, errors, &|value: f64| {
            let help = "a decay pulls towards 0: give a number that is not negative";
            if value < 0.0 {
                Some((format!("`{name}` is negative"), help))
            } else {
                (!value.is_finite()).then(|| (format!("`{name}` is not finite"), help))
            }
        })
    };
    let (lambda, gamma) = (read("weight_decay", &spec.weight_decay), read("penalty", &spec.penalty));
    match (lambda, gamma) {
        (Some(lambda), _) if lambda.pieces.iter().any(|p| p.1 > 0.0) => {
            (Decay::Force(lambda.last()), Some(lambda))
        }
        (_, Some(gamma)) if gamma.pieces.iter().any(|p| p.1 > 0.0) => {
            (Decay::Penalty(gamma.last()), Some(gamma.times(2.0)))
        }
        _ => (Decay::None, None),
    }
}

fn sampling(
    shared: &TrainingSpec,
    own: &TrainingSpec,
    population: &PopulationKind,
    errors: &mut Errors<'_>,
) -> Sampling {
    let sampling = pick(&own.sampling, &shared.sampling);
    let drop_last = pick(&own.drop_last, &shared.drop_last);
    let drop = drop_last.value().copied().unwrap_or(false);
    let Some(given) = sampling.given().filter(|s| s.value == "without-replacement") else {
        if let Some(given) = drop_last.given()
            && given.value
            && !matches!(sampling, Field::Broken)
        {
            errors.at(
                given.span,
                "`drop_last` says what becomes of an epoch's last batch, but there are no epochs",
                "add sampling = \"without-replacement\", or remove `drop_last`",
            );
        }
        return Sampling::WithReplacement;
    };
    if matches!(population, PopulationKind::Infinite) {
        errors.at(
            given.span,
            "sampling without replacement from an infinite population",
            "add [population] with size = N or a table, or sample with replacement",
        );
    }
    Sampling::WithoutReplacement { drop_last: drop }
}

//! `[training]`: rates, minibatches, decay, momentum and sampling, with their sense checked.

use super::population::PopulationKind;
use crate::dynamics::{Decay, Law, Sampling, Schedule, Training};
use crate::study::source::Span;
use crate::study::spec::read::Errors;
use crate::study::spec::{Field, RateSpec, TrainingSpec};

/// η, with its sense checked.
pub fn schedule(field: &Field<RateSpec>, errors: &mut Errors<'_>) -> Option<Schedule> {
    let given = field.given()?;
    let mut positive = |rate: f64, span: Span| {
        if rate > 0.0 && rate.is_finite() {
            return true;
        }
        let message = if rate < 0.0 {
            format!("the rate {rate} is negative")
        } else if rate == 0.0 {
            "the rate is 0".to_owned()
        } else {
            "the rate is not finite".to_owned()
        };
        errors.at(span, message, "the learning rate η is above 0, for example rate = 0.01");
        false
    };
    match &given.value {
        RateSpec::Constant(rate) => positive(*rate, given.span).then(|| Schedule::constant(*rate)),
        RateSpec::Schedule(list) => {
            let mut fine = true;
            for (_, rate) in list {
                fine &= positive(rate.value, rate.span);
            }
            let mut pieces: Vec<(u64, f64)> = Vec::new();
            for (index, (step, rate)) in list.iter().enumerate() {
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
                        "the first piece is [0, rate]",
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
                pieces.push((first, rate.value));
            }
            fine.then_some(Schedule { pieces })
        }
    }
}

/// Momentum given to a law that has none.
pub fn check_momentum(law: &Law, own: &TrainingSpec, errors: &mut Errors<'_>) {
    let takes = law.takes_momentum() || matches!(law, Law::Underdamped { .. });
    if let Some(momentum) = own.momentum.given()
        && !takes
        && momentum.value != 0.0
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
    let decay = if own.weight_decay.is_absent() && own.penalty.is_absent() {
        decay(shared, errors)
    } else {
        decay(own, errors)
    };
    check_range(&shared.momentum, errors);
    check_range(&own.momentum, errors);
    let momentum = match (&own.momentum, shared_momentum) {
        (Field::Absent, true) => shared.momentum.value().copied(),
        (field, _) => field.value().copied(),
    };
    Training {
        rate: Schedule::constant(1.0),
        batch: usize::try_from(batch.value().copied().unwrap_or(1)).unwrap_or(usize::MAX),
        decay,
        momentum: momentum.unwrap_or(0.0),
        sampling: sampling(shared, own, population, errors),
    }
}

fn pick<'a, T>(own: &'a Field<T>, shared: &'a Field<T>) -> &'a Field<T> {
    if own.is_absent() { shared } else { own }
}

fn check_range(momentum: &Field<f64>, errors: &mut Errors<'_>) {
    if let Some(given) = momentum.given()
        && !(0.0..1.0).contains(&given.value)
    {
        errors.at(
            given.span,
            format!("the momentum {} is not in [0, 1)", given.value),
            "a heavy ball has 0 ≤ momentum < 1, for example 0.9",
        );
    }
}

fn decay(spec: &TrainingSpec, errors: &mut Errors<'_>) -> Decay {
    if let (Some(first), Some(second)) = (spec.weight_decay.given(), spec.penalty.given()) {
        let later = if second.span > first.span { second } else { first };
        errors.at_key(
            later.span,
            "`weight_decay` and `penalty` are two conventions for one thing",
            "keep one: weight_decay = λ gives the force λθ, penalty = γ the force 2γθ",
        );
    }
    for (name, field) in [("weight_decay", &spec.weight_decay), ("penalty", &spec.penalty)] {
        if let Some(given) = field.given()
            && given.value < 0.0
        {
            errors.at(
                given.span,
                format!("`{name}` is negative"),
                "a decay pulls towards 0: give a number that is not negative",
            );
        }
    }
    match (spec.weight_decay.value(), spec.penalty.value()) {
        (Some(&lambda), _) if lambda > 0.0 => Decay::Force(lambda),
        (_, Some(&gamma)) if gamma > 0.0 => Decay::Penalty(gamma),
        _ => Decay::None,
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

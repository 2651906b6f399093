//! The value that a claim states, for one dynamics.

use super::measure::Run;
use crate::ensemble::record::ObservableRecord;
use crate::model::Shape;
use crate::model::formula::{Expression, Value};
use crate::study::Tolerance;

/// The predicted value of every component, with this dynamics' own rate (the last of its schedule), batch, decay
/// (λ of the force λθ) and momentum.
pub(super) fn values(
    formulas: &[Expression],
    run: &Run,
    observable: &ObservableRecord,
) -> Result<Vec<f64>, String> {
    let components = observable.components();
    let mut numbers = Vec::with_capacity(components);
    for formula in formulas {
        numbers.extend(evaluate(formula, run)?);
    }
    match numbers.len() {
        1 => Ok(vec![numbers[0]; components]),
        count if count == components => Ok(numbers),
        count => Err(format!("`{}` has {components} components, the claimed value {count}", observable.name)),
    }
}

/// One formula.
pub(super) fn evaluate(formula: &Expression, run: &Run) -> Result<Vec<f64>, String> {
    formula
        .evaluate(&|name| constant(run, name))
        .map(|value| value.data)
        .map_err(|error| format!("the value `{}`: {error}", formula.text()))
}

fn constant(run: &Run, name: &str) -> Option<Value> {
    let number = |x: f64| Some(Value { shape: Shape::SCALAR, data: vec![x] });
    if let Some(training) = &run.dynamics.training {
        match name {
            "rate" => return number(training.rate.last()),
            "batch" => return number(training.batch as f64),
            "decay" => return number(training.decay.force()),
            "momentum" => return number(training.momentum),
            _ => {}
        }
    }
    match run.study.constants.get(name) {
        Some(value) => Some(value.clone()),
        None if name == "pi" => number(std::f64::consts::PI),
        None => None,
    }
}

/// A tolerance in the units of what is predicted; `None` for an exact claim.
pub(super) fn width(tolerance: Tolerance, predicted: f64) -> Option<f64> {
    match tolerance {
        Tolerance::Exact => None,
        Tolerance::Relative(share) => Some(share * predicted.abs()),
        Tolerance::Absolute(width) => Some(width),
    }
}

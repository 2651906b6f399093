//! `[constants]`, and quantities evaluated among them.

use super::names::{self, Broken, Names};
use super::{Constants, number};
use crate::model::Shape;
use crate::model::formula::Value;
use crate::study::source::Spanned;
use crate::study::spec::read::Errors;
use crate::study::spec::{Quantity, Scalar, Spec};

pub fn constants(spec: &Spec, names: &mut Names, errors: &mut Errors<'_>) -> Constants {
    let mut constants = Constants::from([("pi".to_owned(), number(std::f64::consts::PI))]);
    for entry in &spec.constants {
        if !names.take(&entry.name, "constant", errors) {
            continue;
        }
        let value = entry.value.value().and_then(|q| quantity(q, &constants, &names.broken, errors));
        match value {
            Some(value) => {
                constants.insert(entry.name.value.clone(), value);
            }
            None => names.broken.push(&entry.name.value),
        }
    }
    constants
}

/// The value of a quantity; errors are reported.
pub fn quantity(
    quantity: &Quantity,
    constants: &Constants,
    broken: &Broken,
    errors: &mut Errors<'_>,
) -> Option<Value> {
    match quantity {
        Quantity::Single(single) => scalar(single, constants, broken, errors),
        Quantity::Vector(list) => {
            let data = elements(list, constants, broken, errors)?;
            Some(Value { shape: Shape::vector(data.len()), data })
        }
        Quantity::Matrix(rows) => {
            let cols = rows.first().map_or(0, Vec::len);
            let data: Vec<Option<Vec<f64>>> =
                rows.iter().map(|row| elements(row, constants, broken, errors)).collect();
            let data: Vec<f64> = data.into_iter().collect::<Option<Vec<_>>>()?.concat();
            Some(Value { shape: Shape::matrix(rows.len(), cols), data })
        }
    }
}

fn elements(
    list: &[Spanned<Scalar>],
    constants: &Constants,
    broken: &Broken,
    errors: &mut Errors<'_>,
) -> Option<Vec<f64>> {
    let values: Vec<Option<f64>> = list
        .iter()
        .map(|element| {
            let value = scalar(element, constants, broken, errors)?;
            if !value.shape.is_scalar() {
                errors.at(
                    element.span,
                    format!("this element has the shape {}", value.shape),
                    "elements of an array are single numbers",
                );
                return None;
            }
            value.data.first().copied()
        })
        .collect();
    values.into_iter().collect()
}

fn scalar(
    scalar: &Spanned<Scalar>,
    constants: &Constants,
    broken: &Broken,
    errors: &mut Errors<'_>,
) -> Option<Value> {
    match &scalar.value {
        Scalar::Number(x) => Some(number(*x)),
        Scalar::Formula(text) => formula(&Spanned::new(text.clone(), scalar.span), constants, broken, errors),
    }
}

/// The finite value of a formula of constants.
pub fn formula(
    text: &Spanned<String>,
    constants: &Constants,
    broken: &Broken,
    errors: &mut Errors<'_>,
) -> Option<Value> {
    part(&text.value, text, constants, broken, errors)
}

/// The finite value of a part of what is written in `text`, at its place in it.
pub fn part(
    formula: &str,
    text: &Spanned<String>,
    constants: &Constants,
    broken: &Broken,
    errors: &mut Errors<'_>,
) -> Option<Value> {
    let expression = names::parse(formula, text, errors)?;
    if !names::check(text, &expression, constants, broken, false, errors) {
        return None;
    }
    match expression.evaluate_among(constants) {
        Ok(value) if value.data.iter().all(|x| x.is_finite()) => Some(value),
        Ok(value) => {
            let bad = value.data.iter().find(|x| !x.is_finite()).copied().unwrap_or(f64::NAN);
            errors.at(text.span, format!("the value is {bad}"), "the formula must have a finite value");
            None
        }
        Err(error) => {
            errors.formula(text, 0, &error);
            None
        }
    }
}

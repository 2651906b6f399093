//! Numbers, formulas and arrays as written.

use super::read::{self, Errors};
use crate::study::source::Spanned;
use crate::study::tree::{Node, Value};

/// A number or a formula.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A number.
    Number(f64),
    /// A formula (or, for a parameter, an initial law).
    Formula(String),
}

/// A number, a formula, a vector or a matrix.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
    /// One value; a formula may give a vector or a matrix.
    Single(Spanned<Scalar>),
    /// A column.
    Vector(Vec<Spanned<Scalar>>),
    /// Row by row, all of the same length.
    Matrix(Vec<Vec<Spanned<Scalar>>>),
}

/// Reads a quantity.
pub fn quantity(node: &Node, name: &Spanned<String>, errors: &mut Errors<'_>) -> Option<Quantity> {
    let Value::Array(list) = &node.value else {
        return scalar(node, name, errors).map(Quantity::Single);
    };
    if list.is_empty() {
        errors.at(node.span, format!("`{}` is an empty array", name.value), "give at least one number");
        return None;
    }
    if !list.iter().any(|e| matches!(e.value, Value::Array(_))) {
        return list
            .iter()
            .map(|e| scalar(e, name, errors))
            .collect::<Option<Vec<_>>>()
            .map(Quantity::Vector);
    }
    let mut rows = Vec::new();
    for row in list {
        let Value::Array(elements) = &row.value else {
            errors.at(
                row.span,
                format!("`{}`: expected a row of the matrix, found {}", name.value, row.value.found()),
                "a matrix is an array of rows: [[1, 0], [0, 1]]",
            );
            return None;
        };
        let width = rows.first().map_or(elements.len(), Vec::len);
        if elements.is_empty() || elements.len() != width {
            errors.at(
                row.span,
                format!("this row has the length {}, the first {width}", elements.len()),
                "all rows of a matrix have the same length, at least 1",
            );
            return None;
        }
        rows.push(elements.iter().map(|e| scalar(e, name, errors)).collect::<Option<Vec<_>>>()?);
    }
    Some(Quantity::Matrix(rows))
}

fn scalar(node: &Node, name: &Spanned<String>, errors: &mut Errors<'_>) -> Option<Spanned<Scalar>> {
    let value = match &node.value {
        Value::String(text) => Scalar::Formula(text.clone()),
        other => match read::number(other) {
            Some(x) if x.is_finite() => Scalar::Number(x),
            Some(_) => {
                errors.at(node.span, format!("`{}` is not finite", name.value), "give a finite number");
                return None;
            }
            None => {
                errors.at(
                    node.span,
                    format!(
                        "`{}`: expected a number, a formula or an array, found {}",
                        name.value,
                        other.found()
                    ),
                    format!("for example: {} = 1.0", name.value),
                );
                return None;
            }
        },
    };
    Some(Spanned::new(value, node.span))
}

/// A formula given as text or as a number.
pub fn formula(node: &Node) -> Option<Spanned<String>> {
    match &node.value {
        Value::String(text) => Some(Spanned::new(text.clone(), node.span)),
        other => {
            read::number(other).filter(|x| x.is_finite()).map(|x| Spanned::new(format!("{x:?}"), node.span))
        }
    }
}

/// A matrix of plain numbers, row by row.
pub fn matrix(node: &Node) -> Option<Vec<Vec<f64>>> {
    let Value::Array(rows) = &node.value else { return None };
    let rows: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| match &row.value {
            Value::Array(elements) => {
                elements.iter().map(|e| read::number(&e.value).filter(|x| x.is_finite())).collect()
            }
            _ => None,
        })
        .collect::<Option<_>>()?;
    (!rows.is_empty()).then_some(rows)
}

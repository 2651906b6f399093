//! `convergence = { … }` as written.

use super::claims::{above_zero, instant, positive, word};
use super::read::{Errors, Field, Fields, number};
use crate::study::keys;
use crate::study::resolved::{At, Varied};
use crate::study::source::{Span, Spanned};
use crate::study::tree::{Table, Value};

/// A ladder of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvergenceSpec {
    /// Name or formula.
    pub observable: Field<String>,
    /// When.
    pub at: Field<At>,
    /// Name of a dynamics.
    pub of: Field<String>,
    /// Name of a dynamics, or `exact`.
    pub to: Field<String>,
    /// The setting that is varied.
    pub over: Field<Varied>,
    /// Its values.
    pub values: Field<Vec<Spanned<f64>>>,
    /// The power.
    pub order: Field<f64>,
    /// `weak` or `strong`.
    pub kind: Field<&'static str>,
    /// How near the order must be measured.
    pub tolerance: Field<f64>,
}

/// Names of the settings.
pub const VARIED: [(&str, Varied); 4] =
    [("rate", Varied::Rate), ("dt", Varied::Dt), ("substeps", Varied::Substeps), ("level", Varied::Level)];

pub fn convergence(table: &Table, at: Span, errors: &mut Errors<'_>) -> ConvergenceSpec {
    let fields = Fields::new(&keys::CONVERGENCE, table, at, errors);
    let text = |name: &str, errors: &mut Errors<'_>| {
        let field = fields.string(name, errors);
        fields.require(name, field, errors)
    };
    let values = fields.read("values", errors, |value| match value {
        Value::Array(list) => {
            list.iter().map(|e| number(&e.value).map(|x| Spanned::new(x, e.span))).collect()
        }
        _ => None,
    });
    let over = word(&fields, "over", &VARIED, errors);
    let order = above_zero(
        &fields,
        "order",
        "errors fall with a power of the step: give order = 1, 2, or another above 0",
        errors,
    );
    ConvergenceSpec {
        observable: text("observable", errors),
        at: instant(&fields, errors),
        of: text("of", errors),
        to: text("to", errors),
        over: fields.require("over", over, errors),
        values: fields.require("values", values, errors),
        order: fields.require("order", order, errors),
        kind: fields.word("kind", &["weak", "strong"], errors),
        tolerance: positive(&fields, "tolerance", errors),
    }
}

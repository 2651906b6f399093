//! `[symmetries]` as written.

use super::Named;
use super::read::{Errors, Field, Fields, names, number, suggestion};
use super::values;
use crate::study::keys;
use crate::study::source::Spanned;
use crate::study::tree::{Node, Table, Value};

type Names = Vec<Spanned<String>>;

/// One symmetry.
#[derive(Clone, Debug, PartialEq)]
pub enum SymmetrySpec {
    /// A number a parameter.
    Exponential(Vec<Named<f64>>),
    /// A over all parameters.
    ExponentialMatrix(Spanned<Vec<Vec<f64>>>),
    /// W → RW, U → URᵀ.
    Rotation {
        /// W.
        left: Names,
        /// U.
        right: Names,
    },
    /// W → AW, U → UA⁻¹.
    DoubleRotation {
        /// W.
        left: Spanned<String>,
        /// U.
        right: Spanned<String>,
    },
    /// These parameters times λ.
    Scale(Names),
    /// Pairs that are exchanged.
    Swap(Vec<(Spanned<String>, Spanned<String>)>),
    /// Rows of these, columns of those.
    Permutation {
        /// Rows.
        rows: Names,
        /// Columns.
        columns: Names,
    },
    /// These parameters change sign.
    Negate(Names),
    /// θ → (1 − 2P)θ.
    Projector(Spanned<Vec<Vec<f64>>>),
}

pub fn symmetry(node: &Node, name: &Spanned<String>, errors: &mut Errors<'_>) -> Field<SymmetrySpec> {
    let known = keys::SYMMETRY.keys.iter().map(|k| k.name);
    let Value::Table(table) = &node.value else {
        errors.at(
            node.span,
            format!("`{}`: expected a symmetry, found {}", name.value, node.value.found()),
            format!("write {} = {{ exponential = {{ u = 1, w = -1 }} }}", name.value),
        );
        return Field::Broken;
    };
    let [(kind, inner)] = &table.entries[..] else {
        errors.at(
            name.span,
            format!("`{}` names {} kinds of symmetry instead of one", name.value, table.entries.len()),
            suggestion("", known),
        );
        return Field::Broken;
    };
    if keys::SYMMETRY.key(&kind.value).is_none() {
        errors.unknown(kind.span, "kind of symmetry", &kind.value, known);
        return Field::Broken;
    }
    let outer = Fields::new(&keys::SYMMETRY, table, name.span, errors);
    if kind.value == "scale" {
        let list = names(inner);
        if list.is_none() {
            outer.wrong("scale", inner, errors);
        }
        return Field::from_read(list.map(SymmetrySpec::Scale), inner.span);
    }
    let Value::Table(settings) = &inner.value else {
        outer.wrong(&kind.value, inner, errors);
        return Field::Broken;
    };
    let before = errors.list.len();
    let spec = match kind.value.as_str() {
        "exponential" => exponential(settings, kind, errors),
        "rotation" => {
            let fields = Fields::new(&keys::ROTATION, settings, kind.span, errors);
            let (left, right) = (list(&fields, "left", errors), list(&fields, "right", errors));
            some_of(&fields, ["left", "right"], errors);
            Some(SymmetrySpec::Rotation { left, right })
        }
        "double_rotation" => {
            let fields = Fields::new(&keys::DOUBLE_ROTATION, settings, kind.span, errors);
            let left = fields.string("left", errors);
            let left = fields.require("left", left, errors);
            let right = fields.string("right", errors);
            let right = fields.require("right", right, errors);
            left.given()
                .cloned()
                .zip(right.given().cloned())
                .map(|(left, right)| SymmetrySpec::DoubleRotation { left, right })
        }
        "permutation" => permutation(settings, kind, errors),
        _ => mirror(settings, kind, errors),
    };
    Field::from_read(spec.filter(|_| errors.list.len() == before), inner.span)
}

fn exponential(settings: &Table, kind: &Spanned<String>, errors: &mut Errors<'_>) -> Option<SymmetrySpec> {
    if let [(key, node)] = &settings.entries[..]
        && key.value == "matrix"
        && matches!(node.value, Value::Array(_))
    {
        return square(node, errors).map(SymmetrySpec::ExponentialMatrix);
    }
    if settings.entries.is_empty() {
        errors.at(kind.span, "`exponential` names no parameter", "write { exponential = { u = 1, w = -1 } }");
    }
    let mut list = Vec::new();
    for (name, node) in &settings.entries {
        match number(&node.value).filter(|x| x.is_finite()) {
            Some(value) => list.push(Named { name: name.clone(), value }),
            None => errors.at(
                node.span,
                format!("`{}`: expected a number, found {}", name.value, node.value.found()),
                "give one number a parameter, { u = 1, w = -1 }, or { matrix = [[1, 0], [0, -1]] }",
            ),
        }
    }
    Some(SymmetrySpec::Exponential(list))
}

fn permutation(settings: &Table, kind: &Spanned<String>, errors: &mut Errors<'_>) -> Option<SymmetrySpec> {
    let fields = Fields::new(&keys::PERMUTATION, settings, kind.span, errors);
    let Some(node) = fields.node("swap") else {
        let (rows, columns) = (list(&fields, "rows", errors), list(&fields, "columns", errors));
        some_of(&fields, ["rows", "columns"], errors);
        return Some(SymmetrySpec::Permutation { rows, columns });
    };
    if settings.entries.len() > 1 {
        errors.at(kind.span, "`permutation` has `swap` and `rows` or `columns`", "keep one of the two ways");
        return None;
    }
    let pairs = match &node.value {
        Value::Array(list) => list
            .iter()
            .map(|pair| match names(pair).as_deref() {
                Some([a, b]) => Some((a.clone(), b.clone())),
                _ => None,
            })
            .collect::<Option<Vec<_>>>(),
        _ => None,
    };
    if pairs.is_none() {
        fields.wrong("swap", node, errors);
    }
    pairs.map(SymmetrySpec::Swap)
}

fn mirror(settings: &Table, kind: &Spanned<String>, errors: &mut Errors<'_>) -> Option<SymmetrySpec> {
    let fields = Fields::new(&keys::MIRROR, settings, kind.span, errors);
    match (fields.node("negate"), fields.node("projector")) {
        (Some(_), None) => Some(SymmetrySpec::Negate(list(&fields, "negate", errors))),
        (None, Some(node)) => square(node, errors).map(SymmetrySpec::Projector),
        (Some(_), Some(_)) => {
            errors.at(kind.span, "`mirror` has both `negate` and `projector`", "keep one of the two");
            None
        }
        (None, None) => {
            fields.missing("negate", errors);
            None
        }
    }
}

/// A square matrix of numbers.
fn square(node: &Node, errors: &mut Errors<'_>) -> Option<Spanned<Vec<Vec<f64>>>> {
    let matrix = values::matrix(node).filter(|m| m.iter().all(|row| row.len() == m.len()));
    if matrix.is_none() {
        errors.at(
            node.span,
            format!("expected a square matrix of numbers, found {}", node.value.found()),
            "write the rows over all parameters in file order: [[1, 0], [0, -1]]",
        );
    }
    matrix.map(|m| Spanned::new(m, node.span))
}

fn list(fields: &Fields<'_>, key: &str, errors: &mut Errors<'_>) -> Names {
    let Some(node) = fields.node(key) else { return Vec::new() };
    names(node).unwrap_or_else(|| {
        fields.wrong(key, node, errors);
        Vec::new()
    })
}

fn some_of(fields: &Fields<'_>, keys: [&str; 2], errors: &mut Errors<'_>) {
    if keys.iter().all(|k| fields.node(k).is_none()) {
        fields.missing(keys[0], errors);
    }
}

//! `[run]` and `[observe]` as written.

use super::read::{Errors, Field, Fields, number, whole};
use crate::study::keys;
use crate::study::source::{Span, Spanned};
use crate::study::tree::{Node, Table, Value};

/// When to record.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordSpec {
    /// So many instants after the start, evenly in steps.
    Count(u64),
    /// Every so much time.
    Every(Spanned<f64>),
    /// So many instants, evenly in the logarithm of the step.
    Log(Spanned<u64>),
    /// These times.
    At(Vec<Spanned<f64>>),
}

/// `[run]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSpec {
    /// `steps`.
    pub steps: Field<u64>,
    /// `time`.
    pub time: Field<f64>,
    /// `from`.
    pub from: Field<f64>,
    /// `replicas`.
    pub replicas: Field<u64>,
    /// `seed`.
    pub seed: Field<u64>,
    /// `record`.
    pub record: Field<RecordSpec>,
    /// `burn_in`.
    pub burn_in: Field<f64>,
    /// `trajectories`.
    pub trajectories: Field<u64>,
    /// `significance`.
    pub significance: Field<f64>,
    /// `resolution`.
    pub resolution: Field<f64>,
    /// `record_parameters`.
    pub record_parameters: Field<bool>,
    /// `precision`.
    pub precision: Option<PrecisionSpec>,
}

pub fn run(table: &Table, at: Span, errors: &mut Errors<'_>) -> RunSpec {
    let fields = Fields::new(&keys::RUN, table, at, errors);
    RunSpec {
        steps: fields.count("steps", errors),
        time: fields.number("time", errors),
        from: fields.number("from", errors),
        replicas: fields.count("replicas", errors),
        seed: seed(&fields, errors),
        record: record(&fields, errors),
        burn_in: fields.number("burn_in", errors),
        trajectories: fields.count("trajectories", errors),
        significance: fields.number("significance", errors),
        resolution: fields.number("resolution", errors),
        record_parameters: fields.boolean("record_parameters", errors),
        precision: precision(&fields, errors),
    }
}

/// A whole number up to 2⁶⁴ − 1. TOML's own end at 2⁶³ − 1: what is beyond is text, in decimal or with 0x.
fn seed(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Field<u64> {
    let Some(node) = fields.node("seed") else { return Field::Absent };
    let Value::String(text) = &node.value else { return fields.count("seed", errors) };
    let digits = text.trim().replace('_', "");
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    if value.is_err() {
        errors.at(
            node.span,
            format!("`seed`: expected a whole number up to 2^64 - 1, found {}", node.value.found()),
            "for example: seed = 7, or, beyond 2^63 - 1, seed = \"18446744073709551615\" or \"0xffffffffffffffff\"",
        );
    }
    Field::from_read(value.ok(), node.span)
}

fn record(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Field<RecordSpec> {
    let Some(node) = fields.node("record") else { return Field::Absent };
    if let Value::Array(_) = &node.value {
        return Field::from_read(times(node, errors).map(RecordSpec::At), node.span);
    }
    let Value::Table(table) = &node.value else {
        if whole(&node.value).is_none() {
            fields.wrong("record", node, errors);
            return Field::Broken;
        }
        return match fields.count("record", errors).given() {
            Some(n) => Field::Given(Spanned::new(RecordSpec::Count(n.value), n.span)),
            None => Field::Broken,
        };
    };
    let inner = Fields::new(&keys::RECORD, table, node.span, errors);
    let spec = match &table.entries[..] {
        [(key, _)] if key.value == "every" => {
            inner.number("every", errors).given().cloned().map(RecordSpec::Every)
        }
        [(key, _)] if key.value == "log" => inner.count("log", errors).given().cloned().map(RecordSpec::Log),
        [(key, node)] if key.value == "at" => times(node, errors).map(RecordSpec::At),
        // An unknown key is reported already.
        [_] => None,
        _ => {
            fields.wrong("record", node, errors);
            None
        }
    };
    Field::from_read(spec, node.span)
}

/// Times, finite.
fn times(node: &Node, errors: &mut Errors<'_>) -> Option<Vec<Spanned<f64>>> {
    let Value::Array(list) = &node.value else {
        errors.at(
            node.span,
            format!("`at`: expected times, found {}", node.value.found()),
            "for example: record = { at = [0.1, 0.5, 2.0] }",
        );
        return None;
    };
    let mut times = Vec::with_capacity(list.len());
    for one in list {
        let Some(time) = number(&one.value).filter(|t| t.is_finite()) else {
            errors.at(
                one.span,
                format!("`record`: expected a time, found {}", one.value.found()),
                "give numbers, for example: record = [0.1, 0.5, 2.0]",
            );
            return None;
        };
        times.push(Spanned::new(time, one.span));
    }
    Some(times)
}

fn precision(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Option<PrecisionSpec> {
    let node = fields.node("precision")?;
    let Value::Table(table) = &node.value else {
        fields.wrong("precision", node, errors);
        return None;
    };
    let inner = Fields::new(&keys::PRECISION, table, node.span, errors);
    let observable = inner.string("observable", errors);
    let observable = inner.require("observable", observable, errors);
    let error = inner.number("standard_error", errors);
    let error = inner.require("standard_error", error, errors);
    if let Some(given) = error.given()
        && given.value <= 0.0
    {
        errors.at(given.span, "`standard_error` is not positive", "give a standard error above 0");
    }
    let at = inner.word("at", &["stationary", "end"], errors);
    let most = inner.count("most", errors);
    Some(PrecisionSpec { observable, standard_error: error, at, most })
}

/// `precision` as written.
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionSpec {
    /// Name or formula.
    pub observable: Field<String>,
    /// To be reached.
    pub standard_error: Field<f64>,
    /// Which mean.
    pub at: Field<&'static str>,
    /// Replicas at most.
    pub most: Field<u64>,
}

/// One observable.
#[derive(Clone, Debug, PartialEq)]
pub enum ObserveSpec {
    /// A formula.
    Formula(Spanned<String>),
    /// `{ singular_values = "W" }`.
    SingularValues(Spanned<String>),
    /// `{ integral = "…" }`.
    Integral(Spanned<String>),
    /// `{ first_passage = "…", above = … }`, or `passed`.
    Passage {
        /// What leaves.
        of: Spanned<String>,
        /// At this level or above.
        above: Field<f64>,
        /// At this level or below.
        below: Field<f64>,
        /// 0 or 1 in the place of the time.
        passed: bool,
    },
}

fn passage(
    fields: &Fields<'_>,
    of: &Field<String>,
    (above, below): (Field<f64>, Field<f64>),
    passed: bool,
    errors: &mut Errors<'_>,
) -> Field<ObserveSpec> {
    let Some(of) = of.given() else { return Field::Broken };
    let others = ["first_passage", "passed", "singular_values", "integral"];
    let mut given = others.iter().filter_map(|key| fields.node(key));
    if let (Some(_), Some(second)) = (given.next(), given.next()) {
        errors.at(second.span, "an observable is one thing", "give first_passage, or passed");
        return Field::Broken;
    }
    if above.is_absent() && below.is_absent() {
        errors.at(
            of.span,
            "a passage has a level",
            "add above = 1.0 or below = -1.0; with both, what leaves the interval between them is meant",
        );
        return Field::Broken;
    }
    if above.is_broken() || below.is_broken() {
        return Field::Broken;
    }
    if let (Some(high), Some(low)) = (above.given(), below.given())
        && high.value <= low.value
    {
        errors.at(high.span, "nothing lies between the levels", "give `above` a larger level than `below`");
        return Field::Broken;
    }
    Field::Given(Spanned::new(ObserveSpec::Passage { of: of.clone(), above, below, passed }, of.span))
}

pub fn observe(node: &Node, name: &Spanned<String>, errors: &mut Errors<'_>) -> Field<ObserveSpec> {
    let spec = match &node.value {
        Value::String(text) => Some(ObserveSpec::Formula(Spanned::new(text.clone(), node.span))),
        Value::Table(table) => {
            let fields = Fields::new(&keys::OBSERVE, table, name.span, errors);
            let values = fields.string("singular_values", errors);
            let integral = fields.string("integral", errors);
            let passages = [fields.string("first_passage", errors), fields.string("passed", errors)];
            let (above, below) = (fields.number("above", errors), fields.number("below", errors));
            if let Some(passed) = passages.iter().position(|p| !p.is_absent()) {
                return passage(&fields, &passages[passed], (above, below), passed == 1, errors);
            }
            let unknown = table.entries.iter().any(|(k, _)| keys::OBSERVE.key(&k.value).is_none());
            match (values.given(), integral.given()) {
                (Some(_), Some(other)) => {
                    errors.at(other.span, "an observable is one thing", "give singular_values, or integral");
                    None
                }
                (Some(text), None) => Some(ObserveSpec::SingularValues(text.clone())),
                (None, Some(text)) => Some(ObserveSpec::Integral(text.clone())),
                (None, None) => {
                    if !unknown && values.is_absent() && integral.is_absent() {
                        fields.require("singular_values", values, errors);
                    }
                    None
                }
            }
        }
        other => {
            errors.at(
                node.span,
                format!("`{}`: expected a formula, found {}", name.value, other.found()),
                format!(
                    "write {} = \"u^2 - w^2\" or {} = {{ singular_values = \"W\" }}",
                    name.value, name.value
                ),
            );
            None
        }
    };
    Field::from_read(spec, node.span)
}

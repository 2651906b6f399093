//! `[training]` and `[dynamics]` as written.

use super::read::{self, Errors, Field, Fields, suggestion};
use crate::scheme::Increments;
use crate::study::keys;
use crate::study::source::{Span, Spanned};
use crate::study::tree::{Node, Table, Value};

/// η as written.
#[derive(Clone, Debug, PartialEq)]
pub enum RateSpec {
    /// The same at every step.
    Constant(f64),
    /// `[[step, rate], …]`.
    Schedule(Vec<(Spanned<i64>, Spanned<f64>)>),
}

/// Momentum as written.
#[derive(Clone, Debug, PartialEq)]
pub struct MomentumSpec {
    /// β.
    pub beta: RateSpec,
    /// `convention`: `sutskever` or `pytorch`.
    pub convention: Field<&'static str>,
    /// `dampening`.
    pub dampening: Field<f64>,
    /// `nesterov`.
    pub nesterov: Field<bool>,
}

/// `[training]`, or a dynamics' own settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingSpec {
    /// `rate`.
    pub rate: Field<RateSpec>,
    /// `batch`.
    pub batch: Field<u64>,
    /// `weight_decay`.
    pub weight_decay: Field<RateSpec>,
    /// `penalty`.
    pub penalty: Field<RateSpec>,
    /// `momentum`.
    pub momentum: Field<MomentumSpec>,
    /// `sampling`: `with-replacement` or `without-replacement`.
    pub sampling: Field<&'static str>,
    /// `drop_last`.
    pub drop_last: Field<bool>,
}

pub fn training(table: &Table, at: Span, errors: &mut Errors<'_>) -> TrainingSpec {
    training_fields(&Fields::new(&keys::TRAINING, table, at, errors), errors)
}

fn training_fields(fields: &Fields<'_>, errors: &mut Errors<'_>) -> TrainingSpec {
    TrainingSpec {
        rate: schedule(fields, "rate", errors),
        batch: fields.count("batch", errors),
        weight_decay: schedule(fields, "weight_decay", errors),
        penalty: schedule(fields, "penalty", errors),
        momentum: momentum(fields, errors),
        sampling: fields.word("sampling", &["with-replacement", "without-replacement"], errors),
        drop_last: fields.boolean("drop_last", errors),
    }
}

fn momentum(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Field<MomentumSpec> {
    let Some(Node { value: Value::Table(table), span }) = fields.node("momentum") else {
        return match schedule(fields, "momentum", errors) {
            Field::Given(Spanned { value: beta, span }) => {
                let spec = MomentumSpec {
                    beta,
                    convention: Field::Absent,
                    dampening: Field::Absent,
                    nesterov: Field::Absent,
                };
                Field::Given(Spanned::new(spec, span))
            }
            Field::Absent => Field::Absent,
            Field::Broken => Field::Broken,
        };
    };
    let before = errors.list.len();
    let inner = Fields::new(&keys::MOMENTUM, table, *span, errors);
    let beta = schedule(&inner, "beta", errors);
    let beta = inner.require("beta", beta, errors);
    let convention = inner.word("convention", &["sutskever", "pytorch"], errors);
    let (dampening, nesterov) = (inner.number("dampening", errors), inner.boolean("nesterov", errors));
    let spec =
        beta.given().map(|beta| MomentumSpec { beta: beta.value.clone(), convention, dampening, nesterov });
    Field::from_read(spec.filter(|_| errors.list.len() == before), *span)
}

/// A number, or a schedule of numbers.
fn schedule(fields: &Fields<'_>, name: &str, errors: &mut Errors<'_>) -> Field<RateSpec> {
    let field = fields.read(name, errors, |value| match value {
        Value::Array(list) if !list.is_empty() => list
            .iter()
            .map(|piece| match &piece.value {
                Value::Array(pair) if pair.len() == 2 => Some((
                    Spanned::new(read::whole(&pair[0].value)?, pair[0].span),
                    Spanned::new(read::number(&pair[1].value)?, pair[1].span),
                )),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(RateSpec::Schedule),
        other => read::number(other).map(RateSpec::Constant),
    });
    if let (Some(RateSpec::Constant(x)), Some(span), true) = (field.value(), field.span(), name != "rate")
        && !x.is_finite()
    {
        errors.at(span, format!("`{name}` is not finite"), "give a finite number");
        return Field::Broken;
    }
    field
}

/// One entry of `[dynamics]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DynamicsSpec {
    /// The law's name, one of [`keys::LAWS`].
    pub law: Field<&'static str>,
    /// Settings of `[training]` that it overrides.
    pub training: TrainingSpec,
    /// `tolerance` of gradient flow.
    pub tolerance: Field<f64>,
    /// `order` of langevin.
    pub order: Field<u64>,
    /// `scheme` of langevin.
    pub scheme: Field<String>,
    /// `substeps` of langevin and underdamped.
    pub substeps: Field<u64>,
    /// `dt` of the schemes.
    pub dt: Field<f64>,
    /// `increments` of langevin and the schemes.
    pub increments: Field<&'static str>,
    /// `level` of svag.
    pub level: Field<u64>,
    /// `friction` of underdamped.
    pub friction: Field<f64>,
}

pub fn dynamics(node: &Node, name: &Spanned<String>, errors: &mut Errors<'_>) -> DynamicsSpec {
    let broken = DynamicsSpec { law: Field::Broken, ..DynamicsSpec::default() };
    let Some((law, settings)) = law_and_settings(node, name, errors) else { return broken };
    let Some((known, section)) = law_named(&law, errors) else { return broken };
    let fields = Fields::new(section, &settings, law.span, errors);
    let has = |key: &str| section.key(key).is_some();
    let mut spec =
        DynamicsSpec { law: Field::Given(Spanned::new(*known, law.span)), ..DynamicsSpec::default() };
    if has("rate") {
        spec.training = training_fields(&fields, errors);
    }
    if has("tolerance") {
        spec.tolerance = fields.number("tolerance", errors);
    }
    if has("order") {
        spec.order = fields.count("order", errors);
        spec.scheme = fields.string("scheme", errors);
    }
    if has("substeps") {
        spec.substeps = fields.count("substeps", errors);
    }
    if has("increments") {
        spec.increments = fields.word("increments", &Increments::ALL.map(Increments::name), errors);
    }
    if has("level") {
        let level = fields.count("level", errors);
        spec.level = fields.require("level", level, errors);
    }
    if has("friction") {
        spec.friction = fields.number("friction", errors);
    }
    if has("dt") {
        let dt = fields.number("dt", errors);
        spec.dt = fields.require("dt", dt, errors);
    }
    spec
}

/// The law's name and its settings, as far as they can be told apart.
fn law_and_settings(
    node: &Node,
    name: &Spanned<String>,
    errors: &mut Errors<'_>,
) -> Option<(Spanned<String>, Table)> {
    let form = format!("write {} = \"sgd\" or {} = {{ sgd = {{ batch = 8 }} }}", name.value, name.value);
    let table = match &node.value {
        Value::String(law) => return Some((Spanned::new(law.clone(), node.span), Table::default())),
        Value::Table(table) => table,
        other => {
            errors.at(
                node.span,
                format!("`{}`: expected a law of motion, found {}", name.value, other.found()),
                form,
            );
            return None;
        }
    };
    if let [(law, Node { value: Value::Table(settings), .. })] = &table.entries[..] {
        return Some((law.clone(), settings.clone()));
    }
    let (laws, others): (Vec<_>, Vec<_>) =
        table.entries.iter().partition(|(key, _)| keys::LAWS.iter().any(|(law, _)| *law == key.value));
    match (&laws[..], &others[..]) {
        ([], []) => errors.at(name.span, format!("`{}` names no law of motion", name.value), form),
        ([], [(key, _), ..]) => {
            errors.at(key.span, format!("`{}` stands where a law of motion should", key.value), form);
        }
        ([(law, other)], []) => errors.at(
            other.span,
            format!("`{}`: expected a table of settings, found {}", law.value, other.value.found()),
            format!("write {} = {{ {} = {{}} }}", name.value, law.value),
        ),
        ([(law, _)], [(key, _), ..]) => errors.at(
            key.span,
            format!("`{}` stands beside the law `{}`", key.value, law.value),
            format!("put settings inside: {} = {{ {} = {{ {} = … }} }}", name.value, law.value, key.value),
        ),
        ([_, (second, _), ..], _) => errors.at(
            second.span,
            format!("`{}` names {} laws of motion instead of one", name.value, laws.len()),
            "give each law a line, and a name, of its own",
        ),
    }
    None
}

fn law_named(
    law: &Spanned<String>,
    errors: &mut Errors<'_>,
) -> Option<(&'static &'static str, &'static keys::Section)> {
    static LAWS: [(&str, keys::Section); 14] = keys::LAWS;
    let found = LAWS.iter().find(|(name, _)| *name == law.value);
    if found.is_none() {
        let known = LAWS.iter().map(|(name, _)| *name);
        errors.at(law.span, format!("unknown law of motion `{}`", law.value), suggestion(&law.value, known));
    }
    found.map(|(name, section)| (name, section))
}

//! `[parameters]`, `[data]`, `[population]`, `[loss]` and `[sde]` as written.

use super::read::{self, Errors, Field, Fields, suggestion};
use super::values::{self, Quantity};
use super::{Named, shape};
use crate::model::Shape;
use crate::study::keys;
use crate::study::source::{Span, Spanned};
use crate::study::tree::{Node, Table, Value};

/// One parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterSpec {
    /// `shape`.
    pub shape: Field<Shape>,
    /// `init`, or the value itself.
    pub init: Field<Quantity>,
    /// `init` where it is rows of a table.
    pub rows: Field<InitialRows>,
}

/// `init = { table, column }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InitialRows {
    /// `table`, and how it is written.
    pub from: PopulationSpec,
    /// `column` or `columns`.
    pub columns: Vec<Spanned<String>>,
    /// Names may be patterns.
    pub patterns: bool,
}

pub fn parameter(node: &Node, name: &Spanned<String>, errors: &mut Errors<'_>) -> ParameterSpec {
    let Value::Table(table) = &node.value else {
        return ParameterSpec {
            shape: Field::Absent,
            init: Field::from_read(values::quantity(node, name, errors), node.span),
            rows: Field::Absent,
        };
    };
    let fields = Fields::new(&keys::PARAMETER, table, name.span, errors);
    let shape = shape(&fields, errors);
    if let Some(Node { value: Value::Table(table), span }) = fields.node("init") {
        let rows = Field::from_read(initial_rows(table, *span, errors), *span);
        return ParameterSpec { shape, init: Field::Absent, rows };
    }
    let init = match fields.node("init") {
        Some(node) => Field::from_read(values::quantity(node, name, errors), node.span),
        None => fields.require("init", Field::Absent, errors),
    };
    ParameterSpec { shape, init, rows: Field::Absent }
}

fn initial_rows(table: &Table, at: Span, errors: &mut Errors<'_>) -> Option<InitialRows> {
    let before = errors.list.len();
    let fields = Fields::new(&keys::INITIAL_ROWS, table, at, errors);
    let file = fields.string("table", errors);
    let from = PopulationSpec {
        table: fields.require("table", file, errors),
        dataset: fields.string("dataset", errors),
        separator: separator(&fields, errors),
        header: fields.boolean("header", errors),
        ..PopulationSpec::default()
    };
    let (columns, patterns) = match (fields.node("column"), fields.node("columns")) {
        (Some(_), None) => {
            let column = fields.read("column", errors, column_name);
            (column.given().cloned().into_iter().collect(), false)
        }
        (None, Some(node)) => (column_names(&fields, node, errors)?, true),
        (None, None) => {
            if errors.list.len() == before {
                errors.at(at, "the start names no column", "add column = \"w\" or columns = \"w*\"");
            }
            (Vec::new(), false)
        }
        (Some(_), Some(second)) => {
            errors.at_key(
                second.span,
                "`column` and `columns` are two ways to say one thing",
                "keep one of them",
            );
            (Vec::new(), false)
        }
    };
    (errors.list.len() == before).then_some(InitialRows { from, columns, patterns })
}

/// `columns`: a pattern, or an array of names.
fn column_names(fields: &Fields<'_>, node: &Node, errors: &mut Errors<'_>) -> Option<Vec<Spanned<String>>> {
    let list = match &node.value {
        Value::Array(list) => {
            list.iter().map(|e| column_name(&e.value).map(|s| Spanned::new(s, e.span))).collect()
        }
        other => read::string(other).map(|s| vec![Spanned::new(s, node.span)]),
    };
    if list.is_none() {
        fields.wrong("columns", node, errors);
    }
    list
}

/// One of `[starts]`; `None` where it is no table.
pub fn start(
    node: &Node,
    name: &Spanned<String>,
    errors: &mut Errors<'_>,
) -> Option<Vec<Named<ParameterSpec>>> {
    let Value::Table(table) = &node.value else {
        errors.at(
            node.span,
            format!("`{}`: expected a table of parameters, found {}", name.value, node.value.found()),
            format!("write {} = {{ w = 2.0 }}; what it leaves out starts as in [parameters]", name.value),
        );
        return None;
    };
    Some(super::entries(table, errors, parameter))
}

/// One data name.
#[derive(Clone, Debug, PartialEq)]
pub enum DataSpec {
    /// A law or a derived formula; a bare name of a column too.
    Formula {
        /// Its text.
        formula: Spanned<String>,
        /// `shape`.
        shape: Field<Shape>,
        /// `fresh`.
        fresh: Field<bool>,
    },
    /// `{ column = "label" }`.
    Column(Spanned<String>),
    /// `{ columns = "pixel*" }`, or an array of names.
    Columns(Vec<Spanned<String>>),
}

/// Endings of files that tables are kept in.
const TABLES: [&str; 12] =
    [".csv", ".tsv", ".txt", ".dat", ".gz", ".h5", ".hdf5", ".nc", ".mat", ".npy", ".npz", ".parquet"];

/// A line of [data] that names a file, as if it were a table: said where tables are named.
fn names_a_file(node: &Node, name: &Spanned<String>, errors: &mut Errors<'_>) -> bool {
    let found = match &node.value {
        Value::String(text) => Some((text, node.span)),
        Value::Table(table) => ["file", "table", "path"].iter().find_map(|key| match table.get(key) {
            Some(Node { value: Value::String(text), span }) => Some((text, *span)),
            _ => None,
        }),
        _ => None,
    };
    let Some((text, span)) = found else { return false };
    if !TABLES.iter().any(|ending| text.trim().to_lowercase().ends_with(ending)) {
        return false;
    }
    errors.at(
        span,
        format!("`{}`: a table is named in [population], [data] names its columns", name.value),
        format!("write [population] with table = {text:?}, then here x = {{ column = \"x\" }} or {{ columns = \"x*\" }}"),
    );
    true
}

pub fn data(node: &Node, name: &Spanned<String>, errors: &mut Errors<'_>) -> Field<DataSpec> {
    if names_a_file(node, name, errors) {
        return Field::Broken;
    }
    let Value::Table(table) = &node.value else {
        let formula = values::formula(node);
        if formula.is_none() {
            errors.at(
                node.span,
                format!(
                    "`{}`: expected a law, a formula or columns, found {}",
                    name.value,
                    node.value.found()
                ),
                format!("for example: {} = \"normal(0, 1)\"", name.value),
            );
        }
        let spec =
            formula.map(|formula| DataSpec::Formula { formula, shape: Field::Absent, fresh: Field::Absent });
        return Field::from_read(spec, node.span);
    };
    let before = errors.list.len();
    let fields = Fields::new(&keys::DATA, table, name.span, errors);
    if errors.list.len() > before {
        return Field::Broken;
    }
    let ways: Vec<&str> =
        ["law", "column", "columns"].into_iter().filter(|k| fields.node(k).is_some()).collect();
    let spec = match ways[..] {
        ["law"] => {
            let shape = shape(&fields, errors);
            let fresh = fields.boolean("fresh", errors);
            let Some(node) = fields.node("law") else { return Field::Broken };
            match values::formula(node) {
                Some(formula) if shape != Field::Broken && fresh != Field::Broken => {
                    Some(DataSpec::Formula { formula, shape, fresh })
                }
                Some(_) => None,
                None => {
                    fields.wrong("law", node, errors);
                    None
                }
            }
        }
        ["column"] => {
            let column = fields.read("column", errors, column_name);
            column.given().cloned().map(DataSpec::Column)
        }
        ["columns"] => {
            let Some(node) = fields.node("columns") else { return Field::Broken };
            column_names(&fields, node, errors).map(DataSpec::Columns)
        }
        [] => {
            errors.at(
                name.span,
                format!("`{}` has neither a law nor columns", name.value),
                "write { shape = [64], law = \"normal(0, 1)\" }, { column = \"label\" } or { columns = \"pixel*\" }",
            );
            None
        }
        _ => {
            errors.at(
                name.span,
                format!("`{}` is given in {} ways: {}", name.value, ways.len(), ways.join(", ")),
                "keep one of them",
            );
            None
        }
    };
    if spec.is_some() && ways != ["law"] {
        if let Some(shape) = fields.node("shape") {
            errors.at_key(shape.span, "columns have the shape that their number gives", "remove `shape`");
            return Field::Broken;
        }
        if let Some(fresh) = fields.node("fresh") {
            errors.at_key(
                fresh.span,
                "columns are what the table has: nothing of them is drawn",
                "remove `fresh`; it belongs to a law",
            );
            return Field::Broken;
        }
    }
    Field::from_read(spec, node.span)
}

/// A column by name, or by number.
fn column_name(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Integer(i) if *i >= 0 => Some(i.to_string()),
        _ => None,
    }
}

/// `[population]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PopulationSpec {
    /// `size`.
    pub size: Field<u64>,
    /// `table`.
    pub table: Field<String>,
    /// `dataset`.
    pub dataset: Field<String>,
    /// `separator`.
    pub separator: Field<char>,
    /// `header`.
    pub header: Field<bool>,
}

pub fn population(table: &Table, at: Span, errors: &mut Errors<'_>) -> PopulationSpec {
    let fields = Fields::new(&keys::POPULATION, table, at, errors);
    PopulationSpec {
        size: fields.count("size", errors),
        table: fields.string("table", errors),
        dataset: fields.string("dataset", errors),
        separator: separator(&fields, errors),
        header: fields.boolean("header", errors),
    }
}

/// What stands between the cells of a table.
fn separator(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Field<char> {
    fields.read("separator", errors, |value| {
        let text = read::string(value)?;
        let mut characters = text.chars();
        characters.next().filter(|_| characters.next().is_none())
    })
}

/// `[loss]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossSpec {
    /// `formula`.
    pub formula: Field<String>,
}

pub fn loss(table: &Table, at: Span, errors: &mut Errors<'_>) -> LossSpec {
    let fields = Fields::new(&keys::LOSS, table, at, errors);
    let formula = fields.string("formula", errors);
    LossSpec { formula: fields.require("formula", formula, errors) }
}

/// `[sde]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SdeSpec {
    /// `drift`, by parameter.
    pub drift: Vec<Named<Field<String>>>,
    /// `diffusion`, by parameter.
    pub diffusion: Vec<Named<DiffusionSpec>>,
    /// `interpretation`: `ito` or `stratonovich`.
    pub interpretation: Field<&'static str>,
    /// `reflect`: bounds by parameter, infinite where there is none.
    pub reflect: Vec<Named<(f64, f64)>>,
    /// Something in it was reported already.
    pub broken: bool,
}

/// Diffusion of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum DiffusionSpec {
    /// One formula.
    Own(Field<String>),
    /// By name of the Wiener process.
    Named(Vec<Named<Field<String>>>),
}

pub fn sde(table: &Table, at: Span, errors: &mut Errors<'_>) -> SdeSpec {
    let before = errors.list.len();
    let fields = Fields::new(&keys::SDE, table, at, errors);
    let formula = |node: &Node, name: &Spanned<String>, errors: &mut Errors<'_>| {
        let read = values::formula(node);
        if read.is_none() {
            errors.at(
                node.span,
                format!("`{}`: expected a formula, found {}", name.value, node.value.found()),
                "write a formula in quotes, such as \"-mu*x\"",
            );
        }
        Field::from_read(read.map(|f| f.value), node.span)
    };
    let tables = |name: &str, errors: &mut Errors<'_>| match fields.node(name) {
        Some(Node { value: Value::Table(table), .. }) => table.entries.iter().collect::<Vec<_>>(),
        Some(node) => {
            fields.wrong(name, node, errors);
            Vec::new()
        }
        None => Vec::new(),
    };
    let drift = tables("drift", errors)
        .into_iter()
        .map(|(name, node)| Named { name: name.clone(), value: formula(node, name, errors) })
        .collect();
    let diffusion = tables("diffusion", errors)
        .into_iter()
        .map(|(name, node)| {
            let value = match &node.value {
                Value::Table(table) => DiffusionSpec::Named(
                    table
                        .entries
                        .iter()
                        .map(|(n, e)| Named { name: n.clone(), value: formula(e, n, errors) })
                        .collect(),
                ),
                _ => DiffusionSpec::Own(formula(node, name, errors)),
            };
            Named { name: name.clone(), value }
        })
        .collect();
    if fields.node("drift").is_none() && fields.node("diffusion").is_none() {
        errors.at(
            at,
            "[sde] has neither drift nor diffusion",
            suggestion("", ["drift", "diffusion"].into_iter()),
        );
    }
    let interpretation = fields.word("interpretation", &["ito", "stratonovich"], errors);
    let reflect = tables("reflect", errors)
        .into_iter()
        .filter_map(|(name, node)| {
            bounds(name, node, errors).map(|value| Named { name: name.clone(), value })
        })
        .collect();
    SdeSpec { drift, diffusion, interpretation, reflect, broken: errors.list.len() > before }
}

/// `[low, high]`, either of which may be "none" (which TOML has in quotes alone) or infinite.
fn bounds(name: &Spanned<String>, node: &Node, errors: &mut Errors<'_>) -> Option<(f64, f64)> {
    let bound = |node: &Node, none: f64| match &node.value {
        Value::String(text) if text == "none" => Some(none),
        other => read::number(other).filter(|x| !x.is_nan()),
    };
    let pair = match &node.value {
        Value::Array(list) if list.len() == 2 => {
            bound(&list[0], f64::NEG_INFINITY).zip(bound(&list[1], f64::INFINITY))
        }
        _ => None,
    };
    let Some((low, high)) = pair else {
        errors.at(
            node.span,
            format!("`{}`: expected two bounds, found {}", name.value, node.value.found()),
            format!(
                "write {} = [0, 1], with \"none\" in quotes where there is no bound: [0, \"none\"]",
                name.value
            ),
        );
        return None;
    };
    if low >= high || (low.is_infinite() && high.is_infinite()) {
        errors.at(
            node.span,
            format!("`{}` is to be kept between {low} and {high}", name.value),
            "give a lower bound below the upper one, one of them finite",
        );
        return None;
    }
    Some((low, high))
}

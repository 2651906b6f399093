//! The study as written: every value with its place, nothing looked up, nothing filled in.

mod claims;
mod convergence;
mod dynamics;
pub mod read;
mod run;
mod symmetries;
mod system;
mod values;

use std::path::PathBuf;

pub use claims::{ClaimLawSpec, ClaimSpec, EQUATIONS, MOMENTS, READINGS, STATISTICS, TAILS};
pub use convergence::{ConvergenceSpec, VARIED};
pub use dynamics::{DynamicsSpec, MomentumSpec, RateSpec, TrainingSpec};
pub use read::Field;
pub use run::{ObserveSpec, RecordSpec, RunSpec};
pub use symmetries::SymmetrySpec;
pub use system::{DataSpec, DiffusionSpec, InitialRows, LossSpec, ParameterSpec, PopulationSpec, SdeSpec};
pub use values::{Quantity, Scalar};

use super::keys;
use super::source::{Sources, Span, Spanned};
use super::tree::{self, Node, Table, Value};
use super::{Diagnostic, overrides};
use crate::model::Shape;
use read::{Errors, Fields};

/// A named entry of a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Named<T> {
    /// The user's name.
    pub name: Spanned<String>,
    /// What it stands for.
    pub value: T,
}

/// The place of a section's key or header, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Section<T> {
    /// Where it is announced.
    pub at: Span,
    /// What it says.
    pub value: T,
}

/// A study as written.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The study's text and the overrides.
    pub sources: Sources,
    /// Folder that tables are looked for in.
    pub base: PathBuf,
    /// The tree with the overrides applied.
    pub tree: Table,
    /// `title`.
    pub title: Field<String>,
    /// `[constants]`.
    pub constants: Vec<Named<Field<Quantity>>>,
    /// `[parameters]`.
    pub parameters: Vec<Named<ParameterSpec>>,
    /// `[starts]`: for each, what differs from `[parameters]`.
    pub starts: Vec<Named<Option<Vec<Named<ParameterSpec>>>>>,
    /// `[data]`.
    pub data: Option<Section<Vec<Named<Field<DataSpec>>>>>,
    /// `[population]`.
    pub population: Option<Section<PopulationSpec>>,
    /// `[loss]`.
    pub loss: Option<Section<LossSpec>>,
    /// `[sde]`.
    pub sde: Option<Section<SdeSpec>>,
    /// `[training]`.
    pub training: Option<Section<TrainingSpec>>,
    /// `[dynamics]`.
    pub dynamics: Option<Section<Vec<Named<DynamicsSpec>>>>,
    /// `[run]`.
    pub run: Option<Section<RunSpec>>,
    /// `[observe]`.
    pub observe: Vec<Named<Field<ObserveSpec>>>,
    /// `[symmetries]`.
    pub symmetries: Vec<Named<Field<SymmetrySpec>>>,
    /// `[[claims]]`, those that could be read.
    pub claims: Vec<ClaimSpec>,
    /// `quick = false`: the study is not run in short.
    pub never_quick: bool,
}

impl Spec {
    /// Reads a study's text with the overrides applied: the specification as far as it can be read, and everything that
    /// is wrong with it on its own. `None` where the text is not TOML. With `quick`, what its section `[quick]` says is
    /// applied before the overrides; without, it is only checked.
    pub fn parse(
        name: &str,
        text: &str,
        base: impl Into<PathBuf>,
        quick: bool,
        set: &[String],
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let mut sources = Sources::default();
        let study = sources.push(name, text);
        let mut tree = match tree::parse(&sources, study) {
            Ok(tree) => tree,
            Err(errors) => return (None, errors),
        };
        let mut list = Vec::new();
        let short = if quick { overrides::take_quick(&mut tree) } else { tree.get("quick").cloned() };
        if quick && let Some(Value::Table(values)) = short.as_ref().map(|node| &node.value) {
            list.extend(overrides::apply_quick(&sources, &mut tree, values));
        }
        for text in set {
            if let Err(error) = overrides::apply(&mut sources, &mut tree, text) {
                list.push(error);
            }
        }
        let mut errors = Errors::new(&sources);
        errors.list = list;
        let mut spec = Self::from_tree(&tree, &mut errors);
        spec.never_quick = short.as_ref().is_some_and(|node| node.value == Value::Boolean(false));
        if !quick && let Some(short) = &short {
            check_quick(&tree, short, &mut errors);
        }
        let list = errors.list;
        spec.sources = sources;
        spec.base = base.into();
        spec.tree = tree;
        (Some(spec), list)
    }

    fn from_tree(tree: &Table, errors: &mut Errors<'_>) -> Self {
        let fields = Fields::new(&keys::STUDY, tree, Span::default(), errors);
        Self {
            title: fields.string("title", errors),
            constants: named(&fields, "constants", errors, |node, name, errors| {
                let value = values::quantity(node, name, errors);
                Field::from_read(value, node.span)
            }),
            parameters: named(&fields, "parameters", errors, system::parameter),
            starts: named(&fields, "starts", errors, system::start),
            data: section(&fields, "data", errors)
                .map(|s| s.map(|table| entries(table, errors, system::data))),
            population: section(&fields, "population", errors)
                .map(|s| s.read(|table, at| system::population(table, at, errors))),
            loss: section(&fields, "loss", errors)
                .map(|s| s.read(|table, at| system::loss(table, at, errors))),
            sde: section(&fields, "sde", errors).map(|s| s.read(|table, at| system::sde(table, at, errors))),
            training: section(&fields, "training", errors)
                .map(|s| s.read(|table, at| dynamics::training(table, at, errors))),
            dynamics: section(&fields, "dynamics", errors)
                .map(|s| s.map(|table| entries(table, errors, dynamics::dynamics))),
            run: section(&fields, "run", errors).map(|s| s.read(|table, at| run::run(table, at, errors))),
            observe: named(&fields, "observe", errors, run::observe),
            symmetries: named(&fields, "symmetries", errors, symmetries::symmetry),
            claims: claims::claims(&fields, errors),
            ..Self::default()
        }
    }

    /// The overrides as given.
    pub fn overrides(&self) -> Vec<String> {
        (1..).map_while(|i| self.sources.get(i)).map(|s| s.text.clone()).collect()
    }

    /// True where a section was written, be it wrongly or under a misspelt name, which is reported already.
    pub fn written(&self, section: &str) -> bool {
        self.tree.get(section).is_some() || read::misspelt(&self.tree, &keys::STUDY, section)
    }

    /// True where a section can be read as a table, or is not there at all.
    pub fn readable(&self, section: &str) -> bool {
        match self.tree.get(section) {
            Some(node) => matches!(node.value, Value::Table(_)),
            None => !read::misspelt(&self.tree, &keys::STUDY, section),
        }
    }
}

impl<'t> Section<&'t Table> {
    fn map<T>(self, read: impl FnOnce(&'t Table) -> T) -> Section<T> {
        Section { at: self.at, value: read(self.value) }
    }
    fn read<T>(self, read: impl FnOnce(&'t Table, Span) -> T) -> Section<T> {
        Section { at: self.at, value: read(self.value, self.at) }
    }
}

/// What is wrong with `[quick]` alone: its own type, and what the study would say with it that it does not say without.
fn check_quick(tree: &Table, short: &Node, errors: &mut Errors<'_>) {
    match &short.value {
        Value::Boolean(false) => {}
        Value::Table(values) => {
            let mut tree = tree.clone();
            overrides::take_quick(&mut tree);
            let mut applied = Errors::new(errors.sources);
            applied.list = overrides::apply_quick(errors.sources, &mut tree, values);
            Spec::from_tree(&tree, &mut applied);
            for error in applied.list {
                if !errors.list.contains(&error) {
                    errors.list.push(error);
                }
            }
        }
        _ => Fields::new(&keys::STUDY, tree, Span::default(), &mut Errors::new(errors.sources))
            .wrong("quick", short, errors),
    }
}

/// A section that is a table, with the place of its header.
fn section<'t>(fields: &Fields<'t>, name: &str, errors: &mut Errors<'_>) -> Option<Section<&'t Table>> {
    let node = fields.node(name)?;
    if let Value::Table(table) = &node.value {
        return Some(Section { at: node.span, value: table });
    }
    fields.wrong(name, node, errors);
    None
}

/// The entries of a section whose keys are the user's names.
fn named<T>(
    fields: &Fields<'_>,
    name: &str,
    errors: &mut Errors<'_>,
    read: impl FnMut(&Node, &Spanned<String>, &mut Errors<'_>) -> T,
) -> Vec<Named<T>> {
    section(fields, name, errors).map(|s| entries(s.value, errors, read)).unwrap_or_default()
}

fn entries<T>(
    table: &Table,
    errors: &mut Errors<'_>,
    mut read: impl FnMut(&Node, &Spanned<String>, &mut Errors<'_>) -> T,
) -> Vec<Named<T>> {
    table
        .entries
        .iter()
        .map(|(name, node)| Named { name: name.clone(), value: read(node, name, errors) })
        .collect()
}

/// Most numbers that one value may have.
pub const MOST_NUMBERS: usize = 10_000_000;

/// `shape = [rows, columns]`.
fn shape(fields: &Fields<'_>, errors: &mut Errors<'_>) -> Field<Shape> {
    let Some(node) = fields.node("shape") else { return Field::Absent };
    let dims: Option<Vec<i64>> = match &node.value {
        Value::Array(list) => list.iter().map(|e| read::whole(&e.value)).collect(),
        other => read::whole(other).map(|n| vec![n]),
    };
    let Some(dims) = dims.filter(|d| d.len() <= 2) else {
        fields.wrong("shape", node, errors);
        return Field::Broken;
    };
    if dims.iter().any(|&d| d < 1) {
        errors.at(node.span, "a dimension of `shape` is less than 1", "give whole numbers from 1 up");
        return Field::Broken;
    }
    let size = |i: usize| dims.get(i).map_or(1, |&d| usize::try_from(d).unwrap_or(usize::MAX));
    let (rows, cols) = (size(0), size(1));
    if rows.checked_mul(cols).is_none_or(|n| n > MOST_NUMBERS) {
        errors.at(
            node.span,
            format!("`shape` has more than {MOST_NUMBERS} numbers"),
            "choose a smaller shape",
        );
        return Field::Broken;
    }
    Field::Given(Spanned::new(Shape::matrix(rows, cols), node.span))
}

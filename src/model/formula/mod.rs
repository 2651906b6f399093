//! The formula language: text → syntax → graph → program.

mod compiled_sde;
mod curvature;
mod data;
pub mod dissipation;
pub mod elaborate;
pub mod error;
mod faults;
mod formula_model;
mod function;
mod gathered;
mod gauss;
mod gradient;
mod graph;
mod in_pass;
mod nodes;
pub mod operations;
mod program;
pub mod reference;
mod sde;
#[cfg(test)]
mod singular_tests;
mod size;
mod sums;
mod switches;
#[cfg(test)]
mod switches_tests;
pub mod syntax;
#[cfg(test)]
mod tests;
mod wieners;
mod words;

use std::sync::Arc;

use graph::{Graph, Node};

use crate::model::{Layout, Shape};
pub use compiled_sde::{CompiledSde, NoiseStructure};
pub use curvature::Curvature;
pub use data::cholesky as semidefinite_factor;
pub use error::FormulaError;
pub use formula_model::FormulaModel;
pub use function::{Function, NodeBatch};
pub use sde::{Diffusion, SdeModel, TIME};
pub use switches::{Memory, Switches};
pub use wieners::{NoiseEntry, NoiseMatrix};

/// A number, vector or matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its shape.
    pub shape: Shape,
    /// Elements, row by row.
    pub data: Vec<f64>,
}

/// A parsed formula: one expression, or several lines of which all but the last name intermediates.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    lines: Arc<syntax::Lines>,
}

impl Expression {
    /// Parses.
    ///
    /// # Errors
    /// All independent syntax errors at once.
    pub fn parse(text: &str) -> Result<Self, Vec<FormulaError>> {
        Ok(Self { text: text.to_owned(), lines: Arc::new(syntax::parse(text)?) })
    }
    /// The text as written.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// Free names with the byte range of their first use (intermediates and functions excluded).
    pub fn names(&self) -> Vec<(String, std::ops::Range<usize>)> {
        let mut names: Vec<(String, std::ops::Range<usize>)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        syntax::free_names(&self.lines, &mut |name, span| {
            if seen.insert(name.to_owned()) {
                names.push((name.to_owned(), span.clone()));
            }
        });
        names
    }
    /// Where the first law of data is drawn in it (`normal(0, 1)`, bare `rademacher`), if there is one.
    pub fn law(&self) -> Option<std::ops::Range<usize>> {
        let mut first = None;
        syntax::called(&self.lines, &mut |name, span| {
            if first.is_none() && elaborate::LAWS.contains(&name) {
                first = Some(span.clone());
            }
        });
        first
    }
    /// Value of a formula of constants.
    ///
    /// # Errors
    /// Unknown names and shapes that do not fit, with their place.
    pub fn evaluate(&self, constant: &dyn Fn(&str) -> Option<Value>) -> Result<Value, FormulaError> {
        self.fold(ConstantScope { constant, names: &Vec::new })
    }
    /// Value over named constants.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; unknown names with the nearest known one.
    pub fn evaluate_among(
        &self,
        constants: &std::collections::BTreeMap<String, Value>,
    ) -> Result<Value, FormulaError> {
        let constant = |name: &str| constants.get(name).cloned();
        // Asked for by errors alone.
        self.fold(ConstantScope { constant: &constant, names: &|| constants.keys().cloned().collect() })
    }
    fn fold(&self, mut scope: ConstantScope<'_>) -> Result<Value, FormulaError> {
        let mut graph = Graph::default();
        let (node, _) = elaborate::elaborate(&self.lines, &mut graph, &mut scope)?;
        match graph.constant_of(node) {
            Some(data) => Ok(Value { shape: graph.shape(node), data: data.to_vec() }),
            None => unreachable!("a graph of constants folds to a constant"),
        }
    }
}

struct ConstantScope<'a> {
    constant: &'a dyn Fn(&str) -> Option<Value>,
    names: &'a dyn Fn() -> Vec<String>,
}

impl elaborate::Scope for ConstantScope<'_> {
    fn name(&mut self, graph: &mut Graph, name: &str) -> Option<Node> {
        (self.constant)(name).map(|value| graph.constant(value.shape, &value.data))
    }
    fn names(&self) -> Vec<String> {
        (self.names)()
    }
}

/// One entry of `[data]`.
#[derive(Clone, Debug)]
pub struct DataEntry {
    /// The user's name.
    pub name: String,
    /// Its law, formula or columns.
    pub source: DataSource,
}

/// What a data name stands for.
#[derive(Clone, Debug)]
pub enum DataSource {
    /// A law (`normal(0, 1)`, also bare `rademacher`) or a formula over constants, earlier data and laws.
    Formula {
        /// The formula; laws may be called anywhere in it.
        formula: Expression,
        /// `shape = [..]`: laws without shape of their own draw that many; a scalar result is not broadcast.
        shape: Option<Shape>,
    },
    /// A law that is drawn anew with every sample, also where the population is finite: of label noise and augmentation. What is derived from
    /// it is computed anew too. In an infinite population this is what [`DataSource::Formula`] is.
    Fresh {
        /// As there.
        formula: Expression,
        /// As there.
        shape: Option<Shape>,
    },
    /// Columns of a table: `[rows][len]`.
    Columns {
        /// Numbers a row.
        len: usize,
        /// Values row by row.
        values: Vec<f64>,
    },
}

/// All that makes a formula model.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// Parameters.
    pub layout: Layout,
    /// Named constants, with `rate batch decay pi momentum` among them.
    pub constants: std::collections::BTreeMap<String, Value>,
    /// `[data]` in file order.
    pub data: Vec<DataEntry>,
    /// Rows of the finite population: `size = N`, or the table's; `None` for fresh draws of all.
    pub size: Option<usize>,
    /// The loss.
    pub loss: Expression,
    /// λ of the force λθ, for `objective`.
    pub decay: f64,
    /// Seed of finite populations and reference samples.
    pub seed: u64,
}

/// Which formula of a [`ModelSpec`] or SDE an error is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `data[i]`.
    Data(usize),
    /// The loss.
    Loss,
    /// Drift of entry i.
    Drift(usize),
    /// Diffusion of entry i.
    Diffusion(usize),
}

//! A study written in Rust.

use std::path::PathBuf;
use std::sync::Arc;

use super::resolved::Study;
use super::spec::Spec;
use super::tree::{Node, Table, Value};
use super::{Diagnostic, Span, Spanned, written};
use crate::model::Model;

/// A study written in Rust, section by section, with the same names, defaults and checks as a file.
///
/// Values are anything that TOML has: numbers, text, vectors, nested tables (`toml::toml! { … }` makes them).
/// ```
/// let study = perrin::study::Draft::new("A particle in a parabola")
///     .constant("a", 2.0)
///     .parameter("w", 1.0)
///     .data("x", "normal(0, 1)")
///     .loss("a*w^2/2 + w*x")
///     .training("rate", 0.1)
///     .dynamics("sgd", "sgd")
///     .run("steps", 1000)
///     .run("replicas", 64)
///     .observe("energy", "a*w^2/2")
///     .claim(toml::toml! { einstein = { dynamics = "sgd" } })
///     .resolve()
///     .map_err(|errors| perrin::study::Rendered(&errors).to_string())
///     .unwrap();
/// assert_eq!(study.dynamics[0].instants.len(), 101);
/// ```
#[derive(Clone, Default)]
pub struct Draft {
    tree: Table,
    base: PathBuf,
    model: Option<Arc<dyn Model>>,
}

impl Draft {
    /// A study with a title and nothing else.
    #[must_use]
    pub fn new(title: &str) -> Self {
        let mut draft = Self::default();
        set(&mut draft.tree, "title", title.into());
        draft
    }

    /// A line of `[constants]`.
    #[must_use]
    pub fn constant(self, name: &str, value: impl Into<toml::Value>) -> Self {
        self.with("constants", name, value)
    }

    /// A line of `[parameters]`: a number, an array, a formula or law, or a table `{ shape, init }`.
    #[must_use]
    pub fn parameter(self, name: &str, value: impl Into<toml::Value>) -> Self {
        self.with("parameters", name, value)
    }

    /// A line of `[data]`.
    #[must_use]
    pub fn data(self, name: &str, value: impl Into<toml::Value>) -> Self {
        self.with("data", name, value)
    }

    /// A line of `[population]`.
    #[must_use]
    pub fn population(self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.with("population", key, value)
    }

    /// The loss.
    #[must_use]
    pub fn loss(self, formula: &str) -> Self {
        self.with("loss", "formula", formula)
    }

    /// A model written in Rust, in place of loss, data and population; the parameters of the study give its start and must be
    /// its own, in its order.
    #[must_use]
    pub fn model(mut self, model: Arc<dyn Model>) -> Self {
        self.model = Some(model);
        self
    }

    /// A line of `[sde]`.
    #[must_use]
    pub fn sde(self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.with("sde", key, value)
    }

    /// A line of `[training]`.
    #[must_use]
    pub fn training(self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.with("training", key, value)
    }

    /// A line of `[dynamics]`: a law's name, or a table `{ law = { settings } }`.
    #[must_use]
    pub fn dynamics(self, name: &str, law: impl Into<toml::Value>) -> Self {
        self.with("dynamics", name, law)
    }

    /// A line of `[run]`.
    #[must_use]
    pub fn run(self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.with("run", key, value)
    }

    /// A line of `[observe]`.
    #[must_use]
    pub fn observe(self, name: &str, formula: impl Into<toml::Value>) -> Self {
        self.with("observe", name, formula)
    }

    /// A line of `[symmetries]`.
    #[must_use]
    pub fn symmetry(self, name: &str, symmetry: impl Into<toml::Value>) -> Self {
        self.with("symmetries", name, symmetry)
    }

    /// One of `[[claims]]`, as its table.
    #[must_use]
    pub fn claim(mut self, claim: toml::Table) -> Self {
        let claim = tree_of(toml::Value::Table(claim));
        match self.tree.entries.iter_mut().find(|(k, _)| k.value == "claims") {
            Some((_, Node { value: Value::Array(list), .. })) => list.push(claim),
            _ => self.tree.set(key("claims"), plain(Value::Array(vec![claim]))),
        }
        self
    }

    /// Folder that tables are looked for in.
    #[must_use]
    pub fn base(mut self, folder: impl Into<PathBuf>) -> Self {
        self.base = folder.into();
        self
    }

    /// The study as a TOML text.
    pub fn to_toml(&self) -> String {
        written::document(&self.tree)
    }

    /// Checks and resolves.
    ///
    /// # Errors
    /// As [`super::load`]; places are in [`Draft::to_toml`].
    pub fn resolve(&self) -> Result<Study, Vec<Diagnostic>> {
        let (spec, errors) = Spec::parse("", &self.to_toml(), &self.base, false, &[]);
        super::finish(spec, errors, self.model.clone())
    }

    fn with(mut self, section: &str, name: &str, value: impl Into<toml::Value>) -> Self {
        if self.tree.get(section).is_none() {
            self.tree.set(key(section), plain(Value::Table(Table::default())));
        }
        if let Some((_, Node { value: Value::Table(table), .. })) =
            self.tree.entries.iter_mut().find(|(k, _)| k.value == section)
        {
            set(table, name, value.into());
        }
        self
    }
}

fn set(table: &mut Table, name: &str, value: toml::Value) {
    table.set(key(name), tree_of(value));
}

fn key(name: &str) -> Spanned<String> {
    Spanned::new(name.to_owned(), Span::default())
}

fn plain(value: Value) -> Node {
    Spanned::new(value, Span::default())
}

fn tree_of(value: toml::Value) -> Node {
    plain(match value {
        toml::Value::String(s) => Value::String(s),
        toml::Value::Integer(i) => Value::Integer(i),
        toml::Value::Float(x) => Value::Float(x),
        toml::Value::Boolean(b) => Value::Boolean(b),
        toml::Value::Datetime(d) => Value::Datetime(d.to_string()),
        toml::Value::Array(list) => Value::Array(list.into_iter().map(tree_of).collect()),
        toml::Value::Table(table) => {
            let mut entries = Table::default();
            for (name, value) in table {
                set(&mut entries, &name, value);
            }
            Value::Table(entries)
        }
    })
}

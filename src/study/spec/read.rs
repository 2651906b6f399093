//! Tools to read sections from the tree: unknown keys, wrong types, missing keys.

use crate::model::formula::FormulaError;
use crate::study::Diagnostic;
use crate::study::keys::Section;
use crate::study::source::{Sources, Span, Spanned};
use crate::study::tree::{Node, Table, Value};

/// Collects what is wrong.
pub struct Errors<'a> {
    /// Texts that places point into.
    pub sources: &'a Sources,
    /// Found so far.
    pub list: Vec<Diagnostic>,
    /// What is to be said of a study without errors, each once.
    pub warnings: Vec<String>,
}

impl<'a> Errors<'a> {
    /// No errors yet.
    pub fn new(sources: &'a Sources) -> Self {
        Self { sources, list: Vec::new(), warnings: Vec::new() }
    }

    /// Adds an error at a place.
    pub fn at(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.list.push(self.sources.diagnostic(span, message, help));
    }

    /// Adds a warning, if it was not given before.
    pub fn warn(&mut self, message: &str) {
        if !self.warnings.iter().any(|known| known == message) {
            self.warnings.push(message.to_owned());
        }
    }

    /// Adds an error about a key that should not be there, named by the place of its value.
    pub fn at_key(&mut self, value: Span, message: impl Into<String>, help: impl Into<String>) {
        self.at(self.sources.key_of(value), message, help);
    }

    /// Adds a formula's error; `text` is the formula as decoded, `skip` bytes of which were put before what stands at
    /// the place.
    pub fn formula(&mut self, formula: &Spanned<String>, skip: usize, error: &FormulaError) {
        let range = error.span.start.saturating_sub(skip)..error.span.end.saturating_sub(skip);
        let span = self.sources.inside(formula.span, &formula.value, range);
        let help = error.help.clone().unwrap_or_else(|| {
            "formulas have numbers, names, + - * / ^ @ .T and functions such as sum, norm2, exp".to_owned()
        });
        self.at(span, error.message.clone(), help);
    }

    /// Adds an error about a name that is none of `known`.
    pub fn unknown<'k>(
        &mut self,
        span: Span,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) {
        self.at(span, format!("unknown {what} `{name}`"), suggestion(name, known));
    }
}

/// Most names that a message lists.
const MOST_LISTED: usize = 16;

/// The known name that is most like `name`; of a single letter nothing can be guessed.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let near = crate::model::formula::elaborate::nearest(name, known)?;
    (name.chars().count() > 1 || near.to_lowercase() == name.to_lowercase()).then_some(near)
}

/// `did you mean …? known here: …`.
pub fn suggestion<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let mut names: Vec<&str> = Vec::new();
    for one in known.clone() {
        if !names.contains(&one) {
            names.push(one);
        }
    }
    let more = names.len() > MOST_LISTED;
    names.truncate(MOST_LISTED);
    let list = format!("{}{}", names.join(", "), if more { ", …" } else { "" });
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`? known here: {list}"),
        None if list.is_empty() => "nothing is known here".to_owned(),
        None => format!("known here: {list}"),
    }
}

/// A setting: not given, given wrongly (and reported), or given.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Field<T> {
    /// Not given.
    #[default]
    Absent,
    /// Given wrongly; the error is reported already.
    Broken,
    /// Given.
    Given(Spanned<T>),
}

impl<T> Field<T> {
    /// The value with its place.
    pub fn given(&self) -> Option<&Spanned<T>> {
        match self {
            Field::Given(value) => Some(value),
            _ => None,
        }
    }
    /// The value.
    pub fn value(&self) -> Option<&T> {
        self.given().map(|v| &v.value)
    }
    /// True where nothing was written.
    pub fn is_absent(&self) -> bool {
        matches!(self, Field::Absent)
    }
    /// True where it was written wrongly.
    pub fn is_broken(&self) -> bool {
        matches!(self, Field::Broken)
    }
    /// Its place.
    pub fn span(&self) -> Option<Span> {
        self.given().map(|v| v.span)
    }
    /// `Given` or `Broken`.
    pub fn from_read(value: Option<T>, span: Span) -> Self {
        value.map_or(Field::Broken, |v| Field::Given(Spanned::new(v, span)))
    }
}

/// A table being read against its section's keys.
pub struct Fields<'t> {
    section: &'static Section,
    table: &'t Table,
    /// Where the section is announced: a key or header.
    pub at: Span,
}

impl<'t> Fields<'t> {
    /// Reports unknown keys of `table`.
    pub fn new(section: &'static Section, table: &'t Table, at: Span, errors: &mut Errors<'_>) -> Self {
        for (key, _) in &table.entries {
            if section.key(&key.value).is_none() {
                let known = section.keys.iter().map(|k| k.name);
                let help = if section.keys.is_empty() {
                    format!("{} has no settings: write {{}}", section.name)
                } else {
                    suggestion(&key.value, known)
                };
                errors.at(key.span, format!("unknown key `{}` in {}", key.value, section.name), help);
            }
        }
        Self { section, table, at }
    }

    /// The node of a key.
    pub fn node(&self, name: &str) -> Option<&'t Node> {
        debug_assert!(
            self.section.key(name).is_some(),
            "{name} is not in the table of {}",
            self.section.name
        );
        self.table.get(name)
    }

    /// Reads a key with `read`, which gives `None` for a wrong type.
    pub fn read<T>(
        &self,
        name: &str,
        errors: &mut Errors<'_>,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Field<T> {
        let Some(node) = self.node(name) else { return Field::Absent };
        let value = read(&node.value);
        if value.is_none() {
            self.wrong(name, node, errors);
        }
        Field::from_read(value, node.span)
    }

    /// Reports a wrong type.
    pub fn wrong(&self, name: &str, node: &Node, errors: &mut Errors<'_>) {
        let Some(key) = self.section.key(name) else { return };
        errors.at(
            node.span,
            format!("`{name}`: expected {}, found {}", key.takes, node.value.found()),
            format!("for example: {}", key.example),
        );
    }

    /// A finite number.
    pub fn number(&self, name: &str, errors: &mut Errors<'_>) -> Field<f64> {
        let field = self.read(name, errors, number);
        if let Some(given) = field.given()
            && !given.value.is_finite()
        {
            errors.at(given.span, format!("`{name}` is not finite"), "give a finite number");
            return Field::Broken;
        }
        field
    }

    /// A whole number, not negative (1e5 counts as whole).
    pub fn count(&self, name: &str, errors: &mut Errors<'_>) -> Field<u64> {
        let field = self.read(name, errors, whole);
        match field.given() {
            Some(given) if given.value < 0 => {
                errors.at(
                    given.span,
                    format!("`{name}` is negative"),
                    "give a whole number that is not negative",
                );
                Field::Broken
            }
            Some(given) => Field::Given(Spanned::new(given.value.unsigned_abs(), given.span)),
            None if field.is_absent() => Field::Absent,
            None => Field::Broken,
        }
    }

    /// Text.
    pub fn string(&self, name: &str, errors: &mut Errors<'_>) -> Field<String> {
        self.read(name, errors, string)
    }

    /// One of the words of a list.
    pub fn word(&self, name: &str, words: &[&'static str], errors: &mut Errors<'_>) -> Field<&'static str> {
        let field = self.string(name, errors);
        let Some(given) = field.given() else {
            return if field.is_absent() { Field::Absent } else { Field::Broken };
        };
        let word = words.iter().find(|w| **w == given.value).copied();
        if word.is_none() {
            errors.at(
                given.span,
                format!("`{name}` cannot be \"{}\"", given.value),
                suggestion(&given.value, words.iter().copied()),
            );
        }
        Field::from_read(word, given.span)
    }

    /// True or false.
    pub fn boolean(&self, name: &str, errors: &mut Errors<'_>) -> Field<bool> {
        self.read(name, errors, |v| if let Value::Boolean(b) = v { Some(*b) } else { None })
    }

    /// Reports that a key is missing, unless a misspelt one is there, which is reported already.
    pub fn missing(&self, name: &str, errors: &mut Errors<'_>) {
        if misspelt(self.table, self.section, name) {
            return;
        }
        let example = self.section.key(name).map_or("", |k| k.example);
        errors.at(
            self.at,
            format!("`{name}` is missing in {}", self.section.name),
            format!("add it, for example: {example}"),
        );
    }

    /// Reports a field that is absent as missing.
    pub fn require<T>(&self, name: &str, field: Field<T>, errors: &mut Errors<'_>) -> Field<T> {
        if field.is_absent() {
            self.missing(name, errors);
            return Field::Broken;
        }
        field
    }
}

/// True if a table has an unknown key that was most likely meant to be `name`.
pub fn misspelt(table: &Table, section: &Section, name: &str) -> bool {
    table.entries.iter().any(|(key, _)| {
        section.key(&key.value).is_none()
            && nearest(&key.value, section.keys.iter().map(|k| k.name)) == Some(name)
    })
}

/// An integer or a float.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(i) => Some(*i as f64),
        Value::Float(x) => Some(*x),
        _ => None,
    }
}

/// An integer, or a float that is one.
pub fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(i) => Some(*i),
        Value::Float(x) if x.fract() == 0.0 && x.abs() < 9.0e15 => Some(*x as i64),
        _ => None,
    }
}

/// Text.
pub fn string(value: &Value) -> Option<String> {
    if let Value::String(s) = value { Some(s.clone()) } else { None }
}

/// A name, or an array of names.
pub fn names(node: &Node) -> Option<Vec<Spanned<String>>> {
    match &node.value {
        Value::String(name) => Some(vec![Spanned::new(name.clone(), node.span)]),
        Value::Array(list) => {
            list.iter().map(|e| string(&e.value).map(|s| Spanned::new(s, e.span))).collect()
        }
        _ => None,
    }
}

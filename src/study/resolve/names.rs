//! Names of a study: what they must look like, that each means one thing, and that formulas know them.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::formula::elaborate::LAWS;
use crate::model::formula::{Expression, FormulaError};
use crate::study::source::Spanned;
use crate::study::spec::read::{Errors, suggestion};

/// Names that every formula of a loss knows.
pub const SETTINGS: [&str; 5] = ["rate", "batch", "decay", "momentum", "pi"];

/// Names that observables know.
pub const MEASURED: [&str; 3] = ["loss", "objective", "gradient_norm2"];

/// Who has which name.
#[derive(Default)]
pub struct Names {
    taken: Vec<(String, &'static str)>,
    kinds: HashMap<String, &'static str>,
    /// Names whose declaration is broken.
    pub broken: Broken,
}

/// Names whose declaration is broken: errors about them are not repeated.
#[derive(Clone, Default)]
pub struct Broken {
    /// These.
    pub names: Vec<String>,
    /// Any name may be one of them: a whole section is broken.
    pub all: bool,
    /// Names without one value, with what is to be said of them.
    pub unsettled: Vec<Unsettled>,
    /// Names with one value that is not that of all dynamics, and the warning where they are used.
    pub shared: Vec<(&'static str, String)>,
}

/// A name that would mean several things in one formula.
#[derive(Clone)]
pub struct Unsettled {
    pub name: &'static str,
    pub message: String,
    pub help: String,
}

impl Broken {
    /// True if nothing should be said about a name.
    pub fn contains(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|n| n == name)
    }
    /// Adds a name.
    pub fn push(&mut self, name: impl Into<String>) {
        self.names.push(name.into());
    }
}

impl Names {
    /// Takes a name for a constant, a parameter or a data entry; false where it cannot be had.
    pub fn take(&mut self, name: &Spanned<String>, what: &'static str, errors: &mut Errors<'_>) -> bool {
        let text = name.value.as_str();
        if !is_identifier(text) {
            errors.at(
                name.span,
                format!("`{text}` cannot be the name of a {what}"),
                "names of formulas begin with a letter and have letters, digits and _",
            );
            return false;
        }
        if SETTINGS.contains(&text) || MEASURED.contains(&text) || text == "grad" {
            errors.at(
                name.span,
                format!("`{text}` has a meaning already and cannot be the name of a {what}"),
                format!(
                    "choose another name; reserved are {}, {}, grad",
                    SETTINGS.join(", "),
                    MEASURED.join(", ")
                ),
            );
            return false;
        }
        if let Some(other) = self.kinds.get(text) {
            errors.at(
                name.span,
                format!("`{text}` is the name of a {other} already"),
                "give each constant, parameter and data entry a name of its own",
            );
            return false;
        }
        self.taken.push((text.to_owned(), what));
        self.kinds.insert(text.to_owned(), what);
        true
    }

    /// What a name is the name of.
    pub fn kind(&self, name: &str) -> Option<&'static str> {
        self.kinds.get(name).copied()
    }

    /// Names taken by one kind.
    pub fn of<'a>(&'a self, what: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        self.taken.iter().filter(move |(_, w)| *w == what).map(|(n, _)| n.as_str())
    }
}

fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_' || c == '\'')
}

/// Parses a formula, `text` or a part of it; errors at their places in `text`.
pub fn parse(formula: &str, text: &Spanned<String>, errors: &mut Errors<'_>) -> Option<Expression> {
    match Expression::parse(formula) {
        Ok(expression) => Some(expression),
        Err(list) => {
            for error in &list {
                errors.formula(text, 0, error);
            }
            None
        }
    }
}

/// Names that a formula may have.
pub trait Known {
    /// True of one of them.
    fn knows(&self, name: &str) -> bool;
    /// All, for suggestions.
    fn all(&self) -> Vec<&str>;
}

impl<T> Known for BTreeMap<String, T> {
    fn knows(&self, name: &str) -> bool {
        self.contains_key(name)
    }
    fn all(&self) -> Vec<&str> {
        self.keys().map(String::as_str).collect()
    }
}

/// Some names in their order.
#[derive(Clone, Default)]
pub struct Listed<'a> {
    list: Vec<&'a str>,
    set: HashSet<&'a str>,
}

impl<'a> Extend<&'a str> for Listed<'a> {
    fn extend<I: IntoIterator<Item = &'a str>>(&mut self, names: I) {
        for name in names {
            self.list.push(name);
            self.set.insert(name);
        }
    }
}

impl<'a> FromIterator<&'a str> for Listed<'a> {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut listed = Self::default();
        listed.extend(names);
        listed
    }
}

impl Known for Listed<'_> {
    fn knows(&self, name: &str) -> bool {
        self.set.contains(name)
    }
    fn all(&self) -> Vec<&str> {
        self.list.clone()
    }
}

/// Reports every free name of a formula that is not among `known`; true if all are. Laws count as known where `laws`.
pub fn check(
    formula: &Spanned<String>,
    expression: &Expression,
    known: &dyn Known,
    broken: &Broken,
    laws: bool,
    errors: &mut Errors<'_>,
) -> bool {
    let mut fine = true;
    for (name, span) in expression.names() {
        if let Some((_, warning)) = broken.shared.iter().find(|(shared, _)| *shared == name) {
            errors.warn(warning);
        }
        if known.knows(&name) || (laws && LAWS.contains(&name.as_str())) {
            continue;
        }
        fine = false;
        if broken.contains(&name) {
            continue;
        }
        let unsettled = broken.unsettled.iter().find(|u| u.name == name);
        let error = if let Some(unsettled) = unsettled {
            FormulaError::new(span, unsettled.message.clone()).help(unsettled.help.clone())
        } else if LAWS.contains(&name.as_str()) {
            FormulaError::new(span, format!("the law `{name}` cannot stand here"))
                .help("laws stand in [data]; name the draw there and use its name here")
        } else if crate::model::formula::operations::functions::find(&name).is_some() {
            FormulaError::new(span, format!("`{name}` is a function")).help(format!("call it: {name}(…)"))
        } else {
            FormulaError::new(span, format!("unknown name `{name}`"))
                .help(suggestion(&name, known.all().into_iter()))
        };
        errors.formula(formula, 0, &error);
    }
    fine
}

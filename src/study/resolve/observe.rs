//! Observables: parameters, `[observe]`, and what claims ask for.
//!
//! A formula may name observables that stand before it: their formulas are put in front of it as named intermediates.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::names::{self, Broken, MEASURED, Names};
use super::{Compiler, Constants, Kind, Parameters};
use crate::dynamics::Ledger;
use crate::dynamics::passage::{Asked, Passage};
use crate::model::formula::{Expression, Function, syntax};
use crate::model::{Layout, Shape};
use crate::study::resolved::{NoiseMoments, Observable, ObservableKind};
use crate::study::source::Spanned;
use crate::study::spec::read::{Errors, suggestion};
use crate::study::spec::{Field, ObserveSpec, Spec};

/// Observables, and all that is needed to add more of them.
pub struct Observables<'a> {
    pub list: Vec<Observable>,
    /// Places in the list by name (the first of each), and by formula without blanks.
    named: HashMap<String, usize>,
    alike: HashMap<String, usize>,
    compiler: Option<&'a Compiler>,
    layout: Layout,
    /// Names that formulas know beside observables, in their order.
    listed: Vec<String>,
    /// Names that formulas know beside observables.
    known: HashSet<String>,
    /// Names of broken declarations: errors about them are not repeated.
    broken: Broken,
    /// Observables that are formulas, with their texts as given.
    definitions: Vec<(String, String)>,
    /// Places in them.
    defined: HashMap<String, usize>,
}

/// Names of observables before a formula.
struct Before<'a>(&'a Observables<'a>);

impl names::Known for Before<'_> {
    fn knows(&self, name: &str) -> bool {
        self.0.known.contains(name) || self.0.defined.contains_key(name)
    }
    fn all(&self) -> Vec<&str> {
        let definitions = self.0.definitions.iter().map(|(n, _)| n.as_str());
        self.0.listed.iter().map(String::as_str).chain(definitions).collect()
    }
}

#[allow(clippy::too_many_arguments, reason = "all that formulas may name")]
pub fn observables<'a>(
    spec: &Spec,
    record_parameters: bool,
    parameters: &Parameters,
    names: &Names,
    constants: &Constants,
    kind: Option<Kind>,
    compiler: Option<&'a Compiler>,
    errors: &mut Errors<'_>,
) -> Observables<'a> {
    let mut known: Vec<String> = names.of("parameter").map(str::to_owned).collect();
    known.extend(names.of("data entry").map(str::to_owned));
    known.extend(constants.keys().cloned());
    if kind != Some(Kind::Sde) && !matches!(compiler, Some(Compiler::State(_))) {
        known.extend(MEASURED.iter().map(|s| (*s).to_owned()));
        let loss = spec.loss.as_ref().and_then(|s| s.value.formula.value());
        if let Some(Ok(lines)) = loss.map(|text| syntax::parse(text)) {
            known.extend(lines.intermediates.into_iter().map(|i| i.name));
        }
    }
    let mut observables = Observables {
        list: Vec::new(),
        named: HashMap::new(),
        alike: HashMap::new(),
        compiler,
        layout: parameters.layout.clone(),
        known: known.iter().cloned().collect(),
        listed: known,
        broken: names.broken.clone(),
        definitions: Vec::new(),
        defined: HashMap::new(),
    };
    if record_parameters {
        for parameter in parameters.layout.parameters() {
            observables.push(of_parameter(parameter, false));
        }
    }
    for entry in &spec.observe {
        if !check_name(&entry.name, &entry.value, names, errors) {
            observables.broken.push(&entry.name.value);
            continue;
        }
        let made = entry.value.given().and_then(|written| match &written.value {
            ObserveSpec::Formula(text) => observables.function(text, errors).map(|function| {
                observables.define(&entry.name.value, &text.value);
                (function.shape(), ObservableKind::Function(Arc::new(function)))
            }),
            ObserveSpec::Integral(text) => observables
                .function(text, errors)
                .map(|function| (function.shape(), ObservableKind::Integral(Arc::new(function)))),
            ObserveSpec::Passage { of, above, below, passed } => {
                observables.function(of, errors).and_then(|function| {
                    if !function.shape().is_scalar() {
                        errors.at(
                            of.span,
                            format!("`{}` is {}: a passage is that of one number", of.value, function.shape()),
                            "name one element, such as x[0], or a formula that is a number",
                        );
                        return None;
                    }
                    let spread = observables.spread(&of.value);
                    if kind == Some(Kind::Sde) && spread.is_none() {
                        errors.warn(&format!(
                            "`{}` sees a passage at the ends of steps alone: what happens between them is known of a coordinate \
                             with constant noise",
                            entry.name.value
                        ));
                    }
                    let level = |field: &Field<f64>| field.value().copied();
                    let asked = if *passed { Asked::Passed } else { Asked::Time };
                    let (above, below) = (level(above), level(below));
                    let passage = Passage { function: Arc::new(function), above, below, asked, spread };
                    Some((Shape::SCALAR, ObservableKind::Passage(Arc::new(passage))))
                })
            }
            ObserveSpec::SingularValues(text) => observables.function(text, errors).and_then(|function| {
                let shape = function.shape();
                if shape.is_scalar() {
                    errors.at(
                        text.span,
                        "a scalar has no singular values",
                        "name a matrix, such as W, or a formula of one",
                    );
                    return None;
                }
                let values = Shape::vector(shape.rows.min(shape.cols));
                Some((values, ObservableKind::SingularValues(Arc::new(function))))
            }),
        });
        match made {
            Some((shape, kind)) => {
                observables.push(Observable { name: entry.name.value.clone(), shape, hidden: false, kind });
            }
            None => observables.broken.push(&entry.name.value),
        }
    }
    observables
}

fn of_parameter(parameter: &crate::model::Parameter, hidden: bool) -> Observable {
    Observable {
        name: parameter.name.clone(),
        shape: parameter.shape,
        hidden,
        kind: ObservableKind::Parameter { offset: parameter.offset },
    }
}

/// Names of observables are names in the output, and mean one thing in claims.
fn check_name(
    name: &Spanned<String>,
    value: &Field<ObserveSpec>,
    names: &Names,
    errors: &mut Errors<'_>,
) -> bool {
    let text = name.value.as_str();
    if text.trim().is_empty()
        || text.contains('/')
        || text.chars().any(char::is_control)
        || text.starts_with('.')
    {
        errors.at(
            name.span,
            format!("`{text}` cannot be the name of an observable"),
            "it becomes a name in the output: use letters, digits, - and _",
        );
        return false;
    }
    for what in ["parameter", "data entry", "constant"] {
        if names.kind(text) == Some(what) {
            let help = if what == "parameter" {
                "every parameter is observed under its own name already"
            } else {
                "give the observable a name of its own"
            };
            errors.at(name.span, format!("`{text}` is the name of a {what} already"), help);
            return false;
        }
    }
    let itself = matches!(value.value(), Some(ObserveSpec::Formula(formula)) if formula.value.trim() == text);
    let reserved = names::SETTINGS.contains(&text) || text == "grad" || MEASURED.contains(&text);
    if reserved && !(itself && MEASURED.contains(&text)) {
        errors.at(
            name.span,
            format!("`{text}` has a meaning already and cannot be the name of an observable"),
            format!(
                "choose another name; only {} may be observed under their own names",
                MEASURED.join(", ")
            ),
        );
        return false;
    }
    true
}

impl Observables<'_> {
    /// Adds an observable, or another of a name that is there already.
    fn push(&mut self, observable: Observable) {
        let place = self.list.len();
        self.named.entry(observable.name.clone()).or_insert(place);
        if observable.hidden {
            self.alike.entry(compact(&observable.name)).or_insert(place);
        }
        self.list.push(observable);
    }

    /// Notes the formula of the observable that is pushed next.
    fn define(&mut self, name: &str, text: &str) {
        self.alike.entry(compact(text)).or_insert(self.list.len());
        self.defined.entry(name.to_owned()).or_insert(self.definitions.len());
        self.definitions.push((name.to_owned(), text.to_owned()));
    }

    fn get(&self, name: &str) -> Option<&Observable> {
        self.named.get(name).and_then(|&at| self.list.get(at))
    }

    /// Compiles a formula; errors are reported at its place. `None` without a word where the system itself is broken.
    fn function(&self, text: &Spanned<String>, errors: &mut Errors<'_>) -> Option<Function> {
        let (expression, skip) = self.expression(text, errors)?;
        match self.compiler?.function(&expression) {
            Ok(function) => Some(function),
            Err(error) => {
                errors.formula(text, skip, &error);
                None
            }
        }
    }

    /// Parses a formula with the observables it names in front, whose length is returned.
    fn expression(&self, text: &Spanned<String>, errors: &mut Errors<'_>) -> Option<(Expression, usize)> {
        let plain = names::parse(&text.value, text, errors)?;
        if !names::check(text, &plain, &Before(self), &self.broken, false, errors) {
            return None;
        }
        let prefix = self.prefix(&plain);
        if prefix.is_empty() {
            return Some((plain, 0));
        }
        match Expression::parse(&format!("{prefix}{}", text.value)) {
            Ok(expression) => Some((expression, prefix.len())),
            Err(list) => {
                for error in &list {
                    errors.formula(text, prefix.len(), error);
                }
                None
            }
        }
    }

    /// Definitions of the observables that a formula needs, as lines.
    fn prefix(&self, expression: &Expression) -> String {
        let mut needed = vec![false; self.definitions.len()];
        self.need(expression, self.definitions.len(), &mut needed);
        let mut prefix = String::new();
        for ((name, text), _) in self.definitions.iter().zip(&needed).filter(|(_, needed)| **needed) {
            let last = last_line(text);
            prefix.push_str(&format!("{}{name} = {}\n", &text[..last], &text[last..]));
        }
        prefix
    }

    /// True if a formula, or an observable that it names, has a name in it.
    pub fn mentions(&self, text: &str, name: &str) -> bool {
        let has = |text: &str| {
            Expression::parse(text).is_ok_and(|formula| formula.names().iter().any(|(n, _)| n == name))
        };
        let prefix = Expression::parse(text).map(|formula| self.prefix(&formula)).unwrap_or_default();
        has(&format!("{prefix}{text}"))
    }

    /// Marks the definitions before `before` that an expression names, and what those need.
    fn need(&self, expression: &Expression, before: usize, needed: &mut [bool]) {
        for (name, _) in expression.names() {
            if self.known.contains(&name) {
                continue;
            }
            if let Some(&at) = self.defined.get(&name).filter(|at| **at < before)
                && !needed[at]
            {
                needed[at] = true;
                if let Ok(inner) = Expression::parse(&self.definitions[at].1) {
                    self.need(&inner, at, needed);
                }
            }
        }
    }

    /// σ² per unit time of a coordinate of an equation with constant noise, named as it is.
    fn spread(&self, name: &str) -> Option<f64> {
        let Some(Compiler::State(model)) = self.compiler else { return None };
        let parameter = self.layout.get(name.trim()).filter(|p| p.shape.is_scalar())?;
        model.spread(parameter.offset)
    }

    /// The observable that a claim names: by name, or a formula, which is added as a hidden one.
    pub fn of_claim(&mut self, text: &Spanned<String>, errors: &mut Errors<'_>) -> Option<Observable> {
        let name = text.value.trim();
        if let Some(found) = self.get(name) {
            return Some(found.clone());
        }
        if let Some(parameter) = self.layout.get(name) {
            let observable = of_parameter(parameter, true);
            self.push(observable.clone());
            return Some(observable);
        }
        if self.broken.contains(name) {
            return None;
        }
        // The same formula, spaced otherwise, is the same observable.
        if !name.contains('#')
            && let Some(&at) = self.alike.get(&compact(name))
        {
            return self.list.get(at).cloned();
        }
        let function = self.function(text, errors)?;
        let shown: Vec<&str> = name.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        Some(self.add_hidden(shown.join("; "), function))
    }

    /// A formula of our own, named `name`, and hidden.
    pub fn of_formula(
        &mut self,
        name: &str,
        formula: &Spanned<String>,
        errors: &mut Errors<'_>,
    ) -> Option<Observable> {
        if let Some(found) = self.get(name) {
            return Some(found.clone());
        }
        let function = self.function(formula, errors)?;
        Some(self.add_hidden(name.to_owned(), function))
    }

    /// The fitted rates of an observable between two shares of the run, as a hidden observable.
    pub fn decay_rate(&mut self, of: &Observable, from: f64, to: f64) -> String {
        let name = format!("decay-rate({}, {from}, {to})", of.name);
        let components = of.shape.len();
        let observable = Observable {
            name: name.clone(),
            shape: Shape::matrix(components, 3),
            hidden: true,
            kind: ObservableKind::DecayRate { of: Box::new(of.kind.clone()), components, from, to },
        };
        if self.get(&name).is_none() {
            self.push(observable);
        }
        name
    }

    /// Σ|θ ∂f/∂θ| of a claim's observable, as a hidden observable; `None` where it has none (singular values).
    pub fn magnitude(&mut self, name: &str, text: &Spanned<String>, errors: &Errors<'_>) -> Option<String> {
        let defined = self.defined.get(text.value.trim()).map(|&at| self.definitions[at].1.clone());
        if defined.is_none()
            && self
                .get(text.value.trim())
                .is_some_and(|o| matches!(o.kind, ObservableKind::SingularValues(_)))
        {
            return None;
        }
        let text = Spanned::new(defined.unwrap_or_else(|| text.value.clone()), text.span);
        let mut silent = Errors::new(errors.sources);
        let (expression, _) = self.expression(&text, &mut silent)?;
        let function = self.compiler?.magnitude(&expression).ok()?;
        let name = format!("magnitude({name})");
        if self.get(&name).is_none() {
            self.add_hidden(name.clone(), function);
        }
        Some(name)
    }

    /// The ledger of a charge, as a hidden observable.
    pub fn ledger(&mut self, name: &str, ledger: Ledger) -> String {
        if self.get(name).is_none() {
            self.push(Observable {
                name: name.to_owned(),
                shape: Shape::vector(ledger.rows().len()),
                hidden: true,
                kind: ObservableKind::Ledger(Arc::new(ledger)),
            });
        }
        name.to_owned()
    }

    /// The noise that moves the charges of some eigenspaces, as a hidden observable.
    pub fn noise_moments(&mut self, name: &str, moments: NoiseMoments) -> String {
        if self.get(name).is_none() {
            self.push(Observable {
                name: name.to_owned(),
                shape: Shape::vector(6 * moments.squares.shape().len()),
                hidden: true,
                kind: ObservableKind::NoiseMoments(Arc::new(moments)),
            });
        }
        name.to_owned()
    }

    fn add_hidden(&mut self, name: String, function: Function) -> Observable {
        let observable = Observable {
            name,
            shape: function.shape(),
            hidden: true,
            kind: ObservableKind::Function(Arc::new(function)),
        };
        if self.get(&observable.name).is_none() {
            self.push(observable.clone());
        }
        observable
    }

    /// Help for a name that is no observable.
    pub fn suggestion(&self, name: &str) -> String {
        suggestion(name, self.list.iter().filter(|o| !o.hidden).map(|o| o.name.as_str()))
    }
}

/// A formula without blanks, line by line.
fn compact(text: &str) -> String {
    let lines =
        text.split(['\n', ';']).map(|line| line.chars().filter(|c| !c.is_whitespace()).collect::<String>());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(";")
}

/// Where the last line of a formula begins: lines end at `;` or at a newline outside brackets.
fn last_line(text: &str) -> usize {
    let mut depth = 0_i32;
    let mut comment = false;
    let mut begins = 0;
    let mut last = 0;
    let mut blank = true;
    for (at, c) in text.char_indices() {
        match c {
            '\n' if comment || depth <= 0 => {
                comment = false;
                if depth <= 0 {
                    begins = at + 1;
                    blank = true;
                }
            }
            _ if comment => {}
            '#' => comment = true,
            ';' => {
                begins = at + 1;
                blank = true;
            }
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        if blank && !comment && !c.is_whitespace() && c != ';' {
            blank = false;
            last = begins;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_found_behind_brackets_and_comments() {
        let tail = |text: &'static str| &text[last_line(text)..];
        assert_eq!(tail("u^2"), "u^2");
        assert_eq!(tail("h = u\nh^2"), "h^2");
        assert_eq!(tail("h = u; h^2\n\n# done\n"), " h^2\n\n# done\n");
        assert_eq!(tail("h = sum([1,\n2])\n(h +\n 1)\n"), "(h +\n 1)\n");
        assert_eq!(tail("h = 1 # (\nh"), "h");
    }
}

//! `[loss]` and `[sde]`: the system that moves.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::{self, Broken, Known, Listed, Names};
use super::population::{PopulationKind, PopulationRead};
use super::{Compiler, Constants, Kind, Parameters};
use crate::model::Model;
use crate::model::formula::{
    DataSource, Diffusion, Expression, FormulaError, FormulaModel, ModelSpec, Place, SdeModel, TIME,
};
use crate::study::resolved::{LossSystem, System};
use crate::study::source::Spanned;
use crate::study::spec::read::Errors;
use crate::study::spec::{DiffusionSpec, Field, Named, SdeSpec, Spec};

/// What the system is made from.
pub struct Parts<'a> {
    pub model: Option<Arc<dyn Model>>,
    pub parameters: &'a Parameters,
    pub population: &'a PopulationRead,
    pub constants: &'a Constants,
    pub seed: u64,
    /// The time at which runs begin.
    pub start: f64,
}

/// A system with its compiler.
pub struct Built {
    pub system: System,
    pub compiler: Compiler,
}

pub fn system(
    spec: &Spec,
    kind: Option<Kind>,
    parts: &Parts<'_>,
    names: &Names,
    errors: &mut Errors<'_>,
) -> Option<Built> {
    match (kind?, &parts.model) {
        (_, Some(model)) => {
            let model = Arc::clone(model);
            given_model(spec, model, parts, errors)
        }
        (Kind::Loss, None) => loss(spec, parts, names, errors),
        (Kind::Sde, None) => {
            let section = spec.sde.as_ref()?;
            sde(&section.value, parts, names, errors)
        }
    }
}

/// A model written in Rust: [parameters] gives its start.
fn given_model(
    spec: &Spec,
    model: Arc<dyn Model>,
    parts: &Parts<'_>,
    errors: &mut Errors<'_>,
) -> Option<Built> {
    if !parts.parameters.complete {
        return None;
    }
    if model.layout() != &parts.parameters.layout {
        let describe = |layout: &crate::model::Layout| {
            layout
                .parameters()
                .iter()
                .map(|p| format!("{} {}", p.name, p.shape))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let at = spec.tree.get("parameters").map(|n| n.span).unwrap_or_default();
        errors.at(
            at,
            format!(
                "the model's parameters are {}, the study's {}",
                describe(model.layout()),
                describe(&parts.parameters.layout)
            ),
            "give each parameter of the model an initial value, in the model's order",
        );
        return None;
    }
    let state = SdeModel::new(model.layout().clone(), parts.constants, &[], &[], false).ok()?;
    Some(Built {
        system: System::Loss(LossSystem { model, formula: None }),
        compiler: Compiler::State(Arc::new(state)),
    })
}

fn loss(spec: &Spec, parts: &Parts<'_>, names: &Names, errors: &mut Errors<'_>) -> Option<Built> {
    let formulas: Vec<Option<&Spanned<String>>> =
        parts.population.entries.iter().map(|(_, f)| f.as_ref()).collect();
    let mut complete = parts.parameters.complete && parts.population.complete;
    // Names first: all unknown ones at once, even where the model cannot be built.
    let constants: Vec<&str> = parts.constants.keys().map(String::as_str).collect();
    let mut known: Listed<'_> = constants.iter().copied().collect();
    let entries = &parts.population.entries;
    // Each name has one place.
    let places: HashMap<&str, usize> =
        entries.iter().enumerate().map(|(index, (entry, _))| (entry.name.as_str(), index)).collect();
    for (index, (entry, formula)) in entries.iter().enumerate() {
        if let (
            DataSource::Formula { formula: expression, .. } | DataSource::Fresh { formula: expression, .. },
            Some(text),
        ) = (&entry.source, formula)
        {
            let mut broken = names.broken.clone();
            for (name, span) in expression.names() {
                if places.get(name.as_str()).is_some_and(|&place| place >= index) {
                    let error = FormulaError::new(span, format!("`{name}` is not drawn yet")).help(format!(
                        "entries of [data] are drawn in the order of the file: put `{name}` first"
                    ));
                    errors.formula(text, 0, &error);
                    broken.push(name);
                }
            }
            complete &= names::check(text, expression, &known, &broken, true, errors);
        }
        known.extend([entry.name.as_str()]);
    }
    let text = spec.loss.as_ref()?.value.formula.given()?;
    let expression = names::parse(&text.value, text, errors)?;
    let mut known: Listed<'_> = names.of("parameter").chain(names.of("data entry")).collect();
    known.extend(constants);
    let mut broken = names.broken.clone();
    for (name, span) in expression.names() {
        if parts.population.columns.contains(&name) && !known.knows(&name) {
            let error = FormulaError::new(span, format!("`{name}` is a column, and not yet a name"))
                .help(format!("add {name} = {{ column = \"{name}\" }} to [data]"));
            errors.formula(text, 0, &error);
            broken.push(name);
        }
    }
    complete &= names::check(text, &expression, &known, &broken, false, errors);
    if !complete {
        return None;
    }
    let size = match parts.population.kind {
        PopulationKind::Finite(rows) => Some(rows),
        _ => None,
    };
    let built = FormulaModel::new(ModelSpec {
        layout: parts.parameters.layout.clone(),
        constants: parts.constants.clone(),
        data: parts.population.entries.iter().map(|(entry, _)| entry.clone()).collect(),
        size,
        loss: expression,
        decay: parts.constants.get("decay").map_or(0.0, |value| value.data[0]),
        seed: parts.seed,
    });
    match built {
        Ok(model) => {
            let model = Arc::new(model);
            Some(Built {
                system: System::Loss(LossSystem {
                    model: Arc::clone(&model) as _,
                    formula: Some(Arc::clone(&model)),
                }),
                compiler: Compiler::Loss(model),
            })
        }
        Err(list) => {
            for (place, error) in list {
                match place {
                    Place::Data(i) => match formulas.get(i).copied().flatten() {
                        Some(formula) => errors.formula(formula, 0, &error),
                        None => errors.formula(text, 0, &error),
                    },
                    _ => errors.formula(text, 0, &error),
                }
            }
            None
        }
    }
}

fn sde(spec: &SdeSpec, parts: &Parts<'_>, names: &Names, errors: &mut Errors<'_>) -> Option<Built> {
    let mut known: Listed<'_> = names.of("parameter").collect();
    let parameters = known.clone();
    known.extend(parts.constants.keys().map(String::as_str));
    if !known.knows(TIME) {
        known.extend([TIME]);
    }
    let mut complete = parts.parameters.complete && !spec.broken;
    let mut read = |name: &Spanned<String>, what: &str, field: &Field<String>, errors: &mut Errors<'_>| {
        if !parameters.knows(&name.value) {
            errors.unknown(
                name.span,
                &format!("parameter in {what}:"),
                &name.value,
                parameters.all().into_iter(),
            );
            complete = false;
            return None;
        }
        formula(field, &known, &names.broken, errors).or_else(|| {
            complete = false;
            None
        })
    };
    let mut drift = Vec::new();
    let mut drift_texts = Vec::new();
    for entry in &spec.drift {
        if let Some((text, expression)) = read(&entry.name, "drift", &entry.value, errors) {
            drift.push((entry.name.value.clone(), expression));
            drift_texts.push(text);
        }
    }
    let mut diffusion = Vec::new();
    let mut diffusion_texts = Vec::new();
    for entry in &spec.diffusion {
        match &entry.value {
            DiffusionSpec::Own(field) => {
                if let Some((text, expression)) = read(&entry.name, "diffusion", field, errors) {
                    diffusion.push((entry.name.value.clone(), Diffusion::Own(expression)));
                    diffusion_texts.push(text);
                }
            }
            DiffusionSpec::Named(list) => {
                let mut processes = Vec::new();
                for process in list {
                    if let Some((text, expression)) = read(&entry.name, "diffusion", &process.value, errors) {
                        processes.push((process.name.value.clone(), expression));
                        diffusion_texts.push(text);
                    }
                }
                diffusion.push((entry.name.value.clone(), Diffusion::Named(processes)));
            }
        }
    }
    if !complete {
        return None;
    }
    let stratonovich = spec.interpretation.value() == Some(&"stratonovich");
    match SdeModel::new(parts.parameters.layout.clone(), parts.constants, &drift, &diffusion, stratonovich) {
        Ok(model) => {
            let model = Arc::new(model.starting_at(parts.start).within(bounds(spec, parts, errors)));
            Some(Built { system: System::Sde(Arc::clone(&model)), compiler: Compiler::State(model) })
        }
        Err(list) => {
            for (place, error) in list {
                let text = match place {
                    Place::Drift(i) => drift_texts.get(i),
                    Place::Diffusion(i) => diffusion_texts.get(i),
                    _ => None,
                };
                match text {
                    Some(text) => errors.formula(text, 0, &error),
                    None => report_elsewhere(&error, drift_texts.first(), errors),
                }
            }
            None
        }
    }
}

/// Elements that are reflected, with their bounds; a start beyond them is an error where it is a number.
fn bounds(spec: &SdeSpec, parts: &Parts<'_>, errors: &mut Errors<'_>) -> Vec<(usize, f64, f64)> {
    let mut list = Vec::new();
    let layout = &parts.parameters.layout;
    for Named { name, value: (low, high) } in &spec.reflect {
        let Some(parameter) = layout.get(&name.value) else {
            let known = layout.parameters().iter().map(|p| p.name.as_str());
            errors.unknown(name.span, "parameter", &name.value, known);
            continue;
        };
        list.extend((0..parameter.shape.len()).map(|i| (parameter.offset + i, *low, *high)));
    }
    list
}

/// An error of the whole, shown at the first formula.
fn report_elsewhere(error: &FormulaError, first: Option<&Spanned<String>>, errors: &mut Errors<'_>) {
    if let Some(text) = first {
        errors.formula(text, 0, error);
    }
}

fn formula(
    field: &Field<String>,
    known: &Listed<'_>,
    broken: &Broken,
    errors: &mut Errors<'_>,
) -> Option<(Spanned<String>, Expression)> {
    let text = field.given()?;
    let expression = names::parse(&text.value, text, errors)?;
    names::check(text, &expression, known, broken, false, errors).then(|| (text.clone(), expression))
}

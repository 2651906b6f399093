//! What was written → what will be run: names looked up, defaults filled in, sense checked, formulas compiled.

mod claims;
mod constants;
mod convergence;
mod dynamics;
mod initial;
mod names;
mod observe;
mod population;
mod run;
mod settings;
mod symmetries;
mod system;
mod training;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::clock::Clock;
use super::resolved::{LossSystem, ObservableKind, Study, System};
use super::source::Span;
use super::spec::read::Errors;
use super::spec::{ClaimLawSpec, Spec};
use super::{Diagnostic, written};
use crate::dynamics::Law;
use crate::model::formula::{Expression, FormulaError, FormulaModel, Function, SdeModel, Value};
use crate::model::{Layout, Model, Shape};
use crate::scheme::NoiseKind;
use names::Names;

/// Compiles formulas over the state.
enum Compiler {
    Loss(Arc<FormulaModel>),
    State(Arc<SdeModel>),
}

impl Compiler {
    fn function(&self, formula: &Expression) -> Result<Function, FormulaError> {
        match self {
            Compiler::Loss(model) => model.function(formula),
            Compiler::State(model) => model.function(formula),
        }
    }
    fn magnitude(&self, formula: &Expression) -> Result<Function, FormulaError> {
        match self {
            Compiler::Loss(model) => model.magnitude(formula),
            Compiler::State(model) => model.magnitude(formula),
        }
    }
}

/// Which kind of system a study has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Loss,
    Sde,
}

impl Spec {
    /// Resolves; `model` takes the place of `[loss]`, `[data]` and `[population]`.
    ///
    /// # Errors
    /// Everything wrong that can be found independently.
    pub fn resolve(&self, model: Option<Arc<dyn Model>>) -> Result<Study, Vec<Diagnostic>> {
        let mut errors = Errors::new(&self.sources);
        let study = resolve(self, model, &mut errors);
        let list = tidy(errors.list);
        match study {
            Some(study) if list.is_empty() => Ok(study),
            _ => Err(list),
        }
    }
}

/// In the order of the file, each once.
pub(super) fn tidy(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen: HashSet<Diagnostic> = HashSet::new();
    list.retain(|d| seen.insert(d.clone()));
    let mut files: HashMap<String, usize> = HashMap::new();
    for d in &list {
        let next = files.len();
        files.entry(d.file.clone()).or_insert(next);
    }
    list.sort_by_key(|d| (files.get(&d.file).copied(), d.line, d.column));
    list
}

fn resolve(spec: &Spec, model: Option<Arc<dyn Model>>, errors: &mut Errors<'_>) -> Option<Study> {
    let kind = kind_of(spec, model.is_some(), errors);
    let mut names = Names::default();
    names.broken.all = !["constants", "parameters", "data"].iter().all(|s| spec.readable(s));
    let constants = constants::constants(spec, &mut names, errors);
    let parameters = initial::parameters(spec, &constants, &mut names, errors);
    let starts = initial::starts(spec, &parameters, &constants, &names.broken, errors);
    let population = population::population(spec, model.as_ref(), &mut names, errors);
    let run = run::run(spec, &parameters.layout, errors);
    let mut motion = dynamics::dynamics(spec, kind, &population, errors);
    let mut clock = run::clock(spec, &motion, errors);
    if let (Some(clock), Some(run)) = (&clock, &run) {
        run::work(clock, &motion, run.run.replicas, errors);
    }
    let mut warnings = clock.as_mut().map(|clock| settings::end(&mut motion, clock)).unwrap_or_default();
    if let (Some(run), Some(clock), false) = (&run, &clock, motion.broken) {
        run::check_record(spec, run.record.as_ref(), &motion, clock, errors);
    }
    let seed = run.as_ref().map_or(0, |r| r.run.seed);
    let mut scope = constants.clone();
    settings::share(&motion, kind, &mut scope, &mut names.broken);
    let system = system::system(
        spec,
        kind,
        &system::Parts {
            model,
            parameters: &parameters,
            population: &population,
            constants: &scope,
            seed,
            start: run::start(spec, errors),
        },
        &names,
        errors,
    );
    if let Some(built) = system.as_ref().filter(|_| !motion.broken) {
        dynamics::check_laws(&motion, &built.system, errors);
    }
    if let Some(built) = &system
        && spec.run.as_ref().is_some_and(|run| run.value.from.given().is_some())
        && !matches!(&built.system, System::Sde(sde) if sde.timed())
    {
        errors.warn("`from` in [run] changes nothing: no drift and no diffusion has the time t");
    }
    let compiler = system.as_ref().map(|s| &s.compiler);
    let recorded = run.as_ref().is_none_or(|r| r.record_parameters);
    let mut observables =
        observe::observables(spec, recorded, &parameters, &names, &scope, kind, compiler, errors);
    check_passages(&observables, &motion, errors);
    let symmetries =
        symmetries::symmetries(spec, &parameters, system.as_ref().map(|s| &s.system), seed, errors);
    // What claims compare with has the settings of each dynamics.
    let broken = names::Broken { shared: Vec::new(), ..names.broken.clone() };
    let claims = claims::claims(
        spec,
        &claims::Parts {
            kind,
            formula: !matches!(
                system.as_ref().map(|s| &s.system),
                Some(System::Loss(LossSystem { formula: None, .. }))
            ),
            model: system.as_ref().and_then(|s| match &s.system {
                System::Loss(loss) => Some(loss.model.clone()),
                System::Sde(_) => None,
            }),
            motion: &motion,
            loss: spec.loss.as_ref().and_then(|s| s.value.formula.given()),
            constants: &constants,
            broken: &broken,
            layout: &parameters.layout,
            symmetries: &symmetries,
            timed: matches!(system.as_ref().map(|s| &s.system), Some(System::Sde(sde)) if sde.timed()),
            clock: clock.as_ref(),
            replicas: run.as_ref().map_or(0, |r| r.run.replicas),
            noise: noise_of(spec, system.as_ref().map(|s| &s.system)),
            walls: matches!(system.as_ref().map(|s| &s.system), Some(System::Sde(sde)) if !sde.bounds().is_empty()),
            significance: run.as_ref().map_or(1e-3, |r| r.run.significance),
        },
        &mut observables,
        errors,
    );
    let replicas = run.as_ref().map_or(0, |r| r.run.replicas);
    if let Some(idle) = spec.starts.get(replicas).filter(|_| run.is_some()) {
        errors.at(
            idle.name.span,
            format!(
                "no replica begins at `{}`: {} starts, and `replicas` is {replicas}",
                idle.name.value,
                spec.starts.len()
            ),
            "replicas are dealt to the starts in turn: run as many or more",
        );
    }
    let precision = run::precision(spec, replicas, &mut observables, errors);
    if !errors.list.is_empty() {
        return None;
    }
    warnings.append(&mut errors.warnings);
    let mut run = run?;
    run.run.precision = precision;
    let observed = observables.list;
    let (list, record) = run::instants(&motion, &clock?, run.record, &claims);
    let mut study = Study {
        title: title(spec),
        path: spec.sources.get(0).map(|s| s.name.clone()).unwrap_or_default(),
        text: spec.sources.get(0).map(|s| s.text.clone()).unwrap_or_default(),
        overrides: spec.overrides(),
        resolved: String::new(),
        constants,
        system: system?.system,
        initial: parameters.initial,
        starts,
        dynamics: list,
        run: run.run,
        observables: observed,
        symmetries: symmetries.list,
        claims,
        warnings,
    };
    study.resolved = written::resolved(spec, &study, &record, run.record_parameters);
    Some(study)
}

/// A first passage is seen along the steps of a path: laws that go from instant to instant have none.
fn check_passages(
    observables: &observe::Observables<'_>,
    motion: &dynamics::Motions,
    errors: &mut Errors<'_>,
) {
    let Some(passage) = observables.list.iter().find(|o| matches!(o.kind, ObservableKind::Passage(_))) else {
        return;
    };
    for one in &motion.list {
        if matches!(one.law, Law::GradientFlow { .. } | Law::Exact | Law::OrnsteinUhlenbeck) {
            errors.at(
                one.at,
                format!("`{}` makes no steps along which `{}` could pass its level", one.name, passage.name),
                "take a law of motion that steps: euler-maruyama for an [sde], gradient-descent or langevin for a [loss]",
            );
        }
    }
}

/// What the noise of the system's equation is like, where a claim asks.
fn noise_of(spec: &Spec, system: Option<&System>) -> Option<NoiseKind> {
    let asked = spec.claims.iter().any(|c| matches!(c.law, ClaimLawSpec::Convergence(_)));
    let system = system.filter(|_| asked)?;
    crate::dynamics::noise_kind(&dynamics::moving(system))
}

fn title(spec: &Spec) -> String {
    spec.title.value().cloned().unwrap_or_else(|| {
        let name = spec.sources.get(0).map_or("", |s| s.name.as_str());
        std::path::Path::new(name)
            .file_stem()
            .map_or_else(|| "study".to_owned(), |s| s.to_string_lossy().into_owned())
    })
}

/// A loss or an SDE, never both.
fn kind_of(spec: &Spec, model: bool, errors: &mut Errors<'_>) -> Option<Kind> {
    if model {
        for name in ["loss", "sde", "data", "population"] {
            if let Some((key, _)) = spec.tree.entry(name) {
                errors.at(
                    key.span,
                    format!("[{name}] cannot stand beside a model written in Rust"),
                    "the model brings its own loss and population",
                );
            }
        }
        return Some(Kind::Loss);
    }
    match (spec.tree.entry("loss"), spec.tree.entry("sde")) {
        (Some(_), Some((sde, _))) => {
            errors.at(
                sde.span,
                "a study has a [loss] or an [sde], not both",
                "keep one of the two, or make two studies",
            );
            None
        }
        (Some(_), None) => Some(Kind::Loss),
        (None, Some(_)) => {
            for name in ["data", "training", "population"] {
                if let Some((key, _)) = spec.tree.entry(name) {
                    errors.at(
                        key.span,
                        format!("[{name}] has no place in an [sde] study"),
                        "an SDE has drift and diffusion only: remove the section, or write a [loss]",
                    );
                }
            }
            Some(Kind::Sde)
        }
        (None, None) if spec.written("loss") => Some(Kind::Loss),
        (None, None) if spec.written("sde") => Some(Kind::Sde),
        (None, None) => {
            errors.at(
                Span::default(),
                "the study has neither a [loss] nor an [sde]",
                "add [loss] with formula = \"…\", or [sde] with drift and diffusion",
            );
            None
        }
    }
}

fn number(x: f64) -> Value {
    Value { shape: Shape::SCALAR, data: vec![x] }
}

/// Length of the run, once it is known.
type Length = Option<Clock>;

/// Named constants.
type Constants = BTreeMap<String, Value>;

/// Names and shapes; `complete` is false where a parameter could not be read.
struct Parameters {
    layout: Layout,
    initial: Vec<super::resolved::Initial>,
    complete: bool,
}

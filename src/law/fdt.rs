//! `fdt`: what noise brings into the stationary state, descent takes out.
//!
//! In a stationary state ⟨‖θ‖²⟩ and ⟨f⟩, f = L + ½λ‖θ‖², do not change. For a step θ' = θ − ηĝ with ⟨ĝ⟩ = ∇f(θ) and
//! C̃ = ⟨ĝĝᵀ⟩ = φC + ∇f∇fᵀ (φ the noise factor, C the covariance of one sample's gradient) this says
//!
//! ```text
//! ⟨θ·∇f⟩ = (η/2)⟨Tr C̃⟩        exactly, for every loss;
//! ⟨‖∇f‖²⟩ = (η/2)⟨Tr[H C̃]⟩     exactly where H = ∇²f does not depend on θ, else to leading order in η.
//! ```
//!
//! With the heavy ball v' = βv − ηĝ, θ' = θ + v' the right sides are ((1 + β)/(2η))⟨‖v‖²⟩ and ((1 + β)/(2η))⟨vᵀHv⟩: the
//! second from ⟨∇f·v⟩ = ½⟨vᵀHv⟩ at equal times. For a Langevin equation by Euler–Maruyama with dt = η/m they are
//! (η/2)⟨Tr[φC]⟩ + (dt/2)⟨‖∇f‖²⟩, and the same with H: Itô's terms with the covariance, and what the scheme's own step adds
//! (SVAG of level l has the same with dt = η/l). By other schemes the first term alone holds, to leading order in dt; for the
//! Langevin equation with inertia, ⟨‖v‖²⟩/η and ⟨vᵀHv⟩/η.
//!
//! ⟨θ·∇f⟩ is measured as ⟨(θ − c)·∇f⟩ with c the mean of θ: the same in a stationary state, where ⟨∇f⟩ = 0, and without
//! the scatter of c·∇f, which says nothing of noise.
//!
//! Source: Yaida (2018), arXiv 1810.00004, equations (FDR1), (FDR1') and (FDR2); the momentum form of the second, and the
//! scheme's terms, from the same stationarity.

use std::sync::Arc;

use super::measure::{Run, Size, Watched, all_stationary, component_name, window};
use super::settle::{Question, Settled, settle};
use super::verdict::Verdict;
use crate::dynamics::{Law, Sampling, Training};
use crate::ensemble::record::ObservableRecord;
use crate::model::formula::dissipation::MOST_PARAMETERS;
use crate::model::formula::{FormulaModel, Function};
use crate::model::{Model, Origin, Parameter};
use crate::scheme::{Method, Scheme};
use crate::stats::{Estimate, Window};
use crate::study::{ClaimLaw, Moment, Observable, ObservableKind, Relation, Study, System};

/// Relative tolerance where the relation is of leading order and the study gives none.
const LEADING_ORDER: f64 = 0.1;

/// Hidden observables: the two sides at every instant, one set a decay; θ and ∇f for the first relation.
pub(super) fn needs(study: &Study) -> Vec<Observable> {
    let System::Loss(loss) = &study.system else { return Vec::new() };
    let Some(model) = &loss.formula else { return Vec::new() };
    let mut needed = Needed { study, list: Vec::new() };
    for claim in &study.claims {
        let ClaimLaw::Fdt { relation, moment, .. } = claim.law else { continue };
        for dynamics in claim.dynamics.iter().filter_map(|&d| study.dynamics.get(d)) {
            let Some(training) = &dynamics.training else { continue };
            let decay = training.decay.force();
            needed.function(state_name(relation, decay), || state_function(model, relation, decay));
            if moment == Moment::Own && inertial(&dynamics.law, training) {
                needed.moving(kinetic_name(decay), || model.kinetic(decay).ok());
            }
            if relation == Relation::First {
                for (index, parameter) in model.layout().parameters().iter().enumerate() {
                    needed.function(force_name(&parameter.name, decay), || model.force(decay, index).ok());
                    needed.parameter(parameter);
                }
            }
        }
    }
    needed.list
}

/// Observables that are not there yet.
struct Needed<'a> {
    study: &'a Study,
    list: Vec<Observable>,
}

impl Needed<'_> {
    fn known(&self, is: impl Fn(&Observable) -> bool) -> bool {
        self.study.observables.iter().chain(&self.list).any(is)
    }

    fn function(&mut self, name: String, made: impl Fn() -> Option<Function>) {
        self.add(name, made, ObservableKind::Function);
    }

    fn moving(&mut self, name: String, made: impl Fn() -> Option<Function>) {
        self.add(name, made, ObservableKind::Moving);
    }

    fn add(
        &mut self,
        name: String,
        made: impl Fn() -> Option<Function>,
        kind: fn(Arc<Function>) -> ObservableKind,
    ) {
        if self.known(|o| o.name == name) {
            return;
        }
        if let Some(function) = made() {
            let shape = function.shape();
            self.list.push(Observable { name, shape, hidden: true, kind: kind(Arc::new(function)) });
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        let offset = parameter.offset;
        let is =
            |o: &Observable| matches!(o.kind, ObservableKind::Parameter { offset: own } if own == offset);
        if !self.known(is) {
            self.list.push(Observable {
                name: format!("fdt:parameter:{}", parameter.name),
                shape: parameter.shape,
                hidden: true,
                kind: ObservableKind::Parameter { offset },
            });
        }
    }
}

fn state_function(model: &FormulaModel, relation: Relation, decay: f64) -> Option<Function> {
    match relation {
        Relation::First => model.dissipation(decay).ok(),
        Relation::Second if model.layout().len() <= MOST_PARAMETERS => {
            model.curvature_dissipation(decay).ok()
        }
        Relation::Second => None,
    }
}

fn state_name(relation: Relation, decay: f64) -> String {
    match relation {
        Relation::First => format!("fdt:1:{decay}"),
        Relation::Second => format!("fdt:2:{decay}"),
    }
}

fn force_name(parameter: &str, decay: f64) -> String {
    format!("fdt:force:{decay}:{parameter}")
}

fn kinetic_name(decay: f64) -> String {
    format!("fdt:velocity:{decay}")
}

/// A part of the recorded numbers, with its factor.
struct Term {
    /// Of the state or of the velocity.
    moving: bool,
    component: usize,
    factor: f64,
}

impl Term {
    fn of_state(component: usize, factor: f64) -> Self {
        Self { moving: false, component, factor }
    }
}

/// Components of the recorded vectors; of the second relation the counterparts.
const GAIN: usize = 0;
const FIRST_SQUARE: usize = 1;
const FIRST_TRACE: usize = 2;
const SECOND_TRACE: usize = 1;
const SECOND_SQUARE: usize = 2;
/// What is stationary: ‖θ‖², f.
const KEPT: usize = 3;

/// The side of the noise.
struct Noise {
    terms: Vec<Term>,
    exact: bool,
    /// Relative error of the expectations, where fresh draws follow another law than the population's nodes.
    error: f64,
    note: String,
}

/// Judges the claim for one dynamics.
pub(super) fn judge(
    relation: Relation,
    moment: Moment,
    tolerance: Option<f64>,
    run: &Run,
    significance: f64,
) -> Settled {
    let outcome = noise(relation, moment, run)
        .and_then(|noise| Balance::new(relation, &noise, run).map(|balance| (noise, balance)))
        .and_then(|(noise, balance)| {
            let tolerance = tolerance.or_else(|| (!noise.exact).then_some(LEADING_ORDER));
            let question = balance.question(relation, &noise, tolerance, run);
            balance.check_stationary(run, &question, significance)?;
            Ok(settle(vec![question], significance))
        });
    outcome.unwrap_or_else(|reason| Settled::without_tests(Verdict::Undecided, reason))
}

/// What stands on the side of the noise, for one law of motion.
fn noise(relation: Relation, moment: Moment, run: &Run) -> Result<Noise, String> {
    let System::Loss(loss) = &run.study.system else {
        return Err("there is no loss".to_owned());
    };
    let (Some(model), Some(training)) = (&loss.formula, &run.dynamics.training) else {
        return Err("the loss has no formula to take gradients of".to_owned());
    };
    run.schedule_settled()?;
    let law = &run.dynamics.law;
    admits(law, training)?;
    if relation == Relation::Second && model.layout().len() > MOST_PARAMETERS {
        return Err(format!(
            "{} parameters: the Hessian is not traced with the noise at every instant beyond {MOST_PARAMETERS}",
            model.layout().len()
        ));
    }
    let rate = training.rate.last();
    let factor = training.noise_factor(model.population().size());
    let (trace, square, of) = match relation {
        Relation::First => (FIRST_TRACE, FIRST_SQUARE, ""),
        Relation::Second => (SECOND_TRACE, SECOND_SQUARE, "H "),
    };
    let covariance = Term::of_state(trace, 0.5 * rate * factor);
    let half = |step: f64| Term::of_state(square, 0.5 * step);
    let euler = |method: &Method| method.scheme == Scheme::EulerMaruyama;
    let kinetic = |factor: f64| {
        vec![Term { moving: true, component: usize::from(relation == Relation::Second), factor }]
    };
    let form = if relation == Relation::First { "⟨‖v‖²⟩" } else { "⟨vᵀHv⟩" };
    let mut exact = relation == Relation::First || model.quadratic();
    let (terms, note) = match (moment, law) {
        (Moment::Own, Law::Underdamped { .. }) => {
            exact = false;
            (kinetic(1.0 / rate), format!("against {form}/η"))
        }
        (Moment::Own, _) if inertial(law, training) => {
            (kinetic((1.0 + training.momentum) / (2.0 * rate)), format!("against (1 + β)/(2η) {form}"))
        }
        (Moment::Own, Law::Langevin { substeps, method, .. }) if euler(method) => {
            let step = rate / f64::from(*substeps);
            (vec![covariance, half(step)], format!("against (η/2)⟨Tr {of}φC⟩ and the scheme's dt/2"))
        }
        (Moment::Own, Law::Svag { level }) => {
            let step = rate / f64::from(*level);
            (vec![covariance, half(step)], format!("against (η/2)⟨Tr {of}φC⟩ and the step's η/(2l)"))
        }
        (Moment::Own, Law::OrnsteinUhlenbeck | Law::Langevin { .. }) | (Moment::Covariance, _) => {
            exact = exact && !matches!(law, Law::OrnsteinUhlenbeck | Law::Langevin { .. });
            (vec![covariance], format!("against (η/2)⟨Tr {of}φC⟩, the covariance"))
        }
        (Moment::Own | Moment::Second, _) => {
            (vec![covariance, half(rate)], format!("against (η/2)⟨Tr {of}C̃⟩, the second moment"))
        }
    };
    let error = match model.nodes().origin {
        Origin::Quadrature { error, .. } | Origin::Reference { error, .. } if *law == Law::Sgd => error,
        _ => 0.0,
    };
    Ok(Noise { terms, exact, error, note })
}

/// A motion with a velocity of its own.
fn inertial(law: &Law, training: &Training) -> bool {
    match law {
        Law::Underdamped { .. } => true,
        Law::Sgd | Law::GaussianSgd => training.momentum != 0.0,
        _ => false,
    }
}

/// Laws of motion that a relation is known for.
fn admits(law: &Law, training: &Training) -> Result<(), String> {
    match law {
        Law::Sgd if matches!(training.sampling, Sampling::WithoutReplacement { .. }) => Err(
            "minibatches of an epoch remember each other: their mean, given θ, is not the gradient at θ, and the relations \
             do not hold (gaussian-sgd with the same setting has the same noise without the memory)"
                .to_owned(),
        ),
        Law::Sgd
        | Law::GaussianSgd
        | Law::Langevin { order: 1, .. }
        | Law::Svag { .. }
        | Law::Underdamped { .. }
        | Law::OrnsteinUhlenbeck => Ok(()),
        other => Err(format!("no fluctuation–dissipation relation is known for {}", other.name())),
    }
}

/// What must be stationary: for messages, where it is, its window, and its share in the balance.
type Kept<'a> = (String, &'a ObservableRecord, usize, Window, f64);

/// Takes c·∇f off θ·∇f for one parameter, c the mean of θ over all units.
fn centre<'a>(
    run: &Run<'a>,
    parameter: &Parameter,
    decay: f64,
    gain: &mut [f64],
    watched: &mut Vec<Kept<'a>>,
) -> Result<(), String> {
    let is = |o: &&Observable| matches!(o.kind, ObservableKind::Parameter { offset } if offset == parameter.offset);
    let name = run.study.observables.iter().find(is).map_or("", |o| o.name.as_str());
    let theta = run.observable(name)?;
    let force = run.observable(&force_name(&parameter.name, decay))?;
    for component in 0..parameter.shape.len() {
        let position = window(run, theta, component)?;
        let slope = window(run, force, component)?;
        let center = position.mean().value;
        for (gain, slope) in gain.iter_mut().zip(slope.means()) {
            *gain -= center * slope;
        }
        watched.push((component_name(theta, component), theta, component, position, 0.0));
    }
    Ok(())
}

/// The two sides as measured.
struct Balance<'a> {
    gain: Vec<f64>,
    noise: Vec<f64>,
    watched: Vec<Kept<'a>>,
    /// Largest modulus of either side.
    here: f64,
}

impl<'a> Balance<'a> {
    fn new(relation: Relation, noise: &Noise, run: &Run<'a>) -> Result<Self, String> {
        let decay = run.dynamics.training.as_ref().map_or(0.0, |t| t.decay.force());
        let state = run.observable(&state_name(relation, decay))?;
        let (gain_name, kept_name) = match relation {
            Relation::First => ("θ·∇f", "‖θ‖²"),
            Relation::Second => ("‖∇f‖²", "f"),
        };
        let gain = window(run, state, GAIN)?;
        let mut sums = vec![0.0; gain.units()];
        let mut here = run.window_size(state, GAIN).here;
        let mut watched = Vec::new();
        for term in &noise.terms {
            let kinetic = kinetic_name(decay);
            let observable = if term.moving { run.observable(&kinetic)? } else { state };
            let part = window(run, observable, term.component)?;
            for (sum, mean) in sums.iter_mut().zip(part.means()) {
                *sum += term.factor * mean;
            }
            here = here.max(term.factor * run.window_size(observable, term.component).here);
            watched.push(("the noise".to_owned(), observable, term.component, part, 1.0 / term.factor));
        }
        let kept = window(run, state, KEPT)?;
        let mut means = gain.means().to_vec();
        if relation == Relation::First {
            for parameter in run.study.layout().parameters() {
                centre(run, parameter, decay, &mut means, &mut watched)?;
            }
        }
        watched.push((gain_name.to_owned(), state, GAIN, gain, 1.0));
        watched.push((kept_name.to_owned(), state, KEPT, kept, 0.0));
        Ok(Self { gain: means, noise: sums, watched, here })
    }

    /// The gain is measured, the noise predicts it; the error is that of their difference, unit by unit.
    fn question(&self, relation: Relation, noise: &Noise, tolerance: Option<f64>, run: &Run) -> Question {
        let difference: Vec<f64> = self.gain.iter().zip(&self.noise).map(|(a, b)| a - b).collect();
        let of_difference = Estimate::of_sample(&difference);
        let predicted = self.noise.iter().sum::<f64>() / self.noise.len() as f64;
        Question {
            quantity: match relation {
                Relation::First => "mean of θ·∇f".to_owned(),
                Relation::Second => "mean of ‖∇f‖²".to_owned(),
            },
            estimate: Estimate { value: predicted + of_difference.value, ..of_difference },
            prediction_error: noise.error * predicted.abs(),
            squared: None,
            predicted,
            tolerance: tolerance.map(|t| t * predicted.abs()),
            resolution: run.study.run.resolution * predicted.abs(),
            size: Size { here: self.here, floor: 0.0 },
            note: Some(noise.note.clone()),
            doubt: None,
        }
    }

    /// With a tolerance, drifts of a quarter of it do not matter.
    fn check_stationary(&self, run: &Run, question: &Question, significance: f64) -> Result<(), String> {
        let quarter = 0.25 * question.tolerance.unwrap_or(0.0);
        let watched: Vec<Watched> = self
            .watched
            .iter()
            .map(|(name, observable, component, window, scale)| Watched {
                name: name.clone(),
                window,
                observable,
                component: *component,
                mean_alone: true,
                allowance: quarter * scale,
            })
            .collect();
        all_stationary(run, &watched, significance)
    }
}

//! The two sides of a fluctuation–dissipation relation, for every law of motion: what is measured on each, and how exact it is ([`super::fdt`]).

use std::sync::Arc;

use super::einstein::minimum_of;
use super::measure::Run;
use crate::dynamics::{Balance, Law, Training};
use crate::model::formula::dissipation::MOST_PARAMETERS;
use crate::model::formula::{FormulaModel, Function, SdeModel};
use crate::model::{Model, Origin, Parameter, Shape};
use crate::scheme::{Method, Scheme};
use crate::study::{ClaimLaw, Dynamics, Moment, Observable, ObservableKind, Relation, Study, System};

/// Components of the recorded vectors: `[θ·F, ‖F‖², Tr C₁, ‖θ‖²]`, and `[∇f·F, Tr[H C₁], FᵀHF, f]`; of the equation about a minimum with F = H(θ − θ*),
/// C₁(θ*) and ½(θ − θ*)·F.
const GAIN: usize = 0;
const FIRST_SQUARE: usize = 1;
const FIRST_TRACE: usize = 2;
const SECOND_TRACE: usize = 1;
const SECOND_SQUARE: usize = 2;
const KEPT: usize = 3;

/// A part of the recorded numbers, with its factor.
pub(super) struct Term {
    pub observable: String,
    pub component: usize,
    pub factor: f64,
}

/// Where the force that the gain is centred by is recorded.
pub(super) enum Force {
    /// One observable a parameter.
    Each(String),
    /// All elements in one observable, from this component on.
    Together(String, usize),
}

impl Force {
    /// Observable and first component of one parameter's part.
    pub fn of(&self, parameter: &Parameter) -> (String, usize) {
        match self {
            Self::Each(prefix) => (format!("{prefix}:{}", parameter.name), 0),
            Self::Together(name, first) => (name.clone(), first + parameter.offset),
        }
    }
}

/// What is compared.
pub(super) struct Sides {
    /// What is taken out.
    pub gain: Term,
    pub gain_name: &'static str,
    /// What is brought in.
    pub noise: Vec<Term>,
    /// Σ c_i F_i is taken off the gain, c the mean of θ.
    pub centre: Option<Force>,
    /// What is stationary: its name, where it is recorded.
    pub kept: (&'static str, String, usize),
    pub exact: bool,
    /// The sides differ by what the state has at the two ends alone, path by path.
    pub telescopes: bool,
    /// Relative error of the expectations, where fresh draws follow another law than the population's nodes.
    pub error: f64,
    pub note: String,
}

/// Names of the hidden observables of one dynamics.
struct Names {
    decay: f64,
    /// η/2 for the drift of order 2.
    bend: f64,
    /// The motion is that of the equation linearised about the minimum.
    linear: bool,
}

impl Names {
    fn new(law: &Law, training: &Training, moment: Moment) -> Self {
        let second_order = moment == Moment::Own && matches!(law, Law::Langevin { order: 2, .. });
        let bend = if second_order { 0.5 * training.rate.last() } else { 0.0 };
        Self { decay: training.decay.force(), bend, linear: *law == Law::OrnsteinUhlenbeck }
    }
    fn bent(&self) -> String {
        match (self.linear, self.bend) {
            (true, _) => ":linear".to_owned(),
            (false, 0.0) => String::new(),
            (false, bend) => format!(":{bend}"),
        }
    }
    fn state(&self, relation: Relation) -> String {
        let which = if relation == Relation::First { 1 } else { 2 };
        format!("fdt:{which}:{}{}", self.decay, self.bent())
    }
    fn force(&self) -> String {
        format!("fdt:force:{}{}", self.decay, self.bent())
    }
    fn kinetic(&self) -> String {
        format!("fdt:velocity:{}", self.decay)
    }
    fn epochs(&self, relation: Relation) -> String {
        match relation {
            Relation::First => "fdt:epochs:1".to_owned(),
            Relation::Second => format!("fdt:epochs:2:{}", self.decay),
        }
    }
}

const EQUATION: &str = "fdt:equation";
const EQUATION_FORCE: &str = "fdt:equation:force";

/// Minibatches of whole epochs are summed step by step.
fn of_epochs(law: &Law, training: &Training, model: &FormulaModel, moment: Moment) -> Option<u64> {
    let cycle = training.epoch(model.population().size());
    (moment == Moment::Own && *law == Law::Sgd && cycle > 0).then_some(cycle)
}

/// Hidden observables: the two sides at every instant, one set a decay; θ and the force for the first relation.
pub(super) fn needs(study: &Study) -> Vec<Observable> {
    let mut needed = Needed { study, list: Vec::new() };
    for claim in &study.claims {
        let ClaimLaw::Fdt { relation, moment, .. } = claim.law else { continue };
        for dynamics in claim.dynamics.iter().filter_map(|&d| study.dynamics.get(d)) {
            match &study.system {
                System::Sde(model) => needed.of_equation(model),
                System::Loss(loss) => {
                    if let (Some(model), Some(training)) = (&loss.formula, &dynamics.training) {
                        needed.of_loss(model, dynamics, training, relation, moment);
                    }
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
    fn of_equation(&mut self, model: &SdeModel) {
        self.function(EQUATION.to_owned(), || model.dissipation().ok());
        for (index, parameter) in model.layout().parameters().iter().enumerate() {
            self.function(format!("{EQUATION_FORCE}:{}", parameter.name), || model.force(index).ok());
            self.parameter(parameter);
        }
    }

    fn of_loss(
        &mut self,
        model: &FormulaModel,
        dynamics: &Dynamics,
        training: &Training,
        relation: Relation,
        moment: Moment,
    ) {
        let names = Names::new(&dynamics.law, training, moment);
        if names.linear {
            return self.of_linear(model, &names, relation);
        }
        let (decay, bend) = (names.decay, names.bend);
        let layout = model.layout();
        if of_epochs(&dynamics.law, training, model, moment).is_some() {
            self.balance(names.epochs(relation), model, relation, decay);
        }
        let few = layout.len() <= MOST_PARAMETERS;
        self.function(names.state(relation), || match relation {
            Relation::First if bend == 0.0 || few => model.dissipation(decay, bend).ok(),
            Relation::Second if few => model.curvature_dissipation(decay, bend).ok(),
            _ => None,
        });
        if moment == Moment::Own && dynamics.law.inertial(training.momentum) {
            self.add(names.kinetic(), || model.kinetic(decay).ok(), ObservableKind::Moving);
        }
        if relation == Relation::First {
            for (index, parameter) in layout.parameters().iter().enumerate() {
                if bend == 0.0 || few {
                    let name = format!("{}:{}", names.force(), parameter.name);
                    self.function(name, || model.force(decay, bend, index).ok());
                }
                self.parameter(parameter);
            }
        }
    }

    /// For the Ornstein–Uhlenbeck process, whose force and noise are those at the minimum.
    fn of_linear(&mut self, model: &FormulaModel, names: &Names, relation: Relation) {
        if self.known(|o| o.name == names.state(relation)) {
            return;
        }
        let Ok(about) = minimum_of(self.study, names.decay) else { return };
        let second = relation == Relation::Second;
        self.function(names.state(relation), || model.linear_dissipation(&about, second).ok());
        if !second {
            for (index, parameter) in model.layout().parameters().iter().enumerate() {
                let name = format!("{}:{}", names.force(), parameter.name);
                self.function(name, || model.linear_force(&about, index).ok());
                self.parameter(parameter);
            }
        }
    }

    fn known(&self, is: impl Fn(&Observable) -> bool) -> bool {
        self.study.observables.iter().chain(&self.list).any(is)
    }

    fn function(&mut self, name: String, made: impl Fn() -> Option<Function>) {
        self.add(name, made, ObservableKind::Function);
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

    fn balance(&mut self, name: String, model: &FormulaModel, relation: Relation, decay: f64) {
        if self.known(|o| o.name == name) {
            return;
        }
        let parameters = model.layout().len();
        let balance = match relation {
            Relation::First => Balance::First { parameters },
            Relation::Second => {
                let Ok(work) = model.work(decay) else { return };
                Balance::Second { parameters, work: Arc::new(work) }
            }
        };
        let (shape, kind) = (Shape::vector(balance.rows()), ObservableKind::Balance(Arc::new(balance)));
        self.list.push(Observable { name, shape, hidden: true, kind });
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

/// The sides for one law of motion.
///
/// # Errors
/// A sentence, where there are none.
pub(super) fn sides(relation: Relation, moment: Moment, run: &Run) -> Result<Sides, String> {
    run.schedule_settled()?;
    let loss = match &run.study.system {
        System::Sde(model) => return Ok(of_equation(model, moment, &run.dynamics.law)),
        System::Loss(loss) => loss,
    };
    let (Some(model), Some(training)) = (&loss.formula, &run.dynamics.training) else {
        return Err("the loss has no formula to take gradients of".to_owned());
    };
    let training = &training.plain_ball()?;
    if let Some(cycle) = of_epochs(&run.dynamics.law, training, model, moment) {
        return of_whole_epochs(relation, run, training, model, cycle);
    }
    of_loss(relation, moment, &run.dynamics.law, training, model)
}

/// For SGD by epochs: sums over the steps of whole epochs ([`Balance`]).
fn of_whole_epochs(
    relation: Relation,
    run: &Run,
    training: &Training,
    model: &FormulaModel,
    cycle: u64,
) -> Result<Sides, String> {
    let steps = &run.record.steps[run.record.burn_in.min(run.record.steps.len())..];
    let (first, last) = (steps.first().copied().unwrap_or(0), steps.last().copied().unwrap_or(0));
    if first < cycle || last < first + 2 * cycle {
        return Err(format!(
            "the window of stationary averages goes from step {first} to {last}: it must hold two whole epochs of {cycle} steps, \
             and begin after the first: run longer, or raise burn_in"
        ));
    }
    let names = Names::new(&run.dynamics.law, training, Moment::Own);
    let name = names.epochs(relation);
    let term = |component, factor| Term { observable: name.clone(), component, factor };
    let factor = (1.0 + training.momentum) / (2.0 * training.rate.last());
    let state = names.state(relation);
    let (gain_name, kept, form) = match relation {
        Relation::First => ("θ·ĝ over whole epochs", ("‖θ‖²", state, KEPT), "⟨‖v‖²⟩"),
        Relation::Second => ("∇f·ĝ over whole epochs", ("f", state, KEPT), "⟨vᵀHv⟩"),
    };
    let note = if training.momentum == 0.0 {
        let form = if relation == Relation::First { "⟨‖ĝ‖²⟩" } else { "⟨ĝᵀHĝ⟩" };
        format!("against (η/2) {form} of the minibatches that were drawn, by the other half of the replicas")
    } else {
        format!("against (1 + β)/(2η) {form}, step by step, by the other half of the replicas")
    };
    Ok(Sides {
        gain: term(Balance::GAIN, 1.0),
        gain_name,
        noise: vec![term(Balance::NOISE, factor)],
        // The second relation speaks of f, which has no origin.
        centre: (relation == Relation::First).then(|| Force::Together(name.clone(), Balance::FORCE)),
        kept,
        exact: relation == Relation::First || model.quadratic(),
        telescopes: true,
        error: 0.0,
        note,
    })
}

fn of_loss(
    relation: Relation,
    moment: Moment,
    law: &Law,
    training: &Training,
    model: &FormulaModel,
) -> Result<Sides, String> {
    let names = Names::new(law, training, moment);
    let size = model.layout().len();
    if !names.linear && (relation == Relation::Second || names.bend != 0.0) && size > MOST_PARAMETERS {
        return Err(format!(
            "{size} parameters: the Hessian is not made at every instant beyond {MOST_PARAMETERS}"
        ));
    }
    if training.uneven(model.population()) {
        return Err("in epochs, rows and the fresh draws beside them scatter by two factors: only the noise that was drawn is known, \
                    moment = \"own\""
            .to_owned());
    }
    let rate = training.rate.last();
    let factor = training.noise_factor(model.population().size());
    let (trace, square, of) = match relation {
        Relation::First => (FIRST_TRACE, FIRST_SQUARE, ""),
        Relation::Second => (SECOND_TRACE, SECOND_SQUARE, "H "),
    };
    let state = names.state(relation);
    let term = |component, factor| Term { observable: state.clone(), component, factor };
    let covariance = || term(trace, 0.5 * rate * factor);
    let half = |step: f64| term(square, 0.5 * step);
    let kinetic = |factor: f64| {
        let component = usize::from(relation == Relation::Second);
        vec![Term { observable: names.kinetic(), component, factor }]
    };
    let form = if relation == Relation::First { "⟨‖v‖²⟩" } else { "⟨vᵀHv⟩" };
    let mut exact = names.linear || relation == Relation::First || model.quadratic();
    let (noise, note) = match (moment, law) {
        (Moment::Own | Moment::Covariance, Law::OrnsteinUhlenbeck) => (
            vec![covariance()],
            format!("against (η/2) Tr {of}φC(θ*), that of the equation about the minimum θ*"),
        ),
        (Moment::Own, Law::Underdamped { .. }) => {
            exact = false;
            (kinetic(1.0 / rate), format!("against {form}/η"))
        }
        (Moment::Own, _) if law.inertial(training.momentum) => {
            (kinetic((1.0 + training.momentum) / (2.0 * rate)), format!("against (1 + β)/(2η) {form}"))
        }
        (Moment::Own, Law::Langevin { substeps, method, .. }) if euler(*method, model.additive_noise()) => {
            let step = rate / f64::from(*substeps);
            (vec![covariance(), half(step)], format!("against (η/2)⟨Tr {of}φC⟩ and the scheme's dt/2"))
        }
        (Moment::Own, Law::Svag { level }) => {
            let step = rate / f64::from(*level);
            (vec![covariance(), half(step)], format!("against (η/2)⟨Tr {of}φC⟩ and the step's η/(2l)"))
        }
        (Moment::Own, Law::Langevin { .. }) | (Moment::Covariance, _) => {
            exact = exact && !matches!(law, Law::Langevin { .. });
            (vec![covariance()], format!("against (η/2)⟨Tr {of}φC⟩, the covariance"))
        }
        (Moment::Own | Moment::Second, _) => {
            (vec![covariance(), half(rate)], format!("against (η/2)⟨Tr {of}C̃⟩, the second moment"))
        }
    };
    // SGD and SVAG follow the law of fresh draws, both sides are expectations over the nodes.
    let error = match (&model.nodes().origin, law) {
        (Origin::Reference { mean, covariance, .. }, Law::Sgd | Law::Svag { .. }) => mean.hypot(*covariance),
        (origin, Law::Sgd | Law::Svag { .. }) => origin.error(),
        _ => 0.0,
    };
    let gain_name = match (relation, names.bend != 0.0) {
        (Relation::First, _) if names.linear => "θ·H(θ − θ*)",
        (Relation::Second, _) if names.linear => "‖H(θ − θ*)‖²",
        (Relation::First, false) => "θ·∇f",
        (Relation::First, true) => "θ·(∇f + (η/2)H∇f)",
        (Relation::Second, false) => "‖∇f‖²",
        (Relation::Second, true) => "∇f·(∇f + (η/2)H∇f)",
    };
    let kept = match relation {
        Relation::First => "‖θ‖²",
        Relation::Second if names.linear => "½(θ − θ*)·H(θ − θ*)",
        Relation::Second => "f",
    };
    Ok(Sides {
        gain: term(GAIN, 1.0),
        gain_name,
        noise,
        centre: (relation == Relation::First).then(|| Force::Each(names.force())),
        kept: (kept, state.clone(), KEPT),
        exact,
        telescopes: false,
        error,
        note,
    })
}

/// For dx = a dt + B dW: −⟨x·a⟩ = ½⟨Tr BBᵀ⟩, and for Euler and Maruyama's steps (dt/2)⟨‖a‖²⟩ beside it.
fn of_equation(model: &SdeModel, moment: Moment, law: &Law) -> Sides {
    let term = |component, factor| Term { observable: EQUATION.to_owned(), component, factor };
    let trace = term(FIRST_TRACE, 0.5);
    let (exact, step) = match law {
        Law::Integrated { dt, method } => (euler(*method, model.additive()), *dt),
        _ => (true, 0.0),
    };
    let (noise, exact, note) = match moment {
        Moment::Own if !exact || step == 0.0 => (vec![trace], exact, "against ½⟨Tr BBᵀ⟩"),
        Moment::Covariance => (vec![trace], step == 0.0, "against ½⟨Tr BBᵀ⟩, without the scheme's step"),
        Moment::Own | Moment::Second => (
            vec![trace, term(FIRST_SQUARE, 0.5 * step)],
            exact,
            "against ½⟨Tr BBᵀ⟩ and the scheme's (dt/2)⟨‖a‖²⟩",
        ),
    };
    Sides {
        gain: term(GAIN, 1.0),
        gain_name: "−x·a",
        noise,
        centre: Some(Force::Each(EQUATION_FORCE.to_owned())),
        kept: ("‖x‖²", EQUATION.to_owned(), KEPT),
        exact,
        telescopes: false,
        error: 0.0,
        note: note.to_owned(),
    }
}

/// Steps θ' = θ + a(θ)h + B(θ)ΔW.
fn euler(method: Method, additive: bool) -> bool {
    method.scheme == Scheme::EulerMaruyama || (method.scheme == Scheme::Milstein && additive)
}

/// The observable that holds a parameter.
pub(super) fn parameter_name(study: &Study, parameter: &Parameter) -> String {
    let is = |o: &&Observable| matches!(o.kind, ObservableKind::Parameter { offset } if offset == parameter.offset);
    study.observables.iter().find(is).map_or_else(String::new, |o| o.name.clone())
}

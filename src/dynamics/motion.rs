//! A law made ready for a system: everything that is done once a run, not once a block.

use std::ops::Range;
use std::sync::Arc;

use crate::dynamics::accounts::{Accounts, Book, Noise};
use crate::dynamics::descent::{Descent, Source};
use crate::dynamics::diffusion::EulerMaruyama;
use crate::dynamics::draws::{Block, Draws};
use crate::dynamics::equations::{Force, LangevinEquation, SdeEquation, kind};
use crate::dynamics::flow::{GradientFlow, Precision};
use crate::dynamics::integrated::{Charges, Course, Integrated};
use crate::dynamics::linear::{Linear, Plan, Transitions};
use crate::dynamics::passes::{self, Over, Passes};
use crate::dynamics::pieces::Pieces;
use crate::dynamics::svag::AmplifiedGradient;
use crate::dynamics::sweep::{FullGradient, GaussianGradient, Way};
use crate::dynamics::underdamped::{Inertia, Underdamped};
use crate::dynamics::walls::Walls;
use crate::dynamics::{Clock, Law, Sampling, Schedule, Stepper, Training};
use crate::lanes::{LANES, Points, Purpose, Values};
use crate::model::formula::{CompiledSde, FormulaModel, SdeModel, Switches};
use crate::model::{Model, OverRows, critical};
use crate::scheme::linear::Transition;
use crate::scheme::runge_kutta::{Adaptive, Limits};
use crate::scheme::{Calculus, Increments, Method, NoiseKind, Scheme, Stepping, Wiener};

/// What moves.
#[derive(Clone)]
pub enum System {
    /// A loss over a population, and its formula where it has one.
    Loss {
        /// Gradients.
        model: Arc<dyn Model>,
        /// Hessians and gradient covariances.
        formula: Option<Arc<FormulaModel>>,
    },
    /// A stochastic differential equation.
    Sde(Arc<SdeModel>),
}

/// All that a law of motion is made of.
#[derive(Clone)]
pub struct Setting<'a> {
    /// The law.
    pub law: &'a Law,
    /// Rate, batch, decay, momentum, sampling; `None` for an SDE.
    pub training: Option<&'a Training>,
    /// What moves.
    pub system: System,
    /// The recorded instants; only the exact law of an SDE looks at them.
    pub instants: &'a [Clock],
    /// Where searches for the minimum start; the first that finds one counts.
    pub starts: &'a [Vec<f64>],
    /// Along the common paths of a ladder of steps: so many of their increments make one of this law's.
    pub together: Option<u32>,
}

/// Most kinks, counted sample by sample, that gradient flow looks for one by one: beyond, each is too small to matter to a path, and they are too
/// many to be stopped at.
const MOST_SWITCHES: usize = 16_384;

/// A law made ready: shared by all blocks.
pub struct Motion {
    kind: Kind,
    parameters: usize,
    footprint: Footprint,
    /// The step in one pass, where it has one.
    pub(super) passes: Passes,
}

/// Vectors a tile that a stepper touches: at every step again and again, and once a step.
#[derive(Clone, Copy, Debug, Default)]
struct Footprint {
    hot: usize,
    streamed: usize,
    /// Vectors a tile that one operation goes over; 0 counts as 1.
    length: usize,
}

enum Kind {
    Descent {
        model: Arc<dyn Model>,
        training: Training,
        gradient: Gradient,
        substeps: u32,
        heavy: bool,
        /// Elements of θ that can be kept as rows.
        rows: Option<Range<usize>>,
    },
    Flow {
        model: Arc<dyn Model>,
        decay: f64,
        precision: Precision,
        /// Of a loss with kinks.
        switches: Option<Arc<Switches>>,
    },
    Linear(Arc<Transitions>),
    Euler {
        equation: Arc<SdeModel>,
        dt: f64,
    },
    Underdamped(Inertia),
    Langevin {
        force: Force,
        rate: Schedule,
        substeps: u32,
        driven: Driven,
    },
    Equation {
        compiled: Arc<CompiledSde>,
        dt: f64,
        driven: Driven,
    },
}

/// A scheme, its noise, and where that comes from.
#[derive(Clone, Copy)]
struct Driven {
    method: Method,
    noise: NoiseKind,
    together: Option<u32>,
}

#[derive(Clone, Copy)]
enum Gradient {
    Full,
    Minibatch,
    /// Noise of this standard deviation times C^½.
    Gaussian(f64),
    /// That of SVAG at this level.
    Amplified(u32),
}

/// Refuses what a law of motion cannot do, before anything is computed; needs no minimum and no transition.
///
/// # Errors
/// A sentence: what does not fit, and what would.
pub fn check(law: &Law, training: Option<&Training>, system: &System) -> Result<(), String> {
    let momentum = training.map_or(0.0, |t| t.momentum);
    match (law, system) {
        (Law::Integrated { method, .. }, System::Sde(equation)) => {
            method.check_increments()?;
            let noise = kind(equation.noise_structure(), equation.noises());
            method.check_noise(noise)?;
            let short = law.plain() && (equation.additive() || !equation.stratonovich());
            if !equation.bounds().is_empty() && !short {
                return Err("`reflect` goes with euler-maruyama and normal increments, in Itô's sense: write \
                            euler-maruyama = { dt = 0.01 }"
                    .to_owned());
            }
            compiled(equation, *method, noise).map(|_| ())
        }
        (Law::Exact, System::Sde(equation)) if !equation.bounds().is_empty() => {
            Err("the exact law knows no walls".to_owned())
        }
        (Law::Exact, System::Sde(equation)) => equation.linear().map(|_| ()).map_err(|reason| {
            format!("the exact law needs a linear drift and a constant noise, but {reason}")
        }),
        (Law::Integrated { .. } | Law::Exact, System::Loss { .. }) => {
            Err(format!("\"{}\" moves an [sde], this study has a [loss]", law.name()))
        }
        (_, System::Sde(_)) => Err(format!("\"{}\" moves a [loss], this study has an [sde]", law.name())),
        (_, System::Loss { .. }) if training.is_none() => Err(format!("\"{}\" needs [training]", law.name())),
        (Law::Langevin { order, .. }, _) if !(1..=2).contains(order) => {
            Err(format!("langevin has no order {order}: order is 1 or 2"))
        }
        (Law::Langevin { substeps: 0, .. } | Law::Underdamped { substeps: 0, .. }, _) => {
            Err("substeps is 0: at least 1".to_owned())
        }
        (Law::Svag { level: 0 }, _) => Err("level is 0: svag of level 1 is SGD".to_owned()),
        (Law::Underdamped { friction, .. }, _) if !(friction.is_finite() && *friction >= 0.0) => {
            Err(format!("friction is {friction}: the friction is not negative; 1 − β is that of SGD with momentum β"))
        }
        (Law::GradientFlow { .. } | Law::OrnsteinUhlenbeck | Law::Underdamped { .. }, _)
            if training.is_some_and(|t| t.course.decay.is_some()) =>
        {
            Err(format!("the decay of \"{}\" cannot change on the way: give it one of its own, weight_decay = 0", law.name()))
        }
        (Law::Langevin { .. }, _) if !law.plain() && training.is_some_and(|t| t.course.decay.is_some()) => {
            Err("langevin of order 2, or by another scheme than euler-maruyama, has one decay: give it one of its own, \
                 weight_decay = 0"
                .to_owned())
        }
        (Law::Langevin { .. } | Law::OrnsteinUhlenbeck | Law::Svag { .. }, _) if momentum != 0.0 => Err(format!(
            "\"{}\" is a motion without inertia, but momentum = {momentum}: set momentum = 0 for it",
            law.name()
        )),
        (Law::Svag { level }, _)
            if *level > 1
                && training.is_some_and(|t| matches!(t.sampling, Sampling::WithoutReplacement { .. })) =>
        {
            Err("svag combines two independent minibatches, and those of an epoch are not: write svag = { level = …, \
                 sampling = \"with-replacement\" }"
                .to_owned())
        }
        (
            Law::GaussianSgd | Law::Langevin { .. } | Law::Underdamped { .. } | Law::OrnsteinUhlenbeck,
            System::Loss { model, .. },
        ) if training.is_some_and(|t| t.uneven(model.population())) => Err(format!(
            "without replacement, rows and the fresh draws beside them scatter by two factors, and the noise of \"{0}\" has one: \
             write {0} = {{ sampling = \"with-replacement\" }}",
            law.name()
        )),
        (Law::Langevin { method, .. }, System::Loss { formula, .. }) if !law.plain() => {
            method.check_increments()?;
            let Some(formula) = formula else {
                return Err(format!(
                    "langevin of order 2, or by {method}, needs the Hessian, which a model without a formula has not: \
                     take order = 1 by euler-maruyama"
                ));
            };
            method.check_noise(langevin_noise(formula))
        }
        (Law::OrnsteinUhlenbeck, System::Loss { formula: None, .. }) => {
            Err("\"ornstein-uhlenbeck\" needs the Hessian, which a model without a formula has not"
                .to_owned())
        }
        _ => Ok(()),
    }
}

impl Motion {
    /// Makes a law ready.
    ///
    /// # Errors
    /// As [`check`]; or there is no minimum to be found, or an exact transition is not finite.
    pub fn new(setting: &Setting<'_>) -> Result<Self, String> {
        check(setting.law, setting.training, &setting.system)?;
        match (&setting.system, setting.training) {
            (System::Sde(equation), _) => Self::of_equation(setting, equation),
            (System::Loss { model, formula }, Some(training)) => {
                Self::of_loss(setting, model, formula.as_deref(), training)
            }
            (System::Loss { .. }, None) => Err(format!("\"{}\" needs [training]", setting.law.name())),
        }
    }

    fn of_equation(setting: &Setting<'_>, equation: &Arc<SdeModel>) -> Result<Self, String> {
        let parameters = equation.layout().len();
        if let Law::Integrated { dt, method } = *setting.law {
            // What needs no conversion goes the short way.
            let short = setting.law.plain() && (equation.additive() || !equation.stratonovich());
            if !short || setting.together.is_some() {
                let noise = kind(equation.noise_structure(), equation.noises());
                let compiled = Arc::new(compiled(equation, method, noise)?);
                let hot = 8 * parameters + 3 * equation.noises() + compiled.scratch(1).lanes.len();
                let footprint =
                    Footprint { hot, streamed: 64 * usize::from(equation.noises() > 0), length: 1 };
                return Ok(Self {
                    kind: Kind::Equation {
                        compiled,
                        dt,
                        driven: Driven { method, noise, together: setting.together },
                    },
                    parameters,
                    footprint,
                    passes: Passes::default(),
                });
            }
            let hot = 3 * parameters + equation.noises() + equation.scratch(1).lanes.len();
            let footprint = Footprint { hot, streamed: 64 * usize::from(equation.noises() > 0), length: 1 };
            let passes = Passes::new(passes::euler(equation));
            let kind = Kind::Euler { equation: equation.clone(), dt };
            return Ok(Self { kind, parameters, footprint, passes });
        }
        let (a, c, b) = equation.linear()?;
        let noises = equation.noises();
        let mut d = vec![0.0; parameters * parameters];
        for i in 0..parameters {
            for j in 0..parameters {
                d[i * parameters + j] = (0..noises).map(|k| b[i * noises + k] * b[j * noises + k]).sum();
            }
        }
        let mut durations: Vec<f64> = Vec::new();
        let mut transitions = Vec::new();
        let mut of = Vec::new();
        for pair in setting.instants.windows(2) {
            let duration = pair[1].time - pair[0].time;
            // Instants k·Δ differ in the last bits of their distances; one transition serves them all.
            let known = durations.iter().position(|x| (x - duration).abs() <= 1e-12 * duration);
            if known.is_none() {
                durations.push(duration);
                transitions.push(Transition::new(&a, &c, &d, duration)?);
            }
            of.push(known.unwrap_or(transitions.len() - 1));
        }
        Ok(Self::linear(Transitions { transitions, plan: Plan::Instants(of) }, parameters))
    }

    fn of_loss(
        setting: &Setting<'_>,
        model: &Arc<dyn Model>,
        formula: Option<&FormulaModel>,
        training: &Training,
    ) -> Result<Self, String> {
        let parameters = model.layout().len();
        let f = training.noise_factor(model.population().size());
        // Asked for only where all nodes are gone over: they may have to be made.
        let everything = || model.population().nodes.len();
        let all = || model.over_shared(everything());
        let heavy = training.heavy();
        let (gradient, substeps, heavy) = match *setting.law {
            Law::GradientFlow { tolerance } => {
                let OverRows { working_set, run_length: length } = all();
                let switches = match formula {
                    Some(formula) => formula.switches()?.filter(|s| s.len() <= MOST_SWITCHES).map(Arc::new),
                    None => None,
                };
                let hot = match &switches {
                    Some(switches) => Pieces::footprint(parameters, switches),
                    None => Adaptive::footprint(parameters) + working_set,
                };
                let limits = match setting.instants {
                    [first, .., last] => Limits { start: first.time, end: last.time },
                    _ => Limits::NONE,
                };
                let precision = Precision { tolerance, limits };
                let kind =
                    Kind::Flow { model: model.clone(), decay: training.decay.force(), precision, switches };
                return Ok(Self {
                    kind,
                    parameters,
                    footprint: Footprint { hot, streamed: 0, length },
                    passes: Passes::default(),
                });
            }
            Law::OrnsteinUhlenbeck => {
                let formula = formula.ok_or("there is no formula to take the Hessian of")?;
                return Self::ornstein_uhlenbeck(setting, formula, training, f);
            }
            Law::GradientDescent => (Gradient::Full, 1, heavy),
            Law::Sgd => (Gradient::Minibatch, 1, heavy),
            Law::GaussianSgd => (Gradient::Gaussian(f.sqrt()), 1, heavy),
            Law::Langevin { substeps, .. } if setting.law.plain() && setting.together.is_none() => {
                (Gradient::Gaussian((f * f64::from(substeps)).sqrt()), substeps, false)
            }
            Law::Langevin { order, substeps, method } => {
                let formula = formula.ok_or("there is no formula to take the Hessian of")?;
                let noise = langevin_noise(formula);
                let stratonovich =
                    method.scheme.calculus(noise) == Calculus::Stratonovich && noise != NoiseKind::Additive;
                let curved = stratonovich || order == 2;
                let force = Force {
                    model: model.clone(),
                    curvature: if curved { Some(Arc::new(formula.curvature()?)) } else { None },
                    decay: training.decay.force(),
                    factor: f,
                    second_order: order == 2,
                    stratonovich,
                };
                let curved = force.curvature.as_ref().map_or(0, |c| c.scratch(1).lanes.len());
                let OverRows { working_set, run_length: length } = all();
                let hot = 10 * parameters + working_set + curved;
                let footprint = Footprint { hot, streamed: 3 * everything(), length };
                let driven = Driven { method, noise, together: setting.together };
                let kind = Kind::Langevin { force, rate: training.rate.clone(), substeps, driven };
                return Ok(Self { kind, parameters, footprint, passes: Passes::default() });
            }
            Law::Svag { level } => (Gradient::Amplified(level), level, false),
            Law::Underdamped { friction, substeps } => {
                let OverRows { working_set, run_length: length } = all();
                let footprint =
                    Footprint { hot: 5 * parameters + working_set, streamed: everything(), length };
                let inertia = Inertia {
                    model: model.clone(),
                    rate: training.rate.clone(),
                    substeps,
                    decay: training.decay.force(),
                    factor: f,
                    friction,
                };
                let kind = Kind::Underdamped(inertia);
                return Ok(Self { kind, parameters, footprint, passes: Passes::default() });
            }
            Law::Integrated { .. } | Law::Exact => {
                return Err(format!("\"{}\" moves an [sde]", setting.law.name()));
            }
        };
        let (samples, streamed) = match gradient {
            Gradient::Full => (everything(), 0),
            Gradient::Minibatch | Gradient::Amplified(_) => {
                (training.batch, Draws::footprint(&**model, training.sampling))
            }
            Gradient::Gaussian(_) => (everything(), GaussianGradient::footprint(&**model)),
        };
        let held = if !heavy && !matches!(gradient, Gradient::Amplified(_)) { 2 } else { 3 };
        let drawn = matches!(gradient, Gradient::Minibatch | Gradient::Amplified(_));
        let rows = model.over_rows(samples).filter(|_| drawn && model.population().finite().is_some());
        let touched = match rows {
            Some(rows) => rows,
            None if drawn => {
                OverRows { working_set: model.working_set(samples), run_length: model.run_length(samples) }
            }
            None => all(),
        };
        let (hot, length) = (parameters * held + touched.working_set, touched.run_length);
        // The last batch of an epoch may be short.
        let shortest = Draws::shortest(&**model, samples, training.sampling);
        let turned = model.in_rows(samples).filter(|_| {
            let minibatches = matches!(gradient, Gradient::Minibatch) && model.in_rows(shortest).is_some();
            // A step in rows does not look ahead.
            rows.is_some() && minibatches && training.gait(0).ahead == 0.0
        });
        let over = match gradient {
            Gradient::Minibatch if shortest == samples => Some(Over::Samples(samples)),
            Gradient::Gaussian(sigma) if Way::of(&**model) == Way::Sums => Some(Over::NoisySums { sigma }),
            _ => None,
        };
        // A pass knows one momentum and one decay.
        let over = over.filter(|_| rows.is_none() && !training.varied());
        let momentum = if heavy { training.momentum } else { 0.0 };
        let recipe = over.and_then(|over| passes::descent(&**model, over, training.decay.force(), momentum));
        let (model, training) = (model.clone(), training.clone());
        let kind = Kind::Descent { model, training, gradient, substeps, heavy, rows: turned };
        Ok(Self {
            kind,
            parameters,
            footprint: Footprint { hot, streamed, length },
            passes: Passes::new(recipe),
        })
    }

    /// dθ = −K(θ − θ*)dt + √(η f C) dW with K = H + λ: one exact transition an iteration, one matrix a rate.
    fn ornstein_uhlenbeck(
        setting: &Setting<'_>,
        formula: &FormulaModel,
        training: &Training,
        f: f64,
    ) -> Result<Self, String> {
        let mut search = Err("no start to look for a minimum from".to_owned());
        for start in setting.starts {
            let found = critical::minimum(formula, training.decay.force(), start);
            // The first start's reason is the one to report.
            search = match (found, search) {
                (Ok(minimum), _) => Ok(minimum),
                (Err(_), Err(reason)) if start != &setting.starts[0] => Err(reason),
                (Err(reason), _) => Err(reason),
            };
            if search.is_ok() {
                break;
            }
        }
        let minimum = search?;
        let n = minimum.theta.len();
        let drift: Vec<f64> = minimum.hessian.iter().map(|h| -h).collect();
        let pull: Vec<f64> =
            (0..n).map(|i| (0..n).map(|j| minimum.hessian[i * n + j] * minimum.theta[j]).sum()).collect();
        let mut transitions = Vec::new();
        for &(_, rate) in &training.rate.pieces {
            let diffusion: Vec<f64> = minimum.covariance.iter().map(|c| rate * f * c).collect();
            transitions.push(Transition::new(&drift, &pull, &diffusion, rate)?);
        }
        let plan = Plan::Iterations(training.rate.clone());
        Ok(Self::linear(Transitions { transitions, plan }, n))
    }

    fn linear(transitions: Transitions, parameters: usize) -> Self {
        let footprint =
            Footprint { hot: 2 * parameters + transitions.rank(), streamed: 64, length: parameters };
        let kind = Kind::Linear(Arc::new(transitions));
        Self { kind, parameters, footprint, passes: Passes::default() }
    }

    /// Vectors a block should have in an ensemble of `replicas`: a power of two, a function of the study alone.
    ///
    /// What a step touches again and again is to stay in the first cache, unless operations were then over in no more time than their
    /// dispatch takes (some ten nanoseconds, as much as ten vectors): then in the second. And an ensemble is to give work to more than a
    /// few threads.
    pub fn tiles(&self, replicas: usize) -> usize {
        const FIRST: usize = 384;
        const SECOND: usize = 3072;
        const STREAMED: usize = 8192;
        const LONG: usize = 64;
        const MOST: usize = 64;
        const BLOCKS: usize = 16;
        const NARROW: usize = 8;
        let share = (replicas.div_ceil(LANES) / BLOCKS).clamp(NARROW, MOST);
        let hot = self.footprint.hot.max(1);
        let touched = (FIRST / hot).max(LONG.div_ceil(self.footprint.length.max(1))).min(SECOND / hot);
        let streamed = STREAMED / self.footprint.streamed.max(1);
        1 << touched.min(streamed).clamp(1, share).ilog2()
    }

    /// The elements of θ that are kept as rows between instants, if any are.
    #[cfg(test)]
    pub(super) fn in_rows(&self) -> Option<Range<usize>> {
        match &self.kind {
            Kind::Descent { rows, .. } => rows.clone(),
            _ => None,
        }
    }

    /// A stepper for replicas `first .. first + 8·tiles`.
    pub fn stepper(&self, seed: u64, first: u64, tiles: usize) -> Box<dyn Stepper> {
        self.stepper_with(&[], seed, first, tiles)
    }

    /// A stepper that keeps account of `books`: of charges where the law [can](Law::budget), of balances where there are epochs.
    pub fn stepper_with(&self, books: &[Book], seed: u64, first: u64, tiles: usize) -> Box<dyn Stepper> {
        let block = Block { seed, first, tiles };
        let len = self.parameters * tiles;
        match &self.kind {
            Kind::Descent { model, training, gradient, substeps, heavy, rows } => {
                let source = match gradient {
                    Gradient::Full => Source::Full(FullGradient::new(model.clone(), tiles)),
                    Gradient::Minibatch => Source::Minibatch {
                        model: model.clone(),
                        scratch: model.scratch(tiles),
                        draws: Draws::new(model, training.batch, training.sampling, block),
                    },
                    Gradient::Gaussian(sigma) => {
                        Source::Gaussian(GaussianGradient::new(model.clone(), *sigma, block))
                    }
                    Gradient::Amplified(level) => {
                        let draws = Draws::new(model, training.batch, training.sampling, block);
                        Source::Amplified(AmplifiedGradient::new(model.clone(), draws, *level, tiles))
                    }
                };
                let size = model.population().size();
                let (f, cycle) = (training.noise_factor(size), training.epoch(size));
                let (variance, cycle) = match gradient {
                    Gradient::Full => (0.0, 0),
                    Gradient::Minibatch => (f, cycle),
                    Gradient::Gaussian(sigma) => (sigma * sigma, 0),
                    Gradient::Amplified(level) => (f * f64::from(*level), cycle),
                };
                let noise = Noise { variance, mean: 1.0, period: cycle.max(1) };
                let accounts = Accounts::new(books, cycle, block);
                // In epochs of rows with fresh draws behind them the two scatter by factors of their own.
                let told = !training.uneven(model.population());
                let accounts = if told { accounts.expecting(model, noise) } else { accounts };
                let descent = Descent::new(source, training.clone(), *substeps, *heavy, len);
                let pass = self.passes.of(tiles).filter(|_| books.is_empty());
                let samples = match gradient {
                    Gradient::Minibatch => training.batch * model.population().width * tiles,
                    _ => 0,
                };
                let rows = rows.as_ref().filter(|_| books.is_empty());
                Box::new(descent.with(accounts).by(pass, samples).keeping(rows, tiles))
            }
            Kind::Flow { model, decay, precision, switches } => {
                let parameters = self.parameters;
                let flow = if let Some(switches) = switches {
                    GradientFlow::in_pieces(switches.clone(), *decay, *precision, parameters, tiles)
                } else {
                    let gradient = FullGradient::new(model.clone(), tiles);
                    GradientFlow::new(gradient, *decay, *precision, parameters, tiles)
                };
                Box::new(flow.with(Accounts::new(books, 0, block)))
            }
            Kind::Linear(transitions) => {
                let linear = Linear::new(transitions.clone(), block.normals(Purpose::Wiener), len);
                Box::new(linear.with(Accounts::new(books, 0, block)))
            }
            Kind::Euler { equation, dt } => {
                // A pass keeps no accounts.
                let pass = self.passes.of(tiles).filter(|_| books.is_empty());
                let normals = block.normals(Purpose::Wiener);
                let euler = EulerMaruyama::new(equation.clone(), *dt, normals, pass);
                let euler = euler.within(Walls::new(equation, block));
                Box::new(euler.with(Accounts::new(books, 0, block)))
            }
            Kind::Underdamped(inertia) => {
                let noise = Noise { variance: 1.0, mean: 0.0, period: 1 };
                let accounts = Accounts::new(books, 0, block).expecting(&inertia.model, noise);
                Box::new(Underdamped::new(inertia.clone(), block.normals(Purpose::Gradient)).with(accounts))
            }
            Kind::Langevin { force, rate, substeps, driven } => {
                let equation = Box::new(LangevinEquation::new(force.clone(), tiles));
                let course = Course::Iterations { equation, rate: rate.clone(), substeps: *substeps };
                let accounts = Accounts::new(books, 0, block);
                let charges = driven.charges(force.second_order);
                let accounts = match charges {
                    Charges::Steps => accounts,
                    // Steps have their own noise.
                    Charges::Bent => accounts.drifting(&force.model, 0.0, true),
                    Charges::Drift => accounts.drifting(&force.model, force.factor, force.second_order),
                };
                Box::new(integrated(course, *driven, block, Purpose::Gradient).with(accounts, charges, tiles))
            }
            Kind::Equation { compiled, dt, driven } => {
                let course = Course::Steps { equation: SdeEquation::new(compiled.clone(), tiles), dt: *dt };
                let accounts = Accounts::new(books, 0, block);
                let integrated = integrated(course, *driven, block, Purpose::Wiener);
                Box::new(integrated.with(accounts, driven.charges(false), tiles))
            }
        }
    }
}

impl Driven {
    /// Euler and Maruyama's steps are accounts of their own.
    fn charges(self, second_order: bool) -> Charges {
        match self.method.scheme {
            Scheme::EulerMaruyama if second_order => Charges::Bent,
            Scheme::EulerMaruyama => Charges::Steps,
            _ => Charges::Drift,
        }
    }
}

fn integrated(course: Course, driven: Driven, block: Block, normal: Purpose) -> Integrated {
    let (dimension, noises) = course.size();
    let Method { scheme, increments } = driven.method;
    let wiener = match (driven.together, increments) {
        (Some(together), increments) => Wiener::along(block.normals(normal), increments, noises, together),
        (None, Increments::Normal) => Wiener::normal(block.normals(normal), noises, 1),
        (None, few) => {
            let values = if few == Increments::Rademacher { Values::Two } else { Values::Three };
            let points = Points::new(values, block.seed, Purpose::Increment, block.first, block.tiles);
            Wiener::points(points, noises)
        }
    };
    Integrated::new(course, Stepping::new(scheme, driven.noise, dimension, noises, block.tiles), wiener)
}

/// The equation with its drift in the scheme's calculus.
fn compiled(equation: &SdeModel, method: Method, noise: NoiseKind) -> Result<CompiledSde, String> {
    let stratonovich = method.scheme.calculus(noise) == Calculus::Stratonovich;
    equation.compiled(stratonovich, method.scheme == Scheme::Milstein)
}

/// What the noise of a system's equation is like; `None` for a loss without a formula.
pub fn noise_kind(system: &System) -> Option<NoiseKind> {
    match system {
        System::Sde(equation) => Some(kind(equation.noise_structure(), equation.noises())),
        System::Loss { formula, .. } => formula.as_deref().map(langevin_noise),
    }
}

/// The noise of a loss's Langevin equation: one Wiener process a node, which in general do not commute.
fn langevin_noise(formula: &FormulaModel) -> NoiseKind {
    if formula.additive_noise() { NoiseKind::Additive } else { NoiseKind::General }
}

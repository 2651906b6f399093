//! What a study says of a law of motion, resolved.

use crate::model::Population;
use crate::scheme::{Method, Scheme};

/// The learning rate η, or another setting, as a function of the step: piecewise constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// `(first step, rate)`, the first entry at step 0, steps increasing.
    pub pieces: Vec<(u64, f64)>,
}

impl Schedule {
    /// The same rate at every step.
    pub fn constant(rate: f64) -> Self {
        Self { pieces: vec![(0, rate)] }
    }
    /// η of the step that leads from iteration `step` to `step + 1`.
    pub fn at(&self, step: u64) -> f64 {
        self.piece(step).1
    }
    /// The rate in force after the last change.
    pub fn last(&self) -> f64 {
        self.pieces.last().map_or(0.0, |p| p.1)
    }
    /// t = Σ_{j < step} η_j, computed piece by piece (never accumulated step by step).
    pub fn time(&self, step: u64) -> f64 {
        let mut time = 0.0;
        for (i, &(first, rate)) in self.pieces.iter().enumerate() {
            if first >= step {
                break;
            }
            let end = self.pieces.get(i + 1).map_or(step, |next| next.0.min(step));
            time += (end - first) as f64 * rate;
        }
        time
    }
    /// Leaves out the pieces that begin at iteration `steps` or later; the first of them.
    pub fn end_at(&mut self, steps: u64) -> Option<(u64, f64)> {
        let kept = self.pieces.partition_point(|piece| piece.0 < steps).max(1);
        let first = self.pieces.get(kept).copied();
        self.pieces.truncate(kept);
        first
    }
    /// Every value times a factor.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self { pieces: self.pieces.iter().map(|&(step, x)| (step, factor * x)).collect() }
    }
    /// True if it has one value for good.
    pub fn is_constant(&self) -> bool {
        self.pieces.len() <= 1
    }
    fn piece(&self, step: u64) -> (u64, f64) {
        let next = self.pieces.partition_point(|p| p.0 <= step);
        self.pieces[next.saturating_sub(1)]
    }
}

/// Weight decay, in either convention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// None.
    None,
    /// `weight_decay = λ`: force λθ (PyTorch's), energy ½λ‖θ‖².
    Force(f64),
    /// `penalty = γ`: energy γ‖θ‖², force 2γθ.
    Penalty(f64),
}

impl Decay {
    /// The coefficient λ of the force λθ.
    pub fn force(self) -> f64 {
        match self {
            Decay::None => 0.0,
            Decay::Force(lambda) => lambda,
            Decay::Penalty(gamma) => 2.0 * gamma,
        }
    }
}

/// How minibatches are drawn from a finite population.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Independent draws (the only way for an infinite population).
    WithReplacement,
    /// Epochs: a fresh permutation each, cut into batches; a short last batch is kept unless `drop_last`.
    WithoutReplacement {
        /// Drops an epoch's short last batch.
        drop_last: bool,
    },
}

/// How the velocity of a heavy ball counts the rate: the same paths where rate and momentum are constant, nothing is dampened, and the look ahead
/// is not Nesterov's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Convention {
    /// v' = βv − ηu, θ' = θ + v', u = ĝ + λθ (Sutskever, Martens, Dahl & Hinton 2013, ICML, eqs. 1–2).
    #[default]
    Sutskever,
    /// b' = βb + (1 − d)u, at the first step b' = u; θ' = θ − ηb', of Nesterov's kind θ' = θ − η(u + βb') (`torch.optim.SGD`).
    PyTorch {
        /// d.
        dampening: f64,
        /// The step looks ahead.
        nesterov: bool,
    },
}

/// What of the settings changes on the way, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// How the velocity counts the rate.
    pub convention: Convention,
    /// β as a function of the step, where it changes.
    pub momentum: Option<Schedule>,
    /// λ as a function of the step, where it changes.
    pub decay: Option<Schedule>,
}

/// What one step of descent goes by: v' = βv − hu, θ' = θ + v'; with a look ahead μ θ' = θ + μv' − hu.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gait {
    /// h.
    pub rate: f64,
    /// η, the time that the step takes.
    pub time: f64,
    /// λ.
    pub decay: f64,
    /// β.
    pub momentum: f64,
    /// μ of Nesterov's kind; 0 for none.
    pub ahead: f64,
}

/// `[training]`, with a dynamics' own settings merged in.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// η.
    pub rate: Schedule,
    /// S.
    pub batch: usize,
    /// λ or γ; of one that changes, the last.
    pub decay: Decay,
    /// Heavy-ball β; of one that changes, the last.
    pub momentum: f64,
    /// Sampling of minibatches.
    pub sampling: Sampling,
    /// What changes on the way.
    pub course: Course,
}

impl Training {
    /// True if there is a velocity at any step.
    pub fn heavy(&self) -> bool {
        let pieces = self.course.momentum.as_ref().map_or(&[][..], |m| &m.pieces);
        self.momentum != 0.0 || pieces.iter().any(|p| p.1 != 0.0)
    }
    /// The step after which no setting changes, and the setting that changes there.
    pub fn last_change(&self) -> (u64, &'static str) {
        let last = |s: &Schedule| s.pieces.last().map_or(0, |piece| piece.0);
        let of = |s: &Option<Schedule>| s.as_ref().map_or(0, last);
        let all = [
            (last(&self.rate), "rate"),
            (of(&self.course.momentum), "momentum"),
            (of(&self.course.decay), "decay"),
        ];
        all.into_iter().max_by_key(|(step, _)| *step).unwrap_or((0, "rate"))
    }
    /// True if steps differ in more than their rate, or are not those of a plain heavy ball.
    pub fn varied(&self) -> bool {
        let ball = match self.course.convention {
            Convention::Sutskever => false,
            Convention::PyTorch { nesterov, .. } => self.heavy() && (nesterov || !self.rate.is_constant()),
        };
        ball || self.course.momentum.is_some() || self.course.decay.is_some()
    }
    /// What iteration `step` goes by. In PyTorch's convention v = −ηb of the step that made it, so that v' = β(η/η₋)v − η(1 − d)u with the rate η₋ of the
    /// step before.
    pub fn gait(&self, step: u64) -> Gait {
        let eta = self.rate.at(step);
        let of = |s: &Option<Schedule>, value: f64| s.as_ref().map_or(value, |s| s.at(step));
        let momentum = of(&self.course.momentum, self.momentum);
        let decay = of(&self.course.decay, self.decay.force());
        match self.course.convention {
            Convention::PyTorch { dampening, nesterov } if self.heavy() => {
                let ahead = if nesterov { momentum } else { 0.0 };
                if step == 0 {
                    return Gait { rate: eta, time: eta, decay, momentum, ahead };
                }
                let ratio = eta / self.rate.at(step - 1);
                let momentum = momentum * ratio;
                Gait { rate: eta * (1.0 - dampening), time: eta, decay, momentum, ahead }
            }
            _ => Gait { rate: eta, time: eta, decay, momentum, ahead: 0.0 },
        }
    }
    /// The settings of the plain heavy ball that moves as this one does once nothing changes any more.
    ///
    /// # Errors
    /// A sentence, for Nesterov's kind.
    pub fn plain_ball(&self) -> Result<Training, String> {
        let mut plain = self.clone();
        plain.course.convention = Convention::Sutskever;
        match self.course.convention {
            Convention::PyTorch { nesterov: true, .. } if self.heavy() => {
                Err("nothing stationary is known of Nesterov's momentum here".to_owned())
            }
            Convention::PyTorch { dampening, .. } if self.heavy() && dampening != 0.0 => {
                plain.rate = Schedule::constant(self.rate.last() * (1.0 - dampening));
                Ok(plain)
            }
            _ => Ok(plain),
        }
    }
    /// Steps of an epoch of a population of that size; 0 where there are none.
    pub fn epoch(&self, population: Option<usize>) -> u64 {
        match (self.sampling, population) {
            (Sampling::WithoutReplacement { drop_last: false }, Some(n)) => n.div_ceil(self.batch) as u64,
            (Sampling::WithoutReplacement { drop_last: true }, Some(n)) => (n / self.batch) as u64,
            _ => 0,
        }
    }
    /// True where the covariance of a minibatch's gradient is no multiple of C: rows without replacement that have fresh draws behind them
    /// ([`Population::mixed`]).
    pub fn uneven(&self, population: &Population) -> bool {
        population.mixed() && matches!(self.sampling, Sampling::WithoutReplacement { .. })
    }
    /// f such that the minibatch gradient has covariance f·C: 1/S, or (N−S)/(S(N−1)) without replacement.
    pub fn noise_factor(&self, population: Option<usize>) -> f64 {
        let s = self.batch as f64;
        match (self.sampling, population) {
            (Sampling::WithoutReplacement { .. }, Some(n)) if n > 1 => {
                (n as f64 - s) / (s * (n as f64 - 1.0))
            }
            (Sampling::WithoutReplacement { .. }, Some(_)) => 0.0,
            _ => 1.0 / s,
        }
    }
}

/// How the change of a charge is known along a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Step by step, to rounding.
    Exact,
    /// By Itô's drift at the beginning of each step, on average over paths, to leading order in the step.
    LeadingOrder,
}

/// A law of motion (design §3).
#[derive(Clone, Debug, PartialEq)]
pub enum Law {
    /// θ̇ = −(∇L + λθ).
    GradientFlow {
        /// Relative error tolerance a step (default 1e-12).
        tolerance: f64,
    },
    /// θ' = θ − η(∇L + λθ).
    GradientDescent,
    /// θ' = θ − η(ĝ + λθ), heavy ball: v' = βv − η(ĝ + λθ), θ' = θ + v'.
    Sgd,
    /// As sgd, with Gaussian noise of covariance f·C(θ).
    GaussianSgd,
    /// dθ = −∇(L + ½λ‖θ‖²)dt + √(η f C(θ)) dW (Itô), stepped with dt = η/substeps. Of order 2 with L + ½λ‖θ‖² =: U replaced by
    /// U + (η/4)‖∇U‖² (Li, Tai & E 2017, ICML, theorem 1).
    Langevin {
        /// Order of the modified equation, 1 or 2.
        order: u32,
        /// Steps of the scheme an iteration.
        substeps: u32,
        /// The scheme.
        method: Method,
    },
    /// Stochastic variance amplified gradient: l steps θ' = θ − (η/l)(ĝ_l + λθ) an iteration, with
    /// ĝ_l = ½(1 + √(2l−1)) ĝ₁ + ½(1 − √(2l−1)) ĝ₂ of two independent minibatches, whose covariance is l f C: SGD for l = 1, the Langevin equation
    /// as l grows (Li, Malladi & Arora 2021, NeurIPS, §4).
    Svag {
        /// l.
        level: u32,
    },
    /// dθ = (v/η)dt, dv = −γ(v/η)dt − (∇L + λθ)dt + √(η f C(θ)) dW on the clock t = kη, by BAOAB with dt = η/substeps: the equation with
    /// inertia of SGD with momentum β, whose v it has, for γ = 1 − β. At rest to begin with, as the heavy ball is.
    Underdamped {
        /// γ.
        friction: f64,
        /// Steps an iteration.
        substeps: u32,
    },
    /// Exact transitions of the linearised Langevin equation about the minimum.
    OrnsteinUhlenbeck,
    /// `[sde]` by a scheme.
    Integrated {
        /// Step.
        dt: f64,
        /// The scheme.
        method: Method,
    },
    /// `[sde]` with linear drift and constant noise: the transition law itself, from instant to instant.
    Exact,
}

/// The weights ½(1 ± √(2l − 1)) with which SVAG of level l amplifies two independent minibatches; 1 and 0 for l = 1, which is SGD.
pub fn amplifying_weights(level: u32) -> (f64, f64) {
    let root = f64::from(2 * level.max(1) - 1).sqrt();
    (0.5 * (1.0 + root), 0.5 * (1.0 - root))
}

impl Law {
    /// The Langevin equation of order 1 by Euler–Maruyama.
    pub fn langevin(substeps: u32) -> Self {
        Law::Langevin { order: 1, substeps, method: Method::default() }
    }
    /// `[sde]` by Euler–Maruyama.
    pub fn euler_maruyama(dt: f64) -> Self {
        Law::Integrated { dt, method: Method::default() }
    }
    /// True for what moves an `[sde]`.
    pub fn of_equation(&self) -> bool {
        matches!(self, Law::Integrated { .. } | Law::Exact)
    }
    /// True for what moves with the momentum of `[training]`.
    pub fn takes_momentum(&self) -> bool {
        matches!(self, Law::Sgd | Law::GaussianSgd | Law::GradientDescent)
    }
    /// Steps an iteration, of schemes: each with as many evaluations.
    pub fn substeps(&self) -> (u32, u64) {
        match self {
            Law::Langevin { order, substeps, method } => {
                (*substeps, u64::from(*order) * method.scheme.evaluations())
            }
            Law::Underdamped { substeps, .. } => (*substeps, 2),
            Law::Svag { level } => (*level, if *level == 1 { 1 } else { 2 }),
            Law::Integrated { method, .. } => (1, method.scheme.evaluations()),
            _ => (1, 1),
        }
    }
    /// True if it is Euler–Maruyama with normal increments of order 1, which has a stepper of its own.
    pub fn plain(&self) -> bool {
        match self {
            Law::Langevin { order, method, .. } => *order == 1 && *method == Method::default(),
            Law::Integrated { method, .. } => {
                *method == Method { scheme: Scheme::EulerMaruyama, ..Method::default() }
            }
            _ => true,
        }
    }
    /// How the change of a charge is known ([`crate::dynamics::ledger`]); `None` where the law of motion has none, which the symmetry would keep.
    pub fn budget(&self) -> Option<Budget> {
        match self {
            Law::GradientFlow { .. }
            | Law::GradientDescent
            | Law::Sgd
            | Law::GaussianSgd
            | Law::Svag { .. }
            | Law::Underdamped { .. }
            | Law::Exact => Some(Budget::Exact),
            Law::Langevin { method, .. } | Law::Integrated { method, .. } => {
                let steps = method.scheme == Scheme::EulerMaruyama;
                Some(if steps { Budget::Exact } else { Budget::LeadingOrder })
            }
            Law::OrnsteinUhlenbeck => None,
        }
    }
    /// True if the state has a velocity of its own, with the momentum β of its training.
    pub fn inertial(&self, momentum: f64) -> bool {
        matches!(self, Law::Underdamped { .. }) || (self.takes_momentum() && momentum != 0.0)
    }
    /// Its name in the study file.
    pub fn name(&self) -> &'static str {
        match self {
            Law::GradientFlow { .. } => "gradient-flow",
            Law::GradientDescent => "gradient-descent",
            Law::Sgd => "sgd",
            Law::GaussianSgd => "gaussian-sgd",
            Law::Langevin { .. } => "langevin",
            Law::Svag { .. } => "svag",
            Law::Underdamped { .. } => "underdamped",
            Law::OrnsteinUhlenbeck => "ornstein-uhlenbeck",
            Law::Integrated { method, .. } => method.scheme.name(),
            Law::Exact => "exact",
        }
    }
    /// True where all replicas with the same start follow the same path.
    pub fn deterministic(&self) -> bool {
        matches!(self, Law::GradientFlow { .. } | Law::GradientDescent)
    }
}

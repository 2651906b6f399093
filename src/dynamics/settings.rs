//! What a study says of a law of motion, resolved.

/// Learning rate η as a function of the step: piecewise constant.
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

/// `[training]`, with a dynamics' own settings merged in.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// η.
    pub rate: Schedule,
    /// S.
    pub batch: usize,
    /// λ or γ.
    pub decay: Decay,
    /// Heavy-ball β.
    pub momentum: f64,
    /// Sampling of minibatches.
    pub sampling: Sampling,
}

impl Training {
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
    /// dθ = −(∇L + λθ)dt + √(η f C(θ)) dW, Euler–Maruyama with dt = η/substeps.
    Langevin {
        /// Order of the modified equation; 1 for now.
        order: u32,
        /// Steps of the scheme an iteration.
        substeps: u32,
    },
    /// Exact transitions of the linearised Langevin equation about the minimum.
    OrnsteinUhlenbeck,
    /// `[sde]` by Euler–Maruyama.
    EulerMaruyama {
        /// Step.
        dt: f64,
    },
    /// `[sde]` with linear drift and constant noise: the transition law itself, from instant to instant.
    Exact,
}

impl Law {
    /// Its name in the study file.
    pub fn name(&self) -> &'static str {
        match self {
            Law::GradientFlow { .. } => "gradient-flow",
            Law::GradientDescent => "gradient-descent",
            Law::Sgd => "sgd",
            Law::GaussianSgd => "gaussian-sgd",
            Law::Langevin { .. } => "langevin",
            Law::OrnsteinUhlenbeck => "ornstein-uhlenbeck",
            Law::EulerMaruyama { .. } => "euler-maruyama",
            Law::Exact => "exact",
        }
    }
    /// True where all replicas with the same start follow the same path.
    pub fn deterministic(&self) -> bool {
        matches!(self, Law::GradientFlow { .. } | Law::GradientDescent)
    }
}

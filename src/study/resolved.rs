//! A study with every default filled in and every formula compiled: what will be run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dynamics::passage::Passage;
use crate::dynamics::{Balance, Book, Law, Ledger, Training};
pub use crate::model::Symmetry;
use crate::model::formula::{Expression, FormulaModel, Function, SdeModel, Value};
use crate::model::symmetry::{QuadraticForm, Spectrum};
use crate::model::{Layout, Model, Shape, StandardLaw};

/// A resolved study.
#[derive(Clone)]
pub struct Study {
    /// `title`, or the file's name.
    pub title: String,
    /// Path as given on the command line (empty for a study built in Rust).
    pub path: String,
    /// The file's text as given.
    pub text: String,
    /// `--set` overrides, as given.
    pub overrides: Vec<String>,
    /// The same study with every default written out, as TOML.
    pub resolved: String,
    /// `[constants]`, and `pi`.
    pub constants: BTreeMap<String, Value>,
    /// `[loss]` with its data, or `[sde]`.
    pub system: System,
    /// Initial law of each parameter, in the layout's order.
    pub initial: Vec<Initial>,
    /// `[starts]`: groups of replicas with initial laws of their own, dealt in turn; empty for one start, `initial`.
    pub starts: Vec<Start>,
    /// `[dynamics]`, in file order.
    pub dynamics: Vec<Dynamics>,
    /// `[run]`.
    pub run: Run,
    /// Parameters (unless `record_parameters = false`), then `[observe]`, in file order.
    pub observables: Vec<Observable>,
    /// `[symmetries]`, those of a loss checked to be its symmetries.
    pub symmetries: Vec<(String, Symmetry)>,
    /// `[[claims]]`.
    pub claims: Vec<Claim>,
    /// What is written and changes nothing, a sentence each.
    pub warnings: Vec<String>,
}

/// What moves.
#[derive(Clone)]
pub enum System {
    /// A loss over a population.
    Loss(LossSystem),
    /// A stochastic differential equation that is no loss.
    Sde(Arc<SdeModel>),
}

/// A loss as the engine sees it, and its formula where it has one.
#[derive(Clone)]
pub struct LossSystem {
    /// What the laws of motion use.
    pub model: Arc<dyn Model>,
    /// The same with its formula: Hessians, per-sample moments, observables of the loss. `None` for a hand-written model.
    pub formula: Option<Arc<FormulaModel>>,
}

/// One of `[starts]`: replicas r with r mod (number of starts) = its index.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The user's name.
    pub name: String,
    /// Initial law of each parameter, in the layout's order.
    pub initial: Vec<Initial>,
}

impl Study {
    /// The initial laws that replicas have in turn.
    pub fn starting_laws(&self) -> Vec<&[Initial]> {
        if self.starts.is_empty() {
            return vec![&self.initial];
        }
        self.starts.iter().map(|start| &start.initial[..]).collect()
    }
    /// True if all replicas start at the same place.
    pub fn one_start(&self) -> bool {
        let laws = self.starting_laws();
        laws.len() == 1 && laws[0].iter().all(|law| matches!(law, Initial::Fixed(_)))
    }
    /// The runs that claims need beside the study's own, each once.
    pub fn hidden_runs(&self) -> Vec<&HiddenRun> {
        let mut runs: Vec<&HiddenRun> = Vec::new();
        for claim in &self.claims {
            let ClaimLaw::Convergence(ladder) = &claim.law else { continue };
            for run in ladder.rungs.iter().flat_map(|(of, to)| [of, to]) {
                if !runs.contains(&run) {
                    runs.push(run);
                }
            }
        }
        runs
    }
    /// Names and shapes of the parameters.
    pub fn layout(&self) -> &Layout {
        match &self.system {
            System::Loss(loss) => loss.model.layout(),
            System::Sde(sde) => sde.layout(),
        }
    }
}

/// Initial law of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial {
    /// The same values (row by row) in every replica.
    Fixed(Vec<f64>),
    /// Each element N(mean, standard_deviation²).
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        standard_deviation: f64,
    },
    /// Each element uniform on [low, high).
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Each element `shift` + `scale` times a draw of a standard law.
    Law {
        /// The law.
        law: StandardLaw,
        /// What is added.
        shift: f64,
        /// Scale.
        scale: f64,
    },
    /// Each element e to the power of N(mean, standard_deviation²).
    LogNormal {
        /// Mean of the logarithm.
        mean: f64,
        /// Its standard deviation.
        standard_deviation: f64,
    },
    /// A vector N(mean, F Fᵀ).
    Multinormal {
        /// Mean.
        mean: Vec<f64>,
        /// F, lower, row by row.
        factor: Vec<f64>,
    },
    /// Rows of a table, which replicas take in turn: replica r, or the r-th that starts so, has row r mod N.
    Rows {
        /// `[N][elements]`.
        values: std::sync::Arc<[f64]>,
    },
    /// `scale` times a Haar-distributed orthogonal matrix (orthonormal columns or rows where not square).
    Orthogonal {
        /// Scale.
        scale: f64,
    },
}

/// One entry of `[dynamics]`.
#[derive(Clone, Debug)]
pub struct Dynamics {
    /// The user's name.
    pub name: String,
    /// The law.
    pub law: Law,
    /// `[training]` with this dynamics' own settings merged in; `None` for `[sde]`.
    pub training: Option<Training>,
    /// Recorded instants, the start first: iteration and time.
    pub instants: Vec<Instant>,
}

/// A recorded instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instant {
    /// Iteration of the dynamics (for gradient flow: of the study's clock; for `exact`: the instant's index).
    pub step: u64,
    /// t.
    pub time: f64,
}

/// `[run]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Replicas.
    pub replicas: usize,
    /// Seed.
    pub seed: u64,
    /// Share of the time left out of stationary averages.
    pub burn_in: f64,
    /// Replicas whose path is kept.
    pub trajectories: usize,
    /// α of exact claims (default 1e-3).
    pub significance: f64,
    /// Deviation that an exact claim must be able to see, relative (default 0.2).
    pub resolution: f64,
    /// Where given, each dynamics grows beyond `replicas` until its mean is known so well.
    pub precision: Option<Precision>,
}

/// `precision` of `[run]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Precision {
    /// Name of the observable.
    pub observable: String,
    /// Standard error of its mean to be reached, by the largest of its components.
    pub standard_error: f64,
    /// Which mean.
    pub of: PrecisionMean,
    /// Replicas at most.
    pub most: usize,
}

/// Which mean `precision` speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrecisionMean {
    /// Over time after burn-in, and replicas.
    Stationary,
    /// Over replicas at the end of the run.
    End,
}

/// A quantity recorded along the run.
#[derive(Clone)]
pub struct Observable {
    /// Unique name.
    pub name: String,
    /// Shape of its value.
    pub shape: Shape,
    /// Asked for by a claim alone.
    pub hidden: bool,
    /// How it is computed.
    pub kind: ObservableKind,
}

/// How an observable is computed from the state of a block.
#[derive(Clone)]
pub enum ObservableKind {
    /// Elements `offset ..` of θ.
    Parameter {
        /// First element.
        offset: usize,
    },
    /// A compiled formula; averaged over the population's nodes where it mentions data or the loss.
    Function(Arc<Function>),
    /// Singular values, descending, of a compiled formula's matrix value (its own shape in `Function::shape`).
    SingularValues(Arc<Function>),
    /// A compiled formula of the state and of the velocity of the last step (0 where the law of motion has none).
    Moving(Arc<Function>),
    /// Sums over every step of what changes a charge, in the order of [`crate::dynamics::ledger::Rows`].
    Ledger(Arc<Ledger>),
    /// ∫ f dt along the path, over every step and not only over recorded instants.
    Integral(Arc<Function>),
    /// When an observable first leaves, seen at every step.
    Passage(Arc<Passage>),
    /// What the steps of whole epochs take out and bring in, averaged; 0 where there are no epochs.
    Balance(Arc<Balance>),
    /// What the fixed points of charges are found from, at the start and at the end.
    NoiseMoments(Arc<NoiseMoments>),
    /// For each component the fitted rate of ln|x| along the path, the number of instants at which it was 0, and its
    /// changes of sign: complete at the last instant.
    DecayRate {
        /// What decays.
        of: Box<ObservableKind>,
        /// Its components.
        components: usize,
        /// Shares of the run between which the line is fitted.
        from: f64,
        /// As above.
        to: f64,
    },
}

impl ObservableKind {
    /// What is kept account of at every step.
    pub fn book(&self) -> Option<Book> {
        match self {
            Self::Ledger(ledger) => Some(Book::Ledger(ledger.clone())),
            Self::Integral(function) => Some(Book::Integral(function.clone())),
            Self::Passage(passage) => Some(Book::Passage(passage.clone())),
            Self::Balance(balance) => Some(Book::Balance(balance.clone())),
            Self::DecayRate { of, .. } => of.book(),
            _ => None,
        }
    }
}

/// ‖P_iθ‖², ⟨‖P_i∇ℓ‖²⟩ and ‖P_i∇L‖² of the eigenspaces of symmetries, K numbers each: as they are at the start of the run,
/// then as they are at its end (before that, as at the start).
#[derive(Clone)]
pub struct NoiseMoments {
    /// The loss.
    pub model: Arc<dyn Model>,
    /// ‖P_i x‖², a vector of K components.
    pub squares: QuadraticForm,
}

/// One of `[[claims]]`.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What it says.
    pub law: ClaimLaw,
    /// Indices into `Study::dynamics` for which it is judged, never empty.
    pub dynamics: Vec<usize>,
    /// False for a negative control (`expect = "fails"`).
    pub expect_holds: bool,
    /// α, the study's unless given.
    pub significance: f64,
    /// Line in the study file, for messages (0 when built in Rust).
    pub line: usize,
}

/// λ* that is claimed of one instant.
#[derive(Clone, Debug)]
pub struct FixedPointValue {
    /// λ*, with its dynamics' own rate, batch, decay and momentum.
    pub formula: Expression,
    /// As written, for tables.
    pub text: String,
    /// True for the end of the run, false for its start.
    pub at_end: bool,
}

/// Errors that fall with a power of a step: the ladder of a `convergence` claim.
#[derive(Clone, Debug)]
pub struct Convergence {
    /// Name of the observable f.
    pub observable: String,
    /// Name of what is judged.
    pub of: String,
    /// What it is compared with: another dynamics, or `exact`.
    pub to: String,
    /// The setting that is varied.
    pub over: Varied,
    /// Its values.
    pub values: Vec<f64>,
    /// Step that each stands for, which the errors are a power of.
    pub steps: Vec<f64>,
    /// When.
    pub time: f64,
    /// The power.
    pub order: f64,
    /// How near it must be measured.
    pub tolerance: f64,
    /// The mean of |f − f| on common paths; else the difference of the means of f.
    pub strong: bool,
    /// The runs of each value: of what is judged, and of what it is compared with.
    pub rungs: Vec<(HiddenRun, HiddenRun)>,
    /// Step of a reference by the same scheme, whose own error is then allowed for.
    pub remainder: Option<f64>,
}

/// The setting that a ladder varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Varied {
    /// η, of both.
    Rate,
    /// The step of a scheme.
    Dt,
    /// m, dt = η/m.
    Substeps,
    /// l of SVAG, of step 1/l.
    Level,
}

/// A run that a claim needs beside the study's own: neither shown nor stored.
#[derive(Clone, Debug)]
pub struct HiddenRun {
    /// Law and settings; its instants are the start and the one that the claim looks at.
    pub dynamics: Dynamics,
    /// Along the common Wiener paths of a ladder: so many of their increments make one of this run's.
    pub together: Option<u32>,
}

impl PartialEq for HiddenRun {
    /// The same numbers come out, whatever the name.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.dynamics, &other.dynamics);
        self.together == other.together
            && a.law == b.law
            && a.training == b.training
            && a.instants == b.instants
    }
}

/// The claims that can be made.
#[derive(Clone, Debug)]
pub enum ClaimLaw {
    /// A statistic of an observable has a value.
    Equals {
        /// Name of the observable (hidden ones are added to `Study::observables` when a formula is given).
        observable: String,
        /// Which statistic.
        statistic: Statistic,
        /// When.
        at: At,
        /// Value: one number, or one a component; formulas of constants and `rate batch decay momentum`.
        value: Vec<Expression>,
        /// The value as written, for tables.
        value_text: String,
        /// How near.
        tolerance: Tolerance,
    },
    /// Every replica diverges.
    Diverges,
    /// An observable does not change along any path.
    Conserved {
        /// Name of the observable.
        observable: String,
        /// Relative to `scale`, default 1e-8.
        tolerance: f64,
        /// Σ_i |θ_i ∂C/∂θ_i|, the size of the terms that cancel in the charge; a hidden observable's name.
        scale: Option<String>,
    },
    /// Along the orbit of a symmetry the state comes to where decay and noise leave the charge alone, from any start.
    FixedPoint {
        /// Name of the symmetry.
        symmetry: String,
        /// Its one-parameter subgroups.
        spectra: Vec<Spectrum>,
        /// Name of the hidden observable of its noise.
        moments: String,
        /// λ* at one instant; without it the law is that λ* is 0 at the end, from any start.
        value: Option<FixedPointValue>,
        /// In λ.
        tolerance: f64,
    },
    /// A charge changes, step by step, by what decay and noise say.
    NoetherFlow {
        /// Name of the symmetry.
        symmetry: String,
        /// Name of the hidden observable that is its ledger.
        ledger: String,
        /// Numbers of the charge.
        components: usize,
        /// Factor of the noise term, 1 for the law itself.
        noise: f64,
        /// Factor of the decay's coefficient, 1 for the law itself.
        decay: f64,
        /// Relative to what cancels; rounding of that many steps if absent.
        tolerance: Option<f64>,
    },
    /// An observable decays at a rate.
    DecayRate {
        /// Name of the observable.
        observable: String,
        /// Name of the hidden observable that holds its fitted rates.
        fit: String,
        /// The rate, per unit t: one number, or one a component.
        value: Vec<Expression>,
        /// The value as written, for tables.
        value_text: String,
        /// Shares of the run between which the line is fitted.
        from: f64,
        /// As above.
        to: f64,
        /// How near.
        tolerance: Tolerance,
    },
    /// An error falls with a power of a step.
    Convergence(Box<Convergence>),
    /// The stationary law of a motion of one number is that of its drift and diffusion.
    StationaryDensity {
        /// Name of the observable.
        observable: String,
        /// How the noise is read.
        reading: DensityReading,
        /// With it, the index of the tail is compared in place of the distribution.
        tail: Option<Tail>,
        /// Of Kolmogorov and Smirnov's distance, or relative to the index.
        tolerance: Option<f64>,
    },
    /// Two motions in equilibrium, side by side; the claim's own dynamics is the first.
    Equilibrium {
        /// Index of the second.
        second: usize,
        /// Name of the observable.
        observable: String,
        /// The first's variance over the second's, with the settings of the first.
        ratio: Option<Expression>,
        /// The ratio as written.
        ratio_text: String,
        /// Claimed to be of one law.
        same: bool,
        /// Relative to the ratio, and to the standard deviation for means; `None` for an exact claim.
        tolerance: Option<f64>,
    },
    /// A fluctuation–dissipation relation of the stationary state.
    Fdt {
        /// Which.
        relation: Relation,
        /// What stands for the noise.
        moment: Moment,
        /// Relative to the noise's side; `None` for an exact claim where the relation is exact.
        tolerance: Option<f64>,
    },
    /// The stationary covariance is the one that dissipation and noise dictate.
    Einstein {
        /// Which equation predicts.
        equation: Equation,
        /// For leading-order predictions, relative.
        tolerance: Option<f64>,
    },
}

/// Statistic of `equals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Statistic {
    Mean,
    Variance,
    SecondMoment,
    StandardDeviation,
    Minimum,
    Maximum,
}

impl Statistic {
    /// As sentences have it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Variance => "variance",
            Self::SecondMoment => "second moment",
            Self::StandardDeviation => "standard deviation",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
        }
    }
}

/// Instant of `equals`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Pooled after burn-in.
    Stationary,
    /// The last instant.
    End,
    /// The first.
    Start,
    /// The recorded instant nearest to this time.
    Time(f64),
}

/// How near a measured value must come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Exact claim: no difference beyond the statistical error.
    Exact,
    /// Relative to |value|.
    Relative(f64),
    /// In the observable's units.
    Absolute(f64),
}

/// How `stationary-density` reads the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DensityReading {
    /// As the system is written; Itô for a loss.
    Own,
    /// After Itô.
    Ito,
    /// After Stratonovich.
    Stratonovich,
    /// As if the noise were the same everywhere as where the drift vanishes: e^{−2U/D}.
    Gibbs,
}

/// Which tail index `stationary-density` compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The motion's own: Kesten's root for a discrete linear recursion, else the density's.
    Own,
    /// The density's.
    Density,
}

/// Relations of `fdt`, from the stationarity of ‖θ‖² and of f = L + ½λ‖θ‖². Source: Yaida (2018), arXiv 1810.00004.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// ⟨θ·∇f⟩ = (η/2)⟨Tr C̃⟩.
    First,
    /// ⟨‖∇f‖²⟩ = (η/2)⟨Tr[H C̃]⟩.
    Second,
}

/// What C̃ is in a fluctuation–dissipation relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// What the law of motion has: the second moment of the minibatch gradient, or the velocity's square, for steps; the
    /// covariance for a Langevin equation.
    Own,
    /// The second moment, whatever the law of motion.
    Second,
    /// The covariance, whatever the law of motion.
    Covariance,
}

/// Which stationary equation `einstein` solves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equation {
    /// The dynamics' own (discrete for sgd, the scheme's for Euler–Maruyama, …).
    Own,
    /// The continuous Lyapunov equation, whatever the dynamics.
    Continuous,
    /// The discrete Lyapunov equation of SGD without momentum, whatever the dynamics.
    Discrete,
}

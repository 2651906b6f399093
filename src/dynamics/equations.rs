//! The equations that schemes step: an `[sde]`, and the Langevin equation of a loss.

use std::sync::Arc;

use crate::dynamics::kernels::add_scaled;
use crate::dynamics::sweep::NoisyNodes;
use crate::lanes::{Lane, flat, flat_mut, vectorized};
use crate::model::formula::{CompiledSde, Curvature, NodeBatch};
use crate::model::{Model, Scratch};
use crate::scheme::{Equation, NoiseKind};

/// An `[sde]` whose drift is in the scheme's calculus.
pub struct SdeEquation {
    compiled: Arc<CompiledSde>,
    scratch: Scratch,
    /// The time at which a step begins, and at which the equation is taken.
    begin: f64,
    time: f64,
}

impl SdeEquation {
    /// For blocks of `tiles` vectors.
    pub fn new(compiled: Arc<CompiledSde>, tiles: usize) -> Self {
        let start = compiled.start();
        Self { scratch: compiled.scratch(tiles), compiled, begin: start, time: start }
    }

    /// A step begins, `elapsed` after the start of the run.
    pub fn begin(&mut self, elapsed: f64) {
        self.begin = self.compiled.start() + elapsed;
        self.time = self.begin;
    }
}

impl Equation for SdeEquation {
    fn dimension(&self) -> usize {
        self.compiled.layout().len()
    }
    fn noises(&self) -> usize {
        self.compiled.noises()
    }
    fn increment(&mut self, x: &[Lane], h: f64, w: &[Lane], out: &mut [Lane]) {
        self.compiled.increment(x, h, w, self.time, out, &mut self.scratch);
    }
    fn slope(&mut self, x: &[Lane], w: &[Lane], out: &mut [Lane]) {
        self.compiled.slope(x, w, self.time, out, &mut self.scratch);
    }
    fn timed(&self) -> bool {
        self.compiled.timed()
    }
    fn ahead(&mut self, time: f64) {
        self.time = self.begin + time;
    }
}

/// What the Langevin equation is made of, once a run.
#[derive(Clone)]
pub struct Force {
    /// The loss.
    pub model: Arc<dyn Model>,
    /// Its second derivatives, where the equation has any.
    pub curvature: Option<Arc<Curvature>>,
    /// λ.
    pub decay: f64,
    /// f.
    pub factor: f64,
    /// The drift −(∇U + (η/2)∇²U∇U) of order 2, U = L + ½λ‖θ‖².
    pub second_order: bool,
    /// The drift in Stratonovich's form.
    pub stratonovich: bool,
}

/// dθ = −(∇L + λθ)dt + √(ηf) Σ_k √ω_k (g_k − ∇L) dW_k, g_k the gradient of ℓ(θ; z_k): one Wiener process a node, and exactly the
/// covariance ηfC.
///
/// In Stratonovich's form the drift has −½Σ(∂b_k)b_k = −½ηf(Σ ω_k H_k g_k − H ∇L) = −¼ηf ∇Tr C beside it; of order 2,
/// −(η/2)(H + λ)(∇L + λθ).
pub struct LangevinEquation {
    force: Force,
    rate: f64,
    tiles: usize,
    roots: Vec<f64>,
    sum: Vec<Lane>,
    mean: Vec<Lane>,
    direction: Vec<Lane>,
    product: Vec<Lane>,
    scratch: Scratch,
    curved: Scratch,
}

impl LangevinEquation {
    /// For blocks of `tiles` vectors.
    pub fn new(force: Force, tiles: usize) -> Self {
        let p = force.model.layout().len();
        let vectors = |n: usize| vec![Lane::default(); n * tiles];
        let curved = if force.curvature.is_some() { p } else { 0 };
        Self {
            rate: 0.0,
            tiles,
            roots: force.model.population().nodes.weights.iter().map(|w| w.sqrt()).collect(),
            sum: vectors(1),
            mean: vectors(curved),
            direction: vectors(curved),
            product: vectors(curved),
            scratch: force.model.scratch(tiles),
            curved: force.curvature.as_ref().map_or_else(Scratch::default, |c| c.scratch(tiles)),
            force,
        }
    }

    /// λ.
    pub fn decay(&self) -> f64 {
        self.force.decay
    }

    /// Sets η.
    pub fn tune(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// What the drift has beside −(∇L + λθ), times h, added to `out`.
    fn curved(&mut self, theta: &[Lane], h: f64, out: &mut [Lane]) {
        let Some(curvature) = self.force.curvature.clone() else { return };
        let nodes = &self.force.model.population().nodes;
        let (eta, decay, factor) = (self.rate, self.force.decay, self.force.factor);
        let (half, spread) = (
            if self.force.second_order { 0.5 * eta } else { 0.0 },
            if self.force.stratonovich { 0.5 * eta * factor } else { 0.0 },
        );
        let mut all = NodeBatch::new(nodes, self.tiles);
        self.force.model.weighted_gradient(theta, &mut all, &mut self.mean, &mut self.scratch);
        // H meets (η/2)(∇L + λθ) and −½ηf ∇L at once.
        self.direction.fill(Lane::default());
        add_scaled(&mut self.direction, &self.mean, half - spread);
        add_scaled(&mut self.direction, theta, half * decay);
        let mut all = NodeBatch::new(nodes, self.tiles);
        curvature.product(theta, &self.direction, &mut all, &mut self.product, &mut self.curved);
        add_scaled(out, &self.product, -h);
        if half > 0.0 {
            add_scaled(out, &self.mean, -h * half * decay);
            add_scaled(out, theta, -h * half * decay * decay);
        }
        if spread > 0.0 {
            let mut all = NodeBatch::new(nodes, self.tiles);
            curvature.spread(theta, &mut all, &mut self.product, &mut self.curved);
            add_scaled(out, &self.product, -h * spread);
        }
    }
}

impl Equation for LangevinEquation {
    fn dimension(&self) -> usize {
        self.force.model.layout().len()
    }
    fn noises(&self) -> usize {
        self.roots.len()
    }
    fn increment(&mut self, theta: &[Lane], h: f64, w: &[Lane], out: &mut [Lane]) {
        let sigma = (self.rate * self.force.factor).sqrt();
        let nodes = &self.force.model.population().nodes;
        let mut batch = NoisyNodes::new(nodes, &self.roots, w, &mut self.sum, h, sigma);
        self.force.model.weighted_gradient(theta, &mut batch, out, &mut self.scratch);
        turn(out, theta, h * self.force.decay);
        if h != 0.0 {
            self.curved(theta, h, out);
        }
    }
    fn slope(&mut self, _: &[Lane], _: &[Lane], out: &mut [Lane]) {
        // Milstein's scheme is given additive noise alone.
        out.fill(Lane::default());
    }
}

vectorized! {
    /// out ← −(out + a θ).
    fn turn(out: &mut [Lane], theta: &[Lane], a: f64) {
        for (o, x) in flat_mut(out).iter_mut().zip(flat(theta)) {
            *o = -(*o + a * x);
        }
    }
}

/// What kind of noise a structure is, with `noises` processes.
pub fn kind(structure: crate::model::formula::NoiseStructure, noises: usize) -> NoiseKind {
    if structure.additive {
        NoiseKind::Additive
    } else if noises == 1 {
        NoiseKind::Scalar
    } else if structure.diagonal {
        NoiseKind::Diagonal
    } else if structure.commutative {
        NoiseKind::Commutative
    } else {
        NoiseKind::General
    }
}

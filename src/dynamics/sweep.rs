//! Gradients over all nodes of a population, and Gaussian noise with exactly the gradient covariance.
//!
//! With g_k = ∇ℓ(θ; z_k) and weights ω_k, Σω = 1: ∇L = Σ ω_k g_k and C = Σ ω_k (g_k − ∇L)(g_k − ∇L)ᵀ. For independent standard normal
//! ξ_k the sum Σ_k (√ω_k ξ_k − ω_k Σ_j √ω_j ξ_j) g_k = Σ_k √ω_k ξ_k (g_k − ∇L) has covariance C: a *sweep* takes drift and noise in one
//! weighted gradient, at one normal a node. Where parameters are few and nodes many, a *factor* is cheaper:
//! C(θ) is summed in each lane, factorised, and takes one normal a parameter.

use std::sync::Arc;

use crate::dynamics::draws::Block;
use crate::dynamics::kernels::{accumulate, add_scaled, factored_noise, noise_weights};
use crate::lanes::{Lane, Normals, Purpose};
use crate::model::{Batch, Model, Nodes, Scratch};

/// Most parameters whose covariance is factorised in every lane.
pub const FACTOR_LIMIT: usize = 3;

/// True if the noise of `parameters` parameters over `nodes` nodes is cheaper by a factor of C than by a sweep: a function
/// of the study alone, as it decides which random numbers are drawn. Costs are in vector operations.
pub fn factor_is_cheaper(parameters: usize, nodes: usize) -> bool {
    let sums = nodes * (parameters * (parameters + 3) / 2 + 2);
    let factor = 10 * (parameters * parameters * parameters + parameters);
    parameters <= FACTOR_LIMIT && sums + factor < 13 * nodes
}

/// All nodes with their weights: Σ a_k ∇ℓ is ∇L.
pub struct NodeSweep<'a> {
    nodes: &'a Nodes,
    tiles: usize,
    uniform: Option<f64>,
}

impl<'a> NodeSweep<'a> {
    /// The nodes for blocks of `tiles` vectors; `uniform` as [`common_weight`] finds it.
    pub fn new(nodes: &'a Nodes, uniform: Option<f64>, tiles: usize) -> Self {
        Self { nodes, tiles, uniform }
    }
}

/// The weight of every node, if it is the same.
pub fn common_weight(nodes: &Nodes) -> Option<f64> {
    let first = nodes.weights.first().copied();
    first.filter(|w| nodes.weights.iter().all(|x| x == w))
}

impl Batch for NodeSweep<'_> {
    fn len(&self) -> usize {
        self.nodes.len()
    }
    fn uniform_weight(&self) -> Option<f64> {
        self.uniform
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        self.nodes.fill_samples(self.tiles, first, count, samples);
        if self.uniform.is_none() {
            self.nodes.fill_weights(self.tiles, first, count, weights);
        }
    }
}

/// ∇L of a block, by all nodes.
pub struct FullGradient {
    model: Arc<dyn Model>,
    scratch: Scratch,
    uniform: Option<f64>,
    tiles: usize,
}

impl FullGradient {
    /// For blocks of `tiles` vectors.
    pub fn new(model: Arc<dyn Model>, tiles: usize) -> Self {
        let scratch = model.scratch(tiles);
        let uniform = common_weight(&model.population().nodes);
        Self { model, scratch, uniform, tiles }
    }
    /// Writes ∇L(θ), without decay.
    pub fn evaluate(&mut self, theta: &[Lane], gradient: &mut [Lane]) {
        let mut sweep = NodeSweep::new(&self.model.population().nodes, self.uniform, self.tiles);
        self.model.weighted_gradient(theta, &mut sweep, gradient, &mut self.scratch);
    }
}

/// ∇L + σ n with n ~ N(0, C(θ)), independent at every call.
pub struct GaussianGradient {
    model: Arc<dyn Model>,
    scratch: Scratch,
    tiles: usize,
    sigma: f64,
    normals: Normals,
    way: Way,
}

enum Way {
    Sweep { roots: Vec<f64>, xi: Vec<Lane>, sum: Vec<Lane> },
    Factor { mean: Vec<Lane>, covariance: Vec<Lane>, xi: Vec<Lane> },
}

impl GaussianGradient {
    /// Noise of `sigma`² C, by the way that [`factor_is_cheaper`] says.
    pub fn new(model: Arc<dyn Model>, sigma: f64, block: Block) -> Self {
        let factor = factor_is_cheaper(model.layout().len(), model.population().nodes.len());
        Self::by(model, sigma, block, factor)
    }

    /// As [`GaussianGradient::new`], by the factor or by the sweep.
    pub fn by(model: Arc<dyn Model>, sigma: f64, block: Block, factor: bool) -> Self {
        let tiles = block.tiles;
        let p = model.layout().len();
        let nodes = &model.population().nodes;
        let vectors = |n: usize| vec![Lane::default(); n * tiles];
        let (way, purpose) = if factor && p <= FACTOR_LIMIT {
            let way = Way::Factor { mean: vectors(p), covariance: vectors(p * (p + 1) / 2), xi: vectors(p) };
            (way, Purpose::Wiener)
        } else {
            let roots = nodes.weights.iter().map(|w| w.sqrt()).collect();
            (Way::Sweep { roots, xi: vectors(nodes.len()), sum: vectors(1) }, Purpose::Gradient)
        };
        let scratch = model.scratch(tiles);
        Self { scratch, tiles, sigma, normals: block.normals(purpose), way, model }
    }

    /// Vectors a tile that are kept or made anew at each step.
    pub fn footprint(model: &dyn Model) -> usize {
        let (p, n) = (model.layout().len(), model.population().nodes.len());
        if factor_is_cheaper(p, n) { p * (p + 5) / 2 } else { n }
    }

    /// Writes ∇L(θ) + σ n, without decay.
    pub fn evaluate(&mut self, theta: &[Lane], gradient: &mut [Lane]) {
        let nodes = &self.model.population().nodes;
        match &mut self.way {
            Way::Sweep { roots, xi, sum } => {
                self.normals.fill(xi);
                sum.fill(Lane::default());
                for (xi, &root) in xi.chunks_exact(self.tiles).zip(roots.iter()) {
                    add_scaled(sum, xi, root);
                }
                let mut sweep = NoiseSweep { nodes, roots, xi, sum, sigma: self.sigma, tiles: self.tiles };
                self.model.weighted_gradient(theta, &mut sweep, gradient, &mut self.scratch);
            }
            Way::Factor { mean, covariance, xi } => {
                mean.fill(Lane::default());
                covariance.fill(Lane::default());
                let mut total = 0.0;
                for node in 0..nodes.len() {
                    let mut single = SingleNode { nodes, node, tiles: self.tiles };
                    self.model.weighted_gradient(theta, &mut single, gradient, &mut self.scratch);
                    let weight = nodes.weights[node];
                    let before = total;
                    total += weight;
                    let forward = if total > 0.0 { weight / total } else { 0.0 };
                    accumulate(mean, covariance, gradient, self.tiles, forward, forward * before);
                }
                for row in xi.chunks_exact_mut(self.tiles) {
                    row.copy_from_slice(self.normals.row());
                }
                let tiles = self.tiles;
                match mean.len() / tiles {
                    1 => factored_noise::<1>(gradient, mean, covariance, xi, tiles, self.sigma),
                    2 => factored_noise::<2>(gradient, mean, covariance, xi, tiles, self.sigma),
                    _ => factored_noise::<FACTOR_LIMIT>(gradient, mean, covariance, xi, tiles, self.sigma),
                }
            }
        }
    }
}

/// All nodes with weights ω_k + σ(√ω_k ξ_k − ω_k Σ_j √ω_j ξ_j).
struct NoiseSweep<'a> {
    nodes: &'a Nodes,
    roots: &'a [f64],
    xi: &'a [Lane],
    sum: &'a [Lane],
    sigma: f64,
    tiles: usize,
}

impl Batch for NoiseSweep<'_> {
    fn len(&self) -> usize {
        self.nodes.len()
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        self.nodes.fill_samples(self.tiles, first, count, samples);
        let tiles = self.tiles;
        for (k, out) in (first..first + count).zip(weights.chunks_exact_mut(tiles)) {
            let xi = &self.xi[k * tiles..(k + 1) * tiles];
            noise_weights(out, xi, self.sum, self.nodes.weights[k], self.roots[k], self.sigma);
        }
    }
}

/// One node, weight 1.
struct SingleNode<'a> {
    nodes: &'a Nodes,
    node: usize,
    tiles: usize,
}

impl Batch for SingleNode<'_> {
    fn len(&self) -> usize {
        1
    }
    fn uniform_weight(&self) -> Option<f64> {
        Some(1.0)
    }
    fn fill(&mut self, _first: usize, _count: usize, samples: &mut [Lane], _weights: &mut [Lane]) {
        self.nodes.fill_samples(self.tiles, self.node, 1, samples);
    }
}

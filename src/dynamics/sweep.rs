//! Gradients over all nodes of a population, and Gaussian noise with exactly the gradient covariance.
//!
//! With g_k = ∇ℓ(θ; z_k) and weights ω_k, Σω = 1: ∇L = Σ ω_k g_k and C = Σ ω_k (g_k − ∇L)(g_k − ∇L)ᵀ. For independent standard normal
//! ξ_k the sum Σ_k (√ω_k ξ_k − ω_k Σ_j √ω_j ξ_j) g_k = Σ_k √ω_k ξ_k (g_k − ∇L) has covariance C: a *sweep* takes drift and noise in one
//! weighted gradient, at one normal a node. Where ∇L is a linear function of few *sums* Σ_k a_k φ_k, their covariance is factorised in
//! each lane and takes one normal a sum: as many as C has rank, or nearly. Where only parameters are few and nodes many, a *factor* of
//! C(θ) itself takes one normal a parameter.

use std::sync::Arc;

use crate::dynamics::draws::Block;
use crate::dynamics::kernels::{accumulate, add_scaled, factored_noise, moments, noise_weights, noisy_mean};
use crate::lanes::{Lane, Normals, Purpose};
use crate::model::{Batch, Model, Nodes, Scratch, SingleNode};

/// Most parameters, or sums, whose covariance is factorised in every lane.
pub const FACTOR_LIMIT: usize = 3;

/// Most nodes, times sums, whose values are kept to be summed twice.
const KEPT: usize = 64;

/// Most vectors of nodes that are written out once and for all.
const WRITTEN: usize = 1024;

/// How Gaussian noise with the gradient covariance is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One normal a node.
    Sweep,
    /// One normal a parameter, by a factor of C(θ).
    Factor,
    /// One normal a sum that ∇L is a function of.
    Sums,
}

impl Way {
    /// The cheapest for a model: a function of the study alone, as it decides which random numbers are drawn.
    pub fn of(model: &dyn Model) -> Self {
        let nodes = model.population().nodes.len();
        match model.sums() {
            Some(sums) if sums <= FACTOR_LIMIT && sums * nodes <= KEPT => Self::Sums,
            _ if factor_is_cheaper(model.layout().len(), nodes) => Self::Factor,
            _ => Self::Sweep,
        }
    }
}

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
    /// As [`written`] makes them.
    written: &'a [Lane],
}

impl<'a> NodeSweep<'a> {
    /// The nodes for blocks of `tiles` vectors; `uniform` as [`common_weight`] finds it.
    pub fn new(nodes: &'a Nodes, uniform: Option<f64>, tiles: usize) -> Self {
        Self { nodes, tiles, uniform, written: &[] }
    }
}

/// All nodes as [`Batch::fill`] writes them, if they are few; else empty.
fn written(nodes: &Nodes, tiles: usize) -> Vec<Lane> {
    let vectors = nodes.len() * nodes.width * tiles;
    let mut written = vec![Lane::default(); if vectors <= WRITTEN { vectors } else { 0 }];
    if !written.is_empty() {
        nodes.fill_samples(tiles, 0, nodes.len(), &mut written);
    }
    written
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
    fn lend(&mut self, first: usize, count: usize) -> Option<&[Lane]> {
        let row = self.nodes.width * self.tiles;
        self.uniform?;
        self.written.get(first * row..(first + count) * row)
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        self.nodes.fill_samples(self.tiles, first, count, samples);
        self.shared(first, count, weights);
    }
    fn shared(&mut self, first: usize, count: usize, weights: &mut [Lane]) -> Option<&[f64]> {
        if self.uniform.is_none() {
            self.nodes.fill_weights(self.tiles, first, count, weights);
        }
        Some(self.nodes.samples(first, count))
    }
    fn has_shared(&self) -> bool {
        true
    }
}

/// ∇L of a block, by all nodes.
pub struct FullGradient {
    model: Arc<dyn Model>,
    scratch: Scratch,
    uniform: Option<f64>,
    written: Vec<Lane>,
    tiles: usize,
}

impl FullGradient {
    /// For blocks of `tiles` vectors.
    pub fn new(model: Arc<dyn Model>, tiles: usize) -> Self {
        let scratch = model.scratch(tiles);
        let nodes = &model.population().nodes;
        let (uniform, written) = (common_weight(nodes), written(nodes, tiles));
        Self { model, scratch, uniform, written, tiles }
    }
    /// Writes ∇L(θ), without decay.
    pub fn evaluate(&mut self, theta: &[Lane], gradient: &mut [Lane]) {
        let nodes = &self.model.population().nodes;
        let mut sweep =
            NodeSweep { written: &self.written, ..NodeSweep::new(nodes, self.uniform, self.tiles) };
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
    memory: Memory,
}

enum Memory {
    Sums { written: Vec<Lane>, summands: Vec<Lane>, mean: Vec<Lane>, covariance: Vec<Lane>, xi: Vec<Lane> },
    Sweep { roots: Vec<f64>, xi: Vec<Lane>, sum: Vec<Lane> },
    Factor { mean: Vec<Lane>, covariance: Vec<Lane>, xi: Vec<Lane> },
}

impl GaussianGradient {
    /// Noise of `sigma`² C, by the way that is cheapest.
    pub fn new(model: Arc<dyn Model>, sigma: f64, block: Block) -> Self {
        let way = Way::of(&*model);
        Self::by(model, sigma, block, way)
    }

    /// As [`GaussianGradient::new`], by a way of the caller's; a way that the model cannot go is a sweep.
    pub fn by(model: Arc<dyn Model>, sigma: f64, block: Block, way: Way) -> Self {
        let tiles = block.tiles;
        let p = model.layout().len();
        let nodes = &model.population().nodes;
        let vectors = |n: usize| vec![Lane::default(); n * tiles];
        let (memory, purpose) = match (way, model.sums()) {
            (Way::Sums, Some(r)) if r <= FACTOR_LIMIT => {
                let memory = Memory::Sums {
                    written: written(nodes, tiles),
                    summands: vectors(r * nodes.len()),
                    mean: vectors(r),
                    covariance: vectors(r * (r + 1) / 2),
                    xi: vectors(r),
                };
                (memory, Purpose::Wiener)
            }
            (Way::Factor, _) if p <= FACTOR_LIMIT => {
                let memory =
                    Memory::Factor { mean: vectors(p), covariance: vectors(p * (p + 1) / 2), xi: vectors(p) };
                (memory, Purpose::Wiener)
            }
            _ => {
                let roots = nodes.weights.iter().map(|w| w.sqrt()).collect();
                (Memory::Sweep { roots, xi: vectors(nodes.len()), sum: vectors(1) }, Purpose::Gradient)
            }
        };
        let scratch = model.scratch(tiles);
        Self { scratch, tiles, sigma, normals: block.normals(purpose), memory, model }
    }

    /// The normals of a step, where a row for each sum is all the noise there is.
    pub fn normals(&mut self) -> &[Lane] {
        match &mut self.memory {
            Memory::Sums { xi, .. } if xi.len() > self.tiles => {
                self.normals.fill(xi);
                xi
            }
            _ => self.normals.row(),
        }
    }

    /// Vectors a tile that are kept or made anew at each step.
    pub fn footprint(model: &dyn Model) -> usize {
        let (p, n) = (model.layout().len(), model.population().nodes.len());
        match Way::of(model) {
            Way::Sums => model.sums().unwrap_or(0) * (2 * n + 4),
            Way::Factor => p * (p + 5) / 2,
            Way::Sweep => n,
        }
    }

    /// Writes ∇L(θ) + σ n, without decay.
    pub fn evaluate(&mut self, theta: &[Lane], gradient: &mut [Lane]) {
        let nodes = &self.model.population().nodes;
        let (tiles, sigma) = (self.tiles, self.sigma);
        match &mut self.memory {
            Memory::Sums { written, summands, mean, covariance, xi } => {
                let mut sweep = NodeSweep { written, ..NodeSweep::new(nodes, Some(1.0), tiles) };
                self.model.summands(theta, &mut sweep, summands, &mut self.scratch);
                if mean.len() == tiles {
                    noisy_mean(mean, summands, self.normals.row(), &nodes.weights, sigma);
                    return self.model.gradient_of_sums(theta, mean, gradient, &mut self.scratch);
                }
                moments(mean, covariance, summands, &nodes.weights, tiles);
                self.normals.fill(xi);
                // The noisy sums take the summands' place.
                let sums = &mut summands[..mean.len()];
                match mean.len() / tiles {
                    2 => factored_noise::<2>(sums, mean, covariance, xi, tiles, sigma),
                    _ => factored_noise::<FACTOR_LIMIT>(sums, mean, covariance, xi, tiles, sigma),
                }
                self.model.gradient_of_sums(theta, sums, gradient, &mut self.scratch);
            }
            Memory::Sweep { roots, xi, sum } => {
                self.normals.fill(xi);
                let mut sweep = NoisyNodes::new(nodes, roots, xi, sum, 1.0, sigma);
                self.model.weighted_gradient(theta, &mut sweep, gradient, &mut self.scratch);
            }
            Memory::Factor { mean, covariance, xi } => {
                mean.fill(Lane::default());
                covariance.fill(Lane::default());
                let mut total = 0.0;
                for node in 0..nodes.len() {
                    let mut single = SingleNode { nodes, node, tiles };
                    self.model.weighted_gradient(theta, &mut single, gradient, &mut self.scratch);
                    let weight = nodes.weights[node];
                    let before = total;
                    total += weight;
                    let forward = if total > 0.0 { weight / total } else { 0.0 };
                    accumulate(mean, covariance, gradient, tiles, forward, forward * before);
                }
                self.normals.fill(xi);
                match mean.len() / tiles {
                    1 => factored_noise::<1>(gradient, mean, covariance, xi, tiles, sigma),
                    2 => factored_noise::<2>(gradient, mean, covariance, xi, tiles, sigma),
                    _ => factored_noise::<FACTOR_LIMIT>(gradient, mean, covariance, xi, tiles, sigma),
                }
            }
        }
    }
}

/// All nodes with weights h ω_k + σ(√ω_k ξ_k − ω_k Σ_j √ω_j ξ_j), so that Σ a_k g_k = h ∇L + σ Σ √ω_k ξ_k (g_k − ∇L).
pub struct NoisyNodes<'a> {
    nodes: &'a Nodes,
    roots: &'a [f64],
    xi: &'a [Lane],
    sum: &'a [Lane],
    h: f64,
    sigma: f64,
    tiles: usize,
}

impl<'a> NoisyNodes<'a> {
    /// With ξ `[n][tiles]`, and `sum` `[tiles]` to work in.
    pub fn new(
        nodes: &'a Nodes,
        roots: &'a [f64],
        xi: &'a [Lane],
        sum: &'a mut [Lane],
        h: f64,
        sigma: f64,
    ) -> Self {
        let tiles = sum.len();
        sum.fill(Lane::default());
        for (xi, &root) in xi.chunks_exact(tiles).zip(roots) {
            add_scaled(sum, xi, root);
        }
        Self { nodes, roots, xi, sum, h, sigma, tiles }
    }
}

impl Batch for NoisyNodes<'_> {
    fn len(&self) -> usize {
        self.nodes.len()
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        self.nodes.fill_samples(self.tiles, first, count, samples);
        self.shared(first, count, weights);
    }
    fn shared(&mut self, first: usize, count: usize, weights: &mut [Lane]) -> Option<&[f64]> {
        let tiles = self.tiles;
        for (k, out) in (first..first + count).zip(weights.chunks_exact_mut(tiles)) {
            let (xi, weight) = (&self.xi[k * tiles..(k + 1) * tiles], self.nodes.weights[k]);
            noise_weights(out, xi, self.sum, self.h * weight, weight, self.roots[k], self.sigma);
        }
        Some(self.nodes.samples(first, count))
    }
    fn has_shared(&self) -> bool {
        true
    }
}

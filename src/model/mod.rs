//! What is simulated: formulas, populations, their gradients and moments.
//!
//! # Memory layout of a block
//! A block holds `tiles` vectors of eight replicas. Anything with `n` elements a replica is a slice
//! of `n * tiles` [`Lane`]s, element-major: element `e` of tile `t` is at `[e * tiles + t]`.
//! Anything with `k` samples of `n` elements is `[(k * n + e) * tiles + t]`.

pub mod critical;
pub mod formula;
pub mod layout;
pub mod population;
mod standard_law;
pub mod symmetry;

use crate::lanes::pass::{Recipe, Value};
use crate::lanes::rows::Step;
use crate::lanes::{Indices, Lane};
pub use layout::{Layout, Parameter, Shape};
pub use population::{LazyNodes, Nodes, Origin, Population, Rows, SingleNode, Variate};
pub use standard_law::StandardLaw;
use std::ops::Range;
pub use symmetry::Symmetry;

/// A mini-batch, a set of quadrature nodes or a whole table, given to a model chunk by chunk.
pub trait Batch {
    /// Number of samples.
    fn len(&self) -> usize;
    /// True where there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The weight of every sample for every replica, if they all have the same: then `fill` may leave the weights out.
    fn uniform_weight(&self) -> Option<f64> {
        None
    }
    /// Writes samples `first .. first + count`: `samples` is `[count][width][tiles]`, `weights`
    /// (one a sample and replica) is `[count][tiles]`.
    /// Called with growing `first`, each sample exactly once an evaluation.
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]);
    /// In place of [`Batch::fill`] where there is a uniform weight: the samples, if they lie somewhere as `fill` would write them.
    fn lend(&mut self, _first: usize, _count: usize) -> Option<&[Lane]> {
        None
    }
    /// In place of [`Batch::fill`], where all replicas have the same samples: these, `[count][width]`; weights go to `weights` as there.
    fn shared(&mut self, _first: usize, _count: usize, _weights: &mut [Lane]) -> Option<&[f64]> {
        None
    }
    /// True if [`Batch::shared`] has them.
    fn has_shared(&self) -> bool {
        false
    }
    /// In place of [`Batch::fill`], where the samples are rows of the model's population, another for every replica: the rows of the next
    /// `count` samples, `[count][tiles]`.
    fn rows(&mut self, _count: usize) -> Option<&[Indices]> {
        None
    }
    /// True if [`Batch::rows`] has them.
    fn has_rows(&self) -> bool {
        false
    }
}

/// Working memory of a model, made once a block and reused at every step.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Vectors, as many as [`Model::scratch`] asked for.
    pub lanes: Vec<Lane>,
    /// More of them, for a model that computes several things: each is filled when it is first used.
    pub parts: Vec<Vec<Lane>>,
}

/// What a gradient over rows of a table, or over samples that all replicas share, touches, in vectors a tile; the rows themselves pass by,
/// whatever the block.
#[derive(Clone, Copy, Debug)]
pub struct OverRows {
    /// In all, but for the rows themselves.
    pub working_set: usize,
    /// An operation, on average: of those that do not go over rows.
    pub run_length: usize,
}

/// A loss over a population: the one thing a law of motion needs to know of a system.
pub trait Model: Send + Sync {
    /// Names and shapes of the parameters.
    fn layout(&self) -> &Layout;
    /// The samples and their law.
    fn population(&self) -> &Population;
    /// Working memory for blocks of `tiles` vectors.
    fn scratch(&self, tiles: usize) -> Scratch;
    /// Vectors a tile that a gradient over `samples` samples of one weight touches; blocks are sized by it.
    fn working_set(&self, _samples: usize) -> usize {
        self.scratch(1).lanes.len()
    }
    /// Vectors a tile that an operation of such a gradient goes over, on average: short ones pay for wide blocks.
    fn run_length(&self, _samples: usize) -> usize {
        1
    }
    /// What a gradient over `samples` rows of the population, other ones for every replica, touches, if it takes them by [`Batch::rows`].
    fn over_rows(&self, _samples: usize) -> Option<OverRows> {
        None
    }
    /// Elements of θ that a gradient over `samples` rows meets as rows alone, and gives as sums over rows: these can be
    /// [kept as rows](Model::step_in_rows).
    fn in_rows(&self, _samples: usize) -> Option<Range<usize>> {
        None
    }
    /// What a gradient over `samples` samples that all replicas share touches.
    fn over_shared(&self, samples: usize) -> OverRows {
        OverRows { working_set: self.working_set(samples), run_length: self.run_length(samples) }
    }
    /// Σ_k a_k ∇ℓ(θ; z_k), written to `gradient` (`[parameters][tiles]`); θ has the same shape.
    fn weighted_gradient(
        &self,
        theta: &[Lane],
        batch: &mut dyn Batch,
        gradient: &mut [Lane],
        scratch: &mut Scratch,
    );
    /// The gradient's elements over `samples` samples of one weight, as values of a pass: the state is θ, the samples are
    /// `[samples][width]`. To the bit those of [`Model::weighted_gradient`] by [`Batch::fill`]; `None` where they have no such form.
    fn gradient_in_pass(&self, _recipe: &mut Recipe, _samples: usize) -> Option<Vec<Value>> {
        None
    }
    /// As [`Model::weighted_gradient`] but for a factor, which is returned and not multiplied: Σ_k a_k ∇ℓ(θ; z_k) = factor·gradient.
    fn gradient_to_scale(
        &self,
        theta: &[Lane],
        batch: &mut dyn Batch,
        gradient: &mut [Lane],
        scratch: &mut Scratch,
    ) -> f64 {
        self.weighted_gradient(theta, batch, gradient, scratch);
        1.0
    }
    /// As [`Model::gradient_to_scale`], for a batch that has [rows](Batch::rows), but for the elements [`Model::in_rows`]: these are rows, and step
    /// along their gradient instead; in lanes they are neither read nor written. Only where there are such for a batch of this length.
    fn step_in_rows(
        &self,
        theta: &[Lane],
        batch: &mut dyn Batch,
        gradient: &mut [Lane],
        _turned: &mut Step<'_>,
        scratch: &mut Scratch,
    ) -> f64 {
        self.gradient_to_scale(theta, batch, gradient, scratch)
    }
    /// r, where ∇L is a linear function A(θ) of few sums Σ_k a_k φ(θ; z_k), φ ∈ Rʳ: then C = A Cov(φ) Aᵀ has at most this rank.
    fn sums(&self) -> Option<usize> {
        None
    }
    /// φ of every sample, `[r][samples][tiles]`; only where [`Model::sums`] says r.
    fn summands(&self, _theta: &[Lane], _batch: &mut dyn Batch, _out: &mut [Lane], _scratch: &mut Scratch) {}
    /// A(θ)s for s = Σ_k a_k φ, `[r][tiles]`, written to `gradient`; only where [`Model::sums`] says r.
    fn gradient_of_sums(
        &self,
        _theta: &[Lane],
        _sums: &[Lane],
        _gradient: &mut [Lane],
        _scratch: &mut Scratch,
    ) {
    }
    /// φ of every node, `[r][nodes]`, as values of a pass; see [`Model::summands`].
    fn summands_in_pass(&self, _recipe: &mut Recipe) -> Option<Vec<Vec<Value>>> {
        None
    }
    /// A(θ)s as values of a pass; see [`Model::gradient_of_sums`].
    fn gradient_of_sums_in_pass(&self, _recipe: &mut Recipe, _sums: &[Value]) -> Option<Vec<Value>> {
        None
    }
    /// Σ_k a_k ℓ(θ; z_k), written to `loss` (`[tiles]`).
    fn weighted_loss(&self, theta: &[Lane], batch: &mut dyn Batch, loss: &mut [Lane], scratch: &mut Scratch);
}

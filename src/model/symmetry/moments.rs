//! Moments of the samples' gradients that a charge feels.

use std::sync::Arc;

use super::QuadraticForm;
use crate::lanes::{Lane, flat, flat_mut};
use crate::model::{Model, Scratch, SingleNode};

/// ⟨c(∇ℓ)⟩ and c(∇L) of a quadratic form c at given θ, over the population's nodes.
pub struct GradientMoments {
    model: Arc<dyn Model>,
    form: QuadraticForm,
    scratch: Scratch,
    gradient: Vec<Lane>,
    mean: Vec<Lane>,
    tiles: usize,
}

impl GradientMoments {
    /// For blocks of `tiles` vectors.
    pub fn new(model: Arc<dyn Model>, form: QuadraticForm, tiles: usize) -> Self {
        let vectors = || vec![Lane::default(); model.layout().len() * tiles];
        Self { scratch: model.scratch(tiles), gradient: vectors(), mean: vectors(), model, form, tiles }
    }

    /// The form.
    pub fn form(&self) -> &QuadraticForm {
        &self.form
    }

    /// Writes ⟨c(∇ℓ)⟩ to `second` and c(∇L) to `mean`, `[components][tiles]` each.
    pub fn evaluate(&mut self, theta: &[Lane], second: &mut [Lane], mean: &mut [Lane]) {
        let nodes = &self.model.population().nodes;
        self.mean.fill(Lane::default());
        second.fill(Lane::default());
        mean.fill(Lane::default());
        for (node, &weight) in nodes.weights.iter().enumerate() {
            let mut single = SingleNode { nodes, node, tiles: self.tiles };
            self.model.weighted_gradient(theta, &mut single, &mut self.gradient, &mut self.scratch);
            for (mean, g) in flat_mut(&mut self.mean).iter_mut().zip(flat(&self.gradient)) {
                *mean += weight * g;
            }
            self.form.add(&self.gradient, weight, second, self.tiles);
        }
        self.form.add(&self.mean, 1.0, mean, self.tiles);
    }
}

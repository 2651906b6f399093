//! Laws that step against a gradient: gradient-descent, sgd, gaussian-sgd, and Langevin by Euler–Maruyama.
//!
//! All are v' = βv − h(ĝ + λθ), θ' = θ + v'. Gradient descent has ĝ = ∇L; sgd a mini-batch's mean; gaussian-sgd ĝ = ∇L + √f n with
//! n ~ N(0, C). Euler–Maruyama of dθ = −(∇L + λθ)dt + √(η f C) dW with h = η/m is θ' = θ − h(∇L + λθ) + √(h η f) n, the same with
//! ĝ = ∇L + √(m f) n, m times an iteration.

use crate::dynamics::draws::Draws;
use crate::dynamics::kernels::{descend, heavy_ball};
use crate::dynamics::sweep::{FullGradient, GaussianGradient};
use crate::dynamics::{Clock, Schedule, Stepper};
use crate::lanes::Lane;
use crate::model::{Model, Scratch};
use std::sync::Arc;

/// Where ĝ comes from.
pub enum Source {
    /// ∇L.
    Full(FullGradient),
    /// A mini-batch's mean.
    Minibatch {
        /// The model.
        model: Arc<dyn Model>,
        /// Its working memory.
        scratch: Scratch,
        /// The batches.
        draws: Draws,
    },
    /// ∇L + σ n.
    Gaussian(GaussianGradient),
}

impl Source {
    fn evaluate(&mut self, theta: &[Lane], gradient: &mut [Lane]) {
        match self {
            Self::Full(full) => full.evaluate(theta, gradient),
            Self::Minibatch { model, scratch, draws } => {
                model.weighted_gradient(theta, draws.advance(), gradient, scratch);
            }
            Self::Gaussian(gaussian) => gaussian.evaluate(theta, gradient),
        }
    }
}

/// The stepper of these laws.
pub struct Descent {
    source: Source,
    rate: Schedule,
    substeps: u32,
    decay: f64,
    momentum: f64,
    gradient: Vec<Lane>,
    /// `[P][tiles]` where there is momentum, else empty.
    velocity: Vec<Lane>,
}

impl Descent {
    /// Steps of `rate`/`substeps` along `source`, for `len` vectors of θ.
    pub fn new(source: Source, rate: Schedule, substeps: u32, decay: f64, momentum: f64, len: usize) -> Self {
        let velocity = if momentum == 0.0 { Vec::new() } else { vec![Lane::default(); len] };
        Self { source, rate, substeps, decay, momentum, gradient: vec![Lane::default(); len], velocity }
    }

    /// One step: this is where θ, the applied gradient ĝ (its noise included), and θ' are at hand together.
    fn step(&mut self, theta: &mut [Lane], rate: f64) {
        self.source.evaluate(theta, &mut self.gradient);
        if self.velocity.is_empty() {
            descend(theta, &self.gradient, rate, self.decay);
        } else {
            heavy_ball(theta, &mut self.velocity, &self.gradient, rate, self.decay, self.momentum);
        }
    }
}

impl Stepper for Descent {
    fn velocity(&self) -> &[Lane] {
        &self.velocity
    }

    fn advance(
        &mut self,
        theta: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        for iteration in from.step..to.step {
            let rate = self.rate.at(iteration) / f64::from(self.substeps);
            for _ in 0..self.substeps {
                self.step(theta, rate);
            }
            if !pulse(1) {
                return false;
            }
        }
        true
    }
}

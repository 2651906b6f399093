//! SVAG: stochastic variance amplified gradient (Li, Malladi & Arora 2021, NeurIPS, §4), the way from SGD to its Langevin equation.

use std::sync::Arc;

use crate::dynamics::draws::Draws;
use crate::dynamics::settings::amplifying_weights;
use crate::lanes::{Lane, flat, flat_mut, vectorized};
use crate::model::{Model, Scratch};

/// Gradients ĝ_l = ½(1 + r)ĝ₁ + ½(1 − r)ĝ₂ of independent batches, r = √(2l − 1): l steps of η/l along them are an iteration. ĝ_l has the
/// covariance ½(1 + r²) f C = l f C, and l steps that of one step of SGD. For l = 1 the second batch has no weight and is not drawn.
pub struct AmplifiedGradient {
    model: Arc<dyn Model>,
    scratch: Scratch,
    draws: Draws,
    level: u32,
    second: Vec<Lane>,
}

impl AmplifiedGradient {
    /// For blocks of `tiles` vectors.
    pub fn new(model: Arc<dyn Model>, draws: Draws, level: u32, tiles: usize) -> Self {
        let len = model.layout().len() * tiles;
        let second = vec![Lane::default(); if level > 1 { len } else { 0 }];
        Self { scratch: model.scratch(tiles), model, draws, level, second }
    }

    /// Writes ĝ_l, without decay.
    pub fn evaluate(&mut self, theta: &[Lane], gradient: &mut [Lane]) {
        let Self { model, scratch, draws, level, second } = self;
        model.weighted_gradient(theta, draws.advance(), gradient, scratch);
        if *level > 1 {
            model.weighted_gradient(theta, draws.advance(), second, scratch);
            let (a, b) = amplifying_weights(*level);
            amplify(gradient, second, a, b);
        }
    }
}

vectorized! {
    /// first ← a first + b second.
    fn amplify(first: &mut [Lane], second: &[Lane], a: f64, b: f64) {
        for (x, y) in flat_mut(first).iter_mut().zip(flat(second)) {
            *x = a * *x + b * y;
        }
    }
}

//! `[sde]` by Euler–Maruyama.

use std::sync::Arc;

use crate::dynamics::kernels::{euler, scale};
use crate::dynamics::{Clock, Stepper};
use crate::lanes::{Lane, Normals};
use crate::model::Scratch;
use crate::model::formula::SdeModel;

/// The stepper of Euler–Maruyama with a fixed step.
pub struct EulerMaruyama {
    equation: Arc<SdeModel>,
    scratch: Scratch,
    step: f64,
    root: f64,
    normals: Normals,
    wiener: Vec<Lane>,
    /// Drift and noise increment, `[2P][tiles]`.
    moves: Vec<Lane>,
}

impl EulerMaruyama {
    /// Steps of `dt`.
    pub fn new(equation: Arc<SdeModel>, dt: f64, normals: Normals) -> Self {
        let tiles = normals.tiles();
        let vectors = |n: usize| vec![Lane::default(); n * tiles];
        let (wiener, moves) = (vectors(equation.noises()), vectors(2 * equation.layout().len()));
        Self { scratch: equation.scratch(tiles), equation, step: dt, root: dt.sqrt(), normals, wiener, moves }
    }
}

impl Stepper for EulerMaruyama {
    fn advance(
        &mut self,
        state: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        let tiles = self.normals.tiles();
        for _ in from.step..to.step {
            for row in self.wiener.chunks_exact_mut(tiles) {
                scale(row, self.normals.row(), self.root);
            }
            let Self { equation, wiener, moves, scratch, .. } = self;
            equation.drift_and_noise(state, wiener, moves, scratch);
            let (drift, increment) = moves.split_at(state.len());
            euler(state, drift, increment, self.step);
            if !pulse(1) {
                return false;
            }
        }
        true
    }
}

//! The Euler–Maruyama scheme, x' = x + a(x)h + B(x)ΔW: Itô; strong order ½ (1 for additive noise), weak order 1.
//! Source: Kloeden & Platen (1992), §10.2; with increments of two points §14.1.

use super::kernels::add_scaled;
use super::{Equation, Wiener};
use crate::lanes::Lane;

/// Its buffers.
pub struct EulerMaruyama {
    w: Vec<Lane>,
    step: Vec<Lane>,
}

impl EulerMaruyama {
    /// For P and M numbers of `tiles` vectors.
    pub fn new(dimension: usize, noises: usize, tiles: usize) -> Self {
        Self { w: vec![Lane::default(); noises * tiles], step: vec![Lane::default(); dimension * tiles] }
    }
    /// One step of length h.
    pub fn step(&mut self, equation: &mut dyn Equation, x: &mut [Lane], h: f64, wiener: &mut Wiener) {
        wiener.increments(&mut self.w, h);
        equation.ahead(0.0);
        equation.increment(x, h, &self.w, &mut self.step);
        add_scaled(x, &self.step, 1.0);
    }
}

//! Heun's scheme, y = x + F(x), x' = x + ½(F(x) + F(y)) with F(x) = a(x)h + B(x)ΔW: Stratonovich; strong order 1 where the noise
//! commutes (½ elsewhere), weak order 1. Source: Rümelin (1982), SIAM J. Numer. Anal. 19, 604; Kloeden & Platen (1992), §15.5.

use super::kernels::{add_scaled, combine};
use super::{Equation, Wiener};
use crate::lanes::Lane;

/// Its buffers.
pub struct Heun {
    w: Vec<Lane>,
    step: Vec<Lane>,
    guess: Vec<Lane>,
}

impl Heun {
    /// For P and M numbers of `tiles` vectors.
    pub fn new(dimension: usize, noises: usize, tiles: usize) -> Self {
        let state = vec![Lane::default(); dimension * tiles];
        Self { w: vec![Lane::default(); noises * tiles], step: state.clone(), guess: state }
    }
    /// One step of length h.
    pub fn step(&mut self, equation: &mut dyn Equation, x: &mut [Lane], h: f64, wiener: &mut Wiener) {
        let Self { w, step, guess } = self;
        wiener.increments(w, h);
        equation.ahead(0.0);
        equation.increment(x, h, w, step);
        combine(guess, x, step, 1.0);
        add_scaled(x, step, 0.5);
        equation.ahead(h);
        equation.increment(guess, h, w, step);
        add_scaled(x, step, 0.5);
    }
}

//! Milstein's scheme for noise that commutes, x' = x + a h + Bw + ½(∂(Bw))Bw with w = ΔW and a in Stratonovich's form (Itô's less
//! ½Σ_j(∂b_j)b_j, whose h is that of ΔW² − h): strong and weak order 1, also where a and B depend on the time: what the terms with ∂_t leave
//! out is of order h² or, with mean 0, h^(3/2). Source: Kloeden & Platen (1992), §10.3.

use super::kernels::add_scaled;
use super::{Equation, Wiener};
use crate::lanes::Lane;

/// Its buffers.
pub struct Milstein {
    w: Vec<Lane>,
    step: Vec<Lane>,
    slope: Vec<Lane>,
    additive: bool,
}

impl Milstein {
    /// For P and M numbers of `tiles` vectors; additive noise has no slope.
    pub fn new(dimension: usize, noises: usize, tiles: usize, additive: bool) -> Self {
        let state = vec![Lane::default(); dimension * tiles];
        Self { w: vec![Lane::default(); noises * tiles], step: state.clone(), slope: state, additive }
    }
    /// One step of length h.
    pub fn step(&mut self, equation: &mut dyn Equation, x: &mut [Lane], h: f64, wiener: &mut Wiener) {
        let Self { w, step, slope, additive } = self;
        wiener.increments(w, h);
        equation.ahead(0.0);
        equation.increment(x, h, w, step);
        if !*additive {
            equation.slope(x, w, slope);
            add_scaled(step, slope, 0.5);
        }
        add_scaled(x, step, 1.0);
    }
}

//! A descent whose θ and v are rows of replicas between instants, where the gradient meets them as rows alone.
//!
//! A step is the same for every number, wherever it lies: so it has the bits of the step in lanes, and nothing is turned but the state that
//! somebody looks at.

use std::ops::Range;

use crate::lanes::Lane;
use crate::lanes::rows::{self, Elements, Step};

/// Some elements of a block's state as rows, `[tile][lane][vector]`, padded with zeros.
pub struct InRows {
    /// Which of the vectors in lanes.
    lanes: Range<usize>,
    elements: Elements,
    theta: Vec<Lane>,
    /// Empty where there is no momentum.
    velocity: Vec<Lane>,
    sums: Vec<Lane>,
    begun: bool,
}

impl InRows {
    /// For these elements of θ in blocks of `tiles` vectors.
    pub fn new(elements: &Range<usize>, momentum: bool, tiles: usize) -> Self {
        let lanes = elements.start * tiles..elements.end * tiles;
        let elements = Elements { len: elements.len(), step: 1, tiles };
        let rows = |wanted: bool| vec![Lane::default(); if wanted { elements.turned_len() } else { 0 }];
        let (theta, velocity, sums) = (rows(true), rows(momentum), rows(true));
        Self { lanes, elements, theta, velocity, sums, begun: false }
    }

    /// Takes θ as it is at the start; later it is what [`InRows::leave`] left.
    pub fn begin(&mut self, theta: &[Lane]) {
        if !std::mem::replace(&mut self.begun, true) {
            rows::to_rows(&mut self.theta, &theta[self.lanes.clone()], &self.elements);
        }
    }

    /// Writes θ and v into lanes.
    pub fn leave(&self, theta: &mut [Lane], velocity: &mut [Lane]) {
        rows::to_lanes(&mut theta[self.lanes.clone()], &self.theta, &self.elements);
        if !self.velocity.is_empty() {
            rows::to_lanes(&mut velocity[self.lanes.clone()], &self.velocity, &self.elements);
        }
    }

    /// What steps along a gradient, but for its factor.
    pub fn step(&mut self, rate: f64, decay: f64, momentum: f64) -> Step<'_> {
        let Self { elements, theta, velocity, sums, .. } = self;
        Step { theta, velocity, sums, len: elements.len, rate, factor: 1.0, decay, momentum }
    }

    /// The vectors of `len` that are in lanes.
    pub fn others(&self, len: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        [0..self.lanes.start, self.lanes.end..len].into_iter().filter(|lanes| !lanes.is_empty())
    }
}

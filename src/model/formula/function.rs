//! A compiled formula over the state, or the population mean of one.

use super::program::{Inputs, Program};
use crate::lanes::Lane;
use crate::model::{Batch, LazyNodes, Nodes, Scratch, Shape};

/// A compiled formula over the state, or a population mean of one.
pub struct Function {
    program: Program,
    shape: Shape,
    nodes: LazyNodes,
}

impl Function {
    /// Of a program that writes one output.
    pub(super) fn new(program: Program, shape: Shape, nodes: LazyNodes) -> Self {
        Self { program, shape, nodes }
    }
    /// Shape of the value.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// Working memory for blocks of `tiles` vectors.
    pub fn scratch(&self, tiles: usize) -> Scratch {
        scratch_for(&[&self.program], tiles)
    }
    /// The value for a block: θ is `[P][tiles]`, `out` is `[elements][tiles]`.
    pub fn evaluate(&self, theta: &[Lane], out: &mut [Lane], scratch: &mut Scratch) {
        self.evaluate_with(theta, &[], out, scratch);
    }
    /// As [`Function::evaluate`], for a function of a second input as well, `[P][tiles]`: a velocity.
    pub fn evaluate_with(&self, theta: &[Lane], auxiliary: &[Lane], out: &mut [Lane], scratch: &mut Scratch) {
        let tiles = out.len() / self.shape.len();
        let inputs = Inputs { theta, auxiliary, tiles };
        if self.program.batched() {
            let mut batch = NodeBatch::new(&self.nodes, tiles);
            self.program.run_to(&inputs, &mut batch, &mut scratch.lanes, out);
        } else {
            // The nodes need not be made for it.
            self.program.run_to(&inputs, &mut NoSamples, &mut scratch.lanes, out);
        }
    }
    /// The value for one state.
    pub fn value(&self, theta: &[f64]) -> Vec<f64> {
        let theta = splat(theta);
        let mut out = vec![Lane::default(); self.shape.len()];
        self.evaluate(&theta, &mut out, &mut self.scratch(1));
        out.iter().map(|lane| lane.0[0]).collect()
    }
}

/// One state in every lane of one vector.
pub(super) fn splat(theta: &[f64]) -> Vec<Lane> {
    theta.iter().map(|&x| Lane::splat(x)).collect()
}

/// Scratch memory that holds several programs one behind the other.
pub(super) fn scratch_for(programs: &[&Program], tiles: usize) -> Scratch {
    let mut lanes = vec![Lane::default(); programs.iter().map(|p| p.scratch_len(tiles)).sum()];
    let mut at = 0;
    for program in programs {
        let len = program.scratch_len(tiles);
        program.prepare(&mut lanes[at..at + len], tiles);
        at += len;
    }
    Scratch { lanes, parts: vec![] }
}

/// The memory of program number `part` of several, made ready when it is first asked for.
pub(super) fn part<'a>(
    scratch: &'a mut Scratch,
    part: usize,
    program: &Program,
    tiles: usize,
) -> &'a mut [Lane] {
    if scratch.parts.len() <= part {
        scratch.parts.resize_with(part + 1, Vec::new);
    }
    let lanes = &mut scratch.parts[part];
    let needed = program.scratch_len(tiles);
    if lanes.len() != needed {
        *lanes = vec![Lane::default(); needed];
        program.prepare(lanes, tiles);
    }
    lanes
}

/// All nodes of a population with their weights ω, the same for every replica.
pub struct NodeBatch<'a> {
    nodes: &'a Nodes,
    tiles: usize,
}

impl<'a> NodeBatch<'a> {
    /// The nodes for blocks of `tiles` vectors.
    pub fn new(nodes: &'a Nodes, tiles: usize) -> Self {
        Self { nodes, tiles }
    }
}

impl Batch for NodeBatch<'_> {
    fn len(&self) -> usize {
        self.nodes.len()
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        self.nodes.fill_samples(self.tiles, first, count, samples);
        self.nodes.fill_weights(self.tiles, first, count, weights);
    }
    fn shared(&mut self, first: usize, count: usize, weights: &mut [Lane]) -> Option<&[f64]> {
        self.nodes.fill_weights(self.tiles, first, count, weights);
        Some(self.nodes.samples(first, count))
    }
    fn has_shared(&self) -> bool {
        true
    }
}

/// What a program without samples runs over.
pub(super) struct NoSamples;

impl Batch for NoSamples {
    fn len(&self) -> usize {
        0
    }
    fn fill(&mut self, _: usize, _: usize, _: &mut [Lane], _: &mut [Lane]) {}
}

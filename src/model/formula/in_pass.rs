//! Nodes of a graph as values of a pass: every element a value of its own, every sample of a batch written out.

use std::collections::HashMap;
use std::rc::Rc;

use super::graph::{Graph, Node, Op};
use super::operations::{Elements, MATRIX_PRODUCT, Operation as _};
use crate::lanes::pass::{Recipe, Rows, Value};
use crate::model::Nodes;

/// Most nodes of a graph that are looked at: what has more is too long for a pass in any case.
const MOST: usize = 512;

/// Where samples come from.
#[derive(Clone, Copy)]
pub enum Samples<'a> {
    /// There are none.
    None,
    /// So many rows of so many numbers, each replica its own.
    Rows {
        /// Samples.
        count: usize,
        /// Numbers a sample.
        width: usize,
    },
    /// Nodes, the same for every replica.
    Nodes(&'a Nodes),
}

/// A translation.
pub struct InPass<'a> {
    graph: &'a Graph,
    samples: Samples<'a>,
    /// The second input.
    auxiliary: &'a [Value],
    /// By node, and sample where it differs between them.
    known: HashMap<(Node, usize), Rc<[Value]>>,
}

impl<'a> InPass<'a> {
    /// Of nodes of a graph.
    pub fn new(graph: &'a Graph, samples: Samples<'a>, auxiliary: &'a [Value]) -> Self {
        Self { graph, samples, auxiliary, known: HashMap::new() }
    }

    /// True if all that `nodes` depend on may be short enough.
    pub fn short(&self, nodes: &[Node]) -> bool {
        self.graph.reachable(nodes).len() <= MOST
    }

    fn count(&self) -> usize {
        match self.samples {
            Samples::None => 0,
            Samples::Rows { count, .. } => count,
            Samples::Nodes(nodes) => nodes.len(),
        }
    }

    /// Fixes a node's value.
    pub fn replace(&mut self, node: Node, value: Value) {
        self.known.insert((node, 0), Rc::new([value]));
    }

    /// The elements of a node for one sample; `None` where it has no form in a pass, or becomes too long.
    pub fn value(&mut self, recipe: &mut Recipe, node: Node, sample: usize) -> Option<Rc<[Value]>> {
        let graph = self.graph;
        let entry = graph.entry(node);
        let key = (node, if entry.batched { sample } else { 0 });
        if let Some(values) = self.known.get(&key) {
            return Some(values.clone());
        }
        let elements = 0..entry.shape.len();
        let values: Rc<[Value]> = match &entry.op {
            Op::Constant(data) => data.iter().map(|&x| recipe.constant(x)).collect(),
            Op::Parameter(at) => elements.map(|e| recipe.row(Rows::State, at + e)).collect(),
            Op::Sample(at) => match self.samples {
                Samples::None => return None,
                Samples::Rows { width, .. } => {
                    elements.map(|e| recipe.row(Rows::Samples, sample * width + at + e)).collect()
                }
                Samples::Nodes(nodes) => {
                    let row = &nodes.values[sample * nodes.width..];
                    elements.map(|e| recipe.constant(row[at + e])).collect()
                }
            },
            Op::Weight => return None,
            Op::Auxiliary(at) => self.auxiliary.get(*at..at + entry.shape.len())?.into(),
            Op::BatchBroadcast => self.value(recipe, entry.args[0], sample)?,
            Op::BatchSum => self.sum(recipe, entry.args[0])?,
            Op::Call(operation, attribute) => {
                let args: Vec<Rc<[Value]>> =
                    entry.args.iter().map(|&a| self.value(recipe, a, sample)).collect::<Option<_>>()?;
                let elements: Vec<Elements<'_>> = args
                    .iter()
                    .zip(&entry.args)
                    .map(|(values, &a)| Elements { values, shape: graph.shape(a) })
                    .collect();
                operation.in_pass(*attribute, recipe, &elements, entry.shape)?.into()
            }
        };
        if recipe.too_long() {
            return None;
        }
        self.known.insert(key, values.clone());
        Some(values)
    }

    /// Sums over the samples, one after the other.
    fn sum(&mut self, recipe: &mut Recipe, summand: Node) -> Option<Rc<[Value]>> {
        let entry = self.graph.entry(summand);
        let product = matches!(entry.op, Op::Call(operation, _) if operation.name() == MATRIX_PRODUCT.name());
        if product && self.count() > 1 {
            // Its kernel adds the terms of its own sums to that over the samples one by one.
            return None;
        }
        let mut sums = self.value(recipe, summand, 0).filter(|_| self.count() > 0)?.to_vec();
        for sample in 1..self.count() {
            let values = self.value(recipe, summand, sample)?;
            for (sum, &value) in sums.iter_mut().zip(values.iter()) {
                *sum = recipe.add(*sum, value);
            }
        }
        Some(sums.into())
    }
}

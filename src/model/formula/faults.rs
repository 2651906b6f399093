//! Where a formula first ceases to be finite, in words: looked for after the fact, at one state.

use super::formula_model::FormulaModel;
use super::function::{NoSamples, NodeBatch, scratch_for};
use super::graph::{Graph, Node, Op};
use super::program::{Inputs, Program};
use super::sde::SdeModel;
use super::words::{Names, text};
use crate::lanes::Lane;
use crate::model::{Batch, Nodes};

/// Samples that are looked at.
const MOST_SAMPLES: usize = 512;

impl FormulaModel {
    /// The first operation of the loss and its gradient that is not finite at θ, of finite arguments.
    pub fn first_fault(&self, theta: &[f64]) -> Option<String> {
        let outputs: Vec<Node> =
            self.sample_gradients[..self.layout.parameters().len()].iter().map(|g| g.1).collect();
        let roots: Vec<Node> = std::iter::once(self.loss).chain(outputs).collect();
        let nodes = self.nodes();
        let few = nodes.len().min(MOST_SAMPLES);
        let some = Nodes {
            width: nodes.width,
            values: nodes.samples(0, few).to_vec(),
            weights: nodes.weights[..few].to_vec(),
            origin: nodes.origin.clone(),
        };
        let place = |node: Node| {
            if self.graph.reachable(&[self.loss]).contains(&node) {
                "the loss"
            } else {
                "the loss's gradient"
            }
        };
        let mut batch = NodeBatch::new(&some, 1);
        let found = first(&self.graph, &roots, (theta, &[]), &mut batch, some.width, self)?;
        Some(format!("{} in {}", found.1, place(found.0)))
    }
}

impl SdeModel {
    /// The first operation of drift and diffusion that is not finite at x, of finite arguments.
    pub fn first_fault(&self, x: &[f64]) -> Option<String> {
        let roots: Vec<Node> = self.drift.iter().chain(&self.increment).copied().collect();
        let wiener = vec![1.0; self.noises()];
        let found = first(&self.graph, &roots, (x, &wiener), &mut NoSamples, 0, &self.layout)?;
        let names = self.layout.parameters();
        let within = |roots: &[Node]| {
            let holds = |(_, root): &(_, &Node)| self.graph.reachable(&[**root]).contains(&found.0);
            names.iter().zip(roots).find(holds).map(|(parameter, _)| parameter.name.clone())
        };
        let place = match (within(&self.drift), within(&self.increment)) {
            (Some(name), _) => format!("the drift of `{name}`"),
            (_, Some(name)) => format!("the diffusion of `{name}`"),
            _ => "the equation".to_owned(),
        };
        Some(format!("{} in {place}", found.1))
    }
}

/// A number that is short, and as exact as a reader needs.
fn short(x: f64) -> String {
    if x == 0.0 || (1e-3..1e5).contains(&x.abs()) { format!("{x:.5}") } else { format!("{x:.4e}") }
}

/// The first node of those that `roots` need with a value that is not finite and arguments that are, and a sentence about it.
fn first(
    graph: &Graph,
    roots: &[Node],
    (theta, auxiliary): (&[f64], &[f64]),
    batch: &mut dyn Batch,
    width: usize,
    names: &dyn Names,
) -> Option<(Node, String)> {
    let all = graph.reachable(roots);
    let calls: Vec<Node> =
        all.iter().copied().filter(|&n| matches!(graph.entry(n).op, Op::Call(..))).collect();
    let lanes = |values: &[f64]| values.iter().map(|&x| Lane::splat(x)).collect::<Vec<_>>();
    let (theta, auxiliary) = (lanes(theta), lanes(auxiliary));
    let inputs = Inputs { theta: &theta, auxiliary: &auxiliary, tiles: 1 };
    // Calls and what they are made of.
    let mut outputs = calls.clone();
    for &call in &calls {
        outputs.extend(graph.entry(call).args.iter().filter(|a| !matches!(graph.entry(**a).op, Op::Weight)));
    }
    outputs.sort_unstable();
    outputs.dedup();
    let program = Program::new(graph, &outputs, width).ok()?;
    let mut scratch = scratch_for(&[&program], 1);
    let mut found: Option<(Node, String)> = None;
    let mut look = |registers: &[Lane], sample: usize| {
        if found.is_some() {
            return;
        }
        let value = |node: Node| -> Vec<f64> {
            let at = outputs.binary_search(&node).unwrap_or(0);
            program.output(at, &inputs, registers, sample).iter().map(|lane| lane.0[0]).collect()
        };
        for &call in &calls {
            let bad = value(call).iter().position(|x| !x.is_finite());
            let args = &graph.entry(call).args;
            let Some(element) = bad.filter(|_| args.iter().all(|&a| value(a).iter().all(|x| x.is_finite())))
            else {
                continue;
            };
            let of: Vec<String> = args
                .iter()
                .filter(|a| graph.constant_of(**a).is_none())
                .map(|&a| {
                    let values = value(a);
                    let x = if values.len() == 1 { values[0] } else { values[element % values.len()] };
                    format!("{} = {}", text(graph, a, names), short(x))
                })
                .collect();
            let became = if value(call)[element].is_nan() { "not a number" } else { "infinite" };
            found =
                Some((call, format!("`{}` became {became} at {}", text(graph, call, names), of.join(", "))));
            return;
        }
    };
    program.run(&inputs, batch, &mut scratch.lanes, |registers, _, count| {
        (0..count).for_each(|k| look(registers, k));
    });
    if batch.is_empty() {
        look(&scratch.lanes, 0);
    }
    found
}

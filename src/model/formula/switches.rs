//! A loss piece by piece: kinked operations replaced by their branches, which are chosen from outside.
//!
//! Each of `relu abs max min` (and `sign step > <` within a loss) has a *switch* s for every sample: the share of the branch that is taken where its
//! argument g is positive. With s fixed the loss is smooth, and goes on smoothly where g changes its sign; between 0 and 1 lie the convex combinations
//! of Filippov (Filippov 1988, Differential Equations with Discontinuous Righthand Sides, §4), for where a path stays on g = 0.

use std::collections::HashMap;

use super::formula_model::FormulaModel;
use super::function::scratch_for;
use super::gradient::gradient;
use super::graph::{Graph, Node, Op};
use super::operations::{ABS, LARGER, MAXIMUM, NOT_BELOW_ZERO, Operation, RELU, SIGN, STEP, element};
use super::program::{Inputs, Program};
use super::words;
use crate::lanes::Lane;
use crate::model::{Batch, Layout, LazyNodes, Nodes, Shape};

/// Compiled pieces of a [`FormulaModel`]'s loss.
pub struct Switches {
    layout: Layout,
    nodes: LazyNodes,
    kinks: Vec<Kink>,
    /// Switches that are the same for all samples, and those that each sample has of its own.
    shared: usize,
    own: usize,
    /// Σ_k a_k ∇ℓ, of θ, the shared switches as second input and rows with switches behind the data.
    gradient: Program,
    /// Of every kink g, then of every kink ġ = ∇g·v; the second input is the shared switches and v.
    arguments: Program,
}

/// One kinked operation.
struct Kink {
    /// Of its first element, among those of its kind.
    first: usize,
    shape: Shape,
    own: bool,
    /// The branch that counts where g is 0 and nothing moves it.
    resting: f64,
    /// As it stands in the formula.
    text: String,
}

/// Working memory for blocks of so many vectors.
pub struct Memory {
    tiles: usize,
    gradient: Vec<Lane>,
    arguments: Vec<Lane>,
    auxiliary: Vec<Lane>,
}

impl FormulaModel {
    /// The loss piece by piece; `None` where it has no kinks that parameters reach.
    ///
    /// # Errors
    /// A sentence, where the pieces cannot be had in one pass over the samples.
    pub fn switches(&self) -> Result<Option<Switches>, String> {
        let width = self.nodes().width;
        let mut graph = self.graph.clone();
        let mut pieces = Pieces::new(width, &self.layout, false);
        let loss = pieces.frozen(&mut graph, self.loss, &|node| words::text(&self.graph, node, self));
        if pieces.kinks.is_empty() {
            return Ok(None);
        }
        let (shared, own) = (pieces.shared, pieces.own);
        let parameters = super::formula_model::parameter_nodes(&mut graph, &self.layout);
        let weight = graph.weight();
        let loss = graph.batch_broadcast(loss);
        let slopes = gradient(&mut graph, loss, weight, &parameters);
        let gradient = Program::new(&graph, &slopes, width + own).map_err(|e| e.to_string())?;
        // The same with everything one a sample, so that ∂g/∂θ is.
        let mut graph = self.graph.clone();
        let mut lifted = Pieces::new(width, &self.layout, true);
        lifted.frozen(&mut graph, self.loss, &|_| String::new());
        let arguments = lifted.arguments(&mut graph, shared);
        let arguments = Program::new(&graph, &arguments, width + own).map_err(|e| e.to_string())?;
        Ok(Some(Switches {
            layout: self.layout.clone(),
            nodes: self.lazy_nodes().clone(),
            kinks: pieces.kinks,
            shared,
            own,
            gradient,
            arguments,
        }))
    }
}

/// What replaces kinks in a graph.
struct Pieces<'a> {
    width: usize,
    layout: &'a Layout,
    /// Parameters and shared switches are one a sample.
    lifted: bool,
    kinks: Vec<Kink>,
    /// g of each kink.
    arguments: Vec<Node>,
    known: HashMap<Node, Node>,
    shared: usize,
    own: usize,
}

impl<'a> Pieces<'a> {
    fn new(width: usize, layout: &'a Layout, lifted: bool) -> Self {
        Self {
            width,
            layout,
            lifted,
            kinks: Vec::new(),
            arguments: Vec::new(),
            known: HashMap::new(),
            shared: 0,
            own: 0,
        }
    }

    /// `root` with kinks replaced.
    fn frozen(&mut self, graph: &mut Graph, root: Node, text: &dyn Fn(Node) -> String) -> Node {
        let reachable = graph.reachable(&[root]);
        let mut replaced: HashMap<Node, Node> = HashMap::new();
        let mut moving: HashMap<Node, bool> = HashMap::new();
        for node in reachable {
            let entry = graph.entry(node).clone();
            let moves = matches!(entry.op, Op::Parameter(_)) || entry.args.iter().any(|a| moving[a]);
            moving.insert(node, moves);
            let args: Vec<Node> = entry.args.iter().map(|a| replaced[a]).collect();
            let new = match entry.op {
                Op::Parameter(_) if self.lifted => graph.batch_broadcast(node),
                Op::Call(operation, _) if moves && is_kinked(operation) => {
                    // Whether a switch is shared is a property of the loss, not of what was lifted.
                    let own = entry.args.iter().any(|&a| graph.batched(a));
                    let name = || text(node);
                    self.branch(graph, operation, &args, own, &name)
                }
                _ if args == entry.args => node,
                Op::Call(operation, attribute) => graph.apply(operation, attribute, &args),
                Op::BatchSum => graph.batch_sum(args[0]),
                Op::BatchBroadcast => graph.batch_broadcast(args[0]),
                _ => node,
            };
            replaced.insert(node, new);
        }
        replaced[&root]
    }

    fn branch(
        &mut self,
        graph: &mut Graph,
        operation: &dyn Operation,
        args: &[Node],
        own: bool,
        text: &dyn Fn() -> String,
    ) -> Node {
        let x = args[0];
        let name = operation.name();
        if name == MAXIMUM.name() {
            let mut largest = element(graph, x, 0);
            for e in 1..graph.shape(x).len() {
                let next = element(graph, x, e);
                let name = || format!("element {e} of {}", text());
                largest = self.larger(graph, next, largest, own, &name);
            }
            return largest;
        }
        if name == LARGER.name() {
            return self.larger(graph, x, args[1], own, text);
        }
        let resting = if name == RELU.name() || name == STEP.name() { 0.0 } else { 0.5 };
        let s = self.switch(graph, x, own, resting, text);
        if name == STEP.name() || name == NOT_BELOW_ZERO.name() {
            return s;
        }
        if name == RELU.name() {
            return graph.multiply(s, x);
        }
        let (twice, one) = (graph.scale(2.0, s), graph.number(1.0));
        let sign = graph.subtract(twice, one);
        if name == SIGN.name() { sign } else { graph.multiply(sign, x) }
    }

    /// s·a + (1 − s)·b.
    fn larger(&mut self, graph: &mut Graph, a: Node, b: Node, own: bool, text: &dyn Fn() -> String) -> Node {
        let difference = graph.subtract(a, b);
        let s = self.switch(graph, difference, own, 0.5, text);
        let one = graph.number(1.0);
        let rest = graph.subtract(one, s);
        let (a, b) = (graph.multiply(s, a), graph.multiply(rest, b));
        graph.add(a, b)
    }

    /// The switch of an argument g.
    fn switch(
        &mut self,
        graph: &mut Graph,
        g: Node,
        own: bool,
        resting: f64,
        text: &dyn Fn() -> String,
    ) -> Node {
        if let Some(&s) = self.known.get(&g) {
            return s;
        }
        let shape = graph.shape(g);
        let count = if own { &mut self.own } else { &mut self.shared };
        let first = *count;
        *count += shape.len();
        let s = if own { graph.sample(self.width + first, shape) } else { graph.auxiliary(first, shape) };
        let s = if self.lifted { graph.batch_broadcast(s) } else { s };
        self.kinks.push(Kink { first, shape, own, resting, text: text() });
        self.arguments.push(g);
        self.known.insert(g, s);
        s
    }

    /// g and ġ of all kinks; v stands behind the shared switches.
    fn arguments(&self, graph: &mut Graph, shared: usize) -> Vec<Node> {
        let parameters: Vec<Node> = super::formula_model::parameter_nodes(graph, self.layout)
            .into_iter()
            .map(|p| graph.batch_broadcast(p))
            .collect();
        let velocity: Vec<Node> = self
            .layout
            .parameters()
            .iter()
            .map(|p| {
                let v = graph.auxiliary(shared + p.offset, p.shape);
                graph.batch_broadcast(v)
            })
            .collect();
        // The gradient of ⟨u, g⟩ is linear in u, and its product with v has the wanted derivative along u.
        let mut free = shared + self.layout.len();
        let (mut total, mut seeds) = (graph.number(0.0), Vec::new());
        for &g in &self.arguments {
            let shape = graph.shape(g);
            let seed = graph.auxiliary(free, shape);
            let seed = graph.batch_broadcast(seed);
            free += shape.len();
            let part = graph.dot(g, seed);
            total = graph.add(total, part);
            seeds.push(seed);
        }
        let one = graph.number(1.0);
        let slopes = gradient(graph, total, one, &parameters);
        let mut product = graph.number(0.0);
        for (slope, v) in slopes.into_iter().zip(velocity) {
            let part = graph.dot(slope, v);
            product = graph.add(product, part);
        }
        let rates = gradient(graph, product, one, &seeds);
        self.arguments.iter().copied().chain(rates).collect()
    }
}

fn is_kinked(operation: &dyn Operation) -> bool {
    [RELU.name(), ABS.name(), SIGN.name(), STEP.name(), NOT_BELOW_ZERO.name(), LARGER.name(), MAXIMUM.name()]
        .contains(&operation.name())
}

/// All nodes of the population, with the switches of each behind its data.
struct SwitchedNodes<'a> {
    nodes: &'a Nodes,
    /// Of all samples, `[n][own][tiles]`.
    switches: &'a [Lane],
    own: usize,
    tiles: usize,
}

impl Batch for SwitchedNodes<'_> {
    fn len(&self) -> usize {
        self.nodes.len()
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        let (data, own) = (self.nodes.width * self.tiles, self.own * self.tiles);
        // Without data and with shared switches alone there is nothing in a row.
        for (k, row) in (first..first + count).zip(samples.chunks_exact_mut((data + own).max(1))) {
            self.nodes.fill_samples(self.tiles, k, 1, &mut row[..data]);
            row[data..].copy_from_slice(&self.switches[k * own..(k + 1) * own]);
        }
        self.nodes.fill_weights(self.tiles, first, count, weights);
    }
}

impl Switches {
    /// Switches a replica: the shared ones, then each sample's own.
    pub fn len(&self) -> usize {
        self.shared + self.own * self.nodes.len()
    }
    /// Never: a loss without kinks has no pieces.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Kinked operations of the formula.
    pub fn kinks(&self) -> usize {
        self.kinks.len()
    }
    /// Working memory for blocks of `tiles` vectors.
    pub fn memory(&self, tiles: usize) -> Memory {
        Memory {
            tiles,
            gradient: scratch_for(&[&self.gradient], tiles).lanes,
            arguments: scratch_for(&[&self.arguments], tiles).lanes,
            auxiliary: vec![Lane::default(); (self.shared + self.layout.len()) * tiles],
        }
    }
    /// Vectors a tile of that memory.
    pub fn footprint(&self) -> usize {
        self.gradient.scratch_len(1) + self.arguments.scratch_len(1)
    }

    /// Σ ω_k ∇ℓ(θ; z_k) with the given switches, `[switches][tiles]`.
    pub fn gradient(&self, theta: &[Lane], switches: &[Lane], out: &mut [Lane], memory: &mut Memory) {
        let tiles = memory.tiles;
        let (shared, own) = switches.split_at(self.shared * tiles);
        let mut batch = SwitchedNodes { nodes: &self.nodes, switches: own, own: self.own, tiles };
        let inputs = Inputs { theta, auxiliary: shared, tiles };
        self.gradient.run(&inputs, &mut batch, &mut memory.gradient, |_, _, _| {});
        for (index, parameter) in self.layout.parameters().iter().enumerate() {
            let range = parameter.offset * tiles..(parameter.offset + parameter.shape.len()) * tiles;
            out[range].copy_from_slice(self.gradient.output(index, &inputs, &memory.gradient, 0));
        }
    }

    /// g of every switch, and ġ = ∇g·v along the velocity v.
    pub fn arguments(
        &self,
        theta: &[Lane],
        velocity: &[Lane],
        switches: &[Lane],
        values: &mut [Lane],
        rates: &mut [Lane],
        memory: &mut Memory,
    ) {
        let tiles = memory.tiles;
        let (shared, own) = switches.split_at(self.shared * tiles);
        let mut batch = SwitchedNodes { nodes: &self.nodes, switches: own, own: self.own, tiles };
        memory.auxiliary[..shared.len()].copy_from_slice(shared);
        memory.auxiliary[shared.len()..].copy_from_slice(velocity);
        let inputs = Inputs { theta, auxiliary: &memory.auxiliary, tiles };
        let kinks = self.kinks.len();
        let mut show = |registers: &[Lane], first: usize, count: usize| {
            for (index, kink) in self.kinks.iter().enumerate() {
                let size = kink.shape.len() * tiles;
                for k in 0..count {
                    let at = if kink.own {
                        (self.shared + (first + k) * self.own + kink.first) * tiles
                    } else if first + k == 0 {
                        kink.first * tiles
                    } else {
                        continue;
                    };
                    values[at..at + size]
                        .copy_from_slice(self.arguments.output(index, &inputs, registers, k));
                    rates[at..at + size].copy_from_slice(self.arguments.output(
                        kinks + index,
                        &inputs,
                        registers,
                        k,
                    ));
                }
            }
        };
        self.arguments.run(&inputs, &mut batch, &mut memory.arguments, &mut show);
    }

    /// The branch of a switch where its argument is 0 and nothing moves it.
    pub fn resting(&self, switch: usize) -> f64 {
        self.find(switch).0.resting
    }

    /// What a switch belongs to, in words.
    pub fn name(&self, switch: usize) -> String {
        let (kink, element, sample) = self.find(switch);
        let mut name = format!("`{}`", kink.text);
        if kink.shape.len() > 1 {
            name.push_str(&format!(", element {element}"));
        }
        if let Some(sample) = sample.filter(|_| self.nodes.len() > 1) {
            name.push_str(&format!(", sample {sample}"));
        }
        name
    }

    /// The kink of a switch, the element of it, and the sample.
    fn find(&self, switch: usize) -> (&Kink, usize, Option<usize>) {
        let (own, at, sample) = match switch.checked_sub(self.shared) {
            None => (false, switch, None),
            Some(rest) => (true, rest % self.own, Some(rest / self.own)),
        };
        let holds =
            |kink: &&Kink| kink.own == own && (kink.first..kink.first + kink.shape.len()).contains(&at);
        let kink = self.kinks.iter().find(holds).unwrap_or(&self.kinks[0]);
        (kink, at - kink.first, sample)
    }
}

//! From a graph to a program: what is computed when, where it is kept, and what is computed in one.

use std::collections::HashMap;

use super::registers::{Registers, Step};
use super::{CompileError, Instruction, Location, Program, Sharing, Source, Target};
use crate::model::formula::gathered::{Gathering, Use};
use crate::model::formula::graph::{Graph, Node, Op};
use crate::model::formula::operations::{
    ADD, AFFINE, AFFINE_PRODUCT, Argument, Attribute, IDENTITY, MULTIPLY, Operation, SUBTRACT, Straight,
};

/// Numbers a body's batched registers should hold at most, all samples of a chunk together.
const CHUNK_ELEMENTS: usize = 768;
/// Most samples in a chunk.
const CHUNK_LIMIT: usize = 16;
/// Rows and columns of the blocks of matrix products.
const ROWS: usize = 4;

/// When a node can be computed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Prologue,
    Body,
    Epilogue,
}

pub(super) struct Compiler<'g> {
    graph: &'g Graph,
    order: Vec<Node>,
    stage: Vec<Stage>,
    /// Uses of each node, outputs included.
    uses: Vec<usize>,
    location: Vec<Option<Location>>,
    /// Nodes that are computed inside the one node that uses them.
    absorbed: Vec<bool>,
    /// Nodes that are written to the caller's memory, and where.
    written: Vec<Option<usize>>,
    /// Nodes that can use columns of a table's rows where they lie.
    gathered: HashMap<Node, Use>,
    /// Of nodes that differ between samples; behind `first`, as many as samples of a chunk.
    registers: Registers,
    first: usize,
    program: Program,
}

/// (y + shift)·factor, or with a product in place of y, computed in one pass.
struct Chain {
    operands: Vec<Node>,
    shift: f64,
    factor: f64,
    /// Nodes in between.
    inner: Vec<Node>,
}

impl<'g> Compiler<'g> {
    pub(super) fn new(graph: &'g Graph, outputs: &[Node], width: usize) -> Result<Self, CompileError> {
        let order = graph.reachable(outputs);
        let mut stage = vec![Stage::Prologue; graph.len()];
        let mut uses = vec![0; graph.len()];
        for &node in &order {
            let entry = graph.entry(node);
            let latest = entry.args.iter().map(|a| stage[a.index()]).max().unwrap_or(Stage::Prologue);
            stage[node.index()] = match (&entry.op, entry.batched, latest) {
                (_, true, Stage::Epilogue) => return Err(CompileError::SecondPass),
                (_, true, _) => Stage::Body,
                (Op::BatchSum, _, _) => Stage::Epilogue,
                (_, false, latest) => latest,
            };
            entry.args.iter().for_each(|a| uses[a.index()] += 1);
        }
        for output in outputs {
            uses[output.index()] += 1;
        }
        let program = Program {
            constants: vec![],
            prologue: vec![],
            body: vec![],
            epilogue: vec![],
            outputs: vec![],
            elements: 0,
            capacity: 1,
            chunk: 1,
            gathering: Gathering::default(),
            sharing: None,
            turned: None,
            width,
            differing: 0,
            samples: 0,
            weights: 0,
            batched: order.iter().any(|&n| graph.batched(n)),
        };
        Ok(Self {
            graph,
            order,
            stage,
            uses,
            location: vec![None; graph.len()],
            absorbed: vec![false; graph.len()],
            written: vec![None; graph.len()],
            gathered: HashMap::new(),
            registers: Registers::default(),
            first: 0,
            program,
        })
    }

    /// A sum over the batch, which the body adds to.
    fn summed(&self, node: Node) -> bool {
        matches!(self.graph.entry(node).op, Op::BatchSum)
    }

    /// A batched node that is computed only inside the sum that uses it.
    fn fused(&self, node: Node) -> bool {
        match self.graph.entry(node).op {
            Op::Call(operation, _) => operation.accumulates() && self.uses[node.index()] == 1,
            _ => false,
        }
    }

    /// The arguments of a node, if it is that operation.
    fn arguments(&self, node: Node, operation: &dyn Operation) -> Option<[Node; 2]> {
        match (&self.graph.entry(node).op, self.graph.entry(node).args.as_slice()) {
            (Op::Call(own, _), &[a, b]) if own.name() == operation.name() => Some([a, b]),
            _ => None,
        }
    }

    fn number(&self, node: Node) -> Option<f64> {
        match self.graph.constant_of(node) {
            Some(&[value]) => Some(value),
            _ => None,
        }
    }

    /// `node` is c ∘ y with a number c: (c, y).
    fn with_number(&self, [a, b]: [Node; 2]) -> Option<(f64, Node)> {
        self.number(a).map(|c| (c, b)).or_else(|| self.number(b).map(|c| (c, a)))
    }

    /// y + shift, if the node is that: also y − d, which is y + (−d) to the bit.
    fn shifted(&self, node: Node) -> Option<(f64, Node)> {
        if let Some(args) = self.arguments(node, &ADD) {
            return self.with_number(args);
        }
        let [y, d] = self.arguments(node, &SUBTRACT)?;
        self.number(d).map(|d| (-d, y))
    }

    /// True if `inner` can be computed inside `outer`, which alone uses it.
    fn inside(&self, inner: Node, outer: Node) -> bool {
        let (a, b) = (self.graph.entry(inner), self.graph.entry(outer));
        self.uses[inner.index()] == 1 && a.shape == b.shape && a.batched == b.batched
    }

    /// The chain that ends in `node`, if at least two operations can be one.
    fn chain(&self, node: Node) -> Option<Chain> {
        let mut inner = Vec::new();
        let scaled = self.arguments(node, &MULTIPLY).and_then(|args| self.with_number(args));
        let (shift, factor, y) = match scaled {
            Some((factor, sum)) => {
                let (shift, y) = self.shifted(sum).filter(|_| self.inside(sum, node))?;
                inner.push(sum);
                (shift, factor, y)
            }
            None => self.shifted(node).map(|(shift, y)| (shift, 1.0, y))?,
        };
        let product = self.arguments(y, &MULTIPLY).filter(|args| self.with_number(*args).is_none());
        match product.filter(|_| self.inside(y, node)) {
            Some(operands) => {
                inner.push(y);
                Some(Chain { operands: operands.to_vec(), shift, factor, inner })
            }
            None if inner.is_empty() || self.graph.shape(y) != self.graph.shape(node) => None,
            None => Some(Chain { operands: vec![y], shift, factor, inner }),
        }
    }

    pub(super) fn finish(mut self, outputs: &[Node], writing: bool) -> Program {
        let mut results = Vec::new();
        if writing {
            let mut at = 0;
            for &output in outputs {
                let entry = self.graph.entry(output);
                let computed = matches!(entry.op, Op::Call(..) | Op::BatchSum | Op::BatchBroadcast);
                debug_assert!(!entry.batched || outputs.len() == 1, "samples of one output only");
                if computed && self.uses[output.index()] == 1 {
                    self.written[output.index()] = Some(at);
                } else {
                    results.push((output, at));
                }
                at += entry.shape.len();
            }
        }
        let order = std::mem::take(&mut self.order);
        let into_sums: Vec<Node> = order
            .iter()
            .filter(|&&n| self.summed(n))
            .map(|&n| self.graph.entry(n).args[0])
            .filter(|&a| self.fused(a))
            .collect();
        // From the outermost operation inwards, so that the longest chains are found.
        for &node in order.iter().rev() {
            if !self.absorbed[node.index()]
                && !into_sums.contains(&node)
                && let Some(chain) = self.chain(node)
            {
                chain.inner.iter().for_each(|n| self.absorbed[n.index()] = true);
            }
        }
        self.registers = self.registers_of(&order, outputs, &into_sums);
        let samples: usize = order
            .iter()
            .filter(|&&n| matches!(self.graph.entry(n).op, Op::Sample(_) | Op::Weight))
            .map(|&n| self.graph.shape(n).len())
            .sum();
        let per_sample = samples + self.registers.len();
        self.program.chunk = self.capacity(&order, per_sample.max(1));
        if writing {
            (self.program.gathering, self.gathered) = Gathering::new(self.graph, &order, outputs, &into_sums);
        }
        let turned = per_sample - self.program.gathering.width();
        self.program.capacity = self.capacity(&order, turned.max(1)).max(self.program.chunk);
        if let Some((vectors, numbers)) = self.shared(&order, outputs, &into_sums) {
            let chunk = self.capacity(&order, (per_sample - numbers).max(1));
            self.program.capacity = self.program.capacity.max(chunk);
            self.program.sharing = Some(Sharing { vectors, numbers, chunk });
        }
        self.leaves(&order);
        for stage in [Stage::Prologue, Stage::Body] {
            for &node in &order {
                let skipped = into_sums.contains(&node) || self.absorbed[node.index()];
                if stage == Stage::Body && self.summed(node) {
                    self.accumulation(node, &into_sums);
                } else if self.stage[node.index()] == stage && !skipped {
                    self.instruction(node);
                }
            }
        }
        for &node in &order {
            if self.stage[node.index()] == Stage::Epilogue
                && !self.summed(node)
                && !self.absorbed[node.index()]
            {
                self.instruction(node);
            }
        }
        for (output, at) in results {
            let args = vec![self.get(output)];
            let (shape, batched) = (self.graph.shape(output), self.graph.batched(output));
            let copy = Instruction {
                operation: &IDENTITY,
                attribute: Attribute::NONE,
                straight: self.straight(&IDENTITY, Attribute::NONE, &args, shape.len(), batched),
                args,
                out: Target::Result(at),
                shape,
                batched,
                accumulate: false,
                gathered: None,
            };
            if batched { &mut self.program.body } else { &mut self.program.epilogue }.push(copy);
        }
        if !writing {
            for &output in outputs {
                let location = self.get(output);
                self.program.outputs.push(location);
            }
        }
        self.program.turned = self.program.rows_alone();
        self.program
    }

    /// Columns of samples that must be vectors where all replicas have the same samples, and how many numbers need not; `None` where
    /// all must.
    fn shared(
        &self,
        order: &[Node],
        outputs: &[Node],
        into_sums: &[Node],
    ) -> Option<(Vec<(usize, usize)>, usize)> {
        let as_numbers = |user: Node, sample: Node| {
            let Op::Call(operation, attribute) = self.graph.entry(user).op else { return false };
            let args = &self.graph.entry(user).args;
            let taken = self.taken_as_numbers(operation, attribute, args, into_sums.contains(&user));
            let once = args.iter().filter(|&&a| a == sample).count() == 1;
            once && taken.is_some_and(|which| args[which] == sample)
        };
        let samples = order.iter().filter_map(|&n| match self.graph.entry(n).op {
            Op::Sample(offset) => Some((n, offset, self.graph.shape(n).len())),
            _ => None,
        });
        let (mut vectors, mut numbers) = (Vec::new(), 0);
        for (sample, offset, len) in samples {
            let mut users = order.iter().filter(|&&n| self.graph.entry(n).args.contains(&sample));
            if outputs.contains(&sample) || !users.all(|&user| as_numbers(user, sample)) {
                vectors.push((offset, len));
            } else {
                numbers += len;
            }
        }
        (numbers > 0).then_some((vectors, numbers))
    }

    /// Where the value of a node goes; to be read by others from then on.
    fn target(&mut self, node: Node, samples: usize, stride: usize) -> Target {
        if let Some(at) = self.written[node.index()] {
            return Target::Result(at);
        }
        let shape = self.graph.shape(node);
        let at = match self.registers.place(node) {
            Some(place) => self.first + place * samples,
            None => self.allocate(samples * shape.len()),
        };
        self.location[node.index()] =
            Some(Location { source: Source::Register(at), shape, stride, immediate: None, numbers: false });
        Target::Register(at)
    }

    fn straight(
        &self,
        operation: &'static dyn Operation,
        attribute: Attribute,
        args: &[Location],
        len: usize,
        batched: bool,
    ) -> Option<(Straight, bool)> {
        let immediates: Vec<Option<f64>> = args.iter().map(|a| a.immediate).collect();
        let straight = operation.straight(attribute, &immediates)?;
        let apart = if batched { len } else { 0 };
        let alike = |arg: &Location| arg.stride == apart || self.program.capacity == 1;
        let in_one = straight.operands().all(|which| alike(&args[which]));
        straight.operands().all(|which| args[which].shape.len() == len).then_some((straight, in_one))
    }

    /// Samples in a chunk of so many numbers each: few enough for the cache, and many enough to make use of what all of them share
    /// (matrices above all) while it is there; whole rows of the register blocks where possible.
    fn capacity(&self, order: &[Node], per_sample: usize) -> usize {
        let read = |node: Node| self.graph.entry(node).args.iter().any(|&a| !self.graph.batched(a));
        let shared: usize = order
            .iter()
            .filter(|&&n| self.graph.batched(n) && read(n))
            .flat_map(|&n| self.graph.entry(n).args.iter())
            .filter(|&&a| !self.graph.batched(a))
            .map(|&a| self.graph.shape(a).len())
            .sum();
        let fit = (CHUNK_ELEMENTS.max(2 * shared) / per_sample).clamp(1, CHUNK_LIMIT);
        match fit {
            0..ROWS if ROWS * per_sample <= 2 * CHUNK_ELEMENTS => ROWS,
            0..ROWS => fit,
            _ => fit - fit % ROWS,
        }
    }

    fn allocate(&mut self, elements: usize) -> usize {
        let at = self.program.elements;
        self.program.elements += elements;
        at
    }

    /// Places constants, samples and weights.
    fn leaves(&mut self, order: &[Node]) {
        for &node in order {
            if let Op::Constant(data) = &self.graph.entry(node).op {
                let at = self.allocate(data.len());
                self.program.constants.push((at, data.to_vec()));
                let immediate = (data.len() == 1).then(|| data[0]);
                let shape = self.graph.shape(node);
                self.location[node.index()] = Some(Location {
                    source: Source::Register(at),
                    shape,
                    stride: 0,
                    immediate,
                    numbers: false,
                });
            }
        }
        if !self.program.batched {
            return;
        }
        let (capacity, width) = (self.program.capacity, self.program.width);
        self.program.samples = self.allocate(capacity * width);
        self.program.weights = self.allocate(capacity);
        self.first = self.allocate(capacity * self.registers.len());
        self.program.differing = width + 1 + self.registers.len();
    }

    /// What a node does with gathered columns, and room for the rows of its matrix.
    fn gathered(&mut self, node: Node) -> Option<Use> {
        let usage = *self.gathered.get(&node)?;
        Some(Use { turned: self.allocate(usage.elements.turned_len()), ..usage })
    }

    fn get(&self, node: Node) -> Location {
        let entry = self.graph.entry(node);
        let place =
            |source, stride| Location { source, shape: entry.shape, stride, immediate: None, numbers: false };
        match entry.op {
            Op::Parameter(at) => place(Source::Theta(at), 0),
            Op::Auxiliary(at) => place(Source::Auxiliary(at), 0),
            Op::Sample(at) => place(Source::Sample(at), self.program.width),
            Op::Weight => place(Source::Register(self.program.weights), 1),
            _ => self.location[node.index()]
                .unwrap_or_else(|| unreachable!("arguments are compiled before their uses")),
        }
    }

    /// Where the arguments of an operation are, in sums over samples if `summed`.
    fn arguments_of(
        &self,
        operation: &dyn Operation,
        attribute: Attribute,
        nodes: &[Node],
        summed: bool,
    ) -> Vec<Location> {
        let mut args: Vec<Location> = nodes.iter().map(|&a| self.get(a)).collect();
        if self.program.sharing.is_some()
            && let Some(which) = self.taken_as_numbers(operation, attribute, nodes, summed)
        {
            args[which].numbers = true;
        }
        args
    }

    /// Which argument is columns of a sample that the operation can take as numbers.
    fn taken_as_numbers(
        &self,
        operation: &dyn Operation,
        attribute: Attribute,
        nodes: &[Node],
        summed: bool,
    ) -> Option<usize> {
        let known = |&a: &Node| Argument { shape: self.graph.shape(a), batched: self.graph.batched(a) };
        let args: Vec<Argument> = nodes.iter().map(known).collect();
        let sample = |which: &usize| matches!(self.graph.entry(nodes[*which]).op, Op::Sample(_));
        (0..nodes.len())
            .filter(sample)
            .find(|&which| operation.takes_numbers(attribute, which, &args, summed))
    }

    /// The operation that computes a node, and its operands; `None` for leaves and sums.
    fn computed(&self, node: Node) -> Option<(&'static dyn Operation, Attribute, Vec<Node>)> {
        if let Some(Chain { operands, shift, factor, .. }) = self.chain(node) {
            let operation: &'static dyn Operation =
                if operands.len() == 2 { &AFFINE_PRODUCT } else { &AFFINE };
            return Some((operation, Attribute::reals(shift, factor), operands));
        }
        let entry = self.graph.entry(node);
        match entry.op {
            Op::Call(operation, attribute) => Some((operation, attribute, entry.args.clone())),
            Op::BatchBroadcast => Some((&IDENTITY, Attribute::NONE, entry.args.clone())),
            _ => None,
        }
    }

    /// The operation whose values a sum over the batch adds up, and its operands.
    fn added(&self, sum: Node, into_sums: &[Node]) -> (&'static dyn Operation, Attribute, Vec<Node>) {
        let summand = self.graph.entry(sum).args[0];
        let entry = self.graph.entry(summand);
        match entry.op {
            Op::Call(operation, attribute) if into_sums.contains(&summand) => {
                (operation, attribute, entry.args.clone())
            }
            _ => (&IDENTITY, Attribute::NONE, vec![summand]),
        }
    }

    /// Registers of what the body computes sample by sample.
    fn registers_of(&self, order: &[Node], outputs: &[Node], into_sums: &[Node]) -> Registers {
        let step = |&node: &Node| {
            if self.summed(node) {
                let (_, _, reads) = self.added(node, into_sums);
                return Some(Step { defines: None, reads });
            }
            let skipped = into_sums.contains(&node) || self.absorbed[node.index()];
            let (_, _, reads) = self.computed(node).filter(|_| self.graph.batched(node) && !skipped)?;
            Some(Step { defines: self.written[node.index()].is_none().then_some(node), reads })
        };
        let steps: Vec<Step> = order.iter().filter_map(step).collect();
        Registers::new(&steps, outputs, |n| self.graph.shape(n).len())
    }

    fn instruction(&mut self, node: Node) {
        let Some((operation, attribute, operands)) = self.computed(node) else { return };
        let entry = self.graph.entry(node);
        let args = self.arguments_of(operation, attribute, &operands, false);
        let (shape, batched) = (entry.shape, entry.batched);
        let samples = if batched { self.program.capacity } else { 1 };
        let out = self.target(node, samples, if batched { shape.len() } else { 0 });
        let straight = self.straight(operation, attribute, &args, shape.len(), batched);
        let gathered = self.gathered(node);
        let instruction = Instruction {
            operation,
            attribute,
            args,
            out,
            straight,
            shape,
            batched,
            accumulate: false,
            gathered,
        };
        match self.stage[node.index()] {
            Stage::Prologue => self.program.prologue.push(instruction),
            Stage::Body => self.program.body.push(instruction),
            Stage::Epilogue => self.program.epilogue.push(instruction),
        }
    }

    fn accumulation(&mut self, node: Node, fused: &[Node]) {
        let summand = self.graph.entry(node).args[0];
        let shape = self.graph.shape(node);
        let (operation, attribute, operands) = self.added(node, fused);
        let args = self.arguments_of(operation, attribute, &operands, true);
        let out = self.target(node, 1, 0);
        let gathered = self.gathered(summand);
        // One sample at a time; more are summed by the operation itself.
        let straight = self.straight(operation, attribute, &args, shape.len(), true);
        self.program.body.push(Instruction {
            operation,
            attribute,
            args,
            out,
            straight,
            shape,
            batched: false,
            accumulate: true,
            gathered,
        });
    }
}

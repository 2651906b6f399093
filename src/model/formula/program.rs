//! A graph flattened to a list of instructions over registers, and its execution on a block.
//!
//! Three parts: the *prologue* (parameters alone) once an evaluation, the *body* once a chunk of samples, the
//! *epilogue* (what depends on sums over the batch) once at the end. Registers are never reused: each lies behind
//! its arguments, so a single split of the scratch memory separates what is read from what is written. Results that
//! nothing else reads are written where the caller wants them.

use super::gathered::{Form, Gathering, Tables, Use};
use super::graph::{Graph, Node, Op};
use super::operations::{
    ADD, AFFINE, AFFINE_PRODUCT, Argument, Attribute, Frame, IDENTITY, MULTIPLY, Operand, Operation,
    SUBTRACT, Straight,
};
use std::collections::HashMap;
use std::ops::Range;

use crate::lanes::rows::{self, Elements, Samples, Step};
use crate::lanes::{Indices, Lane};
use crate::model::{Batch, OverRows, Shape};

/// Numbers a body's batched registers should hold at most, all samples of a chunk together.
const CHUNK_ELEMENTS: usize = 512;
/// Most samples in a chunk.
const CHUNK_LIMIT: usize = 16;
/// Rows and columns of the blocks of matrix products.
const ROWS: usize = 4;

/// Where an argument or an output lies; offsets count elements, to be multiplied by the block's tiles.
#[derive(Clone, Copy, Debug)]
enum Source {
    Register(usize),
    Theta(usize),
    Auxiliary(usize),
    Sample(usize),
}

/// Where an instruction writes to.
#[derive(Clone, Copy, Debug)]
enum Target {
    Register(usize),
    Result(usize),
}

#[derive(Clone, Copy, Debug)]
struct Location {
    source: Source,
    shape: Shape,
    /// Elements from one sample to the next; 0 if unbatched.
    stride: usize,
    immediate: Option<f64>,
    /// Columns of a sample, which the instruction takes as numbers where all replicas have the same samples.
    numbers: bool,
}

#[derive(Clone)]
struct Instruction {
    operation: &'static dyn Operation,
    attribute: Attribute,
    args: Vec<Location>,
    out: Target,
    /// A loop over the numbers of a sample where operands have as many as the result; over those of all samples in one, where they lie
    /// alike.
    straight: Option<(Straight, bool)>,
    shape: Shape,
    batched: bool,
    accumulate: bool,
    /// What it does with columns of a table's rows that are not turned into vectors.
    gathered: Option<Use>,
}

/// Samples that all replicas share: some columns are taken as numbers.
#[derive(Clone, Debug)]
struct Sharing {
    /// The other columns, which are vectors, offset and length.
    vectors: Vec<(usize, usize)>,
    /// How many numbers of a sample are taken as such.
    numbers: usize,
    /// Most samples in a chunk.
    chunk: usize,
}

/// Most arguments that are gathered without allocating; arrays may have more.
const FEW: usize = 4;

/// A compiled graph.
#[derive(Clone)]
pub struct Program {
    constants: Vec<(usize, Vec<f64>)>,
    prologue: Vec<Instruction>,
    body: Vec<Instruction>,
    epilogue: Vec<Instruction>,
    /// Empty where results are written to the caller's memory.
    outputs: Vec<Location>,
    elements: usize,
    /// Most samples in a chunk.
    capacity: usize,
    /// The same where samples are turned into vectors.
    chunk: usize,
    gathering: Gathering,
    /// What is done where all replicas have the same samples, if that is other than with samples of their own.
    sharing: Option<Sharing>,
    /// Elements of θ, and of the result, that a run over rows of a table needs as rows alone.
    turned: Option<Range<usize>>,
    width: usize,
    samples: usize,
    weights: usize,
    batched: bool,
}

/// What a graph cannot be compiled for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A value per sample that depends on a mean over samples.
    #[error(
        "this depends on a population mean sample by sample, which would take a second pass over the population"
    )]
    SecondPass,
}

impl Program {
    /// Compiles the nodes `outputs` of a graph whose samples have `width` numbers.
    pub fn new(graph: &Graph, outputs: &[Node], width: usize) -> Result<Self, CompileError> {
        Ok(Compiler::new(graph, outputs, width)?.finish(outputs, false))
    }
    /// As [`Program::new`] for outputs to be written by [`Program::run_to`]: several that are the same for all samples, one behind the
    /// other; or a single one that differs, sample by sample.
    pub fn writing(graph: &Graph, outputs: &[Node], width: usize) -> Result<Self, CompileError> {
        Ok(Compiler::new(graph, outputs, width)?.finish(outputs, true))
    }

    /// True if anything differs between samples.
    pub fn batched(&self) -> bool {
        self.batched
    }
    /// Vectors of scratch memory a block of `tiles` needs.
    pub fn scratch_len(&self, tiles: usize) -> usize {
        self.elements * tiles
    }
    /// Vectors a tile that a run over `samples` samples touches.
    pub fn working_set(&self, samples: usize) -> usize {
        let count = self.chunk.min(samples);
        self.elements - self.batched_elements() * (self.capacity - count) - self.gathering.turned_len()
    }
    /// What a run over `samples` rows of a table touches, if they are used where they lie.
    pub fn over_rows(&self, samples: usize) -> Option<OverRows> {
        let gathered = self.gathering(samples)?.width();
        let count = self.capacity.min(samples);
        let others =
            || self.prologue.iter().chain(&self.body).chain(&self.epilogue).filter(|i| i.gathered.is_none());
        let long = |i: &Instruction| i.shape.len() * if i.batched || i.accumulate { count } else { 1 };
        Some(OverRows {
            working_set: self.elements - gathered * count - self.batched_elements() * (self.capacity - count),
            run_length: (others().map(long).sum::<usize>() / others().count().max(1)).max(1),
        })
    }
    /// What a run over `samples` samples that all replicas share touches.
    pub fn over_shared(&self, samples: usize) -> OverRows {
        let Some(sharing) = &self.sharing else {
            return OverRows { working_set: self.working_set(samples), run_length: self.run_length(samples) };
        };
        let count = sharing.chunk.min(samples);
        let left = self.batched_elements() * (self.capacity - count) + sharing.numbers * count;
        OverRows {
            working_set: self.elements - left - self.gathering.turned_len(),
            run_length: self.mean_length(count),
        }
    }
    /// Elements of θ, and of the result, that can be rows in a run over `samples` rows of a table.
    pub fn in_rows(&self, samples: usize) -> Option<Range<usize>> {
        self.gathering(samples).and(self.turned.clone())
    }
    /// The elements of θ that rows are multiplied with, if nothing else reads them, and a sum over rows is the result's elements of the same
    /// places: then a descent along the result can keep both as rows.
    fn rows_alone(&self) -> Option<Range<usize>> {
        let all = || self.prologue.iter().chain(&self.body).chain(&self.epilogue);
        let uses: Vec<(&Instruction, Use)> = all().filter_map(|i| Some((i, i.gathered?))).collect();
        let (mut read, mut written) = (None, None);
        for (instruction, usage) in &uses {
            let len = usage.elements.len;
            match (usage.form, instruction.out) {
                (Form::Product(which), _) => match instruction.args[which].source {
                    Source::Theta(at) if read.is_none() => read = Some(at..at + len),
                    _ => return None,
                },
                (Form::Sum(_), Target::Result(at)) if written.is_none() => written = Some(at..at + len),
                (Form::Sum(_), _) => return None,
            }
        }
        let range = read.filter(|range| written.as_ref() == Some(range))?;
        let touches = |location: &Location| match location.source {
            Source::Theta(at) => at < range.end && range.start < at + location.shape.len(),
            _ => false,
        };
        let readers = all().flat_map(|i| &i.args).filter(|location| touches(location)).count();
        (readers == 1).then_some(range)
    }
    /// Elements of the registers that there are for every sample of a chunk.
    fn batched_elements(&self) -> usize {
        self.width + 1 + self.body.iter().filter(|i| i.batched).map(|i| i.shape.len()).sum::<usize>()
    }
    /// Vectors a tile that an instruction goes over in a run over `samples` samples, on average.
    pub fn run_length(&self, samples: usize) -> usize {
        self.mean_length(self.chunk.min(samples).max(1))
    }
    fn mean_length(&self, count: usize) -> usize {
        let long = |i: &Instruction| i.shape.len() * if i.batched || i.accumulate { count } else { 1 };
        let all = || self.prologue.iter().chain(&self.body).chain(&self.epilogue);
        (all().map(long).sum::<usize>() / all().count().max(1)).max(1)
    }
    /// Writes the constants into fresh scratch memory.
    pub fn prepare(&self, scratch: &mut [Lane], tiles: usize) {
        for (at, data) in &self.constants {
            for (e, &value) in data.iter().enumerate() {
                scratch[(at + e) * tiles..(at + e + 1) * tiles].fill(Lane::splat(value));
            }
        }
    }
    /// The columns of a population that [`Program::run_over_rows`] wants, if that is the cheaper for batches of `samples`.
    pub fn gathering(&self, samples: usize) -> Option<&Gathering> {
        Some(&self.gathering).filter(|gathering| gathering.worth(samples))
    }
    /// Runs a program of [`Program::writing`] over a whole batch; `result` is `[outputs' elements][tiles]`, or
    /// `[samples][output's elements][tiles]`.
    pub fn run_to(
        &self,
        inputs: &Inputs<'_>,
        batch: &mut dyn Batch,
        scratch: &mut [Lane],
        result: &mut [Lane],
    ) {
        self.run_over_rows(inputs, None, None, batch, scratch, result);
    }
    /// As [`Program::run_to`], for a batch of rows of `tables`. What can be `turned` is kept as rows, and steps along the result; else it is in
    /// lanes as all the rest.
    pub fn run_over_rows(
        &self,
        inputs: &Inputs<'_>,
        tables: Option<&Tables>,
        mut turned: Option<&mut Step<'_>>,
        batch: &mut dyn Batch,
        scratch: &mut [Lane],
        result: &mut [Lane],
    ) {
        for instruction in &self.prologue {
            self.execute(instruction, inputs, Given::Written, Chunk::ONE, scratch, result);
        }
        if self.batched {
            let total = batch.len();
            let capacity = match &self.sharing {
                _ if tables.is_some() => self.capacity,
                Some(sharing) if batch.has_shared() => sharing.chunk,
                _ => self.chunk,
            };
            let mut first = 0;
            while first < total {
                let chunk = Chunk { first, count: capacity.min(total - first) };
                if let Some((tables, indices)) = tables.and_then(|t| Some((t, batch.rows(chunk.count)?))) {
                    let rows = Rows { tables, indices, last: first + chunk.count == total };
                    self.body_over_rows(inputs, rows, turned.as_deref_mut(), chunk, scratch, result);
                } else if let Some(lent) = batch.lend(first, chunk.count) {
                    for instruction in &self.body {
                        self.execute(instruction, inputs, Given::Lent(lent), chunk, scratch, result);
                    }
                } else {
                    let given = self.samples(batch, chunk, inputs.tiles, scratch);
                    for instruction in &self.body {
                        self.execute(instruction, inputs, given, chunk, scratch, result);
                    }
                }
                first += chunk.count;
            }
        }
        for instruction in &self.epilogue {
            self.execute(instruction, inputs, Given::Written, Chunk::ONE, scratch, result);
        }
    }

    /// The body over a chunk of samples that are rows of tables.
    fn body_over_rows(
        &self,
        inputs: &Inputs<'_>,
        rows: Rows<'_>,
        mut turned: Option<&mut Step<'_>>,
        chunk: Chunk,
        scratch: &mut [Lane],
        result: &mut [Lane],
    ) {
        let (Rows { tables, indices, last }, tiles) = (rows, inputs.tiles);
        let samples = &mut scratch[self.samples * tiles..(self.samples + chunk.count * self.width) * tiles];
        tables.fill_others(samples, indices, self.width, tiles);
        for instruction in &self.body {
            let Some(usage) = &instruction.gathered else {
                self.execute(instruction, inputs, Given::Written, chunk, scratch, result);
                continue;
            };
            let table = tables.table(usage.table);
            let samples = Samples { table, indices, count: chunk.count, tiles };
            let elements = Elements { tiles, ..usage.elements };
            // Rows are kept behind all that the instruction reads, and behind what it writes.
            let (before, behind) = scratch.split_at_mut(usage.turned * tiles);
            let own = &mut behind[..elements.turned_len()];
            let (read, out): (&[Lane], &mut [Lane]) = match instruction.out {
                Target::Register(at) => {
                    let (read, out) = before.split_at_mut(at * tiles);
                    (read, out)
                }
                Target::Result(at) => (before, &mut result[at * tiles..]),
            };
            match usage.form {
                Form::Product(which) => {
                    if turned.is_none() && chunk.first == 0 {
                        let w = self.locate(&instruction.args[which], inputs, Given::Written, read);
                        rows::to_rows(own, w, &elements);
                    }
                    let w = turned.as_ref().map_or(&*own, |step| &*step.theta);
                    rows::row_products(out, w, samples);
                }
                Form::Sum(which) => {
                    let factors = self.locate(&instruction.args[which], inputs, Given::Written, read);
                    let add = chunk.first > 0;
                    match &mut turned {
                        Some(step) if last => rows::step_along_sums(step, factors, samples, add),
                        Some(step) => rows::row_sums(step.sums, factors, samples, add),
                        None => {
                            rows::row_sums(own, factors, samples, add);
                            if last {
                                rows::to_lanes(out, own, &elements);
                            }
                        }
                    }
                }
            }
        }
    }

    /// The samples of a chunk that are not lent; weights, and what is written of samples, go to the registers.
    fn samples<'b>(
        &self,
        batch: &'b mut dyn Batch,
        Chunk { first, count }: Chunk,
        tiles: usize,
        scratch: &mut [Lane],
    ) -> Given<'b> {
        let (before, weights) = scratch.split_at_mut(self.weights * tiles);
        let samples = &mut before[self.samples * tiles..(self.samples + count * self.width) * tiles];
        let weights = &mut weights[..count * tiles];
        let Some(sharing) = self.sharing.as_ref().filter(|_| batch.has_shared()) else {
            batch.fill(first, count, samples, weights);
            return Given::Written;
        };
        let Some(numbers) = batch.shared(first, count, weights) else { return Given::Written };
        let row = self.width * tiles;
        for (samples, numbers) in samples.chunks_exact_mut(row).zip(numbers.chunks_exact(self.width)) {
            for &(offset, len) in &sharing.vectors {
                let places = samples[offset * tiles..(offset + len) * tiles].chunks_exact_mut(tiles);
                places.zip(&numbers[offset..]).for_each(|(to, &x)| to.fill(Lane::splat(x)));
            }
        }
        Given::Numbers(numbers)
    }

    /// Runs the program over a whole batch. `theta` is `[P][tiles]`, `auxiliary` the second input.
    /// `each_chunk(scratch, first, count)` sees every chunk while its batched registers are fresh.
    pub fn run(
        &self,
        inputs: &Inputs<'_>,
        batch: &mut dyn Batch,
        scratch: &mut [Lane],
        mut each_chunk: impl FnMut(&[Lane], usize, usize),
    ) {
        for instruction in &self.prologue {
            self.execute(instruction, inputs, Given::Written, Chunk::ONE, scratch, &mut []);
        }
        if self.batched {
            let (total, tiles) = (batch.len(), inputs.tiles);
            let mut first = 0;
            while first < total {
                let count = self.chunk.min(total - first);
                let (before, weights) = scratch.split_at_mut(self.weights * tiles);
                let samples = &mut before[self.samples * tiles..(self.samples + count * self.width) * tiles];
                batch.fill(first, count, samples, &mut weights[..count * tiles]);
                for instruction in &self.body {
                    let chunk = Chunk { first, count };
                    self.execute(instruction, inputs, Given::Written, chunk, scratch, &mut []);
                }
                each_chunk(scratch, first, count);
                first += count;
            }
        }
        for instruction in &self.epilogue {
            self.execute(instruction, inputs, Given::Written, Chunk::ONE, scratch, &mut []);
        }
    }

    /// The value of output `index`; for a batched output, of sample `sample` of the present chunk.
    pub fn output<'a>(
        &self,
        index: usize,
        inputs: &Inputs<'a>,
        scratch: &'a [Lane],
        sample: usize,
    ) -> &'a [Lane] {
        let location = &self.outputs[index];
        let data = self.locate(location, inputs, Given::Written, scratch);
        let start = sample * location.stride * inputs.tiles;
        &data[start..start + location.shape.len() * inputs.tiles]
    }
}

/// What a program reads beside the batch.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// θ, `[P][tiles]`.
    pub theta: &'a [Lane],
    /// The second input, `[…][tiles]`.
    pub auxiliary: &'a [Lane],
    /// Vectors an element.
    pub tiles: usize,
}

/// Where the samples of a chunk are.
#[derive(Clone, Copy)]
enum Given<'a> {
    /// In the scratch memory.
    Written,
    /// Here, as vectors.
    Lent(&'a [Lane]),
    /// Here, the same for all replicas, `[count][width]`; in the scratch memory what is not taken as numbers.
    Numbers(&'a [f64]),
}

/// Samples of a batch that are computed together.
#[derive(Clone, Copy)]
struct Chunk {
    first: usize,
    count: usize,
}

/// Rows of a table that are the samples of a chunk.
#[derive(Clone, Copy)]
struct Rows<'a> {
    tables: &'a Tables,
    /// `[count][tiles]`.
    indices: &'a [Indices],
    /// True for the last chunk of a batch.
    last: bool,
}

impl Chunk {
    const ONE: Self = Self { first: 0, count: 1 };
}

impl Program {
    #[inline]
    fn locate<'a>(
        &self,
        location: &Location,
        inputs: &Inputs<'a>,
        given: Given<'a>,
        registers: &'a [Lane],
    ) -> &'a [Lane] {
        let tiles = inputs.tiles;
        match (location.source, given) {
            (Source::Register(at), _) => &registers[at * tiles..],
            (Source::Theta(at), _) => &inputs.theta[at * tiles..],
            (Source::Auxiliary(at), _) => &inputs.auxiliary[at * tiles..],
            (Source::Sample(at), Given::Lent(samples)) => &samples[at * tiles..],
            (Source::Sample(at), Given::Written | Given::Numbers(_)) => {
                &registers[(self.samples + at) * tiles..]
            }
        }
    }

    /// One instruction over a chunk of samples.
    #[allow(clippy::too_many_arguments, reason = "the pieces of one evaluation")]
    fn execute(
        &self,
        instruction: &Instruction,
        inputs: &Inputs<'_>,
        given: Given<'_>,
        chunk: Chunk,
        scratch: &mut [Lane],
        result: &mut [Lane],
    ) {
        let Chunk { first, count } = chunk;
        let tiles = inputs.tiles;
        let (registers, out): (&[Lane], &mut [Lane]) = match instruction.out {
            Target::Register(at) => {
                let (before, rest) = scratch.split_at_mut(at * tiles);
                (before, rest)
            }
            Target::Result(at) => {
                let before = if instruction.batched { first * instruction.shape.len() } else { 0 };
                (scratch, &mut result[(at + before) * tiles..])
            }
        };
        let samples = if instruction.batched || instruction.accumulate { count } else { 1 };
        // The sum over the first sample alone is its value.
        let sums = instruction.accumulate && !(first == 0 && count == 1);
        if let (Some((straight, in_one)), false) = (&instruction.straight, sums) {
            let numbers = instruction.shape.len() * tiles;
            if *in_one {
                let operand = |which: usize| {
                    &self.locate(&instruction.args[which], inputs, given, registers)[..samples * numbers]
                };
                return straight.run(&mut out[..samples * numbers], operand);
            }
            for (k, out) in out[..samples * numbers].chunks_exact_mut(numbers).enumerate() {
                straight.run(out, |which| {
                    let location = &instruction.args[which];
                    let first = k * location.stride * tiles;
                    &self.locate(location, inputs, given, registers)[first..first + numbers]
                });
            }
            return;
        }
        let operand = |location: &Location| Operand {
            data: self.locate(location, inputs, given, registers),
            shape: location.shape,
            stride: location.stride * tiles,
            immediate: location.immediate,
            numbers: match (given, location) {
                (Given::Numbers(samples), &Location { source: Source::Sample(at), numbers: true, .. }) => {
                    Some(&samples[at..])
                }
                _ => None,
            },
        };
        let frame = Frame { tiles, count: samples, shape: instruction.shape };
        let out_samples = if instruction.accumulate { 1 } else { samples };
        let out = &mut out[..out_samples * frame.stride()];
        let mut perform = |operands: &[Operand<'_>]| {
            if instruction.accumulate {
                instruction.operation.accumulate(instruction.attribute, &frame, operands, out, first == 0);
            } else {
                instruction.operation.evaluate(instruction.attribute, &frame, operands, out);
            }
        };
        match instruction.args.as_slice() {
            [a] => perform(&[operand(a)]),
            [a, b] => perform(&[operand(a), operand(b)]),
            more if more.len() <= FEW => {
                let mut operands = [operand(&more[0]); FEW];
                for (slot, location) in operands.iter_mut().zip(more) {
                    *slot = operand(location);
                }
                perform(&operands[..more.len()]);
            }
            many => perform(&many.iter().map(operand).collect::<Vec<_>>()),
        }
    }
}

/// When a node can be computed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Prologue,
    Body,
    Epilogue,
}

struct Compiler<'g> {
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
    fn new(graph: &'g Graph, outputs: &[Node], width: usize) -> Result<Self, CompileError> {
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
            program,
        })
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

    fn finish(mut self, outputs: &[Node], writing: bool) -> Program {
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
            .filter(|&&n| matches!(self.graph.entry(n).op, Op::BatchSum))
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
        let per_sample: usize = order
            .iter()
            .filter(|&&n| self.graph.batched(n) && !into_sums.contains(&n) && !self.absorbed[n.index()])
            .map(|&n| self.graph.shape(n).len())
            .sum();
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
                if self.stage[node.index()] == stage && !skipped {
                    self.instruction(node);
                }
            }
        }
        for &node in &order {
            if matches!(self.graph.entry(node).op, Op::BatchSum) {
                self.accumulation(node, &into_sums);
            }
        }
        for &node in &order {
            if self.stage[node.index()] == Stage::Epilogue
                && !matches!(self.graph.entry(node).op, Op::BatchSum)
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
        let at = self.allocate(samples * shape.len());
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

    fn instruction(&mut self, node: Node) {
        let entry = self.graph.entry(node);
        let mut operands = entry.args.clone();
        let (operation, attribute): (&'static dyn Operation, _) = match (self.chain(node), &entry.op) {
            (Some(chain), _) => {
                operands = chain.operands;
                let attribute = Attribute::reals(chain.shift, chain.factor);
                (if operands.len() == 2 { &AFFINE_PRODUCT } else { &AFFINE }, attribute)
            }
            (None, Op::Call(operation, attribute)) => (*operation, *attribute),
            (None, Op::BatchBroadcast) => (&IDENTITY, Attribute::NONE),
            _ => return,
        };
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
        let inner = self.graph.entry(summand);
        let (operation, attribute, args): (&'static dyn Operation, _, Vec<Location>) = match inner.op {
            Op::Call(operation, attribute) if fused.contains(&summand) => {
                (operation, attribute, self.arguments_of(operation, attribute, &inner.args, true))
            }
            _ => (&IDENTITY, Attribute::NONE, vec![self.get(summand)]),
        };
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

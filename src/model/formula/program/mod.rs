//! A graph flattened to a list of instructions over registers, and its execution on a block.
//!
//! Three parts: the *prologue* (parameters alone) once an evaluation, the *body* once a chunk of samples, the
//! *epilogue* (what depends on sums over the batch) once at the end. A register never overlaps the arguments of what it holds, but those of
//! samples are [used again](registers) when these are no longer needed. Results that nothing else reads are written where the caller wants
//! them.

mod compiler;
mod registers;
mod run;

use std::ops::Range;

use super::gathered::{Form, Gathering, Use};
use super::graph::{Graph, Node};
use super::operations::{Attribute, Operation, Straight};
use super::size::{TOO_LARGE, allowed, amount, fits, of_lanes};
use crate::lanes::{LANES, Lane};
use crate::model::{OverRows, Shape};
use compiler::Compiler;
pub use run::Inputs;

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
    /// Elements of the registers that there are for every sample of a chunk.
    differing: usize,
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
    /// More registers than this process can hold.
    #[error("{TOO_LARGE}its intermediates have {numbers} numbers, {} for {LANES} replicas{}", amount(*bytes), allowed())]
    TooLarge {
        /// Numbers a replica.
        numbers: usize,
        /// Bytes of a vector of replicas.
        bytes: u64,
    },
}

impl Program {
    /// Compiles the nodes `outputs` of a graph whose samples have `width` numbers.
    pub fn new(graph: &Graph, outputs: &[Node], width: usize) -> Result<Self, CompileError> {
        Compiler::new(graph, outputs, width)?.finish(outputs, false).affordable()
    }
    /// As [`Program::new`] for outputs to be written by [`Program::run_to`]: several that are the same for all samples, one behind the
    /// other; or a single one that differs, sample by sample.
    pub fn writing(graph: &Graph, outputs: &[Node], width: usize) -> Result<Self, CompileError> {
        Compiler::new(graph, outputs, width)?.finish(outputs, true).affordable()
    }

    /// Refuses what this process cannot hold, before anybody asks for it.
    fn affordable(self) -> Result<Self, CompileError> {
        let bytes = of_lanes(self.elements);
        if fits(bytes) { Ok(self) } else { Err(CompileError::TooLarge { numbers: self.elements, bytes }) }
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
        self.elements - self.differing * (self.capacity - count) - self.gathering.turned_len()
    }
    /// What a run over `samples` rows of a table touches, if they are used where they lie.
    pub fn over_rows(&self, samples: usize) -> Option<OverRows> {
        let gathered = self.gathering(samples)?.width();
        let count = self.capacity.min(samples);
        let others =
            || self.prologue.iter().chain(&self.body).chain(&self.epilogue).filter(|i| i.gathered.is_none());
        let long = |i: &Instruction| i.shape.len() * if i.batched || i.accumulate { count } else { 1 };
        Some(OverRows {
            working_set: self.elements - gathered * count - self.differing * (self.capacity - count),
            run_length: (others().map(long).sum::<usize>() / others().count().max(1)).max(1),
        })
    }
    /// What a run over `samples` samples that all replicas share touches.
    pub fn over_shared(&self, samples: usize) -> OverRows {
        let Some(sharing) = &self.sharing else {
            return OverRows { working_set: self.working_set(samples), run_length: self.run_length(samples) };
        };
        let count = sharing.chunk.min(samples);
        let left = self.differing * (self.capacity - count) + sharing.numbers * count;
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
}

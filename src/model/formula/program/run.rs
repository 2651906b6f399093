//! Execution of a program on a block.

use std::ops::Range;

use super::{Instruction, Location, Program, Source, Target};
use crate::lanes::rows::{self, Elements, Samples, Step};
use crate::lanes::{Indices, Lane};
use crate::model::Batch;
use crate::model::formula::gathered::{Form, Tables};
use crate::model::formula::operations::{Frame, Operand};

/// Most arguments that are gathered without allocating; arrays may have more.
const FEW: usize = 4;

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

/// Registers that are read, around those that are written.
#[derive(Clone, Copy)]
struct Readable<'a> {
    before: &'a [Lane],
    behind: &'a [Lane],
    /// Where those behind begin.
    end: usize,
}

impl<'a> Readable<'a> {
    fn all(registers: &'a [Lane]) -> Self {
        Self { before: registers, behind: &[], end: usize::MAX }
    }
    /// And what is written.
    fn around(registers: &'a mut [Lane], written: Range<usize>) -> (Self, &'a mut [Lane]) {
        let end = written.end;
        let (before, rest) = registers.split_at_mut(written.start);
        let (written, behind) = rest.split_at_mut(written.len());
        (Self { before, behind, end }, written)
    }
    fn from(self, at: usize) -> &'a [Lane] {
        match at.checked_sub(self.end) {
            Some(at) => &self.behind[at..],
            None => &self.before[at..],
        }
    }
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
        self.all(&self.prologue, inputs, Given::Written, Chunk::ONE, scratch, result);
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
                    self.all(&self.body, inputs, Given::Lent(lent), chunk, scratch, result);
                } else {
                    let given = self.samples(batch, chunk, inputs.tiles, scratch);
                    self.all(&self.body, inputs, given, chunk, scratch, result);
                }
                first += chunk.count;
            }
        }
        self.all(&self.epilogue, inputs, Given::Written, Chunk::ONE, scratch, result);
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
        let (samples, _) = self.places(chunk.count, tiles, scratch);
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
            let written = instruction.shape.len() * if instruction.batched { chunk.count } else { 1 };
            let (read, out) = match instruction.out {
                Target::Register(at) => Readable::around(before, at * tiles..(at + written) * tiles),
                Target::Result(at) => (Readable::all(before), &mut result[at * tiles..]),
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

    /// Where the registers have room for the samples of a chunk, `[count][width][tiles]`, and for their weights.
    fn places<'a>(
        &self,
        count: usize,
        tiles: usize,
        scratch: &'a mut [Lane],
    ) -> (&'a mut [Lane], &'a mut [Lane]) {
        let (before, weights) = scratch.split_at_mut(self.weights * tiles);
        let samples = &mut before[self.samples * tiles..(self.samples + count * self.width) * tiles];
        (samples, &mut weights[..count * tiles])
    }

    /// Instructions one after the other.
    #[allow(clippy::too_many_arguments, reason = "the pieces of one evaluation")]
    fn all(
        &self,
        instructions: &[Instruction],
        inputs: &Inputs<'_>,
        given: Given<'_>,
        chunk: Chunk,
        scratch: &mut [Lane],
        result: &mut [Lane],
    ) {
        for instruction in instructions {
            self.execute(instruction, inputs, given, chunk, scratch, result);
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
        let (samples, weights) = self.places(count, tiles, scratch);
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
        self.all(&self.prologue, inputs, Given::Written, Chunk::ONE, scratch, &mut []);
        if self.batched {
            let (total, tiles) = (batch.len(), inputs.tiles);
            let mut first = 0;
            while first < total {
                let count = self.chunk.min(total - first);
                let (samples, weights) = self.places(count, tiles, scratch);
                batch.fill(first, count, samples, weights);
                self.all(&self.body, inputs, Given::Written, Chunk { first, count }, scratch, &mut []);
                each_chunk(scratch, first, count);
                first += count;
            }
        }
        self.all(&self.epilogue, inputs, Given::Written, Chunk::ONE, scratch, &mut []);
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
        let data = self.locate(location, inputs, Given::Written, Readable::all(scratch));
        let start = sample * location.stride * inputs.tiles;
        &data[start..start + location.shape.len() * inputs.tiles]
    }

    #[inline]
    fn locate<'a>(
        &self,
        location: &Location,
        inputs: &Inputs<'a>,
        given: Given<'a>,
        registers: Readable<'a>,
    ) -> &'a [Lane] {
        let tiles = inputs.tiles;
        match (location.source, given) {
            (Source::Register(at), _) => registers.from(at * tiles),
            (Source::Theta(at), _) => &inputs.theta[at * tiles..],
            (Source::Auxiliary(at), _) => &inputs.auxiliary[at * tiles..],
            (Source::Sample(at), Given::Lent(samples)) => &samples[at * tiles..],
            (Source::Sample(at), Given::Written | Given::Numbers(_)) => {
                registers.from((self.samples + at) * tiles)
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
        let samples = if instruction.batched || instruction.accumulate { count } else { 1 };
        let written = instruction.shape.len() * if instruction.accumulate { 1 } else { samples };
        let (registers, out) = match instruction.out {
            Target::Register(at) => Readable::around(scratch, at * tiles..(at + written) * tiles),
            Target::Result(at) => {
                let before = if instruction.batched { first * instruction.shape.len() } else { 0 };
                let at = (at + before) * tiles;
                (Readable::all(scratch), &mut result[at..at + written * tiles])
            }
        };
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

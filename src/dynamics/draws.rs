//! Mini-batches: fresh draws of an infinite population, rows of a table with or without replacement, rows with fresh draws behind them.

use std::sync::Arc;

use crate::dynamics::Sampling;
use crate::dynamics::kernels::student;
use crate::lanes::stopwatch::{self, Section};
use crate::lanes::{Indices, LANES, Lane, Normals, Purpose, Streams, flat_mut, gather};
use crate::model::{Batch, Model, Rows, StandardLaw, Variate};

/// Samples of a mini-batch that are fetched together from the streams.
const TOGETHER: usize = 16;

/// The replicas of a block.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// The study's seed.
    pub seed: u64,
    /// First replica.
    pub first: u64,
    /// Vectors of eight replicas.
    pub tiles: usize,
}

impl Block {
    /// Standard normal numbers of these replicas.
    pub fn normals(&self, purpose: Purpose) -> Normals {
        Normals::new(self.seed, purpose, self.first, self.tiles)
    }
    /// Raw streams of these replicas.
    pub fn streams(&self, purpose: Purpose) -> Streams {
        Streams::new(self.seed, purpose, self.first, self.tiles)
    }
}

/// The mini-batches of a training, one after the other.
pub enum Draws {
    /// Of an infinite population.
    Fresh(FreshDraws),
    /// Of a table.
    Table(TableDraws),
    /// Of a table, with fresh draws behind each row.
    Mixed(MixedDraws),
}

impl Draws {
    /// Mini-batches of `size` samples of the model's population.
    pub fn new(model: &Arc<dyn Model>, size: usize, sampling: Sampling, block: Block) -> Self {
        let population = model.population();
        let table = || TableDraws::new(model.clone(), size, sampling, block);
        match (&population.fresh, &population.rows) {
            (None, _) => Self::Table(table()),
            (Some(variates), None) => Self::Fresh(FreshDraws::new(variates, population.width, size, block)),
            (Some(variates), Some(rows)) => Self::Mixed(MixedDraws {
                table: table(),
                held: vec![Lane::default(); TOGETHER * rows.width * block.tiles],
                rows: rows.clone(),
                fresh: FreshDraws::new(variates, population.width, size, block),
            }),
        }
    }
    /// The next mini-batch.
    pub fn advance(&mut self) -> &mut dyn Batch {
        match self {
            Self::Fresh(fresh) => fresh,
            Self::Table(table) => {
                table.turn();
                table
            }
            Self::Mixed(mixed) => {
                mixed.table.turn();
                mixed
            }
        }
    }
    /// Shows all samples of the next mini-batch, `[size][width][tiles]`; they are written to `rows` if they lie nowhere as yet.
    pub fn with_all<R>(&mut self, rows: &mut [Lane], see: impl FnOnce(&[Lane]) -> R) -> R {
        let batch = self.advance();
        let size = batch.len();
        if let Some(lent) = batch.lend(0, size) {
            return see(lent);
        }
        batch.fill(0, size, rows, &mut []);
        see(rows)
    }
    /// Samples of the shortest mini-batch among those of `size` samples of a model: epochs may end with fewer.
    pub fn shortest(model: &dyn Model, size: usize, sampling: Sampling) -> usize {
        match (model.population().size(), sampling) {
            (Some(n), Sampling::WithoutReplacement { drop_last: false }) if !n.is_multiple_of(size) => {
                n % size
            }
            _ => size,
        }
    }
    /// Vectors a tile that these draws keep between steps.
    pub fn footprint(model: &dyn Model, sampling: Sampling) -> usize {
        match (model.population().size(), sampling) {
            (Some(n), Sampling::WithoutReplacement { .. }) => n / 2,
            (Some(_), Sampling::WithReplacement) => TOGETHER / 2,
            (None, _) => 64,
        }
    }
}

/// S fresh samples a step, weight 1/S: every standard law from a stream of its own, sample by sample, column by column.
pub struct FreshDraws {
    size: usize,
    width: usize,
    tiles: usize,
    variates: Vec<Variate>,
    /// All columns are normal, in order.
    normal_only: bool,
    normals: Option<Normals>,
    uniforms: Option<Streams>,
    signs: Option<Streams>,
    students: Option<Streams>,
    /// All other laws, draw by draw.
    laws: Option<Box<Streams>>,
    second: Vec<Lane>,
}

impl FreshDraws {
    fn new(variates: &[Variate], width: usize, size: usize, block: Block) -> Self {
        let has = |f: fn(&StandardLaw) -> bool| variates.iter().any(|v| f(&v.law));
        let streams = |present: bool, purpose| present.then(|| block.streams(purpose));
        let mut next = 0;
        let normal_only = variates.iter().all(|v| {
            let here = v.offset == next && v.law == StandardLaw::Normal;
            next += v.len;
            here
        }) && next == width;
        let is_student = |law: &StandardLaw| matches!(law, StandardLaw::Student(_));
        Self {
            size,
            width,
            tiles: block.tiles,
            variates: variates.to_vec(),
            normal_only,
            normals: has(|law| *law == StandardLaw::Normal).then(|| block.normals(Purpose::Normal)),
            uniforms: streams(has(|law| *law == StandardLaw::Uniform), Purpose::Uniform),
            signs: streams(has(|law| *law == StandardLaw::Rademacher), Purpose::Sign),
            students: streams(has(is_student), Purpose::Student),
            laws: streams(has(drawn_one_by_one), Purpose::Law).map(Box::new),
            second: vec![Lane::default(); if has(is_student) { block.tiles } else { 0 }],
        }
    }
}

/// True for laws without a kernel: each replica takes from its own stream what its draws need.
fn drawn_one_by_one(law: &StandardLaw) -> bool {
    !matches!(
        law,
        StandardLaw::Normal | StandardLaw::Uniform | StandardLaw::Rademacher | StandardLaw::Student(_)
    )
}

/// Fills rows with normals: few from the buffered rows, many straight from the streams. The numbers are the same.
fn fill_normals(normals: &mut Normals, rows: &mut [Lane]) {
    let tiles = normals.tiles();
    if rows.len() <= TOGETHER * tiles {
        for row in rows.chunks_exact_mut(tiles) {
            row.copy_from_slice(normals.row());
        }
    } else {
        normals.fill(rows);
    }
}

impl Batch for FreshDraws {
    fn len(&self) -> usize {
        self.size
    }
    fn uniform_weight(&self) -> Option<f64> {
        Some(1.0 / self.size as f64)
    }
    fn lend(&mut self, _first: usize, count: usize) -> Option<&[Lane]> {
        self.normals.as_mut().filter(|_| self.normal_only)?.rows(count * self.width)
    }
    fn fill(&mut self, _first: usize, count: usize, samples: &mut [Lane], _weights: &mut [Lane]) {
        if let (true, Some(normals)) = (self.normal_only, &mut self.normals) {
            fill_normals(normals, &mut samples[..count * self.width * self.tiles]);
            return;
        }
        if self.width == 0 {
            return;
        }
        for sample in samples.chunks_exact_mut(self.width * self.tiles).take(count) {
            for variate in &self.variates {
                let rows =
                    &mut sample[variate.offset * self.tiles..(variate.offset + variate.len) * self.tiles];
                match variate.law {
                    StandardLaw::Normal => {
                        if let Some(normals) = &mut self.normals {
                            fill_normals(normals, rows);
                        }
                    }
                    StandardLaw::Uniform => {
                        if let Some(uniforms) = &mut self.uniforms {
                            uniforms.fill_uniform(rows);
                        }
                    }
                    StandardLaw::Rademacher => {
                        if let Some(signs) = &mut self.signs {
                            signs.fill_sign(rows);
                        }
                    }
                    law @ (StandardLaw::Exponential
                    | StandardLaw::Laplace
                    | StandardLaw::Cauchy
                    | StandardLaw::Gamma(_)
                    | StandardLaw::Beta(..)
                    | StandardLaw::Poisson(_)) => {
                        if let Some(streams) = &mut self.laws {
                            for row in rows.chunks_exact_mut(self.tiles) {
                                for (replica, x) in flat_mut(row).iter_mut().enumerate() {
                                    *x = law.draw(&mut || streams.uniform(replica));
                                }
                            }
                        }
                    }
                    StandardLaw::Student(freedom) => {
                        if let Some(students) = &mut self.students {
                            for row in rows.chunks_exact_mut(self.tiles) {
                                students.fill_uniform(row);
                                students.fill_uniform(&mut self.second);
                                student(row, &self.second, freedom);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Rows of a table, each with fresh draws behind it: rows as [`TableDraws`] takes them, draws as [`FreshDraws`] makes them, from streams of their
/// own. Without replacement it is the rows that are permuted; whenever one is met its draws are new.
pub struct MixedDraws {
    table: TableDraws,
    rows: Arc<Rows>,
    fresh: FreshDraws,
    /// Rows of some samples, `[TOGETHER][rows.width][tiles]`.
    held: Vec<Lane>,
}

impl Batch for MixedDraws {
    fn len(&self) -> usize {
        self.table.len
    }
    fn uniform_weight(&self) -> Option<f64> {
        self.table.uniform_weight()
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        let tiles = self.table.tiles;
        let (row, sample) = (self.rows.width * tiles, self.fresh.width * tiles);
        let mut done = 0;
        while done < count {
            let now = TOGETHER.min(count - done);
            self.table.draw(now);
            if row > 0 {
                let indices = &self.table.indices[..now * tiles];
                gather(&mut self.held[..now * row], &self.rows.values, indices, self.rows.width, tiles);
                let to = samples[done * sample..].chunks_exact_mut(sample);
                for (to, held) in to.zip(self.held.chunks_exact(row)).take(now) {
                    to[..row].copy_from_slice(held);
                }
            }
            done += now;
        }
        self.fresh.fill(first, count, samples, weights);
    }
}

/// Rows of a table.
///
/// With replacement: independent indices from the replica's index stream. Without: each epoch is a fresh
/// permutation a replica, by Fisher and Yates from its shuffle stream, made as the epoch goes; it starts from the last
/// epoch's order, which is as good as any. A short last batch is kept, a mean over what it has, unless `drop_last`.
pub struct TableDraws {
    model: Arc<dyn Model>,
    tiles: usize,
    population: usize,
    size: usize,
    /// Samples in the present batch.
    len: usize,
    streams: Streams,
    indices: Vec<Indices>,
    epoch: Option<Epoch>,
}

/// Where an epoch stands.
struct Epoch {
    /// `[population][tiles]`.
    order: Vec<Indices>,
    drop_last: bool,
    /// First position that is not drawn yet.
    next: usize,
}

impl TableDraws {
    fn new(model: Arc<dyn Model>, size: usize, sampling: Sampling, block: Block) -> Self {
        let population = model.population().size().unwrap_or(0);
        let (purpose, epoch) = match sampling {
            Sampling::WithReplacement => (Purpose::Index, None),
            Sampling::WithoutReplacement { drop_last } => {
                let order = (0..population)
                    .flat_map(|i| std::iter::repeat_n(Indices([i as u32; LANES]), block.tiles))
                    .collect();
                (Purpose::Shuffle, Some(Epoch { order, drop_last, next: 0 }))
            }
        };
        Self {
            model,
            tiles: block.tiles,
            population,
            size,
            len: size,
            streams: block.streams(purpose),
            indices: vec![Indices::default(); TOGETHER * block.tiles],
            epoch,
        }
    }

    /// On to the next batch.
    fn turn(&mut self) {
        if let Some(epoch) = &mut self.epoch {
            let left = self.population - epoch.next;
            if left == 0 || (epoch.drop_last && left < self.size) {
                epoch.next = 0;
            }
            self.len = self.size.min(self.population - epoch.next);
        }
    }

    /// Indices of the next `count` samples, to the front of `indices`.
    fn draw(&mut self, count: usize) {
        let tiles = self.tiles;
        let Some(epoch) = &mut self.epoch else {
            self.streams.fill_below(&mut self.indices[..count * tiles], self.population as u64);
            return;
        };
        for row in self.indices.chunks_exact_mut(tiles).take(count) {
            let here = epoch.next;
            self.streams.fill_below(row, (self.population - here) as u64);
            for (t, index) in row.iter_mut().enumerate() {
                for l in 0..LANES {
                    let there = here + index.0[l] as usize;
                    let drawn = epoch.order[there * tiles + t].0[l];
                    epoch.order[there * tiles + t].0[l] = epoch.order[here * tiles + t].0[l];
                    epoch.order[here * tiles + t].0[l] = drawn;
                    index.0[l] = drawn;
                }
            }
            epoch.next += 1;
        }
    }
}

impl Batch for TableDraws {
    fn len(&self) -> usize {
        self.len
    }
    fn has_rows(&self) -> bool {
        true
    }
    fn rows(&mut self, count: usize) -> Option<&[Indices]> {
        let needed = count * self.tiles;
        if self.indices.len() < needed {
            self.indices.resize(needed, Indices::default());
        }
        let _noise = stopwatch::enter(Section::Noise);
        self.draw(count);
        Some(&self.indices[..needed])
    }
    fn uniform_weight(&self) -> Option<f64> {
        Some(1.0 / self.len as f64)
    }
    fn fill(&mut self, _first: usize, count: usize, samples: &mut [Lane], _weights: &mut [Lane]) {
        let width = self.model.population().nodes.width;
        let mut done = 0;
        while done < count {
            let now = TOGETHER.min(count - done);
            self.draw(now);
            if width > 0 {
                let samples = &mut samples[done * width * self.tiles..(done + now) * width * self.tiles];
                let table = &self.model.population().nodes.values;
                gather(samples, table, &self.indices[..now * self.tiles], width, self.tiles);
            }
            done += now;
        }
    }
}

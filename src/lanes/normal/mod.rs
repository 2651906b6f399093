//! Standard normal numbers for a block of replicas, by the interior ziggurat.
//!
//! Each number takes one word of its replica's stream; about one in 500 is then replaced by a draw
//! from the rest of the density (see [`table`]), made with the replica's *repair* stream, in the
//! order of the draws. So a replica's sequence is a function of (seed, purpose, replica) alone: not of the number of
//! tiles, of buffering, of its neighbours or of the machine.

mod table;

use super::stopwatch::{self, Section};
use super::stream::{self, TileState};
use super::{LANES, Lane, Purpose};
#[cfg(target_arch = "x86_64")]
use super::{Level, wide};
use rand_xoshiro::Xoshiro256PlusPlus;
use table::Ziggurat;

/// Rows made at once: long enough to keep a tile's state in registers, short enough for the cache.
const ROWS: usize = 64;

/// Standard normal numbers, one stream a replica, `tiles` × 8 replicas at a time.
#[derive(Clone, Debug)]
pub struct Normals {
    table: &'static Ziggurat,
    states: Vec<TileState>,
    repairs: Vec<Xoshiro256PlusPlus>,
    /// `[ROWS][tiles]`, read from row `next` on.
    buffer: Vec<Lane>,
    next: usize,
}

impl Normals {
    /// The normals of replicas `first_replica .. first_replica + 8·tiles` for one purpose.
    pub fn new(seed: u64, purpose: Purpose, first_replica: u64, tiles: usize) -> Self {
        let replicas = first_replica..first_replica + (LANES * tiles) as u64;
        Self {
            table: Ziggurat::shared(),
            states: TileState::block(seed, purpose, first_replica, tiles),
            repairs: replicas.map(|replica| stream::generator(seed, purpose, replica, true)).collect(),
            buffer: Vec::new(),
            next: ROWS,
        }
    }

    /// Tiles in the block.
    pub fn tiles(&self) -> usize {
        self.states.len()
    }

    /// The next normal of every replica: `tiles` vectors.
    #[inline]
    pub fn row(&mut self) -> &[Lane] {
        if self.next == ROWS {
            self.refill();
        }
        let tiles = self.states.len();
        let first = self.next * tiles;
        self.next += 1;
        &self.buffer[first..first + tiles]
    }

    /// The next `count` normals of every replica, `[count][tiles]`, if they lie in one piece; else none are drawn.
    #[inline]
    pub fn rows(&mut self, count: usize) -> Option<&[Lane]> {
        if self.next == ROWS && count <= ROWS {
            self.refill();
        }
        if count > ROWS - self.next {
            return None;
        }
        let tiles = self.states.len();
        let first = self.next * tiles;
        self.next += count;
        Some(&self.buffer[first..first + count * tiles])
    }

    /// Fills `out`, `[n][tiles]`, with the next n normals of every replica; the same numbers as n
    /// calls of [`row`](Self::row), and the two may be mixed.
    ///
    /// # Panics
    /// If `out` is not a whole number of rows.
    pub fn fill(&mut self, out: &mut [Lane]) {
        let tiles = self.states.len();
        assert!(out.len().is_multiple_of(tiles.max(1)), "{} vectors are no rows of {tiles} tiles", out.len());
        let buffered = out.len().min((ROWS - self.next) * tiles);
        let (head, rest) = out.split_at_mut(buffered);
        if buffered > 0 {
            let first = self.next * tiles;
            head.copy_from_slice(&self.buffer[first..first + buffered]);
            self.next += buffered / tiles;
        }
        let _noise = stopwatch::enter(Section::Noise);
        draw(self.table, &mut self.states, &mut self.repairs, rest);
    }

    #[cold]
    fn refill(&mut self) {
        let _noise = stopwatch::enter(Section::Noise);
        self.buffer.resize(ROWS * self.states.len(), Lane::default());
        draw(self.table, &mut self.states, &mut self.repairs, &mut self.buffer);
        self.next = 0;
    }
}

/// One normal from a word of the stream, with repairs from the twin: the rule that every lane follows.
pub(super) fn one(word: u64, repairs: &mut Xoshiro256PlusPlus) -> f64 {
    let table = Ziggurat::shared();
    match table.layer(word) {
        Some(width) => width * table::signed_unit(word),
        None => table.residual(repairs),
    }
}

/// The next normals of every replica, in `out`, `[n][tiles]`.
fn draw(table: &Ziggurat, states: &mut [TileState], repairs: &mut [Xoshiro256PlusPlus], out: &mut [Lane]) {
    let tiles = states.len();
    if tiles == 0 {
        return;
    }
    for chunk in out.chunks_mut(ROWS * tiles) {
        let mut outside = [0; ROWS];
        for (tile, (state, repairs)) in states.iter_mut().zip(repairs.chunks_exact_mut(LANES)).enumerate() {
            let column = &mut chunk[tile..];
            let rows = column.len().div_ceil(tiles);
            boxed(table, state, column, tiles, &mut outside);
            for (row, &mask) in outside[..rows].iter().enumerate() {
                let mut mask = mask;
                while mask != 0 {
                    let lane = mask.trailing_zeros() as usize;
                    column[row * tiles].0[lane] = table.residual(&mut repairs[lane]);
                    mask &= mask - 1;
                }
            }
        }
    }
}

/// Draws for one tile: `column[row · stride]` gets width × uniform, bit `l` of `outside[row]` says
/// that lane `l` fell outside the boxes.
fn boxed(table: &Ziggurat, state: &mut TileState, column: &mut [Lane], stride: usize, outside: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        let boxes = wide::Boxes { widths: &table.widths, layers: table.layers };
        match Level::current() {
            Level::V4 => return wide::boxed_v4(boxes, state, column, stride, outside),
            Level::V3 => return wide::boxed_v3(boxes, state, column, stride, outside),
            Level::V1 => {}
        }
    }
    let mut s = *state;
    for (o, mask) in column.iter_mut().step_by(stride).zip(outside) {
        let words = s.next();
        let mut bits = 0;
        for l in 0..LANES {
            let j = table::layer_index(words[l]);
            o.0[l] = table.widths[j] * table::signed_unit(words[l]);
            bits |= u8::from(j >= table.layers) << l;
        }
        *mask = bits;
    }
    *state = s;
}

#[cfg(test)]
mod tests;

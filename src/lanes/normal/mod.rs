//! Standard normal numbers for a block of replicas, by the interior ziggurat.
//!
//! Each number takes one word of its replica's stream; about one in 500 is then replaced by a draw
//! from the rest of the density (see [`table`]), made with the replica's *repair* stream, in the
//! order of the draws. So a replica's sequence is a function of (seed, purpose, replica) alone: not of the number of
//! tiles, of buffering, of its neighbours or of the machine.

mod table;

use super::stopwatch::{self, Section};
use super::stream::TileState;
use super::{LANES, Lane, Purpose};
#[cfg(target_arch = "x86_64")]
use super::{Level, wide};
use rand_xoshiro::Xoshiro256PlusPlus;
use table::Ziggurat;

/// Most rows made at once, and fewest.
const ROWS: (usize, usize) = (64, 4);
/// Vectors made at once where that is allowed: enough to keep a tile's state in registers for a while, and few enough for the first
/// cache together with the table; the long columns of many rows would lie in few sets of it.
const VECTORS: usize = 512;

/// Rows made at once in a block of so many tiles.
fn rows_at_once(tiles: usize) -> usize {
    (VECTORS / tiles.max(1)).clamp(ROWS.1, ROWS.0)
}

/// Standard normal numbers, one stream a replica, `tiles` × 8 replicas at a time.
#[derive(Clone, Debug)]
pub struct Normals {
    table: &'static Ziggurat,
    states: Vec<TileState>,
    repairs: Vec<Xoshiro256PlusPlus>,
    /// Rows made at once.
    rows: usize,
    /// For each vector of a draw, which of its lanes fell outside the boxes.
    outside: Vec<u8>,
    /// `[rows][tiles]`, read from row `next` on.
    buffer: Vec<Lane>,
    next: usize,
}

impl Normals {
    /// The normals of replicas `first_replica .. first_replica + 8·tiles` for one purpose.
    pub fn new(seed: u64, purpose: Purpose, first_replica: u64, tiles: usize) -> Self {
        Self {
            table: Ziggurat::shared(),
            states: TileState::block(seed, purpose, first_replica, tiles),
            repairs: TileState::repairs(seed, purpose, first_replica, tiles),
            rows: rows_at_once(tiles),
            outside: vec![0; rows_at_once(tiles) * tiles],
            buffer: Vec::new(),
            next: rows_at_once(tiles),
        }
    }

    /// Tiles in the block.
    pub fn tiles(&self) -> usize {
        self.states.len()
    }

    /// The next normal of every replica: `tiles` vectors.
    #[inline]
    pub fn row(&mut self) -> &[Lane] {
        if self.next == self.rows {
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
        if self.next == self.rows && count <= self.rows {
            self.refill();
        }
        if count > self.rows - self.next {
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
        let buffered = out.len().min((self.rows - self.next) * tiles);
        let (head, rest) = out.split_at_mut(buffered);
        if buffered > 0 {
            let first = self.next * tiles;
            head.copy_from_slice(&self.buffer[first..first + buffered]);
            self.next += buffered / tiles;
        }
        let _noise = stopwatch::enter(Section::Noise);
        self.draw(rest);
    }

    #[cold]
    fn refill(&mut self) {
        let _noise = stopwatch::enter(Section::Noise);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(self.rows * self.states.len(), Lane::default());
        self.draw(&mut buffer);
        self.buffer = buffer;
        self.next = 0;
    }

    /// The next normals of every replica, in `out`, `[n][tiles]`.
    fn draw(&mut self, out: &mut [Lane]) {
        let tiles = self.states.len();
        if tiles == 0 {
            return;
        }
        for chunk in out.chunks_mut(self.rows * tiles) {
            let outside = &mut self.outside[..chunk.len()];
            boxed(self.table, &mut self.states, chunk, outside);
            // Eight vectors at a look: most have none.
            let (eights, rest) = outside.as_chunks();
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            for (eight, &masks) in eights.iter().chain([&last]).enumerate() {
                let mut masks = u64::from_le_bytes(masks);
                while masks != 0 {
                    let bit = masks.trailing_zeros() as usize;
                    let (vector, lane) = (8 * eight + bit / LANES, bit % LANES);
                    let repairs = &mut self.repairs[vector % tiles * LANES + lane];
                    chunk[vector].0[lane] = self.table.residual(repairs);
                    masks &= masks - 1;
                }
            }
        }
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

/// Draws rows for all tiles, `[n][tiles]`: each number is width × uniform, and bit `l` of a vector's byte in `outside` says that lane `l` fell
/// outside the boxes.
fn boxed(table: &Ziggurat, states: &mut [TileState], out: &mut [Lane], outside: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        let boxes = wide::Boxes { widths: &table.widths, layers: table.layers };
        match Level::current() {
            Level::V4 => return wide::boxed_v4(boxes, states, out, outside),
            Level::V3 => return wide::boxed_v3(boxes, states, out, outside),
            Level::V1 => {}
        }
    }
    let tiles = states.len();
    for (tile, state) in states.iter_mut().enumerate() {
        let mut s = *state;
        let column = out[tile..].iter_mut().step_by(tiles);
        for (o, mask) in column.zip(outside[tile..].iter_mut().step_by(tiles)) {
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
}

#[cfg(test)]
mod tests;

//! Rows of a table, one a replica, used where they lie: products and sums of rows that never become vectors of replicas.
//!
//! What meets such rows is turned instead: the parameters of a replica become a row, and what is summed up for a replica is turned back; or
//! stays a row, and the parameters [step](Step) along it. The order of summation is the same on every vector unit: see [`row_products`].

#![allow(
    unsafe_code,
    reason = "bounds are checked once a row; checks in the innermost loop cost more than its arithmetic"
)]

mod columns;
mod eight;
mod products;
mod sums;
mod turns;

pub use columns::{Columns, columns};
pub use products::row_products;
pub use sums::{Step, row_sums, step_along_sums};
pub use turns::{Elements, to_lanes, to_rows};
#[cfg(target_arch = "x86_64")]
pub(super) use {
    eight::Eight,
    products::products_in_blocks,
    sums::{Along, sums_in_blocks},
    turns::{turn_to_lanes, turn_to_rows},
};

use super::{Indices, LANES, Lane};

/// Some columns of a table, each row padded with zeros to whole vectors.
#[derive(Clone, Debug, Default)]
pub struct Table {
    data: Vec<Lane>,
    /// Vectors a row.
    vectors: usize,
}

impl Table {
    /// `len` columns from `first` on, of a table `[rows][width]`.
    pub fn new(values: &[f64], width: usize, first: usize, len: usize) -> Self {
        let vectors = len.div_ceil(LANES);
        let mut data = Vec::with_capacity(vectors * (values.len() / width.max(1)));
        for row in values.chunks_exact(width.max(1)) {
            for part in row[first..first + len].chunks(LANES) {
                let mut vector = Lane::default();
                vector.0[..part.len()].copy_from_slice(part);
                data.push(vector);
            }
        }
        Self { data, vectors }
    }
    /// Vectors a row.
    pub fn vectors(&self) -> usize {
        self.vectors
    }
}

/// Samples that are rows of a table: sample k of lane l of tile t is row `indices[k·tiles + t][l]`.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// The table.
    pub table: &'a Table,
    /// `[count][tiles]`.
    pub indices: &'a [Indices],
    /// How many samples.
    pub count: usize,
    /// Vectors an element.
    pub tiles: usize,
}

impl Samples<'_> {
    fn check(&self, numbers: &[Lane]) {
        let needed = self.count * self.tiles;
        assert!(self.indices.len() >= needed, "{} indices for {needed}", self.indices.len());
        assert!(numbers.len() >= needed, "{} numbers for {needed}", numbers.len());
    }
    /// Where the rows of `S` samples begin, in numbers: sample by sample from `k` on, lane by lane of tile `t`.
    #[inline(always)]
    fn places<const S: usize>(&self, k: usize, t: usize) -> [[usize; LANES]; S] {
        let mut places = [[0; LANES]; S];
        for s in 0..S {
            let index = &self.indices[(k + s) * self.tiles + t];
            places[s] = starts(index, self.table.vectors * LANES, self.table.data.len() * LANES);
        }
        places
    }
}

/// Where rows of `width` begin in a table of `len`.
#[inline(always)]
fn starts(index: &Indices, width: usize, len: usize) -> [usize; LANES] {
    let (mut starts, mut last) = ([0; LANES], 0);
    for l in 0..LANES {
        starts[l] = index.0[l] as usize * width;
        last = last.max(starts[l]);
    }
    assert!(last + width <= len, "a row from {last} on in a table of {len}");
    starts
}

/// Samples of a block.
const SAMPLES: usize = 8;

/// Does `$block!($n)` with the number of vectors that is left, below 8.
macro_rules! of_rest {
    ($rest:expr, $block:ident) => {
        match $rest {
            0 => {}
            1 => $block!(1),
            2 => $block!(2),
            3 => $block!(3),
            4 => $block!(4),
            5 => $block!(5),
            6 => $block!(6),
            _ => $block!(7),
        }
    };
}
use of_rest;

#[cfg(test)]
mod tests;

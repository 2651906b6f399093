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
    products::{products_of_few, products_of_rows},
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
    /// Where the rows of samples begin: of `S` from `k` on, in tile `t`.
    ///
    /// # Safety
    /// There are indices of these samples.
    #[inline(always)]
    unsafe fn places<const S: usize>(&self, k: usize, t: usize) -> Places<S> {
        let width = self.table.vectors * LANES;
        let (mut places, mut last) = (Places([[0; LANES]; S]), [0; LANES]);
        let mut index = self.indices.as_ptr().wrapping_add(k * self.tiles + t);
        for place in &mut places.0 {
            for l in 0..LANES {
                // SAFETY: the caller's.
                place[l] = unsafe { (*index).0[l] } as usize * width;
                last[l] = last[l].max(place[l]);
            }
            index = index.wrapping_add(self.tiles);
        }
        let last = last.into_iter().fold(0, usize::max);
        let len = self.table.data.len() * LANES;
        assert!(last + width <= len, "a row from {last} on in a table of {len}");
        places
    }
}

/// Where rows begin in a table, in numbers: sample by sample, lane by lane.
#[repr(align(64))]
struct Places<const S: usize>([[usize; LANES]; S]);

/// Samples of a block.
const SAMPLES: usize = 8;

#[cfg(test)]
mod tests;

//! Columns of rows that are needed as vectors of replicas.

use crate::lanes::{Indices, LANES, Lane, vectorized};

/// Turns columns of the samples' rows into vectors: column c of sample k goes to `out[k·stride + c·tiles ..]`, a vector a tile.
///
/// Number by number, by the instructions that every machine has: those that gather vectors take as many loads, and longer.
///
/// # Panics
/// If an index lies beyond the table, a column beyond its rows, or a result beyond `out`.
pub fn columns(out: &mut [Lane], stride: usize, columns: Columns<'_>) {
    let Columns { table, width, first, len, indices, tiles } = columns;
    let last = last_of(indices) as usize;
    assert!(first + len <= width, "columns {first} + {len} of {width}");
    assert!(
        indices.is_empty() || (last + 1) * width <= table.len(),
        "row {last} of a table of {}",
        table.len()
    );
    for (k, indices) in indices.chunks_exact(tiles).enumerate() {
        for c in 0..len {
            let to = &mut out[k * stride + c * tiles..][..tiles];
            for (to, index) in to.iter_mut().zip(indices) {
                for l in 0..LANES {
                    // SAFETY: the row is one of the table, and the column one of its.
                    to.0[l] = unsafe { *table.get_unchecked(index.0[l] as usize * width + first + c) };
                }
            }
        }
    }
}

vectorized! {
    /// The largest index.
    fn last_of(indices: &[Indices]) -> u32 {
        let mut last = [0; LANES];
        for index in indices {
            for l in 0..LANES {
                last[l] = index.0[l].max(last[l]);
            }
        }
        last.into_iter().fold(0, u32::max)
    }
}

/// Some columns of a table `[rows][width]`; samples as [`Samples`] have them.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// The table.
    pub table: &'a [f64],
    /// Numbers a row.
    pub width: usize,
    /// The first column.
    pub first: usize,
    /// How many.
    pub len: usize,
    /// `[count][tiles]`.
    pub indices: &'a [Indices],
    /// Vectors an element.
    pub tiles: usize,
}

//! Columns of rows that are needed as vectors of replicas.

use crate::lanes::{Indices, LANES, Lane};

/// Turns columns of the samples' rows into vectors: column c of sample k goes to `out[k·stride + c·tiles ..]`, a vector a tile.
///
/// Number by number: instructions that gather vectors take as many loads, and longer.
///
/// # Panics
/// If an index lies beyond the table, a column beyond its rows, or a result beyond `out`.
pub fn columns(out: &mut [Lane], stride: usize, columns: Columns<'_>) {
    let Columns { table, width, first, len, indices, tiles } = columns;
    assert!(first + len <= width, "columns {first} + {len} of {width}");
    for (k, indices) in indices.chunks_exact(tiles).enumerate() {
        for (t, index) in indices.iter().enumerate() {
            let rows = index.0.map(|row| &table[row as usize * width + first..][..len]);
            for c in 0..len {
                let to = &mut out[k * stride + c * tiles + t];
                for l in 0..LANES {
                    to.0[l] = rows[l][c];
                }
            }
        }
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

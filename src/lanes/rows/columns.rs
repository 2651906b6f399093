//! Columns of rows that are needed as vectors of replicas.

use super::eight::Eight;
use super::starts;
#[cfg(target_arch = "x86_64")]
use crate::lanes::vectors;
use crate::lanes::{Indices, LANES, Lane, Level};

/// Turns columns of the samples' rows into vectors: column c of sample k goes to `out[k·stride + c·tiles ..]`, a vector a tile.
///
/// # Panics
/// If an index lies beyond the table, a column beyond its rows, or a result beyond `out`.
pub fn columns(out: &mut [Lane], stride: usize, columns: Columns<'_>) {
    let Columns { width, first, len, indices, tiles, .. } = columns;
    assert!(first + len <= width, "columns {first} + {len} of {width}");
    let samples = indices.len() / tiles.max(1);
    assert!(samples == 0 || (samples - 1) * stride + len * tiles <= out.len(), "{} vectors", out.len());
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::columns_v4(out, stride, columns),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::columns_v3(out, stride, columns),
        // SAFETY: the extents are checked.
        _ => unsafe { turn_columns::<[f64; LANES]>(out, stride, columns) },
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

/// As [`columns`].
///
/// # Safety
/// The extents are checked, and the machine has the vector's instructions.
#[inline(always)]
pub(in crate::lanes) unsafe fn turn_columns<V: Eight>(out: &mut [Lane], stride: usize, columns: Columns<'_>) {
    let Columns { table, width, first, len, indices, tiles } = columns;
    for (k, indices) in indices.chunks_exact(tiles).enumerate() {
        for (t, index) in indices.iter().enumerate() {
            let starts = starts(index, width, table.len());
            for c in 0..len {
                // SAFETY: whole rows of the table, and places of the result that were checked.
                unsafe {
                    let from = table.as_ptr().add(first + c);
                    V::gather(from, &starts).store(out.as_mut_ptr().add(k * stride + c * tiles + t).cast());
                }
            }
        }
    }
}

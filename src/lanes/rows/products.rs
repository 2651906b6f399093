//! Products of a vector of every replica with rows of a table.

use super::eight::Eight;
use super::{SAMPLES, Samples};
#[cfg(target_arch = "x86_64")]
use crate::lanes::vectors;
use crate::lanes::{LANES, Lane, Level};
use std::mem::MaybeUninit;

/// out[k] = Σ_e w[e] x_k[e], `[count][tiles]`, for every replica's w as [`to_rows`] turned it.
///
/// A sum is made of eight, s_j = Σ_v w[8v + j] x[8v + j] in the order of v, as ((s₀ + s₄) + (s₂ + s₆)) + ((s₁ + s₅) + (s₃ + s₇)).
///
/// # Panics
/// If an operand is too short, or an index lies beyond the table.
pub fn row_products(out: &mut [Lane], turned: &[Lane], samples: Samples<'_>) {
    let Samples { table, tiles, .. } = samples;
    samples.check(out);
    assert!(turned.len() >= tiles * LANES * table.vectors, "rows of {} vectors", turned.len());
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::row_products_v4(out, turned, samples),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::row_products_v3(out, turned, samples),
        // SAFETY: the extents are checked.
        _ => unsafe { products_of_rows::<[f64; LANES], 4, 0>(out, turned, samples) },
    }
}

/// As [`products_of_rows`], with the length of short rows known to the compiler.
///
/// # Safety
/// As for [`products_of_rows`].
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(in crate::lanes) unsafe fn products_of_few<V: Eight, const S: usize>(
    out: &mut [Lane],
    turned: &[Lane],
    samples: Samples<'_>,
) {
    // SAFETY: the caller's.
    unsafe {
        match samples.table.vectors {
            1 => products_of_rows::<V, S, 1>(out, turned, samples),
            2 => products_of_rows::<V, S, 2>(out, turned, samples),
            3 => products_of_rows::<V, S, 3>(out, turned, samples),
            4 => products_of_rows::<V, S, 4>(out, turned, samples),
            5 => products_of_rows::<V, S, 5>(out, turned, samples),
            6 => products_of_rows::<V, S, 6>(out, turned, samples),
            7 => products_of_rows::<V, S, 7>(out, turned, samples),
            8 => products_of_rows::<V, S, 8>(out, turned, samples),
            _ => products_of_rows::<V, S, 0>(out, turned, samples),
        }
    }
}

/// As [`row_products`], with rows of `N` vectors, or of any number where this is 0; sums over the rows of `S` samples grow side by side, in
/// registers.
///
/// # Safety
/// The operands hold the extents, and the machine has the vector's instructions.
#[inline(always)]
pub(in crate::lanes) unsafe fn products_of_rows<V: Eight, const S: usize, const N: usize>(
    out: &mut [Lane],
    turned: &[Lane],
    samples: Samples<'_>,
) {
    let whole = samples.count - samples.count % SAMPLES;
    // SAFETY: the blocks lie within the extents.
    unsafe {
        for t in 0..samples.tiles {
            for k in (0..whole).step_by(SAMPLES) {
                block_of_products::<V, S, N>(out, turned, samples, k, t);
            }
            for k in whole..samples.count {
                products_of_one::<V>(out, turned, samples, k, t);
            }
        }
    }
}

/// Products with [`SAMPLES`] samples from sample `k` on: a replica's samples are summed up together, and only what comes of it is turned.
///
/// # Safety
/// As for [`products_of_rows`].
#[inline(always)]
unsafe fn block_of_products<V: Eight, const S: usize, const N: usize>(
    out: &mut [Lane],
    turned: &[Lane],
    samples: Samples<'_>,
    k: usize,
    t: usize,
) {
    const { assert!(SAMPLES.is_multiple_of(S)) };
    let (vectors, tiles) = (if N > 0 { N } else { samples.table.vectors }, samples.tiles);
    let table = samples.table.data.as_ptr().cast::<f64>();
    let mut products = MaybeUninit::<[Lane; LANES]>::uninit();
    let products = products.as_mut_ptr().cast::<f64>();
    // SAFETY: whole rows of the table and of the matrix.
    unsafe {
        let places = samples.places::<SAMPLES>(k, t);
        let w = turned.as_ptr().add(t * LANES * vectors).cast::<f64>();
        for l in 0..LANES {
            let w = w.add(l * vectors * LANES);
            let mut sums = [V::splat(-0.0); SAMPLES];
            for first in (0..SAMPLES).step_by(S) {
                let mut rows = [table; S];
                let mut grown = [V::splat(-0.0); S];
                for s in 0..S {
                    rows[s] = table.add(places.0[first + s][l]);
                }
                // A macro, since a closure would not have the instructions of the level.
                macro_rules! grow {
                    ($v:expr) => {
                        let w = V::load(w.add($v * LANES));
                        for s in 0..S {
                            grown[s] = grown[s].plus_product(V::load(rows[s].add($v * LANES)), w);
                        }
                    };
                }
                // Written out by eights: loads with a stride would have rows fetched beyond their ends.
                let whole = vectors - vectors % LANES;
                for first in (0..whole).step_by(LANES) {
                    for v in 0..LANES {
                        grow!((first + v));
                    }
                }
                for v in whole..vectors {
                    grow!(v);
                }
                sums[first..first + S].copy_from_slice(&grown);
            }
            V::fold(sums).store(products.add(l * LANES));
        }
        let mut square = [V::splat(0.0); LANES];
        for l in 0..LANES {
            square[l] = V::load(products.add(l * LANES));
        }
        let turned = V::turn(square);
        let mut to = out.as_mut_ptr().add(k * tiles + t);
        for s in 0..SAMPLES {
            turned[s].store(to.cast());
            to = to.wrapping_add(tiles);
        }
    }
}

/// Products with sample `k` alone.
///
/// # Safety
/// As for [`block_of_products`].
#[inline(always)]
unsafe fn products_of_one<V: Eight>(
    out: &mut [Lane],
    turned: &[Lane],
    samples: Samples<'_>,
    k: usize,
    t: usize,
) {
    let (vectors, tiles) = (samples.table.vectors, samples.tiles);
    let table = samples.table.data.as_ptr().cast::<f64>();
    // SAFETY: whole rows of the table and of the matrix.
    unsafe {
        let places = samples.places::<1>(k, t);
        let mut sums = [V::splat(-0.0); LANES];
        for l in 0..LANES {
            let w = turned.as_ptr().add((t * LANES + l) * vectors).cast::<f64>();
            let x = table.add(places.0[0][l]);
            for v in 0..vectors {
                sums[l] = sums[l].plus_product(V::load(x.add(v * LANES)), V::load(w.add(v * LANES)));
            }
        }
        V::fold(sums).store(out.as_mut_ptr().add(k * tiles + t).cast());
    }
}

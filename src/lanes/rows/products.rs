//! Products of a vector of every replica with rows of a table.

use super::eight::Eight;
use super::{SAMPLES, Samples, of_rest};
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
        _ => unsafe { products_in_blocks::<[f64; LANES], 4>(out, turned, samples) },
    }
}

/// As [`row_products`]; `KEPT` vectors of a replica's row stay in registers for all samples of a block.
///
/// # Safety
/// The operands hold the extents, and the machine has the vector's instructions.
#[inline(always)]
pub(in crate::lanes) unsafe fn products_in_blocks<V: Eight, const KEPT: usize>(
    out: &mut [Lane],
    turned: &[Lane],
    samples: Samples<'_>,
) {
    let whole = samples.count - samples.count % SAMPLES;
    // SAFETY: the blocks lie within the extents.
    unsafe {
        for t in 0..samples.tiles {
            for k in (0..whole).step_by(SAMPLES) {
                block_of_products::<V, KEPT>(out, turned, samples, k, t);
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
/// As for [`products_in_blocks`]; the products are among the result's.
#[inline(always)]
unsafe fn block_of_products<V: Eight, const KEPT: usize>(
    out: &mut [Lane],
    turned: &[Lane],
    samples: Samples<'_>,
    k: usize,
    t: usize,
) {
    const { assert!(KEPT <= 8) };
    let (vectors, tiles) = (samples.table.vectors, samples.tiles);
    let whole = vectors - vectors % KEPT;
    let places = samples.places::<SAMPLES>(k, t);
    let table = samples.table.data.as_ptr().cast::<f64>();
    let mut products = MaybeUninit::<[Lane; LANES]>::uninit();
    let products = products.as_mut_ptr().cast::<f64>();
    // SAFETY: whole rows of the table and of the matrix.
    unsafe {
        for l in 0..LANES {
            let w = turned.as_ptr().add((t * LANES + l) * vectors).cast::<f64>();
            let mut sums = [V::splat(-0.0); SAMPLES];
            macro_rules! stretch {
                ($n:expr, $first:expr) => {
                    let mut kept = [V::splat(0.0); $n];
                    for v in 0..$n {
                        kept[v] = V::load(w.add(($first + v) * LANES));
                    }
                    for s in 0..SAMPLES {
                        let x = table.add(places[s][l] + $first * LANES);
                        for v in 0..$n {
                            sums[s] = sums[s].plus_product(V::load(x.add(v * LANES)), kept[v]);
                        }
                    }
                };
                ($n:expr) => {{
                    stretch!($n, whole);
                }};
            }
            for first in (0..whole).step_by(KEPT) {
                stretch!(KEPT, first);
            }
            of_rest!(vectors - whole, stretch);
            V::fold(sums).store(products.add(l * LANES));
        }
        let mut square = [V::splat(0.0); LANES];
        for l in 0..LANES {
            square[l] = V::load(products.add(l * LANES));
        }
        let turned = V::turn(square);
        for s in 0..SAMPLES {
            turned[s].store(out.as_mut_ptr().add((k + s) * tiles + t).cast());
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
    let [places] = samples.places::<1>(k, t);
    let table = samples.table.data.as_ptr().cast::<f64>();
    // SAFETY: whole rows of the table and of the matrix.
    unsafe {
        let mut sums = [V::splat(-0.0); LANES];
        for l in 0..LANES {
            let w = turned.as_ptr().add((t * LANES + l) * vectors).cast::<f64>();
            let x = table.add(places[l]);
            for v in 0..vectors {
                sums[l] = sums[l].plus_product(V::load(x.add(v * LANES)), V::load(w.add(v * LANES)));
            }
        }
        V::fold(sums).store(out.as_mut_ptr().add(k * tiles + t).cast());
    }
}

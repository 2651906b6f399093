//! Sums of multiples of rows of a table, and steps along them.

use super::eight::Eight;
use super::{SAMPLES, Samples, of_rest};
#[cfg(target_arch = "x86_64")]
use crate::lanes::vectors;
use crate::lanes::{LANES, Lane, Level};

/// sums[e] (+)= Σ_k factors[k] x_k[e] in the order of k, in rows of every replica that [`to_lanes`](super::to_lanes) turns back; `factors` is `[count][tiles]`,
/// and the sums begin anew unless `add`.
///
/// # Panics
/// If an operand is too short, or an index lies beyond the table.
pub fn row_sums(sums: &mut [Lane], factors: &[Lane], samples: Samples<'_>, add: bool) {
    sums_and_step(sums, factors, samples, add, None);
}

/// Rows of every replica that step along sums, number by number as kernels do it in lanes: v ← βv − η(s g + λθ), θ ← θ + v; or
/// θ ← θ − η(s g + λθ) where there is no v.
#[derive(Debug)]
pub struct Step<'a> {
    /// θ.
    pub theta: &'a mut [Lane],
    /// v; empty if there is none.
    pub velocity: &'a mut [Lane],
    /// Memory for the sums.
    pub sums: &'a mut [Lane],
    /// Numbers a row.
    pub len: usize,
    /// η.
    pub rate: f64,
    /// s.
    pub factor: f64,
    /// λ.
    pub decay: f64,
    /// β.
    pub momentum: f64,
}

/// As [`row_sums`], of at least one sample, and then the step along these sums g, which are not kept. The padding of θ and v
/// stays 0, even where a multiple of 0 is not.
///
/// # Panics
/// As [`row_sums`]; or if there is no sample, or rows of θ and v are others than those of the table.
pub fn step_along_sums(step: &mut Step<'_>, factors: &[Lane], samples: Samples<'_>, add: bool) {
    let Samples { table, tiles, count, .. } = samples;
    let vectors = tiles * LANES * table.vectors;
    let Step { theta, velocity, sums, len, rate, factor, decay, momentum } = step;
    assert!(count > 0 && len.div_ceil(LANES) == table.vectors, "{count} rows of {len}");
    let theta = &mut theta[..vectors];
    let velocity = if velocity.is_empty() { &mut [] } else { &mut velocity[..vectors] };
    let along = Along {
        theta: theta.as_mut_ptr().cast(),
        velocity: velocity.as_mut_ptr().cast(),
        rate: *rate,
        factor: *factor,
        decay: *decay,
        momentum: (!velocity.is_empty()).then_some(*momentum),
    };
    sums_and_step(sums, factors, samples, add, Some(&along));
    clear_padding(theta, *len);
    clear_padding(velocity, *len);
}

/// A [`Step`] whose operands are checked; without v where there is no momentum.
pub(in crate::lanes) struct Along {
    theta: *mut f64,
    velocity: *mut f64,
    rate: f64,
    factor: f64,
    decay: f64,
    momentum: Option<f64>,
}

fn sums_and_step(
    sums: &mut [Lane],
    factors: &[Lane],
    samples: Samples<'_>,
    add: bool,
    along: Option<&Along>,
) {
    let Samples { table, tiles, .. } = samples;
    samples.check(factors);
    assert!(sums.len() >= tiles * LANES * table.vectors, "sums in {} vectors", sums.len());
    match Level::current() {
        #[cfg(target_arch = "x86_64")]
        Level::V4 => vectors::row_sums_v4(sums, factors, samples, add, along),
        #[cfg(target_arch = "x86_64")]
        Level::V3 => vectors::row_sums_v3(sums, factors, samples, add, along),
        // SAFETY: the extents are checked.
        _ => unsafe { sums_in_blocks::<[f64; LANES], 4>(sums, factors, samples, add, along) },
    }
}

/// Makes the padding of rows of `len` numbers zeros again.
fn clear_padding(turned: &mut [Lane], len: usize) {
    let rest = len % LANES;
    if rest > 0 {
        for last in turned.chunks_exact_mut(len.div_ceil(LANES)).filter_map(<[Lane]>::last_mut) {
            last.0[rest..].fill(0.0);
        }
    }
}

/// As [`row_sums`]; `KEPT` vectors of a replica's sums stay in registers for all samples of a block.
///
/// # Safety
/// As for [`products_in_blocks`].
#[inline(always)]
pub(in crate::lanes) unsafe fn sums_in_blocks<V: Eight, const KEPT: usize>(
    sums: &mut [Lane],
    factors: &[Lane],
    samples: Samples<'_>,
    add: bool,
    along: Option<&Along>,
) {
    const { assert!(KEPT <= 8) };
    if samples.count == 0 && !add {
        return sums.fill(Lane::splat(-0.0));
    }
    let (count, vectors) = (samples.count, samples.table.vectors);
    let (many, whole) = (count - count % SAMPLES, vectors - vectors % KEPT);
    // SAFETY: the blocks lie within the extents.
    unsafe {
        // The rows that were read last are the likeliest to be in the first cache.
        for t in (0..samples.tiles).rev() {
            macro_rules! block {
                ($n:expr, $samples:expr, $k:expr, $v:expr) => {
                    let places = samples.places::<{ $samples }>($k, t);
                    let (add, along) = (add || $k > 0, along.filter(|_| $k + $samples == count));
                    for l in (0..LANES).rev() {
                        let at = [$v, t, l, $k];
                        summed::<V, { $n }, { $samples }>(sums, factors, samples, &places, at, add, along);
                    }
                };
            }
            for k in (0..many).step_by(SAMPLES) {
                for v in (0..whole).step_by(KEPT) {
                    block!(KEPT, SAMPLES, k, v);
                }
                macro_rules! rest {
                    ($n:expr) => {{
                        block!($n, SAMPLES, k, whole);
                    }};
                }
                of_rest!(vectors - whole, rest);
            }
            for k in many..count {
                for v in (0..whole).step_by(KEPT) {
                    block!(KEPT, 1, k, v);
                }
                macro_rules! rest {
                    ($n:expr) => {{
                        block!($n, 1, k, whole);
                    }};
                }
                of_rest!(vectors - whole, rest);
            }
        }
    }
}

/// `N` vectors from vector, tile and lane `at` on, over `S` samples from sample `k` on, whose rows are at `places`.
///
/// # Safety
/// As for [`sums_in_blocks`]; the vectors are among the sums'.
#[inline(always)]
unsafe fn summed<V: Eight, const N: usize, const S: usize>(
    sums: &mut [Lane],
    factors: &[Lane],
    samples: Samples<'_>,
    places: &[[usize; LANES]; S],
    [v, t, l, k]: [usize; 4],
    add: bool,
    along: Option<&Along>,
) {
    let (vectors, tiles) = (samples.table.vectors, samples.tiles);
    // SAFETY: the caller's.
    unsafe {
        let at = (t * LANES + l) * vectors + v;
        let to = sums.as_mut_ptr().add(at).cast::<f64>();
        let mut total = [V::splat(-0.0); N];
        if add {
            for c in 0..N {
                total[c] = V::load(to.add(c * LANES));
            }
        }
        let from = factors.as_ptr().add(k * tiles + t).cast::<f64>().add(l);
        let table = samples.table.data.as_ptr().add(v).cast::<f64>();
        for s in 0..S {
            let (row, factor) = (table.add(places[s][l]), V::splat(*from.add(s * tiles * LANES)));
            for c in 0..N {
                total[c] = total[c].plus_product(factor, V::load(row.add(c * LANES)));
            }
        }
        let Some(&Along { theta, velocity, rate, factor, decay, momentum }) = along else {
            for c in 0..N {
                total[c].store(to.add(c * LANES));
            }
            return;
        };
        let [rate, factor, decay] = [V::splat(rate), V::splat(factor), V::splat(decay)];
        let (theta, velocity) = (theta.add(at * LANES), velocity.wrapping_add(at * LANES));
        if let Some(momentum) = momentum {
            let momentum = V::splat(momentum);
            for c in 0..N {
                let (x, v) = (V::load(theta.add(c * LANES)), V::load(velocity.add(c * LANES)));
                let change = rate.times(factor.times(total[c]).plus(decay.times(x)));
                let v = momentum.times(v).minus(change);
                v.store(velocity.add(c * LANES));
                x.plus(v).store(theta.add(c * LANES));
            }
        } else {
            for c in 0..N {
                let x = V::load(theta.add(c * LANES));
                let change = rate.times(factor.times(total[c]).plus(decay.times(x)));
                x.minus(change).store(theta.add(c * LANES));
            }
        }
    }
}

//! Sums of multiples of rows of a table, and steps along them.

use super::eight::Eight;
use super::{Places, SAMPLES, Samples};
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

/// Samples of a block where not enough for a whole one are left.
const HALF: usize = SAMPLES / 2;

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

/// As [`row_sums`]; `KEPT` vectors of a replica's sums stay in registers for all samples of a block.
///
/// # Safety
/// The operands hold the extents, and the machine has the vector's instructions.
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
    let many = count - count % SAMPLES;
    let mut part = Part { sums, factors, samples, along: None, add };
    // SAFETY: the blocks lie within the extents.
    unsafe {
        // The rows that were read last are the likeliest to be in the first cache.
        for t in (0..samples.tiles).rev() {
            macro_rules! block {
                ($samples:expr, $k:expr) => {
                    part.add = add || $k > 0;
                    part.along = along.filter(|_| $k + $samples == count);
                    let places = samples.places::<{ $samples }>($k, t);
                    let mut v = 0;
                    while v + KEPT <= vectors {
                        part.summed::<V, KEPT, { $samples }>(&places, v, t, $k);
                        v += KEPT;
                    }
                    macro_rules! rest {
                        ($n:expr) => {
                            part.summed::<V, { $n }, { $samples }>(&places, v, t, $k)
                        };
                    }
                    of_rest!(vectors - v, rest);
                };
            }
            for k in (0..many).step_by(SAMPLES) {
                block!(SAMPLES, k);
            }
            let rest = if count - many >= HALF { HALF } else { 0 };
            if rest > 0 {
                block!(HALF, many);
            }
            for k in many + rest..count {
                block!(1, k);
            }
        }
    }
}

/// A part of what is summed up.
struct Part<'a> {
    sums: &'a mut [Lane],
    factors: &'a [Lane],
    samples: Samples<'a>,
    /// What steps along these sums, if they are whole then.
    along: Option<&'a Along>,
    add: bool,
}

impl Part<'_> {
    /// `N` vectors from vector `v` of every lane of tile `t` on, over `S` samples from sample `k` on, whose rows are at `places`.
    ///
    /// # Safety
    /// As for [`sums_in_blocks`]; the vectors are among the sums'.
    #[inline(always)]
    unsafe fn summed<V: Eight, const N: usize, const S: usize>(
        &mut self,
        places: &Places<S>,
        v: usize,
        t: usize,
        k: usize,
    ) {
        let (vectors, tiles) = (self.samples.table.vectors, self.samples.tiles);
        // SAFETY: the caller's.
        unsafe {
            let factors = self.factors.as_ptr().add(k * tiles + t).cast::<f64>();
            let table = self.samples.table.data.as_ptr().add(v).cast::<f64>();
            for l in (0..LANES).rev() {
                let at = (t * LANES + l) * vectors + v;
                let to = self.sums.as_mut_ptr().add(at).cast::<f64>();
                let mut total = [V::splat(-0.0); N];
                if self.add {
                    for c in 0..N {
                        total[c] = V::load(to.add(c * LANES));
                    }
                }
                let mut from = factors.add(l);
                for s in 0..S {
                    let (row, factor) = (table.add(places.0[s][l]), V::splat(*from));
                    for c in 0..N {
                        total[c] = total[c].plus_product(factor, V::load(row.add(c * LANES)));
                    }
                    from = from.wrapping_add(tiles * LANES);
                }
                if let Some(along) = self.along {
                    along.step(total, at);
                } else {
                    for c in 0..N {
                        total[c].store(to.add(c * LANES));
                    }
                }
            }
        }
    }
}

impl Along {
    /// The step of the vectors from `at` on.
    ///
    /// # Safety
    /// There are these vectors, and the machine has the vector's instructions.
    #[inline(always)]
    unsafe fn step<V: Eight, const N: usize>(&self, total: [V; N], at: usize) {
        let &Self { theta, velocity, rate, factor, decay, momentum } = self;
        // SAFETY: the caller's.
        unsafe {
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
}

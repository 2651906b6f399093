//! How fast an observable decays along a path: the least-squares line through ln|x| against t, gathered instant by
//! instant.
//!
//! Every replica has a fit of its own. ln|x| averages over what a path goes through, ln of the ensemble mean does not:
//! where noise multiplies x, ln⟨x⟩ falls more slowly than ⟨ln|x|⟩, by half the variance of ln|x|.

use std::ops::Range;

use crate::lanes::math::scalar;
use crate::lanes::{Lane, flat, flat_mut, vectorized};

/// Numbers of one component: the rate; instants at which x was exactly 0; changes of sign between instants.
pub const NUMBERS: usize = 3;

/// The instants of a fit, and its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Instants from the share `from` to the share `to` of the run.
    pub instants: Range<usize>,
    /// One an instant of the run, 0 outside: −Σ a ln|x| is the slope. All 0 for fewer than two instants.
    pub weights: Vec<f64>,
}

/// The line through the instants from the share `from` to the share `to` of the run.
pub fn line(times: &[f64], from: f64, to: f64) -> Line {
    let (start, end) = (times.first().copied().unwrap_or(0.0), times.last().copied().unwrap_or(0.0));
    // A time that misses the edge by rounding alone is inside.
    let slack = 1e-9 * (end - start);
    let edge = |share: f64| start + share * (end - start);
    let first = times.partition_point(|&t| t < edge(from) - slack);
    let last = times.partition_point(|&t| t <= edge(to) + slack).max(first);
    let chosen = &times[first..last];
    let middle = chosen.iter().sum::<f64>() / chosen.len() as f64;
    let square: f64 = chosen.iter().map(|t| (t - middle) * (t - middle)).sum();
    let mut weights = vec![0.0; times.len()];
    if square > 0.0 {
        weights[first..last].iter_mut().zip(chosen).for_each(|(w, t)| *w = (t - middle) / -square);
    }
    Line { instants: first..last, weights }
}

/// The fits of one block, `[components][tiles]` each.
pub struct DecayRate {
    line: Line,
    logarithm: Vec<Lane>,
    before: Vec<Lane>,
    rate: Vec<Lane>,
    zeros: Vec<Lane>,
    changes: Vec<Lane>,
}

impl DecayRate {
    /// For `len` vectors of x at instants of these times.
    pub fn new(times: &[f64], from: f64, to: f64, len: usize) -> Self {
        let vectors = || vec![Lane::default(); len];
        Self {
            line: line(times, from, to),
            logarithm: vectors(),
            before: vectors(),
            rate: vectors(),
            zeros: vectors(),
            changes: vectors(),
        }
    }

    /// Takes x at `instant` and writes `[components][NUMBERS][tiles]`: 0 until the last instant of the fit, the fit
    /// from then on.
    pub fn push(&mut self, instant: usize, x: &[Lane], out: &mut [Lane], tiles: usize) {
        let Line { instants, weights } = &self.line;
        let within = instants.contains(&instant);
        if within {
            logarithms(&mut self.logarithm, &mut self.zeros, x);
            accumulate(&mut self.rate, &self.logarithm, weights[instant]);
            if instant > instants.start {
                sign_changes(&mut self.changes, x, &self.before);
            }
            self.before.copy_from_slice(x);
        }
        if instant + 1 < instants.end {
            out.fill(Lane::default());
            // What is not finite is not to be lost.
            if within {
                for (out, x) in out.chunks_exact_mut(NUMBERS * tiles).zip(x.chunks_exact(tiles)) {
                    taint_from(&mut out[..tiles], x);
                }
            }
            return;
        }
        for (component, out) in out.chunks_exact_mut(NUMBERS * tiles).enumerate() {
            let here = component * tiles..(component + 1) * tiles;
            for (out, from) in out.chunks_exact_mut(tiles).zip([&self.rate, &self.zeros, &self.changes]) {
                out.copy_from_slice(&from[here.clone()]);
            }
        }
    }
}

vectorized! {
    /// out = ln|x|, and 0 where x is 0, which is counted.
    fn logarithms(out: &mut [Lane], zeros: &mut [Lane], x: &[Lane]) {
        for ((out, zero), x) in flat_mut(out).iter_mut().zip(flat_mut(zeros)).zip(flat(x)) {
            let size = x.abs();
            *zero += if size == 0.0 { 1.0 } else { 0.0 };
            *out = scalar::ln(if size == 0.0 { 1.0 } else { size });
        }
    }

    /// sum += weight·x.
    fn accumulate(sum: &mut [Lane], x: &[Lane], weight: f64) {
        for (sum, x) in flat_mut(sum).iter_mut().zip(flat(x)) {
            *sum += weight * x;
        }
    }

    /// Counts where x and y lie on different sides of 0.
    fn sign_changes(count: &mut [Lane], x: &[Lane], y: &[Lane]) {
        for ((count, x), y) in flat_mut(count).iter_mut().zip(flat(x)).zip(flat(y)) {
            *count += if (*x < 0.0) == (*y < 0.0) { 0.0 } else { 1.0 };
        }
    }

    /// out += 0·x.
    fn taint_from(out: &mut [Lane], x: &[Lane]) {
        for (out, x) in flat_mut(out).iter_mut().zip(flat(x)) {
            *out += 0.0 * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_give_the_slope_of_the_line_within_the_window() {
        let times = [0.0, 0.5, 1.0, 2.0, 4.0, 5.0];
        let Line { instants, weights } = line(&times, 0.1, 0.8);
        assert_eq!(instants, 1..5);
        assert_eq!((weights[0], weights[5]), (0.0, 0.0));
        // ln x = 3 − 0.7 t inside, anything outside.
        let fitted: f64 =
            times.iter().zip(&weights).map(|(t, w)| w * if *w == 0.0 { 99.0 } else { 3.0 - 0.7 * t }).sum();
        assert!((fitted - 0.7).abs() < 1e-14, "{fitted}");
        assert!(line(&times, 0.11, 0.3).weights.iter().all(|w| *w == 0.0));
        assert!(line(&[], 0.0, 1.0).instants.is_empty());
    }

    #[test]
    fn fits_count_zeros_and_changes_of_sign() {
        let times: Vec<f64> = (0..=4).map(f64::from).collect();
        let mut fit = DecayRate::new(&times, 0.0, 1.0, 1);
        let mut out = vec![Lane::default(); NUMBERS];
        for (k, t) in times.iter().enumerate() {
            let mut x = Lane::splat((-0.3 * t).exp());
            x.0[1] = if k % 2 == 0 { 1.0 } else { -1.0 };
            x.0[2] = 0.0;
            x.0[3] = if k == 1 { f64::NAN } else { 1.0 };
            fit.push(k, &[x], &mut out, 1);
            assert_eq!(out[0].0[3].is_nan(), k == 1 || k == 4, "{k}");
        }
        assert!((out[0].0[0] - 0.3).abs() < 1e-14);
        assert_eq!((out[0].0[1], out[1].0[1], out[2].0[1]), (0.0, 0.0, 4.0));
        assert_eq!((out[1].0[2], out[2].0[2]), (5.0, 0.0));
    }
}

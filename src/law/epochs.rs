//! SGD without replacement about a minimum: minibatches of an epoch are of one permutation, and anticorrelate.
//!
//! With gradient noise of covariance N a sample, the mean noises of two batches of an epoch of N samples have the covariance
//! −N/(n − 1) for n samples, that of one batch of s samples N(n − s)/(s(n − 1)). In the eigenbasis of H, with F_a the step of (δ, v) for the curvature a
//! and g = −η(1, 1), the noise of the first m batches has the covariance N_ij Q_m,
//! `Q_m = V_m − U_i U_jᵀ/(n − 1)`, `V_{m+1} = F_i V_m F_jᵀ + g gᵀ n/(s(n − 1))`, `U_{m+1} = F U_m + g`,
//! and epochs are independent: `S_0 = F_i^B S_0 (F_j^B)ᵀ + Q_B`, and within an epoch `S_m = F_i^m S_0 (F_j^m)ᵀ + Q_m`.
//! This is exact where N does not depend on θ. Where it does and the loss is quadratic, [`super::shuffles`] takes the expectations over permutations
//! themselves; else N is taken at the second moment averaged over an epoch, as if θ kept still within it: of leading order in η. What
//! fluctuates faster feeds noise into the slow directions that an epoch does not cancel, so that their variance is larger than this (by some η times
//! the largest curvature).

use nalgebra::{DMatrix, Matrix2, Matrix4, Vector2, Vector4};

use super::recursion::{Kernel, Linearised, Response, stationary_by};
use crate::model::Model as _;
use crate::model::critical::Minimum;
use crate::model::formula::FormulaModel;
use crate::stats::spectrum::symmetric_eigen;

/// An epoch: samples, and the sizes of its batches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Epoch {
    pub samples: usize,
    pub batches: Vec<usize>,
}

impl Epoch {
    /// N samples in batches of S; a short last one counts unless it is dropped.
    pub fn new(samples: usize, batch: usize, drop_last: bool) -> Self {
        let mut batches = vec![batch; samples / batch];
        let left = samples % batch;
        if left > 0 && !drop_last {
            batches.push(left);
        }
        Self { samples, batches }
    }

    /// The same batches of samples that know nothing of each other: V_{m+1} = F_i V_m F_jᵀ + g gᵀ/s, as of infinitely many.
    pub fn independent(&self) -> Self {
        Self { samples: usize::MAX, batches: self.batches.clone() }
    }

    /// Share of the iterations `steps` at each place within an epoch.
    pub fn phases(&self, steps: &[u64]) -> Vec<f64> {
        let mut shares = vec![0.0; self.batches.len()];
        for step in steps {
            shares[(step % self.batches.len() as u64) as usize] += 1.0 / steps.len() as f64;
        }
        shares
    }
}

/// The covariance C of samples' gradients at the minimum where rows have fresh draws behind them, `[P][P]` each: C is their sum.
pub(super) struct Parts {
    /// Of the rows' mean gradients, which an epoch permutes.
    pub rows: Vec<f64>,
    /// Of the draws about them, which are new whenever a row is met.
    pub draws: Vec<f64>,
}

impl Parts {
    /// `None` where samples are rows alone, or draws alone.
    pub fn of(model: &FormulaModel, minimum: &Minimum) -> Option<Self> {
        let population = model.population();
        let count = population.size().filter(|_| population.mixed())?;
        let size = minimum.theta.len();
        let weights = &model.nodes().weights;
        let each = weights.len() / count;
        let gradients = model.sample_gradients(&minimum.theta);
        let mut rows = vec![0.0; size * size];
        let mut total = vec![0.0; size];
        let mut mean = vec![0.0; size];
        for (row, share) in gradients.chunks_exact(each * size).zip(weights.chunks_exact(each)) {
            let weight: f64 = share.iter().sum();
            mean.fill(0.0);
            for (gradient, w) in row.chunks_exact(size).zip(share) {
                mean.iter_mut().zip(gradient).for_each(|(m, g)| *m += w / weight * g);
            }
            for i in 0..size {
                total[i] += weight * mean[i];
                for j in 0..size {
                    rows[i * size + j] += weight * mean[i] * mean[j];
                }
            }
        }
        for (at, x) in rows.iter_mut().enumerate() {
            *x -= total[at / size] * total[at % size];
        }
        let draws = minimum.covariance.iter().zip(&rows).map(|(c, b)| c - b).collect();
        Some(Self { rows, draws })
    }
}

/// Covariances of (δ, v), or of δ alone without momentum, that the first m batches make of noise of the covariance N, from m = 0 to all; H and N are
/// `[size][size]`.
pub(super) fn covariances(
    hessian: &[f64],
    noise: &[f64],
    size: usize,
    (rate, momentum): (f64, f64),
    epoch: &Epoch,
) -> Vec<DMatrix<f64>> {
    let eigen = symmetric_eigen(&DMatrix::from_row_slice(size, size, hessian));
    let (curvature, rotation) = (&eigen.eigenvalues, &eigen.eigenvectors);
    let noise = rotation.tr_mul(&DMatrix::from_row_slice(size, size, noise)) * rotation;
    let halves = if momentum == 0.0 { 1 } else { 2 };
    let mut list = vec![DMatrix::zeros(halves * size, halves * size); epoch.batches.len() + 1];
    for i in 0..size {
        for j in 0..size {
            for (sum, q) in list.iter_mut().zip(pushed(curvature[i], curvature[j], (rate, momentum), epoch)) {
                for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    if a < halves && b < halves {
                        sum[(a * size + i, b * size + j)] = noise[(i, j)] * q[(a, b)];
                    }
                }
            }
        }
    }
    let mut turn = DMatrix::zeros(halves * size, halves * size);
    for half in 0..halves {
        turn.view_mut((half * size, half * size), (size, size)).copy_from(rotation);
    }
    list.into_iter().map(|q| &turn * q * turn.transpose()).collect()
}

/// Q_0 … Q_B per unit of N_ij, for two curvatures.
fn pushed(a: f64, b: f64, (rate, momentum): (f64, f64), epoch: &Epoch) -> Vec<Matrix2<f64>> {
    let (fa, fb) = (step_of(a, rate, momentum), step_of(b, rate, momentum));
    let kick = Vector2::repeat(-rate);
    let n = epoch.samples as f64;
    let (mut va, mut ua, mut ub) = (Matrix2::zeros(), Vector2::zeros(), Vector2::zeros());
    let mut places = vec![Matrix2::zeros()];
    for &batch in &epoch.batches {
        va = fa * va * fb.transpose() + kick * kick.transpose() * (n / (batch as f64 * (n - 1.0)));
        ua = fa * ua + kick;
        ub = fb * ub + kick;
        places.push(va - ua * ub.transpose() / (n - 1.0));
    }
    places
}

/// The step of (δ, v) for one curvature.
fn step_of(curvature: f64, rate: f64, momentum: f64) -> Matrix2<f64> {
    Matrix2::new(1.0 - rate * curvature, momentum, -rate * curvature, momentum)
}

/// The second moment about the minimum, averaged over the iterations `steps` at which it is recorded; the system's factor is 1.
///
/// # Errors
/// A sentence, where there is no stationary law.
pub(super) fn stationary(
    system: &Linearised,
    (rate, momentum): (f64, f64),
    epoch: &Epoch,
    steps: &[u64],
) -> Result<DMatrix<f64>, String> {
    let batches = epoch.batches.len();
    let everywhere = vec![1.0 / batches as f64; batches];
    let recorded = epoch.phases(steps);
    let kernels = |a: f64, b: f64| Kernel {
        felt: mode(a, b, (rate, momentum), epoch, &everywhere),
        recorded: mode(a, b, (rate, momentum), epoch, &recorded),
    };
    stationary_by(Response::Iteration { rate, momentum }, &kernels, system)
}

/// ⟨δ_i δ_j⟩ per unit of N_ij, with the weights `phases` of the places within an epoch.
fn mode(a: f64, b: f64, (rate, momentum): (f64, f64), epoch: &Epoch, phases: &[f64]) -> f64 {
    let (fa, fb) = (step_of(a, rate, momentum), step_of(b, rate, momentum));
    let noises = pushed(a, b, (rate, momentum), epoch);
    let (mut pa, mut pb) = (Matrix2::identity(), Matrix2::identity());
    let mut places = Vec::with_capacity(epoch.batches.len());
    for noise in &noises[..epoch.batches.len()] {
        places.push((pa, pb, *noise));
        pa = fa * pa;
        pb = fb * pb;
    }
    let whole = noises[epoch.batches.len()];
    let system = Matrix4::from_fn(|row, column| {
        let (i, j, k, l) = (row / 2, row % 2, column / 2, column % 2);
        f64::from(u8::from(row == column)) - pa[(i, k)] * pb[(j, l)]
    });
    let noise = Vector4::from_fn(|row, _| whole[(row / 2, row % 2)]);
    let Some(s) = system.lu().solve(&noise) else { return f64::NAN };
    let start = Matrix2::new(s[0], s[1], s[2], s[3]);
    let at =
        |(pa, pb, q): &(Matrix2<f64>, Matrix2<f64>, Matrix2<f64>)| (pa * start * pb.transpose() + q)[(0, 0)];
    places.iter().zip(phases).map(|(place, weight)| weight * at(place)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(a: f64, rate: f64, momentum: f64, epoch: &Epoch, steps: &[u64]) -> f64 {
        let unit = |x| DMatrix::from_element(1, 1, x);
        let (hessian, covariance) = (unit(a), unit(1.0));
        let system = Linearised {
            hessian: &hessian,
            decay: 0.0,
            covariance: &covariance,
            factor: 1.0,
            curvatures: None,
        };
        stationary(&system, (rate, momentum), epoch, steps).unwrap()[(0, 0)]
    }

    #[test]
    fn single_samples_have_the_closed_form() {
        // N = 20, a = 1: at the end of an epoch and in its middle.
        let epoch = Epoch::new(20, 1, false);
        for (rate, end, middle) in
            [(0.05, 0.002_136_487_3, 0.009_606_402_4), (0.01, 1.769_393e-5, 4.964_732e-4)]
        {
            assert!((one(1.0, rate, 0.0, &epoch, &[0, 20, 400]) / end - 1.0).abs() < 1e-7);
            assert!((one(1.0, rate, 0.0, &epoch, &[10, 50]) / middle - 1.0).abs() < 1e-7);
            let both = one(1.0, rate, 0.0, &epoch, &[20, 30]);
            assert!((both / (0.5 * (end + middle)) - 1.0).abs() < 1e-7);
        }
    }

    #[test]
    fn batches_of_unequal_size_and_momentum_match_a_sum_over_all_permutations() {
        // Five samples with noises that sum to 0, batches 2, 2, 1: the epoch's map averaged over the 120 orders.
        let noises = [1.0, -0.4, 0.7, -1.6, 0.3_f64];
        let variance = noises.iter().map(|x| x * x).sum::<f64>() / 5.0;
        let (a, rate, momentum) = (0.7, 0.3, 0.6);
        let epoch = Epoch::new(5, 2, false);
        let step = Matrix2::new(1.0 - rate * a, momentum, -rate * a, momentum);
        let mut orders: Vec<Vec<usize>> = vec![vec![]];
        for _ in 0..5 {
            orders = orders
                .into_iter()
                .flat_map(|order| {
                    (0..5)
                        .filter(|k| !order.contains(k))
                        .map(|k| [order.clone(), vec![k]].concat())
                        .collect::<Vec<_>>()
                })
                .collect();
        }
        assert_eq!(orders.len(), 120);
        let mut s = Matrix2::<f64>::zeros();
        let mut inside = [Matrix2::zeros(); 3];
        for _ in 0..400 {
            // States are independent of the order to come.
            let mut next = [Matrix2::zeros(); 4];
            for order in &orders {
                let mut pushed = Vector2::zeros();
                let mut moved = Matrix2::identity();
                next[0] += s / 120.0;
                for (m, range) in [0..2, 2..4, 4..5].into_iter().enumerate() {
                    let mean =
                        order[range.clone()].iter().map(|&k| noises[k]).sum::<f64>() / range.len() as f64;
                    pushed = step * pushed - Vector2::repeat(rate * mean);
                    moved = step * moved;
                    next[m + 1] += (moved * s * moved.transpose() + pushed * pushed.transpose()) / 120.0;
                }
            }
            inside = [next[0], next[1], next[2]];
            s = next[3];
        }
        for (m, expected) in inside.iter().enumerate() {
            let ours = variance * one(a, rate, momentum, &epoch, &[m as u64]);
            assert!((ours / expected[(0, 0)] - 1.0).abs() < 1e-10, "{m}: {ours} {expected}");
        }
        // One batch of all samples has no noise.
        assert!(one(1.0, 0.1, 0.0, &Epoch::new(8, 8, false), &[3]).abs() < 1e-18);
        assert_eq!(Epoch::new(5, 2, true).batches, [2, 2]);
    }
}

//! Noise that θ's own fluctuations feed: the map Σ ↦ gain ∘ (E[AΣA] − H̄ΣH̄), its radius, and 1 minus it inverted.

use nalgebra::{DMatrix, DVector};

/// Up to this many parameters the linear equation for Σ is solved by elimination, beyond by iteration.
pub(super) const DENSE: usize = 32;
/// Iterations of the power method and of the fixed point.
const ITERATIONS: usize = 20_000;

/// Moments of the samples' Hessians, for the noise that depends on θ.
#[derive(Clone, Debug)]
pub enum Curvatures {
    /// E[vech(A) vech(A)ᵀ], `[D][D]` with D = P(P + 1)/2.
    Moments(DMatrix<f64>),
    /// The Hessians themselves and their weights.
    Samples(Vec<(f64, DMatrix<f64>)>),
}

impl Curvatures {
    /// From the samples' Hessians `[n][P][P]` and weights that sum to 1.
    pub fn new(hessians: &[f64], weights: &[f64], parameters: usize) -> Self {
        let samples = hessians.chunks_exact(parameters * parameters).zip(weights);
        if parameters > DENSE {
            return Self::Samples(
                samples.map(|(h, &w)| (w, DMatrix::from_row_slice(parameters, parameters, h))).collect(),
            );
        }
        let pairs = pairs(parameters);
        let mut moments = DMatrix::zeros(pairs.len(), pairs.len());
        let mut packed = DVector::zeros(pairs.len());
        for (hessian, &weight) in samples {
            for (slot, &(i, j)) in packed.iter_mut().zip(&pairs) {
                *slot = hessian[i * parameters + j];
            }
            moments.ger(weight, &packed, &packed, 1.0);
        }
        Self::Moments(moments)
    }
}

/// Σ ↦ gain ∘ (E[AΣA] − H̄ΣH̄), a positive map, in the eigenbasis of H.
pub(super) enum Amplifier {
    /// Its matrix on vech(Σ).
    Dense { size: usize, map: DMatrix<f64> },
    /// Sample by sample.
    Samples { gain: DMatrix<f64>, samples: Vec<(f64, DMatrix<f64>)>, bare: DVector<f64> },
}

impl Amplifier {
    pub(super) fn new(
        curvatures: &Curvatures,
        rotation: &DMatrix<f64>,
        curvature: &DVector<f64>,
        decay: f64,
        gain: &DMatrix<f64>,
    ) -> Self {
        let bare = curvature.map(|h| h - decay);
        match curvatures {
            Curvatures::Samples(samples) => Self::Samples {
                gain: gain.clone(),
                samples: samples.iter().map(|(w, a)| (*w, rotation.tr_mul(a) * rotation)).collect(),
                bare,
            },
            Curvatures::Moments(moments) => {
                let size = rotation.nrows();
                let turned = turn(moments, rotation);
                let pairs = pairs(size);
                let at = |i: usize, j: usize| packed_index(i, j);
                let mut map = DMatrix::from_fn(pairs.len(), pairs.len(), |row, column| {
                    let ((i, l), (j, m)) = (pairs[row], pairs[column]);
                    let mut sum = turned[(at(i, j), at(l, m))];
                    if j != m {
                        sum += turned[(at(i, m), at(l, j))];
                    }
                    gain[(i, l)] * sum
                });
                for (index, &(i, l)) in pairs.iter().enumerate() {
                    map[(index, index)] -= gain[(i, l)] * bare[i] * bare[l];
                }
                Self::Dense { size, map }
            }
        }
    }

    /// The map on vech(Σ), where it is held as a matrix.
    pub(super) fn matrix(&self) -> Option<&DMatrix<f64>> {
        match self {
            Self::Dense { map, .. } => Some(map),
            Self::Samples { .. } => None,
        }
    }

    fn apply(&self, sigma: &DMatrix<f64>) -> DMatrix<f64> {
        match self {
            Self::Dense { size, map } => unpack(&(map * pack(sigma)), *size),
            Self::Samples { gain, samples, bare } => {
                let mut sum =
                    DMatrix::from_fn(gain.nrows(), gain.ncols(), |i, j| -bare[i] * bare[j] * sigma[(i, j)]);
                for (weight, a) in samples {
                    sum += a * sigma * a * *weight;
                }
                sum.component_mul(gain)
            }
        }
    }

    /// Spectral radius, by the power method from inside the cone of positive matrices, where the map's leading
    /// eigenvector lies.
    pub(super) fn radius(&self) -> f64 {
        let size = match self {
            Self::Dense { size, .. } => *size,
            Self::Samples { gain, .. } => gain.nrows(),
        };
        let mut sigma = DMatrix::identity(size, size);
        let mut radius: f64 = 0.0;
        for _ in 0..ITERATIONS {
            let next = self.apply(&sigma);
            let norm = next.norm();
            if norm == 0.0 || !norm.is_finite() {
                return norm;
            }
            let ratio = norm / sigma.norm();
            let settled = (ratio - radius).abs() <= 1e-12 * ratio;
            radius = ratio;
            sigma = next / norm;
            if settled {
                break;
            }
        }
        radius
    }

    /// Σ = `additive` + map(Σ).
    pub(super) fn solve(&self, additive: &DMatrix<f64>) -> Result<DMatrix<f64>, String> {
        match self {
            Self::Dense { size, map } => {
                let system = DMatrix::identity(map.nrows(), map.ncols()) - map;
                let solution = system
                    .lu()
                    .solve(&pack(additive))
                    .ok_or("the equation for the stationary covariance is singular")?;
                Ok(unpack(&solution, *size))
            }
            Self::Samples { .. } => {
                let mut sigma = additive.clone();
                for _ in 0..ITERATIONS {
                    let next = additive + self.apply(&sigma);
                    let change = (&next - &sigma).norm();
                    sigma = next;
                    if change <= 1e-14 * sigma.norm() {
                        return Ok(sigma);
                    }
                }
                Err("the iteration for the stationary covariance did not converge: too near mean-square \
                     instability"
                    .to_owned())
            }
        }
    }
}

/// The pairs i ≤ j in the order of [`packed_index`].
pub(super) fn pairs(size: usize) -> Vec<(usize, usize)> {
    (0..size).flat_map(|j| (0..=j).map(move |i| (i, j))).collect()
}

pub(super) fn packed_index(i: usize, j: usize) -> usize {
    let (low, high) = if i <= j { (i, j) } else { (j, i) };
    high * (high + 1) / 2 + low
}

pub(super) fn pack(matrix: &DMatrix<f64>) -> DVector<f64> {
    let pairs = pairs(matrix.nrows());
    DVector::from_iterator(pairs.len(), pairs.iter().map(|&(i, j)| matrix[(i, j)]))
}

pub(super) fn unpack(packed: &DVector<f64>, size: usize) -> DMatrix<f64> {
    DMatrix::from_fn(size, size, |i, j| packed[packed_index(i, j)])
}

/// E[vech(VᵀAV) vech(VᵀAV)ᵀ] from that of A.
fn turn(moments: &DMatrix<f64>, rotation: &DMatrix<f64>) -> DMatrix<f64> {
    let pairs = pairs(rotation.nrows());
    let change = DMatrix::from_fn(pairs.len(), pairs.len(), |row, column| {
        let ((i, l), (j, m)) = (pairs[row], pairs[column]);
        let mut sum = rotation[(j, i)] * rotation[(m, l)];
        if j != m {
            sum += rotation[(m, i)] * rotation[(j, l)];
        }
        sum
    });
    &change * moments * change.transpose()
}

//! Stationary covariances of linear processes: Lyapunov's equations.

use nalgebra::DMatrix;

/// Doublings before a process counts as unstable: 2^60 steps.
const DOUBLINGS: usize = 60;

/// X = F X Fᵀ + Q, the stationary covariance of x' = F x + ξ with Cov ξ = Q, as `X = Σ_k F^k Q F^kᵀ` by doubling
/// (Smith 1968). Shapes `[n][n]`; Q symmetric.
///
/// # Errors
/// A sentence, where F does not contract.
pub fn discrete(step: &DMatrix<f64>, noise: &DMatrix<f64>) -> Result<DMatrix<f64>, String> {
    let mut power = step.clone();
    let mut sum = noise.clone();
    for _ in 0..DOUBLINGS {
        let more = &power * &sum * power.transpose();
        let (added, size) = (more.norm(), sum.norm());
        if !added.is_finite() || power.norm() > 1e100 {
            break;
        }
        sum += more;
        power = &power * &power;
        if added <= 1e-17 * size && power.norm() < 1e-8 {
            return Ok(symmetric(&sum));
        }
    }
    Err("the linear recursion does not contract: it has no stationary covariance".to_owned())
}

/// A X + X Aᵀ = Q, the stationary covariance of dx = −A x dt + B dW with Q = B Bᵀ, by Cayley's transform to the
/// discrete equation. Shapes `[n][n]`; Q symmetric.
///
/// # Errors
/// A sentence, where an eigenvalue of A has no positive real part.
pub fn continuous(relaxation: &DMatrix<f64>, noise: &DMatrix<f64>) -> Result<DMatrix<f64>, String> {
    let failure = || "the linear drift does not relax: it has no stationary covariance".to_owned();
    let size = relaxation.nrows();
    // Between the slowest and the fastest rate, Smith's sum is shortest; the norm is a bound on the fastest.
    let shift = relaxation.norm() / (size as f64).sqrt();
    if !(shift > 0.0 && shift.is_finite()) {
        return Err(failure());
    }
    let unit = DMatrix::identity(size, size) * shift;
    let inverse = (&unit + relaxation).try_inverse().ok_or_else(failure)?;
    let step = (&unit - relaxation) * &inverse;
    let scaled = &inverse * noise * inverse.transpose() * (2.0 * shift);
    discrete(&step, &scaled).map_err(|_| failure())
}

/// Removes the rounding that makes a symmetric result unsymmetric.
pub(super) fn symmetric(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    0.5 * (matrix + matrix.transpose())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &DMatrix<f64>, b: &[f64], absolute: f64) {
        for (x, y) in a.transpose().iter().zip(b) {
            assert!((x - y).abs() <= absolute, "{a} {b:?}");
        }
    }

    #[test]
    fn broken_detailed_balance_has_the_known_covariance() {
        // Two dimensions with broken detailed balance.
        let a = DMatrix::from_row_slice(2, 2, &[1.0, 0.7, -0.3, 2.0]);
        let q = DMatrix::from_row_slice(2, 2, &[1.0, 0.2, 0.2, 0.5]);
        let sigma = continuous(&a, &q).unwrap();
        close(&sigma, &[0.444_570_14, 0.079_185_52, 0.079_185_52, 0.136_877_83], 5e-9);
        assert!((&a * &sigma + &sigma * a.transpose() - q).amax() < 1e-15);
    }

    #[test]
    fn harmonic_particle_and_its_euler_maruyama_scheme() {
        // Einstein relation: μ = 2, D = 3: 0.75, and 0.9375 at h = 0.2.
        let (mu, d, h) = (2.0, 3.0, 0.2);
        let one = |x: f64| DMatrix::from_element(1, 1, x);
        close(&continuous(&one(mu), &one(d)).unwrap(), &[0.75], 1e-15);
        close(&discrete(&one(1.0 - h * mu), &one(h * d)).unwrap(), &[0.9375], 1e-14);
    }

    #[test]
    fn stiff_systems_keep_their_digits() {
        let a = DMatrix::from_row_slice(3, 3, &[1e3, 2.0, 0.0, -1.0, 1e-2, 0.3, 0.0, 0.0, 5.0]);
        let q = DMatrix::from_row_slice(3, 3, &[1.0, 0.1, 0.0, 0.1, 2.0, 0.3, 0.0, 0.3, 0.5]);
        let sigma = continuous(&a, &q).unwrap();
        let residual = (&a * &sigma + &sigma * a.transpose() - &q).amax();
        assert!(residual < 1e-12 * (a.amax() * sigma.amax()), "{residual}");
    }

    #[test]
    fn processes_without_a_stationary_law_are_refused() {
        let q = DMatrix::identity(2, 2);
        let grows = DMatrix::from_row_slice(2, 2, &[1.01, 0.0, 0.0, 0.5]);
        assert!(discrete(&grows, &q).is_err());
        let wanders = DMatrix::from_row_slice(2, 2, &[1.0, 0.0, 0.0, 0.5]);
        assert!(discrete(&wanders, &q).is_err());
        let flees = DMatrix::from_row_slice(2, 2, &[1.0, 0.0, 0.0, -0.5]);
        assert!(continuous(&flees, &q).is_err());
        assert!(continuous(&DMatrix::zeros(2, 2), &q).is_err());
    }
}

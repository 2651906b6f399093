//! Eigenvalues of matrices, by iterations that end.

use nalgebra::{DMatrix, DVector, Dyn, SymmetricEigen};

/// Sweeps of QR steps an eigenvalue of a symmetric matrix: two or three are the rule.
const STEPS: usize = 64;
/// Sweeps of Jacobi's rotations; quadratic convergence needs about ten.
const SWEEPS: usize = 60;
/// Squarings of a matrix.
const SQUARINGS: usize = 60;

/// Eigenvalues and eigenvectors of a symmetric matrix: implicit QR steps, or, should these not converge, Jacobi's rotations. All NaN where the
/// matrix is not finite.
pub fn symmetric_eigen(matrix: &DMatrix<f64>) -> SymmetricEigen<f64, Dyn> {
    let size = matrix.nrows();
    if matrix.iter().any(|x| !x.is_finite()) {
        return SymmetricEigen {
            eigenvectors: DMatrix::from_element(size, size, f64::NAN),
            eigenvalues: DVector::from_element(size, f64::NAN),
        };
    }
    SymmetricEigen::try_new(matrix.clone(), f64::EPSILON, STEPS * size.max(1))
        .unwrap_or_else(|| jacobi(matrix))
}

/// Cyclic rotations by the angle that makes an element off the diagonal 0 (Jacobi 1846; Golub & Van Loan, §8.5): they converge for every symmetric
/// matrix.
fn jacobi(matrix: &DMatrix<f64>) -> SymmetricEigen<f64, Dyn> {
    let size = matrix.nrows();
    let mut a = 0.5 * (matrix + matrix.transpose());
    let mut vectors = DMatrix::identity(size, size);
    let negligible = f64::EPSILON * a.norm();
    for _ in 0..SWEEPS {
        let mut off: f64 = 0.0;
        for p in 0..size {
            for q in p + 1..size {
                let element: f64 = a[(p, q)];
                off = off.max(element.abs());
                if element == 0.0 {
                    continue;
                }
                let tau: f64 = (a[(q, q)] - a[(p, p)]) / (2.0 * element);
                let tangent =
                    if tau.is_finite() { 1.0 / (tau.abs() + (1.0 + tau * tau).sqrt()) } else { 0.0 };
                let tangent = if tau < 0.0 { -tangent } else { tangent };
                let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
                let sine = tangent * cosine;
                for k in 0..size {
                    let (x, y) = (a[(k, p)], a[(k, q)]);
                    (a[(k, p)], a[(k, q)]) = (cosine * x - sine * y, sine * x + cosine * y);
                }
                for k in 0..size {
                    let (x, y) = (a[(p, k)], a[(q, k)]);
                    (a[(p, k)], a[(q, k)]) = (cosine * x - sine * y, sine * x + cosine * y);
                }
                for k in 0..size {
                    let (x, y): (f64, f64) = (vectors[(k, p)], vectors[(k, q)]);
                    (vectors[(k, p)], vectors[(k, q)]) = (cosine * x - sine * y, sine * x + cosine * y);
                }
            }
        }
        if off <= negligible {
            break;
        }
    }
    SymmetricEigen { eigenvectors: vectors, eigenvalues: a.diagonal() }
}

/// Largest modulus of an eigenvalue of any square matrix: ‖Mᵐ‖^(1/m) with m = 2⁶⁰ (Gelfand 1941), by squarings, the norm being the largest modulus of an element. Nothing has to converge, whether
/// eigenvalues are complex, of one modulus, or defective. Not finite where the matrix is not.
pub fn spectral_radius(matrix: &DMatrix<f64>) -> f64 {
    let mut power = matrix.clone();
    let (mut logarithm, mut share) = (0.0, 1.0);
    for _ in 0..SQUARINGS {
        let norm = power.amax();
        if norm == 0.0 || power.iter().any(|x| !x.is_finite()) {
            return if norm == 0.0 { 0.0 } else { f64::NAN };
        }
        power /= norm;
        logarithm += share * norm.ln();
        power = &power * &power;
        share *= 0.5;
    }
    logarithm.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Symmetric, without structure.
    fn symmetric(size: usize) -> DMatrix<f64> {
        let a = DMatrix::from_fn(size, size, |i, j| ((7 * i + 3 * j) % 11) as f64 - 4.0 + 0.1 * j as f64);
        &a + a.transpose()
    }

    #[test]
    fn rotations_find_what_steps_find() {
        for matrix in [symmetric(1), symmetric(6), DMatrix::identity(4, 4), DMatrix::zeros(3, 3)] {
            let (by_steps, by_rotations) = (symmetric_eigen(&matrix), jacobi(&matrix));
            let sorted = |eigen: &SymmetricEigen<f64, Dyn>| {
                let mut values: Vec<f64> = eigen.eigenvalues.iter().copied().collect();
                values.sort_by(f64::total_cmp);
                values
            };
            for (a, b) in sorted(&by_steps).iter().zip(sorted(&by_rotations)) {
                assert!((a - b).abs() <= 1e-13 * matrix.norm(), "{a} {b}");
            }
            let v = &by_rotations.eigenvectors;
            let back = v * DMatrix::from_diagonal(&by_rotations.eigenvalues) * v.transpose();
            assert!((back - &matrix).norm() <= 1e-13 * matrix.norm());
        }
    }

    #[test]
    fn a_matrix_that_is_not_finite_has_no_eigenvalues() {
        for hole in [f64::NAN, f64::INFINITY] {
            let mut matrix = symmetric(5);
            matrix[(2, 1)] = hole;
            assert!(symmetric_eigen(&matrix).eigenvalues.iter().all(|x| x.is_nan()));
            assert!(!spectral_radius(&matrix).is_finite());
        }
    }

    #[test]
    fn the_radius_is_that_of_turns_shears_and_what_vanishes() {
        let two = |rows: [f64; 4]| DMatrix::from_row_slice(2, 2, &rows);
        for (matrix, radius) in [
            (two([0.0, -0.9, 0.9, 0.0]), 0.9),
            (two([0.5, 1e6, 0.0, 0.5]), 0.5),
            (two([0.0, 1.0, 0.0, 0.0]), 0.0),
            (two([3.0, 0.0, 0.0, -3.0]), 3.0),
            (two([1e-200, 0.0, 0.0, -1e-200]), 1e-200),
            (DMatrix::zeros(3, 3), 0.0),
        ] {
            let found = spectral_radius(&matrix);
            assert!((found - radius).abs() <= 1e-13 * radius, "{found} for {radius}");
        }
        // The largest of a symmetric matrix.
        let matrix = symmetric(7);
        let largest = symmetric_eigen(&matrix).eigenvalues.amax();
        assert!((spectral_radius(&matrix) / largest - 1.0).abs() < 1e-13);
    }
}

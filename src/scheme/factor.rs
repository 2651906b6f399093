//! A factor of a positive semi-definite matrix, C = F Fᵀ, that keeps null directions null.

/// A pivot below this share of its own diagonal is rounding, not noise: its column is left out.
///
/// Summing a few thousand outer products leaves relative errors near 1e-13 in the last pivot of a singular matrix; taken for a
/// variance they would leak √1e-13 of the noise into a direction that has none (a Noether charge, say).
pub const NEGLIGIBLE: f64 = 1e-12;

/// Columns of F for C = F Fᵀ, `[rank][n]`, from `matrix` `[n][n]`, by outer-product Cholesky with
/// diagonal pivoting: F's columns are columns of the remaining matrix over the pivot's root, so that C v = 0 gives Fᵀ v = 0 to rounding.
/// Source: Higham (1990), Analysis of the Cholesky decomposition of a semi-definite matrix.
pub fn semidefinite(matrix: &[f64], n: usize) -> Vec<f64> {
    let mut rest = matrix.to_vec();
    let mut columns = Vec::new();
    for _ in 0..n {
        let relevant = |i: &usize| rest[i * n + i] > NEGLIGIBLE * matrix[i * n + i];
        let Some(pivot) =
            (0..n).filter(relevant).max_by(|&i, &j| rest[i * n + i].total_cmp(&rest[j * n + j]))
        else {
            break;
        };
        let root = rest[pivot * n + pivot].sqrt();
        let column: Vec<f64> = (0..n).map(|i| rest[i * n + pivot] / root).collect();
        for i in 0..n {
            for j in 0..n {
                rest[i * n + j] -= column[i] * column[j];
            }
        }
        for i in 0..n {
            rest[i * n + pivot] = 0.0;
            rest[pivot * n + i] = 0.0;
        }
        columns.extend(column);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(columns: &[f64], n: usize) -> Vec<f64> {
        let mut c = vec![0.0; n * n];
        for column in columns.chunks(n) {
            for i in 0..n {
                for j in 0..n {
                    c[i * n + j] += column[i] * column[j];
                }
            }
        }
        c
    }

    #[test]
    fn the_factor_gives_the_matrix_back() {
        let c = [4.0, 1.0, -0.5, 1.0, 2.0, 0.3, -0.5, 0.3, 1.5];
        let factor = semidefinite(&c, 3);
        assert_eq!(factor.len(), 9);
        for (got, want) in product(&factor, 3).iter().zip(c) {
            assert!((got - want).abs() < 1e-15, "{got} {want}");
        }
    }

    #[test]
    fn null_directions_stay_without_noise() {
        // Rank 1 and rank 2 of three, summed from many outer products so that C carries rounding.
        let rows = [[0.3, -1.1, 0.7], [1.3, 0.2, -0.4]];
        for rank in 1..=2 {
            let mut c = vec![0.0; 9];
            for k in 0..1000 {
                let weight = [f64::from(k % 17) - 8.1, f64::from(k % 5) - 1.9];
                let g: Vec<f64> = (0..3).map(|i| (0..rank).map(|r| weight[r] * rows[r][i]).sum()).collect();
                for i in 0..3 {
                    for j in 0..3 {
                        c[i * 3 + j] += g[i] * g[j] / 1000.0;
                    }
                }
            }
            let null = if rank == 1 {
                vec![[1.1, 0.3, 0.0], [0.7, 0.0, -0.3]]
            } else {
                vec![[1.1 * 0.4 - 0.7 * 0.2, 1.3 * 0.7 + 0.3 * 0.4, 0.3 * 0.2 + 1.1 * 1.3]]
            };
            let factor = semidefinite(&c, 3);
            assert_eq!(factor.len(), 3 * rank);
            for v in null {
                for column in factor.chunks(3) {
                    let dot: f64 = column.iter().zip(v).map(|(a, b)| a * b).sum();
                    assert!(dot.abs() < 1e-13, "rank {rank}: {dot}");
                }
            }
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(semidefinite(&[0.0; 4], 2).is_empty());
    }
}

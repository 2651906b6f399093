//! A readable basis of a space of matrices: symmetric and antisymmetric ones where the space allows it, in reduced echelon form, with whole
//! numbers where they fit.

use super::elimination::null_space;

/// Below this, next to 1, a number of a basis is rounding.
const NOTHING: f64 = 1e-8;
/// Whole numbers and fractions are taken where they fit so well.
const FITS: f64 = 1e-6;
/// Largest denominator of a fraction.
const DENOMINATORS: usize = 12;
/// Largest whole number after all denominators are cleared.
const LARGEST: f64 = 1000.0;

/// Whether A is its own transpose, or minus that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A = Aᵀ: the charge θᵀAθ is kept by gradient flow.
    Symmetric,
    /// A = −Aᵀ: a rotation; ‖θ‖ stays.
    Antisymmetric,
    /// Neither.
    Mixed,
}

impl Kind {
    /// `symmetric`, `antisymmetric`, `mixed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Symmetric => "symmetric",
            Kind::Antisymmetric => "antisymmetric",
            Kind::Mixed => "mixed",
        }
    }

    /// That of a matrix whose entry `e` lies across the diagonal from entry `transpose[e]`.
    pub fn of(matrix: &[f64], transpose: &[usize]) -> Self {
        let largest = matrix.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        let differs = |sign: f64| {
            matrix
                .iter()
                .zip(transpose)
                .any(|(x, &other)| (x - sign * matrix[other]).abs() > NOTHING * largest)
        };
        match (differs(1.0), differs(-1.0)) {
            (false, _) => Kind::Symmetric,
            (_, false) => Kind::Antisymmetric,
            _ => Kind::Mixed,
        }
    }
}

/// The symmetric matrices of the space spanned by `basis`, then the antisymmetric ones, then as many others as complete it; each part in reduced
/// echelon form. `transpose[e]` is the entry across the diagonal from entry `e`.
pub fn readable(basis: &[Vec<f64>], transpose: &[usize]) -> Vec<Vec<f64>> {
    let part = |sign: f64| sparse(echelon(with_parity(basis, transpose, sign)));
    let (symmetric, antisymmetric) = (part(1.0), part(-1.0));
    let pure: Vec<Vec<f64>> = symmetric.iter().chain(&antisymmetric).cloned().collect();
    let missing = basis.len().saturating_sub(pure.len());
    let mut all = pure.clone();
    if missing > 0 {
        // What the pure ones do not span, from the echelon form of the whole.
        let mut spanned = orthonormal(&pure);
        for candidate in echelon(basis.to_vec()) {
            let rest = beyond(&candidate, &spanned);
            if norm(&rest) > 1e-6 * norm(&candidate) && all.len() < basis.len() {
                let length = norm(&rest);
                spanned.push(rest.iter().map(|x| x / length).collect());
                all.push(candidate);
            }
        }
    }
    all
}

/// Combinations of `basis` with A = sign·Aᵀ.
fn with_parity(basis: &[Vec<f64>], transpose: &[usize], sign: f64) -> Vec<Vec<f64>> {
    // One equation an entry on or above the diagonal: Σ_b c_b (A_b[e] − sign·A_b[eᵀ]) = 0. Gram–Schmidt keeps those that say something new.
    let mut known: Vec<Vec<f64>> = Vec::new();
    for (e, &other) in transpose.iter().enumerate().filter(|(e, other)| e <= *other) {
        let row: Vec<f64> = basis.iter().map(|a| a[e] - sign * a[other]).collect();
        if norm(&row) < 1e-7 || known.len() == basis.len() {
            continue;
        }
        let rest = beyond(&beyond(&row, &known), &known);
        let length = norm(&rest);
        if length > 1e-7 {
            known.push(rest.iter().map(|x| x / length).collect());
        }
    }
    let mut rows = known.into_iter();
    let combinations = null_space(basis.len(), &mut || rows.next()).basis;
    combinations.iter().map(|c| combine(basis, c)).collect()
}

fn combine(basis: &[Vec<f64>], coefficients: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; basis.first().map_or(0, Vec::len)];
    for (vector, c) in basis.iter().zip(coefficients) {
        out.iter_mut().zip(vector).for_each(|(o, x)| *o += c * x);
    }
    out
}

/// An orthonormal basis of what these vectors span.
pub fn orthonormal(vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut list: Vec<Vec<f64>> = Vec::new();
    for vector in vectors {
        let rest = beyond(&beyond(vector, &list), &list);
        let length = norm(&rest);
        if length > 1e-9 * norm(vector) {
            list.push(rest.iter().map(|x| x / length).collect());
        }
    }
    list
}

/// The part of a vector orthogonal to orthonormal ones.
pub fn beyond(vector: &[f64], orthonormal: &[Vec<f64>]) -> Vec<f64> {
    let mut rest = vector.to_vec();
    for unit in orthonormal {
        let along: f64 = unit.iter().zip(&rest).map(|(a, b)| a * b).sum();
        rest.iter_mut().zip(unit).for_each(|(x, u)| *x -= along * u);
    }
    rest
}

pub fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Reduced row echelon form: every row begins with a 1 in a column where the others have 0.
pub fn echelon(mut rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let width = rows.first().map_or(0, Vec::len);
    let mut done = 0;
    for column in 0..width {
        if done == rows.len() {
            break;
        }
        let pivot =
            (done..rows.len()).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()));
        let Some(pivot) = pivot.filter(|&p| rows[p][column].abs() > FITS) else {
            rows[done..].iter_mut().for_each(|row| row[column] = 0.0);
            continue;
        };
        rows.swap(done, pivot);
        let inverse = 1.0 / rows[done][column];
        rows[done].iter_mut().for_each(|x| *x *= inverse);
        let lead = rows[done].clone();
        for (index, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != done) {
            let factor = row[column];
            if factor != 0.0 {
                row.iter_mut().zip(&lead).for_each(|(x, l)| *x -= factor * l);
                row[column] = 0.0;
            }
            // What is left of a row below keeps its size, so that pivots stay comparable.
            if index > done {
                let length = norm(row);
                if length > NOTHING {
                    for x in row.iter_mut() {
                        *x /= length;
                    }
                }
            }
        }
        done += 1;
    }
    rows.truncate(done);
    for row in &mut rows {
        let largest = row.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        row.iter_mut().filter(|x| x.abs() < NOTHING * largest).for_each(|x| *x = 0.0);
    }
    rows
}

/// The same space with fewer numbers that are not 0: a vector is replaced by its difference from a multiple of another as long as that has fewer.
fn sparse(mut rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    const ROUNDS: usize = 4;
    let count = |row: &[f64]| row.iter().filter(|x| **x != 0.0).count();
    for _ in 0..ROUNDS {
        let mut changed = false;
        for i in 0..rows.len() {
            for j in 0..rows.len() {
                if i == j {
                    continue;
                }
                let Some(shorter) = reduced(&rows[i], &rows[j], count(&rows[i])) else { continue };
                rows[i] = shorter;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    rows
}

/// `row` − c·`by` for the c that leaves the fewest numbers, if fewer than `most`.
fn reduced(row: &[f64], by: &[f64], most: usize) -> Option<Vec<f64>> {
    let mut ratios: Vec<f64> = Vec::new();
    for (x, y) in row.iter().zip(by).filter(|(x, y)| **x != 0.0 && **y != 0.0) {
        let ratio = x / y;
        if !ratios.iter().any(|r| (r - ratio).abs() < FITS * r.abs()) {
            ratios.push(ratio);
        }
    }
    let candidates = ratios.into_iter().take(4).map(|c| {
        row.iter()
            .zip(by)
            .map(|(x, y)| {
                let rest = x - c * y;
                if rest.abs() < NOTHING * x.abs().max((c * y).abs()) { 0.0 } else { rest }
            })
            .collect::<Vec<f64>>()
    });
    let count = |row: &[f64]| row.iter().filter(|x| **x != 0.0).count();
    candidates.min_by_key(|row| count(row)).filter(|row| count(row) < most)
}

/// The same matrix with whole numbers, if a multiple of it has them; the first entry that is not 0 is positive.
pub fn whole(matrix: &[f64]) -> Option<Vec<f64>> {
    let lead = matrix.iter().copied().find(|x| *x != 0.0)?;
    let scaled: Vec<f64> = matrix.iter().map(|x| x / lead).collect();
    let mut multiple = 1_usize;
    for &x in &scaled {
        let denominator = (1..=DENOMINATORS).find(|&q| fits(x * q as f64, q as f64))?;
        multiple = lcm(multiple, denominator);
        if multiple > DENOMINATORS * DENOMINATORS {
            return None;
        }
    }
    let cleared: Vec<f64> = scaled.iter().map(|x| (x * multiple as f64).round() + 0.0).collect();
    cleared.iter().all(|x| x.abs() <= LARGEST).then_some(cleared)
}

fn fits(x: f64, scale: f64) -> bool {
    (x - x.round()).abs() < FITS * scale.max(x.abs())
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn across(n: usize) -> Vec<usize> {
        (0..n * n).map(|e| (e % n) * n + e / n).collect()
    }

    #[test]
    fn a_rotated_basis_becomes_readable() {
        // The algebra of u → a u, w → w/a and of turns in a plane, hidden behind combinations.
        let scale = [1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0];
        let turn = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0];
        let mix = |a: f64, b: f64| (0..9).map(|e| a * scale[e] + b * turn[e]).collect::<Vec<f64>>();
        let found = readable(&[mix(0.6, 0.8), mix(-0.8, 0.6)], &across(3));
        assert_eq!(found.len(), 2);
        assert_eq!(whole(&found[0]).unwrap(), scale);
        assert_eq!(whole(&found[1]).unwrap(), turn);
        assert_eq!(
            (Kind::of(&found[0], &across(3)), Kind::of(&found[1], &across(3))),
            (Kind::Symmetric, Kind::Antisymmetric)
        );
    }

    #[test]
    fn what_is_neither_is_mixed() {
        let shear = vec![0.0, 1.0, 0.0, 0.0];
        let found = readable(std::slice::from_ref(&shear), &across(2));
        assert_eq!(found, std::slice::from_ref(&shear));
        assert_eq!(Kind::of(&found[0], &across(2)), Kind::Mixed);
        // With its transpose the space has a pure basis.
        let both = readable(&[vec![0.0, 1.0, 0.0, 0.0], vec![0.0, 0.0, 1.0, 0.0]], &across(2));
        let both: Vec<Vec<f64>> = both.iter().map(|b| whole(b).unwrap()).collect();
        assert_eq!(both, [[0.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, 0.0]]);
    }

    #[test]
    fn fractions_are_cleared_and_other_numbers_left_alone() {
        assert_eq!(whole(&[0.0, -0.5, 1.0 / 3.0]), Some(vec![0.0, 3.0, -2.0]));
        assert_eq!(whole(&[1.0, std::f64::consts::SQRT_2]), None);
        assert_eq!(whole(&[0.0, 0.0]), None);
    }
}

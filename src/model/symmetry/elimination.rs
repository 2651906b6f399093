//! The null space of a linear system with as many random equations as one likes.
//!
//! Rows of unit norm are orthogonalised against those before them by Householder reflections, the most independent one of a pool first; what is left of
//! fresh rows says whether another unknown can be determined. It is a QR decomposition of the transposed system with pivoting among
//! rows, so that the last accepted pivot against the largest rest measures how well the rank is supported.

use crate::lanes::vectorized;

/// Rows looked at together.
const POOL: usize = 64;
/// Rows of a pool are accepted down to this share of its best one.
const SHARE: f64 = 0.1;
/// The rest of a unit row that is rounding.
const ROUNDING: f64 = 1e-9;
/// So many pools without anything new end the search.
const QUIET: usize = 2;

/// The null space of a system.
pub struct NullSpace {
    /// Orthonormal basis, `[dimension][unknowns]`.
    pub basis: Vec<Vec<f64>>,
    /// Smallest accepted pivot over the largest rest of a fresh row (or over the rounding unit, if that is larger).
    pub gap: f64,
}

/// v and 2/‖v‖² of the reflection 1 − (2/‖v‖²) v vᵀ, which leaves the first unknowns alone.
struct Reflection {
    v: Vec<f64>,
    twice_inverse: f64,
}

/// Eliminates rows from `fresh` (each of `unknowns` numbers and norm 1, or none where there are no more) until they say nothing new.
pub fn null_space(unknowns: usize, fresh: &mut dyn FnMut() -> Option<Vec<f64>>) -> NullSpace {
    let mut reflections: Vec<Reflection> = Vec::new();
    let mut pool: Vec<Vec<f64>> = Vec::new();
    let (mut smallest, mut quiet, mut rest) = (1.0_f64, 0, 0.0_f64);
    while reflections.len() < unknowns && quiet < QUIET {
        let kept = pool.len();
        pool.extend(std::iter::from_fn(&mut *fresh).take(POOL - kept));
        let dry = pool.len() < POOL;
        // All new rows by one reflection after the other: a reflection is read once, not once a row.
        for (at, reflection) in reflections.iter().enumerate() {
            pool[kept..].iter_mut().for_each(|row| reflection.apply(at, row));
        }
        let best = pool.iter().map(|row| norm(&row[reflections.len()..])).fold(0.0, f64::max);
        if best <= ROUNDING {
            (quiet, rest) = (quiet + 1, rest.max(best));
            pool.clear();
            if dry {
                break;
            }
            continue;
        }
        (quiet, rest) = (0, 0.0);
        while reflections.len() < unknowns {
            let at = reflections.len();
            let longest =
                (0..pool.len()).map(|i| (norm(&pool[i][at..]), i)).max_by(|a, b| a.0.total_cmp(&b.0));
            let Some((length, index)) = longest.filter(|(length, _)| *length >= (SHARE * best).max(ROUNDING))
            else {
                break;
            };
            let row = pool.swap_remove(index);
            smallest = smallest.min(length);
            let reflection = Reflection::new(&row[at..], length);
            for row in &mut pool {
                reflection.apply(at, row);
            }
            reflections.push(reflection);
        }
        // Half of the pool is for what is new.
        pool.sort_by(|a, b| norm(&b[reflections.len()..]).total_cmp(&norm(&a[reflections.len()..])));
        pool.truncate(POOL / 2);
    }
    let basis = (reflections.len()..unknowns)
        .map(|index| {
            let mut vector = vec![0.0; unknowns];
            vector[index] = 1.0;
            reflections
                .iter()
                .enumerate()
                .rev()
                .for_each(|(at, reflection)| reflection.apply(at, &mut vector));
            vector
        })
        .collect();
    NullSpace { basis, gap: smallest / rest.max(f64::EPSILON) }
}

impl Reflection {
    /// Takes `row` to its first axis.
    fn new(row: &[f64], length: f64) -> Self {
        let mut v = row.to_vec();
        if let Some(first) = v.first_mut() {
            *first += length.copysign(*first);
        }
        let square = dot(&v, &v);
        Self { twice_inverse: if square > 0.0 { 2.0 / square } else { 0.0 }, v }
    }
    fn apply(&self, at: usize, row: &mut [f64]) {
        reflect(&mut row[at..], &self.v, self.twice_inverse);
    }
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

vectorized! {
    fn dot(x: &[f64], y: &[f64]) -> f64 {
        let mut sums = [0.0; 32];
        let (xs, ys) = (x.chunks_exact(32), y.chunks_exact(32));
        let tail: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
        for (x, y) in xs.zip(ys) {
            for l in 0..32 {
                sums[l] += x[l] * y[l];
            }
        }
        tail + sums.iter().sum::<f64>()
    }

    fn reflect(row: &mut [f64], v: &[f64], twice_inverse: f64) {
        let mut sums = [0.0; 32];
        let (xs, ys) = (row.chunks_exact(32), v.chunks_exact(32));
        let tail: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
        for (x, y) in xs.zip(ys) {
            for l in 0..32 {
                sums[l] += x[l] * y[l];
            }
        }
        let factor = twice_inverse * (tail + sums.iter().sum::<f64>());
        for (x, v) in row.iter_mut().zip(v) {
            *x -= factor * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{Purpose, Stream};

    fn rows(rank: usize, unknowns: usize, scales: &[f64]) -> impl FnMut() -> Option<Vec<f64>> {
        let mut stream = Stream::new(3, Purpose::Test, 0);
        let basis: Vec<Vec<f64>> =
            (0..rank).map(|_| (0..unknowns).map(|_| stream.normal()).collect()).collect();
        let scales = scales.to_vec();
        move || {
            let mut row = vec![0.0; unknowns];
            for (k, basis) in basis.iter().enumerate() {
                let weight = stream.normal() * scales.get(k).copied().unwrap_or(1.0);
                row.iter_mut().zip(basis).for_each(|(r, b)| *r += weight * b);
            }
            let length = norm(&row);
            for x in &mut row {
                *x /= length;
            }
            Some(row)
        }
    }

    #[test]
    fn the_rank_is_found_and_what_is_left_is_orthogonal_to_every_row() {
        for (rank, unknowns) in [(0, 3), (1, 1), (5, 9), (100, 130), (130, 130)] {
            let mut source = rows(rank, unknowns, &[]);
            let found = if rank == 0 {
                null_space(unknowns, &mut || None)
            } else {
                null_space(unknowns, &mut source)
            };
            assert_eq!(found.basis.len(), unknowns - rank);
            assert!(found.gap > 1e8, "{rank} {unknowns}: {}", found.gap);
            for vector in &found.basis {
                assert!((norm(vector) - 1.0).abs() < 1e-13);
                if rank > 0 {
                    assert!(dot(vector, &source().unwrap()).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn weak_equations_count() {
        // The last unknown is seen at 1e-6 of the others only; the gap says so.
        let found =
            null_space(20, &mut rows(12, 20, &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1e-6]));
        assert_eq!(found.basis.len(), 8);
        assert!(found.gap > 1e6 && found.gap < 1e12, "{}", found.gap);
    }
}

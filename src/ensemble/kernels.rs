//! What recording does to a block, number by number.

use crate::lanes::{Lane, flat, flat_mut, vectorized};

vectorized! {
    /// One more value of running means and sums of squares (Welford 1962); `inverse` is 1/n with the new n.
    pub fn welford(mean: &mut [Lane], squares: &mut [Lane], x: &[Lane], inverse: f64) {
        for ((m, s), x) in flat_mut(mean).iter_mut().zip(flat_mut(squares)).zip(flat(x)) {
            let before = x - *m;
            *m += before * inverse;
            *s += before * (x - *m);
        }
    }

    /// largest ← max(largest, |x − start|).
    pub fn largest_change(largest: &mut [Lane], x: &[Lane], start: &[Lane]) {
        for ((m, x), s) in flat_mut(largest).iter_mut().zip(flat(x)).zip(flat(start)) {
            let change = (x - s).abs();
            *m = if change > *m { change } else { *m };
        }
    }

    /// sum ← sum + 0·x over rows of `sum.len()` vectors: 0 where all are finite, NaN elsewhere.
    pub fn taint(sum: &mut [Lane], rows: &[Lane]) {
        for row in rows.chunks_exact(sum.len()) {
            for (s, x) in flat_mut(sum).iter_mut().zip(flat(row)) {
                *s += 0.0 * x;
            }
        }
    }
}

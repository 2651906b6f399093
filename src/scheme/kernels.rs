//! What schemes do to a block, number by number.

use crate::lanes::{Lane, flat, flat_mut, vectorized};

vectorized! {
    /// out = a x.
    pub fn scale(out: &mut [Lane], x: &[Lane], a: f64) {
        for (o, x) in flat_mut(out).iter_mut().zip(flat(x)) {
            *o = a * x;
        }
    }

    /// x ← a x.
    pub fn multiply(x: &mut [Lane], a: f64) {
        for x in flat_mut(x) {
            *x *= a;
        }
    }

    /// out ← out + a x.
    pub fn add_scaled(out: &mut [Lane], x: &[Lane], a: f64) {
        for (o, x) in flat_mut(out).iter_mut().zip(flat(x)) {
            *o += a * x;
        }
    }

    /// out = x + a y.
    pub fn combine(out: &mut [Lane], x: &[Lane], y: &[Lane], a: f64) {
        for ((o, x), y) in flat_mut(out).iter_mut().zip(flat(x)).zip(flat(y)) {
            *o = x + a * y;
        }
    }

    /// out = a x + b y.
    pub fn blend(out: &mut [Lane], x: &[Lane], a: f64, y: &[Lane], b: f64) {
        for ((o, x), y) in flat_mut(out).iter_mut().zip(flat(x)).zip(flat(y)) {
            *o = a * x + b * y;
        }
    }

    /// out = root·(c0 ξ + c1 ½(ξ² − 1) + c2 z + c3 (ξ³ − 3ξ)/6): the weights of iterated integrals.
    pub fn iterated(out: &mut [Lane], xi: &[Lane], z: &[Lane], root: f64, c: [f64; 4]) {
        for ((o, x), z) in flat_mut(out).iter_mut().zip(flat(xi)).zip(flat(z)) {
            let square = x * x;
            *o = root * (c[0] * x + c[1] * (0.5 * (square - 1.0)) + c[2] * z + c[3] * (x * (square - 3.0) * (1.0 / 6.0)));
        }
    }

    /// ±1 by the sign.
    pub fn to_sign(x: &mut [Lane]) {
        for x in flat_mut(x) {
            *x = f64::from_bits(ONE | (x.to_bits() & (1 << 63)));
        }
    }

    /// The three points by the size of a normal number: |x| is beyond the threshold with probability ⅓.
    pub fn to_three_points(x: &mut [Lane]) {
        let root = 3.0_f64.sqrt();
        for x in flat_mut(x) {
            let plus = if *x > THRESHOLD { root } else { 0.0 };
            *x = if *x < -THRESHOLD { -root } else { plus };
        }
    }
}

/// Beyond which a standard normal number lies with probability ⅙: Φ⁻¹(5/6).
const THRESHOLD: f64 = 0.967_421_566_101_701;
/// The bits of 1.
const ONE: u64 = 1.0_f64.to_bits();

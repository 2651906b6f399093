//! Straight loops over lanes, which the compiler turns into vector instructions.

use crate::lanes::{LANES, Lane, vectorized};

macro_rules! two_operands {
    ($($name:ident $left:ident $right:ident $op:tt;)*) => { vectorized! { $(
        pub(super) fn $name(out: &mut [Lane], a: &[Lane], b: &[Lane]) {
            for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                for l in 0..LANES {
                    out.0[l] = a.0[l] $op b.0[l];
                }
            }
        }
        pub(super) fn $left(out: &mut [Lane], a: f64, b: &[Lane]) {
            for (out, b) in out.iter_mut().zip(b) {
                for l in 0..LANES {
                    out.0[l] = a $op b.0[l];
                }
            }
        }
        pub(super) fn $right(out: &mut [Lane], a: &[Lane], b: f64) {
            for (out, a) in out.iter_mut().zip(a) {
                for l in 0..LANES {
                    out.0[l] = a.0[l] $op b;
                }
            }
        }
    )* } };
}

two_operands! {
    add add_left add_right +;
    subtract subtract_left subtract_right -;
    multiply multiply_left multiply_right *;
    divide divide_left divide_right /;
}

macro_rules! one_operand {
    ($($name:ident |$x:ident| $value:expr;)*) => { vectorized! { $(
        pub(super) fn $name(out: &mut [Lane], a: &[Lane]) {
            for (out, a) in out.iter_mut().zip(a) {
                for l in 0..LANES {
                    let $x = a.0[l];
                    out.0[l] = $value;
                }
            }
        }
    )* } };
}

one_operand! {
    negate |x| -x;
    sqrt |x| x.sqrt();
    reciprocal_root |x| 1.0 / x.sqrt();
    abs |x| x.abs();
    square |x| x * x;
    // NaN stays NaN; ±0 give 0.
    sign |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x * 0.0 };
    relu |x| if x > 0.0 { x } else if x <= 0.0 { 0.0 } else { x };
    step |x| if x > 0.0 { 1.0 } else { 0.0 };
}

vectorized! {
    /// out += a.
    pub(super) fn add_to(out: &mut [Lane], a: &[Lane]) {
        for (out, a) in out.iter_mut().zip(a) {
            for l in 0..LANES {
                out.0[l] += a.0[l];
            }
        }
    }
    /// out += a·b.
    pub(super) fn multiply_add_to(out: &mut [Lane], a: &[Lane], b: &[Lane]) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            for l in 0..LANES {
                out.0[l] += a.0[l] * b.0[l];
            }
        }
    }
    /// out = max(out, a), NaN if either is.
    pub(super) fn max_to(out: &mut [Lane], a: &[Lane]) {
        for (out, a) in out.iter_mut().zip(a) {
            for l in 0..LANES {
                let (x, y) = (out.0[l], a.0[l]);
                out.0[l] = if x > y { x } else if y >= x { y } else { x + y };
            }
        }
    }
    /// out = 1 where a = b, else 0.
    pub(super) fn equal(out: &mut [Lane], a: &[Lane], b: &[Lane]) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            for l in 0..LANES {
                out.0[l] = if a.0[l] == b.0[l] { 1.0 } else { 0.0 };
            }
        }
    }
    /// out = 1 where a = c, else 0.
    pub(super) fn equal_to(out: &mut [Lane], a: &[Lane], c: f64) {
        for (out, a) in out.iter_mut().zip(a) {
            for l in 0..LANES {
                out.0[l] = if a.0[l] == c { 1.0 } else { 0.0 };
            }
        }
    }
    /// aⁿ, n ≥ 1, by squaring.
    pub(super) fn positive_power(out: &mut [Lane], a: &[Lane], exponent: u32) {
        for (out, a) in out.iter_mut().zip(a) {
            let mut base = *a;
            let mut left = exponent;
            let mut result = Lane::splat(1.0);
            let mut begun = false;
            while left > 0 {
                if left & 1 == 1 {
                    if begun {
                        for l in 0..LANES {
                            result.0[l] *= base.0[l];
                        }
                    } else {
                        result = base;
                        begun = true;
                    }
                }
                left >>= 1;
                if left > 0 {
                    for l in 0..LANES {
                        base.0[l] *= base.0[l];
                    }
                }
            }
            *out = result;
        }
    }
    /// out[i,j] (+)= Σ_l a[i,l] b[l,j], strides in elements, `tiles` vectors an element.
    pub(super) fn matrix_product(out: &mut [Lane], a: &[Lane], b: &[Lane], d: &Product, add: bool) {
        for i in 0..d.rows {
            for j in 0..d.cols {
                let to = (i * d.cols + j) * d.tiles;
                for t in 0..d.tiles {
                    let mut sum = [0.0; LANES];
                    let x = &a[i * d.a_row * d.tiles + t];
                    let y = &b[j * d.b_col * d.tiles + t];
                    for l in 0..LANES {
                        sum[l] = x.0[l] * y.0[l];
                    }
                    for k in 1..d.inner {
                        let x = &a[(i * d.a_row + k * d.a_inner) * d.tiles + t];
                        let y = &b[(k * d.b_inner + j * d.b_col) * d.tiles + t];
                        for l in 0..LANES {
                            sum[l] += x.0[l] * y.0[l];
                        }
                    }
                    let out = &mut out[to + t];
                    if add {
                        for l in 0..LANES {
                            out.0[l] += sum[l];
                        }
                    } else {
                        out.0 = sum;
                    }
                }
            }
        }
    }
}

/// Extents and strides of a matrix product.
pub(super) struct Product {
    pub(super) rows: usize,
    pub(super) inner: usize,
    pub(super) cols: usize,
    pub(super) a_row: usize,
    pub(super) a_inner: usize,
    pub(super) b_inner: usize,
    pub(super) b_col: usize,
    pub(super) tiles: usize,
}

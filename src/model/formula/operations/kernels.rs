//! Straight loops over lanes, which the compiler turns into vector instructions.

#![allow(clippy::inline_always, reason = "a kernel's parts must take the kernel's instruction set")]

use crate::lanes::{LANES, Lane, flat, flat_mut, vectorized};

macro_rules! two_operands {
    ($($name:ident $left:ident $right:ident $op:tt;)*) => { vectorized! { $(
        pub(super) fn $name(out: &mut [Lane], a: &[Lane], b: &[Lane]) {
            for ((out, a), b) in flat_mut(out).iter_mut().zip(flat(a)).zip(flat(b)) {
                *out = a $op b;
            }
        }
        pub(super) fn $left(out: &mut [Lane], a: f64, b: &[Lane]) {
            for (out, b) in flat_mut(out).iter_mut().zip(flat(b)) {
                *out = a $op b;
            }
        }
        pub(super) fn $right(out: &mut [Lane], a: &[Lane], b: f64) {
            for (out, a) in flat_mut(out).iter_mut().zip(flat(a)) {
                *out = a $op b;
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
            for (out, &$x) in flat_mut(out).iter_mut().zip(flat(a)) {
                *out = $value;
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
        for (out, a) in flat_mut(out).iter_mut().zip(flat(a)) {
            *out += a;
        }
    }
    /// out += a·b.
    pub(super) fn multiply_add_to(out: &mut [Lane], a: &[Lane], b: &[Lane]) {
        for ((out, a), b) in flat_mut(out).iter_mut().zip(flat(a)).zip(flat(b)) {
            *out += a * b;
        }
    }
    /// out = (y + shift)·factor.
    pub(super) fn affine(out: &mut [Lane], y: &[Lane], shift: f64, factor: f64) {
        for (out, y) in flat_mut(out).iter_mut().zip(flat(y)) {
            *out = (y + shift) * factor;
        }
    }
    /// The same in place.
    pub(super) fn affine_in_place(out: &mut [Lane], shift: f64, factor: f64) {
        for out in flat_mut(out) {
            *out = (*out + shift) * factor;
        }
    }
    /// a ← factor·a.
    pub(super) fn scale_in_place(a: &mut [Lane], factor: f64) {
        for a in flat_mut(a) {
            *a *= factor;
        }
    }
    /// out = (a·b + shift)·factor.
    pub(super) fn affine_product(out: &mut [Lane], a: &[Lane], b: &[Lane], shift: f64, factor: f64) {
        for ((out, a), b) in flat_mut(out).iter_mut().zip(flat(a)).zip(flat(b)) {
            *out = (a * b + shift) * factor;
        }
    }
    /// out = max(out, a), NaN if either is.
    pub(super) fn max_to(out: &mut [Lane], a: &[Lane]) {
        for (out, &y) in flat_mut(out).iter_mut().zip(flat(a)) {
            let x = *out;
            *out = if x > y { x } else if y >= x { y } else { x + y };
        }
    }
    /// out = 1 where a = b, else 0.
    pub(super) fn equal(out: &mut [Lane], a: &[Lane], b: &[Lane]) {
        for ((out, a), b) in flat_mut(out).iter_mut().zip(flat(a)).zip(flat(b)) {
            *out = if a == b { 1.0 } else { 0.0 };
        }
    }
    /// out = 1 where a = c, else 0.
    pub(super) fn equal_to(out: &mut [Lane], a: &[Lane], c: f64) {
        for (out, &a) in flat_mut(out).iter_mut().zip(flat(a)) {
            *out = if a == c { 1.0 } else { 0.0 };
        }
    }
    /// aⁿ, n ≥ 1, by squaring.
    pub(super) fn positive_power(out: &mut [Lane], a: &[Lane], exponent: u32) {
        for (out, &a) in flat_mut(out).iter_mut().zip(flat(a)) {
            let mut base = a;
            let mut left = exponent;
            while left & 1 == 0 {
                base *= base;
                left >>= 1;
            }
            let mut result = base;
            left >>= 1;
            while left > 0 {
                base *= base;
                if left & 1 == 1 {
                    result *= base;
                }
                left >>= 1;
            }
            *out = result;
        }
    }
    /// out[i,j] (+)= Σ_k a[i,k] b[k,j], in blocks of rows and columns held in registers; the sum runs over k in
    /// order, from the value that is there if `add`.
    pub(super) fn matrix_product(out: &mut [Lane], a: &[Lane], b: &[Lane], d: &Product, add: bool) {
        let (rows, cols) = (d.rows - d.rows % 4, d.cols - d.cols % 4);
        for t in 0..d.tiles {
            for i in (0..rows).step_by(4) {
                for j in (0..cols).step_by(4) {
                    four_by_four(out, a, b, d, [i, j, t], add);
                }
                for j in cols..d.cols {
                    four_by_one(out, a, b, d, [i, j, t], add);
                }
            }
            for i in rows..d.rows {
                (0..d.cols).for_each(|j| one_by_one(out, a, b, d, [i, j, t], add));
            }
        }
    }
}

#[inline(always)]
fn plus_product(sum: Lane, x: &Lane, y: &Lane) -> Lane {
    let mut out = sum;
    for l in 0..LANES {
        out.0[l] += x.0[l] * y.0[l];
    }
    out
}

/// What a sum starts from: −0, which added to anything leaves it as it is.
const NOTHING: Lane = Lane([-0.0; LANES]);

/// One element, of row, column and tile `at`.
#[inline(always)]
fn one_by_one(out: &mut [Lane], a: &[Lane], b: &[Lane], d: &Product, [i, j, t]: [usize; 3], add: bool) {
    let at = (i * d.out_row + j * d.out_col) * d.tiles + t;
    let mut sum = if add { out[at] } else { NOTHING };
    let (mut from_a, mut from_b) = (i * d.a_row * d.tiles + t, j * d.b_col * d.tiles + t);
    for _ in 0..d.inner {
        sum = plus_product(sum, &a[from_a], &b[from_b]);
        from_a += d.a_inner * d.tiles;
        from_b += d.b_inner * d.tiles;
    }
    out[at] = sum;
}

/// Four rows of one column, from row, column and tile `at` on.
#[inline(always)]
fn four_by_one(out: &mut [Lane], a: &[Lane], b: &[Lane], d: &Product, [i, j, t]: [usize; 3], add: bool) {
    let at = |r: usize| ((i + r) * d.out_row + j * d.out_col) * d.tiles + t;
    let mut sum = if add { [out[at(0)], out[at(1)], out[at(2)], out[at(3)]] } else { [NOTHING; 4] };
    let row = d.a_row * d.tiles;
    let (mut from_a, mut from_b) = (i * row + t, j * d.b_col * d.tiles + t);
    for _ in 0..d.inner {
        let y = &b[from_b];
        sum[0] = plus_product(sum[0], &a[from_a], y);
        sum[1] = plus_product(sum[1], &a[from_a + row], y);
        sum[2] = plus_product(sum[2], &a[from_a + 2 * row], y);
        sum[3] = plus_product(sum[3], &a[from_a + 3 * row], y);
        from_a += d.a_inner * d.tiles;
        from_b += d.b_inner * d.tiles;
    }
    out[at(0)] = sum[0];
    out[at(1)] = sum[1];
    out[at(2)] = sum[2];
    out[at(3)] = sum[3];
}

/// Sixteen elements from row, column and tile `at` on. The indices are literals so that sums stay in registers.
#[inline(always)]
fn four_by_four(out: &mut [Lane], a: &[Lane], b: &[Lane], d: &Product, [i, j, t]: [usize; 3], add: bool) {
    let mut sum = [NOTHING; 16];
    macro_rules! each {
        ($do:ident) => {
            $do!(0 0); $do!(0 1); $do!(0 2); $do!(0 3);
            $do!(1 0); $do!(1 1); $do!(1 2); $do!(1 3);
            $do!(2 0); $do!(2 1); $do!(2 2); $do!(2 3);
            $do!(3 0); $do!(3 1); $do!(3 2); $do!(3 3);
        };
    }
    macro_rules! at {
        ($r:literal $c:literal) => {
            ((i + $r) * d.out_row + (j + $c) * d.out_col) * d.tiles + t
        };
    }
    macro_rules! load {
        ($r:literal $c:literal) => {
            sum[4 * $r + $c] = out[at!($r $c)];
        };
    }
    if add {
        each!(load);
    }
    let (row, col) = (d.a_row * d.tiles, d.b_col * d.tiles);
    let (mut from_a, mut from_b) = (i * row + t, j * col + t);
    for _ in 0..d.inner {
        let x = [&a[from_a], &a[from_a + row], &a[from_a + 2 * row], &a[from_a + 3 * row]];
        let y = [&b[from_b], &b[from_b + col], &b[from_b + 2 * col], &b[from_b + 3 * col]];
        macro_rules! product {
            ($r:literal $c:literal) => {
                sum[4 * $r + $c] = plus_product(sum[4 * $r + $c], x[$r], y[$c]);
            };
        }
        each!(product);
        from_a += d.a_inner * d.tiles;
        from_b += d.b_inner * d.tiles;
    }
    macro_rules! store {
        ($r:literal $c:literal) => {
            out[at!($r $c)] = sum[4 * $r + $c];
        };
    }
    each!(store);
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
    pub(super) out_row: usize,
    pub(super) out_col: usize,
    pub(super) tiles: usize,
}

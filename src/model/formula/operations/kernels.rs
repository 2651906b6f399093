//! Straight loops over lanes, which the compiler turns into vector instructions.

#![allow(clippy::inline_always, reason = "a kernel's parts must take the kernel's instruction set")]

use crate::lanes::{Lane, flat, flat_mut, vectorized};

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
    // 0 at ±0, see `SQRT`.
    reciprocal_root |x| if x == 0.0 { x } else { 1.0 / x.sqrt() };
    abs |x| x.abs();
    square |x| x * x;
    // NaN stays NaN; ±0 give 0.
    sign |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x * 0.0 };
    relu |x| if x > 0.0 { x } else if x <= 0.0 { 0.0 } else { x };
    step |x| if x > 0.0 { 1.0 } else { 0.0 };
    // NaN gives 0, here and below.
    not_below_zero |x| if x >= 0.0 { 1.0 } else { 0.0 };
    zero |x| if x == 0.0 { 1.0 } else { 0.0 };
    nonzero |x| if x.abs() > 0.0 { 1.0 } else { 0.0 };
    floor |x| x.floor();
    reciprocal_or_zero |x| if x == 0.0 { 0.0 } else { 1.0 / x };
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
    /// mean += a x, squares += a x·x.
    pub(super) fn add_moments(mean: &mut [Lane], squares: &mut [Lane], x: &[Lane], a: f64) {
        for ((mean, squares), x) in flat_mut(mean).iter_mut().zip(flat_mut(squares)).zip(flat(x)) {
            *mean += a * x;
            *squares += a * x * x;
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
    /// out = a·b, and 0 where a is, whatever b is.
    pub(super) fn chain_product(out: &mut [Lane], a: &[Lane], b: &[Lane]) {
        for ((out, &a), b) in flat_mut(out).iter_mut().zip(flat(a)).zip(flat(b)) {
            *out = if a == 0.0 { a } else { a * b };
        }
    }
    /// out = a/b, and 0 where a is, whatever b is.
    pub(super) fn chain_quotient(out: &mut [Lane], a: &[Lane], b: &[Lane]) {
        for ((out, &a), b) in flat_mut(out).iter_mut().zip(flat(a)).zip(flat(b)) {
            *out = if a == 0.0 { a } else { a / b };
        }
    }
    /// out ← 0 where x is, however large it was.
    pub(super) fn clear_at_zero(out: &mut [Lane], x: &[Lane]) {
        for (out, &x) in flat_mut(out).iter_mut().zip(flat(x)) {
            *out = if x == 0.0 { 0.0 } else { *out };
        }
    }
    /// out ← 0 where x is and low < y < 0.
    pub(super) fn clear_at_zero_above(out: &mut [Lane], x: &[Lane], y: &[Lane], low: f64) {
        for ((out, &x), &y) in flat_mut(out).iter_mut().zip(flat(x)).zip(flat(y)) {
            *out = if x == 0.0 && y > low && y < 0.0 { 0.0 } else { *out };
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
}

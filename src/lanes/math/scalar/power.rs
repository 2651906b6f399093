//! Powers: xʸ = 2^(y·log₂ x) with log₂ x in two parts, after fdlibm's e_pow.c made branch-free.

use super::exponential::{beyond_linear, two_factors};
use super::{SHIFT, at_least, at_most, head, polynomial_in_halves};

/// (3·artanh(s)/s − 3 − s²)/s⁴ in powers of s² (fdlibm).
const SERIES: [f64; 6] = [
    5.999_999_999_999_946_487e-1,
    4.285_714_285_785_501_843e-1,
    3.333_333_298_183_774_329e-1,
    2.727_281_238_085_340_065e-1,
    2.306_607_457_755_617_541e-1,
    2.069_750_178_003_384_178e-1,
];
/// 2/(3·ln 2), whole and in two parts.
const SCALE: f64 = 9.617_966_939_259_755_54e-1;
const SCALE_HIGH: f64 = 9.617_967_009_544_372_56e-1;
const SCALE_LOW: f64 = -7.028_461_650_952_758_27e-9;
/// log₂ 1.5 in two parts.
const LOG2_1_5_HIGH: f64 = 5.849_624_872_207_641_6e-1;
const LOG2_1_5_LOW: f64 = 1.350_039_202_129_748_97e-8;
/// ln 2 in two parts, the first of 21 bits' product.
const LN2_HIGH: f64 = 6.931_471_824_645_996_09e-1;
const LN2_LOW: f64 = -1.904_654_299_957_768_05e-9;

/// log₂ a for a > 0 as a sum: the first part has 21 bits.
#[inline(always)]
fn log2_in_parts(a: f64) -> (f64, f64) {
    let subnormal = a < f64::MIN_POSITIVE;
    let a = if subnormal { a * 9_007_199_254_740_992.0 } else { a };
    let bits = a.to_bits();
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 1.0f64.to_bits());
    let n = f64::from_bits((bits >> 52) | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    let n = if subnormal { n - 53.0 } else { n };
    // Centre 1 on [0.87, 1.22), 1.5 between, the next power of two above √3.
    let upper = m >= 1.732_050_807_568_877_2;
    let (m, n) = if upper { (0.5 * m, n + 1.0) } else { (m, n) };
    let middle = m >= 1.224_744_871_391_589;
    let (centre, offset_high, offset_low) =
        if middle { (1.5, LOG2_1_5_HIGH, LOG2_1_5_LOW) } else { (1.0, 0.0, 0.0) };

    // s = (m − centre)/(m + centre) in two parts.
    let (difference, reciprocal) = (m - centre, 1.0 / (m + centre));
    let s = difference * reciprocal;
    let s_high = head(s);
    let sum_high = head(m + centre);
    let sum_low = m - (sum_high - centre);
    let s_low = reciprocal * ((difference - s_high * sum_high) - s_high * sum_low);
    // 3·artanh(s)/s in two parts.
    let square = s * s;
    let tail = square * square * polynomial_in_halves(square, &SERIES) + s_low * (s_high + s);
    let square = s_high * s_high;
    let series_high = head(3.0 + square + tail);
    let series_low = tail - ((series_high - 3.0) - square);
    // Their product, times 2/(3·ln 2), plus n.
    let u = s_high * series_high;
    let v = s_low * series_high + series_low * s;
    let product_high = head(u + v);
    let product_low = v - (product_high - u);
    let z_high = SCALE_HIGH * product_high;
    let z_low = SCALE_LOW * product_high + product_low * SCALE + offset_low;
    let high = head(((z_high + z_low) + offset_high) + n);
    let low = z_low - (((high - n) - offset_high) - z_high);
    (high, low)
}

/// aʸ for a > 0 and finite y, |y| < 2¹⁰⁰.
#[inline(always)]
fn positive(a: f64, y: f64) -> f64 {
    let (log_high, log_low) = log2_in_parts(a);
    let y_high = head(y);
    let low = (y - y_high) * log_high + y * log_low;
    let high = y_high * log_high;
    let total = low + high;
    let (high, low) = if total > 1100.0 { (1100.0, 0.0) } else { (high, low) };
    let (high, low) = if total < -1100.0 { (-1100.0, 0.0) } else { (high, low) };

    let shifted = at_least(at_most(total, 1100.0), -1100.0) + SHIFT;
    let high = high - (shifted - SHIFT);
    let t = head(low + high);
    let u = t * LN2_HIGH;
    let v = (low - (t - high)) * std::f64::consts::LN_2 + t * LN2_LOW;
    let r = u + v;
    let r_low = v - (r - u);
    let (first, second) = two_factors(shifted.to_bits().wrapping_sub(SHIFT.to_bits()));
    (1.0 + (r + (beyond_linear(r) + r_low * (1.0 + r)))) * first * second
}

/// The integer nearest to y, |y| < 2⁵²; larger y are integers.
#[inline(always)]
fn nearest(y: f64) -> f64 {
    const EDGE: f64 = 4_503_599_627_370_496.0;
    let shift = EDGE.copysign(y);
    if y.abs() < EDGE { (y + shift) - shift } else { y }
}

/// xʸ with the special cases of C's `pow`: x⁰ = 1ʸ = 1 even for NaN; a negative x only with integer y.
/// Error below 1 ulp.
#[inline(always)]
pub fn powf(x: f64, y: f64) -> f64 {
    let a = x.abs();
    let whole = nearest(y) == y;
    let odd = whole && nearest(0.5 * y) != 0.5 * y;

    let y_finite = at_least(at_most(y, 1e21), -1e21);
    let power = positive(a, y_finite);
    let edge = a == 0.0 || a == f64::INFINITY;
    let grows = (a == 0.0) == (y < 0.0);
    let power = if edge { if grows { f64::INFINITY } else { 0.0 } } else { power };
    let power = if odd { power.copysign(x) } else { power };
    let power = if x < 0.0 && !edge && !whole { f64::NAN } else { power };
    let power = if x.is_nan() || y.is_nan() { f64::NAN } else { power };
    if y == 0.0 || x == 1.0 { 1.0 } else { power }
}

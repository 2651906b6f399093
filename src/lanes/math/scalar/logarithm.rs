//! ln x, log₁₀ x and ln(1 + x): 2ᵏ(1 + f), and the series of artanh in s = f/(2 + f), after fdlibm's e_log.c.

use super::exponential::{LN2_HIGH, LN2_LOW};
use super::polynomial_in_halves;

/// (ln((1+s)/(1−s)) − 2s)/s³ in powers of s², |s| ≤ 0.1716 (fdlibm, error < 2⁻⁵⁸·⁴⁵).
const SERIES: [f64; 7] = [
    6.666_666_666_666_735_13e-1,
    3.999_999_999_940_941_908e-1,
    2.857_142_874_366_239_149e-1,
    2.222_219_843_214_978_396e-1,
    1.818_357_216_161_805_012e-1,
    1.531_383_769_920_937_332e-1,
    1.479_819_860_511_658_591e-1,
];

/// High bits of √½, the least significand in [√½, √2).
const LEAST: u64 = 0x3fe6_a09e_0000_0000;

/// k·ln 2 + ln(1 + f) + correction, for √½ ≤ 1 + f ≤ √2.
#[inline(always)]
pub(super) fn assemble(k: f64, f: f64, correction: f64) -> f64 {
    let s = f / (2.0 + f);
    let z = s * s;
    let series = z * polynomial_in_halves(z, &SERIES);
    let half_square = 0.5 * f * f;
    k * LN2_HIGH - ((half_square - (s * (half_square + series) + (k * LN2_LOW + correction))) - f)
}

/// x = 2ᵏ·m with √½ ≤ m < √2, for normal x > 0.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    let shifted = x.to_bits().wrapping_add(1.0f64.to_bits() - LEAST);
    let m = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(LEAST));
    // The biased exponent as a number: 2⁵² + k + 1023.
    let k = f64::from_bits((shifted >> 52) | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    (k, m)
}

/// Natural logarithm. Error below 1 ulp; −∞ at ±0, NaN below, exact 0 at 1.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    let subnormal = x < f64::MIN_POSITIVE;
    let (k, m) = split(if subnormal { x * 18_014_398_509_481_984.0 } else { x });
    let y = assemble(if subnormal { k - 54.0 } else { k }, m - 1.0, 0.0);
    let y = if x > 0.0 { y } else { f64::NAN };
    let y = if x == 0.0 { f64::NEG_INFINITY } else { y };
    if x < f64::INFINITY { y } else { x }
}

/// ln(1 + x). Error below 1 ulp; −∞ at −1, NaN below.
#[inline(always)]
pub fn ln1p(x: f64) -> f64 {
    let sum = 1.0 + x;
    let (k, m) = split(sum);
    // What the sum lost, relative to it.
    let lost = if k >= 2.0 { 1.0 - (sum - x) } else { x - (sum - 1.0) };
    let correction = if k < 54.0 { lost / sum } else { 0.0 };
    // Near zero x itself is the better f.
    let (f, correction) = if k == 0.0 { (x, 0.0) } else { (m - 1.0, correction) };
    let y = assemble(k, f, correction);
    let y = if x > -1.0 { y } else { f64::NAN };
    let y = if x == -1.0 { f64::NEG_INFINITY } else { y };
    let y = if x < f64::INFINITY { y } else { x };
    if x == 0.0 { x } else { y }
}

/// log₁₀ 2 in two parts, the first short, and 1/ln 10 (fdlibm's e_log10.c).
const LOG10_2: (f64, f64) = (f64::from_bits(0x3fd3_4413_509f_6000), f64::from_bits(0x3d59_fef3_11f1_2b36));

/// Common logarithm, exact at 1, 10, …, 10²². Error below 2 ulp; −∞ at ±0, NaN below.
#[inline(always)]
pub fn log10(x: f64) -> f64 {
    let subnormal = x < f64::MIN_POSITIVE;
    let bits = (if subnormal { x * 18_014_398_509_481_984.0 } else { x }).to_bits();
    let k = f64::from_bits((bits >> 52) | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    let k = if subnormal { k - 54.0 } else { k };
    // The significand is 1 to 2, and ½ to 1 where the exponent is negative: the two terms have one sign.
    let negative = k < 0.0;
    let one = if negative { 0.5f64.to_bits() } else { 1.0f64.to_bits() };
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | one);
    let k = if negative { k + 1.0 } else { k };
    let y = (k * LOG10_2.1 + std::f64::consts::LOG10_E * ln(m)) + k * LOG10_2.0;
    let y = if x > 0.0 { y } else { f64::NAN };
    let y = if x == 0.0 { f64::NEG_INFINITY } else { y };
    if x < f64::INFINITY { y } else { x }
}

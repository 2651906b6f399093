//! eˣ and eˣ − 1: x = k·ln 2 + r, a polynomial in r, and 2ᵏ.

use super::{SHIFT, at_least, at_most, polynomial_in_halves};

/// ln 2, and its first 33 bits with the rest: k·LN2_HIGH is exact (Cody & Waite 1980; the split of fdlibm).
pub(super) const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
pub(super) const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// (eʳ − 1 − r)/r² on |r| ≤ 0.3466: minimax, |r|·error < 7·10⁻¹⁸ (Remez, weight |r| + 0.02).
const QUOTIENT: [f64; 10] = [
    0.500_000_000_000_000_4,
    0.166_666_666_666_666_85,
    0.041_666_666_666_582_03,
    0.008_333_333_333_315_601,
    0.001_388_888_893_018_128_9,
    0.000_198_412_699_010_289_56,
    2.480_150_667_802_49e-5,
    2.755_722_960_008_996_8e-6,
    2.762_555_092_191_424e-7,
    2.511_399_054_270_497_7e-8,
];

/// eˣ = 2ᵏ(1 + r + rest).
pub(super) struct Reduced {
    /// k in two's complement.
    pub(super) k: u64,
    /// x − k·ln 2, to a rounding; |r| ≤ 0.3466.
    pub(super) r: f64,
    /// eʳ − 1 − r, and the rounding error of r.
    pub(super) rest: f64,
}

/// For |x| < 2⁴⁰.
#[inline(always)]
pub(super) fn reduce(x: f64) -> Reduced {
    let shifted = x * std::f64::consts::LOG2_E + SHIFT;
    let k = shifted - SHIFT;
    let (high, low) = (x - k * LN2_HIGH, k * LN2_LOW);
    let r = high - low;
    Reduced {
        k: shifted.to_bits().wrapping_sub(SHIFT.to_bits()),
        r,
        rest: beyond_linear(r) + ((high - r) - low),
    }
}

/// eʳ − 1 − r for |r| ≤ 0.3466.
#[inline(always)]
pub(super) fn beyond_linear(r: f64) -> f64 {
    r * r * polynomial_in_halves(r, &QUOTIENT)
}

/// 2ᵏ for −1022 ≤ k ≤ 1023, in two's complement.
#[inline(always)]
pub(super) fn power_of_two(k: u64) -> f64 {
    f64::from_bits(k.wrapping_add(1023) << 52)
}

/// Two factors of 2ᵏ, each a normal number, for |k| < 2000: by one after the other, y·2ᵏ is rounded once, overflow
/// and subnormal results included.
#[inline(always)]
pub(super) fn two_factors(k: u64) -> (f64, f64) {
    let biased = k.wrapping_add(2046);
    let half = biased >> 1;
    (f64::from_bits(half << 52), f64::from_bits(biased.wrapping_sub(half) << 52))
}

/// eˣ. Error below 1 ulp; ∞ above 709.79, 0 below −745.14, subnormal results rounded once.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let Reduced { k, r, rest } = reduce(at_least(at_most(x, 710.0), -746.0));
    let (first, second) = two_factors(k);
    (1.0 + (r + rest)) * first * second
}

/// eˣ − 1. Error below 1.5 ulp.
#[inline(always)]
pub fn expm1(x: f64) -> f64 {
    let Reduced { k, r, rest } = reduce(at_least(at_most(x, 710.0), -40.0));
    // Halved, so that 2¹⁰²⁴ is a number.
    let half = power_of_two(k.wrapping_sub(1));
    let y = 2.0 * ((half * r + (half - 0.5)) + half * rest);
    if x.abs() < 1e-17 { x } else { y }
}

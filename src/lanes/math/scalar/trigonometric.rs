//! Sine and cosine: x = n·π/2 + r, then the polynomials of fdlibm. Below 10⁶ r comes by Cody & Waite in three parts; beyond, from as many
//! bits of 2/π as there are, in whole numbers (Payne & Hanek 1983, SIGNUM Newsletter 18).

use super::{SHIFT, polynomial};

/// π/2 in three parts, the first two of 33 bits.
const QUARTER_1: f64 = f64::from_bits(0x3ff9_21fb_5440_0000);
const QUARTER_2: f64 = f64::from_bits(0x3dd0_b461_1a60_0000);
const QUARTER_3: f64 = 2.022_266_248_795_950_6e-21;

/// (sin r − r − S₁r³)/r⁵ and (cos r − 1 + r²/2)/r⁴ in powers of r², |r| ≤ π/4 (fdlibm's k_sin.c and k_cos.c).
const SINE_1: f64 = -1.666_666_666_666_663_24e-1;
const SINE: [f64; 5] = [
    8.333_333_333_322_489_46e-3,
    -1.984_126_982_985_794_93e-4,
    2.755_731_370_707_006_77e-6,
    -2.505_076_025_340_686_34e-8,
    1.589_690_995_211_550_1e-10,
];
const COSINE: [f64; 6] = [
    4.166_666_666_666_660_19e-2,
    -1.388_888_888_887_410_96e-3,
    2.480_158_728_947_673e-5,
    -2.755_731_435_139_066_33e-7,
    2.087_572_321_298_174_83e-9,
    -1.135_964_755_778_819_48e-11,
];

/// Below it Cody & Waite's parts are exact enough.
const NEAR: f64 = 1e6;

/// True where [`sin_near`] and [`cos_near`] are right.
#[inline(always)]
pub(in crate::lanes::math) fn is_near(x: f64) -> bool {
    x.abs() < NEAR
}

/// sin(x + quarters·π/2), |x| < 10⁶.
#[inline(always)]
fn near(x: f64, quarters: u64) -> f64 {
    let shifted = x * std::f64::consts::FRAC_2_PI + SHIFT;
    let n = shifted - SHIFT;
    let quadrant = shifted.to_bits().wrapping_add(quarters);

    let a = x - n * QUARTER_1;
    let part = n * QUARTER_2;
    let b = a - part;
    // What the difference lost (Knuth's two-sum: near a multiple of π/2 either part may be the larger).
    let back = b - a;
    let lost = (a - (b - back)) - (part + back);
    let last = n * QUARTER_3 - lost;
    let r = b - last;
    wave(r, (b - r) - last, quadrant)
}

/// sin(r + r_low + quadrant·π/2), |r| ≤ π/4.
#[inline(always)]
fn wave(r: f64, r_low: f64, quadrant: u64) -> f64 {
    let z = r * r;
    let cube = z * r;
    let s = r - ((z * (0.5 * r_low - cube * polynomial(z, &SINE)) - r_low) - cube * SINE_1);
    let half = 0.5 * z;
    let w = 1.0 - half;
    let c = w + (((1.0 - w) - half) + (z * (z * polynomial(z, &COSINE)) - r * r_low));

    let y = if quadrant & 1 == 0 { s } else { c };
    f64::from_bits(y.to_bits() ^ ((quadrant & 2) << 62))
}

/// 64 zeros and the first 1216 bits behind the point of 2/π.
const TWO_OVER_PI: [u64; 20] = [
    0x0000_0000_0000_0000,
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
];
/// π/2 in units of 2⁻¹²⁷.
const HALF_PI: u128 = 0xc90fdaa2_2168c234_c4c6628b_80dc1cd1;

/// sin(x + quarters·π/2) at any distance; NaN at ±∞.
#[cold]
#[inline(never)]
fn far(x: f64, quarters: u64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    // |x| = m·2ᵉ, e ≥ −33.
    let bits = x.to_bits();
    let m = (bits & ((1 << 52) - 1)) | 1 << 52;
    let exponent = ((bits >> 52) & 0x7ff) as usize;
    // Bits of 2/π that give whole turns are left out: the first that is kept has the weight 2^(1−e), so that 192 of them times m are quarter
    // turns in units of 2⁻¹⁹⁰, what is above them being multiples of four. With 64 zeros in front it is the bit e + 62.
    let first = exponent + 62 - 1075;
    let (word, shift) = (first / 64, first % 64);
    let part = |k: usize| {
        let two = (u128::from(TWO_OVER_PI[word + k]) << 64) | u128::from(TWO_OVER_PI[word + k + 1]);
        ((two << shift) >> 64) as u64
    };
    let low = u128::from(m) * u128::from(part(2));
    let middle = u128::from(m) * u128::from(part(1)) + (low >> 64);
    let high = m.wrapping_mul(part(0)).wrapping_add((middle >> 64) as u64);
    // The nearest quarter turn, and the distance from it as a fraction of 192 bits with a sign.
    let (top, bottom) = ((u128::from(high) << 64) | u128::from(middle as u64), low as u64);
    let quadrant = high >> 62;
    let over = (high >> 61) & 1;
    let fraction = (top << 2) | u128::from(bottom >> 62);
    let rest = bottom << 2;
    let (fraction, rest) = if over == 1 {
        // 1 − f.
        let (rest, carry) = (!rest).overflowing_add(1);
        ((!fraction).wrapping_add(u128::from(carry)), rest)
    } else {
        (fraction, rest)
    };
    // No double is closer to a multiple of π/2 than 2⁻⁶² quarter turns: 128 bits are left.
    let zeros = fraction.leading_zeros().min(127);
    let fraction =
        if zeros == 0 { fraction } else { (fraction << zeros) | (u128::from(rest) << 64 >> (128 - zeros)) };
    let angle = upper_product(fraction, HALF_PI);
    let more = angle.leading_zeros();
    let angle = angle << more;
    let unit = |power: i64| f64::from_bits(((1023 + power) as u64) << 52);
    let scale = 127 + i64::from(zeros) + i64::from(more);
    // 53 bits exactly, and the next 64.
    let head = (angle >> 75) as f64 * unit(75 - scale);
    let tail = ((angle << 53) >> 64) as f64 * unit(11 - scale);
    let r = head + tail;
    let r_low = (head - r) + tail;
    // f below 0 where it was rounded up, and all turned about for negative x.
    let negative = (over == 1) != (x < 0.0);
    let quadrant = quadrant.wrapping_add(over);
    let quadrant = if x < 0.0 { quadrant.wrapping_neg() } else { quadrant };
    let (r, r_low) = if negative { (-r, -r_low) } else { (r, r_low) };
    wave(r, r_low, quadrant.wrapping_add(quarters))
}

/// The upper half of a·b.
fn upper_product(a: u128, b: u128) -> u128 {
    let halves = |x: u128| (x >> 64, x & u128::from(u64::MAX));
    let ((a1, a0), (b1, b0)) = (halves(a), halves(b));
    let (m1, m0) = halves(a1 * b0);
    let (n1, n0) = halves(a0 * b1);
    let carry = ((a0 * b0) >> 64) + m0 + n0;
    a1 * b1 + m1 + n1 + (carry >> 64)
}

/// Sine for |x| < 10⁶, any number elsewhere.
#[inline(always)]
pub(in crate::lanes::math) fn sin_near(x: f64) -> f64 {
    near(x, 0)
}

/// Cosine for |x| < 10⁶, any number elsewhere.
#[inline(always)]
pub(in crate::lanes::math) fn cos_near(x: f64) -> f64 {
    near(x, 1)
}

/// Sine. Error below 1 ulp; NaN at ±∞.
#[inline(always)]
pub fn sin(x: f64) -> f64 {
    if is_near(x) { near(x, 0) } else { far(x, 0) }
}

/// Cosine; errors as for [`sin`].
#[inline(always)]
pub fn cos(x: f64) -> f64 {
    if is_near(x) { near(x, 1) } else { far(x, 1) }
}

//! Sine and cosine: x = n·π/2 + r by Cody & Waite in three parts, then the polynomials of fdlibm.

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

/// sin(x + quarters·π/2).
#[inline(always)]
fn sine(x: f64, quarters: u64) -> f64 {
    // Where neighbours of x are a quarter turn apart, any angle is as good: 0, and NaN for ±∞.
    let x = if x.abs() < 1.125_899_906_842_624e15 { x } else { 0.0 * x };
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
    let r_low = (b - r) - last;

    let z = r * r;
    let cube = z * r;
    let s = r - ((z * (0.5 * r_low - cube * polynomial(z, &SINE)) - r_low) - cube * SINE_1);
    let half = 0.5 * z;
    let w = 1.0 - half;
    let c = w + (((1.0 - w) - half) + (z * (z * polynomial(z, &COSINE)) - r * r_low));

    let y = if quadrant & 1 == 0 { s } else { c };
    f64::from_bits(y.to_bits() ^ ((quadrant & 2) << 62))
}

/// Sine. Error below 1 ulp for |x| < 10⁶; beyond, that of an argument off by one part in 2⁵³;
/// from 2⁵⁰ on, the sine of 0. NaN at ±∞.
#[inline(always)]
pub fn sin(x: f64) -> f64 {
    sine(x, 0)
}

/// Cosine; errors and limits as for [`sin`].
#[inline(always)]
pub fn cos(x: f64) -> f64 {
    sine(x, 1)
}

//! The tangent, and its inverse by fdlibm's five intervals and polynomial (s_atan.c), with choices in place of branches.

use super::{cos, cos_near, polynomial_in_halves, sin, sin_near};

/// (atan x − x)/(−x³) in powers of x², |x| < 7/16 (fdlibm).
const SERIES: [f64; 11] = [
    3.333_333_333_333_293_180_27e-1,
    -1.999_999_999_987_648_324_76e-1,
    1.428_571_427_250_346_637_11e-1,
    -1.111_111_040_546_235_578_80e-1,
    9.090_887_133_436_506_561_96e-2,
    -7.691_876_205_044_829_994_95e-2,
    6.661_073_137_387_531_206_69e-2,
    -5.833_570_133_790_573_486_45e-2,
    4.976_877_994_615_932_360_17e-2,
    -3.653_157_274_421_691_552_70e-2,
    1.628_582_011_536_578_236_23e-2,
];

/// The middle of an interval of arguments: x is turned to (x − middle)/(1 + middle·x), whose angle is less by that of the middle, which is
/// given with what rounding leaves of it.
struct Middle {
    tangent: f64,
    angle: f64,
    rest: f64,
}

const HALF: Middle = Middle {
    tangent: 0.5,
    angle: f64::from_bits(0x3fdd_ac67_0561_bb4f),
    rest: f64::from_bits(0x3c7a_2b7f_222f_65e2),
};
const ONE: Middle =
    Middle { tangent: 1.0, angle: std::f64::consts::FRAC_PI_4, rest: f64::from_bits(0x3c81_a626_3314_5c07) };
const THREE_HALVES: Middle = Middle {
    tangent: 1.5,
    angle: f64::from_bits(0x3fef_730b_d281_f69b),
    rest: f64::from_bits(0x3c70_0788_7af0_cbbd),
};

/// Tangent: the quotient of sine and cosine.
#[inline(always)]
pub fn tan(x: f64) -> f64 {
    sin(x) / cos(x)
}

/// Tangent for |x| < 10⁶, any number elsewhere.
#[inline(always)]
pub(in crate::lanes::math) fn tan_near(x: f64) -> f64 {
    sin_near(x) / cos_near(x)
}

/// Arc tangent, between −π/2 and π/2. Error below 1 ulp.
#[inline(always)]
pub fn atan(x: f64) -> f64 {
    let a = x.abs();
    // Above 39/16: −1/x and a quarter turn.
    let (mut above, mut below) = (-1.0, a);
    let (mut angle, mut rest) = (std::f64::consts::FRAC_PI_2, f64::from_bits(0x3c91_a626_3314_5c07));
    for (limit, middle) in [(2.4375, THREE_HALVES), (1.1875, ONE), (0.6875, HALF)] {
        let inside = a < limit;
        above = if inside { a - middle.tangent } else { above };
        below = if inside { 1.0 + middle.tangent * a } else { below };
        angle = if inside { middle.angle } else { angle };
        rest = if inside { middle.rest } else { rest };
    }
    let small = a < 0.4375;
    let t = if small { a } else { above / below };
    let (angle, rest) = if small { (0.0, 0.0) } else { (angle, rest) };
    let z = t * t;
    let series = z * polynomial_in_halves(z, &SERIES);
    (angle - ((t * series - rest) - t)).copysign(x)
}

//! The error function: an odd polynomial below 1, and 1 − e^−Q above, with a polynomial Q = −ln erfc.

use super::exponential::{Reduced, power_of_two, reduce};
use super::{at_most, polynomial_in_halves};

/// erf(x)/x − 1 in powers of x², |x| ≤ 1: minimax, error < 7.2·10⁻¹⁸ (Remez).
const INNER: [f64; 12] = [
    0.128_379_167_095_512_56,
    -0.376_126_389_031_835_5,
    0.112_837_916_709_452_53,
    -0.026_866_170_643_276_22,
    0.005_223_977_607_423_468,
    -0.000_854_832_598_969_675_8,
    0.000_120_552_953_204_942_94,
    -1.492_474_466_333_548_9e-5,
    1.644_751_767_787_187_3e-6,
    -1.620_917_591_174_869_7e-7,
    1.372_297_626_592_450_4e-8,
    -7.801_188_874_097_751e-10,
];

/// −ln erfc(x) in powers of x − 1, 1 ≤ x ≤ 6: minimax with weight erfc, error of erfc < 6.6·10⁻¹⁸ (Remez).
const OUTER: [f64; 18] = [
    1.849_605_509_933_248_2,
    2.638_967_514_234_775_7,
    0.843_107_256_359_413,
    0.041_561_098_025_074_04,
    -0.010_033_825_179_072_338,
    0.001_977_901_215_596_159_6,
    -0.000_237_316_434_331_551_7,
    -2.629_632_725_660_487_5e-5,
    2.719_897_215_127_463_8e-5,
    -9.671_375_270_512_144e-6,
    2.131_937_580_022_410_6e-6,
    -2.048_100_809_236_172_4e-7,
    -5.801_263_362_246_757e-8,
    3.339_166_574_432_111e-8,
    -8.518_882_242_173_898e-9,
    1.319_122_559_870_467e-9,
    -1.193_279_612_658_197_6e-10,
    4.865_119_470_670_626e-12,
];

/// Error function. Error below 1.6 ulp.
#[inline(always)]
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    let inner = a + a * polynomial_in_halves(a * a, &INNER);
    let Reduced { k, r, rest } = reduce(-polynomial_in_halves(at_most(a, 6.0) - 1.0, &OUTER));
    let outer = 1.0 - power_of_two(k) * (1.0 + (r + rest));
    (if a < 1.0 { inner } else { outer }).copysign(x)
}

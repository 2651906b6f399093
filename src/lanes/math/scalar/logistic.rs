//! tanh, the logistic function and its integral, from e^−|x| kept as a sum of two numbers.

use super::exponential::{Reduced, power_of_two, reduce, two_factors};
use super::{at_most, logarithm};

/// 1/d on [1, 2] to 5 %: enough to correct a last bit.
#[inline(always)]
fn rough_reciprocal(d: f64) -> f64 {
    1.457 - 0.5 * d
}

/// tanh x. Error below 1.5 ulp.
#[inline(always)]
pub fn tanh(x: f64) -> f64 {
    let Reduced { k, r, rest } = reduce(-2.0 * at_most(x.abs(), 22.0));
    // m = e^−2|x| − 1, then −m/(2 + m), both sums in two parts.
    let scale = power_of_two(k);
    let offset = scale - 1.0;
    let sum = offset + scale * r;
    let small = scale * rest + ((offset - sum) + scale * r);
    let m = sum + small;
    let m_low = (sum - m) + small;
    let d = 2.0 + m;
    let d_low = ((2.0 - d) + m) + m_low;
    let q = m / d;
    let q = q + (m_low - q * d_low) * rough_reciprocal(d);
    q.copysign(x)
}

/// e^−|x| in parts: (1 ≤ … eʳ, its error, the two factors of 2ᵏ).
#[inline(always)]
fn decay(x: f64) -> (f64, f64, f64, f64) {
    let Reduced { k, r, rest } = reduce(-at_most(x.abs(), 746.0));
    let above = r + rest;
    let e = 1.0 + above;
    let e_low = ((1.0 - e) + above) + ((r - above) + rest);
    let (first, second) = two_factors(k);
    (e, e_low, first, second)
}

/// 1/(1 + e⁻ˣ). Error below 1.5 ulp.
#[inline(always)]
pub fn sigmoid(x: f64) -> f64 {
    let (e, e_low, first, second) = decay(x);
    let (scaled, scaled_low) = (e * first * second, e_low * first * second);
    let d = 1.0 + scaled;
    let d_low = ((1.0 - d) + scaled) + scaled_low;
    let negative = x < 0.0;
    let (n, n_low) = if negative { (e, e_low) } else { (1.0, 0.0) };
    let q = n / d;
    let q = q + (n_low - q * d_low) * rough_reciprocal(d);
    if negative { q * first * second } else { q }
}

/// ln(1 + eˣ). Error below 1 ulp.
#[inline(always)]
pub fn softplus(x: f64) -> f64 {
    let (e, e_low, first, second) = decay(x);
    let (e, e_low) = (e * first * second, e_low * first * second);
    // 1 + e = 2ᵏ(1 + f) with k = 0 or 1.
    let below = e - 1.0;
    let lost = (-1.0 - below) + e;
    let upper = e > std::f64::consts::SQRT_2 - 1.0;
    let (k, f, low) = if upper { (1.0, 0.5 * below, 0.5 * (lost + e_low)) } else { (0.0, e, e_low) };
    let y = logarithm::assemble(k, f, low * (1.0 - f + f * f));
    if x > 0.0 { x + y } else { y }
}

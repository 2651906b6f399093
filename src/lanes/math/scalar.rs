//! Elementary functions with the same bits everywhere, one number at a time.

macro_rules! stand_in { ($($(#[$m:meta])* $name:ident = $body:expr;)*) => { $($(#[$m])* #[inline(always)] pub fn $name(x: f64) -> f64 { let f: fn(f64) -> f64 = $body; f(x) })* } }
stand_in! {
    /// eˣ.
    exp = f64::exp;
    /// eˣ − 1.
    expm1 = f64::exp_m1;
    /// Natural logarithm.
    ln = f64::ln;
    /// ln(1 + x).
    ln1p = f64::ln_1p;
    /// Sine.
    sin = f64::sin;
    /// Cosine.
    cos = f64::cos;
    /// Hyperbolic tangent.
    tanh = f64::tanh;
    /// 1/(1 + e⁻ˣ).
    sigmoid = |x| 1.0 / (1.0 + (-x).exp());
    /// ln(1 + eˣ).
    softplus = |x| x.max(0.0) + (-x.abs()).exp().ln_1p();
    /// Error function.
    erf = statrs::function::erf::erf;
}
/// xʸ.
#[inline(always)]
pub fn powf(x: f64, y: f64) -> f64 {
    x.powf(y)
}

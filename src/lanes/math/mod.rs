//! Elementary functions with the same bits everywhere: over blocks of lanes here, one number at a
//! time in [`scalar`].

pub mod scalar;

use super::dispatch::vectorized;
use super::{LANES, Lane};

/// A kernel for a function of one variable.
macro_rules! map {
    ($($(#[$meta:meta])* $name:ident;)*) => { vectorized! { $(
        $(#[$meta])*
        pub fn $name(out: &mut [Lane], x: &[Lane]) {
            for (o, x) in out.iter_mut().zip(x) {
                for l in 0..LANES {
                    o.0[l] = scalar::$name(x.0[l]);
                }
            }
        }
    )* } };
}

map! {
    /// out = eˣ.
    exp;
    /// out = eˣ − 1.
    expm1;
    /// out = ln x.
    ln;
    /// out = ln(1 + x).
    ln1p;
    /// out = sin x.
    sin;
    /// out = cos x.
    cos;
    /// out = tanh x.
    tanh;
    /// out = 1/(1 + e⁻ˣ).
    sigmoid;
    /// out = ln(1 + eˣ).
    softplus;
    /// out = erf x.
    erf;
}

vectorized! {
    /// out = xʸ, element by element.
    pub fn powf(out: &mut [Lane], x: &[Lane], y: &[Lane]) {
        for ((o, x), y) in out.iter_mut().zip(x).zip(y) {
            for l in 0..LANES {
                o.0[l] = scalar::powf(x.0[l], y.0[l]);
            }
        }
    }

    /// out = xᵖ, one exponent for all.
    pub fn power(out: &mut [Lane], x: &[Lane], exponent: f64) {
        for (o, x) in out.iter_mut().zip(x) {
            for l in 0..LANES {
                o.0[l] = scalar::powf(x.0[l], exponent);
            }
        }
    }

    /// out = xⁿ by repeated squaring, one exponent for all.
    pub fn powi(out: &mut [Lane], x: &[Lane], n: i32) {
        for (o, x) in out.iter_mut().zip(x) {
            for l in 0..LANES {
                o.0[l] = scalar::powi(x.0[l], n);
            }
        }
    }
}

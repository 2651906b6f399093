//! Elementary functions with the same bits everywhere: over blocks of lanes here, one number at a
//! time in [`scalar`].

pub mod scalar;

use super::dispatch::vectorized;
use super::{Lane, flat, flat_mut};

/// A kernel for a function of one variable.
macro_rules! map {
    ($($(#[$meta:meta])* $name:ident;)*) => { vectorized! { $(
        $(#[$meta])*
        pub fn $name(out: &mut [Lane], x: &[Lane]) {
            for (out, &x) in flat_mut(out).iter_mut().zip(flat(x)) {
                *out = scalar::$name(x);
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
    /// out = log₁₀ x.
    log10;
    /// out = atan x.
    atan;
    /// out = tanh x.
    tanh;
    /// out = 1/(1 + e⁻ˣ).
    sigmoid;
    /// out = ln(1 + eˣ).
    softplus;
    /// out = erf x.
    erf;
}

/// A kernel for a function that takes longer for large arguments: those are seen to one by one.
macro_rules! map_near {
    ($($(#[$meta:meta])* $name:ident $near:ident;)*) => { vectorized! { $(
        $(#[$meta])*
        pub fn $name(out: &mut [Lane], x: &[Lane]) {
            let mut all_near = true;
            for (out, &x) in flat_mut(out).iter_mut().zip(flat(x)) {
                *out = scalar::$near(x);
                all_near &= scalar::is_near(x);
            }
            if !all_near {
                for (out, &x) in flat_mut(out).iter_mut().zip(flat(x)).filter(|(_, x)| !scalar::is_near(**x)) {
                    *out = scalar::$name(x);
                }
            }
        }
    )* } };
}

map_near! {
    /// out = sin x.
    sin sin_near;
    /// out = cos x.
    cos cos_near;
    /// out = tan x.
    tan tan_near;
}

vectorized! {
    /// out = xʸ, element by element.
    pub fn powf(out: &mut [Lane], x: &[Lane], y: &[Lane]) {
        for ((out, &x), &y) in flat_mut(out).iter_mut().zip(flat(x)).zip(flat(y)) {
            *out = scalar::powf(x, y);
        }
    }

    /// out = xᵖ, one exponent for all.
    pub fn power(out: &mut [Lane], x: &[Lane], exponent: f64) {
        for (out, &x) in flat_mut(out).iter_mut().zip(flat(x)) {
            *out = scalar::powf(x, exponent);
        }
    }
}

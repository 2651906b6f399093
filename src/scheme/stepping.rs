//! One of the schemes, ready to step.

use super::euler_maruyama::EulerMaruyama;
use super::heun::Heun;
use super::milstein::Milstein;
use super::strong::StrongRungeKutta;
use super::weak::Weak2;
use super::{Equation, NoiseKind, Scheme, Wiener};
use crate::lanes::Lane;

/// A scheme with its buffers.
pub enum Stepping {
    /// Euler–Maruyama.
    EulerMaruyama(EulerMaruyama),
    /// Milstein.
    Milstein(Milstein),
    /// Heun.
    Heun(Heun),
    /// Stochastic Runge–Kutta.
    Strong(StrongRungeKutta),
    /// Weak order 2.
    Weak2(Weak2),
}

impl Stepping {
    /// For an equation of P and M numbers, `tiles` vectors each, whose noise is of that kind.
    pub fn new(scheme: Scheme, kind: NoiseKind, dimension: usize, noises: usize, tiles: usize) -> Self {
        match scheme {
            Scheme::EulerMaruyama => Self::EulerMaruyama(EulerMaruyama::new(dimension, noises, tiles)),
            Scheme::Milstein => {
                Self::Milstein(Milstein::new(dimension, noises, tiles, kind == NoiseKind::Additive))
            }
            Scheme::Heun => Self::Heun(Heun::new(dimension, noises, tiles)),
            Scheme::StochasticRungeKutta => {
                Self::Strong(StrongRungeKutta::new(kind, dimension, noises, tiles))
            }
            Scheme::Weak2 => Self::Weak2(Weak2::new(dimension, noises, tiles)),
        }
    }

    /// One step of length h of x, `[P][tiles]`; the equation's drift is in the scheme's own calculus.
    pub fn step(&mut self, equation: &mut dyn Equation, x: &mut [Lane], h: f64, wiener: &mut Wiener) {
        match self {
            Self::EulerMaruyama(scheme) => scheme.step(equation, x, h, wiener),
            Self::Milstein(scheme) => scheme.step(equation, x, h, wiener),
            Self::Heun(scheme) => scheme.step(equation, x, h, wiener),
            Self::Strong(scheme) => scheme.step(equation, x, h, wiener),
            Self::Weak2(scheme) => scheme.step(equation, x, h, wiener),
        }
    }
}

//! How a continuous law is discretised, and the exact transition of a linear one.

mod equation;
pub mod euler_maruyama;
pub mod factor;
pub mod heun;
mod kernels;
pub mod linear;
mod method;
pub mod milstein;
pub mod runge_kutta;
mod stepping;
pub mod strong;
pub mod weak;
pub mod wiener;

pub use equation::Equation;
pub use method::{Calculus, Increments, Method, NoiseKind, Propagation, Scheme};
pub use stepping::Stepping;
pub use wiener::Wiener;

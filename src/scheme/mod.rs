//! How a continuous law is discretised, and the exact transition of a linear one.

pub mod euler_maruyama;
pub mod factor;
pub mod linear;
pub mod runge_kutta;

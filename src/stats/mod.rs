//! Moments, tests, effective sample sizes, multiple testing, eigenvalues.
pub mod autocorrelation;
pub mod bootstrap;
pub mod distribution;
pub mod estimate;
pub mod kolmogorov;
pub mod moments;
pub mod multiple;
pub mod spectrum;
pub mod window;

pub use estimate::Estimate;
pub use window::{Stationarity, Window};

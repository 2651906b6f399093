//! Moments, tests, effective sample sizes, multiple testing.
pub mod moments;

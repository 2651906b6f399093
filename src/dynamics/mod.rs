//! The laws of motion.
pub mod settings;
pub use settings::{Decay, Law, Sampling, Schedule, Training};

//! perrin: a stochastic-differential-equation engine for the physics of learning.

pub mod cli;
pub mod dynamics;
pub mod ensemble;
pub mod lanes;
pub mod law;
pub mod model;
pub mod report;
pub mod scheme;
pub mod stats;
pub mod store;
pub mod study;

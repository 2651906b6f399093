//! perrin: a stochastic-differential-equation engine for the physics of learning.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "references are computed by other means"))]

pub mod cli;
pub mod dynamics;
pub mod ensemble;
pub mod lanes;
#[allow(clippy::disallowed_methods, reason = "predictions and p-values are judged, not recorded")]
pub mod law;
pub mod model;
pub mod report;
pub mod scheme;
#[allow(clippy::disallowed_methods, reason = "estimates and p-values are judged, not recorded")]
pub mod stats;
pub mod store;
pub mod study;

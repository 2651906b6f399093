//! The claims on synthetic records: plain loops here, no engine.

mod bench;
mod conventions;
mod convergence;
mod decay_rate;
mod density;
mod diverges;
mod einstein;
mod engine;
mod equals;
mod equilibrium;
mod fdt;
mod fixed_point;
mod fresh;
mod noether_flow;
mod passage;
mod rounding;

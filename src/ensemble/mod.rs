//! Blocks of replicas over threads, and what is recorded of them.
pub mod record;

//! The claims on synthetic records: plain loops here, no engine.

mod bench;
mod einstein;
mod engine;
mod equals;

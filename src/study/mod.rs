//! What the user wrote, and what will be run.
pub mod resolved;
pub use resolved::*;

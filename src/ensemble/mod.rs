//! Blocks of replicas over threads, and what is recorded of them.
//!
//! A replica's path depends on (study, seed, replica) alone, and moments fold as a tree over the replicas' index ([`fold`]), so that a record has
//! the same bits for any number of threads and any size of blocks. Memory grows with what is recorded.

mod aside;
mod block;
pub mod decay;
mod diagnosis;
pub mod digest;
pub mod fold;
pub mod initial;
mod kernels;
#[cfg(test)]
mod kink_tests;
#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod motion_tests;
mod observe;
mod pool;
pub mod precision;
pub mod progress;
pub mod record;
mod run;
pub mod sink;
#[cfg(test)]
mod tests;
mod trial;

use std::sync::atomic::AtomicBool;

pub use aside::aside;
pub use digest::{digest, digest_of_first};
pub use progress::{Progress, Silent};
pub use record::{DynamicsRecord, ObservableRecord, Profile, Record, Stationary};
pub use run::{check, run};
pub use sink::{BlockRecord, MemorySink, NoSink, Plan, Sink, SinkError};
pub use trial::{Expected, Trial, trial};

/// How a run is carried out; nothing here changes a recorded number.
pub struct Options<'a> {
    /// Worker threads; `None` for as many as the machine has.
    pub threads: Option<usize>,
    /// Set from outside (Ctrl-C) to end the run at the next safe point.
    pub stop: &'a AtomicBool,
    /// Told how far the run is.
    pub progress: &'a dyn Progress,
    /// Given the results as they come.
    pub sink: &'a mut dyn Sink,
}

/// Why a run could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A law of motion cannot move this system.
    #[error("dynamics \"{dynamics}\": {reason}")]
    Dynamics {
        /// The user's name of it.
        dynamics: String,
        /// A sentence.
        reason: String,
    },
    /// Results could not be kept.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The worker threads could not be started.
    #[error("cannot start {threads} worker threads: {reason}")]
    Threads {
        /// How many.
        threads: usize,
        /// The system's reason.
        reason: String,
    },
}

//! Where finished blocks go while the run is going on.

use std::sync::Arc;

use crate::ensemble::record::{DynamicsRecord, ObservableRecord};

/// What a run will record, told to a [`Sink`] before the first block.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One entry a dynamics, in file order, as its [`DynamicsRecord`] will be but without a single replica in it:
    /// names, shapes, steps, times, `burn_in`, `requested`, `kept` and `stationary.instants` are there, all arrays are empty.
    pub dynamics: Vec<DynamicsRecord>,
}

/// What one block of consecutive replicas left. The arrays of its observables are those of
/// [`ObservableRecord`], over the block's replicas alone; `ensemble` is empty (it comes with [`Sink::finish`]).
#[derive(Clone, Debug, Default)]
pub struct BlockRecord {
    /// First replica.
    pub first: usize,
    /// Number of replicas; `first` of the next block is `first + replicas`.
    pub replicas: usize,
    /// Diverged replicas (ensemble index) with the recorded step at which it showed.
    pub diverged: Vec<(usize, u64)>,
    /// Why the first of them did, where that is known.
    pub failure: Option<(usize, String)>,
    /// In the plan's order; `trajectories` holds the block's share of the first `kept` replicas.
    pub observables: Vec<ObservableRecord>,
}

/// A failure of a sink (a full disk, say), in a sentence for the user.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What failed, and on which file.
    pub message: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Takes a run's results as they come. Called from the thread that called [`run`](crate::ensemble::run) only:
/// `begin` once, then for each dynamics in file order its blocks in replica order and `finish`. After an
/// interrupt, `finish` is called for the dynamics that has begun, with what is done; later ones are not begun.
pub trait Sink {
    /// Before anything is simulated.
    ///
    /// # Errors
    /// Whatever keeps results from being kept; the run ends with it.
    fn begin(&mut self, plan: &Plan) -> Result<(), SinkError>;
    /// A block of `dynamics` (index) is done; blocks come in replica order without gaps.
    ///
    /// # Errors
    /// As [`Sink::begin`].
    fn block(&mut self, dynamics: usize, block: &Arc<BlockRecord>) -> Result<(), SinkError>;
    /// All blocks of `dynamics` are folded.
    ///
    /// # Errors
    /// As [`Sink::begin`].
    fn finish(&mut self, dynamics: usize, record: &DynamicsRecord) -> Result<(), SinkError>;
}

/// Keeps nothing: the returned record is all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {
    fn begin(&mut self, _plan: &Plan) -> Result<(), SinkError> {
        Ok(())
    }
    fn block(&mut self, _dynamics: usize, _block: &Arc<BlockRecord>) -> Result<(), SinkError> {
        Ok(())
    }
    fn finish(&mut self, _dynamics: usize, _record: &DynamicsRecord) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Keeps all that it is told, for tests.
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    /// The plan, once begun.
    pub plan: Option<Plan>,
    /// Blocks as they came, with their dynamics' index.
    pub blocks: Vec<(usize, Arc<BlockRecord>)>,
    /// Finished dynamics.
    pub finished: Vec<(usize, DynamicsRecord)>,
}

impl Sink for MemorySink {
    fn begin(&mut self, plan: &Plan) -> Result<(), SinkError> {
        self.plan = Some(plan.clone());
        Ok(())
    }
    fn block(&mut self, dynamics: usize, block: &Arc<BlockRecord>) -> Result<(), SinkError> {
        self.blocks.push((dynamics, Arc::clone(block)));
        Ok(())
    }
    fn finish(&mut self, dynamics: usize, record: &DynamicsRecord) -> Result<(), SinkError> {
        self.finished.push((dynamics, record.clone()));
        Ok(())
    }
}

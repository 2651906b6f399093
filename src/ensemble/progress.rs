//! How far a run is.

/// Told of a run's advance; draws no random number and changes no result.
pub trait Progress: Sync {
    /// A run begins: so many dynamics, and the replica-steps of all of them as far as they are known.
    fn begin(&self, _dynamics: usize, _total: u64) {}
    /// A dynamics begins; `total` replica-steps are to be done.
    fn start(&self, dynamics: &str, total: u64);
    /// So many more replica-steps are done; called from any thread, at most a few thousand times a second.
    fn advance(&self, replica_steps: u64);
    /// The dynamics that was started last has ended, or was interrupted.
    fn finish(&self);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _dynamics: &str, _total: u64) {}
    fn advance(&self, _replica_steps: u64) {}
    fn finish(&self) {}
}

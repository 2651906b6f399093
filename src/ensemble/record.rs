//! What a run leaves: plain numbers, folded in replica order.

use crate::stats::moments::Moments;

/// All that a study's run recorded.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// One entry a dynamics, in file order; an interrupted run may have fewer, and fewer replicas.
    pub dynamics: Vec<DynamicsRecord>,
    /// Stopped before all was done.
    pub interrupted: bool,
    /// What [`Study::hidden_runs`](crate::study::Study::hidden_runs) left, in that order: `last` of the observables that their claims
    /// look at, and who diverged. Part of no file and no digest; the claims' outcome holds what was made of it.
    pub hidden: Vec<DynamicsRecord>,
}

/// What one law of motion left.
#[derive(Clone, Debug, Default)]
pub struct DynamicsRecord {
    /// The user's name of it.
    pub name: String,
    /// Steps of the recorded instants (iterations of the dynamics).
    pub steps: Vec<u64>,
    /// Times of the recorded instants, t = Σ η; the start is the first.
    pub times: Vec<f64>,
    /// Index of the first instant that enters stationary averages.
    pub burn_in: usize,
    /// Replicas finished (the first `replicas` of the ensemble).
    pub replicas: usize,
    /// Replicas asked for.
    pub requested: usize,
    /// Replicas there may be in the end, where an ensemble grows to a precision; 0 or `requested` where it does not.
    pub most: usize,
    /// Replicas whose state or observables ceased to be finite, with the first recorded step at which it showed.
    pub diverged: Vec<(usize, u64)>,
    /// Why the first of them did, where that is known.
    pub failure: Option<(usize, String)>,
    /// The first replicas, whose whole path is kept.
    pub kept: usize,
    /// What was observed.
    pub observables: Vec<ObservableRecord>,
    /// Wall-clock seconds spent.
    pub seconds: f64,
    /// Where they went, if that was asked for.
    pub profile: Option<Profile>,
}

/// How a dynamics was computed, and where its time went.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Worker threads.
    pub threads: usize,
    /// Replicas in a whole block.
    pub block: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// The vector unit's level.
    pub level: &'static str,
    /// Steps of replicas a second of wall-clock time.
    pub steps_a_second: f64,
    /// Thread-seconds in each section, by name; the rest of them went into setting up and waiting.
    pub sections: Vec<(&'static str, f64)>,
}

/// Numbers of one observable. `components` = product of `shape`; every array is row-major in the order given.
#[derive(Clone, Debug, Default)]
pub struct ObservableRecord {
    /// Name, unique within the dynamics.
    pub name: String,
    /// `[]`, `[n]` or `[m, n]`.
    pub shape: Vec<usize>,
    /// Asked for by a claim alone: kept out of the terminal table and JSON, stored in the file.
    pub hidden: bool,
    /// `[time][component]`: moments over replicas (diverged replicas excluded from the moment they diverge).
    pub ensemble: Vec<Moments>,
    /// `[replica][component]` at the last instant.
    pub last: Vec<f64>,
    /// Averages over the instants after burn-in.
    pub stationary: Stationary,
    /// `[replica][component]`: max over instants of |x(t) − x(0)|.
    pub max_change: Vec<f64>,
    /// `[replica < kept][time][component]`.
    pub trajectories: Vec<f64>,
}

/// Time averages a replica, `[replica][component]` each; variances are population variances (÷ n) around the
/// replica's own mean of that window.
#[derive(Clone, Debug, Default)]
pub struct Stationary {
    /// Recorded instants in the window.
    pub instants: usize,
    /// Mean over the window.
    pub mean: Vec<f64>,
    /// Variance over the window.
    pub variance: Vec<f64>,
    /// Mean over its first half (the first `instants / 2`).
    pub first_mean: Vec<f64>,
    /// Variance over its first half.
    pub first_variance: Vec<f64>,
    /// Mean over its second half (the last `instants / 2`).
    pub second_mean: Vec<f64>,
    /// Variance over its second half.
    pub second_variance: Vec<f64>,
}

impl ObservableRecord {
    /// Numbers a value of the observable has.
    pub fn components(&self) -> usize {
        self.shape.iter().product()
    }
}

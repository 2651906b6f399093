//! Names, dimensions and chunks of everything in a dynamics' groups: one table that the writer and the reader share.
//!
//! A dynamics has five tables, each a group whose variables share their first dimension. `trajectories`, `final` and
//! `stationary` grow along `replica`; `ensemble` and `moments` have the length of `time` from the start, and NaN until
//! the dynamics has ended.

use super::layout::DynamicsLayout;

/// One of the groups of a dynamics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TableKind {
    Ensemble,
    Moments,
    Trajectories,
    Final,
    Stationary,
}

impl TableKind {
    pub const ALL: [TableKind; 5] =
        [Self::Ensemble, Self::Moments, Self::Trajectories, Self::Final, Self::Stationary];

    /// The group's name below the dynamics'.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ensemble => "ensemble",
            Self::Moments => "moments",
            Self::Trajectories => "trajectories",
            Self::Final => "final",
            Self::Stationary => "stationary",
        }
    }

    /// What the group holds, for its attribute `long_name`.
    pub fn long_name(self) -> &'static str {
        match self {
            Self::Ensemble => "statistics over replicas at each recorded instant",
            Self::Moments => "sums over replicas at each recorded instant, from which claims are judged",
            Self::Trajectories => "whole paths of the first replicas",
            Self::Final => "every replica at the last instant",
            Self::Stationary => "time averages of every replica over the instants after burn-in",
        }
    }

    /// Grows along `time` (else along `replica`).
    pub fn along_time(self) -> bool {
        matches!(self, Self::Ensemble | Self::Moments)
    }
}

/// What fills a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Replica,
    Time,
    Step,
    DivergedStep,
    Observable(usize, Quantity),
}

/// A number kept of an observable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    Mean,
    Variance,
    StandardError,
    VarianceStandardError,
    Minimum,
    Maximum,
    Count,
    M2,
    M3,
    M4,
    Path,
    Last,
    MaxChange,
    WindowMean,
    WindowVariance,
    FirstMean,
    FirstVariance,
    SecondMean,
    SecondVariance,
}

/// Group, suffix and meaning of each quantity, in the order they stand in the file.
pub(super) const QUANTITIES: [(TableKind, Quantity, &str, &str); 19] = [
    (TableKind::Ensemble, Quantity::Mean, "_mean", "mean over replicas"),
    (TableKind::Ensemble, Quantity::Variance, "_variance", "variance over replicas (n - 1)"),
    (TableKind::Ensemble, Quantity::StandardError, "_standard_error", "standard error of the mean"),
    (
        TableKind::Ensemble,
        Quantity::VarianceStandardError,
        "_variance_standard_error",
        "standard error of the variance",
    ),
    (TableKind::Ensemble, Quantity::Minimum, "_minimum", "smallest over replicas"),
    (TableKind::Ensemble, Quantity::Maximum, "_maximum", "largest over replicas"),
    (TableKind::Ensemble, Quantity::Count, "_count", "replicas that were finite"),
    (TableKind::Moments, Quantity::M2, "_m2", "sum of (x - mean)^2"),
    (TableKind::Moments, Quantity::M3, "_m3", "sum of (x - mean)^3"),
    (TableKind::Moments, Quantity::M4, "_m4", "sum of (x - mean)^4"),
    (TableKind::Trajectories, Quantity::Path, "", "path"),
    (TableKind::Final, Quantity::Last, "", "value at the last instant"),
    (TableKind::Final, Quantity::MaxChange, "_max_change", "largest |x(t) - x(0)| over recorded instants"),
    (TableKind::Stationary, Quantity::WindowMean, "_mean", "mean over the window"),
    (TableKind::Stationary, Quantity::WindowVariance, "_variance", "variance over the window (n)"),
    (TableKind::Stationary, Quantity::FirstMean, "_first_mean", "mean over the window's first half"),
    (TableKind::Stationary, Quantity::FirstVariance, "_first_variance", "variance over its first half (n)"),
    (TableKind::Stationary, Quantity::SecondMean, "_second_mean", "mean over the window's second half"),
    (
        TableKind::Stationary,
        Quantity::SecondVariance,
        "_second_variance",
        "variance over its second half (n)",
    ),
];

/// Every name, with its table, that an observable of `rank` takes if its variables are called after `base`.
pub(super) fn derived_names(base: &str, rank: usize) -> Vec<(usize, String)> {
    let mut names: Vec<_> =
        QUANTITIES.iter().map(|(kind, _, suffix, _)| (*kind as usize, format!("{base}{suffix}"))).collect();
    for kind in TableKind::ALL {
        names.extend(dimension_names(base, rank).into_iter().map(|n| (kind as usize, n)));
    }
    names
}

/// Names of the extra dimensions of a vector or matrix.
pub(super) fn dimension_names(base: &str, rank: usize) -> Vec<String> {
    match rank {
        0 => vec![],
        1 => vec![format!("{base}_row")],
        2 => vec![format!("{base}_row"), format!("{base}_col")],
        _ => (0..rank).map(|axis| format!("{base}_dim{axis}")).collect(),
    }
}

/// The numbers a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    I64,
}

/// A variable along a table's first dimension.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub name: String,
    pub source: Source,
    pub element: Element,
    /// Dimensions after the first, by name and length.
    pub inner: Vec<(String, usize)>,
    pub long_name: String,
    /// Chunk, the growing dimension first; none along `time`, where all is there from the start.
    pub chunk: Vec<usize>,
    /// Shuffled and deflated. Then a chunk is written once only, when it is whole: a rewritten chunk of another
    /// length would move, and its old place might be reused before the index says so.
    pub compressed: bool,
    /// Asked for by a claim alone.
    pub hidden: bool,
}

impl Column {
    /// Numbers a row.
    pub fn row(&self) -> usize {
        self.inner.iter().map(|d| d.1).product()
    }
}

/// A group of a dynamics.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub kind: TableKind,
    /// `sgd/final`.
    pub path: String,
    /// The first is the coordinate of the first dimension.
    pub columns: Vec<Column>,
}

/// Bytes a chunk has at most, unless a single row is longer: read by row or by column, it is one request to a disk.
const CHUNK_BYTES: usize = 256 * 1024;
/// Rows a chunk has at most.
const CHUNK_ROWS: usize = 4096;
/// Replicas a chunk of paths has: a tile of the engine.
const PATHS: usize = 8;

/// The five tables of a dynamics.
pub(super) fn tables(dynamics: &DynamicsLayout) -> Vec<Table> {
    TableKind::ALL.into_iter().map(|kind| table(dynamics, kind)).collect()
}

fn table(dynamics: &DynamicsLayout, kind: TableKind) -> Table {
    let scalar = |name: &str, source, element, long_name: &str| Column {
        name: name.to_string(),
        source,
        element,
        inner: vec![],
        long_name: long_name.to_string(),
        chunk: vec![rows_of_chunk(dynamics.requested, 1)],
        compressed: false,
        hidden: false,
    };
    let mut columns = if kind.along_time() {
        vec![
            scalar("time", Source::Time, Element::F64, TIME),
            scalar("step", Source::Step, Element::I64, STEP),
        ]
    } else {
        vec![scalar("replica", Source::Replica, Element::I64, "number of the replica")]
    };
    if kind == TableKind::Trajectories {
        // Committed in step with the paths.
        columns[0].chunk = vec![PATHS];
        columns[0].compressed = true;
    }
    if kind == TableKind::Final {
        let meaning = "first recorded step at which the replica was not finite; -1 where it always was";
        columns.push(scalar("diverged_step", Source::DivergedStep, Element::I64, meaning));
    }
    for (index, observable) in dynamics.observables.iter().enumerate() {
        for (_, quantity, suffix, meaning) in QUANTITIES.iter().filter(|q| q.0 == kind) {
            let mut column = scalar(
                &format!("{}{suffix}", observable.variable),
                Source::Observable(index, *quantity),
                if *quantity == Quantity::Count { Element::I64 } else { Element::F64 },
                &format!("{}: {meaning}", observable.name),
            );
            column.hidden = observable.hidden;
            let names = dimension_names(&observable.variable, observable.shape.len());
            column.inner = names.into_iter().zip(observable.shape.iter().copied()).collect();
            let components = observable.components();
            if kind == TableKind::Trajectories {
                let instants = dynamics.instants;
                let cut = power_of_two(CHUNK_BYTES / (8 * PATHS * components.max(1))).min(instants);
                column.inner.insert(0, ("time".to_string(), instants));
                column.chunk = vec![PATHS, cut];
                column.compressed = true;
            } else {
                column.chunk = vec![rows_of_chunk(dynamics.requested, components)];
            }
            column.chunk.extend(&observable.shape);
            // HDF5 has no empty chunks; nobody has observables without components, but they must not break it.
            column.chunk.iter_mut().for_each(|n| *n = (*n).max(1));
            columns.push(column);
        }
    }
    Table { kind, path: format!("{}/{}", dynamics.group, kind.name()), columns }
}

/// Meaning of the clock, for `long_name`.
pub(super) const TIME: &str = "t = sum of learning rates";
/// Meaning of `step`.
pub(super) const STEP: &str = "iterations of the dynamics";

fn rows_of_chunk(rows: usize, components: usize) -> usize {
    let fit = power_of_two(CHUNK_BYTES / (8 * components.max(1)));
    // A small ensemble shall not pay for rows that it will never have.
    fit.min(CHUNK_ROWS).min(rows.max(1).next_multiple_of(8))
}

/// The largest power of two that is not above `n`; 1 for 0.
fn power_of_two(n: usize) -> usize {
    1 << (usize::BITS - 1 - n.max(1).leading_zeros())
}

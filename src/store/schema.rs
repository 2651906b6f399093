//! Names, dimensions and chunks of everything in a dynamics' groups: one table that the writer and the reader share.
//!
//! A dynamics has four tables for its users, each a group whose variables share their first dimension, and up to three that hold
//! what claims are judged from, packed: a reader of HDF5 pays for every variable, and nobody reads these by name. `ensemble` and
//! `statistics` have the length of `time` from the start, and NaN until the dynamics has ended; the others grow along `replica`.

use super::layout::{DynamicsLayout, ObservableLayout};

/// One of the groups of a dynamics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TableKind {
    Ensemble,
    Trajectories,
    Final,
    Stationary,
    Statistics,
    Paths,
    Replicas,
}

impl TableKind {
    pub const ALL: [TableKind; 7] = [
        Self::Ensemble,
        Self::Trajectories,
        Self::Final,
        Self::Stationary,
        Self::Statistics,
        Self::Paths,
        Self::Replicas,
    ];

    /// The group's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ensemble => "ensemble",
            Self::Trajectories => "trajectories",
            Self::Final => "final",
            Self::Stationary => "stationary",
            Self::Statistics => "statistics",
            Self::Paths => "paths",
            Self::Replicas => "replicas",
        }
    }

    /// What the group holds, for its attribute `long_name`.
    pub fn long_name(self) -> &'static str {
        match self {
            Self::Ensemble => "statistics over replicas at each recorded instant",
            Self::Trajectories => "whole paths of the first replicas",
            Self::Final => "every replica at the last instant",
            Self::Stationary => "time averages of every replica over the instants after burn-in",
            Self::Statistics => "sums over replicas at each recorded instant, from which claims are judged",
            Self::Paths => "whole paths of what claims alone look at",
            Self::Replicas => "what claims look at of every replica",
        }
    }

    /// Has the length of `time` from the start (else it grows along `replica`).
    pub fn along_time(self) -> bool {
        matches!(self, Self::Ensemble | Self::Statistics)
    }

    /// Holds the paths of the first replicas.
    pub fn of_paths(self) -> bool {
        matches!(self, Self::Trajectories | Self::Paths)
    }

    /// All its numbers stand in one variable.
    pub fn packed(self) -> bool {
        matches!(self, Self::Statistics | Self::Paths | Self::Replicas)
    }
}

/// What fills a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Replica,
    Time,
    Step,
    DivergedStep,
    Observable(usize, Quantity),
    /// Several numbers side by side, along the last dimension.
    Packed(Vec<Part>),
}

/// A number kept of an observable, for all of its components, in a packed variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub observable: usize,
    pub quantity: Quantity,
    pub components: usize,
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

impl Quantity {
    /// In words, for `long_name` and the table of a packed variable's numbers.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Mean => "mean over replicas",
            Self::Variance => "variance over replicas (n - 1)",
            Self::StandardError => "standard error of the mean",
            Self::VarianceStandardError => "standard error of the variance",
            Self::Minimum => "smallest over replicas",
            Self::Maximum => "largest over replicas",
            Self::Count => "replicas that were finite",
            Self::M2 => "sum of (x - mean)^2",
            Self::M3 => "sum of (x - mean)^3",
            Self::M4 => "sum of (x - mean)^4",
            Self::Path => "path",
            Self::Last => "value at the last instant",
            Self::MaxChange => "largest |x(t) - x(0)| over recorded instants",
            Self::WindowMean => "mean over the window",
            Self::WindowVariance => "variance over the window (n)",
            Self::FirstMean => "mean over the window's first half",
            Self::FirstVariance => "variance over the window's first half (n)",
            Self::SecondMean => "mean over the window's second half",
            Self::SecondVariance => "variance over the window's second half (n)",
        }
    }
}

/// Group and suffix of each quantity that has a variable of its own, in the order they stand in the file.
pub(super) const QUANTITIES: [(TableKind, Quantity, &str); 12] = [
    (TableKind::Ensemble, Quantity::Mean, "_mean"),
    (TableKind::Ensemble, Quantity::Variance, "_variance"),
    (TableKind::Ensemble, Quantity::StandardError, "_standard_error"),
    (TableKind::Ensemble, Quantity::VarianceStandardError, "_variance_standard_error"),
    (TableKind::Ensemble, Quantity::Minimum, "_minimum"),
    (TableKind::Ensemble, Quantity::Maximum, "_maximum"),
    (TableKind::Ensemble, Quantity::Count, "_count"),
    (TableKind::Trajectories, Quantity::Path, ""),
    (TableKind::Final, Quantity::Last, ""),
    (TableKind::Final, Quantity::MaxChange, "_max_change"),
    (TableKind::Stationary, Quantity::WindowMean, "_mean"),
    (TableKind::Stationary, Quantity::WindowVariance, "_variance"),
];

/// What a packed table holds of an observable: of the users' own, what has no variable; of one that a claim alone looks at, all.
fn packed(kind: TableKind, hidden: bool) -> &'static [Quantity] {
    use Quantity::{
        Count, FirstMean, FirstVariance, Last, M2, M3, M4, MaxChange, Maximum, Mean, Minimum, Path,
        SecondMean, SecondVariance, WindowMean, WindowVariance,
    };
    match (kind, hidden) {
        (TableKind::Statistics, false) => &[M2, M3, M4],
        (TableKind::Statistics, true) => &[Count, Mean, M2, M3, M4, Minimum, Maximum],
        (TableKind::Paths, true) => &[Path],
        (TableKind::Replicas, false) => &[FirstMean, FirstVariance, SecondMean, SecondVariance],
        (TableKind::Replicas, true) => &[
            Last,
            MaxChange,
            WindowMean,
            WindowVariance,
            FirstMean,
            FirstVariance,
            SecondMean,
            SecondVariance,
        ],
        _ => &[],
    }
}

/// Every name, with its table, that an observable of `rank` takes if its variables are called after `base`.
pub(super) fn derived_names(base: &str, rank: usize) -> Vec<(usize, String)> {
    let mut names: Vec<_> =
        QUANTITIES.iter().map(|(kind, _, suffix)| (*kind as usize, format!("{base}{suffix}"))).collect();
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
    /// Rows there may be in the end; `None` where that is not known (tests of claims), or where an index of so many chunks
    /// would be larger than most ensembles ever get.
    pub most: Option<usize>,
    /// Dimensions after the first, by name and length.
    pub inner: Vec<(String, usize)>,
    pub long_name: String,
    /// Chunk, the growing dimension first; none along `time`, where all is there from the start.
    pub chunk: Vec<usize>,
    /// Shuffled and deflated. Then a chunk is written once only, when it is whole: a rewritten chunk of another
    /// length would move, and its old place might be reused before the index says so.
    pub compressed: bool,
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
    /// `sgd/final`, `internals/sgd/replicas`.
    pub path: String,
    /// The first is the coordinate of the first dimension.
    pub columns: Vec<Column>,
}

/// Bytes a chunk has at most, unless a single row is longer: read by row or by column, it is one request to a disk.
const CHUNK_BYTES: usize = 256 * 1024;
/// Rows a chunk has at most.
const CHUNK_ROWS: usize = 4096;
/// Chunks a variable has along `replica`, unless they would be too long: an index of a few kilobytes, written at every commit.
const CHUNKS: usize = 1024;
/// Chunks that an index is laid out for at once, at most.
const MOST_CHUNKS: usize = 1 << 16;
/// Replicas a chunk of paths has: a tile of the engine.
const PATHS: usize = 8;
/// The group of what claims are judged from.
pub(super) const INTERNALS: &str = "internals";
/// The last dimension of a packed variable.
pub(super) const NUMBER: &str = "number";
/// The packed variable.
pub(super) const VALUES: &str = "values";

/// The tables of a dynamics; packed ones only if there is something in them.
pub(super) fn tables(dynamics: &DynamicsLayout) -> Vec<Table> {
    TableKind::ALL.into_iter().filter_map(|kind| table(dynamics, kind)).collect()
}

fn table(dynamics: &DynamicsLayout, kind: TableKind) -> Option<Table> {
    let most = match kind {
        _ if kind.along_time() => dynamics.instants,
        // HDF5 knows no index of nothing.
        _ if kind.of_paths() => dynamics.kept.max(1),
        _ => dynamics.most.max(dynamics.requested),
    };
    let scalar = |name: &str, source, element, long_name: &str| Column {
        name: name.to_string(),
        source,
        element,
        most: Some(most),
        inner: vec![],
        long_name: long_name.to_string(),
        chunk: vec![rows_of_chunk(dynamics, 1)],
        compressed: false,
    };
    let mut columns = match kind {
        TableKind::Ensemble => vec![
            scalar("time", Source::Time, Element::F64, TIME),
            scalar("step", Source::Step, Element::I64, STEP),
        ],
        TableKind::Statistics => vec![scalar("time", Source::Time, Element::F64, TIME)],
        _ => vec![scalar("replica", Source::Replica, Element::I64, "number of the replica")],
    };
    if kind.of_paths() {
        // Committed in step with the paths.
        columns[0].chunk = vec![PATHS];
        columns[0].compressed = true;
    }
    if kind == TableKind::Final {
        let meaning = "first recorded step at which the replica was not finite; -1 where it always was";
        columns.push(scalar("diverged_step", Source::DivergedStep, Element::I64, meaning));
    }
    // Dimensions after those of the table, and their chunks.
    let finish = |mut column: Column, inner: Vec<(String, usize)>| {
        let components: usize = inner.iter().map(|d| d.1).product();
        let lengths: Vec<usize> = inner.iter().map(|d| d.1).collect();
        column.inner = inner;
        if kind.of_paths() {
            let cut = power_of_two(CHUNK_BYTES / (8 * PATHS * components.max(1))).min(dynamics.instants);
            column.inner.insert(0, ("time".to_string(), dynamics.instants));
            column.chunk = vec![PATHS, cut];
            column.compressed = true;
        } else {
            column.chunk = vec![rows_of_chunk(dynamics, components)];
        }
        column.chunk.extend(lengths);
        // HDF5 has no empty chunks; nobody has observables without components, but they must not break it.
        column.chunk.iter_mut().for_each(|n| *n = (*n).max(1));
        column
    };
    if kind.packed() {
        let parts = parts(&dynamics.observables, kind);
        let width: usize = parts.iter().map(|part| part.components).sum();
        if width == 0 {
            return None;
        }
        let column = scalar(VALUES, Source::Packed(parts), Element::F64, kind.long_name());
        columns.push(finish(column, vec![(NUMBER.to_string(), width)]));
        let path = format!("{INTERNALS}/{}/{}", dynamics.group, kind.name());
        return Some(Table { kind, path, columns: columns.into_iter().map(bounded).collect() });
    }
    for (index, observable) in dynamics.observables.iter().enumerate().filter(|(_, o)| !o.hidden) {
        for (_, quantity, suffix) in QUANTITIES.iter().filter(|q| q.0 == kind) {
            let column = scalar(
                &format!("{}{suffix}", observable.variable),
                Source::Observable(index, *quantity),
                if *quantity == Quantity::Count { Element::I64 } else { Element::F64 },
                &format!("{}: {}", observable.name, quantity.meaning()),
            );
            let names = dimension_names(&observable.variable, observable.shape.len());
            columns.push(finish(column, names.into_iter().zip(observable.shape.iter().copied()).collect()));
        }
    }
    let path = format!("{}/{}", dynamics.group, kind.name());
    Some(Table { kind, path, columns: columns.into_iter().map(bounded).collect() })
}

/// A bound that takes no index of megabytes, or none: HDF5 lays the index of a bounded variable out for all chunks at once.
fn bounded(mut column: Column) -> Column {
    let lengths = column.most.into_iter().chain(column.inner.iter().map(|d| d.1));
    let chunks = lengths.zip(&column.chunk).map(|(length, &chunk)| length.div_ceil(chunk.max(1)));
    if chunks.fold(1, usize::saturating_mul) > MOST_CHUNKS {
        column.most = None;
    }
    column
}

/// What stands side by side in a packed table, in this order.
fn parts(observables: &[ObservableLayout], kind: TableKind) -> Vec<Part> {
    let of = |(index, observable): (usize, &ObservableLayout)| {
        let components = observable.components();
        let part = move |&quantity| Part { observable: index, quantity, components };
        packed(kind, observable.hidden).iter().map(part)
    };
    observables.iter().enumerate().flat_map(of).collect()
}

/// Meaning of the clock, for `long_name`.
pub(super) const TIME: &str = "t = sum of learning rates";
/// Meaning of `step`.
pub(super) const STEP: &str = "iterations of the dynamics";

fn rows_of_chunk(dynamics: &DynamicsLayout, components: usize) -> usize {
    let fit = power_of_two(CHUNK_BYTES / (8 * components.max(1)));
    let most = dynamics.most.max(dynamics.requested);
    // A small ensemble shall not pay for rows that it will never have, nor for an index of all that it might have.
    let few = dynamics.requested.max(1).next_multiple_of(8);
    let bounded = most.div_ceil(CHUNKS).next_power_of_two();
    // Beyond, there is no bound, and no index to be kept short.
    let rows = if bounded > CHUNK_ROWS { few } else { few.max(bounded) };
    fit.min(CHUNK_ROWS).min(rows)
}

/// The largest power of two that is not above `n`; 1 for 0.
fn power_of_two(n: usize) -> usize {
    1 << (usize::BITS - 1 - n.max(1).leading_zeros())
}

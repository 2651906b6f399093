//! One observable of one block: its value now, and what is kept of its past.

use std::sync::Arc;

use nalgebra::{DMatrix, SVD};

use crate::dynamics::Book;
use crate::ensemble::decay::DecayRate;
use crate::ensemble::fold;
use crate::ensemble::kernels::{largest_change, welford};
use crate::ensemble::record::{ObservableRecord, Stationary};
use crate::lanes::{LANES, Lane, flat};
use crate::model::Scratch;
use crate::model::formula::Function;
use crate::model::symmetry::GradientMoments;
use crate::stats::moments::Moments;
use crate::study::{Observable, ObservableKind};

/// Recorded instants of a dynamics, as windows see them.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Recorded instants.
    pub instants: usize,
    /// First of the stationary window.
    pub burn_in: usize,
}

impl Windows {
    /// Instants of the stationary window.
    pub fn length(&self) -> usize {
        self.instants.saturating_sub(self.burn_in)
    }
    /// For the whole window, its first and its second half: how many of its instants came before `instant`, if that is in it.
    fn places(&self, instant: usize) -> [Option<usize>; 3] {
        let Some(place) = instant.checked_sub(self.burn_in) else { return [None; 3] };
        let half = self.length() / 2;
        let second = place.checked_sub(self.length() - half);
        [Some(place), (place < half).then_some(place), second]
    }
}

/// What a block is observed in.
#[derive(Clone, Copy)]
pub struct State<'a> {
    /// Index of the recorded instant.
    pub instant: usize,
    /// θ, `[P][tiles]`.
    pub theta: &'a [Lane],
    /// v of the step that led here, `[P][tiles]`; empty where there is none.
    pub velocity: &'a [Lane],
    /// Rows of each book that is kept, `[rows][tiles]`.
    pub books: &'a [Vec<Lane>],
}

/// What observables ask to keep account of, in their order.
pub fn books(observables: &[Observable]) -> Vec<Book> {
    observables.iter().filter_map(|o| o.kind.book()).collect()
}

/// How the value is computed.
enum Way {
    Parameter { offset: usize },
    Function { function: Arc<Function>, scratch: Scratch },
    SingularValues { function: Arc<Function>, scratch: Scratch, matrix: Vec<Lane> },
    Moving { function: Arc<Function>, scratch: Scratch, rest: Vec<Lane> },
    Book { index: usize },
    NoiseMoments { moments: GradientMoments, last: usize },
    DecayRate { of: Box<Way>, value: Vec<Lane>, fit: DecayRate },
}

impl Way {
    fn new(kind: &ObservableKind, book: usize, times: &[f64], tiles: usize) -> Self {
        match kind {
            ObservableKind::Parameter { offset } => Way::Parameter { offset: *offset },
            ObservableKind::Function(function) => {
                Way::Function { function: function.clone(), scratch: function.scratch(tiles) }
            }
            ObservableKind::SingularValues(function) => Way::SingularValues {
                function: function.clone(),
                scratch: function.scratch(tiles),
                matrix: vec![Lane::default(); function.shape().len() * tiles],
            },
            ObservableKind::Moving(function) => {
                Way::Moving { function: function.clone(), scratch: function.scratch(tiles), rest: Vec::new() }
            }
            ObservableKind::Ledger(_)
            | ObservableKind::Integral(_)
            | ObservableKind::Balance(_)
            | ObservableKind::Passage(_) => Way::Book { index: book },
            ObservableKind::NoiseMoments(noise) => Way::NoiseMoments {
                moments: GradientMoments::new(noise.model.clone(), noise.squares.clone(), tiles),
                last: times.len().saturating_sub(1),
            },
            ObservableKind::DecayRate { of, components, from, to } => {
                let len = components * tiles;
                Way::DecayRate {
                    of: Box::new(Self::new(of, book, times, tiles)),
                    value: vec![Lane::default(); len],
                    fit: DecayRate::new(times, *from, *to, len),
                }
            }
        }
    }

    fn evaluate(&mut self, state: State<'_>, out: &mut [Lane], tiles: usize) {
        match self {
            Way::Parameter { offset } => {
                let first = *offset * tiles;
                out.copy_from_slice(&state.theta[first..first + out.len()]);
            }
            Way::Function { function, scratch } => function.evaluate(state.theta, out, scratch),
            Way::SingularValues { function, scratch, matrix } => {
                function.evaluate(state.theta, matrix, scratch);
                let shape = function.shape();
                for replica in 0..LANES * tiles {
                    let (t, l) = (replica / LANES, replica % LANES);
                    let element = |e: usize| matrix[e * tiles + t].0[l];
                    let values = singular_values(shape.rows, shape.cols, element);
                    for (component, row) in out.chunks_exact_mut(tiles).enumerate() {
                        row[t].0[l] = values.get(component).copied().unwrap_or(f64::NAN);
                    }
                }
            }
            Way::Moving { function, scratch, rest } => {
                let mut velocity = state.velocity;
                if velocity.is_empty() {
                    rest.resize(state.theta.len(), Lane::default());
                    velocity = rest;
                }
                function.evaluate_with(state.theta, velocity, out, scratch);
            }
            Way::Book { index } => out.copy_from_slice(&state.books[*index]),
            Way::NoiseMoments { moments, last } => {
                // A sweep over the population: where it is asked for, and nowhere else.
                if state.instant != 0 && state.instant != *last {
                    return;
                }
                let half = out.len() / 2;
                let (start, end) = out.split_at_mut(half);
                let now = if state.instant == 0 { &mut *start } else { &mut *end };
                let (squares, rest) = now.split_at_mut(half / 3);
                squares.fill(Lane::default());
                moments.form().add(state.theta, 1.0, squares, tiles);
                let (second, mean) = rest.split_at_mut(half / 3);
                moments.evaluate(state.theta, second, mean);
                if state.instant == 0 {
                    end.copy_from_slice(start);
                }
            }
            Way::DecayRate { of, value, fit } => {
                of.evaluate(state, value, tiles);
                fit.push(state.instant, value, out, tiles);
            }
        }
    }
}

/// An observable of one block, `[components][tiles]` each.
pub struct Tracker {
    record: ObservableRecord,
    components: usize,
    tiles: usize,
    replicas: usize,
    kept: usize,
    windows: Windows,
    way: Way,
    value: Vec<Lane>,
    start: Vec<Lane>,
    change: Vec<Lane>,
    /// Means and sums of squares over the stationary window, its first and its second half.
    running: [(Vec<Lane>, Vec<Lane>); 3],
    leaves: Vec<Moments>,
}

/// The record of an observable without a number in it.
pub fn blank(observable: &Observable, windows: Windows) -> ObservableRecord {
    ObservableRecord {
        name: observable.name.clone(),
        shape: observable.shape.dims(),
        hidden: observable.hidden,
        stationary: Stationary { instants: windows.length(), ..Stationary::default() },
        ..ObservableRecord::default()
    }
}

impl Tracker {
    /// For a block of `replicas` replicas in `tiles` vectors, of which the first `kept` keep their path; `times` are the recorded instants,
    /// `book` is the number of books before this observable.
    pub fn new(
        observable: &Observable,
        book: usize,
        times: &[f64],
        windows: Windows,
        tiles: usize,
        replicas: usize,
        kept: usize,
    ) -> Self {
        let mut record = blank(observable, windows);
        let components = observable.shape.len();
        record.ensemble.reserve_exact(components * windows.instants);
        record.trajectories = vec![f64::NAN; kept * windows.instants * components];
        let vectors = || vec![Lane::default(); components * tiles];
        let way = Way::new(&observable.kind, book, times, tiles);
        Self {
            record,
            components,
            tiles,
            replicas,
            kept,
            windows,
            way,
            value: vectors(),
            start: vectors(),
            change: vectors(),
            running: std::array::from_fn(|_| (vectors(), vectors())),
            leaves: vec![Moments::default(); tiles],
        }
    }

    /// Computes the value in a state.
    pub fn evaluate(&mut self, state: State<'_>) {
        self.way.evaluate(state, &mut self.value, self.tiles);
    }

    /// The present value, `[components][tiles]`.
    pub fn value(&self) -> &[Lane] {
        &self.value
    }

    /// Records the present value as that of recorded instant `instant`; bit `l` of `alive[t]` says whether that
    /// replica still counts.
    pub fn record(&mut self, instant: usize, alive: &[u8]) {
        for row in self.value.chunks_exact(self.tiles) {
            for ((leaf, value), alive) in self.leaves.iter_mut().zip(row).zip(alive) {
                *leaf = fold::leaf(&value.0, *alive);
            }
            self.record.ensemble.push(fold::tree(&mut self.leaves));
        }
        for replica in 0..self.kept {
            let (t, l) = (replica / LANES, replica % LANES);
            if alive[t] >> l & 1 == 1 {
                for component in 0..self.components {
                    let at = (replica * self.windows.instants + instant) * self.components + component;
                    self.record.trajectories[at] = self.value[component * self.tiles + t].0[l];
                }
            }
        }
        if instant == 0 {
            self.start.copy_from_slice(&self.value);
        }
        largest_change(&mut self.change, &self.value, &self.start);
        for ((mean, squares), place) in self.running.iter_mut().zip(self.windows.places(instant)) {
            if let Some(place) = place {
                welford(mean, squares, &self.value, 1.0 / (place + 1) as f64);
            }
        }
    }

    /// What is left of the block; dead replicas have NaN.
    pub fn finish(mut self, alive: &[u8]) -> ObservableRecord {
        let all_alive = alive[..self.replicas.div_ceil(LANES)].iter().all(|alive| *alive == u8::MAX);
        let lanes_of = |rows: &[Lane], count: usize| -> Vec<f64> {
            let numbers = self.replicas * self.components;
            if count == 0 {
                return vec![f64::NAN; numbers];
            }
            let count = count as f64;
            if self.components == 1 && all_alive {
                return flat(rows)[..numbers].iter().map(|x| x / count).collect();
            }
            let mut out = Vec::with_capacity(numbers);
            for replica in 0..self.replicas {
                let (t, l) = (replica / LANES, replica % LANES);
                for component in 0..self.components {
                    let value = rows[component * self.tiles + t].0[l] / count;
                    out.push(if alive[t] >> l & 1 == 1 { value } else { f64::NAN });
                }
            }
            out
        };
        let (whole, half) = (self.windows.length(), self.windows.length() / 2);
        let [all, first, second] = &self.running;
        // A mean is divided by nothing more, but is NaN where its window is empty.
        let shown = |count: usize| usize::from(count > 0);
        let stationary = Stationary {
            instants: whole,
            mean: lanes_of(&all.0, shown(whole)),
            variance: lanes_of(&all.1, whole),
            first_mean: lanes_of(&first.0, shown(half)),
            first_variance: lanes_of(&first.1, half),
            second_mean: lanes_of(&second.0, shown(half)),
            second_variance: lanes_of(&second.1, half),
        };
        let (last, max_change) = (lanes_of(&self.value, 1), lanes_of(&self.change, 1));
        self.record.stationary = stationary;
        self.record.last = last;
        self.record.max_change = max_change;
        self.record
    }
}

/// Singular values, descending; NaN if the matrix is not finite or the iteration does not end.
fn singular_values(rows: usize, cols: usize, element: impl Fn(usize) -> f64) -> Vec<f64> {
    let matrix = DMatrix::from_fn(rows, cols, |i, j| element(i * cols + j));
    let failed = vec![f64::NAN; rows.min(cols)];
    if matrix.iter().any(|x| !x.is_finite()) {
        return failed;
    }
    SVD::try_new(matrix, false, false, f64::EPSILON, 10_000)
        .map_or(failed, |svd| svd.singular_values.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_split_into_halves_without_the_middle() {
        let windows = Windows { instants: 9, burn_in: 2 };
        assert_eq!(windows.length(), 7);
        assert_eq!(windows.places(1), [None, None, None]);
        assert_eq!(windows.places(2), [Some(0), Some(0), None]);
        assert_eq!(windows.places(4), [Some(2), Some(2), None]);
        assert_eq!(windows.places(5), [Some(3), None, None]);
        assert_eq!(windows.places(6), [Some(4), None, Some(0)]);
        assert_eq!(windows.places(8), [Some(6), None, Some(2)]);
    }

    #[test]
    fn singular_values_descend() {
        let m = [3.0, 0.0, 0.0, 0.0, 4.0, 0.0];
        let values = singular_values(2, 3, |e| m[e]);
        assert!((values[0] - 4.0).abs() < 1e-14 && (values[1] - 3.0).abs() < 1e-14);
        assert!(singular_values(1, 2, |_| f64::INFINITY)[0].is_nan());
    }
}

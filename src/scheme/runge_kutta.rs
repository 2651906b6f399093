//! An adaptive explicit Runge–Kutta integrator whose every lane has its own step and error control.
//!
//! Fehlberg's pair of orders 7 and 8 with 13 stages, carried on at order 8.
//! Source: Fehlberg (1968), NASA TR R-287, table X.
//!
//! The sequence of steps does not know what is recorded: steps are never cut at a recorded instant; a state in between
//! comes from a side integration of a copy, so that asking for more instants changes no path.
//!
//! Every lane's steps are counted. A law that is stiff keeps an explicit integrator at steps of the size of its fastest direction long after that is done
//! with: where the rest of the way would take more than [`MOST_STEPS`] of them, the lane is given up, with the reason.

use crate::lanes::{LANES, Lane};

/// Stages of the pair.
const STAGES: usize = 13;

/// a_ij with its stage j, where it is not zero; the nodes c_i are the row sums, and an autonomous law needs none.
const TABLEAU: [&[(usize, f64)]; STAGES] = [
    &[],
    &[(0, 2.0 / 27.0)],
    &[(0, 1.0 / 36.0), (1, 1.0 / 12.0)],
    &[(0, 1.0 / 24.0), (2, 1.0 / 8.0)],
    &[(0, 5.0 / 12.0), (2, -25.0 / 16.0), (3, 25.0 / 16.0)],
    &[(0, 1.0 / 20.0), (3, 1.0 / 4.0), (4, 1.0 / 5.0)],
    &[(0, -25.0 / 108.0), (3, 125.0 / 108.0), (4, -65.0 / 27.0), (5, 125.0 / 54.0)],
    &[(0, 31.0 / 300.0), (4, 61.0 / 225.0), (5, -2.0 / 9.0), (6, 13.0 / 900.0)],
    &[(0, 2.0), (3, -53.0 / 6.0), (4, 704.0 / 45.0), (5, -107.0 / 9.0), (6, 67.0 / 90.0), (7, 3.0)],
    &[
        (0, -91.0 / 108.0),
        (3, 23.0 / 108.0),
        (4, -976.0 / 135.0),
        (5, 311.0 / 54.0),
        (6, -19.0 / 60.0),
        (7, 17.0 / 6.0),
        (8, -1.0 / 12.0),
    ],
    &[
        (0, 2383.0 / 4100.0),
        (3, -341.0 / 164.0),
        (4, 4496.0 / 1025.0),
        (5, -301.0 / 82.0),
        (6, 2133.0 / 4100.0),
        (7, 45.0 / 82.0),
        (8, 45.0 / 164.0),
        (9, 18.0 / 41.0),
    ],
    &[
        (0, 3.0 / 205.0),
        (5, -6.0 / 41.0),
        (6, -3.0 / 205.0),
        (7, -3.0 / 41.0),
        (8, 3.0 / 41.0),
        (9, 6.0 / 41.0),
    ],
    &[
        (0, -1777.0 / 4100.0),
        (3, -341.0 / 164.0),
        (4, 4496.0 / 1025.0),
        (5, -289.0 / 82.0),
        (6, 2193.0 / 4100.0),
        (7, 51.0 / 82.0),
        (8, 33.0 / 164.0),
        (9, 12.0 / 41.0),
        (11, 1.0),
    ],
];

/// b of order 8, where it is not zero.
const WEIGHTS: [(usize, f64); 8] = [
    (5, 34.0 / 105.0),
    (6, 9.0 / 35.0),
    (7, 9.0 / 35.0),
    (8, 9.0 / 280.0),
    (9, 9.0 / 280.0),
    (11, 41.0 / 840.0),
    (12, 41.0 / 840.0),
    (0, 0.0),
];

/// b of order 7 less b of order 8, where it is not zero.
const ERROR: [(usize, f64); 4] =
    [(0, 41.0 / 840.0), (10, 41.0 / 840.0), (11, -41.0 / 840.0), (12, -41.0 / 840.0)];

/// Steps beyond this size are not tried; a law at rest would let them grow without end.
pub const LARGEST_STEP: f64 = 1e100;

/// Most steps, tried or taken, that one path may cost.
pub const MOST_STEPS: u64 = 5_000_000;

/// Steps after which it is asked how many more there will be.
const ENOUGH: u64 = 20_000;

/// A step that moves a state by less than this part of it is no longer as long as it is for the path's sake.
const HARDLY: f64 = 1e-3;

/// Why a lane became NaN, for a user.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The lane, counted through the block.
    pub lane: usize,
    /// A sentence.
    pub reason: String,
}

/// What a path may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When it begins.
    pub start: f64,
    /// When it ends; infinite if nobody knows.
    pub end: f64,
}

impl Limits {
    /// Without an end that is known.
    pub const NONE: Self = Self { start: 0.0, end: f64::INFINITY };

    /// How many steps the whole way will take, if that is too many.
    pub fn hopeless(self, tries: u64, now: f64) -> Option<f64> {
        if tries < ENOUGH || !tries.is_multiple_of(ENOUGH / 50) {
            return None;
        }
        let share = (now - self.start) / (self.end - self.start);
        let projected = if share > 0.0 { tries as f64 / share.min(1.0) } else { tries as f64 };
        (tries >= MOST_STEPS || projected > MOST_STEPS as f64 && self.end.is_finite()).then_some(projected)
    }

    /// The same in words; `moved` is the part of the state by which a step moves it.
    pub fn why(self, projected: f64, now: f64, step: f64, moved: f64) -> String {
        let cause = if moved < HARDLY {
            ": the loss is stiff, its steepest direction allows no longer steps, although the path hardly moves"
        } else {
            ""
        };
        format!(
            "gradient flow came to t = {now:.4e} in steps of {step:.1e}, {projected:.1e} of which it would take to the end, more than \
             {MOST_STEPS:.0e}{cause}"
        )
    }
}

/// ẏ of a block: reads `[n][tiles]`, writes `[n][tiles]`.
pub type Slope<'a> = dyn FnMut(&[Lane], &mut [Lane]) + 'a;

/// Where each lane is, and the step it will try next.
#[derive(Clone, Debug, Default)]
struct Front {
    /// `[n][tiles]`.
    state: Vec<Lane>,
    /// `[tiles]`, with what compensated summation lost.
    time: Vec<Lane>,
    lost: Vec<Lane>,
    /// `[tiles]`.
    step: Vec<Lane>,
    /// Steps tried.
    tries: Vec<[u64; LANES]>,
}

/// The integrator of a block of `tiles` vectors.
#[derive(Clone, Debug)]
pub struct Adaptive {
    tiles: usize,
    front: Front,
    side: Front,
    stages: Stages,
    applied: Vec<Lane>,
    /// The floor of errors: none.
    nothing: Vec<Lane>,
    limits: Limits,
    failures: Vec<Failure>,
}

/// Working memory of a step.
#[derive(Clone, Debug)]
pub struct Stages {
    tolerance: f64,
    slopes: [Vec<Lane>; STAGES],
    trial: Vec<Lane>,
    ratio: Vec<Lane>,
}

impl Stages {
    /// For `n` elements a replica; a step's estimated error is compared with `tolerance` times the largest element of the lane's state.
    pub fn new(n: usize, tiles: usize, tolerance: f64) -> Self {
        Self {
            tolerance,
            slopes: std::array::from_fn(|_| vec![Lane::default(); n * tiles]),
            trial: vec![Lane::default(); n * tiles],
            ratio: vec![Lane::default(); tiles],
        }
    }

    /// A step of size `applied` in every lane: where it leads, and its estimated error over the allowed one, see [`Stages::trial`]. A lane whose state
    /// is smaller than `floor` has the allowance of a state of that size.
    pub fn attempt(&mut self, state: &[Lane], applied: &[Lane], floor: &[Lane], slope: &mut Slope<'_>) {
        let Self { tolerance, slopes, trial, ratio } = self;
        for stage in 0..STAGES {
            let (before, after) = slopes.split_at_mut(stage);
            if stage == 0 {
                slope(state, &mut after[0]);
            } else {
                combine(trial, state, applied, before, TABLEAU[stage]);
                slope(trial, &mut after[0]);
            }
        }
        combine(trial, state, applied, slopes, &WEIGHTS);
        error_ratio(ratio, (trial, state), applied, slopes, *tolerance, floor);
    }

    /// The new state and the ratio of errors; a step is good where that is at most 1.
    pub fn trial(&self) -> (&[Lane], &[Lane]) {
        (&self.trial, &self.ratio)
    }

    /// The part of a lane's state by which a step of size `h` moves it.
    pub fn moved(&self, state: &[Lane], lane: usize, h: f64) -> f64 {
        let (tiles, t, l) = (self.ratio.len(), lane / LANES, lane % LANES);
        h * largest(&self.slopes[0], tiles, t, l) / largest(state, tiles, t, l)
    }
}

/// The first step of every lane: a hundredth of ‖y‖/‖ẏ‖.
pub fn first_step(state: &[Lane], slope: &[Lane], tiles: usize, step: &mut [Lane]) {
    for (t, step) in step.iter_mut().enumerate() {
        for l in 0..LANES {
            let size = largest(state, tiles, t, l);
            let speed = largest(slope, tiles, t, l);
            let scale = if size > 0.0 { size } else { 1.0 };
            step.0[l] = if speed > 0.0 { (0.01 * scale / speed).min(LARGEST_STEP) } else { 1.0 };
        }
    }
}

/// By how much the next step is longer: ratio^(−1/8), of square roots alone; NaN and ∞ shrink the step the most.
pub fn factor(ratio: f64) -> f64 {
    let root = ratio.sqrt().sqrt().sqrt();
    if root <= 0.9 / 5.0 {
        5.0
    } else if root < 0.9 / 0.1 {
        0.9 / root
    } else {
        0.1
    }
}

impl Adaptive {
    /// For `n` elements a replica; a step's estimated error stays below `tolerance` times the largest element of the lane's state.
    pub fn new(n: usize, tiles: usize, tolerance: f64) -> Self {
        let front = || Front {
            state: vec![Lane::default(); n * tiles],
            time: vec![Lane::default(); tiles],
            lost: vec![Lane::default(); tiles],
            step: vec![Lane::default(); tiles],
            tries: vec![[0; LANES]; tiles],
        };
        Self {
            tiles,
            front: front(),
            side: front(),
            stages: Stages::new(n, tiles, tolerance),
            applied: vec![Lane::default(); tiles],
            nothing: vec![Lane::default(); tiles],
            limits: Limits::NONE,
            failures: Vec::new(),
        }
    }

    /// The same within limits.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Lanes that became NaN, and why.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Vectors a tile that an integrator of `n` elements keeps.
    pub fn footprint(n: usize) -> usize {
        n * (STAGES + 3) + 8
    }

    /// Begins at `state` and `time`, with a first step of a hundredth of ‖y‖/‖ẏ‖.
    pub fn start(&mut self, state: &[Lane], time: f64, slope: &mut Slope<'_>) {
        self.front.state.copy_from_slice(state);
        self.front.time.fill(Lane::splat(time));
        self.front.lost.fill(Lane::default());
        slope(state, &mut self.stages.slopes[0]);
        first_step(state, &self.stages.slopes[0], self.tiles, &mut self.front.step);
    }

    /// Writes the state at `target` (not before the last one asked for) to `out`; false if `go_on` said so before that.
    /// A lane whose step underflows, or whose slope is not finite, becomes NaN.
    pub fn advance(
        &mut self,
        target: f64,
        out: &mut [Lane],
        slope: &mut Slope<'_>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> bool {
        loop {
            let mut busy = false;
            for t in 0..self.tiles {
                for l in 0..LANES {
                    let step = self.front.step[t].0[l];
                    let whole = self.front.time[t].0[l] + step <= target;
                    self.applied[t].0[l] = if whole { step } else { 0.0 };
                    busy |= whole;
                }
            }
            if !busy {
                break;
            }
            if !go_on() {
                return false;
            }
            let Self { front, stages, applied, nothing, limits, failures, .. } = self;
            attempt(front, (applied, nothing), stages, slope, *limits, failures);
        }
        self.side.state.copy_from_slice(&self.front.state);
        self.side.time.copy_from_slice(&self.front.time);
        self.side.lost.copy_from_slice(&self.front.lost);
        self.side.step.copy_from_slice(&self.front.step);
        self.side.tries.copy_from_slice(&self.front.tries);
        loop {
            let mut busy = false;
            for t in 0..self.tiles {
                for l in 0..LANES {
                    let left = (target - self.side.time[t].0[l]) + self.side.lost[t].0[l];
                    let step = self.side.step[t].0[l].min(left);
                    // A remainder below the resolution of time is no step.
                    let moves = step > 0.0 && self.side.time[t].0[l] + step > self.side.time[t].0[l];
                    self.applied[t].0[l] = if moves { step } else { 0.0 };
                    busy |= moves;
                }
            }
            if !busy {
                break;
            }
            if !go_on() {
                return false;
            }
            let Self { side, stages, applied, nothing, limits, failures, .. } = self;
            attempt(side, (applied, nothing), stages, slope, *limits, failures);
        }
        out.copy_from_slice(&self.side.state);
        true
    }
}

/// Largest absolute element of one lane; NaN if one is.
pub fn largest(values: &[Lane], tiles: usize, t: usize, l: usize) -> f64 {
    let mut size: f64 = 0.0;
    for row in values.chunks_exact(tiles) {
        let x = row[t].0[l].abs();
        if x > size || x.is_nan() {
            size = x;
        }
    }
    size
}

/// One step of size `applied` (0: none) in every lane, taken where its error is small enough; the next size is set either way.
fn attempt(
    front: &mut Front,
    (applied, nothing): (&[Lane], &[Lane]),
    stages: &mut Stages,
    slope: &mut Slope<'_>,
    limits: Limits,
    failures: &mut Vec<Failure>,
) {
    let tiles = applied.len();
    stages.attempt(&front.state, applied, nothing, slope);
    for t in 0..tiles {
        for l in 0..LANES {
            let step = applied[t].0[l];
            if step == 0.0 {
                continue;
            }
            front.tries[t][l] += 1;
            let ratio = stages.ratio[t].0[l];
            let accepted = ratio <= 1.0;
            let factor = factor(ratio);
            let time = front.time[t].0[l];
            let lane = t * LANES + l;
            let mut reason = None;
            if let Some(projected) = limits.hopeless(front.tries[t][l], time) {
                reason = Some(limits.why(projected, time, step, stages.moved(&front.state, lane, step)));
            } else if accepted {
                for (new, old) in stages.trial.chunks_exact(tiles).zip(front.state.chunks_exact_mut(tiles)) {
                    old[t].0[l] = new[t].0[l];
                }
                // Neumaier: `lost` is what the sum of steps has too much.
                let small = step - front.lost[t].0[l];
                let sum = time + small;
                front.lost[t].0[l] = (sum - time) - small;
                front.time[t].0[l] = sum;
                front.step[t].0[l] = (step * factor).min(LARGEST_STEP);
            } else {
                let next = step * factor.min(0.9);
                front.step[t].0[l] = next;
                if time + next <= time || next.is_nan() {
                    reason = Some(no_step(time, ratio));
                }
            }
            if let Some(reason) = reason {
                for old in front.state.chunks_exact_mut(tiles) {
                    old[t].0[l] = f64::NAN;
                }
                // Past every target: it takes no more steps.
                front.time[t].0[l] = f64::INFINITY;
                failures.push(Failure { lane, reason });
            }
        }
    }
}

/// Why no step is short enough.
pub fn no_step(time: f64, ratio: f64) -> String {
    let cause = if ratio.is_nan() { "its slope is not finite" } else { "its slope is not smooth" };
    format!("gradient flow has no step at t = {time:.6e}: {cause} there")
}

/// out = state + h Σ_j a_j k_j.
fn combine(out: &mut [Lane], state: &[Lane], h: &[Lane], slopes: &[Vec<Lane>], row: &[(usize, f64)]) {
    out.fill(Lane::default());
    for &(j, a) in row {
        for (o, k) in out.iter_mut().zip(&slopes[j]) {
            for l in 0..LANES {
                o.0[l] += a * k.0[l];
            }
        }
    }
    let tiles = h.len();
    for (out, state) in out.chunks_exact_mut(tiles).zip(state.chunks_exact(tiles)) {
        for ((o, x), h) in out.iter_mut().zip(state).zip(h) {
            for l in 0..LANES {
                o.0[l] = x.0[l] + h.0[l] * o.0[l];
            }
        }
    }
}

/// max_i |e_i| / (tolerance · max_i max(|y_i|, |y'_i|)) of every lane; NaN where something is not finite.
fn error_ratio(
    ratio: &mut [Lane],
    (new, old): (&[Lane], &[Lane]),
    h: &[Lane],
    slopes: &[Vec<Lane>; STAGES],
    tolerance: f64,
    floor: &[Lane],
) {
    let tiles = h.len();
    for (t, ratio) in ratio.iter_mut().enumerate() {
        let mut error = [0.0_f64; LANES];
        let mut size = floor[t].0;
        let mut finite = [0.0_f64; LANES];
        for e in (t..new.len()).step_by(tiles) {
            for l in 0..LANES {
                let mut sum = 0.0;
                for (j, b) in ERROR {
                    sum += b * slopes[j][e].0[l];
                }
                let miss = (h[t].0[l] * sum).abs();
                error[l] = if miss > error[l] { miss } else { error[l] };
                let x = old[e].0[l].abs().max(new[e].0[l].abs());
                size[l] = if x > size[l] { x } else { size[l] };
                // 0 · x is 0 for what is finite and NaN for the rest.
                finite[l] += 0.0 * miss + 0.0 * new[e].0[l];
            }
        }
        for l in 0..LANES {
            ratio.0[l] = if error[l] > 0.0 { error[l] / (tolerance * size[l]) } else { 0.0 } + finite[l];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integrate(
        tolerance: f64,
        start: &[f64],
        times: &[f64],
        slope: &dyn Fn(&[f64], &mut [f64]),
    ) -> Vec<Vec<f64>> {
        let n = start.len();
        let mut calls = |y: &[Lane], k: &mut [Lane]| {
            for l in 0..LANES {
                let x: Vec<f64> = y.iter().map(|v| v.0[l]).collect();
                let mut out = vec![0.0; n];
                slope(&x, &mut out);
                for (k, o) in k.iter_mut().zip(out) {
                    k.0[l] = o;
                }
            }
        };
        let mut adaptive = Adaptive::new(n, 1, tolerance);
        let state: Vec<Lane> = start.iter().map(|&x| Lane::splat(x)).collect();
        adaptive.start(&state, 0.0, &mut calls);
        let mut out = vec![Lane::default(); n];
        times
            .iter()
            .map(|&t| {
                assert!(adaptive.advance(t, &mut out, &mut calls, &mut || true));
                out.iter().map(|x| x.0[3]).collect()
            })
            .collect()
    }

    #[test]
    fn rows_are_consistent() {
        let nodes = [
            0.0,
            2.0 / 27.0,
            1.0 / 9.0,
            1.0 / 6.0,
            5.0 / 12.0,
            0.5,
            5.0 / 6.0,
            1.0 / 6.0,
            2.0 / 3.0,
            1.0 / 3.0,
            1.0,
            0.0,
            1.0,
        ];
        for (row, c) in TABLEAU.iter().zip(nodes) {
            assert!((row.iter().map(|x| x.1).sum::<f64>() - c).abs() < 1e-14);
        }
        // Quadrature conditions Σ b c^k = 1/(k+1) up to order 8.
        for k in 0..8 {
            let sum: f64 = WEIGHTS.iter().map(|&(j, b)| b * nodes[j].powi(k)).sum();
            assert!((sum - 1.0 / f64::from(k + 1)).abs() < 1e-14, "{k}");
        }
        assert_eq!(ERROR.iter().map(|x| x.1).sum::<f64>(), 0.0);
    }

    /// One step of size h of a non-linear, non-symmetric law: the order of the local error shows every wrong coefficient.
    #[test]
    fn one_step_has_an_error_of_order_nine() {
        let law = |y: &[f64], k: &mut [f64]| {
            k[0] = -y[0] * y[1] + 0.3 * y[2];
            k[1] = y[0] * y[0] - y[2] * y[1];
            k[2] = 1.0 - y[0] * y[2] * y[1];
        };
        let start = [0.9, -0.4, 0.7];
        let single = |h: f64| {
            let mut front = Front {
                state: start.iter().map(|&x| Lane::splat(x)).collect(),
                time: vec![Lane::default()],
                lost: vec![Lane::default()],
                step: vec![Lane::splat(h)],
                tries: vec![[0; LANES]],
            };
            let mut stages = Stages::new(3, 1, 1.0);
            let mut slope = |y: &[Lane], k: &mut [Lane]| {
                let mut out = [0.0; 3];
                law(&[y[0].0[0], y[1].0[0], y[2].0[0]], &mut out);
                for (k, o) in k.iter_mut().zip(out) {
                    *k = Lane::splat(o);
                }
            };
            let step = [Lane::splat(h)];
            let applied = (&step[..], &[Lane::default()][..]);
            attempt(&mut front, applied, &mut stages, &mut slope, Limits::NONE, &mut Vec::new());
            (front.state.iter().map(|x| x.0[0]).collect::<Vec<_>>(), stages.ratio[0].0[0])
        };
        let exact = |h: f64| integrate(1e-15, &start, &[h], &law).remove(0);
        let error = |h: f64| {
            let (got, _) = single(h);
            got.iter().zip(exact(h)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let slope = (error(0.8) / error(0.4)).log2();
        assert!((8.5..9.7).contains(&slope), "order of the local error {slope}");
        let estimate = (single(0.1).1 / single(0.05).1).log2();
        assert!((7.5..8.7).contains(&estimate), "order of the estimate {estimate}");
    }

    #[test]
    fn an_oscillator_keeps_its_energy() {
        let law = |y: &[f64], k: &mut [f64]| {
            k[0] = y[1];
            k[1] = -y[0];
        };
        let out = integrate(1e-12, &[1.0, 0.0], &[1.0, 1.0, 100.0], &law);
        assert!((out[0][0] - 1.0_f64.cos()).abs() < 1e-11);
        assert_eq!(out[0], out[1]);
        assert!((out[2][0] - 100.0_f64.cos()).abs() < 1e-9);
    }

    #[test]
    fn asking_for_more_instants_changes_no_bit() {
        let law = |y: &[f64], k: &mut [f64]| k[0] = -y[0] * y[0];
        let few = integrate(1e-12, &[2.0], &[7.0], &law);
        let times: Vec<f64> = (1..=700).map(|i| f64::from(i) * 0.01).collect();
        let many = integrate(1e-12, &[2.0], &times, &law);
        assert_eq!(few[0], many[699]);
        assert!((few[0][0] - 2.0 / 15.0).abs() < 1e-12);
    }

    #[test]
    fn a_blow_up_becomes_nan() {
        let law = |y: &[f64], k: &mut [f64]| k[0] = y[0] * y[0];
        let out = integrate(1e-12, &[1.0], &[0.5, 2.0, 3.0], &law);
        assert!((out[0][0] - 2.0).abs() < 1e-10);
        assert!(out[1][0].is_nan() && out[2][0].is_nan());
    }

    #[test]
    fn what_is_stiff_is_given_up_with_a_reason() {
        let slope = |rates: [f64; 2]| {
            move |y: &[Lane], k: &mut [Lane]| {
                for (e, (k, y)) in k.iter_mut().zip(y).enumerate() {
                    *k = Lane(y.0.map(|y| -rates[e] * y));
                }
            }
        };
        let run = |rates: [f64; 2], end: f64| {
            let mut adaptive = Adaptive::new(2, 1, 1e-12).within(Limits { start: 0.0, end });
            let mut out = vec![Lane::splat(1.0); 2];
            adaptive.start(&out.clone(), 0.0, &mut slope(rates));
            assert!(adaptive.advance(end, &mut out, &mut slope(rates), &mut || true));
            (out[1].0[0], adaptive.failures().to_vec())
        };
        let (value, failures) = run([1e8, 1.0], 10.0);
        assert!(value.is_nan() && failures.len() == LANES, "{failures:?}");
        assert!(failures[3].lane == 3 && failures[3].reason.contains("stiff"), "{failures:?}");
        // The same to where there are few enough steps; and a fast way that is not stiff.
        let (value, failures) = run([1e8, 1.0], 1e-5);
        assert!((value - (-1e-5_f64).exp()).abs() < 1e-12 && failures.is_empty(), "{value} {failures:?}");
        let (value, failures) = run([1.0, 1.0], 10.0);
        assert!((value - (-10.0_f64).exp()).abs() < 1e-12 && failures.is_empty(), "{value} {failures:?}");
    }

    #[test]
    fn rest_stays_rest() {
        let law = |_: &[f64], k: &mut [f64]| k[0] = 0.0;
        assert_eq!(integrate(1e-12, &[3.0], &[1.0, 1e6], &law), [[3.0], [3.0]]);
    }
}

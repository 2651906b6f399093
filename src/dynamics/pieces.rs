//! Gradient flow of a loss with kinks: smooth pieces, changed at located crossings, and sliding along a kink that both sides push to.
//!
//! On a piece the branches of all kinked operations are fixed ([`Switches`]), and the loss goes on smoothly beyond the kink: so a step of the integrator
//! never meets one. After a step the arguments g of the kinks are looked at; where one has changed its sign, the step is cut to where that
//! happens (a secant on g(h), which is as smooth as the piece), and the branch is changed there. If the new branch drives back,
//! the path stays on g = 0 with the share α of the two branches for which ġ = 0 (Filippov 1988, §4), until α leaves [0, 1]. Symmetries of the
//! loss are symmetries of each piece, with any α: what they keep is kept.

use std::sync::Arc;

use crate::dynamics::kernels::downhill;
use crate::lanes::{LANES, Lane};
use crate::model::formula::{Memory, Switches};
use crate::scheme::runge_kutta::{
    Failure, LARGEST_STEP, Limits, Stages, factor, first_step, largest, no_step,
};

/// Most kinks that a path can lie on at once.
const MOST_SLIDING: usize = 12;
/// A crossing is located to this part of the step that was tried.
const LOCATED: f64 = 1e-12;
/// A state this much smaller than it once was is judged as if it were not.
const FLOOR: f64 = 1e-3;
/// Trials of a secant before intervals are halved.
const SECANTS: u32 = 12;
/// Steps of Newton's method for the shares of several kinks.
const NEWTON: usize = 8;
/// A rate this much smaller than what a branch makes of it is none.
const SOLVED: f64 = 1e-14;
/// Rounds of a decision which kinks a path stays on.
const ROUNDS: usize = 8;

/// What it is that moves.
struct Field {
    switches: Arc<Switches>,
    memory: Memory,
    decay: f64,
    tiles: usize,
    /// To work in: switches with others in place of those that are being solved for, a velocity, arguments and their rates.
    trial: Vec<Lane>,
    velocity: Vec<Lane>,
    values: Vec<Lane>,
    base: Vec<Lane>,
    rates: Vec<Lane>,
    /// ġ of the kinks a lane slides on, for each of them switched on: `[lane][column][row]`.
    columns: Vec<[[f64; MOST_SLIDING]; MOST_SLIDING]>,
}

/// Where each lane is.
#[derive(Clone)]
struct Path {
    state: Vec<Lane>,
    time: Vec<Lane>,
    lost: Vec<Lane>,
    step: Vec<Lane>,
    /// The step to go on with after a crossing.
    wish: Vec<Lane>,
    /// The size below which a state is taken for that large where errors are judged: on a kink at the origin only rounding is left of it.
    floor: Vec<Lane>,
    /// s of every switch.
    switches: Vec<Lane>,
    /// Lanes that slide on it, of every switch and tile.
    sliding: Vec<u8>,
    /// How far every switch is from where its branch ends, at the state.
    margin: Vec<Lane>,
    /// Trials since the last step that was taken, and all of them.
    cuts: Vec<[u32; LANES]>,
    tries: Vec<[u64; LANES]>,
}

/// The integrator of a block.
pub struct Pieces {
    field: Field,
    front: Path,
    side: Path,
    stages: Stages,
    applied: Vec<Lane>,
    /// Switches at the end of a step that is tried, and their margins.
    held: Vec<Lane>,
    margin: Vec<Lane>,
    /// Lanes whose branch ended, of every switch and tile, and of every tile.
    crossed: Vec<u8>,
    touched: Vec<u8>,
    limits: Limits,
    failures: Vec<Failure>,
}

impl Field {
    /// θ̇ at θ; switches of the kinks that a lane slides on are set so that ġ = 0.
    fn slope(&mut self, theta: &[Lane], switches: &mut [Lane], sliding: &[u8], out: &mut [Lane]) {
        if sliding.iter().any(|&lanes| lanes != 0) {
            self.solve(theta, switches, sliding, out);
        }
        self.switches.gradient(theta, switches, out, &mut self.memory);
        downhill(out, theta, self.decay);
    }

    /// g and ġ at θ.
    fn look(&mut self, theta: &[Lane], velocity: &[Lane], switches: &[Lane]) {
        self.switches.arguments(
            theta,
            velocity,
            switches,
            &mut self.values,
            &mut self.rates,
            &mut self.memory,
        );
    }

    /// α of every lane's sliding switches, so that ġ = 0: linear in one of them, and solved by steps of Newton's method where there are more, as those
    /// of kinks within kinks multiply.
    fn solve(&mut self, theta: &[Lane], switches: &mut [Lane], sliding: &[u8], out: &mut [Lane]) {
        let tiles = self.tiles;
        let mut trial = std::mem::take(&mut self.trial);
        for round in 0..NEWTON {
            trial.copy_from_slice(switches);
            self.rates_of(theta, &trial, out);
            self.base.copy_from_slice(&self.rates);
            let most = (0..tiles * LANES).map(|lane| count(sliding, lane, tiles)).max().unwrap_or(0);
            for column in 0..most.min(MOST_SLIDING) {
                // One switch of every lane at its other end.
                trial.copy_from_slice(switches);
                for lane in 0..tiles * LANES {
                    if let Some(at) = of_lane(sliding, lane, tiles).nth(column) {
                        let s = &mut trial[at].0[lane % LANES];
                        *s = 1.0 - nearer(*s);
                    }
                }
                self.rates_of(theta, &trial, out);
                for lane in 0..tiles * LANES {
                    let l = lane % LANES;
                    let Some(moved) = of_lane(sliding, lane, tiles).nth(column) else { continue };
                    let by = trial[moved].0[l] - switches[moved].0[l];
                    for (row, at) in of_lane(sliding, lane, tiles).enumerate() {
                        self.columns[lane][column][row] = (self.rates[at].0[l] - self.base[at].0[l]) / by;
                    }
                }
            }
            let mut again = false;
            for lane in 0..tiles * LANES {
                let size = count(sliding, lane, tiles).min(MOST_SLIDING);
                if size == 0 || (round > 0 && size == 1) {
                    continue;
                }
                let (l, columns) = (lane % LANES, &mut self.columns[lane]);
                let (mut right, mut change) = ([0.0; MOST_SLIDING], [0.0; MOST_SLIDING]);
                for (row, at) in of_lane(sliding, lane, tiles).enumerate() {
                    right[row] = -self.base[at].0[l];
                }
                let rates = columns[..size].iter().flat_map(|column| &column[..size]);
                let scale = rates.fold(0.0_f64, |a, x| a.max(x.abs()));
                if round > 0 && right.iter().all(|x| x.abs() <= SOLVED * scale) {
                    continue;
                }
                again |= size > 1;
                eliminate(columns, &mut right, &mut change[..size]);
                for (change, at) in change.iter().zip(of_lane(sliding, lane, tiles)) {
                    switches[at].0[l] += change;
                }
            }
            if !again {
                break;
            }
        }
        self.trial = trial;
    }

    /// ġ of all kinks with the given switches.
    fn rates_of(&mut self, theta: &[Lane], switches: &[Lane], velocity: &mut [Lane]) {
        self.switches.gradient(theta, switches, velocity, &mut self.memory);
        downhill(velocity, theta, self.decay);
        self.look(theta, velocity, switches);
    }
}

/// The first switches that a lane slides on.
fn of_lane(sliding: &[u8], lane: usize, tiles: usize) -> impl Iterator<Item = usize> {
    let (t, l) = (lane / LANES, lane % LANES);
    (t..sliding.len()).step_by(tiles).filter(move |&at| sliding[at] >> l & 1 == 1).take(MOST_SLIDING)
}

/// How many switches a lane slides on.
fn count(sliding: &[u8], lane: usize, tiles: usize) -> usize {
    let (t, l) = (lane / LANES, lane % LANES);
    sliding.iter().skip(t).step_by(tiles).filter(|mask| **mask >> l & 1 == 1).count()
}

/// A pivot this much smaller than the largest number is rounding.
const ROUNDING: f64 = 1e-10;

/// Solves Σ_c a_c x_c = b by elimination with pivots; an unknown that the others leave without an equation stays as it is.
fn eliminate(
    columns: &mut [[f64; MOST_SLIDING]; MOST_SLIDING],
    right: &mut [f64; MOST_SLIDING],
    unknowns: &mut [f64],
) {
    let n = unknowns.len();
    let size = columns[..n].iter().flat_map(|column| &column[..n]).fold(0.0_f64, |a, x| a.max(x.abs()));
    let (mut row, mut row_of) = (0, [None; MOST_SLIDING]);
    for k in 0..n {
        let pivot =
            (row..n).max_by(|&i, &j| columns[k][i].abs().total_cmp(&columns[k][j].abs())).unwrap_or(n - 1);
        let found = row < n && columns[k][pivot].abs() > ROUNDING * size;
        if !found {
            for (right, a) in right.iter_mut().zip(&columns[k]) {
                *right -= a * unknowns[k];
            }
            continue;
        }
        columns[..n].iter_mut().for_each(|column| column.swap(row, pivot));
        right.swap(row, pivot);
        for below in row + 1..n {
            let factor = columns[k][below] / columns[k][row];
            for column in &mut columns[k..n] {
                column[below] -= factor * column[row];
            }
            right[below] -= factor * right[row];
        }
        row_of[k] = Some(row);
        row += 1;
    }
    for k in (0..n).rev() {
        let Some(row) = row_of[k] else { continue };
        let known: f64 =
            (k + 1..n).filter(|&c| row_of[c].is_some()).map(|c| columns[c][row] * unknowns[c]).sum();
        unknowns[k] = (right[row] - known) / columns[k][row];
    }
}

impl Path {
    fn new(parameters: usize, switches: usize, tiles: usize) -> Self {
        let lanes = |n: usize| vec![Lane::default(); n * tiles];
        Self {
            state: lanes(parameters),
            time: lanes(1),
            lost: lanes(1),
            step: lanes(1),
            wish: lanes(1),
            floor: lanes(1),
            switches: lanes(switches),
            sliding: vec![0; switches * tiles],
            margin: lanes(switches),
            cuts: vec![[0; LANES]; tiles],
            tries: vec![[0; LANES]; tiles],
        }
    }

    fn copy_from(&mut self, other: &Self) {
        self.state.copy_from_slice(&other.state);
        self.time.copy_from_slice(&other.time);
        self.lost.copy_from_slice(&other.lost);
        self.step.copy_from_slice(&other.step);
        self.wish.copy_from_slice(&other.wish);
        self.floor.copy_from_slice(&other.floor);
        self.switches.copy_from_slice(&other.switches);
        self.sliding.copy_from_slice(&other.sliding);
        self.margin.copy_from_slice(&other.margin);
        self.cuts.copy_from_slice(&other.cuts);
        self.tries.copy_from_slice(&other.tries);
    }
}

impl Pieces {
    /// For `parameters` elements and `tiles` vectors.
    pub fn new(
        switches: Arc<Switches>,
        decay: f64,
        tolerance: f64,
        limits: Limits,
        parameters: usize,
        tiles: usize,
    ) -> Self {
        let count = switches.len();
        let lanes = |n: usize| vec![Lane::default(); n * tiles];
        let memory = switches.memory(tiles);
        Self {
            field: Field {
                memory,
                decay,
                tiles,
                trial: lanes(count),
                velocity: lanes(parameters),
                values: lanes(count),
                base: lanes(count),
                rates: lanes(count),
                columns: vec![[[0.0; MOST_SLIDING]; MOST_SLIDING]; tiles * LANES],
                switches,
            },
            front: Path::new(parameters, count, tiles),
            side: Path::new(parameters, count, tiles),
            stages: Stages::new(parameters, tiles, tolerance),
            applied: lanes(1),
            held: lanes(count),
            margin: lanes(count),
            crossed: vec![0; count * tiles],
            touched: vec![0; tiles],
            limits,
            failures: Vec::new(),
        }
    }

    /// Vectors a tile that it keeps, for so many parameters and switches.
    pub fn footprint(parameters: usize, switches: &Switches) -> usize {
        parameters * 20 + 9 * switches.len() + switches.footprint()
    }

    /// Lanes that could not be integrated, and why.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Begins at `state` and `time`.
    pub fn start(&mut self, state: &[Lane], time: f64) {
        let Self { field, front, held, margin, crossed, touched, failures, .. } = self;
        let tiles = field.tiles;
        front.state.copy_from_slice(state);
        front.time.fill(Lane::splat(time));
        for (t, floor) in front.floor.iter_mut().enumerate() {
            *floor = Lane(std::array::from_fn(|l| FLOOR * largest(state, tiles, t, l)));
        }
        // Every switch as the sign of its argument has it; first in the loss's own order, as kinks within kinks need it.
        for _ in 0..=field.switches.kinks() {
            field.velocity.fill(Lane::default());
            let velocity = std::mem::take(&mut field.velocity);
            field.look(state, &velocity, &front.switches);
            field.velocity = velocity;
            let mut changed = false;
            for (s, g) in front.switches.iter_mut().zip(&field.values) {
                for l in 0..LANES {
                    let side = f64::from(u8::from(g.0[l] > 0.0));
                    changed |= s.0[l] != side;
                    s.0[l] = side;
                }
            }
            if !changed {
                break;
            }
        }
        // Those at 0 go to the side they are driven to, stay where both drive back, and rest where nothing moves them.
        for (mask, g) in crossed.iter_mut().zip(&field.values) {
            *mask = (0..LANES).fold(0, |mask, l| mask | u8::from(g.0[l] == 0.0) << l);
        }
        if crossed.iter().any(|&lanes| lanes != 0) {
            let mut velocity = std::mem::take(&mut field.velocity);
            for branch in [0.0, 1.0] {
                for (s, &mask) in front.switches.iter_mut().zip(crossed.iter()) {
                    lanes_of(mask).for_each(|l| s.0[l] = branch);
                }
                field.slope(state, &mut front.switches, &front.sliding, &mut velocity);
                field.look(state, &velocity, &front.switches);
                if branch == 0.0 {
                    margin.copy_from_slice(&field.rates);
                }
            }
            field.velocity = velocity;
            for at in 0..crossed.len() {
                for l in lanes_of(crossed[at]) {
                    let (below, above) = (margin[at].0[l], field.rates[at].0[l]);
                    if below > 0.0 {
                        continue;
                    }
                    // A kink that drives away to both sides, or none, has the slope that the formula's derivative has.
                    let driven = below < 0.0 && above <= 0.0;
                    front.switches[at].0[l] = if driven { 0.0 } else { field.switches.resting(at / tiles) };
                    crossed[at] &= !(1 << l);
                }
            }
            touched.fill(u8::MAX);
            decide(field, front, crossed, touched, failures);
        }
        held.copy_from_slice(&front.switches);
        measure(field, &front.state, held, &front.sliding, margin);
        front.margin.copy_from_slice(margin);
        let mut velocity = std::mem::take(&mut field.velocity);
        field.slope(state, &mut front.switches, &front.sliding, &mut velocity);
        first_step(state, &velocity, tiles, &mut front.step);
        field.velocity = velocity;
    }

    /// Writes the state at `target` to `out`; false if `go_on` said so before that.
    pub fn advance(&mut self, target: f64, out: &mut [Lane], go_on: &mut dyn FnMut() -> bool) -> bool {
        loop {
            let mut busy = false;
            for ((applied, time), step) in self.applied.iter_mut().zip(&self.front.time).zip(&self.front.step)
            {
                for l in 0..LANES {
                    let whole = time.0[l] + step.0[l] <= target;
                    applied.0[l] = if whole { step.0[l] } else { 0.0 };
                    busy |= whole;
                }
            }
            if !busy {
                break;
            }
            if !go_on() {
                return false;
            }
            self.attempt(false);
        }
        self.side.copy_from(&self.front);
        loop {
            let mut busy = false;
            for (t, applied) in self.applied.iter_mut().enumerate() {
                for l in 0..LANES {
                    let left = (target - self.side.time[t].0[l]) + self.side.lost[t].0[l];
                    let step = self.side.step[t].0[l].min(left);
                    let moves = step > 0.0 && self.side.time[t].0[l] + step > self.side.time[t].0[l];
                    applied.0[l] = if moves { step } else { 0.0 };
                    busy |= moves;
                }
            }
            if !busy {
                break;
            }
            if !go_on() {
                return false;
            }
            self.attempt(true);
        }
        out.copy_from_slice(&self.side.state);
        true
    }

    /// A step of size `applied` (0: none) in every lane, taken where its error is small and no branch ends within it, or ends at its end.
    fn attempt(&mut self, on_the_side: bool) {
        let Self { field, front, side, stages, applied, held, margin, crossed, touched, limits, failures } =
            self;
        let path = if on_the_side { side } else { front };
        let tiles = field.tiles;
        // Stages solve for α in a copy: a lane has what it had until it takes the step.
        held.copy_from_slice(&path.switches);
        stages.attempt(&path.state, applied, &path.floor, &mut |theta, out| {
            field.slope(theta, held, &path.sliding, out);
        });
        let (new, ratio) = stages.trial();
        measure(field, new, held, &path.sliding, margin);
        crossed.fill(0);
        touched.fill(0);
        for t in 0..tiles {
            for l in 0..LANES {
                let h = applied[t].0[l];
                if h == 0.0 {
                    continue;
                }
                path.tries[t][l] += 1;
                let (time, lane) = (path.time[t].0[l], t * LANES + l);
                if let Some(projected) = limits.hopeless(path.tries[t][l], time) {
                    let moved = stages.moved(&path.state, lane, h);
                    fail(path, failures, lane, limits.why(projected, time, h, moved));
                    continue;
                }
                let scale = factor(ratio[t].0[l]);
                let good = ratio[t].0[l] <= 1.0;
                if !good {
                    let next = h * scale.min(0.9);
                    path.step[t].0[l] = next;
                    path.wish[t].0[l] = 0.0;
                    if time + next <= time || next.is_nan() {
                        let reason = no_step(time, ratio[t].0[l]);
                        fail(path, failures, lane, reason);
                    }
                    continue;
                }
                // The branch that ends first, where a secant sees its end.
                let (mut end, mut ends) = (f64::INFINITY, None);
                for at in (t..margin.len()).step_by(tiles) {
                    let (before, after) = (path.margin[at].0[l], margin[at].0[l]);
                    if after < before.min(0.0) {
                        let root = if before > 0.0 { h * (before / (before - after)) } else { 0.0 };
                        if root < end {
                            (end, ends) = (root, Some(at));
                        }
                    }
                }
                let wish = path.wish[t].0[l].max(h);
                let fine = (LOCATED * wish).max(4.0 * f64::EPSILON * time.abs());
                if let Some(at) = ends
                    && h - end > fine
                    && h > fine
                {
                    path.cuts[t][l] += 1;
                    let next = if path.cuts[t][l] > SECANTS { 0.5 * h } else { end + 0.5 * fine };
                    path.wish[t].0[l] = wish;
                    path.step[t].0[l] = next.min(0.999 * h);
                    if time + path.step[t].0[l] <= time {
                        let name = field.switches.name(at / tiles);
                        fail(
                            path,
                            failures,
                            lane,
                            format!("gradient flow has no step at t = {time:.6e}, at the kink of {name}"),
                        );
                    }
                    continue;
                }
                // Taken.
                path.cuts[t][l] = 0;
                path.floor[t].0[l] = path.floor[t].0[l].max(FLOOR * largest(new, tiles, t, l));
                for e in (t..path.state.len()).step_by(tiles) {
                    path.state[e].0[l] = new[e].0[l];
                }
                let small = h - path.lost[t].0[l];
                let sum = time + small;
                path.lost[t].0[l] = (sum - time) - small;
                path.time[t].0[l] = sum;
                let grown = h * scale;
                path.step[t].0[l] =
                    if path.wish[t].0[l] > h { path.wish[t].0[l] } else { grown.min(LARGEST_STEP) };
                path.wish[t].0[l] = 0.0;
                for at in (t..margin.len()).step_by(tiles) {
                    path.switches[at].0[l] = held[at].0[l];
                    if margin[at].0[l] < path.margin[at].0[l].min(0.0) {
                        crossed[at] |= 1 << l;
                        touched[t] |= 1 << l;
                    }
                    path.margin[at].0[l] = margin[at].0[l];
                }
            }
        }
        if touched.iter().all(|&lanes| lanes == 0) {
            return;
        }
        // Beyond a kink the other branch; at an end of sliding the one that is left.
        for at in 0..crossed.len() {
            for l in lanes_of(crossed[at]) {
                let s = &mut path.switches[at].0[l];
                if path.sliding[at] >> l & 1 == 1 {
                    path.sliding[at] &= !(1 << l);
                    crossed[at] &= !(1 << l);
                    *s = nearer(*s);
                } else {
                    *s = if *s == 0.5 { f64::from(u8::from(field.values[at].0[l] > 0.0)) } else { 1.0 - *s };
                }
            }
        }
        decide(field, path, crossed, touched, failures);
        held.copy_from_slice(&path.switches);
        measure(field, &path.state, held, &path.sliding, margin);
        for (at, margin) in margin.iter().enumerate() {
            for l in lanes_of(touched[at % tiles]) {
                path.margin[at].0[l] = margin.0[l];
            }
        }
    }
}

/// The lanes of a mask.
fn lanes_of(mask: u8) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |l| mask >> l & 1 == 1)
}

/// The end of [0, 1] that is nearer.
fn nearer(s: f64) -> f64 {
    f64::from(u8::from(s >= 0.5))
}

/// How far every switch is from where its branch ends: on a branch the distance |g| from the kink, negative beyond it; on a kink how far the share of
/// the branches is within [0, 1]; at rest on a kink any g is beyond it.
fn measure(field: &mut Field, theta: &[Lane], switches: &mut [Lane], sliding: &[u8], margin: &mut [Lane]) {
    let mut velocity = std::mem::take(&mut field.velocity);
    if sliding.iter().any(|&lanes| lanes != 0) {
        field.slope(theta, switches, sliding, &mut velocity);
    }
    field.look(theta, &velocity, switches);
    field.velocity = velocity;
    for (((margin, s), g), slides) in margin.iter_mut().zip(switches.iter()).zip(&field.values).zip(sliding) {
        for l in 0..LANES {
            let (s, g) = (s.0[l], g.0[l]);
            margin.0[l] = if slides >> l & 1 == 1 {
                s.min(1.0 - s)
            } else if s == 0.5 {
                -g.abs()
            } else if s > 0.5 {
                g
            } else {
                -g
            };
        }
    }
}

/// Which kinks the `touched` lanes stay on, of those whose branch has just been changed: where the new branch drives back.
fn decide(field: &mut Field, path: &mut Path, changed: &[u8], touched: &[u8], failures: &mut Vec<Failure>) {
    let tiles = field.tiles;
    let mut velocity = std::mem::take(&mut field.velocity);
    field.slope(&path.state, &mut path.switches, &path.sliding, &mut velocity);
    field.look(&path.state, &velocity, &path.switches);
    for (at, &mask) in changed.iter().enumerate() {
        for l in lanes_of(mask) {
            let (s, rate) = (path.switches[at].0[l], field.rates[at].0[l]);
            if (s > 0.5 && rate < 0.0) || (s < 0.5 && rate > 0.0) {
                path.sliding[at] |= 1 << l;
            }
        }
    }
    for t in 0..tiles {
        for l in lanes_of(touched[t]) {
            let count = count(&path.sliding, t * LANES + l, tiles);
            if count > MOST_SLIDING {
                let time = path.time[t].0[l];
                let reason = format!(
                    "gradient flow is caught on {count} kinks at once at t = {time:.6e}, more than {MOST_SLIDING}"
                );
                fail(path, failures, t * LANES + l, reason);
            }
        }
    }
    // A share that is none leaves its kink to that side.
    for _ in 0..ROUNDS {
        field.slope(&path.state, &mut path.switches, &path.sliding, &mut velocity);
        let mut left = false;
        for at in 0..path.sliding.len() {
            for l in lanes_of(path.sliding[at] & touched[at % tiles]) {
                let s = path.switches[at].0[l];
                if !(0.0..=1.0).contains(&s) {
                    path.switches[at].0[l] = nearer(s);
                    path.sliding[at] &= !(1 << l);
                    left = true;
                }
            }
        }
        if !left {
            break;
        }
    }
    field.velocity = velocity;
}

/// Gives a lane up.
fn fail(path: &mut Path, failures: &mut Vec<Failure>, lane: usize, reason: String) {
    let (tiles, t, l) = (path.time.len(), lane / LANES, lane % LANES);
    for e in (t..path.state.len()).step_by(tiles) {
        path.state[e].0[l] = f64::NAN;
    }
    for at in (t..path.sliding.len()).step_by(tiles) {
        path.sliding[at] &= !(1 << l);
    }
    path.time[t].0[l] = f64::INFINITY;
    failures.push(Failure { lane, reason });
}

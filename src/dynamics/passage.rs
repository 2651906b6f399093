//! First passage of an observable f through a level a, T = inf{t: f ≥ a} (or ≤ a), seen along every step of a path.
//!
//! A step that ends beyond the level has passed it. Where f is a coordinate of an equation with constant noise, a path between the ends x and y of a step h,
//! both on the same side, is a Brownian bridge, which touches the level with probability exp(−2(a − x)(a − y)/(σ²h)) (Karatzas & Shreve 1991, §2.8;
//! Gobet 2000, Stoch. Process. Appl. 87, 167): a uniform number from a stream of its own decides, so that paths are the same whether or not anybody
//! looks. The time of the passage is put at |a − x|/(|a − x| + |a − y|) of the step.

use std::sync::Arc;

use crate::dynamics::draws::Block;
use crate::lanes::math::scalar::exp;
use crate::lanes::{Lane, Purpose, Streams, flat, flat_mut, vectorized};
use crate::model::Scratch;
use crate::model::formula::Function;

/// What is asked of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// min(T, t) at time t.
    Time,
    /// 1 if T ≤ t, else 0.
    Passed,
}

/// An observable and the levels at which it leaves.
#[derive(Clone)]
pub struct Passage {
    /// f, a number.
    pub function: Arc<Function>,
    /// It leaves at this level or above.
    pub above: Option<f64>,
    /// It leaves at this level or below.
    pub below: Option<f64>,
    /// What is asked.
    pub asked: Asked,
    /// σ², the variance of f's noise per unit time, where a path within a step is a Brownian bridge.
    pub spread: Option<f64>,
}

/// Time that is counted in steps, and added up only where their length changes.
#[derive(Clone, Copy, Debug, Default)]
struct StepClock {
    before: f64,
    steps: u64,
    length: f64,
}

impl StepClock {
    fn now(self) -> f64 {
        self.before + self.steps as f64 * self.length
    }
    fn step(&mut self, length: f64) {
        if length != self.length {
            *self = Self { before: self.now(), steps: 0, length };
        }
        self.steps += 1;
    }
}

/// The passages of one block.
pub struct PassageAccount {
    passage: Arc<Passage>,
    scratch: Scratch,
    /// f at the beginning of the step that is under way, and room for the next value.
    value: Vec<Lane>,
    next: Vec<Lane>,
    /// Uniform numbers of that step.
    uniform: Vec<Lane>,
    streams: Streams,
    /// T; infinite before.
    first: Vec<Lane>,
    clock: StepClock,
    begin: f64,
    begun: bool,
}

impl PassageAccount {
    /// Nothing has happened yet.
    pub fn new(passage: Arc<Passage>, block: Block) -> Self {
        let row = |x: f64| vec![Lane::splat(x); block.tiles];
        Self {
            scratch: passage.function.scratch(block.tiles),
            passage,
            value: row(0.0),
            next: row(0.0),
            uniform: row(0.0),
            streams: Streams::new(block.seed, Purpose::Bridge, block.first, block.tiles),
            first: row(f64::INFINITY),
            clock: StepClock::default(),
            begin: 0.0,
            begun: false,
        }
    }

    /// A step of length `time` from θ on, before it is done.
    pub fn step(&mut self, theta: &[Lane], time: f64) {
        self.passage.function.evaluate(theta, &mut self.next, &mut self.scratch);
        let mut first = std::mem::take(&mut self.first);
        self.look(&self.next, &mut first);
        self.first = first;
        std::mem::swap(&mut self.value, &mut self.next);
        self.begin = self.clock.now();
        self.clock.step(time);
        self.begun = true;
        if self.passage.spread.is_some() {
            self.streams.fill_uniform(&mut self.uniform);
        }
    }

    /// What the step under way, which ended with `after`, did; at the start, whether the path begins beyond the level.
    fn look(&self, after: &[Lane], first: &mut [Lane]) {
        let (begin, length) = (self.begin, self.clock.now() - self.begin);
        let rate = match self.passage.spread {
            Some(spread) if spread > 0.0 => 2.0 / (spread * length),
            _ => 0.0,
        };
        let ends = [&self.value[..], after];
        let Self { passage, uniform, .. } = self;
        // One number decides for both levels: no bridge touches both.
        for (level, side, flip) in [(passage.above, 1.0, false), (passage.below, -1.0, true)] {
            let Some(level) = level else { continue };
            if self.begun {
                cross(first, ends, uniform, [level, side, rate, begin, length], flip);
            } else {
                beyond(first, after, level, side);
            }
        }
    }

    /// Writes what is asked, at θ.
    pub fn write(&self, theta: &[Lane], out: &mut [Lane]) {
        let mut scratch = self.passage.function.scratch(self.first.len());
        let mut now = self.value.clone();
        self.passage.function.evaluate(theta, &mut now, &mut scratch);
        let mut first = self.first.clone();
        self.look(&now, &mut first);
        let time = self.clock.now();
        for (out, first) in flat_mut(out).iter_mut().zip(flat(&first)) {
            *out = match self.passage.asked {
                Asked::Time => first.min(time),
                Asked::Passed => f64::from(u8::from(*first <= time)),
            };
        }
    }
}

vectorized! {
    /// T ← min(T, time within the step) where the step from x to y touches the level; `rate` is 2/(σ²h), 0 where nothing is known between the ends.
    fn cross(first: &mut [Lane], ends: [&[Lane]; 2], uniform: &[Lane], step: [f64; 5], flip: bool) {
        let [level, side, rate, begin, length] = step;
        let ends = flat(ends[0]).iter().zip(flat(ends[1])).zip(flat(uniform));
        for (t, ((x, y), u)) in flat_mut(first).iter_mut().zip(ends) {
            let (near, far) = (side * (level - *x), side * (level - *y));
            let u = if flip { 1.0 - *u } else { *u };
            let touched = rate > 0.0 && u < exp(-rate * (near * far));
            let when = begin + length * (near / (near + far.abs()));
            let crossed = near > 0.0 && (far <= 0.0 || (far > 0.0 && touched));
            if crossed && when < *t {
                *t = when;
            }
        }
    }

    /// T ← 0 where the path begins beyond the level.
    fn beyond(first: &mut [Lane], start: &[Lane], level: f64, side: f64) {
        for (t, x) in flat_mut(first).iter_mut().zip(flat(start)) {
            if side * (level - *x) <= 0.0 {
                *t = 0.0;
            }
        }
    }
}

//! Random states and samples at which a loss is asked for its value and its gradient, eight at a time.

use crate::lanes::math::scalar::{cos, ln};
use crate::lanes::{LANES, Lane, Purpose, Stream};
use crate::model::{Batch, Model, Scratch, StandardLaw};

/// Scales of θ in the eight lanes: no scale of a loss should be missed.
const SCALES: [f64; LANES] = [1.0, 0.7, 1.4, 0.5, 2.0, 1.0, 1.0, 3.0];
/// From this lane to the next but one all parameters are positive, for losses that are undefined elsewhere.
const POSITIVE: std::ops::Range<usize> = 5..7;

/// The lane whose normal draws are three times as large, and whose uniform ones crowd at the ends.
const FAR: usize = 2;
/// How much larger.
const FAR_NORMAL: f64 = 3.0;
/// Half of the uniform draws there are nearer to an end than ½ · 2⁻¹².
const FAR_UNIFORM: u32 = 12;
/// Work that going over the rows of a table may take, in multiplications, about.
const WORK: usize = 1 << 31;

/// A model with a source of states and samples.
///
/// A symmetry holds for every sample that can occur, so rare ones must occur here: where a law has cells of constant value (`bernoulli(0.001)`), each
/// cell is as likely as any other; normal and uniform draws go far out in one lane; and a table is gone over row by row ([`Probe::draw_rows`]).
pub struct Probe<'a> {
    model: &'a dyn Model,
    scratch: Scratch,
    stream: Stream,
    /// Samples that half of the lanes have, in turn, where there are any.
    telling: &'a [Vec<f64>],
    /// How many of those were had.
    told: usize,
    /// One state a lane, `[P]`.
    pub theta: Vec<Lane>,
    /// One sample a lane, `[width]`.
    pub sample: Vec<Lane>,
}

impl<'a> Probe<'a> {
    /// Probes of one seed; `which` keeps those of different purposes apart.
    pub fn new(model: &'a dyn Model, seed: u64, which: u64) -> Self {
        Self {
            model,
            scratch: model.scratch(1),
            stream: Stream::new(seed, Purpose::Search, which),
            telling: &[],
            told: 0,
            theta: vec![Lane::default(); model.layout().len()],
            sample: vec![Lane::default(); model.population().width],
        }
    }

    /// The same, with these samples in half of the lanes.
    #[must_use]
    pub fn telling(mut self, samples: &'a [Vec<f64>]) -> Self {
        self.telling = samples;
        self
    }

    /// True if a lane's sample is one of the telling ones.
    pub fn tells(&self, lane: usize) -> bool {
        lane % 2 == 1 && !self.telling.is_empty()
    }

    /// Random numbers of the same source.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// New states, a matrix's elements as large as keeps a product of order `scale`, and a fresh sample for each.
    pub fn draw(&mut self, scale: f64) {
        self.draw_states(scale);
        for l in 0..LANES {
            if self.tells(l) {
                self.told += 1;
                let sample = &self.telling[self.told % self.telling.len()];
                self.sample.iter_mut().zip(sample).for_each(|(to, x)| to.0[l] = *x);
            } else {
                self.draw_sample(l, None);
            }
        }
    }

    /// New states, and for each a row of the table in the order of `rows`, in the first lanes; with fresh draws where they stand beside rows.
    pub fn draw_rows(&mut self, scale: f64, rows: &[usize]) {
        self.draw_states(scale);
        for (l, &row) in rows.iter().enumerate().take(LANES) {
            self.draw_sample(l, Some(row));
        }
    }

    fn draw_states(&mut self, scale: f64) {
        for parameter in self.model.layout().parameters() {
            let fan = (parameter.shape.cols as f64).sqrt();
            for e in parameter.offset..parameter.offset + parameter.shape.len() {
                for l in 0..LANES {
                    let x = scale * SCALES[l] / fan * self.stream.normal();
                    self.theta[e].0[l] = if POSITIVE.contains(&l) { x.abs() } else { x };
                }
            }
        }
    }

    /// A member of the population for one lane: a row of the table, this one or any, and a fresh draw of every standard law.
    fn draw_sample(&mut self, lane: usize, row: Option<usize>) {
        let population = self.model.population();
        let Some(variates) = &population.fresh else {
            let nodes = &population.nodes;
            let row = row.unwrap_or_else(|| self.stream.below(nodes.len().max(1) as u64) as usize);
            for (to, &x) in self.sample.iter_mut().zip(&nodes.values[row * nodes.width..]) {
                to.0[lane] = x;
            }
            return;
        };
        let held = match (row, &population.rows) {
            (Some(row), Some(rows)) => &rows.values[row * rows.width..(row + 1) * rows.width],
            _ => population.row(&mut self.stream),
        };
        for (to, &x) in self.sample.iter_mut().zip(held) {
            to.0[lane] = x;
        }
        for variate in variates {
            let cells = population.cells.iter().find(|(offset, _)| *offset == variate.offset);
            for e in variate.offset..variate.offset + variate.len {
                self.sample[e].0[lane] = match variate.law {
                    StandardLaw::Normal if lane == FAR => FAR_NORMAL * self.stream.normal(),
                    StandardLaw::Normal => self.stream.normal(),
                    StandardLaw::Uniform => match (self.stream.uniform(), cells) {
                        (u, Some((_, breaks))) => in_any_cell(u, breaks),
                        (u, None) if lane == FAR => at_the_ends(u),
                        (u, None) => u,
                    },
                    StandardLaw::Rademacher => self.stream.sign(),
                    law @ (StandardLaw::Exponential
                    | StandardLaw::Laplace
                    | StandardLaw::Cauchy
                    | StandardLaw::Gamma(_)
                    | StandardLaw::Beta(..)
                    | StandardLaw::Poisson(_)) => law.draw(&mut || self.stream.uniform()),
                    StandardLaw::Student(freedom) => {
                        // Bailey (1994), Math. Comp. 62, 779.
                        let (u, v) = (1.0 - self.stream.uniform(), self.stream.uniform());
                        let radius = crate::lanes::math::scalar::expm1(-2.0 / freedom * ln(u));
                        (freedom * radius).sqrt() * cos(std::f64::consts::TAU * v)
                    }
                };
            }
        }
    }

    /// ℓ of each lane's sample at other states than the probe's own.
    pub fn losses_at(&mut self, theta: &[Lane]) -> [f64; LANES] {
        let mut loss = [Lane::default()];
        let mut batch = OneEach { sample: &self.sample };
        self.model.weighted_loss(theta, &mut batch, &mut loss, &mut self.scratch);
        loss[0].0
    }

    /// ℓ of each lane.
    pub fn losses(&mut self) -> [f64; LANES] {
        let theta = std::mem::take(&mut self.theta);
        let losses = self.losses_at(&theta);
        self.theta = theta;
        losses
    }

    /// ∇ℓ of each lane, `[P]`, at other states than the probe's own.
    pub fn gradients_at(&mut self, theta: &[Lane], gradient: &mut [Lane]) {
        let mut batch = OneEach { sample: &self.sample };
        self.model.weighted_gradient(theta, &mut batch, gradient, &mut self.scratch);
    }

    /// ∇ℓ of each lane, `[P]`.
    pub fn gradients(&mut self, gradient: &mut [Lane]) {
        let theta = std::mem::take(&mut self.theta);
        self.gradients_at(&theta, gradient);
        self.theta = theta;
    }
}

/// A number of [0, 1) in one of the cells between `breaks`, each of which is as likely as any other.
fn in_any_cell(u: f64, breaks: &[f64]) -> f64 {
    let edge = |at: usize| if at == 0 { 0.0 } else { breaks.get(at - 1).copied().unwrap_or(1.0) };
    let cells = (0..=breaks.len()).filter(|&c| edge(c + 1) > edge(c));
    let scaled = u * cells.clone().count() as f64;
    match cells.clone().nth(scaled as usize) {
        Some(cell) => edge(cell) + (edge(cell + 1) - edge(cell)) * (scaled - scaled.floor()),
        None => u,
    }
}

/// A number of [0, 1) that is near one of its ends.
fn at_the_ends(u: f64) -> f64 {
    let near = |x: f64| 0.5 * (0..FAR_UNIFORM).fold(1.0, |power, _| power * x);
    if u < 0.5 { near(2.0 * u) } else { (1.0 - near(2.0 * (1.0 - u))).min(1.0 - f64::EPSILON) }
}

/// How many samples a search may look at, at so many multiplications a sample.
pub fn affordable(work: usize) -> usize {
    (WORK / work.max(1)).max(1)
}

/// Rows of a table that a search goes over, at so many multiplications a row: all of them, else as many as are affordable, evenly spread. Their number
/// of all; `None` without a table.
pub fn rows_of(model: &dyn Model, work: usize) -> Option<(Vec<usize>, usize)> {
    let all = model.population().size()?;
    let affordable = affordable(work).min(all);
    let rows = (0..affordable).map(|k| (k as u128 * all as u128 / affordable as u128) as usize).collect();
    Some((rows, all))
}

/// One sample, another one in each lane.
struct OneEach<'a> {
    sample: &'a [Lane],
}

impl Batch for OneEach<'_> {
    fn len(&self) -> usize {
        1
    }
    fn uniform_weight(&self) -> Option<f64> {
        Some(1.0)
    }
    fn fill(&mut self, _first: usize, _count: usize, samples: &mut [Lane], _weights: &mut [Lane]) {
        samples[..self.sample.len()].copy_from_slice(self.sample);
    }
}

/// Lane `l` of a block of one vector a number.
pub fn lane(values: &[Lane], l: usize) -> Vec<f64> {
    values.iter().map(|x| x.0[l]).collect()
}

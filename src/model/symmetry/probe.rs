//! Random states and samples at which a loss is asked for its value and its gradient, eight at a time.

use crate::lanes::math::scalar::{cos, ln};
use crate::lanes::{LANES, Lane, Purpose, Stream};
use crate::model::{Batch, Model, Scratch, StandardLaw};

/// Scales of θ in the eight lanes: no scale of a loss should be missed.
const SCALES: [f64; LANES] = [1.0, 0.7, 1.4, 0.5, 2.0, 1.0, 1.0, 3.0];
/// From this lane to the next but one all parameters are positive, for losses that are undefined elsewhere.
const POSITIVE: std::ops::Range<usize> = 5..7;

/// A model with a source of states and samples.
pub struct Probe<'a> {
    model: &'a dyn Model,
    scratch: Scratch,
    stream: Stream,
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
            theta: vec![Lane::default(); model.layout().len()],
            sample: vec![Lane::default(); model.population().width],
        }
    }

    /// Random numbers of the same source.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// New states, a matrix's elements as large as keeps a product of order `scale`, and a fresh sample for each.
    pub fn draw(&mut self, scale: f64) {
        for parameter in self.model.layout().parameters() {
            let fan = (parameter.shape.cols as f64).sqrt();
            for e in parameter.offset..parameter.offset + parameter.shape.len() {
                for l in 0..LANES {
                    let x = scale * SCALES[l] / fan * self.stream.normal();
                    self.theta[e].0[l] = if POSITIVE.contains(&l) { x.abs() } else { x };
                }
            }
        }
        for l in 0..LANES {
            self.draw_sample(l);
        }
    }

    /// A member of the population for one lane: a row of the table, or a fresh draw of every standard law.
    fn draw_sample(&mut self, lane: usize) {
        let population = self.model.population();
        let Some(variates) = &population.fresh else {
            let nodes = &population.nodes;
            let row = self.stream.below(nodes.len().max(1) as u64) as usize;
            for (to, &x) in self.sample.iter_mut().zip(&nodes.values[row * nodes.width..]) {
                to.0[lane] = x;
            }
            return;
        };
        for (to, &x) in self.sample.iter_mut().zip(population.row(&mut self.stream)) {
            to.0[lane] = x;
        }
        for variate in variates {
            for e in variate.offset..variate.offset + variate.len {
                self.sample[e].0[lane] = match variate.law {
                    StandardLaw::Normal => self.stream.normal(),
                    StandardLaw::Uniform => self.stream.uniform(),
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

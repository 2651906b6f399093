//! Moments of a population's gradients and curvatures about a point, all that the quadratic theory needs of it.
//!
//! For a loss that is quadratic for each sample, ∇ℓ(θ₀ + δ) = g + Aδ. The means of g, A, ggᵀ, g⊗A and A⊗A give the
//! minimum, the covariance of the gradient there and the noise that depends on θ. Sums over parts of the population
//! add up, so that leaving out one part after the other (the jackknife) costs nothing more.

use nalgebra::{DMatrix, DVector};
use rand_distr::{Distribution, StudentT};

use super::amplifier::{Curvatures, pack, packed_index, pairs, unpack};
use super::recursion::{Linearised, Response, stationary};
use crate::lanes::stream::{Purpose, Stream};
use crate::lanes::{LANES, Lane};
use crate::model::formula::FormulaModel;
use crate::model::{Batch, Model, StandardLaw, Variate};

/// Parts of a sample of the population, each left out in turn.
const PARTS: usize = 16;
/// Vectors of samples evaluated at once.
const TILES: usize = 8;
/// Most samples of an infinite population.
const MOST_SAMPLES: usize = 1 << 18;
/// Products that may be spent on the moments of the curvatures.
const MOST_PRODUCTS: usize = 1 << 31;

/// Weighted sums over samples. P parameters, D = P(P + 1)/2 entries of a symmetric matrix.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    weight: f64,
    /// g, `[P]`.
    gradient: DVector<f64>,
    /// vech(A), `[D]`.
    curvature: DVector<f64>,
    /// g gᵀ, `[P][P]`.
    square: DMatrix<f64>,
    /// g vech(A)ᵀ, `[P][D]`.
    cross: DMatrix<f64>,
    /// vech(A) vech(A)ᵀ, `[D][D]`.
    moments: DMatrix<f64>,
}

/// A stationary law about θ₀: ⟨θ⟩ − θ₀ and ⟨(θ − θ₀)(θ − θ₀)ᵀ⟩.
pub(super) type About = (DVector<f64>, DMatrix<f64>);

impl Sums {
    fn zero(parameters: usize) -> Self {
        let entries = parameters * (parameters + 1) / 2;
        Self {
            weight: 0.0,
            gradient: DVector::zeros(parameters),
            curvature: DVector::zeros(entries),
            square: DMatrix::zeros(parameters, parameters),
            cross: DMatrix::zeros(parameters, entries),
            moments: DMatrix::zeros(entries, entries),
        }
    }

    fn push(&mut self, weight: f64, gradient: &DVector<f64>, curvature: &DVector<f64>) {
        self.weight += weight;
        self.gradient.axpy(weight, gradient, 1.0);
        self.curvature.axpy(weight, curvature, 1.0);
        self.square.ger(weight, gradient, gradient, 1.0);
        self.cross.ger(weight, gradient, curvature, 1.0);
        self.moments.ger(weight, curvature, curvature, 1.0);
    }

    fn add(&mut self, other: &Self, sign: f64) {
        self.weight += sign * other.weight;
        self.gradient.axpy(sign, &other.gradient, 1.0);
        self.curvature.axpy(sign, &other.curvature, 1.0);
        self.square += &other.square * sign;
        self.cross += &other.cross * sign;
        self.moments += &other.moments * sign;
    }

    /// Over the model's own nodes, at `theta`.
    pub fn of_nodes(model: &FormulaModel, theta: &[f64]) -> Self {
        let size = theta.len();
        let gradients = model.sample_gradients(theta);
        let hessians = model.sample_hessians(theta);
        let mut sums = Self::zero(size);
        for ((gradient, hessian), &weight) in
            gradients.chunks_exact(size).zip(hessians.chunks_exact(size * size)).zip(&model.nodes().weights)
        {
            let curvature = pack(&DMatrix::from_row_slice(size, size, hessian));
            sums.push(weight, &DVector::from_column_slice(gradient), &curvature);
        }
        sums
    }

    /// Moments of the curvatures.
    pub fn curvatures(&self) -> Curvatures {
        Curvatures::Moments(&self.moments / self.weight)
    }

    /// The stationary law of a motion in this population: noise of covariance `factor` times the gradient's, decay
    /// λ of the force. `theta` is θ₀.
    pub fn predict(
        &self,
        theta: &[f64],
        decay: f64,
        factor: f64,
        response: Response,
    ) -> Result<About, String> {
        let size = theta.len();
        let scale = 1.0 / self.weight;
        let bare = unpack(&(&self.curvature * scale), size);
        let hessian = &bare + DMatrix::identity(size, size) * decay;
        let gradient = &self.gradient * scale;
        let force = &gradient + DVector::from_column_slice(theta) * decay;
        let shift = -hessian.clone().lu().solve(&force).ok_or("the Hessian is singular")?;
        // g + Aδ at the true minimum δ: its mean square from the sums, its mean from the means.
        let moments = &self.moments * scale;
        let mixed = self.mixed(&shift) * scale;
        let mean = &gradient + &bare * &shift;
        let quadratic = quadratic_form(&moments, &shift);
        let covariance =
            &self.square * scale + &mixed + mixed.transpose() + quadratic - &mean * mean.transpose();
        let curvatures = Curvatures::Moments(moments);
        let system = Linearised {
            hessian: &hessian,
            decay,
            covariance: &covariance,
            factor,
            curvatures: Some(&curvatures),
        };
        let sigma = stationary(response, &system)?;
        let about = sigma + &shift * shift.transpose();
        Ok((shift, about))
    }

    /// Σ g (Aδ)ᵀ.
    fn mixed(&self, shift: &DVector<f64>) -> DMatrix<f64> {
        let size = shift.len();
        DMatrix::from_fn(size, size, |i, j| {
            (0..size).map(|k| self.cross[(i, packed_index(j, k))] * shift[k]).sum()
        })
    }
}

/// E[A δδᵀ A].
fn quadratic_form(moments: &DMatrix<f64>, shift: &DVector<f64>) -> DMatrix<f64> {
    let size = shift.len();
    DMatrix::from_fn(size, size, |i, l| {
        let mut sum = 0.0;
        for j in 0..size {
            for m in 0..size {
                sum += moments[(packed_index(i, j), packed_index(l, m))] * shift[j] * shift[m];
            }
        }
        sum
    })
}

/// A sample of an infinite population, in parts.
pub(super) struct Sampled {
    parts: Vec<Sums>,
    /// Samples in all.
    pub size: usize,
}

impl Sampled {
    /// Draws samples of `variates` (behind rows of the table, where they stand beside one) from the seed and sums them at `theta`; as many as the number of parameters
    /// leaves time for, at most 2¹⁸.
    pub fn draw(model: &FormulaModel, variates: &[Variate], theta: &[f64], seed: u64) -> Self {
        let size = theta.len();
        let entries = size * (size + 1) / 2;
        let group = TILES * LANES;
        let wanted = (MOST_PRODUCTS / (entries * entries).max(1)).clamp(PARTS * group, MOST_SAMPLES);
        let rounds = wanted / (PARTS * group);
        let mut stream = Stream::new(seed, Purpose::Reference, 1);
        let mut gradients = Gradients::new(model, theta);
        let parts = (0..PARTS)
            .map(|_| {
                let mut sums = Sums::zero(size);
                for _ in 0..rounds {
                    gradients.draw(variates, &mut stream);
                    gradients.add_to(&mut sums);
                }
                sums
            })
            .collect();
        Self { parts, size: rounds * PARTS * group }
    }

    /// All parts together.
    pub fn whole(&self) -> Sums {
        let mut parts = self.parts.iter();
        let mut whole = parts.next().cloned().unwrap_or_else(|| Sums::zero(0));
        for part in parts {
            whole.add(part, 1.0);
        }
        whole
    }

    /// The prediction from all parts, and its standard errors by the jackknife.
    pub fn predict(
        &self,
        theta: &[f64],
        decay: f64,
        factor: f64,
        response: Response,
    ) -> Result<(About, About), String> {
        let size = theta.len();
        let whole = self.whole();
        let prediction = whole.predict(theta, decay, factor, response)?;
        let without = self
            .parts
            .iter()
            .map(|part| {
                let mut rest = whole.clone();
                rest.add(part, -1.0);
                rest.predict(theta, decay, factor, response)
            })
            .collect::<Result<Vec<_>, String>>()?;
        let count = self.parts.len() as f64;
        let (mut mean, mut second) = (DVector::zeros(size), DMatrix::zeros(size, size));
        for (shift, about) in &without {
            mean += shift / count;
            second += about / count;
        }
        let mut errors: About = (DVector::zeros(size), DMatrix::zeros(size, size));
        for (shift, about) in &without {
            errors.0 += (shift - &mean).map(|x| x * x);
            errors.1 += (about - &second).map(|x| x * x);
        }
        let scale = (count - 1.0) / count;
        errors.0.apply(|x| *x = (*x * scale).sqrt());
        errors.1.apply(|x| *x = (*x * scale).sqrt());
        Ok((prediction, errors))
    }
}

/// Curvatures of fresh samples of a model with one parameter.
pub(super) fn curvature_samples(
    model: &FormulaModel,
    variates: &[Variate],
    theta: f64,
    seed: u64,
) -> Vec<f64> {
    let mut stream = Stream::new(seed, Purpose::Reference, 2);
    let mut gradients = Gradients::new(model, &[theta]);
    let mut curvatures = Vec::with_capacity(MOST_SAMPLES);
    while curvatures.len() < MOST_SAMPLES {
        gradients.draw(variates, &mut stream);
        for tile in 0..TILES {
            let [here, there] = [gradients.values[0][tile].0, gradients.values[1][tile].0];
            curvatures.extend(there.iter().zip(here).map(|(b, a)| b - a));
        }
    }
    curvatures
}

/// Gradients and curvatures of a block of fresh samples, one a lane.
struct Gradients<'a> {
    model: &'a FormulaModel,
    /// `[width][TILES]`.
    samples: Vec<Lane>,
    /// θ₀ and θ₀ + `e_j`, each `[P][TILES]`.
    points: Vec<Vec<Lane>>,
    /// The samples' gradients at each point.
    values: Vec<Vec<Lane>>,
    scratch: crate::model::Scratch,
}

impl<'a> Gradients<'a> {
    fn new(model: &'a FormulaModel, theta: &[f64]) -> Self {
        let point = |moved: Option<usize>| -> Vec<Lane> {
            theta
                .iter()
                .enumerate()
                .flat_map(|(i, &x)| {
                    let x = if moved == Some(i) { x + 1.0 } else { x };
                    std::iter::repeat_n(Lane::splat(x), TILES)
                })
                .collect()
        };
        let points: Vec<Vec<Lane>> =
            std::iter::once(point(None)).chain((0..theta.len()).map(|j| point(Some(j)))).collect();
        Self {
            model,
            samples: vec![Lane::default(); model.population().width * TILES],
            values: vec![vec![Lane::default(); theta.len() * TILES]; points.len()],
            points,
            scratch: model.scratch(TILES),
        }
    }

    fn draw(&mut self, variates: &[Variate], stream: &mut Stream) {
        for lane in 0..TILES * LANES {
            for (column, &x) in self.model.population().row(stream).iter().enumerate() {
                self.samples[column * TILES + lane / LANES].0[lane % LANES] = x;
            }
            for variate in variates {
                for column in variate.offset..variate.offset + variate.len {
                    self.samples[column * TILES + lane / LANES].0[lane % LANES] = draw(variate.law, stream);
                }
            }
        }
        for (point, gradient) in self.points.iter().zip(&mut self.values) {
            let mut batch = One { samples: &self.samples };
            self.model.weighted_gradient(point, &mut batch, gradient, &mut self.scratch);
        }
    }

    fn add_to(&self, sums: &mut Sums) {
        let size = self.points.len() - 1;
        let pairs = pairs(size);
        for lane in 0..TILES * LANES {
            let at = |point: usize, element: usize| {
                self.values[point][element * TILES + lane / LANES].0[lane % LANES]
            };
            let gradient = DVector::from_fn(size, |i, _| at(0, i));
            // The gradient is affine: the difference over a unit step is the curvature, but for rounding.
            let curvature = DVector::from_iterator(
                pairs.len(),
                pairs.iter().map(|&(i, j)| 0.5 * (at(j + 1, i) - at(0, i) + at(i + 1, j) - at(0, j))),
            );
            sums.push(1.0, &gradient, &curvature);
        }
    }
}

fn draw(law: StandardLaw, stream: &mut Stream) -> f64 {
    match law {
        StandardLaw::Normal => stream.normal(),
        StandardLaw::Uniform => stream.uniform(),
        StandardLaw::Rademacher => stream.sign(),
        StandardLaw::Exponential
        | StandardLaw::Laplace
        | StandardLaw::Cauchy
        | StandardLaw::Gamma(_)
        | StandardLaw::Beta(..)
        | StandardLaw::Poisson(_) => law.draw(&mut || stream.uniform()),
        StandardLaw::Student(dof) => StudentT::new(dof).map_or(f64::NAN, |law| law.sample(stream)),
    }
}

/// One sample a lane.
struct One<'a> {
    samples: &'a [Lane],
}

impl Batch for One<'_> {
    fn len(&self) -> usize {
        1
    }
    fn fill(&mut self, _first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        if count == 1 {
            samples.copy_from_slice(self.samples);
            weights.fill(Lane::splat(1.0));
        }
    }
}

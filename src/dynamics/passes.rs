//! Steps of simple systems as one pass over the block: drift, noise and the step itself, with no number stored in between.
//!
//! A pass gives the bits of the stepper that it stands in for, only sooner.

use std::sync::{Mutex, PoisonError};

use crate::lanes::pass::{Rows, Value};
use crate::lanes::{Level, Pass, Recipe};
use crate::model::Model;
use crate::model::formula::SdeModel;
use crate::scheme::factor::NEGLIGIBLE;

/// The parameter of a pass that is η, or the step of time.
pub const RATE: usize = 0;
/// The parameter that is the root of the step of time.
pub const ROOT: usize = 1;

/// The step of a law, and its machine code for the sizes of blocks that have asked for it.
#[derive(Default)]
pub struct Passes {
    recipe: Option<Recipe>,
    made: Mutex<Vec<(usize, Level, Option<Pass>)>>,
}

impl Passes {
    /// Of a recipe, if there is one.
    pub fn new(recipe: Option<Recipe>) -> Self {
        Self { recipe, made: Mutex::default() }
    }

    /// For blocks of `tiles` vectors.
    pub fn of(&self, tiles: usize) -> Option<Pass> {
        let recipe = self.recipe.as_ref()?;
        let level = Level::current();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, pass)) = made.iter().find(|(of, at, _)| (*of, *at) == (tiles, level)) {
            return pass.clone();
        }
        let pass = recipe.pass(tiles);
        made.push((tiles, level, pass.clone()));
        pass
    }
}

/// What the gradient of a descent is taken over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Over {
    /// So many samples, rows of samples.
    Samples(usize),
    /// All nodes, with Gaussian noise of σ² times their covariance: few sums of them, and a row of noise for each.
    NoisySums {
        /// σ.
        sigma: f64,
    },
}

/// The sums m + σ F ξ with the means m of φ over the nodes and F a factor of its covariance, as the kernels round them.
fn noisy_sums(recipe: &mut Recipe, model: &dyn Model, sigma: f64) -> Option<Vec<Value>> {
    let phi = model.summands_in_pass(recipe)?;
    let zero = recipe.constant(0.0);
    let weights: Vec<Value> = model.population().nodes.weights.iter().map(|&w| recipe.constant(w)).collect();
    let mut means = Vec::with_capacity(phi.len());
    for phi in &phi {
        means.push(weights.iter().zip(phi).fold(zero, |mean, (&weight, &x)| {
            let part = recipe.multiply(weight, x);
            recipe.add(mean, part)
        }));
    }
    let covariance = |recipe: &mut Recipe, i: usize, j: usize| {
        let pairs = weights.iter().zip(phi[i].iter().zip(&phi[j]));
        pairs.fold(zero, |sum, (&weight, (&x, &y))| {
            let (a, b) = (recipe.subtract(x, means[i]), recipe.subtract(y, means[j]));
            let product = recipe.multiply(a, b);
            let part = recipe.multiply(weight, product);
            recipe.add(sum, part)
        })
    };
    let sigma = recipe.constant(sigma);
    if phi.len() == 1 {
        let variance = covariance(recipe, 0, 0);
        let (root, xi) = (recipe.sqrt(variance), recipe.row(Rows::Noise, 0));
        let amplitude = recipe.multiply(sigma, root);
        let noise = recipe.multiply(amplitude, xi);
        return Some(vec![recipe.add(means[0], noise)]);
    }
    let n = phi.len();
    let rest: Vec<Vec<Value>> =
        (0..n).map(|i| (0..n).map(|j| covariance(recipe, i.min(j), i.max(j))).collect()).collect();
    let noise = factored_noise(recipe, rest);
    let sums = means.iter().zip(noise).map(|(&mean, noise)| {
        let noise = recipe.multiply(sigma, noise);
        recipe.add(mean, noise)
    });
    Some(sums.collect())
}

/// F ξ with the factor of a covariance by outer-product Cholesky with diagonal pivoting, as [`super::kernels::factored_noise`] has it.
fn factored_noise(recipe: &mut Recipe, mut rest: Vec<Vec<Value>>) -> Vec<Value> {
    let n = rest.len();
    let (zero, one) = (recipe.constant(0.0), recipe.constant(1.0));
    let negligible = recipe.constant(NEGLIGIBLE);
    let least: Vec<Value> = (0..n).map(|i| recipe.multiply(negligible, rest[i][i])).collect();
    let mut noise = vec![zero; n];
    for r in 0..n {
        let xi = recipe.row(Rows::Noise, r);
        // The largest relevant pivot, and masks of where it is.
        let (mut best, mut pivot) = (zero, Vec::new());
        for i in 0..n {
            let (relevant, larger) = (recipe.above(rest[i][i], least[i]), recipe.above(rest[i][i], best));
            let better = recipe.and(relevant, larger);
            best = recipe.choose(better, rest[i][i], best);
            for other in &mut pivot {
                *other = recipe.without(better, *other);
            }
            pivot.push(better);
        }
        let root = recipe.sqrt(best);
        let (inverse, some) = (recipe.divide(one, root), recipe.above(best, zero));
        let inverse = recipe.and(some, inverse);
        let column: Vec<Value> = (0..n)
            .map(|i| {
                let picked = (0..n).fold(zero, |picked, j| recipe.choose(pivot[j], rest[i][j], picked));
                recipe.multiply(picked, inverse)
            })
            .collect();
        for i in 0..n {
            let part = recipe.multiply(column[i], xi);
            noise[i] = recipe.add(noise[i], part);
            for j in 0..n {
                let product = recipe.multiply(column[i], column[j]);
                let left = recipe.subtract(rest[i][j], product);
                let left = recipe.without(pivot[i], left);
                rest[i][j] = recipe.without(pivot[j], left);
            }
        }
    }
    noise
}

/// v' = βv − η(ĝ + λθ), θ' = θ + v'; without momentum θ' = θ − η(ĝ + λθ), and no velocity.
pub fn descent(model: &dyn Model, over: Over, decay: f64, momentum: f64) -> Option<Recipe> {
    let mut recipe = Recipe::default();
    let gradient = match over {
        Over::Samples(samples) => model.gradient_in_pass(&mut recipe, samples)?,
        Over::NoisySums { sigma } => {
            let sums = noisy_sums(&mut recipe, model, sigma)?;
            model.gradient_of_sums_in_pass(&mut recipe, &sums)?
        }
    };
    let (rate, strength) = (recipe.parameter(RATE), recipe.constant(decay));
    let inertia = recipe.constant(momentum);
    for (element, g) in gradient.into_iter().enumerate() {
        let x = recipe.row(Rows::State, element);
        // Where there is no decay its term is zero, and changes nothing.
        let pull = if decay == 0.0 {
            g
        } else {
            let term = recipe.multiply(strength, x);
            recipe.add(g, term)
        };
        let step = recipe.multiply(rate, pull);
        let moved = if momentum == 0.0 {
            recipe.subtract(x, step)
        } else {
            let v = recipe.row(Rows::Velocity, element);
            let kept = recipe.multiply(inertia, v);
            let v = recipe.subtract(kept, step);
            recipe.store(Rows::Velocity, element, v);
            recipe.add(x, v)
        };
        recipe.store(Rows::State, element, moved);
    }
    Some(recipe)
}

/// x' = x + (h·drift + B·√h ξ), with one row of noise a Wiener process.
pub fn euler(equation: &SdeModel) -> Option<Recipe> {
    let mut recipe = Recipe::default();
    let (step, root) = (recipe.parameter(RATE), recipe.parameter(ROOT));
    let wiener: Vec<Value> = (0..equation.noises())
        .map(|j| {
            let xi = recipe.row(Rows::Noise, j);
            recipe.multiply(root, xi)
        })
        .collect();
    let (drift, noise) = equation.in_pass(&mut recipe, &wiener)?;
    for (element, (drift, noise)) in drift.into_iter().zip(noise).enumerate() {
        let x = recipe.row(Rows::State, element);
        let drift = recipe.multiply(step, drift);
        let change = recipe.add(drift, noise);
        let moved = recipe.add(x, change);
        recipe.store(Rows::State, element, moved);
    }
    Some(recipe)
}

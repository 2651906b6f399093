//! Steps of simple systems as one pass over the block: drift, noise and the step itself, with no number stored in between.
//!
//! A pass gives the bits of the stepper that it stands in for, only sooner.

use std::sync::{Mutex, PoisonError};

use crate::lanes::pass::{Rows, Value};
use crate::lanes::{Level, Pass, Recipe};
use crate::model::formula::SdeModel;
use crate::model::{Model, Over};

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

/// v' = βv − η(ĝ + λθ), θ' = θ + v'; without momentum θ' = θ − η(ĝ + λθ), and no velocity.
pub fn descent(model: &dyn Model, over: Over, decay: f64, momentum: f64) -> Option<Recipe> {
    let mut recipe = Recipe::default();
    let gradient = model.gradient_in_pass(&mut recipe, over)?;
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

//! What the steps of whole epochs take out of the state and bring into it.
//!
//! A step v' = βv − ηu, θ' = θ + v' along u = ĝ + λθ, the drawn gradient with its decay, changes ½‖θ‖² by θ·v' + ½‖v'‖² and, where
//! H = ∇²f is constant, f by ∇f·v' + ½v'ᵀHv'. Minibatches of an epoch remember each other, so that ⟨u⟩ at given θ is not ∇f(θ), and the law
//! of θ changes within an epoch; but from one epoch's end to the next it is the same. Averaged over all steps of whole epochs, therefore,
//!
//! ```text
//! ⟨θ·u⟩ = ((1 + β)/(2η)) ⟨‖v'‖²⟩,    ⟨∇f(θ)·u⟩ = ((1 + β)/(2η)) ⟨v'ᵀHv'⟩
//! ```
//!
//! the first for every loss; for β = 0 the right sides are (η/2)⟨‖u‖²⟩ and (η/2)⟨uᵀHu⟩. It is Yaida's relation (2018, arXiv 1810.00004) with the
//! minibatch that was drawn in the place of the gradient: θ·v' at equal times is stationary, too, and ⟨θ·v'⟩ = −½⟨‖v'‖²⟩ = β⟨θ·v⟩ − η⟨θ·u⟩ with
//! ⟨θ·v⟩ = ½⟨‖v‖²⟩ where θ has the velocity that led to it.

use std::sync::Arc;

use crate::dynamics::accounts::Step;
use crate::dynamics::kernels::{add_scaled, scale};
use crate::lanes::{Lane, flat, flat_mut, vectorized};
use crate::model::Scratch;
use crate::model::formula::Function;

/// Which of the two balances, for a model of so many parameters.
#[derive(Clone)]
pub enum Balance {
    /// That of ½‖θ‖².
    First {
        /// P.
        parameters: usize,
    },
    /// That of f.
    Second {
        /// P.
        parameters: usize,
        /// `[∇f·a, aᵀHa]` of θ and a.
        work: Arc<Function>,
    },
}

impl Balance {
    /// Row of what is taken out: ⟨θ·u⟩, or ⟨∇f·u⟩.
    pub const GAIN: usize = 0;
    /// Row of what is brought in: ⟨‖v'‖²⟩, or ⟨v'ᵀHv'⟩.
    pub const NOISE: usize = 1;
    /// First row of ⟨u⟩.
    pub const FORCE: usize = 2;

    /// P.
    fn parameters(&self) -> usize {
        match self {
            Self::First { parameters } | Self::Second { parameters, .. } => *parameters,
        }
    }

    /// Numbers a replica.
    pub fn rows(&self) -> usize {
        Self::FORCE + self.parameters()
    }
}

/// The averages of one block, over the whole epochs since the last recorded instant, or, where none has ended since, over the last ones before.
pub struct BalanceAccount {
    balance: Arc<Balance>,
    tiles: usize,
    /// Steps of an epoch, 0 where there are none.
    cycle: u64,
    /// Steps of the present one.
    step: u64,
    /// `[rows][tiles]`: sums over the present epoch, over whole ones with their number of steps, and what was written last.
    present: Vec<Lane>,
    whole: Vec<Lane>,
    count: u64,
    held: Vec<Lane>,
    /// u and v'.
    force: Vec<Lane>,
    velocity: Vec<Lane>,
    /// Value of the function, and its memory.
    value: Vec<Lane>,
    scratch: Scratch,
}

impl BalanceAccount {
    /// Empty.
    pub fn new(balance: Arc<Balance>, cycle: u64, tiles: usize) -> Self {
        let vectors = |n: usize| vec![Lane::default(); n * tiles];
        let (rows, parameters) = (balance.rows(), balance.parameters());
        let scratch = match &*balance {
            Balance::First { .. } => Scratch::default(),
            Balance::Second { work, .. } => work.scratch(tiles),
        };
        Self {
            balance,
            tiles,
            cycle,
            step: 0,
            present: vectors(rows),
            whole: vectors(rows),
            count: 0,
            held: vectors(rows),
            force: vectors(parameters),
            velocity: vectors(parameters),
            value: vectors(2),
            scratch,
        }
    }

    /// At a recorded instant: what was written is past.
    pub fn begin(&mut self) {
        if self.count > 0 {
            scale(&mut self.held, &self.whole, 1.0 / self.count as f64);
            self.whole.fill(Lane::default());
            self.count = 0;
        }
    }

    /// A step, before it is done.
    pub fn step(&mut self, step: &Step<'_>) {
        if self.cycle == 0 {
            return;
        }
        let Self { force, velocity, present, tiles, .. } = self;
        let tiles = *tiles;
        force.copy_from_slice(step.gradient);
        add_scaled(force, step.theta, step.decay);
        scale(velocity, force, -step.rate);
        if !step.velocity.is_empty() {
            add_scaled(velocity, step.velocity, step.momentum);
        }
        let (sums, forces) = present.split_at_mut(Balance::FORCE * tiles);
        add_scaled(forces, force, 1.0);
        let (gain, noise) = sums.split_at_mut(tiles);
        match &*self.balance {
            Balance::First { .. } => {
                for ((theta, u), v) in step
                    .theta
                    .chunks_exact(tiles)
                    .zip(force.chunks_exact(tiles))
                    .zip(velocity.chunks_exact(tiles))
                {
                    add_product(gain, theta, u);
                    add_product(noise, v, v);
                }
            }
            Balance::Second { work, .. } => {
                work.evaluate_with(step.theta, force, &mut self.value, &mut self.scratch);
                add_scaled(gain, &self.value[..tiles], 1.0);
                // v' = −ηu without momentum.
                let square = step.rate * step.rate;
                let factor = if step.velocity.is_empty() { square } else { 1.0 };
                if !step.velocity.is_empty() {
                    work.evaluate_with(step.theta, velocity, &mut self.value, &mut self.scratch);
                }
                add_scaled(noise, &self.value[tiles..], factor);
            }
        }
        self.step += 1;
        if self.step == self.cycle {
            add_scaled(&mut self.whole, &self.present, 1.0);
            self.present.fill(Lane::default());
            self.count += self.cycle;
            self.step = 0;
        }
    }

    /// Writes all rows.
    pub fn write(&self, out: &mut [Lane]) {
        if self.count > 0 {
            scale(out, &self.whole, 1.0 / self.count as f64);
        } else {
            out.copy_from_slice(&self.held);
        }
    }
}

vectorized! {
    /// out ← out + xy.
    fn add_product(out: &mut [Lane], x: &[Lane], y: &[Lane]) {
        for ((o, x), y) in flat_mut(out).iter_mut().zip(flat(x)).zip(flat(y)) {
            *o += x * y;
        }
    }
}

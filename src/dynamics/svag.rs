//! SVAG: stochastic variance amplified gradient (Li, Malladi & Arora 2021, NeurIPS, §4), the way from SGD to its Langevin equation.

use std::sync::Arc;

use crate::dynamics::draws::Draws;
use crate::dynamics::kernels::descend;
use crate::dynamics::ledger::{Accounts, Step};
use crate::dynamics::{Clock, Schedule, Stepper, write_accounts};
use crate::lanes::{Lane, flat, flat_mut, vectorized};
use crate::model::{Model, Scratch};

/// The stepper: l steps an iteration, each of η/l along ĝ_l = ½(1 + r)ĝ₁ + ½(1 − r)ĝ₂ with r = √(2l − 1), so that ĝ_l has the covariance
/// ½(1 + r²) f C = l f C and l steps that of one step of SGD. For l = 1 the second batch has no weight and is not drawn.
pub struct Svag {
    model: Arc<dyn Model>,
    scratch: Scratch,
    draws: Draws,
    rate: Schedule,
    level: u32,
    decay: f64,
    first: Vec<Lane>,
    second: Vec<Lane>,
    accounts: Accounts,
}

impl Svag {
    /// For `len` vectors of θ.
    pub fn new(
        model: Arc<dyn Model>,
        scratch: Scratch,
        draws: Draws,
        rate: Schedule,
        level: u32,
        decay: f64,
        len: usize,
    ) -> Self {
        let second = vec![Lane::default(); if level > 1 { len } else { 0 }];
        let (first, accounts) = (vec![Lane::default(); len], Accounts::default());
        Self { model, scratch, draws, rate, level, decay, first, second, accounts }
    }

    /// Keeps these accounts.
    pub fn with(self, accounts: Accounts) -> Self {
        Self { accounts, ..self }
    }

    fn step(&mut self, theta: &mut [Lane], rate: f64) {
        let Self { model, scratch, draws, first, second, level, decay, accounts, .. } = self;
        model.weighted_gradient(theta, draws.advance(), first, scratch);
        if *level > 1 {
            model.weighted_gradient(theta, draws.advance(), second, scratch);
            let root = f64::from(2 * *level - 1).sqrt();
            amplify(first, second, 0.5 * (1.0 + root), 0.5 * (1.0 - root));
        }
        if !accounts.list.is_empty() {
            accounts.drawn(first);
        }
        for account in &mut accounts.list {
            account.step(Step { theta, gradient: first, rate, decay: *decay });
        }
        descend(theta, first, rate, *decay);
    }
}

vectorized! {
    /// first ← a first + b second.
    fn amplify(first: &mut [Lane], second: &[Lane], a: f64, b: f64) {
        for (x, y) in flat_mut(first).iter_mut().zip(flat(second)) {
            *x = a * *x + b * y;
        }
    }
}

impl Stepper for Svag {
    fn advance(
        &mut self,
        theta: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        self.accounts.expect(theta);
        for iteration in from.step..to.step {
            let rate = self.rate.at(iteration) / f64::from(self.level);
            for _ in 0..self.level {
                self.step(theta, rate);
            }
            if !pulse(1) {
                return false;
            }
        }
        true
    }

    fn accounts(&self, theta: &[Lane], out: &mut [Vec<Lane>]) {
        write_accounts(&self.accounts, theta, &[], out);
    }
}

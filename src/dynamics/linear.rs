//! Exact transitions of linear laws: Ornstein–Uhlenbeck about a minimum, and `[sde]` with linear drift and constant noise.

use std::sync::Arc;

use crate::dynamics::accounts::Accounts;
use crate::dynamics::kernels::transition;
use crate::dynamics::{Clock, Schedule, Stepper};
use crate::lanes::{Lane, Normals};
use crate::scheme::linear::Transition;

/// Which transition leads from an instant to the next.
#[derive(Clone, Debug)]
pub enum Plan {
    /// One an iteration, by the piece of the schedule that is in force.
    Iterations(Schedule),
    /// One from each recorded instant to the next; its index is the instant's step.
    Instants(Vec<usize>),
}

/// The transitions of a law, made once a run.
#[derive(Clone, Debug)]
pub struct Transitions {
    /// Different ones.
    pub transitions: Vec<Transition>,
    /// When each is used.
    pub plan: Plan,
}

impl Transitions {
    /// Largest number of normals that one of them takes.
    pub fn rank(&self) -> usize {
        self.transitions.iter().map(Transition::rank).max().unwrap_or(0)
    }
}

/// The stepper of exact linear laws.
pub struct Linear {
    transitions: Arc<Transitions>,
    normals: Normals,
    xi: Vec<Lane>,
    before: Vec<Lane>,
    accounts: Accounts,
}

impl Linear {
    /// For `len` vectors of state.
    pub fn new(transitions: Arc<Transitions>, normals: Normals, len: usize) -> Self {
        let xi = vec![Lane::default(); transitions.rank() * normals.tiles()];
        Self { transitions, normals, xi, before: vec![Lane::default(); len], accounts: Accounts::default() }
    }

    /// Keeps these accounts.
    pub fn with(self, accounts: Accounts) -> Self {
        Self { accounts, ..self }
    }

    fn step(&mut self, state: &mut [Lane], index: usize) {
        let law = &self.transitions.transitions[index];
        let tiles = self.normals.tiles();
        let xi = &mut self.xi[..law.rank() * tiles];
        for row in xi.chunks_exact_mut(tiles) {
            row.copy_from_slice(self.normals.row());
        }
        self.before.copy_from_slice(state);
        transition(state, &self.before, xi, tiles, &law.shift, &law.propagator, &law.factor);
    }
}

impl Stepper for Linear {
    fn advance(
        &mut self,
        state: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        // Between instants there is nothing: integrals go by the trapezoidal rule.
        self.accounts.begin(state, from.step);
        let half = 0.5 * (to.time - from.time);
        let leaps = matches!(self.transitions.plan, Plan::Instants(_));
        if leaps {
            for account in self.accounts.charges_mut() {
                account.flow(state, to.time - from.time, 0.0);
            }
            self.accounts.pass(state, half);
        }
        for step in from.step..to.step {
            let index = match &self.transitions.plan {
                Plan::Instants(of) => of[step as usize],
                Plan::Iterations(rate) => {
                    self.accounts.pass(state, rate.at(step));
                    rate.pieces.partition_point(|p| p.0 <= step).saturating_sub(1)
                }
            };
            self.step(state, index);
            if !pulse(1) {
                return false;
            }
        }
        if leaps {
            self.accounts.pass(state, half);
        }
        true
    }
    fn accounts(&self, state: &[Lane], out: &mut [Vec<Lane>]) {
        self.accounts.write(state, &[], out);
    }
}

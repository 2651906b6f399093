//! `[sde]` by Euler–Maruyama.

use std::sync::Arc;

use crate::dynamics::accounts::Accounts;
use crate::dynamics::kernels::{add_scaled, euler, scale};
use crate::dynamics::passes::{RATE, ROOT};
use crate::dynamics::walls::Walls;
use crate::dynamics::{Clock, Stepper};
use crate::lanes::{Lane, Normals, Pass};
use crate::model::Scratch;
use crate::model::formula::SdeModel;

/// The stepper of Euler–Maruyama with a fixed step.
pub struct EulerMaruyama {
    equation: Arc<SdeModel>,
    scratch: Scratch,
    step: f64,
    root: f64,
    normals: Normals,
    wiener: Vec<Lane>,
    /// Drift and noise increment, `[2P][tiles]`.
    moves: Vec<Lane>,
    /// The whole step.
    pass: Option<Pass>,
    accounts: Accounts,
    walls: Option<Walls>,
}

impl EulerMaruyama {
    /// Steps of `dt`; by a pass where there is one.
    pub fn new(equation: Arc<SdeModel>, dt: f64, normals: Normals, mut pass: Option<Pass>) -> Self {
        let tiles = normals.tiles();
        let vectors = |n: usize| vec![Lane::default(); n * tiles];
        let (wiener, moves) = (vectors(equation.noises()), vectors(2 * equation.layout().len()));
        let root = dt.sqrt();
        if let Some(pass) = &mut pass {
            pass.set(RATE, dt);
            pass.set(ROOT, root);
        }
        let (scratch, accounts) = (equation.scratch(tiles), Accounts::default());
        Self { scratch, equation, step: dt, root, normals, wiener, moves, pass, accounts, walls: None }
    }

    /// Keeps these accounts.
    pub fn with(self, accounts: Accounts) -> Self {
        Self { accounts, ..self }
    }

    /// Reflects at these walls.
    pub fn within(self, walls: Option<Walls>) -> Self {
        Self { walls, ..self }
    }

    /// One step, reflected.
    fn step(&mut self, state: &mut [Lane], elapsed: f64) {
        let Some(mut walls) = self.walls.take() else { return self.free_step(state, elapsed) };
        walls.before(state);
        self.free_step(state, elapsed);
        walls.after(state, self.step);
        self.walls = Some(walls);
    }

    /// One step.
    fn free_step(&mut self, state: &mut [Lane], elapsed: f64) {
        let Self { equation, wiener, moves, scratch, normals, .. } = self;
        let tiles = normals.tiles();
        if let Some(pass) = &mut self.pass {
            let noises = wiener.len() / tiles;
            if let Some(rows) = normals.rows(noises) {
                return pass.run(state, &mut [], &[], rows);
            }
            for row in wiener.chunks_exact_mut(tiles) {
                row.copy_from_slice(normals.row());
            }
            return pass.run(state, &mut [], &[], wiener);
        }
        for row in wiener.chunks_exact_mut(tiles) {
            scale(row, normals.row(), self.root);
        }
        equation.drift_and_noise(state, wiener, equation.start() + elapsed, moves, scratch);
        let (drift, increment) = moves.split_at_mut(state.len());
        if self.accounts.is_empty() {
            return euler(state, drift, increment, self.step);
        }
        self.accounts.pass(state, self.step);
        // The same sum, and the same bits, as Euler's.
        add_scaled(increment, drift, self.step);
        for account in self.accounts.charges_mut() {
            account.moved(state, increment, drift, self.step, 0.0);
        }
        add_scaled(state, increment, 1.0);
    }
}

impl Stepper for EulerMaruyama {
    fn advance(
        &mut self,
        state: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        self.accounts.begin(state, from.step);
        for step in from.step..to.step {
            self.step(state, step as f64 * self.step);
            if !pulse(1) {
                return false;
            }
        }
        true
    }
    fn accounts(&self, state: &[Lane], out: &mut [Vec<Lane>]) {
        self.accounts.write(state, &[], out);
    }
}

//! Continuous laws stepped by any scheme.

use crate::dynamics::accounts::Accounts;
use crate::dynamics::equations::{LangevinEquation, SdeEquation};
use crate::dynamics::kernels::add_scaled;
use crate::dynamics::ledger::Account;
use crate::dynamics::{Clock, Schedule, Stepper, pause};
use crate::lanes::Lane;
use crate::scheme::{Equation as _, Stepping, Wiener};

/// What is stepped, and how far at once.
pub enum Course {
    /// An `[sde]`, by steps of one length.
    Steps {
        /// The equation.
        equation: SdeEquation,
        /// h.
        dt: f64,
    },
    /// A Langevin equation, by η/m.
    Iterations {
        /// The equation.
        equation: Box<LangevinEquation>,
        /// η.
        rate: Schedule,
        /// m.
        substeps: u32,
    },
}

/// The stepper.
pub struct Integrated {
    course: Course,
    stepping: Stepping,
    wiener: Wiener,
    watch: Watch,
}

/// What accounts see of the steps of a scheme.
#[derive(Default)]
struct Watch {
    accounts: Accounts,
    charges: Charges,
    /// θ before the step, the step, and what is worked in: where charges are kept account of.
    before: Vec<Lane>,
    step: Vec<Lane>,
    rest: Vec<Lane>,
    /// dW along one process alone, `[M][tiles]`.
    unit: Vec<Lane>,
    tiles: usize,
}

/// How charges are kept account of.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Charges {
    /// Euler and Maruyama's steps as they are, x' − x along drift and noise at x.
    #[default]
    Steps,
    /// The same of a drift of order 2, whose product with the charge is accounted for as a drift is.
    Bent,
    /// By Itô's drift, with the trapezoidal rule from step to step.
    Drift,
}

impl Integrated {
    /// Steps `course` by `stepping`, driven by `wiener`.
    pub fn new(course: Course, stepping: Stepping, wiener: Wiener) -> Self {
        Self { course, stepping, wiener, watch: Watch::default() }
    }

    /// Keeps these accounts, for blocks of `tiles` vectors.
    pub fn with(self, mut accounts: Accounts, charges: Charges, tiles: usize) -> Self {
        if charges == Charges::Drift {
            accounts.charges_mut().for_each(Account::relative);
        }
        let (dimension, noises) = self.course.size();
        let count = if accounts.has_charges() { tiles } else { 0 };
        let vectors = |n: usize| vec![Lane::default(); n * count];
        let [before, step, rest] = [0; 3].map(|_| vectors(dimension));
        let watch = Watch { accounts, charges, before, step, rest, unit: vectors(noises), tiles };
        Self { watch, ..self }
    }
}

impl Watch {
    fn before(&mut self, x: &[Lane], h: f64) {
        self.accounts.pass(x, h);
        if self.charges != Charges::Drift && !self.before.is_empty() {
            self.before.copy_from_slice(x);
        }
    }

    /// After the step to x.
    fn after(&mut self, x: &[Lane], h: f64, decay: f64) {
        if self.charges == Charges::Drift || self.before.is_empty() {
            return;
        }
        let Self { accounts, before, step, rest, .. } = self;
        step.copy_from_slice(x);
        add_scaled(step, before, -1.0);
        for account in accounts.charges_mut() {
            if self.charges == Charges::Bent {
                account.stepped(step);
            } else {
                account.moved(before, step, rest, h, decay);
            }
        }
    }

    /// Itô's drift of charges under an `[sde]`, 2xᵀAa + Tr[BᵀAB], column by column.
    fn drift(&mut self, x: &[Lane], h: f64, equation: &mut SdeEquation) {
        if self.charges != Charges::Drift || self.before.is_empty() {
            return;
        }
        let Self { accounts, rest, unit, tiles, .. } = self;
        for process in 0..equation.noises() {
            unit.fill(Lane::default());
            unit[process * *tiles..(process + 1) * *tiles].fill(Lane::splat(1.0));
            equation.increment(x, 0.0, unit, rest);
            for account in accounts.charges_mut() {
                account.spread_by(h, rest);
            }
        }
        for account in accounts.charges_mut() {
            account.relax(x, h, 0.0, 0.0);
        }
    }
}

impl Stepper for Integrated {
    fn advance(
        &mut self,
        x: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        let Self { course, stepping, wiener, watch } = self;
        // Half of the last step: the trapezoidal rule's, to be taken at its end.
        let mut owed = 0.0;
        watch.accounts.begin(x, from.step);
        for iteration in from.step..to.step {
            match course {
                Course::Steps { equation, dt } => {
                    equation.begin(iteration as f64 * *dt);
                    watch.before(x, *dt);
                    watch.drift(x, owed + 0.5 * *dt, equation);
                    owed = 0.5 * *dt;
                    stepping.step(equation, x, *dt, wiener);
                    watch.after(x, *dt, 0.0);
                }
                Course::Iterations { equation, rate, substeps } => {
                    let rate = rate.at(iteration);
                    let h = rate / f64::from(*substeps);
                    equation.tune(rate);
                    for substep in 0..*substeps {
                        watch.before(x, h);
                        let later = if watch.charges == Charges::Drift { 0.5 * h } else { 0.0 };
                        watch.accounts.drift(x, owed + (h - later), rate, equation.decay());
                        owed = later;
                        stepping.step(&mut **equation, x, h, wiener);
                        watch.after(x, h, equation.decay());
                        if pause(substep) && !pulse(0) {
                            return false;
                        }
                    }
                }
            }
            if !pulse(1) {
                return false;
            }
        }
        match course {
            Course::Steps { equation, dt } => {
                equation.begin(to.step as f64 * *dt);
                watch.drift(x, owed, equation);
            }
            Course::Iterations { equation, rate, .. } if owed > 0.0 => {
                watch.accounts.drift(x, owed, rate.at(to.step - 1), equation.decay());
            }
            Course::Iterations { .. } => {}
        }
        true
    }
    fn accounts(&self, x: &[Lane], out: &mut [Vec<Lane>]) {
        self.watch.accounts.write(x, &[], out);
    }
}

impl Course {
    /// P and M.
    pub fn size(&self) -> (usize, usize) {
        match self {
            Course::Steps { equation, .. } => (equation.dimension(), equation.noises()),
            Course::Iterations { equation, .. } => (equation.dimension(), equation.noises()),
        }
    }
}

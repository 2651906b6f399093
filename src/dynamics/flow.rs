//! Gradient flow, θ̇ = −(∇L + λθ), integrated adaptively; a loss with kinks piece by piece.

use std::sync::Arc;

use crate::dynamics::accounts::Accounts;
use crate::dynamics::kernels::downhill;
use crate::dynamics::pieces::Pieces;
use crate::dynamics::sweep::FullGradient;
use crate::dynamics::{Clock, Failure, Stepper};
use crate::lanes::Lane;
use crate::model::formula::Switches;
use crate::scheme::runge_kutta::{Adaptive, Limits};

/// The stepper of gradient flow; times are the study's, t = Σ η.
pub struct GradientFlow {
    course: Course,
    decay: f64,
    started: bool,
    accounts: Accounts,
}

enum Course {
    Smooth(Box<(FullGradient, Adaptive)>),
    Pieces(Box<Pieces>),
}

/// How exactly, and at what cost.
#[derive(Clone, Copy, Debug)]
pub struct Precision {
    /// Relative error a step.
    pub tolerance: f64,
    /// Steps of a path.
    pub limits: Limits,
}

impl GradientFlow {
    /// For `parameters` elements and `tiles` vectors.
    pub fn new(
        gradient: FullGradient,
        decay: f64,
        precision: Precision,
        parameters: usize,
        tiles: usize,
    ) -> Self {
        let integrator = Adaptive::new(parameters, tiles, precision.tolerance).within(precision.limits);
        let course = Course::Smooth(Box::new((gradient, integrator)));
        Self { course, decay, started: false, accounts: Accounts::default() }
    }

    /// The same for a loss with kinks.
    pub fn in_pieces(
        switches: Arc<Switches>,
        decay: f64,
        precision: Precision,
        parameters: usize,
        tiles: usize,
    ) -> Self {
        let Precision { tolerance, limits } = precision;
        let pieces = Pieces::new(switches, decay, tolerance, limits, parameters, tiles);
        Self {
            course: Course::Pieces(Box::new(pieces)),
            decay,
            started: false,
            accounts: Accounts::default(),
        }
    }

    /// Keeps these accounts.
    pub fn with(self, accounts: Accounts) -> Self {
        Self { accounts, ..self }
    }
}

impl Stepper for GradientFlow {
    fn advance(
        &mut self,
        theta: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        // Between recorded instants there are steps of the integrator alone, each lane's own: integrals go by the trapezoidal rule.
        self.accounts.begin(theta, from.step);
        let half = 0.5 * (to.time - from.time);
        for account in self.accounts.charges_mut() {
            account.flow(theta, to.time - from.time, self.decay);
        }
        self.accounts.pass(theta, half);
        let begin = !std::mem::replace(&mut self.started, true);
        let done = match &mut self.course {
            Course::Smooth(smooth) => {
                let (gradient, integrator) = &mut **smooth;
                let decay = self.decay;
                let mut slope = |theta: &[Lane], out: &mut [Lane]| {
                    gradient.evaluate(theta, out);
                    downhill(out, theta, decay);
                };
                if begin {
                    integrator.start(theta, from.time, &mut slope);
                }
                integrator.advance(to.time, theta, &mut slope, &mut || pulse(0))
            }
            Course::Pieces(pieces) => {
                if begin {
                    pieces.start(theta, from.time);
                }
                pieces.advance(to.time, theta, &mut || pulse(0))
            }
        };
        if !done {
            return false;
        }
        self.accounts.pass(theta, half);
        pulse(to.step - from.step)
    }
    fn accounts(&self, theta: &[Lane], out: &mut [Vec<Lane>]) {
        self.accounts.write(theta, &[], out);
    }
    fn failures(&self) -> &[Failure] {
        match &self.course {
            Course::Smooth(smooth) => smooth.1.failures(),
            Course::Pieces(pieces) => pieces.failures(),
        }
    }
}

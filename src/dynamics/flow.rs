//! Gradient flow, θ̇ = −(∇L + λθ), integrated adaptively.

use crate::dynamics::accounts::Accounts;
use crate::dynamics::kernels::downhill;
use crate::dynamics::sweep::FullGradient;
use crate::dynamics::{Clock, Stepper};
use crate::lanes::Lane;
use crate::scheme::runge_kutta::Adaptive;

/// The stepper of gradient flow; times are the study's, t = Σ η.
pub struct GradientFlow {
    gradient: FullGradient,
    decay: f64,
    integrator: Adaptive,
    started: bool,
    accounts: Accounts,
}

impl GradientFlow {
    /// For `parameters` elements and `tiles` vectors.
    pub fn new(gradient: FullGradient, decay: f64, tolerance: f64, parameters: usize, tiles: usize) -> Self {
        let integrator = Adaptive::new(parameters, tiles, tolerance);
        Self { gradient, decay, integrator, started: false, accounts: Accounts::default() }
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
        let (gradient, decay) = (&mut self.gradient, self.decay);
        let mut slope = |theta: &[Lane], out: &mut [Lane]| {
            gradient.evaluate(theta, out);
            downhill(out, theta, decay);
        };
        if !self.started {
            self.integrator.start(theta, from.time, &mut slope);
            self.started = true;
        }
        if !self.integrator.advance(to.time, theta, &mut slope, &mut || pulse(0)) {
            return false;
        }
        self.accounts.pass(theta, half);
        pulse(to.step - from.step)
    }
    fn accounts(&self, theta: &[Lane], out: &mut [Vec<Lane>]) {
        self.accounts.write(theta, &[], out);
    }
}

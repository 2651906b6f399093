//! Laws that step against a gradient: gradient-descent, sgd, gaussian-sgd, svag, and Langevin by Euler–Maruyama.
//!
//! All are v' = βv − h(ĝ + λθ), θ' = θ + v' with h, λ and β of the step ([`Training::gait`]). Gradient descent has ĝ = ∇L; sgd a mini-batch's mean; gaussian-sgd ĝ = ∇L + √f n with
//! n ~ N(0, C). Euler–Maruyama of dθ = −(∇L + λθ)dt + √(η f C) dW with h = η/m is θ' = θ − h(∇L + λθ) + √(h η f) n, the same with
//! ĝ = ∇L + √(m f) n, m times an iteration.

use crate::dynamics::accounts::{Accounts, Step};
use crate::dynamics::draws::Draws;
use crate::dynamics::in_rows::InRows;
use crate::dynamics::kernels::{add_scaled, descend, heavy_ball, look_ahead, scale_in_place};
use crate::dynamics::passes::RATE;
use crate::dynamics::svag::AmplifiedGradient;
use crate::dynamics::sweep::{FullGradient, GaussianGradient};
use crate::dynamics::{Clock, Gait, Stepper, Training, pause};
use crate::lanes::{Lane, Pass};
use crate::model::{Model, Scratch};
use std::ops::Range;
use std::sync::Arc;

/// Where ĝ comes from.
pub enum Source {
    /// ∇L.
    Full(FullGradient),
    /// A mini-batch's mean.
    Minibatch {
        /// The model.
        model: Arc<dyn Model>,
        /// Its working memory.
        scratch: Scratch,
        /// The batches.
        draws: Draws,
    },
    /// ∇L + σ n.
    Gaussian(GaussianGradient),
    /// That of SVAG.
    Amplified(AmplifiedGradient),
}

impl Source {
    /// Writes ĝ but for the factor that it returns.
    fn evaluate(&mut self, theta: &[Lane], gradient: &mut [Lane]) -> f64 {
        match self {
            Self::Full(full) => full.evaluate(theta, gradient),
            Self::Minibatch { model, scratch, draws } => {
                return model.gradient_to_scale(theta, draws.advance(), gradient, scratch);
            }
            Self::Gaussian(gaussian) => gaussian.evaluate(theta, gradient),
            Self::Amplified(amplified) => amplified.evaluate(theta, gradient),
        }
        1.0
    }
}

/// The stepper of these laws.
pub struct Descent {
    source: Source,
    training: Training,
    substeps: u32,
    gradient: Vec<Lane>,
    /// `[P][tiles]` where there is momentum, else empty.
    velocity: Vec<Lane>,
    accounts: Accounts,
    /// θ' − θ where accounts are kept of steps that look ahead.
    moved: Vec<Lane>,
    /// The whole step, and memory for its samples.
    pass: Option<(Pass, Vec<Lane>)>,
    /// What is kept as rows.
    rows: Option<InRows>,
}

impl Descent {
    /// Steps of the training's rate over `substeps` along `source`, for `len` vectors of θ; with a velocity if `heavy`.
    pub fn new(source: Source, training: Training, substeps: u32, heavy: bool, len: usize) -> Self {
        let velocity = if heavy { vec![Lane::default(); len] } else { Vec::new() };
        let (gradient, accounts) = (vec![Lane::default(); len], Accounts::default());
        let (pass, rows, moved) = (None, None, Vec::new());
        Self { source, training, substeps, gradient, velocity, accounts, moved, pass, rows }
    }

    /// Goes by a pass where there is one: for steps without accounts, from `samples` vectors of samples.
    pub fn by(self, pass: Option<Pass>, samples: usize) -> Self {
        let pass = pass.map(|pass| (pass, vec![Lane::default(); samples]));
        Self { pass, ..self }
    }

    /// Keeps elements of θ [as rows](Model::in_rows) between instants, in blocks of `tiles` vectors: for mini-batches of a table, and steps
    /// without accounts.
    pub fn keeping(self, rows: Option<&Range<usize>>, tiles: usize) -> Self {
        let rows = rows.map(|elements| InRows::new(elements, !self.velocity.is_empty(), tiles));
        Self { rows, ..self }
    }

    /// Keeps these accounts.
    pub fn with(self, accounts: Accounts) -> Self {
        Self { accounts, ..self }
    }

    /// One step: this is where θ, the applied gradient ĝ (its noise included), and θ' are at hand together.
    fn step(&mut self, theta: &mut [Lane], gait: &Gait) {
        let Gait { rate, time, decay, momentum, ahead } = *gait;
        if let Some((pass, samples)) = &mut self.pass {
            pass.set(RATE, rate);
            let velocity = &mut self.velocity[..];
            return match &mut self.source {
                Source::Minibatch { draws, .. } => {
                    draws.with_all(samples, |rows| pass.run(theta, velocity, rows, &[]));
                }
                Source::Gaussian(gaussian) => pass.run(theta, velocity, &[], gaussian.normals()),
                Source::Full(_) | Source::Amplified(_) => unreachable!("these have no passes"),
            };
        }
        if let (Some(rows), Source::Minibatch { model, scratch, draws }) = (&mut self.rows, &mut self.source)
        {
            let Self { gradient, velocity, .. } = self;
            let mut turned = rows.step(rate, decay, momentum);
            let factor = model.step_in_rows(theta, draws.advance(), gradient, &mut turned, scratch);
            for lanes in rows.others(theta.len()) {
                let velocity = velocity.get_mut(lanes.clone()).unwrap_or_default();
                let (theta, gradient) = (&mut theta[lanes.clone()], &gradient[lanes]);
                step_along(theta, velocity, gradient, factor, gait);
            }
            return;
        }
        let mut factor = self.source.evaluate(theta, &mut self.gradient);
        let Self { gradient, velocity, accounts, moved, .. } = self;
        if !accounts.is_empty() {
            scale_in_place(gradient, std::mem::replace(&mut factor, 1.0));
            accounts.before(&Step { theta, velocity, gradient, rate, time, decay, momentum, ahead });
            if ahead != 0.0 {
                moved.resize(theta.len(), Lane::default());
                moved.copy_from_slice(theta);
            }
        }
        step_along(theta, velocity, gradient, factor, gait);
        if !accounts.is_empty() {
            if ahead == 0.0 {
                accounts.after(velocity, velocity);
            } else {
                scale_in_place(moved, -1.0);
                add_scaled(moved, theta, 1.0);
                accounts.after(velocity, moved);
            }
        }
    }
}

/// The step along a given gradient.
fn step_along(theta: &mut [Lane], velocity: &mut [Lane], gradient: &[Lane], factor: f64, gait: &Gait) {
    let Gait { rate, decay, momentum, ahead, .. } = *gait;
    if velocity.is_empty() {
        descend(theta, gradient, factor, rate, decay);
    } else if ahead == 0.0 {
        heavy_ball(theta, velocity, gradient, factor, rate, decay, momentum);
    } else {
        look_ahead(theta, velocity, gradient, factor, gait);
    }
}

impl Stepper for Descent {
    fn velocity(&self) -> &[Lane] {
        &self.velocity
    }

    fn advance(
        &mut self,
        theta: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        self.accounts.begin(theta, from.step);
        if let Some(rows) = &mut self.rows {
            rows.begin(theta);
        }
        for iteration in from.step..to.step {
            let mut gait = self.training.gait(iteration);
            gait.rate /= f64::from(self.substeps);
            gait.time /= f64::from(self.substeps);
            for substep in 0..self.substeps {
                self.step(theta, &gait);
                if pause(substep) && !pulse(0) {
                    return false;
                }
            }
            if !pulse(1) {
                return false;
            }
        }
        if let Some(rows) = &self.rows {
            rows.leave(theta, &mut self.velocity);
        }
        true
    }
    fn accounts(&self, theta: &[Lane], out: &mut [Vec<Lane>]) {
        self.accounts.write(theta, &self.velocity, out);
    }
}

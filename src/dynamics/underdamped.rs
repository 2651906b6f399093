//! The Langevin equation with inertia, dθ = (v/η)dt, dv = −γ(v/η)dt − (∇L + λθ)dt + √(ηfC(θ)) dW, by BAOAB.
//!
//! On the clock t = kη the heavy ball v' = βv − η(ĝ + λθ), θ' = θ + v' moves at the velocity u = v/η: its v is the momentum of a mass η, its
//! friction is γ = 1 − β, and its force has the noise fC a step, ηfC a time. Where inertia does not matter this is
//! γ dθ = −(∇L + λθ)dt + √(ηfC) dW.
//!
//! The splitting (Leimkuhler & Matthews 2013, Appl. Math. Res. Express 2013, 34): half a kick by the force, half a drift, the friction and the noise
//! by their exact law at the θ in between, half a drift, half a kick. Weak order 2.

use std::sync::Arc;

use crate::dynamics::accounts::Accounts;
use crate::dynamics::kernels::{add_scaled, scale};
use crate::dynamics::sweep::{FullGradient, NoisyNodes};
use crate::dynamics::{Clock, Schedule, Stepper, pause};
use crate::lanes::math::scalar::expm1;
use crate::lanes::{Lane, Normals};
use crate::model::{Model, Scratch};

/// What the equation is made of.
#[derive(Clone)]
pub struct Inertia {
    /// The loss.
    pub model: Arc<dyn Model>,
    /// η.
    pub rate: Schedule,
    /// Steps an iteration.
    pub substeps: u32,
    /// λ.
    pub decay: f64,
    /// f.
    pub factor: f64,
    /// γ.
    pub friction: f64,
}

/// The stepper.
pub struct Underdamped {
    inertia: Inertia,
    gradient: FullGradient,
    normals: Normals,
    roots: Vec<f64>,
    scratch: Scratch,
    momentum: Vec<Lane>,
    /// ∇L + λθ at the present θ, once it is known.
    force: Vec<Lane>,
    known: bool,
    noise: Vec<Lane>,
    xi: Vec<Lane>,
    sum: Vec<Lane>,
    accounts: Accounts,
}

impl Underdamped {
    /// For the replicas of `normals`.
    pub fn new(inertia: Inertia, normals: Normals) -> Self {
        let tiles = normals.tiles();
        let model = &inertia.model;
        let weights = &model.population().nodes.weights;
        let state = vec![Lane::default(); model.layout().len() * tiles];
        Self {
            gradient: FullGradient::new(model.clone(), tiles),
            roots: weights.iter().map(|w| w.sqrt()).collect(),
            scratch: model.scratch(tiles),
            momentum: state.clone(),
            force: state.clone(),
            known: false,
            noise: state,
            xi: vec![Lane::default(); weights.len() * tiles],
            sum: vec![Lane::default(); tiles],
            normals,
            inertia,
            accounts: Accounts::default(),
        }
    }

    /// Keeps these accounts.
    pub fn with(self, accounts: Accounts) -> Self {
        Self { accounts, ..self }
    }

    fn step(&mut self, theta: &mut [Lane], rate: f64) {
        let h = rate / f64::from(self.inertia.substeps);
        let (friction, kick, half) = (self.inertia.friction, -0.5 * h, 0.5 * h / rate);
        if !self.known {
            self.measure(theta);
        }
        self.accounts.pass(theta, h);
        let decay = self.inertia.decay;
        for account in self.accounts.charges_mut() {
            account.kick(theta, -kick, decay);
        }
        add_scaled(&mut self.momentum, &self.force, kick);
        for account in self.accounts.charges_mut() {
            account.glide(theta, &self.momentum, half);
        }
        add_scaled(theta, &self.momentum, half);
        // v' = e^{−γh/η}v + n with Cov n = η²fC(1 − e^{−2γh/η})/(2γ).
        let left = 1.0 + expm1(-friction * h / rate);
        let spread =
            if friction > 0.0 { -expm1(-2.0 * friction * h / rate) / (2.0 * friction) } else { h / rate };
        self.normals.fill(&mut self.xi);
        let nodes = &self.inertia.model.population().nodes;
        let sigma = rate * (self.inertia.factor * spread).sqrt();
        let mut batch = NoisyNodes::new(nodes, &self.roots, &self.xi, &mut self.sum, 0.0, sigma);
        self.inertia.model.weighted_gradient(theta, &mut batch, &mut self.noise, &mut self.scratch);
        if self.accounts.expects() {
            self.accounts.expect_at(theta);
            self.accounts.drawn(&self.noise, 1.0 / (sigma * sigma));
        }
        for account in self.accounts.charges_mut() {
            account.friction(theta, &self.momentum, left);
        }
        scale(&mut self.force, &self.momentum, left);
        std::mem::swap(&mut self.force, &mut self.momentum);
        add_scaled(&mut self.momentum, &self.noise, 1.0);
        for account in self.accounts.charges_mut() {
            account.glide(theta, &self.momentum, half);
        }
        add_scaled(theta, &self.momentum, half);
        self.measure(theta);
        for account in self.accounts.charges_mut() {
            account.kick(theta, -kick, decay);
        }
        add_scaled(&mut self.momentum, &self.force, kick);
    }

    fn measure(&mut self, theta: &[Lane]) {
        self.gradient.evaluate(theta, &mut self.force);
        add_scaled(&mut self.force, theta, self.inertia.decay);
        self.known = true;
    }
}

impl Stepper for Underdamped {
    fn velocity(&self) -> &[Lane] {
        &self.momentum
    }

    fn advance(
        &mut self,
        theta: &mut [Lane],
        from: Clock,
        to: Clock,
        pulse: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        self.accounts.begin(theta, from.step);
        for iteration in from.step..to.step {
            let rate = self.inertia.rate.at(iteration);
            for substep in 0..self.inertia.substeps {
                self.step(theta, rate);
                if pause(substep) && !pulse(0) {
                    return false;
                }
            }
            if !pulse(1) {
                return false;
            }
        }
        true
    }
    fn accounts(&self, theta: &[Lane], out: &mut [Vec<Lane>]) {
        self.accounts.write(theta, &self.momentum, out);
    }
}

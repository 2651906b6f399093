//! Sums over every step of what changes a charge C = c(θ), a quadratic form whose symmetry the loss has: θᵀA∇ℓ(θ; z) = 0 for every sample.
//!
//! With λ the coefficient of the decay's force and B(x, y) the polar form of c, each step θ → θ' does exactly
//!
//! - without momentum, θ' = ρθ − ηĝ, ρ = 1 − ηλ: `C' − C = (ρ² − 1)C + c(ηĝ)`;
//! - with it, v' = βv − η(ĝ + λθ), θ' = θ + v': `C' − C = −2ηλC + 2βm + c(v')` and `m' = βm − ηλC + c(v')`, m = B(θ, v).
//!
//! The cross term 2B(θ, ηĝ) is absent because of the symmetry alone. Euler–Maruyama's ĝ includes its noise, so that the law for a Langevin equation
//! says beside this that the martingale part −2√(η f) θᵀAΣ^{1/2}dW vanishes. Gradient flow has C(t) = C(0)e^{−2λt}.
//!
//! The law of ĝ says more, for independent minibatches: `⟨c(ĝ)⟩ = c(∇L) + σ²(⟨c(∇ℓ)⟩ − c(∇L))` at given θ, σ² = f for SGD; in Itô's form
//! dC = −2λC dt + η f Tr[ΣA] dt. It is compared at the first step after each recorded instant, as a share of the expected size of what cancels in c(ĝ), so
//! that no instant speaks louder than another.
//!
//! Source: arXiv 2402.07193, Prop. 5.1, with factors re-derived; with momentum, by the same expansion of c(θ + v').

use std::sync::Arc;

use crate::dynamics::kernels::add_scaled;
use crate::lanes::math::scalar::exp;
use crate::lanes::{Lane, flat, flat_mut, vectorized};
use crate::model::symmetry::{AbsoluteForm, GradientMoments, QuadraticForm};
use crate::model::{Model, Origin};

/// What is kept account of.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    /// C.
    charge: QuadraticForm,
    absolute: AbsoluteForm,
    /// Factor of the noise term: 1, or another for a wrong law.
    noise: f64,
    /// Factor of λ: 1, or another for a wrong law.
    decay: f64,
}

/// Where the numbers of a ledger are: rows of as many numbers as C has components, then single numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    components: usize,
}

impl Rows {
    /// Those of a charge with so many components.
    pub fn new(components: usize) -> Self {
        Self { components }
    }
    /// All numbers.
    pub fn len(self) -> usize {
        6 * self.components + 3
    }
    /// There is always a number.
    pub fn is_empty(self) -> bool {
        false
    }
    /// C less all that should have changed it.
    pub fn residual(self, component: usize) -> usize {
        component
    }
    /// Σ c(ηĝ), or Σ c(v').
    pub fn noise(self, component: usize) -> usize {
        self.components + component
    }
    /// Σ (ρ² − 1)C, or Σ −2ηλC.
    pub fn decay(self, component: usize) -> usize {
        2 * self.components + component
    }
    /// Σ 2βm.
    pub fn momentum(self, component: usize) -> usize {
        3 * self.components + component
    }
    /// m less all that should have changed it.
    pub fn momentum_residual(self, component: usize) -> usize {
        4 * self.components + component
    }
    /// Σ of c(ĝ) less its expectation, as a share of the expectation of what cancels in it, over first steps after recorded instants.
    pub fn surprise(self, component: usize) -> usize {
        5 * self.components + component
    }
    /// Σ |w x_i x_j| of the charge's terms: what cancels in C.
    pub fn size(self) -> usize {
        6 * self.components
    }
    /// The same of the noise terms, summed.
    pub fn activity(self) -> usize {
        6 * self.components + 1
    }
    /// Steps that are compared with their expectation.
    pub fn sampled(self) -> usize {
        6 * self.components + 2
    }
}

impl Ledger {
    /// The ledger of a charge; `noise` and `decay` are factors of the two terms, 1 for the law as it is.
    pub fn new(charge: QuadraticForm, noise: f64, decay: f64) -> Self {
        Self { absolute: charge.absolute(), charge, noise, decay }
    }
    /// Its rows.
    pub fn rows(&self) -> Rows {
        Rows::new(self.charge.shape().len())
    }
}

/// A step without momentum, before it is done.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// θ.
    pub theta: &'a [Lane],
    /// ĝ, with its noise and without decay.
    pub gradient: &'a [Lane],
    /// η, or the scheme's part of it.
    pub rate: f64,
    /// λ.
    pub decay: f64,
}

/// The accounts of one ledger for one block.
pub struct Account {
    ledger: Arc<Ledger>,
    tiles: usize,
    noise: Vec<Lane>,
    decay: Vec<Lane>,
    momentum: Vec<Lane>,
    /// Σ of what changes m.
    drive: Vec<Lane>,
    surprise: Vec<Lane>,
    activity: Vec<Lane>,
    sampled: Vec<Lane>,
}

impl Account {
    /// Empty, for blocks of `tiles` vectors.
    pub fn new(ledger: Arc<Ledger>, tiles: usize) -> Self {
        let components = ledger.charge.shape().len();
        let row = || vec![Lane::default(); components * tiles];
        let single = || vec![Lane::default(); tiles];
        Self {
            noise: row(),
            decay: row(),
            momentum: row(),
            drive: row(),
            surprise: row(),
            activity: single(),
            sampled: single(),
            ledger,
            tiles,
        }
    }

    /// A step without momentum.
    pub fn step(&mut self, step: Step<'_>) {
        let Ledger { charge, absolute, noise, decay } = &*self.ledger;
        let square = step.rate * step.rate;
        charge.add(step.gradient, noise * square, &mut self.noise, self.tiles);
        absolute.add(step.gradient, square, &mut self.activity, self.tiles);
        let rho = 1.0 - step.rate * (decay * step.decay);
        if step.decay != 0.0 {
            charge.add(step.theta, rho * rho - 1.0, &mut self.decay, self.tiles);
        }
    }

    /// Before a step with momentum: θ and v.
    pub fn before(&mut self, theta: &[Lane], velocity: &[Lane], rate: f64, decay: f64, momentum: f64) {
        let charge = &self.ledger.charge;
        charge.accumulate(theta, velocity, 2.0 * momentum, &mut self.momentum, self.tiles);
        charge.accumulate(theta, velocity, momentum - 1.0, &mut self.drive, self.tiles);
        if decay != 0.0 {
            let pull = -rate * (self.ledger.decay * decay);
            charge.add(theta, 2.0 * pull, &mut self.decay, self.tiles);
            charge.add(theta, pull, &mut self.drive, self.tiles);
        }
    }

    /// After a step with momentum: v'.
    pub fn after(&mut self, velocity: &[Lane]) {
        let Ledger { charge, absolute, noise, .. } = &*self.ledger;
        charge.add(velocity, *noise, &mut self.noise, self.tiles);
        charge.add(velocity, *noise, &mut self.drive, self.tiles);
        absolute.add(velocity, 1.0, &mut self.activity, self.tiles);
    }

    /// Gradient flow from θ on, for a time.
    pub fn flow(&mut self, theta: &[Lane], time: f64, decay: f64) {
        let factor = exp(-2.0 * time * (self.ledger.decay * decay)) - 1.0;
        self.ledger.charge.add(theta, factor, &mut self.decay, self.tiles);
    }

    /// Writes all rows, `[rows][tiles]`, at θ and v (empty without momentum).
    pub fn write(&self, theta: &[Lane], velocity: &[Lane], out: &mut [Lane]) {
        let (tiles, components) = (self.tiles, self.ledger.charge.shape().len());
        let row = components * tiles;
        out.fill(Lane::default());
        let (residual, rest) = out.split_at_mut(row);
        self.ledger.charge.add(theta, 1.0, residual, tiles);
        for sum in [&self.noise, &self.decay, &self.momentum] {
            add_scaled(residual, sum, -1.0);
        }
        for (to, sum) in rest.chunks_exact_mut(row).zip([&self.noise, &self.decay, &self.momentum]) {
            to.copy_from_slice(sum);
        }
        let rest = &mut rest[3 * row..];
        let (driven, rest) = rest.split_at_mut(row);
        if !velocity.is_empty() {
            self.ledger.charge.accumulate(theta, velocity, 1.0, driven, tiles);
            add_scaled(driven, &self.drive, -1.0);
        }
        let (surprise, rest) = rest.split_at_mut(row);
        surprise.copy_from_slice(&self.surprise);
        self.ledger.absolute.add(theta, 1.0, &mut rest[..tiles], tiles);
        rest[tiles..2 * tiles].copy_from_slice(&self.activity);
        rest[2 * tiles..].copy_from_slice(&self.sampled);
    }
}

/// The accounts of a block, and what ĝ is expected to do to them; empty where nobody asked.
#[derive(Default)]
pub struct Accounts {
    /// One a ledger.
    pub list: Vec<Account>,
    expectation: Option<Expectation>,
}

/// ⟨c(ĝ)⟩ = c(∇L) + σ²(⟨c(∇ℓ)⟩ − c(∇L)) at given θ, of all charges one behind the other.
struct Expectation {
    moments: GradientMoments,
    /// σ².
    variance: f64,
    /// Of each charge and, behind it, of what cancels in it.
    expected: Vec<Lane>,
    mean: Vec<Lane>,
    /// What was drawn less what was expected.
    drawn: Vec<Lane>,
    /// The next step is compared.
    due: bool,
}

impl Accounts {
    /// Accounts of these ledgers. `variance` is σ² of a gradient with the covariance σ²Σ at given θ, `None` where its law depends on the past.
    pub fn new(ledgers: &[Arc<Ledger>], model: &Arc<dyn Model>, variance: Option<f64>, tiles: usize) -> Self {
        let list: Vec<Account> = ledgers.iter().map(|ledger| Account::new(ledger.clone(), tiles)).collect();
        // Nodes that are a sample of the population have a mean of their own.
        let known = !matches!(model.population().nodes.origin, Origin::Reference { .. });
        let expectation = variance.filter(|_| known && !list.is_empty()).map(|variance| {
            let bounds: Vec<QuadraticForm> = ledgers.iter().map(|ledger| ledger.charge.bound()).collect();
            let form =
                QuadraticForm::joined(ledgers.iter().zip(&bounds).flat_map(|(l, bound)| [&l.charge, bound]));
            let row = || vec![Lane::default(); form.shape().len() * tiles];
            let (expected, mean, drawn) = (row(), row(), row());
            let moments = GradientMoments::new(model.clone(), form, tiles);
            Expectation { moments, variance, expected, mean, drawn, due: false }
        });
        Self { list, expectation }
    }

    /// At a recorded instant: the step from θ will be compared with its expectation.
    pub fn expect(&mut self, theta: &[Lane]) {
        if let Some(expectation) = &mut self.expectation {
            expectation.evaluate(theta);
        }
    }

    /// ĝ of the step.
    pub fn drawn(&mut self, gradient: &[Lane]) {
        let Some(expectation) = self.expectation.as_mut().filter(|e| e.due) else { return };
        expectation.due = false;
        let (mut drawn, mut expected) = (&mut expectation.drawn[..], &expectation.expected[..]);
        for account in &mut self.list {
            let row = account.noise.len();
            let (difference, others) = drawn.split_at_mut(row + account.tiles);
            let (own, rest) = expected.split_at(row + account.tiles);
            (drawn, expected) = (others, rest);
            let difference = &mut difference[..row];
            difference.fill(Lane::default());
            account.ledger.charge.add(gradient, 1.0, difference, account.tiles);
            add_scaled(difference, &own[..row], -1.0);
            for (to, from) in
                account.surprise.chunks_exact_mut(account.tiles).zip(difference.chunks_exact(account.tiles))
            {
                add_share(to, from, &own[row..]);
            }
            add_share(&mut account.sampled, &own[row..], &own[row..]);
        }
    }
}

vectorized! {
    /// out ← out + x/size, where size is positive.
    fn add_share(out: &mut [Lane], x: &[Lane], size: &[Lane]) {
        for ((o, x), size) in flat_mut(out).iter_mut().zip(flat(x)).zip(flat(size)) {
            *o += if *size > 0.0 { x / size } else { 0.0 };
        }
    }
}

impl Expectation {
    fn evaluate(&mut self, theta: &[Lane]) {
        self.moments.evaluate(theta, &mut self.expected, &mut self.mean);
        for (expected, mean) in flat_mut(&mut self.expected).iter_mut().zip(flat(&self.mean)) {
            *expected = mean + self.variance * (*expected - mean);
        }
        self.due = true;
    }
}

//! Sums over every step of what changes a charge C = c(θ), a quadratic form whose symmetry the loss has: θᵀA∇ℓ(θ; z) = 0 for every sample.
//!
//! With λ the coefficient of the decay's force and B(x, y) the polar form of c, each step θ → θ' does exactly
//!
//! - without momentum, θ' = ρθ − ηĝ, ρ = 1 − ηλ: `C' − C = (ρ² − 1)C + c(ηĝ)`;
//! - with it, v' = βv − η(ĝ + λθ), θ' = θ + v': `C' − C = −2ηλC + 2βm + c(v')` and `m' = βm − ηλC + c(v')`, m = B(θ, v);
//! - with a look ahead (Nesterov's), θ' = θ + s, s = μv' − η(ĝ + λθ): `C' − C = −2(1 + μ)ηλC + 2μβm + c(s)` and `m' = βm − ηλC + B(s, v')`.
//!
//! η, λ, β and μ are those of the step: so it is with schedules, and in PyTorch's convention, whose steps are of these kinds.
//!
//! The cross term 2B(θ, ηĝ) is absent because of the symmetry alone. Euler–Maruyama's ĝ includes its noise, so that the law for a Langevin equation
//! says beside this that the martingale part −2√(η f) θᵀAΣ^{1/2}dW vanishes. Gradient flow has C(t) = C(0)e^{−2λt}.
//!
//! By Euler and Maruyama any other drift a and noise B dW of which the symmetry is known ([`Account::moved`]) has such steps, too: an `[sde]` with xᵀAB = 0 and
//! xᵀAa = −κC, for which κ stands where λ does; and the Langevin equation of order 2, whose drift −(∇U + (η/2)∇²U∇U), U = L + ½λ‖θ‖², is not
//! along gradients of samples: differentiating θᵀA∇L = 0 gives HAθ = −A∇L, so that 2θᵀA times it is −(2λ + ηλ²)C + ηc(∇L), and
//! `C' − C = h(−(2λ + ηλ²)C + ηc(∇L)) + c(Δ)` for a step Δ of length h. In Itô's form it has what the steps of gradient descent add, η∇LᵀA∇L.
//!
//! The equation with inertia, dθ = (v/η)dt, dv = −γ(v/η)dt − (∇L + λθ)dt + √(ηfC) dW, has no noise in C nor in m = θᵀAv: `dC = (2/η)m dt`,
//! `dm = (c(v)/η − γm/η − λC)dt`, so that m + γC/2 changes by (c(v)/η − λC)dt. Each part of BAOAB does exactly its part of this: a half kick
//! m → m − ½hλC, a half glide of s = h/(2η) C → C + 2sm + s²c(v) and m → m + s c(v), friction and noise m → e^{−γh/η}m.
//!
//! Schemes that evaluate the equation several times in a step have no such steps: there Itô's drift, `dC = −2λC dt + ηf Tr[ΣA] dt`, is summed along the
//! path by the trapezoidal rule, and holds on average over paths to the scheme's order.
//!
//! The law of ĝ says more, for independent minibatches: `⟨c(ĝ)⟩ = c(∇L) + σ²(⟨c(∇ℓ)⟩ − c(∇L))` at given θ, σ² = f for SGD; in Itô's form
//! dC = −2λC dt + η f Tr[ΣA] dt. It is compared at the first step after each recorded instant, as a share of the expected size of what cancels in c(ĝ), so
//! that no instant speaks louder than another.
//!
//! Source: arXiv 2402.07193, Prop. 5.1, with factors re-derived; with momentum, by the same expansion of c(θ + v').

use std::sync::Arc;

use crate::dynamics::accounts::Step;
use crate::dynamics::kernels::add_scaled;
use crate::lanes::math::scalar::exp;
use crate::lanes::{Lane, flat, flat_mut, vectorized};
use crate::model::symmetry::{AbsoluteForm, QuadraticForm};

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
    /// κ of an equation whose drift a has xᵀAa(x) = −κC; 0 for a loss, whose decay is that of the training.
    relaxation: f64,
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
    /// C less all that should have changed it; where that is Itô's drift, less what it was at the start, too.
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
        Self { absolute: charge.absolute(), charge, noise, decay, relaxation: 0.0 }
    }
    /// The same for an equation that itself has dC = −2κC dt beside its noise.
    #[must_use]
    pub fn relaxing(self, relaxation: f64) -> Self {
        Self { relaxation, ..self }
    }
    /// Its rows.
    pub fn rows(&self) -> Rows {
        Rows::new(self.charge.shape().len())
    }
    /// C.
    pub fn charge(&self) -> &QuadraticForm {
        &self.charge
    }
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
    /// The residual counts from the start.
    relative: bool,
    /// C there, once the path has begun.
    start: Option<Vec<Lane>>,
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
            relative: false,
            start: None,
            ledger,
            tiles,
        }
    }

    /// What it is the account of.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// From now on the residual counts from the start.
    pub fn relative(&mut self) {
        self.relative = true;
    }

    /// The path goes on from θ; the first time, from its start.
    pub fn begin(&mut self, theta: &[Lane]) {
        let Self { ledger, noise, tiles, relative: true, start, .. } = self else { return };
        start.get_or_insert_with(|| {
            let mut start = vec![Lane::default(); noise.len()];
            ledger.charge.add(theta, 1.0, &mut start, *tiles);
            start
        });
    }

    /// A step without momentum.
    pub fn step(&mut self, step: &Step<'_>) {
        let Ledger { charge, absolute, noise, decay, .. } = &*self.ledger;
        let square = step.rate * step.rate;
        charge.add(step.gradient, noise * square, &mut self.noise, self.tiles);
        absolute.add(step.gradient, square, &mut self.activity, self.tiles);
        let rho = 1.0 - step.rate * (decay * step.decay);
        if step.decay != 0.0 {
            charge.add(step.theta, rho * rho - 1.0, &mut self.decay, self.tiles);
        }
    }

    /// Before a step with momentum: θ and v.
    pub fn before(&mut self, step: &Step<'_>) {
        let Step { theta, velocity, rate, decay, momentum, ahead, .. } = *step;
        let charge = &self.ledger.charge;
        let (reach, pulls) = if ahead == 0.0 { (1.0, 2.0) } else { (ahead, 2.0 * (1.0 + ahead)) };
        charge.accumulate(theta, velocity, 2.0 * momentum * reach, &mut self.momentum, self.tiles);
        charge.accumulate(theta, velocity, momentum - 1.0, &mut self.drive, self.tiles);
        if decay != 0.0 {
            let pull = -rate * (self.ledger.decay * decay);
            charge.add(theta, pulls * pull, &mut self.decay, self.tiles);
            charge.add(theta, pull, &mut self.drive, self.tiles);
        }
    }

    /// After a step with momentum: v' and s = θ' − θ, which is the same vector without a look ahead.
    pub fn after(&mut self, velocity: &[Lane], moved: &[Lane]) {
        let Ledger { charge, absolute, noise, .. } = &*self.ledger;
        charge.add(moved, *noise, &mut self.noise, self.tiles);
        if std::ptr::eq(velocity, moved) {
            charge.add(velocity, *noise, &mut self.drive, self.tiles);
        } else {
            charge.accumulate(moved, velocity, *noise, &mut self.drive, self.tiles);
        }
        absolute.add(moved, 1.0, &mut self.activity, self.tiles);
    }

    /// Gradient flow, or the exact law of an equation, from θ on, for a time.
    pub fn flow(&mut self, theta: &[Lane], time: f64, decay: f64) {
        let decay = self.ledger.decay * (decay + self.ledger.relaxation);
        let factor = exp(-2.0 * time * decay) - 1.0;
        self.ledger.charge.add(theta, factor, &mut self.decay, self.tiles);
    }

    /// A step of an equation by Euler and Maruyama, x' = x + Δ, of length h: C' − C = (ρ² − 1)C + c(Δ + hκx) with ρ = 1 − hκ and κ the decay of
    /// the equation or of the training. `rest` is worked in.
    pub fn moved(&mut self, x: &[Lane], step: &[Lane], rest: &mut [Lane], time: f64, decay: f64) {
        let decay = decay + self.ledger.relaxation;
        rest.copy_from_slice(step);
        add_scaled(rest, x, time * decay);
        let Ledger { charge, absolute, noise, decay: factor, .. } = &*self.ledger;
        charge.add(rest, *noise, &mut self.noise, self.tiles);
        absolute.add(rest, 1.0, &mut self.activity, self.tiles);
        let rho = 1.0 - time * (factor * decay);
        if decay != 0.0 {
            charge.add(x, rho * rho - 1.0, &mut self.decay, self.tiles);
        }
    }

    /// A step Δ by Euler and Maruyama whose drift's product with the charge is accounted for as a drift is: c(Δ).
    pub fn stepped(&mut self, step: &[Lane]) {
        let Ledger { charge, absolute, noise, .. } = &*self.ledger;
        charge.add(step, *noise, &mut self.noise, self.tiles);
        absolute.add(step, 1.0, &mut self.activity, self.tiles);
    }

    /// The noise's part of Itô's drift of C over a short time: its `rates`, `[components][tiles]`, and one row of the size of what cancels in them.
    pub fn spread(&mut self, time: f64, rates: &[Lane]) {
        let row = self.noise.len();
        add_scaled(&mut self.noise, &rates[..row], time * self.ledger.noise);
        add_scaled(&mut self.activity, &rates[row..], time);
    }

    /// The same of one column b of an equation's noise, c(b).
    pub fn spread_by(&mut self, time: f64, column: &[Lane]) {
        let Ledger { charge, absolute, noise, .. } = &*self.ledger;
        charge.add(column, noise * time, &mut self.noise, self.tiles);
        absolute.add(column, time, &mut self.activity, self.tiles);
    }

    /// The decay's part: −2κC, of a Langevin equation of order 2 −(2λ + ηλ²)C, with `bend` = η.
    pub fn relax(&mut self, x: &[Lane], time: f64, decay: f64, bend: f64) {
        let decay = self.ledger.decay * (decay + self.ledger.relaxation);
        if decay != 0.0 {
            let rate = -time * decay * (2.0 + bend * decay);
            self.ledger.charge.add(x, rate, &mut self.decay, self.tiles);
        }
    }

    /// Half a kick of a motion with inertia, v → v − h(∇L + λθ): m → m − hλC.
    pub fn kick(&mut self, theta: &[Lane], time: f64, decay: f64) {
        let pull = -time * (self.ledger.decay * decay);
        if pull != 0.0 {
            self.ledger.charge.add(theta, pull, &mut self.drive, self.tiles);
        }
    }

    /// Half a glide, θ → θ + sv: C → C + 2sm + s²c(v), m → m + s c(v).
    pub fn glide(&mut self, theta: &[Lane], velocity: &[Lane], share: f64) {
        let Ledger { charge, absolute, noise, .. } = &*self.ledger;
        charge.accumulate(theta, velocity, 2.0 * share, &mut self.momentum, self.tiles);
        charge.add(velocity, noise * share * share, &mut self.noise, self.tiles);
        charge.add(velocity, noise * share, &mut self.drive, self.tiles);
        absolute.add(velocity, share * share, &mut self.activity, self.tiles);
    }

    /// Friction and noise, v → ev + n: m → em.
    pub fn friction(&mut self, theta: &[Lane], velocity: &[Lane], left: f64) {
        self.ledger.charge.accumulate(theta, velocity, left - 1.0, &mut self.drive, self.tiles);
    }

    /// A gradient that was drawn, less what was expected of it: `expected` and `difference` have the charge's rows and, behind them, one of the
    /// expected size of what cancels; `scale` times the form's value is compared.
    pub fn compare(&mut self, gradient: &[Lane], scale: f64, expected: &[Lane], difference: &mut [Lane]) {
        let row = self.noise.len();
        let difference = &mut difference[..row];
        difference.fill(Lane::default());
        self.ledger.charge.add(gradient, scale, difference, self.tiles);
        add_scaled(difference, &expected[..row], -1.0);
        for (to, from) in self.surprise.chunks_exact_mut(self.tiles).zip(difference.chunks_exact(self.tiles))
        {
            add_share(to, from, &expected[row..]);
        }
        add_share(&mut self.sampled, &expected[row..], &expected[row..]);
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
        match &self.start {
            Some(start) => add_scaled(residual, start, -1.0),
            None if self.relative => residual.fill(Lane::default()),
            None => {}
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

vectorized! {
    /// out ← out + x/size, where size is positive.
    fn add_share(out: &mut [Lane], x: &[Lane], size: &[Lane]) {
        for ((o, x), size) in flat_mut(out).iter_mut().zip(flat(x)).zip(flat(size)) {
            *o += if *size > 0.0 { x / size } else { 0.0 };
        }
    }
}

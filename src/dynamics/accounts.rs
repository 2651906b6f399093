//! What is summed over every step of a path, and not only looked at in recorded instants: ledgers of charges ([`super::ledger`]), integrals of
//! observables, balances of whole epochs ([`super::balance`]), and first passages ([`super::passage`]).
//!
//! A stepper tells its [`Accounts`] of each step before it is done; where nobody asked for any, nothing is computed. No account changes a path.

use std::sync::Arc;

use crate::dynamics::balance::{Balance, BalanceAccount};
use crate::dynamics::draws::Block;
use crate::dynamics::kernels::add_scaled;
use crate::dynamics::ledger::{Account, Ledger};
use crate::dynamics::passage::{Passage, PassageAccount};
use crate::lanes::{Lane, flat, flat_mut};
use crate::model::formula::Function;
use crate::model::symmetry::{GradientMoments, QuadraticForm};
use crate::model::{Model, Origin, Scratch};

/// One thing that is kept account of.
#[derive(Clone)]
pub enum Book {
    /// What changes a charge.
    Ledger(Arc<Ledger>),
    /// ∫ f(θ) dt = Σ h f(θ) over steps of length h, f at the beginning of each (Itô's sum).
    Integral(Arc<Function>),
    /// What the steps of whole epochs bring in and take out.
    Balance(Arc<Balance>),
    /// When an observable first leaves.
    Passage(Arc<Passage>),
}

impl Book {
    /// Numbers a replica.
    pub fn rows(&self) -> usize {
        match self {
            Self::Ledger(ledger) => ledger.rows().len(),
            Self::Integral(function) => function.shape().len(),
            Self::Balance(balance) => balance.rows(),
            Self::Passage(_) => 1,
        }
    }
}

/// A step v' = βv − h(ĝ + λθ), θ' = θ + v', before it is done.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// θ.
    pub theta: &'a [Lane],
    /// v; empty where β = 0.
    pub velocity: &'a [Lane],
    /// ĝ, with its noise and without decay.
    pub gradient: &'a [Lane],
    /// h: η, or the scheme's part of it.
    pub rate: f64,
    /// The time that it takes: h but for a dampened one.
    pub time: f64,
    /// λ.
    pub decay: f64,
    /// β.
    pub momentum: f64,
    /// μ of a step θ' = θ + μv' − h(ĝ + λθ); 0 for θ' = θ + v'.
    pub ahead: f64,
}

/// What is known of ĝ at given θ: mean ∇L, covariance σ²Σ.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// σ².
    pub variance: f64,
    /// 1, or 0 for noise alone, of mean 0.
    pub mean: f64,
    /// It is so at steps k·`period` alone: the first of each epoch, whose minibatch knows nothing of the past.
    pub period: u64,
}

/// The accounts of a block.
#[derive(Default)]
pub struct Accounts {
    /// In the order in which they were asked for.
    pages: Vec<Page>,
    tiles: usize,
    expectation: Option<Expectation>,
    drift: Option<Drift>,
}

enum Page {
    Charge(Account),
    Integral(Integral),
    Balance(Box<BalanceAccount>),
    Passage(Box<PassageAccount>),
}

/// Σ h f.
struct Integral {
    function: Arc<Function>,
    scratch: Scratch,
    value: Vec<Lane>,
    sum: Vec<Lane>,
}

impl Integral {
    fn add(&mut self, theta: &[Lane], time: f64) {
        self.function.evaluate(theta, &mut self.value, &mut self.scratch);
        add_scaled(&mut self.sum, &self.value, time);
    }
}

impl Accounts {
    /// Accounts of these books for a block; `cycle` is the number of steps of an epoch, for balances, 0 where there are none.
    pub fn new(books: &[Book], cycle: u64, block: Block) -> Self {
        let tiles = block.tiles;
        let pages = books
            .iter()
            .map(|book| match book {
                Book::Ledger(ledger) => Page::Charge(Account::new(ledger.clone(), tiles)),
                Book::Integral(function) => {
                    let row = || vec![Lane::default(); function.shape().len() * tiles];
                    let scratch = function.scratch(tiles);
                    Page::Integral(Integral { function: function.clone(), scratch, value: row(), sum: row() })
                }
                Book::Balance(balance) => {
                    Page::Balance(Box::new(BalanceAccount::new(balance.clone(), cycle, tiles)))
                }
                Book::Passage(passage) => {
                    Page::Passage(Box::new(PassageAccount::new(passage.clone(), block)))
                }
            })
            .collect();
        Self { pages, tiles, ..Self::default() }
    }

    /// The same, with what is known of ĝ compared with what is drawn.
    #[must_use]
    pub fn expecting(mut self, model: &Arc<dyn Model>, noise: Noise) -> Self {
        let charges: Vec<QuadraticForm> = self.charges().map(|a| a.ledger().charge().clone()).collect();
        // Nodes that are a sample of the population have a mean of their own; without charges they need not be made.
        if !charges.is_empty() && !matches!(model.population().nodes.origin, Origin::Reference { .. }) {
            self.expectation = Some(Expectation::new(&charges, model, noise, self.tiles));
        }
        self
    }

    /// The same for a Langevin equation whose charges have Itô's drift alone, ηf Tr[ΣA] and, of order 2, η∇LᵀA∇L with it.
    #[must_use]
    pub fn drifting(mut self, model: &Arc<dyn Model>, factor: f64, second_order: bool) -> Self {
        let charges: Vec<QuadraticForm> = self.charges().map(|a| a.ledger().charge().clone()).collect();
        if !charges.is_empty() {
            let (form, widths) = bounded(&charges);
            let row = || vec![Lane::default(); form.shape().len() * self.tiles];
            let (rates, mean) = (row(), row());
            let moments = GradientMoments::new(model.clone(), form, self.tiles);
            self.drift = Some(Drift { moments, factor, second_order, widths, rates, mean });
        }
        self
    }

    /// Charges are kept account of.
    pub fn has_charges(&self) -> bool {
        self.charges().next().is_some()
    }

    /// A short time of a Langevin equation from θ on, with the decay λ.
    pub fn drift(&mut self, theta: &[Lane], time: f64, rate: f64, decay: f64) {
        let Some(drift) = &mut self.drift else { return };
        drift.evaluate(theta, rate);
        let Drift { rates, widths, second_order, .. } = drift;
        let bend = if *second_order { rate } else { 0.0 };
        let mut at = 0;
        for (account, width) in charges_of(&mut self.pages).zip(widths.iter()) {
            let end = at + (width + 1) * self.tiles;
            account.spread(time, &rates[at..end]);
            account.relax(theta, time, decay, bend);
            at = end;
        }
    }

    /// Nobody asked for any.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    fn charges(&self) -> impl Iterator<Item = &Account> {
        self.pages
            .iter()
            .filter_map(|page| if let Page::Charge(account) = page { Some(account) } else { None })
    }

    /// The accounts of charges.
    pub fn charges_mut(&mut self) -> impl Iterator<Item = &mut Account> {
        charges_of(&mut self.pages)
    }

    /// At a recorded instant, before iteration `step`: the gradient drawn next will be compared with its expectation.
    pub fn begin(&mut self, theta: &[Lane], step: u64) {
        for page in &mut self.pages {
            match page {
                Page::Balance(account) => account.begin(),
                Page::Charge(account) => account.begin(theta),
                Page::Integral(_) | Page::Passage(_) => {}
            }
        }
        if let Some(expectation) = &mut self.expectation
            && step.is_multiple_of(expectation.noise.period)
        {
            expectation.evaluate(theta);
        }
    }

    /// True if the expectation of the next gradient is to be taken now, at a θ of the stepper's choice ([`Accounts::expect_at`]).
    pub fn expects(&self) -> bool {
        self.expectation.as_ref().is_some_and(|e| e.due)
    }

    /// Takes the expectation at another θ than that of [`Accounts::begin`].
    pub fn expect_at(&mut self, theta: &[Lane]) {
        if let Some(expectation) = &mut self.expectation {
            expectation.evaluate(theta);
        }
    }

    /// A step of descent, before it is done; what there is to do after it, [`Accounts::after`] does.
    pub fn before(&mut self, step: &Step<'_>) {
        self.drawn(step.gradient, 1.0);
        self.pass(step.theta, step.time);
        for page in &mut self.pages {
            match page {
                Page::Charge(account) if step.velocity.is_empty() => account.step(step),
                Page::Charge(account) => account.before(step),
                Page::Balance(account) => account.step(step),
                Page::Integral(_) | Page::Passage(_) => {}
            }
        }
    }

    /// After a step of descent: v', empty where there is none, and θ' − θ.
    pub fn after(&mut self, velocity: &[Lane], moved: &[Lane]) {
        if !velocity.is_empty() {
            for account in self.charges_mut() {
                account.after(velocity, moved);
            }
        }
    }

    /// For integrals and passages: from θ on, for a time.
    pub fn pass(&mut self, theta: &[Lane], time: f64) {
        for page in &mut self.pages {
            match page {
                Page::Integral(integral) => integral.add(theta, time),
                Page::Passage(account) => account.step(theta, time),
                Page::Charge(_) | Page::Balance(_) => {}
            }
        }
    }

    /// A gradient, `scale` times the form of which is compared with its expectation, where one is due.
    pub fn drawn(&mut self, gradient: &[Lane], scale: f64) {
        let Some(expectation) = self.expectation.as_mut().filter(|e| e.due) else { return };
        expectation.due = false;
        let Expectation { drawn, expected, widths, .. } = expectation;
        let mut at = 0;
        for (account, width) in charges_of(&mut self.pages).zip(widths.iter()) {
            let end = at + (width + 1) * self.tiles;
            account.compare(gradient, scale, &expected[at..end], &mut drawn[at..end]);
            at = end;
        }
    }

    /// Writes all rows, `[rows][tiles]` for each book, at θ and v (empty without momentum).
    pub fn write(&self, theta: &[Lane], velocity: &[Lane], out: &mut [Vec<Lane>]) {
        for (page, out) in self.pages.iter().zip(out) {
            match page {
                Page::Charge(account) => account.write(theta, velocity, out),
                Page::Integral(integral) => out.copy_from_slice(&integral.sum),
                Page::Passage(account) => account.write(theta, out),
                Page::Balance(account) => account.write(out),
            }
        }
    }
}

fn charges_of(pages: &mut [Page]) -> impl Iterator<Item = &mut Account> {
    pages.iter_mut().filter_map(|page| if let Page::Charge(account) = page { Some(account) } else { None })
}

/// Each charge and, behind it, a bound of what cancels in it, with the charges' components.
fn bounded(charges: &[QuadraticForm]) -> (QuadraticForm, Vec<usize>) {
    let bounds: Vec<QuadraticForm> = charges.iter().map(QuadraticForm::bound).collect();
    let form = QuadraticForm::joined(charges.iter().zip(&bounds).flat_map(|(charge, bound)| [charge, bound]));
    (form, charges.iter().map(|c| c.shape().len()).collect())
}

/// ηf(⟨c(∇ℓ)⟩ − c(∇L)), of order 2 with ηc(∇L).
struct Drift {
    moments: GradientMoments,
    factor: f64,
    second_order: bool,
    widths: Vec<usize>,
    rates: Vec<Lane>,
    mean: Vec<Lane>,
}

impl Drift {
    fn evaluate(&mut self, theta: &[Lane], rate: f64) {
        self.moments.evaluate(theta, &mut self.rates, &mut self.mean);
        let (noise, drift) = (rate * self.factor, if self.second_order { rate } else { 0.0 });
        for (second, mean) in flat_mut(&mut self.rates).iter_mut().zip(flat(&self.mean)) {
            *second = noise * (*second - mean) + drift * mean;
        }
    }
}

/// ⟨c(ĝ)⟩ = c(∇L) + σ²(⟨c(∇ℓ)⟩ − c(∇L)) at given θ, of all charges one behind the other.
struct Expectation {
    moments: GradientMoments,
    noise: Noise,
    /// Components of each charge.
    widths: Vec<usize>,
    /// Of each charge and, behind it, of what cancels in it.
    expected: Vec<Lane>,
    mean: Vec<Lane>,
    /// What was drawn less what was expected.
    drawn: Vec<Lane>,
    /// The next step is compared.
    due: bool,
}

impl Expectation {
    fn new(charges: &[QuadraticForm], model: &Arc<dyn Model>, noise: Noise, tiles: usize) -> Self {
        let (form, widths) = bounded(charges);
        let row = || vec![Lane::default(); form.shape().len() * tiles];
        let (expected, mean, drawn) = (row(), row(), row());
        let moments = GradientMoments::new(model.clone(), form, tiles);
        Self { moments, noise, widths, expected, mean, drawn, due: false }
    }

    fn evaluate(&mut self, theta: &[Lane]) {
        self.moments.evaluate(theta, &mut self.expected, &mut self.mean);
        let Noise { variance, mean: share, .. } = self.noise;
        for (expected, mean) in flat_mut(&mut self.expected).iter_mut().zip(flat(&self.mean)) {
            *expected = share * mean + variance * (*expected - mean);
        }
        self.due = true;
    }
}

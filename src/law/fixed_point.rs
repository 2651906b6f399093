//! `fixed-point`: along the orbit θ → e^{λA}θ of a symmetry the state comes to the one place where decay and noise leave the charge alone, from any
//! start ([`crate::model::symmetry::Balance`]).
//!
//! At the end of each path λ* says how far along the orbit the fixed point still is; its mean must be 0 within the tolerance in every group of starts, and
//! the groups must agree. Groups are those of `[starts]`, or else the halves of the ensemble with the lower and with the higher λ* at the start.
//! With a `value` the claim is about one instant instead: λ* at the start, or at the end, is that number.
//! The noise of the study's training is what is asked for, whatever the law of motion: a law without noise stays where it
//! started, and fails. Of leading order in η: s and q are those of the end state, not of the orbit's average.

use super::measure::{Run, certain, strided};
use super::number::short;
use super::rounding::{NOTHING, Rounding};
use super::settle::{Question, Settled, settle};
use super::value::evaluate;
use super::verdict::{Kind, Test, Verdict};
use crate::dynamics::{Law, Training};
use crate::model::symmetry::{Balance, Spectrum};
use crate::scheme::Scheme;
use crate::stats::Estimate;
use crate::study::{FixedPointValue, System};

/// What the claim says.
pub(super) struct FixedPoint<'a> {
    pub symmetry: &'a str,
    pub spectra: &'a [Spectrum],
    pub moments: &'a str,
    /// λ* of one instant, in place of the law that every start comes to 0.
    pub value: Option<&'a FixedPointValue>,
    pub tolerance: f64,
}

/// Judges the claim for one dynamics.
pub(super) fn judge(claim: &FixedPoint, run: &Run, significance: f64) -> Settled {
    attempt(claim, run, significance)
        .unwrap_or_else(|reason| Settled::without_tests(Verdict::Undecided, reason))
}

fn attempt(claim: &FixedPoint, run: &Run, significance: f64) -> Result<Settled, String> {
    let observable = run.observable(claim.moments)?;
    let training = run.dynamics.training.as_ref().ok_or("there is no training to balance")?;
    if let System::Loss(loss) = &run.study.system
        && training.uneven(loss.model.population())
    {
        return Err("no fixed point is known for epochs of rows with fresh draws beside them".to_owned());
    }
    if matches!(run.dynamics.law, Law::Underdamped { friction: 0.0, .. }) {
        return Err(
            "without friction the noise moves the charge faster and faster: there is no balance".to_owned()
        );
    }
    let weights = Weights::new(run, &training.plain_ball()?);
    let total: usize = claim.spectra.iter().map(|s| s.eigenvalues.len()).sum();
    let column = |which: usize| strided(&observable.last, which, observable.components());
    let mut tests = Vec::new();
    let mut questions = Vec::new();
    let mut widest = 0.0_f64;
    let mut shares = Vec::new();
    let mut before = 0;
    for spectrum in claim.spectra {
        let count = spectrum.eigenvalues.len();
        let at = |half: usize| -> Vec<Option<f64>> {
            let rows = |part: usize| -> Vec<Vec<f64>> {
                (0..count).map(|i| column((3 * half + part) * total + before + i)).collect()
            };
            let (squares, second, mean) = (rows(0), rows(1), rows(2));
            (0..squares.first().map_or(0, Vec::len))
                .map(|r| {
                    let pick = |rows: &[Vec<f64>]| rows.iter().map(|row| row[r]).collect::<Vec<f64>>();
                    weights.fixed_point(&spectrum.eigenvalues, &pick(&squares), &pick(&second), &pick(&mean))
                })
                .collect()
        };
        let (start, end) = (at(0), at(1));
        before += count;
        let name = format!("λ* of {}{}", claim.symmetry, spectrum.name);
        if let Some(value) = claim.value {
            let found = if value.at_end { &end } else { &start };
            let share = existence(&name, found);
            if share.verdict == Verdict::Holds {
                questions.push(stated(claim, value, run, &name, found)?);
            }
            shares.push(share);
            continue;
        }
        let share = existence(&name, &end);
        let exists = share.verdict == Verdict::Holds;
        shares.push(share);
        if !exists {
            continue;
        }
        let end: Vec<f64> = end.into_iter().flatten().collect();
        let groups = Groups::new(run, &start);
        widest = widest.max(groups.spread(&start));
        questions.extend(groups.questions(run, &name, &start, &end, claim.tolerance));
    }
    let settled = settle(questions, significance);
    tests.extend(settled.tests);
    tests.extend(shares);
    let fails = tests.iter().any(|t| t.verdict == Verdict::Fails);
    let (verdict, reason) = match (fails, settled.verdict) {
        (true, _) => (Verdict::Fails, None),
        (false, Verdict::Holds) if claim.value.is_none() && widest <= 2.0 * claim.tolerance => {
            let reason = format!(
                "the groups of starts differ by {} in λ* to begin with, no more than twice the tolerance, so that nothing is seen of \
                 attraction: spread the starts ([starts], or a law with scatter)",
                short(widest)
            );
            (Verdict::Undecided, Some(reason))
        }
        (false, verdict) => (verdict, settled.reason),
    };
    Ok(Settled { tests, verdict, reason, slack: Vec::new() })
}

/// The mean λ* of one instant against the value that is claimed.
fn stated(
    claim: &FixedPoint,
    value: &FixedPointValue,
    run: &Run,
    name: &str,
    found: &[Option<f64>],
) -> Result<Question, String> {
    let own: Vec<f64> = found.iter().copied().flatten().collect();
    let predicted = *evaluate(&value.formula, run)?.first().ok_or("the value is empty")?;
    let estimate = Estimate::of_sample(&own);
    // One fixed start, or paths of a law without noise: nothing scatters.
    let alike = own.windows(2).all(|w| w[0] == w[1]);
    let estimate = if alike { Estimate { standard_error: 0.0, ..estimate } } else { estimate };
    Ok(Question {
        quantity: format!("{name} at the {}", if value.at_end { "end" } else { "start" }),
        estimate: certain(run, estimate),
        prediction_error: 0.0,
        squared: None,
        predicted,
        tolerance: Some(claim.tolerance),
        resolution: 0.0,
        rounding: Rounding { own: NOTHING * own.iter().fold(0.0_f64, |m, x| m.max(x.abs())), floor: NOTHING },
        note: Some(format!("mean over {} replicas", estimate.units)),
        doubt: None,
        averaged: false,
    })
}

/// Every path's end has a fixed point on its orbit; there is never more than one.
fn existence(name: &str, end: &[Option<f64>]) -> Test {
    let found = end.iter().flatten().count();
    let verdict = if found == end.len() && found > 0 { Verdict::Holds } else { Verdict::Fails };
    Test {
        quantity: format!("share of replicas that have a {name}"),
        measured: found as f64 / end.len().max(1) as f64,
        standard_error: 0.0,
        predicted: 1.0,
        tolerance: 0.0,
        p_value: f64::from(u8::from(verdict == Verdict::Holds)),
        kind: Kind::Exact,
        verdict,
        note: (verdict == Verdict::Fails)
            .then(|| "elsewhere decay and noise move the charge to one side only, without end".to_owned()),
    }
}

/// What decay and noise weigh, per unit t: dC/dt = −decay·C + noise·(f·variance + share·mean²).
struct Weights {
    decay: f64,
    noise: f64,
    /// f.
    factor: f64,
    /// Share of ∇L∇Lᵀ that a step feels: 1 for whole steps, 1/m for m to an iteration, 0 for flow.
    share: f64,
}

impl Weights {
    fn new(run: &Run, training: &Training) -> Self {
        let population = match &run.study.system {
            System::Loss(loss) => loss.model.population().size(),
            System::Sde(_) => None,
        };
        let (rate, lambda) = (training.rate.last(), training.decay.force());
        let factor = training.noise_factor(population);
        let law = &run.dynamics.law;
        let (friction, share) = match law {
            Law::GradientFlow { .. } => (1.0, 0.0),
            Law::Underdamped { friction, .. } => (*friction, 0.0),
            // The drift of order 2 is that of whole steps; other schemes than Euler and Maruyama's add nothing to order 1.
            Law::Langevin { order: 2, .. } => (1.0, 1.0),
            Law::Langevin { method, .. } if method.scheme != Scheme::EulerMaruyama => (1.0, 0.0),
            _ => (1.0 - training.momentum, 1.0 / f64::from(law.substeps().0)),
        };
        // (1 − ρ²)/h without inertia, ρ = 1 − hλ; of order 2, 2λ + ηλ²; with inertia 2λ, and the noise counts 1/(1 − β), or 1/γ, times as much.
        let bend = if matches!(law, Law::Langevin { order: 2, .. }) { rate } else { -share * rate };
        let decay =
            if law.inertial(training.momentum) { 2.0 * lambda } else { lambda * (2.0 + bend * lambda) };
        Self { decay, noise: rate / friction, factor, share }
    }

    fn fixed_point(&self, eigenvalues: &[f64], squares: &[f64], second: &[f64], mean: &[f64]) -> Option<f64> {
        let decay: Vec<f64> = squares.iter().map(|q| self.decay * q).collect();
        let noise: Vec<f64> = second
            .iter()
            .zip(mean)
            .map(|(second, mean)| self.noise * (self.factor * (second - mean).max(0.0) + self.share * mean))
            .collect();
        Balance { eigenvalues, decay: &decay, noise: &noise }.fixed_point()
    }
}

/// Groups of replicas by where they started.
struct Groups {
    names: Vec<String>,
    /// Group of each replica.
    of: Vec<usize>,
}

impl Groups {
    fn new(run: &Run, start: &[Option<f64>]) -> Self {
        let starts = &run.study.starts;
        if starts.len() > 1 {
            let names = starts.iter().map(|s| s.name.clone()).collect();
            return Self { names, of: (0..start.len()).map(|r| r % starts.len()).collect() };
        }
        let mut sorted: Vec<f64> = start.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else {
            return Self { names: vec![String::new()], of: vec![0; start.len()] };
        };
        if high - low < 1e-9 {
            return Self { names: vec![String::new()], of: vec![0; start.len()] };
        }
        let median = sorted[sorted.len() / 2];
        let of = start.iter().map(|s| usize::from(s.is_some_and(|s| s >= median))).collect();
        Self { names: vec!["low starts".to_owned(), "high starts".to_owned()], of }
    }

    fn members(&self, group: usize, values: &[f64]) -> Vec<f64> {
        values.iter().zip(&self.of).filter(|(_, g)| **g == group).map(|(x, _)| *x).collect()
    }

    /// Mean λ* at the start, of the replicas that have one.
    fn started(&self, group: usize, start: &[Option<f64>]) -> f64 {
        let own: Vec<f64> =
            start.iter().zip(&self.of).filter(|(_, g)| **g == group).filter_map(|(s, _)| *s).collect();
        if own.is_empty() { f64::NAN } else { own.iter().sum::<f64>() / own.len() as f64 }
    }

    /// Largest distance between groups at the start, or of one group from its fixed point; a group without a fixed point is far from all.
    fn spread(&self, start: &[Option<f64>]) -> f64 {
        let means: Vec<f64> = (0..self.names.len()).map(|g| self.started(g, start)).collect();
        if means.len() == 1 {
            return 0.0;
        }
        if means.iter().any(|m| m.is_nan()) {
            return f64::INFINITY;
        }
        means.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x))
            - means.iter().fold(f64::INFINITY, |m, x| m.min(*x))
    }

    fn questions(
        &self,
        run: &Run,
        name: &str,
        start: &[Option<f64>],
        end: &[f64],
        tolerance: f64,
    ) -> Vec<Question> {
        let here = end.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        let question = |quantity: String, estimate: Estimate, note: String| Question {
            quantity,
            estimate: certain(run, estimate),
            prediction_error: 0.0,
            squared: None,
            predicted: 0.0,
            tolerance: Some(tolerance),
            resolution: 0.0,
            rounding: Rounding { own: NOTHING * here, floor: NOTHING },
            note: Some(note),
            doubt: None,
            averaged: false,
        };
        let estimates: Vec<Estimate> = (0..self.names.len())
            .map(|group| {
                let own = self.members(group, end);
                let estimate = Estimate::of_sample(&own);
                // Paths of a law without noise from one place are alike.
                let alike = own.windows(2).all(|w| w[0] == w[1]) && run.dynamics.law.deterministic();
                if alike { Estimate { standard_error: 0.0, ..estimate } } else { estimate }
            })
            .collect();
        let mut questions = Vec::new();
        for (group, estimate) in estimates.iter().enumerate() {
            let label = &self.names[group];
            let quantity = if label.is_empty() {
                format!("{name} at the end")
            } else {
                format!("{name} at the end, {label}")
            };
            let note = format!(
                "mean over {} replicas; at the start {}",
                estimate.units,
                short(self.started(group, start))
            );
            questions.push(question(quantity, *estimate, note));
        }
        if let [first, .., last] = &estimates[..] {
            let (mut low, mut high) = (*first, *last);
            for estimate in &estimates {
                if estimate.value < low.value {
                    low = *estimate;
                }
                if estimate.value > high.value {
                    high = *estimate;
                }
            }
            let difference =
                Estimate { value: high.value - low.value, ..high }.with_error(low.standard_error);
            let note = "the groups with the highest and with the lowest λ* at the end".to_owned();
            questions.push(question(
                format!("{name}: difference between groups of starts"),
                difference,
                note,
            ));
        }
        questions
    }
}

//! `fdt`: what noise brings into the stationary state, descent takes out.
//!
//! In a stationary state ⟨‖θ‖²⟩ and ⟨f⟩, f = L + ½λ‖θ‖², do not change. For a step θ' = θ − ηĝ with ⟨ĝ⟩ = ∇f(θ) and
//! C̃ = ⟨ĝĝᵀ⟩ = φC + ∇f∇fᵀ (φ the noise factor, C the covariance of one sample's gradient) this says
//!
//! ```text
//! ⟨θ·∇f⟩ = (η/2)⟨Tr C̃⟩        exactly, for every loss;
//! ⟨‖∇f‖²⟩ = (η/2)⟨Tr[H C̃]⟩     exactly where H = ∇²f does not depend on θ, else to leading order in η.
//! ```
//!
//! With the heavy ball v' = βv − ηĝ, θ' = θ + v' the right sides are ((1 + β)/(2η))⟨‖v‖²⟩ and ((1 + β)/(2η))⟨vᵀHv⟩: the
//! second from ⟨∇f·v⟩ = ½⟨vᵀHv⟩ at equal times. Minibatches of an epoch remember each other, ⟨ĝ⟩ is not ∇f(θ) there: the relations hold, as
//! exactly, with the minibatch that was drawn in the place of ∇f, on average over the steps of whole epochs ([`crate::dynamics::balance`]).
//!
//! For a Langevin equation dθ = −F dt + √(ηφC) dW by Euler–Maruyama with dt = η/m the stationarity of the same two says ⟨θ·F⟩ =
//! (η/2)⟨Tr[φC]⟩ + (dt/2)⟨‖F‖²⟩ and ⟨∇f·F⟩ = (η/2)⟨Tr[HφC]⟩ + (dt/2)⟨FᵀHF⟩: Itô's terms with the covariance, and what the scheme's own step
//! adds; F = ∇f, of order 2 F = ∇f + (η/2)H∇f (SVAG of level l has the same with dt = η/l). By other schemes the first term alone holds, to
//! leading order in dt; for the Langevin equation with inertia, ⟨‖v‖²⟩/η and ⟨vᵀHv⟩/η. An `[sde]` dx = a dt + B dW, a in Itô's form, has
//! −⟨x·a⟩ = ½⟨Tr BBᵀ⟩, that is ⟨𝓛‖x‖²⟩ = 0 with its generator 𝓛: exactly by its exact law, with (dt/2)⟨‖a‖²⟩ beside it exactly by Euler–Maruyama, else to
//! leading order in dt. Tr BBᵀ = Σ_j‖b_j‖² over its Wiener processes: they are independent, and powers add.
//!
//! The Ornstein–Uhlenbeck process dθ = −H(θ − θ*)dt + √(ηφC(θ*)) dW has drift and noise of the minimum θ* (H = ∇²f there), wherever θ is: ‖θ‖² and
//! ½(θ − θ*)·H(θ − θ*) keep still where ⟨θ·H(θ − θ*)⟩ = (η/2)Tr[φC(θ*)] and ⟨‖H(θ − θ*)‖²⟩ = (η/2)Tr[HφC(θ*)], exactly, for every loss.
//!
//! Without noise (a minibatch of the whole population, or an interpolating one that has come to its minimum) both sides are rounding, and there is
//! nothing to balance.
//!
//! By epochs the sides of one path differ by ½(‖θ‖² at the end − ‖θ‖² at the start)/(ηn) over its n steps, exactly: a telescoping sum, whose scatter is that of two
//! states, η/T of what each side scatters by, and whose mean is all transient. Tested against that scatter the relation would be a test of ⟨‖θ‖²⟩ at the two ends alone,
//! which fails for what no window of that length can show. So one half of the replicas says what is taken out, and the other what is brought in: the
//! two ends count with the error that each side really has.
//!
//! ⟨θ·F⟩ is measured as ⟨(θ − c)·F⟩ with c the mean of θ: the same in a stationary state, where ⟨F⟩ = 0, and without the scatter of c·F,
//! which says nothing of noise.
//!
//! Source: Yaida (2018), arXiv 1810.00004, equations (FDR1), (FDR1') and (FDR2); the momentum form of the second, the scheme's terms, epochs
//! and order 2, from the same stationarity.

use super::measure::{Keeps, Run, Unsteady, Watched, component_name, largest, stationarity, window};
use super::rounding::{NOTHING, Rounding};
use super::settle::{Question, Settled, settle};
use super::sides::{Force, Sides, parameter_name, sides};
use super::verdict::Verdict;
use crate::ensemble::record::ObservableRecord;
use crate::model::Parameter;
use crate::stats::{Estimate, Window};
use crate::study::{Moment, Relation};

/// Relative tolerance where the relation is of leading order and the study gives none.
const LEADING_ORDER: f64 = 0.1;
/// Below this share of what c·F is taken off, nothing is left but rounding.
const CANCELLED: f64 = 64.0 * f64::EPSILON;

/// Judges the claim for one dynamics.
pub(super) fn judge(
    relation: Relation,
    moment: Moment,
    tolerance: Option<f64>,
    run: &Run,
    significance: f64,
) -> Settled {
    let outcome = sides(relation, moment, run)
        .and_then(|sides| Balance::new(&sides, run).map(|balance| (sides, balance)))
        .and_then(|(sides, balance)| {
            let tolerance = tolerance.or_else(|| (!sides.exact).then_some(LEADING_ORDER));
            let question = balance.question(&sides, tolerance, run);
            let moving = balance.stationarity(run, &question, significance)?;
            Ok(settle(vec![question], significance).but_moving(moving, 1.0))
        });
    outcome.unwrap_or_else(|reason| Settled::without_tests(Verdict::Undecided, reason))
}

/// What must be stationary: for messages, where it is, its window, and its share in the balance.
type Kept<'a> = (String, &'a ObservableRecord, usize, Window, f64);

/// Takes c·F off θ·F for one parameter, c the mean of θ over all units.
fn centre<'a>(
    run: &Run<'a>,
    parameter: &Parameter,
    force: &Force,
    gain: &mut [f64],
    watched: &mut Vec<Kept<'a>>,
) -> Result<(), String> {
    let theta = run.observable(&parameter_name(run.study, parameter))?;
    let (name, first) = force.of(parameter);
    let force = run.observable(&name)?;
    for component in 0..parameter.shape.len() {
        let position = window(run, theta, component)?;
        let slope = window(run, force, first + component)?;
        let center = position.mean().value;
        for (gain, slope) in gain.iter_mut().zip(slope.means()) {
            *gain -= center * slope;
        }
        watched.push((component_name(theta, component), theta, component, position, 0.0));
    }
    Ok(())
}

/// The two sides as measured.
struct Balance<'a> {
    gain: Vec<f64>,
    noise: Vec<f64>,
    watched: Vec<Kept<'a>>,
    /// Largest modulus of either side.
    here: f64,
    /// Sides as small as this are rounding: they are quadratic in the distance to where nothing moves, so that the share of the largest distance
    /// below which that is rounding counts twice.
    floor: f64,
}

impl<'a> Balance<'a> {
    fn new(sides: &Sides, run: &Run<'a>) -> Result<Self, String> {
        let gained = run.observable(&sides.gain.observable)?;
        let gain = window(run, gained, sides.gain.component)?;
        let mut sums = vec![0.0; gain.units()];
        let mut here = run.window_size(gained, sides.gain.component);
        let floor = NOTHING * largest(gained, sides.gain.component, 0..run.record.times.len());
        let mut watched = Vec::new();
        for term in &sides.noise {
            let observable = run.observable(&term.observable)?;
            let part = window(run, observable, term.component)?;
            for (sum, mean) in sums.iter_mut().zip(part.means()) {
                *sum += term.factor * mean;
            }
            here = here.max(term.factor * run.window_size(observable, term.component));
            watched.push(("the noise".to_owned(), observable, term.component, part, 1.0 / term.factor));
        }
        let (kept_name, observable, component) = &sides.kept;
        let observable = run.observable(observable)?;
        let kept = window(run, observable, *component)?;
        let mut means = gain.means().to_vec();
        if let Some(force) = &sides.centre {
            for parameter in run.study.layout().parameters() {
                centre(run, parameter, force, &mut means, &mut watched)?;
            }
        }
        watched.push((sides.gain_name.to_owned(), gained, sides.gain.component, gain, 1.0));
        watched.push(((*kept_name).to_owned(), observable, *component, kept, 0.0));
        Ok(Self { gain: means, noise: sums, watched, here, floor: NOTHING * floor })
    }

    /// The gain is measured, the noise predicts it; the error is that of their difference, unit by unit.
    fn question(&self, sides: &Sides, tolerance: Option<f64>, run: &Run) -> Question {
        let (gain, noise) = if sides.telescopes {
            let every_second =
                |list: &[f64], first: usize| list.iter().skip(first).step_by(2).copied().collect();
            (every_second(&self.gain, 0), every_second(&self.noise, 1))
        } else {
            (self.gain.clone(), self.noise.clone())
        };
        let difference: Vec<f64> = gain.iter().zip(&noise).map(|(a, b)| a - b).collect();
        let of_difference = Estimate::of_sample(&difference);
        let noise = &noise[..difference.len()];
        let predicted = noise.iter().sum::<f64>() / noise.len() as f64;
        let largest = self.gain.iter().chain(&self.noise).fold(0.0_f64, |m, x| m.max(x.abs()));
        let nothing = largest <= self.floor.max(CANCELLED * self.here) || predicted == 0.0;
        Question {
            quantity: format!("mean of {}", sides.gain_name),
            estimate: Estimate { value: predicted + of_difference.value, ..of_difference },
            prediction_error: sides.error * predicted.abs(),
            squared: None,
            predicted,
            tolerance: tolerance.map(|t| t * predicted.abs()),
            resolution: run.study.run.resolution * predicted.abs(),
            rounding: Rounding::own(CANCELLED * self.here),
            note: Some(sides.note.clone()),
            averaged: true,
            doubt: nothing.then(|| {
                "both sides are rounding: there is no noise (any more), and nothing to balance".to_owned()
            }),
        }
    }

    /// With a tolerance, drifts of a quarter of it do not matter.
    fn stationarity(
        &self,
        run: &Run,
        question: &Question,
        significance: f64,
    ) -> Result<Option<Unsteady>, String> {
        let quarter = 0.25 * question.tolerance.unwrap_or(0.0);
        let watched: Vec<Watched> = self
            .watched
            .iter()
            .map(|(name, observable, component, window, scale)| Watched {
                name: name.clone(),
                window,
                observable,
                component: *component,
                keeps: Keeps::MeanAlone,
                allowance: quarter * scale,
            })
            .collect();
        stationarity(run, &watched, significance)
    }
}

//! `stationary-density`: the stationary law of a motion in one dimension is the one that drift and diffusion dictate.
//!
//! The density comes by quadrature ([`super::density`]) from the drift −∇f and the noise ηφC(θ) of a loss, or from an `[sde]`
//! as it is written; any observable of the state inherits its law. The sample is the last value of every replica,
//! independent by construction, once stationarity has been shown; the distance is Kolmogorov and Smirnov's.
//!
//! Exact where the run draws from the transition law itself (`exact`, `ornstein-uhlenbeck`): then the distance is tested by
//! its own law. A scheme, or SGD, has another stationary law than the continuous equation: then the distance must lie within
//! a stated tolerance, with the band of Dvoretzky, Kiefer and Wolfowitz (Massart 1990) on either side.
//!
//! With `tail`, the index κ of P(|x| > z) ~ z^{−κ} is compared instead, by Hill's estimator on the largest percent of the
//! moduli: `own` is Kesten's root for a discrete linear recursion (of SGD's steps or epochs, SVAG's steps and Euler–Maruyama's) ([`super::kesten`]) and the density's index otherwise,
//! `density` the density's, whatever the motion.

use super::density::{Density, Reading};
use super::einstein;
use super::kesten;
use super::measure::{Keeps, Run, Unsteady, Watched, stationarity, window};
use super::number::{round_up, short};
use super::rounding::{NOTHING, Rounding};
use super::settle::{Question, Settled, settle};
use super::verdict::{Kind, Test, Verdict};
use crate::dynamics::{Law, Training};
use crate::ensemble::initial::search_start;
use crate::ensemble::record::ObservableRecord;
use crate::lanes::Lane;
use crate::model::Model;
use crate::model::formula::{FormulaModel, Function, SdeModel};
use crate::stats::kolmogorov::{distance, hill, p_value, quantile};
use crate::stats::{Estimate, Window};
use crate::study::{DensityReading, ObservableKind, System, Tail};

/// Distance allowed where the density is not the run's own to the last digit and the study says nothing.
const TOLERANCE: f64 = 0.05;
/// Relative tolerance of a tail index.
const TAIL_TOLERANCE: f64 = 0.1;
/// Share of the sample that is its tail.
const TAIL_SHARE: f64 = 0.01;
/// Fewest moduli of a tail.
const FEWEST: usize = 50;
/// A shift by one standard deviation changes a normal distribution function by as much, for small shifts.
const DISTANCE_A_DEVIATION: f64 = 0.4;

/// What the claim says.
pub(super) struct StationaryDensity<'a> {
    pub observable: &'a str,
    pub reading: DensityReading,
    pub tail: Option<Tail>,
    pub tolerance: Option<f64>,
}

/// Judges the claim for one dynamics.
pub(super) fn judge(claim: &StationaryDensity, run: &Run, significance: f64) -> Settled {
    match attempt(claim, run, significance) {
        Ok(settled) => settled,
        Err(Refusal::Unknown(reason)) => Settled::without_tests(Verdict::Undecided, reason),
        Err(Refusal::Wrong(reason)) => Settled::without_tests(Verdict::Fails, reason),
    }
}

/// Why there is nothing to compare.
enum Refusal {
    Unknown(String),
    /// There is no such density.
    Wrong(String),
}

fn attempt(claim: &StationaryDensity, run: &Run, significance: f64) -> Result<Settled, Refusal> {
    run.schedule_settled().map_err(Refusal::Unknown)?;
    let observable = run.observable(claim.observable).map_err(Refusal::Unknown)?;
    let of_state = function_of_state(claim, run).map_err(Refusal::Unknown)?;
    let equation = Equation::of(run).map_err(Refusal::Unknown)?;
    let reading = equation.reading(claim.reading);
    let start = search_start(run.study, 0.0)[0];
    let sample = sample(run, observable).map_err(Refusal::Unknown)?;
    match claim.tail {
        None => {
            let density = Density::new(&|xs| equation.at(xs), start, reading).map_err(Refusal::Wrong)?;
            let window = window(run, observable, 0).map_err(Refusal::Unknown)?;
            let moving =
                settled(run, observable, &window, claim.tolerance, significance).map_err(Refusal::Unknown)?;
            let values = of_state.at(&density.points);
            let compared = compare(claim, run, &equation, &density, &values, &sample, significance);
            // A mean that is off by its standard error shifts the distribution function by that times its slope.
            let shift =
                steepest(&density.cumulative(&values, &sample), &sample) * window.mean().standard_error;
            Ok(compared.but_moving(moving, shift / scatter(sample.len())))
        }
        Some(tail) => {
            let own = tail == Tail::Own;
            let recursion = if own { equation.recursion(run) } else { None };
            let (index, error, note) = if let Some(found) = recursion {
                let (index, error) = found.map_err(|untold| match untold {
                    kesten::Untold::Unknown(reason) => Refusal::Unknown(reason),
                    kesten::Untold::Absent(reason) => Refusal::Wrong(reason),
                })?;
                (index, error, equation.multiplier())
            } else {
                let density = Density::new(&|xs| equation.at(xs), start, reading).map_err(Refusal::Wrong)?;
                let found = density.tail(&of_state.at(&density.points));
                let reason = "the density has no power-law tail";
                (found.ok_or_else(|| Refusal::Wrong(reason.to_owned()))?, 0.0, "of the density")
            };
            settled_halves(run, observable).map_err(Refusal::Unknown)?;
            tail_question(claim, run, sample, (index, error), note)
                .map(|question| settle(vec![question], significance))
                .map_err(Refusal::Unknown)
        }
    }
}

/// Last values, sorted upwards.
fn sample(run: &Run, observable: &ObservableRecord) -> Result<Vec<f64>, String> {
    if run.record.burn_in + 1 >= run.record.times.len() {
        return Err("no instant was recorded after burn-in".to_owned());
    }
    let mut sample = observable.last.clone();
    sample.sort_by(f64::total_cmp);
    Ok(sample)
}

fn settled(
    run: &Run,
    observable: &ObservableRecord,
    window: &Window,
    tolerance: Option<f64>,
    significance: f64,
) -> Result<Option<Unsteady>, String> {
    // A drift by a share of the standard deviation moves the distribution by less than that.
    let allowance = 0.25 * tolerance.unwrap_or(0.0) * window.variance().value.max(0.0).sqrt();
    let watched = Watched {
        name: observable.name.clone(),
        window,
        observable,
        component: 0,
        keeps: Keeps::Both,
        allowance,
    };
    stationarity(run, &[watched], significance)
}

/// Largest slope of a distribution function, as seen between every fiftieth part of a sorted sample and the next.
fn steepest(cumulative: &[f64], sample: &[f64]) -> f64 {
    let step = (sample.len() / 50).max(1);
    let pairs = sample.windows(step + 1).zip(cumulative.windows(step + 1));
    pairs
        .map(|(x, f)| (f[step] - f[0]) / (x[step] - x[0]))
        .filter(|slope| slope.is_finite())
        .fold(0.0, f64::max)
}

/// Standard deviation of an empirical distribution function of `count` values at the median.
fn scatter(count: usize) -> f64 {
    0.5 / (count as f64).sqrt()
}

/// Share of replicas by which the halves of the window may differ.
const HALVES: f64 = 0.01;

/// Where moments do not exist, stationarity is seen in ranks: in as many replicas the second half of the window lies
/// farther out than the first as nearer.
fn settled_halves(run: &Run, observable: &ObservableRecord) -> Result<(), String> {
    let halves = &observable.stationary;
    let pairs = || halves.first_mean.iter().zip(&halves.second_mean);
    let count = pairs().filter(|(a, b)| a.abs() != b.abs()).count() as f64;
    if count == 0.0 || run.record.times.len() < run.record.burn_in + 2 {
        return Err("the window after burn-in has fewer than two recorded instants: record more".to_owned());
    }
    let farther = pairs().filter(|(a, b)| b.abs() > a.abs()).count() as f64 / count;
    if (farther - 0.5).abs() > HALVES + 3.3 * 0.5 / count.sqrt() {
        return Err(format!(
            "`{}` is not stationary: in {} % of the replicas the second half of the window lies farther out than the first; \
             run longer",
            observable.name,
            short(100.0 * farther)
        ));
    }
    Ok(())
}

/// The distance between the sample and the density.
fn compare(
    claim: &StationaryDensity,
    run: &Run,
    equation: &Equation,
    density: &Density,
    values: &[f64],
    sample: &[f64],
    significance: f64,
) -> Settled {
    let count = sample.len() as f64;
    let measured = distance(&density.cumulative(values, sample));
    let (mean, variance) = density.moments(values);
    let tolerance = claim.tolerance.or((!equation.exact).then_some(TOLERANCE));
    let mut reason = None;
    let (verdict, p) = match tolerance {
        None => {
            let p = p_value(measured, count);
            // Seen nine times in ten: 1.28 standard deviations of F_n beyond the threshold.
            let detectable = quantile(significance, count) + 1.28 * 0.5 / count.sqrt();
            let resolution = DISTANCE_A_DEVIATION * run.study.run.resolution;
            if p <= significance {
                (Verdict::Fails, p)
            } else if detectable <= resolution {
                (Verdict::Holds, p)
            } else {
                let factor = detectable / resolution;
                reason = Some(format!(
                    "a distance of {} would not be seen reliably, only one of {}; about {} replicas (now {count}) would tell",
                    short(resolution),
                    short(detectable),
                    round_up(count * factor * factor)
                ));
                (Verdict::Undecided, p)
            }
        }
        Some(tolerance) => {
            // P(sup|F_n − F| > ε) ≤ 2e^{−2nε²}.
            let band = ((2.0 / significance).ln() / (2.0 * count)).sqrt();
            let beyond = (measured - tolerance).max(0.0);
            let p = (2.0 * (-2.0 * count * beyond * beyond).exp()).min(1.0);
            if measured + band <= tolerance {
                (Verdict::Holds, p)
            } else if p <= significance {
                (Verdict::Fails, p)
            } else {
                let room = (tolerance - measured).abs();
                reason = Some(format!(
                    "the distance {} lies within {} of the tolerance {}, less than {count} replicas can tell; about {} would",
                    short(measured),
                    short(room),
                    short(tolerance),
                    round_up(count * (band / room).powi(2))
                ));
                (Verdict::Undecided, p)
            }
        }
    };
    let test = Test {
        quantity: format!("Kolmogorov–Smirnov distance of {}", claim.observable),
        measured,
        standard_error: scatter(sample.len()),
        predicted: 0.0,
        tolerance: tolerance.unwrap_or(0.0),
        p_value: p,
        kind: if tolerance.is_some() { Kind::LeadingOrder } else { Kind::Exact },
        verdict,
        note: Some(format!(
            "the density has the mean {} and the standard deviation {}",
            short(mean),
            short(variance.max(0.0).sqrt())
        )),
    };
    Settled::of_tests(vec![test], reason)
}

fn tail_question(
    claim: &StationaryDensity,
    run: &Run,
    sample: Vec<f64>,
    (index, error): (f64, f64),
    note: &str,
) -> Result<Question, String> {
    let mut moduli: Vec<f64> = sample.into_iter().map(f64::abs).collect();
    moduli.sort_by(f64::total_cmp);
    let largest = (TAIL_SHARE * moduli.len() as f64) as usize;
    if largest < FEWEST {
        return Err(format!(
            "the largest percent of {} replicas are too few to show a tail; run {} at least",
            moduli.len(),
            FEWEST * 100
        ));
    }
    let (measured, standard_error) = hill(&moduli, largest);
    // Of the units, which are the replicas, the largest alone are in the mean: their skewness is that of all by √(n/k).
    let (units, count) = (moduli.len() as f64, largest as f64);
    Ok(Question {
        quantity: format!("tail index of |{}|", claim.observable),
        // 1/κ̂ is a mean of exponential numbers: κ̂ has the skewness 2/√k the other way.
        estimate: Estimate {
            value: measured,
            standard_error,
            skewness: 2.0 * (units / count).sqrt(),
            units,
            dominance: 0.0,
        },
        prediction_error: error,
        squared: None,
        predicted: index,
        tolerance: Some(claim.tolerance.unwrap_or(TAIL_TOLERANCE) * index),
        resolution: run.study.run.resolution * index,
        rounding: Rounding::own(NOTHING * measured),
        note: Some(format!("{note}; by the largest {largest} of {} moduli (Hill)", moduli.len())),
        doubt: None,
        averaged: false,
    })
}

/// An observable as a function of a state of one number.
enum OfState<'a> {
    State,
    Function(&'a Function),
}

impl OfState<'_> {
    fn at(&self, points: &[f64]) -> Vec<f64> {
        match self {
            OfState::State => points.to_vec(),
            OfState::Function(function) => along(function, points, 0),
        }
    }
}

/// Component `component` of a function at states of one number.
fn along(function: &Function, points: &[f64], component: usize) -> Vec<f64> {
    let mut scratch = function.scratch(1);
    let mut out = vec![Lane::default(); function.shape().len()];
    let mut values = Vec::with_capacity(points.len());
    for group in points.chunks(crate::lanes::LANES) {
        let mut theta = Lane::splat(group[0]);
        theta.0[..group.len()].copy_from_slice(group);
        function.evaluate(&[theta], &mut out, &mut scratch);
        values.extend_from_slice(&out[component].0[..group.len()]);
    }
    values
}

fn function_of_state<'a>(claim: &StationaryDensity, run: &Run<'a>) -> Result<OfState<'a>, String> {
    let found = run.study.observables.iter().find(|o| o.name == claim.observable);
    match found.map(|o| (&o.kind, o.shape.is_scalar())) {
        Some((ObservableKind::Parameter { .. }, true)) => Ok(OfState::State),
        Some((ObservableKind::Function(function), true)) => Ok(OfState::Function(function)),
        _ => Err(format!("`{}` is not one number that the state determines", claim.observable)),
    }
}

/// Descent of a loss, with its gradient and the trace of its noise as functions.
struct Descent<'a> {
    model: &'a FormulaModel,
    law: &'a Law,
    training: &'a Training,
    force: Function,
    noise: Function,
    /// ηφ.
    power: f64,
}

/// Drift and noise of a motion of one number.
struct Equation<'a> {
    kind: EquationKind<'a>,
    /// The run draws from the transition law of this very equation.
    exact: bool,
}

enum EquationKind<'a> {
    Loss(Box<Descent<'a>>),
    Linear { center: f64, stiffness: f64, power: f64 },
    Sde(&'a SdeModel),
}

impl<'a> Equation<'a> {
    fn of(run: &Run<'a>) -> Result<Self, String> {
        let count = run.study.layout().len();
        if count != 1 {
            return Err(format!("the state has {count} numbers, the density is one of a single number"));
        }
        let law = &run.dynamics.law;
        let (model, training) = match (&run.study.system, &run.dynamics.training) {
            (System::Sde(model), _) => {
                return Ok(Self { kind: EquationKind::Sde(model), exact: *law == Law::Exact });
            }
            (System::Loss(loss), Some(training)) => {
                let formula = loss.formula.as_ref().ok_or("the loss has no formula to take gradients of")?;
                (formula, training)
            }
            _ => return Err("the motion has no settings".to_owned()),
        };
        if training.uneven(model.population()) {
            return Err("no density is known for epochs of rows with fresh draws beside them".to_owned());
        }
        let decay = training.decay.force();
        let factor = training.noise_factor(model.population().size());
        let rate = training.rate.last();
        match law {
            Law::OrnsteinUhlenbeck => {
                let minimum = einstein::minimum_of(run.study, decay)?;
                let kind = EquationKind::Linear {
                    center: minimum.theta[0],
                    stiffness: minimum.hessian[0],
                    power: rate * factor * minimum.covariance[0],
                };
                return Ok(Self { kind, exact: true });
            }
            Law::Sgd | Law::GaussianSgd if training.momentum != 0.0 => {
                return Err(
                    "with momentum the state is not one number: its velocity belongs to it".to_owned()
                );
            }
            Law::Sgd | Law::GaussianSgd | Law::Langevin { order: 1, .. } | Law::Svag { .. } => {}
            other => return Err(format!("no density of one number is known for {}", other.name())),
        }
        let compiled =
            |f: Result<Function, crate::model::formula::FormulaError>| f.map_err(|e| e.to_string());
        let kind = EquationKind::Loss(Box::new(Descent {
            model,
            law,
            training,
            force: compiled(model.force(decay, 0.0, 0))?,
            noise: compiled(model.dissipation(decay, 0.0))?,
            power: rate * factor,
        }));
        Ok(Self { kind, exact: false })
    }

    /// a and D.
    fn at(&self, points: &[f64]) -> Vec<(f64, f64)> {
        match &self.kind {
            EquationKind::Loss(descent) => {
                let Descent { force, noise, power, .. } = &**descent;
                let (slopes, traces) = (along(force, points, 0), along(noise, points, NOISE_TRACE));
                slopes.into_iter().zip(traces).map(|(g, c)| (-g, power * c)).collect()
            }
            EquationKind::Linear { center, stiffness, power } => {
                points.iter().map(|x| (-stiffness * (x - center), *power)).collect()
            }
            EquationKind::Sde(model) => points.iter().map(|&x| of_sde(model, x)).collect(),
        }
    }

    fn reading(&self, claimed: DensityReading) -> Reading {
        match (claimed, &self.kind) {
            (DensityReading::Stratonovich, _) => Reading::Stratonovich,
            (DensityReading::Gibbs, _) => Reading::Gibbs,
            (DensityReading::Own, EquationKind::Sde(model)) if model.stratonovich() => Reading::Stratonovich,
            (DensityReading::Own | DensityReading::Ito, _) => Reading::Ito,
        }
    }

    /// What the multiplier of that recursion is.
    fn multiplier(&self) -> &'static str {
        match &self.kind {
            EquationKind::Loss(descent)
                if *descent.law == Law::Sgd
                    && descent.training.epoch(descent.model.population().size()) > 0 =>
            {
                "⟨|M|^κ⟩ = 1 for an epoch δ' = Mδ + ξ"
            }
            _ => "⟨|M|^κ⟩ = 1 for a step δ' = Mδ + ξ",
        }
    }

    /// κ of a discrete linear recursion, where the motion is one.
    fn recursion(&self, run: &Run) -> Option<Result<(f64, f64), kesten::Untold>> {
        match &self.kind {
            EquationKind::Loss(descent) if descent.model.quadratic() => {
                let theta = search_start(run.study, 0.0)[0];
                let Descent { model, law, training, .. } = &**descent;
                Some(kesten::index(model, law, training, theta, run.study.run.seed))
            }
            _ => None,
        }
    }
}

/// Component of [`FormulaModel::dissipation`].
const NOISE_TRACE: usize = 2;

fn of_sde(model: &SdeModel, x: f64) -> (f64, f64) {
    let state = [Lane::splat(x)];
    let mut scratch = model.scratch(1);
    // The drift, then B dW.
    let mut out = [Lane::default(); 2];
    let mut noise = 0.0;
    for j in 0..model.noises().max(1) {
        let mut wiener = vec![Lane::default(); model.noises()];
        if let Some(w) = wiener.get_mut(j) {
            *w = Lane::splat(1.0);
        }
        model.drift_and_noise(&state, &wiener, model.start(), &mut out, &mut scratch);
        noise += out[1].0[0] * out[1].0[0];
    }
    (out[0].0[0], noise)
}

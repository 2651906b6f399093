//! `einstein`: the stationary covariance is the one that dissipation and noise dictate.
//!
//! The minimum θ*, the Hessian there and the covariance of the gradient are found, the stationary law of each
//! dynamics is predicted by its own equation (see [`super::recursion`]), and the mean and the second moments about
//! θ* are compared with it: every entry for up to 16 parameters, the diagonal and the trace beyond.
//!
//! Where the loss is quadratic for each sample the prediction is exact. Otherwise it is of leading order in η:
//! each entry may be off by `tolerance·√(Σ_ii Σ_jj)` (0.1 unless given), and the mean by `√tolerance·√Σ_ii`, which
//! is the shift that adds as much to the second moment about θ*.

use std::sync::Arc;

use super::measure::{Keeps, Run, Unsteady, Watched, certain, stationarity, window};
use super::number::short;
use super::prediction::{Moving, Prediction, Refusal, left, left_of_sde, of_loss, of_sde, sde_center};
use super::rounding::Rounding;
use super::settle::{Question, Settled, settle};
use super::verdict::Verdict;
use crate::dynamics::Decay;
use crate::ensemble::initial::{all_fixed, search_start};
use crate::ensemble::record::ObservableRecord;
use crate::model::Shape;
use crate::model::critical::{ILL_CONDITIONED, Minimum, minimum};
use crate::stats::{Estimate, Window};
use crate::study::{ClaimLaw, Dynamics, Equation, Observable, ObservableKind, Study, System};

/// Up to this many parameters every entry of the covariance is measured.
const ALL_ENTRIES: usize = 16;
/// Beyond this many parameters the Hessian is not made.
const MOST_PARAMETERS: usize = 1024;
/// Name of the hidden observable (θ − θ*)(θ − θ*)ᵀ.
const SECOND_MOMENTS: &str = "einstein:second_moments";

/// Where the dynamics of one decay fluctuate about.
struct Center {
    decay: f64,
    observable: String,
    found: Result<Found, String>,
}

/// The place, and for a loss what was found there.
struct Found {
    theta: Vec<f64>,
    minimum: Option<Minimum>,
}

/// The centers of all dynamics that `einstein` claims speak of; dynamics with the same decay share one.
pub(super) struct Centers(Vec<Center>);

impl Centers {
    /// Searches for them: a function of the study alone, so that judging finds what was measured about.
    pub fn new(study: &Study) -> Self {
        let mut centers: Vec<Center> = Vec::new();
        for claim in &study.claims {
            if !matches!(claim.law, ClaimLaw::Einstein { .. }) {
                continue;
            }
            for dynamics in claim.dynamics.iter().filter_map(|&d| study.dynamics.get(d)) {
                let decay = decay_of(dynamics);
                if centers.iter().any(|c| c.decay == decay) {
                    continue;
                }
                let observable = if centers.is_empty() {
                    SECOND_MOMENTS.to_owned()
                } else {
                    format!("{SECOND_MOMENTS}:{}", dynamics.name)
                };
                centers.push(Center { decay, observable, found: find(study, decay) });
            }
        }
        Self(centers)
    }

    fn of(&self, dynamics: &Dynamics) -> Result<(&Center, &Found), String> {
        let decay = decay_of(dynamics);
        let center = self.0.iter().find(|c| c.decay == decay).ok_or("no minimum was looked for")?;
        center.found.as_ref().map(|found| (center, found)).map_err(Clone::clone)
    }
}

fn decay_of(dynamics: &Dynamics) -> f64 {
    dynamics.training.as_ref().map_or(Decay::None, |t| t.decay).force()
}

fn find(study: &Study, decay: f64) -> Result<Found, String> {
    let parameters = study.layout().len();
    if parameters > MOST_PARAMETERS {
        return Err(format!("{parameters} parameters: the Hessian is not made beyond {MOST_PARAMETERS}"));
    }
    match &study.system {
        System::Sde(model) => Ok(Found { theta: sde_center(model)?, minimum: None }),
        System::Loss(loss) => {
            let model = loss.formula.as_ref().ok_or("a model without a formula has no Hessian to go by")?;
            let minimum = minimum(model, decay, &search_start(study, 0.0)).or_else(|first| {
                // The mean of a symmetric law of starts may be a saddle; a typical start is not.
                if all_fixed(&study.initial) {
                    return Err(first);
                }
                minimum(model, decay, &search_start(study, 1.0)).map_err(|_| first)
            })?;
            Ok(Found { theta: minimum.theta.clone(), minimum: Some(minimum) })
        }
    }
}

/// The minimum about which a dynamics with the decay λ of the force fluctuates, found from the study's start.
pub(super) fn minimum_of(study: &Study, decay: f64) -> Result<Minimum, String> {
    find(study, decay)?.minimum.ok_or_else(|| "there is no loss to look for a minimum of".to_owned())
}

/// Hidden observables: second moments about each center, and parameters that the study does not record.
pub(super) fn needs(study: &Study, centers: &Centers) -> Vec<Observable> {
    let parameters = study.layout().len();
    let mut needed = Vec::new();
    for center in &centers.0 {
        let Ok(found) = &center.found else { continue };
        if parameters > ALL_ENTRIES || study.observables.iter().any(|o| o.name == center.observable) {
            continue;
        }
        let function = match &study.system {
            System::Sde(model) => model.second_moments_about(&found.theta),
            System::Loss(loss) => match &loss.formula {
                Some(model) => model.second_moments_about(&found.theta),
                None => continue,
            },
        };
        needed.push(Observable {
            name: center.observable.clone(),
            shape: Shape::matrix(parameters, parameters),
            hidden: true,
            kind: ObservableKind::Function(Arc::new(function)),
        });
    }
    if centers.0.iter().any(|c| c.found.is_ok()) {
        for parameter in study.layout().parameters() {
            if parameter_observable(study, parameter.offset).is_none() {
                needed.push(Observable {
                    name: hidden_parameter(&parameter.name),
                    shape: parameter.shape,
                    hidden: true,
                    kind: ObservableKind::Parameter { offset: parameter.offset },
                });
            }
        }
    }
    needed
}

fn hidden_parameter(name: &str) -> String {
    format!("einstein:parameter:{name}")
}

/// Name of the observable that is the parameter at `offset`.
fn parameter_observable(study: &Study, offset: usize) -> Option<&str> {
    study
        .observables
        .iter()
        .find(|o| matches!(o.kind, ObservableKind::Parameter { offset: own } if own == offset))
        .map(|o| o.name.as_str())
}

/// Judges the claim for one dynamics.
pub(super) fn judge(
    equation: Equation,
    tolerance: Option<f64>,
    run: &Run,
    centers: &Centers,
    significance: f64,
) -> Settled {
    match attempt(equation, tolerance, run, centers, significance) {
        Ok(settled) => settled,
        Err(Refusal::Unknown(reason)) => Settled::without_tests(Verdict::Undecided, reason),
        Err(Refusal::Unstable(reason)) => Settled::without_tests(Verdict::Fails, reason),
    }
}

fn attempt(
    equation: Equation,
    tolerance: Option<f64>,
    run: &Run,
    centers: &Centers,
    significance: f64,
) -> Result<Settled, Refusal> {
    let (center, found) = centers.of(run.dynamics).map_err(Refusal::Unknown)?;
    let prediction = predict(equation, tolerance, run, found)?;
    relaxed(run, found).map_err(Refusal::Unknown)?;
    run.schedule_settled().map_err(Refusal::Unknown)?;
    let measured = Measured::new(run, center, found).map_err(Refusal::Unknown)?;
    let moving = measured.stationarity(run, &prediction, significance).map_err(Refusal::Unknown)?;
    Ok(settle(measured.questions(run, found, &prediction), significance).but_moving(moving, 1.0))
}

/// Of a start, at most this is left at the end of a run that can be spoken of as stationary: the run is as long as its slowest relaxation.
const RELAXED: f64 = 0.37;

/// Whether the slowest direction has had the time to relax. Where it has not, nothing moves within the window, and no comparison of its halves shows it.
fn relaxed(run: &Run, found: &Found) -> Result<(), String> {
    let law = &run.dynamics.law;
    let (Some(&time), Some(&steps)) = (run.record.times.last(), run.record.steps.last()) else {
        return Ok(());
    };
    let left = match (&run.study.system, &found.minimum, &run.dynamics.training) {
        (System::Sde(model), ..) => left_of_sde(model, law, (time, steps)),
        (_, Some(minimum), Some(training)) => left(law, training, minimum, steps),
        _ => None,
    };
    match left {
        Some(left) if left > RELAXED => {
            let begun = run.record.times.first().copied().unwrap_or(0.0);
            let time = time - begun;
            let slowest = -time / left.min(1.0).ln();
            let how_long = if slowest.is_finite() {
                format!("relaxes in a time {}", short(slowest))
            } else {
                "does not relax".to_owned()
            };
            Err(format!(
                "the slowest direction {how_long}, and the run ends after {}: it still remembers its start, and nothing is known of a \
                 stationary state; run longer, or raise the rate",
                short(time)
            ))
        }
        _ => Ok(()),
    }
}

fn predict(
    equation: Equation,
    tolerance: Option<f64>,
    run: &Run,
    found: &Found,
) -> Result<Prediction, Refusal> {
    let law = &run.dynamics.law;
    match &run.study.system {
        System::Sde(model) => of_sde(model, &found.theta, law, equation, tolerance),
        System::Loss(loss) => {
            let (Some(model), Some(minimum), Some(training)) =
                (&loss.formula, &found.minimum, &run.dynamics.training)
            else {
                return Err(Refusal::Unknown("the loss has no formula to predict from".to_owned()));
            };
            let training = &training.plain_ball().map_err(Refusal::Unknown)?;
            let steps = &run.record.steps[run.record.burn_in.min(run.record.steps.len())..];
            of_loss(Moving { model, minimum, law, training }, equation, tolerance, run.study.run.seed, steps)
        }
    }
}

/// One scalar with its window.
struct Scalar<'a> {
    observable: &'a ObservableRecord,
    component: usize,
    window: Window,
}

/// Everything that is compared.
struct Measured<'a> {
    /// Every parameter, in the order of θ.
    parameters: Vec<Scalar<'a>>,
    /// Entries i ≤ j of (θ − θ*)(θ − θ*)ᵀ, for few parameters.
    entries: Vec<(usize, usize, Scalar<'a>)>,
}

impl<'a> Measured<'a> {
    fn new(run: &Run<'a>, center: &Center, found: &Found) -> Result<Self, String> {
        let layout = run.study.layout();
        let mut parameters = Vec::with_capacity(layout.len());
        for parameter in layout.parameters() {
            let hidden = hidden_parameter(&parameter.name);
            let name = parameter_observable(run.study, parameter.offset).unwrap_or(&hidden);
            let observable = run.observable(name)?;
            for component in 0..parameter.shape.len() {
                parameters.push(Scalar {
                    observable,
                    component,
                    window: window(run, observable, component)?,
                });
            }
        }
        let mut entries = Vec::new();
        let size = found.theta.len();
        if size <= ALL_ENTRIES {
            let observable = run.observable(&center.observable)?;
            for i in 0..size {
                for j in i..size {
                    let component = i * size + j;
                    let window = window(run, observable, component)?;
                    entries.push((i, j, Scalar { observable, component, window }));
                }
            }
        }
        Ok(Self { parameters, entries })
    }

    fn stationarity(
        &self,
        run: &Run,
        prediction: &Prediction,
        significance: f64,
    ) -> Result<Option<Unsteady>, String> {
        let layout = run.study.layout();
        let deviation = |i: usize| prediction.second_moment[(i, i)].max(0.0).sqrt();
        let quarter = 0.25 * prediction.tolerance.unwrap_or(0.0);
        let parameters = self.parameters.iter().enumerate().map(|(i, scalar)| Watched {
            name: layout.element_name(i),
            window: &scalar.window,
            observable: scalar.observable,
            component: scalar.component,
            keeps: Keeps::Both,
            allowance: quarter.sqrt() * deviation(i),
        });
        let entries = self.entries.iter().filter(|(i, j, _)| i != j).map(|(i, j, scalar)| Watched {
            name: format!("product of {} and {}", layout.element_name(*i), layout.element_name(*j)),
            window: &scalar.window,
            observable: scalar.observable,
            component: scalar.component,
            keeps: Keeps::Both,
            allowance: quarter * deviation(*i) * deviation(*j),
        });
        stationarity(run, &parameters.chain(entries).collect::<Vec<_>>(), significance)
    }

    fn questions(&self, run: &Run, found: &Found, prediction: &Prediction) -> Vec<Question> {
        let layout = run.study.layout();
        let resolution = run.study.run.resolution;
        let note = Some(match found.minimum.as_ref().map_or(1.0, |minimum| minimum.condition) {
            condition if condition >= ILL_CONDITIONED => {
                format!("{}; the Hessian's condition number is {}", prediction.note, short(condition))
            }
            _ => prediction.note.clone(),
        });
        let moments = &prediction.second_moment;
        let roundings: Vec<Rounding> =
            self.parameters.iter().map(|s| run.window_rounding(s.observable, s.component)).collect();
        // The scale of fluctuations, predicted; measured where the prediction is that there are none.
        let deviations: Vec<f64> = self
            .parameters
            .iter()
            .enumerate()
            .map(|(i, scalar)| {
                let predicted = moments[(i, i)];
                if predicted > 0.0 {
                    predicted.sqrt()
                } else {
                    scalar.window.variance().value.max(0.0).sqrt()
                }
            })
            .collect();
        // Root of the mean square about where theory has its centre.
        let about: Vec<f64> = self
            .parameters
            .iter()
            .zip(found.theta.iter())
            .map(|(scalar, center)| scalar.window.about(*center).value.max(0.0).sqrt())
            .collect();
        let mut questions = Vec::new();
        for (i, scalar) in self.parameters.iter().enumerate() {
            questions.push(Question {
                quantity: format!("mean of {}", layout.element_name(i)),
                estimate: certain(run, scalar.window.mean()),
                prediction_error: prediction.mean_error[i],
                squared: None,
                predicted: prediction.mean[i],
                tolerance: prediction.tolerance.map(|t| t.sqrt() * deviations[i]),
                resolution: resolution * deviations[i],
                rounding: roundings[i],
                note: note.clone(),
                doubt: None,
                averaged: true,
            });
        }
        let mut second = |quantity: String, estimate: Estimate, i: usize, j: usize| {
            let scale = deviations[i] * deviations[j];
            questions.push(Question {
                quantity,
                estimate: certain(run, estimate),
                prediction_error: prediction.second_moment_error[(i, j)],
                squared: None,
                predicted: moments[(i, j)],
                tolerance: prediction.tolerance.map(|t| t * scale),
                resolution: resolution * scale,
                rounding: roundings[i].of_product(roundings[j], about[i], about[j]),
                note: note.clone(),
                doubt: prediction.heavy_tails.clone(),
                averaged: true,
            });
        };
        for (i, j, scalar) in &self.entries {
            let (a, b) = (layout.element_name(*i), layout.element_name(*j));
            let quantity =
                if i == j { format!("variance of {a}") } else { format!("covariance of {a}, {b}") };
            second(quantity, scalar.window.mean(), *i, *j);
        }
        if !self.entries.is_empty() {
            return questions;
        }
        let mut trace = vec![0.0; self.parameters.first().map_or(0, |s| s.window.units())];
        let mut rounding = Rounding::default();
        for (i, scalar) in self.parameters.iter().enumerate() {
            let squares = scalar.window.squares_about(found.theta[i]);
            for (sum, square) in trace.iter_mut().zip(&squares) {
                *sum += square;
            }
            rounding = rounding.plus(roundings[i].of_square(about[i]));
            let quantity = format!("variance of {}", layout.element_name(i));
            second(quantity, Estimate::of_sample(&squares), i, i);
        }
        let total = deviations.iter().map(|d| d * d).sum::<f64>();
        questions.push(Question {
            quantity: "trace of the covariance".to_owned(),
            estimate: certain(run, Estimate::of_sample(&trace)),
            prediction_error: prediction.second_moment_error.trace(),
            squared: None,
            predicted: moments.trace(),
            tolerance: prediction.tolerance.map(|t| t * total),
            resolution: resolution * total,
            rounding,
            note,
            doubt: None,
            averaged: true,
        });
        questions
    }
}

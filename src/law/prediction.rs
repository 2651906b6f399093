//! What `einstein` predicts: the stationary mean and second moment of one law of motion.

use nalgebra::{DMatrix, DVector};

use super::amplifier::{Curvatures, DENSE};
use super::epochs::{self, Epoch, Parts};
use super::lyapunov;
use super::number::short;
use super::recursion::{Linearised, Response, power, stationary};
use super::shuffles::{self, Descent};
use super::sums::{Sampled, Sums, curvature_samples};
use super::tails::{self, Cumulants, Multiplier};
use crate::dynamics::{Law, Sampling, Schedule, Training, amplifying_weights};
use crate::model::critical::Minimum;
use crate::model::formula::{FormulaModel, SdeModel};
use crate::model::{Model, Origin};
use crate::scheme::Scheme;
use crate::scheme::linear::Transition;
use crate::stats::spectrum::symmetric_eigen;
use crate::study::Equation;

/// Relative tolerance of leading-order predictions where the study gives none.
const LEADING_ORDER: f64 = 0.1;
/// Numbers in all samples' Hessians beyond which they are not made.
const MOST_NUMBERS: usize = 1 << 27;
/// A quadrature error below this is rounding.
const QUADRATURE_ROUNDING: f64 = 1e-10;

/// A predicted stationary law, to second order.
#[derive(Clone, Debug)]
pub(super) struct Prediction {
    /// ⟨θ⟩.
    pub mean: DVector<f64>,
    /// ⟨(θ − θ*)(θ − θ*)ᵀ⟩ about the center of the measurement.
    pub second_moment: DMatrix<f64>,
    /// Standard errors of both, where the population is known by a sample of it alone.
    pub mean_error: DVector<f64>,
    /// As above.
    pub second_moment_error: DMatrix<f64>,
    /// `None` for an exact prediction.
    pub tolerance: Option<f64>,
    /// What was solved.
    pub note: String,
    /// Why the scatter of second moments has no meaning, where it has none.
    pub heavy_tails: Option<String>,
}

/// Why there is no prediction.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    /// None is known.
    Unknown(String),
    /// There is no stationary law.
    Unstable(String),
}

impl Prediction {
    fn exact(mean: DVector<f64>, second_moment: DMatrix<f64>, note: &str) -> Self {
        let size = mean.len();
        Self {
            mean,
            second_moment,
            mean_error: DVector::zeros(size),
            second_moment_error: DMatrix::zeros(size, size),
            tolerance: None,
            note: note.to_owned(),
            heavy_tails: None,
        }
    }
}

/// A law of motion about a minimum.
#[derive(Clone, Copy)]
pub(super) struct Moving<'a> {
    pub model: &'a FormulaModel,
    pub minimum: &'a Minimum,
    pub law: &'a Law,
    pub training: &'a Training,
}

/// For a loss: `minimum` is that of the dynamics' own objective; `seed` draws samples where the population is known
/// by a sample alone; `steps` are the recorded iterations of the stationary window.
///
/// # Errors
/// [`Refusal`].
pub(super) fn of_loss(
    moving: Moving<'_>,
    equation: Equation,
    tolerance: Option<f64>,
    seed: u64,
    steps: &[u64],
) -> Result<Prediction, Refusal> {
    let Moving { model, minimum, law, training } = moving;
    let size = minimum.theta.len();
    let mean = DVector::from_column_slice(&minimum.theta);
    let own = equation == Equation::Own;
    if own && law.deterministic() {
        let note = "a deterministic law of motion ends in the minimum";
        return Ok(Prediction { tolerance, ..Prediction::exact(mean, DMatrix::zeros(size, size), note) });
    }
    let rate = training.rate.last();
    let response = match (equation, law) {
        (Equation::Continuous, _) => Response::Continuous { rate },
        (Equation::Discrete, _) => Response::Iteration { rate, momentum: 0.0 },
        (Equation::Own, law) => own_response(law, training)
            .ok_or_else(|| Refusal::Unknown(format!("no stationary equation is known for {}", law.name())))?,
    };
    if matches!(response, Response::Inertia { friction: 0.0, .. }) {
        return Err(Refusal::Unknown(
            "without friction the noise heats the motion without end: there is no stationary law".to_owned(),
        ));
    }
    let note = note_of(response, law);
    // Beyond the limit of stability a loss that is not quadratic may yet keep θ in bounds.
    let quadratic_loss = model.quadratic();
    let unstable = |reason: String| {
        if quadratic_loss || (own && *law == Law::OrnsteinUhlenbeck) {
            return Refusal::Unstable(reason);
        }
        Refusal::Unknown(format!(
            "{}; the loss is not quadratic, so that a stationary law farther out may exist, of which the curvature at the minimum says nothing",
            reason.replace("no stationary law exists", "no stationary law exists about the minimum")
        ))
    };
    // The Ornstein–Uhlenbeck process is linear with constant noise by construction.
    let linear = own && *law == Law::OrnsteinUhlenbeck;
    let quadratic = !linear && quadratic_loss;
    let exact = linear || (quadratic && exact_for_quadratic(own, law, training, model));
    let given = tolerance;
    let tolerance = tolerance.or_else(|| (!exact).then_some(LEADING_ORDER));
    let decay = training.decay.force();
    let uneven = training.uneven(model.population());
    if uneven && !(own && *law == Law::Sgd) {
        let reason = "rows and the fresh draws beside them scatter by two factors where rows are drawn without replacement";
        return Err(Refusal::Unknown(reason.to_owned()));
    }
    if let (true, Law::Sgd, Sampling::WithoutReplacement { drop_last }, Some(samples)) =
        (own, law, training.sampling, model.population().size())
    {
        let epoch = Epoch::new(samples, training.batch, drop_last);
        if quadratic && !exact && size <= DENSE {
            let descent = Descent { rate, momentum: training.momentum, decay, epoch: &epoch };
            let found = shuffles::stationary(model, minimum, descent, &epoch.phases(steps), seed);
            if let Some(found) = found.map_err(Refusal::Unstable)? {
                let which = if found.all { "all" } else { "a sample of" };
                let noisy = if uneven { " with draws" } else { "" };
                return Ok(blurred(
                    model,
                    minimum,
                    Prediction {
                        mean: mean + found.about.0,
                        second_moment: found.about.1,
                        mean_error: found.errors.0,
                        second_moment_error: found.errors.1,
                        tolerance: given,
                        note: format!(
                            "S = E[MSMᵀ + bbᵀ] over {which} {} permutations{noisy}, at the recorded places within an epoch",
                            found.permutations
                        ),
                        heavy_tails: None,
                    },
                ));
            }
            if uneven {
                let reason = "epochs of so many rows with fresh draws beside them, and noise that depends on θ: too costly to predict";
                return Err(Refusal::Unknown(reason.to_owned()));
            }
        }
        let matrix = |values: &[f64]| DMatrix::from_row_slice(size, size, values);
        let curvatures = (quadratic && size <= DENSE && !exact)
            .then(|| Sums::of_nodes(model, &minimum.theta).curvatures());
        let hessian = matrix(&minimum.hessian);
        let of = |covariance: &[f64], epoch: &Epoch| {
            let system = Linearised {
                hessian: &hessian,
                decay,
                covariance: &matrix(covariance),
                factor: 1.0,
                curvatures: curvatures.as_ref(),
            };
            epochs::stationary(&system, (rate, training.momentum), epoch, steps).map_err(unstable)
        };
        let about = match Parts::of(model, minimum) {
            None => of(&minimum.covariance, &epoch)?,
            Some(parts) => of(&parts.rows, &epoch)? + of(&parts.draws, &epoch.independent())?,
        };
        let note = "epochs of one permutation each, averaged over the recorded places within an epoch";
        let prediction = Prediction { tolerance, ..Prediction::exact(mean, about, note) };
        return Ok(blurred(model, minimum, prediction));
    }
    let factor = training.noise_factor(model.population().size());
    // SGD and SVAG follow the law of fresh draws itself; every other motion has the nodes for its population.
    let fresh =
        if matches!(law, Law::Sgd | Law::Svag { .. }) { model.population().fresh.as_deref() } else { None };
    let sampled = matches!(model.nodes().origin, Origin::Reference { .. });
    if let (Some(variates), true, true) = (fresh, sampled, quadratic && size <= DENSE) {
        let sample = Sampled::draw(model, variates, &minimum.theta, seed);
        let ((shift, about), errors) =
            sample.predict(&minimum.theta, decay, factor, response).map_err(Refusal::Unstable)?;
        return Ok(Prediction {
            mean: mean + shift,
            second_moment: about,
            mean_error: errors.0,
            second_moment_error: errors.1,
            tolerance,
            note: format!("{note}, expectations over {} samples", sample.size),
            heavy_tails: heavy_tails(&moving, &sample.whole().curvatures(), seed),
        });
    }
    let (about, heavy_tails) = if quadratic && size <= DENSE {
        let sums = Sums::of_nodes(model, &minimum.theta);
        let about = sums.predict(&minimum.theta, decay, factor, response).map_err(Refusal::Unstable)?.1;
        (about, heavy_tails(&moving, &sums.curvatures(), seed))
    } else {
        let about = direct(model, minimum, decay, factor, response, quadratic);
        let about = about.map_err(|refusal| match refusal {
            Refusal::Unstable(reason) => unstable(reason),
            unknown @ Refusal::Unknown(_) => unknown,
        });
        (about?, None)
    };
    let prediction = Prediction { tolerance, heavy_tails, ..Prediction::exact(mean, about, note) };
    Ok(if fresh.is_some() { blurred(model, minimum, prediction) } else { prediction })
}

/// The prediction for a motion that follows the law of fresh draws, with the error of the nodes that it was made from.
fn blurred(model: &FormulaModel, minimum: &Minimum, mut prediction: Prediction) -> Prediction {
    let error = model.nodes().origin.error();
    if error <= QUADRATURE_ROUNDING {
        return prediction;
    }
    let size = minimum.theta.len();
    let deviation = prediction.second_moment.diagonal().map(|v| v.max(0.0).sqrt());
    let shift = match model.nodes().origin {
        Origin::Reference { size, .. } => minimum_error(minimum, size),
        _ => &deviation * error,
    };
    let second =
        DMatrix::from_fn(size, size, |i, j| error * deviation[i] * deviation[j] + shift[i] * shift[j]);
    prediction.mean_error += shift;
    prediction.second_moment_error += second;
    prediction.note = format!("{}, expectations to a relative error of {}", prediction.note, short(error));
    prediction
}

/// Standard errors of the minimum of a sample of the population: θ* is off by −H⁻¹ times the error of the mean gradient,
/// so by √(H⁻¹CH⁻¹/n)_ii.
fn minimum_error(minimum: &Minimum, samples: usize) -> DVector<f64> {
    let size = minimum.theta.len();
    let matrix = |values: &[f64]| DMatrix::from_row_slice(size, size, values);
    let inverse = matrix(&minimum.hessian).try_inverse().unwrap_or_else(|| DMatrix::zeros(size, size));
    let covariance = &inverse * matrix(&minimum.covariance) * &inverse;
    covariance.diagonal().map(|v| (v.max(0.0) / samples as f64).sqrt())
}

/// The law of motion's own response to noise.
fn own_response(law: &Law, training: &Training) -> Option<Response> {
    let rate = training.rate.last();
    match *law {
        Law::Sgd | Law::GaussianSgd => Some(Response::Iteration { rate, momentum: training.momentum }),
        Law::Langevin { substeps, .. } if law.plain() => Some(Response::Substeps { rate, substeps }),
        Law::Langevin { order, substeps, method } => {
            Some(Response::Scheme { rate, substeps, order, scheme: method.scheme })
        }
        // l steps of η/l with noise of covariance l f N: to second moments Euler–Maruyama with m = l.
        Law::Svag { level } => Some(Response::Substeps { rate, substeps: level }),
        Law::Underdamped { friction, substeps } => Some(Response::Inertia { rate, friction, substeps }),
        Law::OrnsteinUhlenbeck => Some(Response::Continuous { rate }),
        _ => None,
    }
}

/// What is left at iteration `step` of a distance from the minimum, along the direction that keeps most of it; `None` for a motion that is not known as
/// a linear one.
pub(super) fn left(law: &Law, training: &Training, minimum: &Minimum, step: u64) -> Option<f64> {
    let size = minimum.theta.len();
    let eigen = symmetric_eigen(&DMatrix::from_row_slice(size, size, &minimum.hessian));
    let pieces = &training.rate.pieces;
    let mut left = vec![1.0; size];
    for (index, &(first, rate)) in pieces.iter().enumerate() {
        let end = pieces.get(index + 1).map_or(step, |next| next.0.min(step));
        let response = own_response(law, &Training { rate: Schedule::constant(rate), ..training.clone() })?;
        for (left, &curvature) in left.iter_mut().zip(eigen.eigenvalues.iter()) {
            *left *= response.left(curvature, end.saturating_sub(first));
        }
    }
    Some(left.into_iter().fold(0.0, f64::max))
}

/// The same for a linear `[sde]`, after a time and so many steps.
pub(super) fn left_of_sde(model: &SdeModel, law: &Law, (time, step): (f64, u64)) -> Option<f64> {
    let (drift, constant, _) = model.linear().ok()?;
    let size = constant.len();
    let matrix = DMatrix::from_row_slice(size, size, &drift);
    match law {
        Law::Integrated { dt, method } => {
            let step_map = polynomial(method.scheme.propagation().state, &(matrix * *dt));
            Some(power(&step_map, step).norm())
        }
        Law::Exact => {
            let nothing = vec![0.0; size * size];
            let exact = Transition::new(&drift, &constant, &nothing, time).ok()?;
            Some(exact.propagator.iter().map(|x| x * x).sum::<f64>().sqrt())
        }
        _ => None,
    }
}

/// What is solved.
fn note_of(response: Response, law: &Law) -> &'static str {
    match response {
        Response::Continuous { .. } if *law == Law::OrnsteinUhlenbeck => "HΣ + ΣH = ηfC",
        Response::Continuous { .. } => "HΣ + ΣH = ηfN",
        Response::Iteration { momentum: 0.0, .. } => "HΣ + ΣH − ηHΣH = ηfN",
        Response::Iteration { .. } => "S = FSFᵀ + η²fN⊗[[1,1],[1,1]] of (θ, v)",
        Response::Substeps { .. } if matches!(law, Law::Svag { .. }) => "HΣ + ΣH − (η/l)HΣH = ηfN",
        Response::Substeps { .. } | Response::Scheme { order: 1, scheme: Scheme::EulerMaruyama, .. } => {
            "HΣ + ΣH − (η/m)HΣH = ηfN"
        }
        Response::Scheme { scheme: Scheme::EulerMaruyama, .. } => {
            "KΣ + ΣK − (η/m)KΣK = ηfN with K = H + (η/2)H²"
        }
        Response::Scheme { .. } => "Σ = RΣR + (η²/m)f Σ_s q_s N q_s, the scheme's R and q_s",
        Response::Inertia { .. } => "S = MSMᵀ + ggᵀ⊗N of (θ, v), the steps of BAOAB",
    }
}

/// True if the prediction has no error where each sample's loss is quadratic: noise that depends on θ then enters by its second moment
/// alone, unless a scheme evaluates it twice in a step, or the order of an epoch matters.
fn exact_for_quadratic(own: bool, law: &Law, training: &Training, model: &FormulaModel) -> bool {
    let simple = match law {
        Law::Langevin { method, .. } => method.scheme == Scheme::EulerMaruyama,
        Law::Sgd => matches!(training.sampling, Sampling::WithReplacement),
        _ => true,
    };
    !own || simple || model.additive_noise()
}

/// A sentence, where the fourth moment of this motion does not exist (see [`super::tails`]). Noise that does not depend on θ has no tails of its own
/// making: the stationary law is a sum of what single steps brought, each of them less and less.
fn heavy_tails(motion: &Moving, curvatures: &Curvatures, seed: u64) -> Option<String> {
    let Moving { model, minimum, law, training } = *motion;
    let response = own_response(law, training)?;
    if model.additive_noise() {
        return None;
    }
    let size = minimum.theta.len();
    let of_minibatches = matches!(law, Law::Sgd | Law::Svag { .. });
    // Known exactly: normal noise, one parameter, or cumulants of the minibatch's curvature up to the fourth.
    let (growth, exact) = if size == 1 && of_minibatches {
        (tails::scalar_growth(scalar_multiplier(motion, seed), training.momentum), true)
    } else {
        let hessian = DMatrix::from_row_slice(size, size, &minimum.hessian);
        let factor = training.noise_factor(model.population().size());
        let cumulants = if of_minibatches { cumulants(motion) } else { None };
        let decay = training.decay.force();
        let growth = tails::growth(response, &hessian, decay, factor, curvatures, cumulants.as_ref())?;
        (growth, !of_minibatches || cumulants.is_some())
    };
    // Of noise that a scheme evaluates twice in a step, to leading order in the step.
    let leading = matches!(response, Response::Scheme { scheme, .. } if scheme != Scheme::EulerMaruyama);
    (growth >= 1.0).then(|| {
        let (has, grow, measured) =
            if exact && !leading { ("has", "grow", "does not") } else { ("may have", "may grow", "may not") };
        let how = match (exact, leading) {
            (false, _) => ", were the minibatches' curvatures normal",
            (true, true) => ", to leading order in the scheme's step",
            (true, false) => "",
        };
        format!(
            "the stationary law {has} heavy tails (fourth moments {grow} {}-fold a step{how}): the variance exists, but its \
             standard error {measured}; lower the rate or raise the batch",
            short(growth)
        )
    })
}

/// Third and fourth cumulants of the minibatch's curvature, for independent draws of few samples and parameters.
fn cumulants(motion: &Moving) -> Option<Cumulants> {
    let Moving { model, minimum, law, training } = *motion;
    let size = minimum.theta.len();
    let samples = model.population().finite()?;
    let state = if training.momentum == 0.0 { size } else { 2 * size };
    if training.epoch(Some(samples)) > 0 || !Cumulants::feasible(samples, state) {
        return None;
    }
    let level = if let Law::Svag { level } = *law { level } else { 1 };
    let (a, b) = amplifying_weights(level);
    let batch = training.batch as f64;
    let hessians = model.sample_hessians(&minimum.theta);
    let matrices = hessians.chunks_exact(size * size).map(|h| DMatrix::from_row_slice(size, size, h));
    Some(Cumulants {
        samples: model.nodes().weights.iter().copied().zip(matrices).collect(),
        third: (a.powi(3) + b.powi(3)) / batch.powi(2),
        fourth: (a.powi(4) + b.powi(4)) / batch.powi(3),
    })
}

/// The random factor by which a step of SGD or SVAG in one parameter multiplies a large distance, with the skewness and the
/// tails of the minibatch's curvature.
fn scalar_multiplier(motion: &Moving, seed: u64) -> Multiplier {
    let Moving { model, minimum, law, training } = *motion;
    // The nodes are exact for second moments of the curvature; what fresh draws do to its fourth needs draws.
    let (curvatures, weights) = match model.population().fresh.as_deref() {
        Some(variates) => {
            let drawn = curvature_samples(model, variates, minimum.theta[0], seed);
            let weights = vec![1.0 / drawn.len() as f64; drawn.len()];
            (drawn, weights)
        }
        None => (model.sample_hessians(&minimum.theta), model.nodes().weights.clone()),
    };
    let weighted = || curvatures.iter().zip(&weights);
    let mean: f64 = weighted().map(|(a, w)| w * a).sum();
    let central = |power: i32| -> f64 { weighted().map(|(a, w)| w * (a - mean).powi(power)).sum() };
    let (second, third, fourth) = (central(2), central(3), central(4));
    let batch = training.batch as f64;
    let of_batch = [
        second / batch,
        third / batch.powi(2),
        (fourth + 3.0 * (batch - 1.0) * second * second) / batch.powi(3),
    ];
    // SVAG: a ŝ₁ + b ŝ₂ of two batches.
    let (level, [second, third, fourth]) = match *law {
        Law::Svag { level } if level > 1 => {
            let (a, b) = amplifying_weights(level);
            let [m2, m3, m4] = of_batch;
            let fourth = (a.powi(4) + b.powi(4)) * m4 + 6.0 * (a * b).powi(2) * m2 * m2;
            (f64::from(level), [f64::from(level) * m2, (a.powi(3) + b.powi(3)) * m3, fourth])
        }
        _ => (1.0, of_batch),
    };
    let rate = training.rate.last() / level;
    Multiplier {
        mean: 1.0 - rate * minimum.hessian[0],
        second: rate.powi(2) * second,
        third: rate.powi(3) * third,
        fourth: rate.powi(4) * fourth,
    }
}

/// Without the moments of the curvatures: constant noise, or sample by sample for many parameters.
fn direct(
    model: &FormulaModel,
    minimum: &Minimum,
    decay: f64,
    factor: f64,
    response: Response,
    quadratic: bool,
) -> Result<DMatrix<f64>, Refusal> {
    let size = minimum.theta.len();
    if quadratic && model.nodes().len() * size * size > MOST_NUMBERS {
        return Err(Refusal::Unknown(format!(
            "the Hessians of {} samples in {size} parameters are too many numbers for the exact equation",
            model.nodes().len()
        )));
    }
    let curvatures = quadratic
        .then(|| Curvatures::new(&model.sample_hessians(&minimum.theta), &model.nodes().weights, size));
    let system = Linearised {
        hessian: &DMatrix::from_row_slice(size, size, &minimum.hessian),
        decay,
        covariance: &DMatrix::from_row_slice(size, size, &minimum.covariance),
        factor,
        curvatures: curvatures.as_ref(),
    };
    stationary(response, &system).map_err(Refusal::Unstable)
}

/// Stationary mean and covariance of dx = (Ax + c)dt + B dW.
///
/// # Errors
/// A sentence, where the drift is not linear, the noise not constant, or nothing relaxes.
pub(super) fn sde_center(model: &SdeModel) -> Result<Vec<f64>, String> {
    let (drift, constant, _) = model.linear()?;
    let size = constant.len();
    let center = DMatrix::from_row_slice(size, size, &drift)
        .lu()
        .solve(&-DVector::from_vec(constant))
        .ok_or("the linear drift does not relax in every direction: there is no stationary mean")?;
    Ok(center.iter().copied().collect())
}

/// For a linear `[sde]` about its stationary mean `center`: `AΣ + ΣAᵀ + BBᵀ = 0`, or, for Euler–Maruyama,
/// `Σ = (1 + hA)Σ(1 + hA)ᵀ + hBBᵀ`.
///
/// # Errors
/// [`Refusal`].
pub(super) fn of_sde(
    model: &SdeModel,
    center: &[f64],
    law: &Law,
    equation: Equation,
    tolerance: Option<f64>,
) -> Result<Prediction, Refusal> {
    let (drift, constant, noise) = model.linear().map_err(Refusal::Unknown)?;
    let size = constant.len();
    let drift = DMatrix::from_row_slice(size, size, &drift);
    let noise = DMatrix::from_row_slice(size, noise.len() / size.max(1), &noise);
    let power = &noise * noise.transpose();
    let (sigma, note) = match (equation, law) {
        (Equation::Own | Equation::Discrete, Law::Integrated { dt, method }) => {
            let scaled = &drift * *dt;
            let step = method.scheme.propagation();
            let mut noise = DMatrix::zeros(size, size);
            for q in step.noise {
                let q = polynomial(q, &scaled);
                noise += &q * &power * q.transpose() * *dt;
            }
            let note = match method.scheme {
                Scheme::EulerMaruyama | Scheme::Milstein => "Σ = (1 + hA)Σ(1 + hA)ᵀ + hBBᵀ",
                _ => "Σ = RΣRᵀ + h Σ_s q_s BBᵀ q_sᵀ, the scheme's R and q_s of hA",
            };
            (lyapunov::discrete(&polynomial(step.state, &scaled), &noise), note)
        }
        (Equation::Own, Law::Exact) | (Equation::Continuous, _) => {
            (lyapunov::continuous(&-drift, &power), "AΣ + ΣAᵀ + BBᵀ = 0")
        }
        (_, other) => {
            return Err(Refusal::Unknown(format!("no such equation is known for {}", other.name())));
        }
    };
    let sigma = sigma.map_err(Refusal::Unstable)?;
    Ok(Prediction { tolerance, ..Prediction::exact(DVector::from_column_slice(center), sigma, note) })
}

/// Σ c_k Mᵏ.
fn polynomial(coefficients: &[f64], matrix: &DMatrix<f64>) -> DMatrix<f64> {
    let size = matrix.nrows();
    let zero = DMatrix::zeros(size, size);
    coefficients.iter().rev().fold(zero, |sum, c| sum * matrix + DMatrix::identity(size, size) * *c)
}

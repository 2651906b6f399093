//! What `einstein` predicts: the stationary mean and second moment of one law of motion.

use nalgebra::{DMatrix, DVector};

use super::lyapunov;
use super::recursion::{Curvatures, Linearised, Response, stationary};
use crate::dynamics::{Law, Sampling, Training};
use crate::model::critical::{Minimum, covariance};
use crate::model::formula::{FormulaModel, SdeModel};
use crate::model::{Model, Origin};
use crate::study::Equation;

/// Relative tolerance of leading-order predictions where the study gives none.
const LEADING_ORDER: f64 = 0.1;
/// Numbers in all samples' Hessians beyond which they are not made.
const MOST_NUMBERS: usize = 1 << 27;
/// Parts of a reference sample, each left out in turn.
const PARTS: usize = 16;
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
        }
    }
}

/// For a loss: `minimum` is that of the dynamics' own objective.
///
/// # Errors
/// [`Refusal`].
pub(super) fn of_loss(
    model: &FormulaModel,
    minimum: &Minimum,
    law: &Law,
    training: &Training,
    equation: Equation,
    tolerance: Option<f64>,
) -> Result<Prediction, Refusal> {
    let size = minimum.theta.len();
    let mean = DVector::from_column_slice(&minimum.theta);
    let own = equation == Equation::Own;
    if own && law.deterministic() {
        let note = "a deterministic law of motion ends in the minimum";
        return Ok(Prediction { tolerance, ..Prediction::exact(mean, DMatrix::zeros(size, size), note) });
    }
    if own && *law == Law::Sgd && matches!(training.sampling, Sampling::WithoutReplacement { .. }) {
        return Err(Refusal::Unknown(
            "minibatches drawn without replacement anticorrelate over an epoch: no closed prediction is known here \
             (gaussian-sgd with the same setting has the same noise without the correlation)"
                .to_owned(),
        ));
    }
    let rate = training.rate.last();
    let (response, note) = match (equation, law) {
        (Equation::Continuous, _) => (Response::Continuous { rate }, "HΣ + ΣH = ηfN"),
        (Equation::Discrete, _) => (Response::Iteration { rate, momentum: 0.0 }, "HΣ + ΣH − ηHΣH = ηfN"),
        (Equation::Own, Law::Langevin { substeps, .. }) => {
            (Response::Substeps { rate, substeps: *substeps }, "HΣ + ΣH − (η/m)HΣH = ηfN")
        }
        (Equation::Own, Law::OrnsteinUhlenbeck) => (Response::Continuous { rate }, "HΣ + ΣH = ηfC"),
        (Equation::Own, Law::Sgd | Law::GaussianSgd) if training.momentum == 0.0 => {
            (Response::Iteration { rate, momentum: 0.0 }, "HΣ + ΣH − ηHΣH = ηfN")
        }
        (Equation::Own, Law::Sgd | Law::GaussianSgd) => (
            Response::Iteration { rate, momentum: training.momentum },
            "S = FSFᵀ + η²fN⊗[[1,1],[1,1]] of (θ, v)",
        ),
        (Equation::Own, other) => {
            return Err(Refusal::Unknown(format!("no stationary equation is known for {}", other.name())));
        }
    };
    // The Ornstein–Uhlenbeck process is linear with constant noise by construction.
    let linear = own && *law == Law::OrnsteinUhlenbeck;
    let quadratic = !linear && model.quadratic();
    let samples = Samples::new(model, minimum, training, quadratic)?;
    let whole = samples.predict(response, None)?;
    let tolerance = match tolerance {
        None if !linear && !quadratic => Some(LEADING_ORDER),
        given => given,
    };
    let mut prediction = Prediction { tolerance, ..Prediction::exact(mean, whole.1, note) };
    // Fresh draws follow the law itself; every other law of motion has the nodes for its population.
    if *law == Law::Sgd && model.population().size().is_none() {
        samples.errors(response, &model.nodes().origin, &mut prediction)?;
    }
    Ok(prediction)
}

/// Gradients and Hessians of all samples at the minimum.
struct Samples<'a> {
    minimum: &'a Minimum,
    decay: f64,
    factor: f64,
    weights: &'a [f64],
    gradients: Vec<f64>,
    hessians: Vec<f64>,
    /// Contributions of consecutive parts of the samples, unnormalised; one part unless errors are asked for.
    curvatures: Option<Curvatures>,
}

impl<'a> Samples<'a> {
    fn new(
        model: &'a FormulaModel,
        minimum: &'a Minimum,
        training: &Training,
        quadratic: bool,
    ) -> Result<Self, Refusal> {
        let size = minimum.theta.len();
        let nodes = model.nodes();
        if quadratic && nodes.len() * size * size > MOST_NUMBERS {
            return Err(Refusal::Unknown(format!(
                "the Hessians of {} samples in {size} parameters are too many numbers for the exact equation",
                nodes.len()
            )));
        }
        let hessians = if quadratic { model.sample_hessians(&minimum.theta) } else { Vec::new() };
        Ok(Self {
            minimum,
            decay: training.decay.force(),
            factor: training.noise_factor(model.population().size()),
            weights: &nodes.weights,
            gradients: model.sample_gradients(&minimum.theta),
            curvatures: quadratic.then(|| Curvatures::new(&hessians, &nodes.weights, size)),
            hessians,
        })
    }

    fn size(&self) -> usize {
        self.minimum.theta.len()
    }

    /// ⟨θ⟩ − θ* and ⟨(θ − θ*)(θ − θ*)ᵀ⟩, of all samples or without those of one part.
    fn predict(
        &self,
        response: Response,
        without: Option<usize>,
    ) -> Result<(DVector<f64>, DMatrix<f64>), Refusal> {
        let size = self.size();
        let hessian = DMatrix::from_row_slice(size, size, &self.minimum.hessian);
        let solve = |hessian: &DMatrix<f64>, covariance: &DMatrix<f64>, curvatures: Option<&Curvatures>| {
            let system =
                Linearised { hessian, decay: self.decay, covariance, factor: self.factor, curvatures };
            stationary(response, &system).map_err(Refusal::Unstable)
        };
        let Some(part) = without else {
            let covariance = DMatrix::from_row_slice(size, size, &self.minimum.covariance);
            return Ok((DVector::zeros(size), solve(&hessian, &covariance, self.curvatures.as_ref())?));
        };
        let left_out = self.part(part);
        let mut weights = self.weights.to_vec();
        let lost: f64 = weights[left_out.clone()].iter().sum();
        weights[left_out.clone()].fill(0.0);
        weights.iter_mut().for_each(|w| *w /= 1.0 - lost);
        let average = |rows: &[f64], length: usize| {
            let mut sum = DVector::zeros(length);
            for (row, &weight) in rows.chunks_exact(length).zip(&weights) {
                sum.axpy(weight, &DVector::from_column_slice(row), 1.0);
            }
            sum
        };
        let force =
            average(&self.gradients, size) + DVector::from_column_slice(&self.minimum.theta) * self.decay;
        let (hessian, curvatures) = match &self.curvatures {
            None => (hessian, None),
            Some(whole) => {
                let bare =
                    DMatrix::from_row_slice(size, size, average(&self.hessians, size * size).as_slice());
                let stride = size * size;
                let rows = left_out.start * stride..left_out.end * stride;
                let curvatures = whole.without(&self.hessians[rows], &self.weights[left_out], &weights);
                (bare + DMatrix::identity(size, size) * self.decay, Some(curvatures))
            }
        };
        let shift = -hessian.clone().lu().solve(&force).unwrap_or_else(|| DVector::zeros(size));
        let mut gradients = self.gradients.clone();
        for (gradient, curvature) in
            gradients.chunks_exact_mut(size).zip(self.hessians.chunks_exact(size * size))
        {
            for (g, row) in gradient.iter_mut().zip(curvature.chunks_exact(size)) {
                *g += row.iter().zip(shift.iter()).map(|(a, d)| a * d).sum::<f64>();
            }
        }
        let covariance = covariance(&gradients, &weights, size);
        let sigma = solve(&hessian, &covariance, curvatures.as_ref())?;
        let about = sigma + &shift * shift.transpose();
        Ok((shift, about))
    }

    fn part(&self, part: usize) -> std::ops::Range<usize> {
        let count = self.weights.len();
        part * count / PARTS..(part + 1) * count / PARTS
    }

    /// How far the nodes' prediction may lie from the population's: the quadrature's own error, or the jackknife
    /// over sixteen parts of a reference sample.
    fn errors(
        &self,
        response: Response,
        origin: &Origin,
        prediction: &mut Prediction,
    ) -> Result<(), Refusal> {
        let size = self.size();
        match *origin {
            Origin::Table => {}
            Origin::Quadrature { error, .. } if error < QUADRATURE_ROUNDING => {}
            Origin::Quadrature { error, .. } => {
                let deviation = prediction.second_moment.diagonal().map(|v| v.max(0.0).sqrt());
                prediction.mean_error = &deviation * error;
                prediction.second_moment_error =
                    DMatrix::from_fn(size, size, |i, j| error * deviation[i] * deviation[j]);
            }
            Origin::Reference { .. } => {
                let parts = (0..PARTS)
                    .map(|part| self.predict(response, Some(part)))
                    .collect::<Result<Vec<_>, Refusal>>()?;
                let count = PARTS as f64;
                let mean = parts.iter().fold(DVector::zeros(size), |sum, p| sum + &p.0) / count;
                let second = parts.iter().fold(DMatrix::zeros(size, size), |sum, p| sum + &p.1) / count;
                for (shift, moment) in &parts {
                    prediction.mean_error += (shift - &mean).map(|x| x * x);
                    prediction.second_moment_error += (moment - &second).map(|x| x * x);
                }
                let scale = (count - 1.0) / count;
                prediction.mean_error.apply(|x| *x = (*x * scale).sqrt());
                prediction.second_moment_error.apply(|x| *x = (*x * scale).sqrt());
            }
        }
        Ok(())
    }
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

/// For a linear `[sde]` about its stationary mean `center`: AΣ + ΣAᵀ + BBᵀ = 0, or, for Euler–Maruyama,
/// Σ = (1 + hA)Σ(1 + hA)ᵀ + hBBᵀ.
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
        (Equation::Own | Equation::Discrete, Law::EulerMaruyama { dt }) => {
            let step = DMatrix::identity(size, size) + &drift * *dt;
            (lyapunov::discrete(&step, &(power * *dt)), "Σ = (1 + hA)Σ(1 + hA)ᵀ + hBBᵀ")
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

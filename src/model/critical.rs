//! Critical points of a loss: the minimum with what a linear theory needs of it.

use crate::model::formula::FormulaModel;

/// A non-degenerate minimum θ* of the objective L(θ) + ½λ‖θ‖².
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// θ*, `[P]`.
    pub theta: Vec<f64>,
    /// Hessian of the objective at θ*, λ included, `[P][P]` row by row.
    pub hessian: Vec<f64>,
    /// Covariance of the per-sample gradient at θ* (weights of the population's nodes, about its mean; the decay
    /// is the same for every sample and does not enter), `[P][P]` row by row.
    pub covariance: Vec<f64>,
}

/// Finds the minimum of L(θ) + ½`decay`‖θ‖² that damped Newton steps reach from `start`.
///
/// # Errors
/// A sentence that says why there is none to be had: a saddle, a flat direction, no convergence.
pub fn minimum(_model: &FormulaModel, _decay: f64, _start: &[f64]) -> Result<Minimum, String> {
    Err("not yet".to_owned())
}

//! Symmetries of a loss: transformations of θ that leave ℓ(θ; z) unchanged for every sample z.
//!
//! A continuous linear symmetry θ → e^{λA}θ has θᵀAᵀ∇ℓ = 0 for every θ and z. If A is symmetric its *Noether charge* C = θᵀAθ is kept by gradient
//! flow, and a step θ' = ρθ − ηĝ changes it by exactly C' − C = (ρ² − 1)C + η² ĝᵀAĝ (arXiv 2402.07193, Prop. 5.1, with the factors
//! re-derived). Weight decay breaks symmetries of the objective, not of the loss.

mod action;
mod balance;
mod basis;
mod check;
mod elimination;
mod equation;
mod find;
mod form;
mod moments;
mod probe;
mod suggest;

pub use action::{Acting, Generator};
pub use balance::{Balance, Spectrum, squares};
pub use basis::Kind;
pub use check::{Violation, check};
pub use equation::{Breach, BreachKind, check_equation};
pub use find::{Algebra, DENSE, FindError, Found, Seen, find};
pub use form::{AbsoluteForm, QuadraticForm};
pub use moments::GradientMoments;

use super::{Layout, Parameter, Shape};

/// A symmetry by what it does to θ.
#[derive(Clone, Debug, PartialEq)]
pub enum Symmetry {
    /// θ_p → e^{λ a_p} θ_p, one number a parameter in the layout's order.
    Exponential(Vec<f64>),
    /// θ → e^{λA}θ, A symmetric, `[P][P]` row by row.
    Matrix(Vec<f64>),
    /// W → RW for each of `left`, U → URᵀ for each of `right`, R = e^{λB} with B antisymmetric.
    Rotation {
        /// Parameters that R multiplies from the left.
        left: Vec<String>,
        /// Parameters that Rᵀ multiplies from the right.
        right: Vec<String>,
    },
    /// W → AW, U → UA⁻¹.
    DoubleRotation {
        /// W.
        left: String,
        /// U.
        right: String,
    },
    /// These parameters times λ.
    Scale(Vec<String>),
    /// Exchanges parameters pairwise.
    PermutationSwap(Vec<(String, String)>),
    /// Permutes rows of one and columns of another.
    PermutationRows {
        /// Matrices whose rows are permuted.
        rows: Vec<String>,
        /// Matrices whose columns are permuted.
        columns: Vec<String>,
    },
    /// These parameters change sign.
    Negate(Vec<String>),
    /// Reflection θ → (1 − 2OOᵀ)θ, the projector `[P][P]`.
    Mirror(Vec<f64>),
}

/// The parameters of these names; names were checked when the symmetry was read.
fn named<'l>(layout: &'l Layout, names: &[String]) -> impl Iterator<Item = &'l Parameter> {
    names.iter().filter_map(|name| layout.get(name))
}

impl Symmetry {
    /// The Noether charge θᵀAθ, a matrix of charges UᵀU − WWᵀ for a double rotation; `None` for rotations, whose θᵀBθ is 0, and for
    /// discrete symmetries.
    pub fn charge(&self, layout: &Layout) -> Option<QuadraticForm> {
        let squares = |p: &Parameter, weight: f64| {
            (p.offset..p.offset + p.shape.len()).map(move |e| (0, e, e, weight)).collect::<Vec<_>>()
        };
        match self {
            Symmetry::Exponential(weights) => {
                let terms = layout.parameters().iter().zip(weights).flat_map(|(p, &a)| squares(p, a));
                Some(QuadraticForm::new(Shape::SCALAR, terms))
            }
            Symmetry::Matrix(a) => Some(QuadraticForm::of_matrix(a, layout.len())),
            Symmetry::Scale(names) => {
                let terms = named(layout, names).flat_map(|p| squares(p, 1.0));
                Some(QuadraticForm::new(Shape::SCALAR, terms))
            }
            Symmetry::DoubleRotation { left, right } => {
                let (w, u) = (layout.get(left)?, layout.get(right)?);
                let side = w.shape.rows;
                let mut terms = Vec::new();
                for a in 0..side {
                    for b in 0..side {
                        let component = a * side + b;
                        let element = |p: &Parameter, i: usize, j: usize| p.offset + i * p.shape.cols + j;
                        terms.extend(
                            (0..u.shape.rows).map(|i| (component, element(u, i, a), element(u, i, b), 1.0)),
                        );
                        terms.extend(
                            (0..w.shape.cols).map(|j| (component, element(w, a, j), element(w, b, j), -1.0)),
                        );
                    }
                }
                Some(QuadraticForm::new(Shape::matrix(side, side), terms))
            }
            _ => None,
        }
    }

    /// The state that a mirror leaves alone, (1 − OOᵀ)θ, the nearest one to θ; `None` for other symmetries.
    pub fn symmetric_state(&self, layout: &Layout, theta: &[f64]) -> Option<Vec<f64>> {
        match self {
            Symmetry::Negate(names) => {
                let mut state = theta.to_vec();
                for p in named(layout, names) {
                    state[p.offset..p.offset + p.shape.len()].fill(0.0);
                }
                Some(state)
            }
            Symmetry::Mirror(projector) => {
                let n = theta.len();
                let along = |i: usize| (0..n).map(|j| projector[i * n + j] * theta[j]).sum::<f64>();
                Some((0..n).map(|i| theta[i] - along(i)).collect())
            }
            _ => None,
        }
    }
}

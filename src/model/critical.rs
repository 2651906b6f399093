//! Critical points of a loss: the minimum, with what a linear theory needs of it.

use nalgebra::{DMatrix, DVector};

use crate::model::Model;
use crate::model::formula::FormulaModel;
use crate::stats::spectrum::symmetric_eigen;

/// Iterations before the search gives up.
const ITERATIONS: usize = 500;
/// An eigenvalue of the Hessian this small beside the largest one, for each parameter, is rounding.
const FLAT: f64 = 64.0 * f64::EPSILON;
/// A gradient this small beside what cancels in it is rounding.
const STILL: f64 = 16.0 * f64::EPSILON;
/// A curvature is known if it changes by less than this share of itself within what the gradient leaves open.
const KNOWN: f64 = 0.1;
/// Ratio of the largest to the smallest curvature beyond which the search is finished by steps of its own, and worth a word.
pub const ILL_CONDITIONED: f64 = 1e8;
/// The most such steps.
const FINISHING: usize = 50;

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
    /// Largest eigenvalue of the Hessian over the smallest.
    pub condition: f64,
}

/// Finds the minimum of L(θ) + ½`decay`‖θ‖² that damped Newton steps reach from `start`: steps −|H|⁻¹g, with
/// the moduli of the Hessian's eigenvalues so that each one descends, halved until it does.
///
/// It is one if convergence can be shown: every curvature is above its own rounding, and hardly changes as far as the gradient, with its rounding, leaves
/// the place open. A search that creeps towards a place without curvature, or away to infinity, has neither.
///
/// # Errors
/// A sentence that says why there is none to be had: a saddle, a flat direction, no convergence.
pub fn minimum(model: &FormulaModel, decay: f64, start: &[f64]) -> Result<Minimum, String> {
    let objective = Decayed { model, decay };
    let found = search(&objective, start)?;
    let condition = check(&objective, &found, &|index| model.layout().element_name(index))?;
    let theta: Vec<f64> = found.theta.iter().copied().collect();
    let gradients = model.sample_gradients(&theta);
    let covariance = covariance(&gradients, &model.nodes().weights, theta.len());
    Ok(Minimum { theta, hessian: rows(&found.hessian), covariance: rows(&covariance), condition })
}

/// `Σ_k ω_k (g_k − ḡ)(g_k − ḡ)ᵀ` of weighted rows `[n][P]`; the weights sum to 1.
pub fn covariance(gradients: &[f64], weights: &[f64], parameters: usize) -> DMatrix<f64> {
    let mut mean = DVector::zeros(parameters);
    for (row, &weight) in gradients.chunks_exact(parameters).zip(weights) {
        mean.axpy(weight, &DVector::from_column_slice(row), 1.0);
    }
    let mut covariance = DMatrix::zeros(parameters, parameters);
    for (row, &weight) in gradients.chunks_exact(parameters).zip(weights) {
        let difference = DVector::from_column_slice(row) - &mean;
        covariance.ger(weight, &difference, &difference, 1.0);
    }
    covariance
}

fn rows(matrix: &DMatrix<f64>) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}

/// What Newton's method asks of a function.
trait Objective {
    fn value(&self, theta: &DVector<f64>) -> f64;
    fn gradient(&self, theta: &DVector<f64>) -> DVector<f64>;
    fn hessian(&self, theta: &DVector<f64>) -> DMatrix<f64>;
    /// Size of what cancels in the gradient, which rounding goes by.
    fn gradient_scale(&self, _theta: &DVector<f64>) -> f64 {
        0.0
    }
}

struct Decayed<'a> {
    model: &'a FormulaModel,
    decay: f64,
}

impl Objective for Decayed<'_> {
    fn value(&self, theta: &DVector<f64>) -> f64 {
        self.model.mean_loss(theta.as_slice()) + 0.5 * self.decay * theta.norm_squared()
    }
    fn gradient(&self, theta: &DVector<f64>) -> DVector<f64> {
        DVector::from_vec(self.model.mean_gradient(theta.as_slice())) + theta * self.decay
    }
    /// Σ_k ω_k ‖∇ℓ(θ; z_k)‖.
    fn gradient_scale(&self, theta: &DVector<f64>) -> f64 {
        let gradients = self.model.sample_gradients(theta.as_slice());
        let norms = gradients.chunks_exact(theta.len()).map(|g| g.iter().map(|x| x * x).sum::<f64>().sqrt());
        norms.zip(&self.model.nodes().weights).map(|(norm, weight)| norm * weight).sum()
    }
    fn hessian(&self, theta: &DVector<f64>) -> DMatrix<f64> {
        let count = theta.len();
        let hessian = DMatrix::from_row_slice(count, count, &self.model.mean_hessian(theta.as_slice()));
        // Symmetric to the last bit, as the eigenvalue routine assumes.
        0.5 * (&hessian + hessian.transpose()) + DMatrix::identity(count, count) * self.decay
    }
}

struct Critical {
    theta: DVector<f64>,
    hessian: DMatrix<f64>,
}

/// Follows [`descend`], and finishes where curvatures are so unlike that its steps fall short along the smallest.
fn search(objective: &dyn Objective, start: &[f64]) -> Result<Critical, String> {
    let mut found = descend(objective, start)?;
    for _ in 0..FINISHING {
        let eigen = symmetric_eigen(&found.hessian);
        if eigen.eigenvalues.min() * ILL_CONDITIONED > eigen.eigenvalues.amax() {
            break;
        }
        let floor = FLAT * eigen.eigenvalues.amax();
        let gradient = objective.gradient(&found.theta);
        let mut step = eigen.eigenvectors.tr_mul(&gradient);
        for (x, h) in step.iter_mut().zip(eigen.eigenvalues.iter()) {
            *x /= -h.abs().max(floor).max(f64::MIN_POSITIVE);
        }
        let theta = &found.theta + eigen.eigenvectors * step;
        let (value, slope) = (objective.value(&theta), objective.gradient(&theta));
        let hessian = objective.hessian(&theta);
        let better = value <= objective.value(&found.theta) && slope.norm() < gradient.norm();
        if !better || hessian.iter().any(|x| !x.is_finite()) {
            break;
        }
        found = Critical { theta, hessian };
    }
    Ok(found)
}

fn descend(objective: &dyn Objective, start: &[f64]) -> Result<Critical, String> {
    let start = DVector::from_column_slice(start);
    let mut theta = start.clone();
    let mut value = objective.value(&theta);
    let mut gradient = objective.gradient(&theta);
    if !value.is_finite() || !all_finite(&gradient) {
        return Err(
            "the loss or its gradient is not finite where the search for the minimum starts".to_owned()
        );
    }
    let mut steepest = gradient.norm().max(objective.gradient_scale(&theta));
    for _ in 0..ITERATIONS {
        let hessian = objective.hessian(&theta);
        if hessian.iter().any(|x| !x.is_finite()) {
            return Err(format!("the Hessian is not finite at {}", place(&theta)));
        }
        let step = descent(&hessian, &gradient);
        let size = theta.norm() + (&theta - &start).norm();
        if gradient.norm() <= 1e-14 * steepest || step.norm() <= 1e-15 * size {
            return Ok(Critical { theta, hessian });
        }
        let Some((next, next_value, next_gradient)) = line_search(objective, &theta, value, &gradient, &step)
        else {
            // No step improves: rounding has been reached, or the function is not smooth there.
            return if gradient.norm() <= 1e-8 * steepest || step.norm() <= 1e-8 * size {
                Ok(Critical { theta, hessian })
            } else {
                Err(format!(
                    "the search for the minimum is stuck at {}: is the loss smooth there?",
                    place(&theta)
                ))
            };
        };
        (theta, value, gradient) = (next, next_value, next_gradient);
        steepest = steepest.max(gradient.norm());
        if theta.norm() > 1e8 * (1.0 + start.norm()) {
            return Err("the loss decreases without end: it has no minimum where the search goes".to_owned());
        }
    }
    let hessian = objective.hessian(&theta);
    let eigen = symmetric_eigen(&hessian);
    let lowest = eigen.eigenvalues.min();
    if lowest > 0.0 && lowest * ILL_CONDITIONED < eigen.eigenvalues.amax() {
        // In a long valley the steps fall short: it is finished by others, and whether it is a minimum is seen there.
        return Ok(Critical { theta, hessian });
    }
    Err(format!(
        "the search for the minimum did not converge in {ITERATIONS} steps; it is at {}",
        place(&theta)
    ))
}

/// −|H|⁻¹g; eigenvalues are kept off 0 so that the step stays finite.
fn descent(hessian: &DMatrix<f64>, gradient: &DVector<f64>) -> DVector<f64> {
    let eigen = symmetric_eigen(hessian);
    let floor = (1e-9 * eigen.eigenvalues.amax()).max(f64::MIN_POSITIVE);
    let mut coordinates = eigen.eigenvectors.tr_mul(gradient);
    for (x, h) in coordinates.iter_mut().zip(eigen.eigenvalues.iter()) {
        *x /= -h.abs().max(floor);
    }
    eigen.eigenvectors * coordinates
}

type Point = (DVector<f64>, f64, DVector<f64>);

/// The first of step, step/2, … that lowers the value (Armijo), or that at least lowers the gradient where the
/// value no longer changes beyond rounding.
fn line_search(
    objective: &dyn Objective,
    theta: &DVector<f64>,
    value: f64,
    gradient: &DVector<f64>,
    step: &DVector<f64>,
) -> Option<Point> {
    let slope = gradient.dot(step);
    let mut length = 1.0;
    for _ in 0..60 {
        let next = theta + step * length;
        let next_value = objective.value(&next);
        if next_value.is_finite() {
            let next_gradient = objective.gradient(&next);
            let even = (next_value - value).abs() <= 1e-13 * value.abs();
            let lower = next_value < value + 1e-4 * length * slope;
            if all_finite(&next_gradient)
                && ((lower && !even) || (even && next_gradient.norm() < gradient.norm()))
            {
                return Some((next, next_value, next_gradient));
            }
        }
        length *= 0.5;
    }
    None
}

/// Refuses critical points that are no minima, naming the parameter that the bad direction mostly moves; the condition number of the Hessian.
fn check(objective: &dyn Objective, found: &Critical, name: &dyn Fn(usize) -> String) -> Result<f64, String> {
    let eigen = symmetric_eigen(&found.hessian);
    let largest = eigen.eigenvalues.amax();
    let worst = eigen.eigenvalues.imin();
    let lowest = eigen.eigenvalues[worst];
    let direction = eigen.eigenvectors.column(worst);
    let moved = name(direction.icamax());
    let rounding = FLAT * found.theta.len() as f64 * largest;
    if lowest < -rounding {
        return Err(format!(
            "the search ends in a saddle, not a minimum: curvature {lowest:.3e} along a direction that moves mostly \
             {moved}; start elsewhere"
        ));
    }
    let flat = |why: String| {
        Err(format!(
            "the minimum is not isolated: the loss is flat along a direction that moves mostly {moved} ({why}); a symmetry, a parameter \
             that the loss does not feel, a minimum without curvature, or none at a finite place"
        ))
    };
    if lowest <= rounding {
        return flat(format!("curvature {lowest:.1e} beside {largest:.1e}"));
    }
    // How far along it the minimum may be, by what is left of the gradient and by its rounding.
    let gradient = objective.gradient(&found.theta);
    let still = STILL * objective.gradient_scale(&found.theta).max(gradient.norm());
    let open = (gradient.dot(&direction).abs() + still) / lowest;
    for side in [-open, open] {
        let there = objective.hessian(&(&found.theta + direction * side));
        let curvature = direction.dot(&(there * direction));
        let change = (curvature - lowest).abs();
        let known = change <= KNOWN * lowest + rounding;
        if !known {
            return flat(format!(
                "its curvature there, {lowest:.1e}, becomes {curvature:.1e} within what the gradient leaves open, {open:.1e}"
            ));
        }
    }
    Ok(largest / lowest)
}

fn all_finite(vector: &DVector<f64>) -> bool {
    vector.iter().all(|x| x.is_finite())
}

fn place(theta: &DVector<f64>) -> String {
    let shown: Vec<String> = theta.iter().take(6).map(|x| format!("{x:.6}")).collect();
    format!("({}{})", shown.join(", "), if theta.len() > 6 { ", …" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function with its derivatives, from closures.
    struct Given<V, G, H>(V, G, H);
    impl<V, G, H> Objective for Given<V, G, H>
    where
        V: Fn(&[f64]) -> f64,
        G: Fn(&[f64]) -> Vec<f64>,
        H: Fn(&[f64]) -> Vec<f64>,
    {
        fn value(&self, theta: &DVector<f64>) -> f64 {
            self.0(theta.as_slice())
        }
        fn gradient(&self, theta: &DVector<f64>) -> DVector<f64> {
            DVector::from_vec(self.1(theta.as_slice()))
        }
        fn hessian(&self, theta: &DVector<f64>) -> DMatrix<f64> {
            DMatrix::from_row_slice(theta.len(), theta.len(), &self.2(theta.as_slice()))
        }
    }

    fn index(i: usize) -> String {
        format!("w[{i}]")
    }

    /// (w² − 1)² + 1.5w²/… : c1 w⁴ + c0 w² with c1 = 1, c0 = γ − 2, the quadratic regression of x = y = 1.
    fn quartic(gamma: f64) -> impl Objective {
        Given(
            move |w: &[f64]| w[0].powi(4) + (gamma - 2.0) * w[0] * w[0],
            move |w: &[f64]| vec![4.0 * w[0].powi(3) + 2.0 * (gamma - 2.0) * w[0]],
            move |w: &[f64]| vec![12.0 * w[0] * w[0] + 2.0 * (gamma - 2.0)],
        )
    }

    #[test]
    fn a_search_that_starts_at_the_minimum_ends_there() {
        // Five regressors about 0: the mean gradient at the start is rounding, of samples that are not small.
        use crate::model::formula::{DataEntry, DataSource, Expression, ModelSpec};
        use crate::model::{Layout, Shape};
        let mut layout = Layout::default();
        layout.push("w", Shape::vector(5));
        let law = |name: &str, shape| DataEntry {
            name: name.into(),
            source: DataSource::Formula { formula: Expression::parse("normal").unwrap(), shape: Some(shape) },
        };
        let model = FormulaModel::new(ModelSpec {
            layout,
            constants: std::collections::BTreeMap::new(),
            data: vec![law("x", Shape::vector(5)), law("e", Shape::SCALAR)],
            size: None,
            loss: Expression::parse("0.5*(dot(w, x) - e)^2").unwrap(),
            decay: 0.0,
            seed: 1,
        })
        .unwrap();
        for start in [[0.0; 5], [1e-17; 5], [0.3; 5]] {
            let found = minimum(&model, 0.0, &start).unwrap();
            assert!(found.theta.iter().all(|w| w.abs() < 1e-12), "{:?}", found.theta);
            assert!((found.covariance[0] - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn quadratic_regression_has_the_known_minima() {
        // Quadratic regression: w*² = (2 − γ)/2 below γ = 2, 0 above; L'' = −4c0 and 2c0.
        for (gamma, start, expected) in [(0.5, 0.1, 0.75_f64), (1.0, 3.0, 0.5), (3.0, 1.0, 0.0)] {
            let found = search(&quartic(gamma), &[start]).unwrap();
            assert!((found.theta[0] - expected.sqrt()).abs() < 1e-13, "{gamma}: {}", found.theta[0]);
            let curvature = if gamma < 2.0 { 4.0 * (2.0 - gamma) } else { 2.0 * (gamma - 2.0) };
            assert!((found.hessian[(0, 0)] - curvature).abs() < 1e-12);
            assert_eq!(check(&quartic(gamma), &found, &index).unwrap(), 1.0);
        }
    }

    #[test]
    fn rosenbrock_is_followed_to_its_minimum() {
        let rosenbrock = Given(
            |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2),
            |x: &[f64]| {
                let r = x[1] - x[0] * x[0];
                vec![-2.0 * (1.0 - x[0]) - 400.0 * x[0] * r, 200.0 * r]
            },
            |x: &[f64]| vec![2.0 - 400.0 * (x[1] - 3.0 * x[0] * x[0]), -400.0 * x[0], -400.0 * x[0], 200.0],
        );
        let found = search(&rosenbrock, &[-1.2, 1.0]).unwrap();
        assert!((found.theta - DVector::from_vec(vec![1.0, 1.0])).amax() < 1e-12);
    }

    #[test]
    fn saddles_and_flat_directions_are_named() {
        let saddle = search(&quartic(1.0), &[0.0]).unwrap();
        let message = check(&quartic(1.0), &saddle, &index).unwrap_err();
        assert!(message.contains("saddle") && message.contains("w[0]"), "{message}");
        // (uw − 1)²: a hyperbola of minima.
        let product = Given(
            |x: &[f64]| (x[0] * x[1] - 1.0).powi(2),
            |x: &[f64]| {
                let r = 2.0 * (x[0] * x[1] - 1.0);
                vec![r * x[1], r * x[0]]
            },
            |x: &[f64]| {
                let off = 4.0 * x[0] * x[1] - 2.0;
                vec![2.0 * x[1] * x[1], off, off, 2.0 * x[0] * x[0]]
            },
        );
        let found = search(&product, &[2.0, 1.0]).unwrap();
        assert!((found.theta[0] * found.theta[1] - 1.0).abs() < 1e-10);
        let message = check(&product, &found, &index).unwrap_err();
        assert!(message.contains("flat"), "{message}");
    }

    #[test]
    fn minima_without_curvature_and_without_a_place_are_flat() {
        // ¼w⁴ (and w⁶, and w² + w⁴ as the control), whose gradient has what cancels in it.
        let power = |n: i32, quadratic: f64| {
            Given(
                move |w: &[f64]| w[0].powi(n) / f64::from(n) + 0.5 * quadratic * w[0] * w[0],
                move |w: &[f64]| vec![w[0].powi(n - 1) + quadratic * w[0]],
                move |w: &[f64]| vec![f64::from(n - 1) * w[0].powi(n - 2) + quadratic],
            )
        };
        for start in [0.2, 1.0, -3.0, 0.0] {
            for n in [4, 6] {
                let found = search(&power(n, 0.0), &[start]).unwrap();
                let message = check(&power(n, 0.0), &found, &index).unwrap_err();
                assert!(message.contains("flat"), "{start} {n}: {message}");
            }
            let found = search(&power(4, 1e-3), &[start]).unwrap();
            assert!(found.theta[0].abs() < 1e-9);
            check(&power(4, 1e-3), &found, &index).unwrap();
        }
        // e^{−w}: found far out, or not at all. With 0.01w beside it there is a minimum at ln 100.
        let fall = |slope: f64| {
            Given(
                move |w: &[f64]| (-w[0]).exp() + slope * w[0],
                move |w: &[f64]| vec![slope - (-w[0]).exp()],
                |w: &[f64]| vec![(-w[0]).exp()],
            )
        };
        for start in [0.3, 5.0] {
            if let Ok(found) = search(&fall(0.0), &[start]) {
                let message = check(&fall(0.0), &found, &index).unwrap_err();
                assert!(message.contains("flat"), "{start}: {message}");
            }
            let found = search(&fall(0.01), &[start]).unwrap();
            check(&fall(0.01), &found, &index).unwrap();
            assert!((found.theta[0] - 100.0_f64.ln()).abs() < 1e-9, "{}", found.theta[0]);
        }
    }

    #[test]
    fn curvatures_that_differ_are_no_flatness() {
        // Turned, so that nothing is found coordinate by coordinate.
        let (c, s) = (0.8, 0.6);
        for condition in [1e3, 1e8, 1e10, 1e12_f64] {
            let low = 1.0 / condition;
            let steep = move |x: &[f64]| (c * x[0] + s * x[1] - 1.0, c * x[1] - s * x[0] - 2.0);
            let valley = Given(
                move |x: &[f64]| {
                    let (a, b) = steep(x);
                    0.5 * (a * a + low * b * b)
                },
                move |x: &[f64]| {
                    let (a, b) = steep(x);
                    vec![c * a - s * low * b, s * a + c * low * b]
                },
                move |_: &[f64]| {
                    let off = c * s * (1.0 - low);
                    vec![c * c + s * s * low, off, off, s * s + c * c * low]
                },
            );
            let mut ends = Vec::new();
            for start in [[0.0, 0.0], [5.0, -3.0], [-40.0, 7.0]] {
                let found = search(&valley, &start).unwrap();
                let own = check(&valley, &found, &index).unwrap();
                assert!((own / condition - 1.0).abs() < 1e-2, "{own} for {condition}");
                ends.push(steep(found.theta.as_slice()).1);
            }
            // The place along the valley is known as far as its slope can be told from rounding.
            let open = 1e-14 * condition;
            assert!(ends.iter().all(|b| b.abs() <= open.max(1e-10)), "{condition}: {ends:?}");
        }
    }

    #[test]
    fn unbounded_losses_are_refused() {
        let slope = Given(|x: &[f64]| -x[0], |_: &[f64]| vec![-1.0], |_: &[f64]| vec![1e-3]);
        let Err(message) = search(&slope, &[0.0]) else { panic!("found a minimum of −x") };
        assert!(message.contains("without end") || message.contains("converge"), "{message}");
        let nan = Given(|_: &[f64]| f64::NAN, |_: &[f64]| vec![1.0], |_: &[f64]| vec![1.0]);
        assert!(search(&nan, &[0.0]).is_err());
    }

    #[test]
    fn covariance_is_about_the_weighted_mean() {
        let c = covariance(&[0.0, 1.0, 2.0, 3.0, 4.0, -1.0], &[0.25, 0.5, 0.25], 2);
        // Means 2 and 1.5; first: ¼·4 + 0 + ¼·4.
        assert!((c[(0, 0)] - 2.0).abs() < 1e-15);
        assert!((c[(0, 1)] - (0.25 * -2.0 * -0.5 + 0.25 * 2.0 * -2.5)).abs() < 1e-15);
        assert_eq!(c[(0, 1)], c[(1, 0)]);
    }
}

//! The stationary second moment of a law of motion about a minimum.
//!
//! With δ = θ − θ*, H the Hessian (decay included) and gradient noise of covariance f·N, every law of motion here
//! answers the noise mode by mode: in the eigenbasis of H the stationary Σ = ⟨δδᵀ⟩ is
//! `Σ_ij = f K(h_i, h_j) N_ij`, with a response K that is the law's own. Where the loss is quadratic in θ for each
//! sample, the noise feels Σ itself,
//! `N(Σ) = C* + E_k[A_k Σ A_k] − H̄ Σ H̄` (`A_k`: the samples' Hessians without decay, H̄ their mean),
//! which is still linear, and the equation is solved exactly.

use nalgebra::{DMatrix, DVector, Matrix2, Matrix4, Vector2, Vector4};

use super::amplifier::Amplifier;
pub use super::amplifier::Curvatures;
use super::lyapunov::symmetric;
use crate::scheme::Scheme;
use crate::stats::spectrum::symmetric_eigen;

/// How a law of motion answers noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Response {
    /// θ' = θ + v', v' = βv − η(Hθ + ξ), Cov ξ = f·N: `HΣ + ΣH − ηHΣH = ηfN` at β = 0.
    Iteration {
        /// η.
        rate: f64,
        /// β.
        momentum: f64,
    },
    /// Euler–Maruyama of dθ = −Hθ dt + √(ηfN) dW with dt = η/m: `HΣ + ΣH − (η/m)HΣH = ηfN`.
    Substeps {
        /// η.
        rate: f64,
        /// m.
        substeps: u32,
    },
    /// dθ = −Hθ dt + √(ηfN) dW itself: `HΣ + ΣH = ηfN`.
    Continuous {
        /// η.
        rate: f64,
    },
    /// dθ = −Kθ dt + √(ηfN) dW by a scheme with dt = η/m, K = H or, for the second order, H(1 + ηH/2):
    /// `Σ = R Σ R + η dt f Σ_s q_s N q_s` with R and q_s of −K dt. Exact where N does not depend on θ, and for Euler–Maruyama.
    Scheme {
        /// η.
        rate: f64,
        /// m.
        substeps: u32,
        /// 1 or 2.
        order: u32,
        /// The scheme.
        scheme: Scheme,
    },
    /// dθ = (v/η)dt, dv = −γ(v/η)dt − Hθ dt + √(ηfN) dW by BAOAB with dt = η/m; the noise is that at the middle of a step.
    Inertia {
        /// η.
        rate: f64,
        /// γ.
        friction: f64,
        /// m.
        substeps: u32,
    },
}

/// One step of δ, or of (δ, v), for one curvature: s' = Ms + Σ_k g_k ξ_k with independent ξ_k of covariance f·N, N at the position e·s.
#[derive(Clone, Debug)]
pub(super) struct Mode {
    /// Numbers of the state, 1 or 2; what lies beyond in the arrays is 0.
    pub numbers: usize,
    /// M.
    pub step: Matrix2<f64>,
    /// e.
    pub felt: Vector2<f64>,
    /// g_k.
    pub kicks: Vec<Vector2<f64>>,
}

impl Mode {
    /// Of δ alone.
    fn plain(step: f64, kicks: impl IntoIterator<Item = f64>) -> Self {
        Self {
            numbers: 1,
            step: Matrix2::new(step, 0.0, 0.0, 0.0),
            felt: Vector2::x(),
            kicks: kicks.into_iter().map(|kick| Vector2::new(kick, 0.0)).collect(),
        }
    }
}

/// ⟨δ_i δ_j⟩ per unit of noise: where the noise is felt, and where the state is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    pub felt: f64,
    pub recorded: f64,
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// Mⁿ, by squarings.
pub(super) fn power<D: nalgebra::Dim>(
    matrix: &nalgebra::OMatrix<f64, D, D>,
    exponent: u64,
) -> nalgebra::OMatrix<f64, D, D>
where
    nalgebra::DefaultAllocator: nalgebra::allocator::Allocator<D, D>,
{
    let (rows, columns) = matrix.shape_generic();
    let mut result = nalgebra::OMatrix::<f64, D, D>::identity_generic(rows, columns);
    let (mut square, mut left) = (matrix.clone(), exponent);
    while left > 0 {
        if left & 1 == 1 {
            result = &result * &square;
        }
        square = &square * &square;
        left >>= 1;
    }
    result
}

/// The curvature that the drift has for a curvature of the loss.
fn stiffness(curvature: f64, rate: f64, order: u32) -> f64 {
    if order == 2 { curvature * (1.0 + 0.5 * rate * curvature) } else { curvature }
}

impl Response {
    /// K(a, b) for the curvatures a and b.
    fn kernels(self, a: f64, b: f64) -> Kernel {
        let one = match self {
            Response::Inertia { rate, friction, substeps } => return inertia(a, b, rate, friction, substeps),
            Response::Scheme { rate, substeps, order, scheme } => {
                let dt = rate / f64::from(substeps);
                let (x, y) = (-stiffness(a, rate, order) * dt, -stiffness(b, rate, order) * dt);
                let step = scheme.propagation();
                let noise: f64 = step.noise.iter().map(|q| polynomial(q, x) * polynomial(q, y)).sum();
                rate * dt * noise / (1.0 - polynomial(step.state, x) * polynomial(step.state, y))
            }
            Response::Iteration { rate, momentum: 0.0 } => rate / (a + b - rate * a * b),
            Response::Iteration { rate, momentum } => heavy_ball(a, b, rate, momentum),
            Response::Substeps { rate, substeps } => rate / (a + b - rate / f64::from(substeps) * a * b),
            Response::Continuous { rate } => rate / (a + b),
        };
        Kernel { felt: one, recorded: one }
    }

    /// The step of one curvature; `None` for a motion without steps.
    pub(super) fn mode(self, curvature: f64) -> Option<Mode> {
        Some(match self {
            Response::Iteration { rate, momentum: 0.0 } => Mode::plain(1.0 - rate * curvature, [rate]),
            Response::Iteration { rate, momentum } => Mode {
                numbers: 2,
                step: Matrix2::new(1.0 - rate * curvature, momentum, -rate * curvature, momentum),
                felt: Vector2::x(),
                kicks: vec![Vector2::repeat(rate)],
            },
            Response::Substeps { rate, substeps } => {
                let step = rate / f64::from(substeps);
                Mode::plain(1.0 - step * curvature, [(step * rate).sqrt()])
            }
            Response::Scheme { rate, substeps, order, scheme } => {
                let step = rate / f64::from(substeps);
                let x = -stiffness(curvature, rate, order) * step;
                let own = scheme.propagation();
                let kick = |q: &&[f64]| polynomial(q, x) * (step * rate).sqrt();
                Mode::plain(polynomial(own.state, x), own.noise.iter().map(kick))
            }
            Response::Inertia { rate, friction, substeps } => {
                let parts = Baoab::new(curvature, rate, friction, substeps);
                Mode {
                    numbers: 2,
                    step: parts.after * parts.rest * parts.before,
                    felt: parts.before.row(0).transpose(),
                    kicks: vec![parts.after * Vector2::new(0.0, parts.variance.sqrt())],
                }
            }
            Response::Continuous { .. } => return None,
        })
    }

    /// What is left after so many iterations of a distance from the minimum along a direction of that curvature, at most: ‖Mⁿ‖ of n steps.
    pub(super) fn left(self, curvature: f64, iterations: u64) -> f64 {
        let Some(mode) = self.mode(curvature) else {
            return match self {
                Response::Continuous { rate } => (-curvature * rate * iterations as f64).exp(),
                _ => 1.0,
            };
        };
        let each = match self {
            Response::Substeps { substeps, .. }
            | Response::Scheme { substeps, .. }
            | Response::Inertia { substeps, .. } => u64::from(substeps),
            _ => 1,
        };
        power(&mode.step, iterations.saturating_mul(each)).norm()
    }

    /// Stability of the mean: the step times the curvature and the limit it must stay below.
    fn limit(self, curvature: f64) -> Option<(f64, f64)> {
        match self {
            Response::Iteration { rate, momentum } => Some((rate * curvature, 2.0 * (1.0 + momentum))),
            Response::Substeps { rate, substeps } => Some((rate / f64::from(substeps) * curvature, 2.0)),
            Response::Scheme { rate, substeps, order, scheme } => {
                let x = stiffness(curvature, rate, order) * rate / f64::from(substeps);
                // |R(−x)| < 1: for x < 2, and of the classical Runge–Kutta step for x < 2.785….
                Some((x, if scheme == Scheme::Weak2 { 2.785_293_563_405_282 } else { 2.0 }))
            }
            Response::Inertia { rate, substeps, .. } => {
                Some((rate * curvature / f64::from(substeps).powi(2), 4.0))
            }
            Response::Continuous { .. } => None,
        }
    }
}

/// The parts of a step of BAOAB of (δ, v), for one curvature: kick and drift before the noise, friction, drift and kick after it; and the noise's
/// variance η²(1 − e^{−2γ/m})/(2γ).
struct Baoab {
    before: Matrix2<f64>,
    rest: Matrix2<f64>,
    after: Matrix2<f64>,
    variance: f64,
}

impl Baoab {
    fn new(curvature: f64, rate: f64, friction: f64, substeps: u32) -> Self {
        let share = 1.0 / f64::from(substeps);
        let kick = Matrix2::new(1.0, 0.0, -0.5 * rate * share * curvature, 1.0);
        let drift = Matrix2::new(1.0, 0.5 * share, 0.0, 1.0);
        Self {
            before: drift * kick,
            rest: Matrix2::new(1.0, 0.0, 0.0, (-friction * share).exp()),
            after: kick * drift,
            variance: rate * rate * -(-2.0 * friction * share).exp_m1() / (2.0 * friction),
        }
    }
}

/// BAOAB of (δ, v) for two curvatures: S = M_a S M_bᵀ + g_a g_bᵀ n with the variance n of the noise and `M` the product of the parts of a step.
fn inertia(a: f64, b: f64, rate: f64, friction: f64, substeps: u32) -> Kernel {
    let [of_a, of_b] = [a, b].map(|h| Baoab::new(h, rate, friction, substeps));
    let step = |parts: &Baoab| parts.after * parts.rest * parts.before;
    let unit = |parts: &Baoab| parts.after * Vector2::new(0.0, 1.0);
    let variance = of_a.variance;
    let (ma, mb, ga, gb) = (step(&of_a), step(&of_b), unit(&of_a), unit(&of_b));
    let system = Matrix4::from_fn(|row, column| {
        let (i, j, k, l) = (row / 2, row % 2, column / 2, column % 2);
        f64::from(u8::from(row == column)) - ma[(i, k)] * mb[(j, l)]
    });
    let noise = Vector4::from_fn(|row, _| variance * ga[row / 2] * gb[row % 2]);
    let Some(s) = system.lu().solve(&noise) else { return Kernel { felt: f64::NAN, recorded: f64::NAN } };
    let state = Matrix2::new(s[0], s[1], s[2], s[3]);
    let felt = of_a.before * state * of_b.before.transpose();
    Kernel { felt: felt[(0, 0)], recorded: s[0] }
}

/// `⟨δ_i δ_j⟩` of the heavy ball per unit of noise: `S = F_a S F_bᵀ + η²[[1,1],[1,1]]` for the 2×2 block of (δ, v),
/// `F_a = [[1 − ηa, β], [−ηa, β]]`.
fn heavy_ball(a: f64, b: f64, rate: f64, momentum: f64) -> f64 {
    let f = |h: f64| [[1.0 - rate * h, momentum], [-rate * h, momentum]];
    let (fa, fb) = (f(a), f(b));
    // S row by row: (δδ, δv, vδ, vv).
    let system = Matrix4::from_fn(|row, column| {
        let (i, j, k, l) = (row / 2, row % 2, column / 2, column % 2);
        f64::from(u8::from(row == column)) - fa[i][k] * fb[j][l]
    });
    let noise = Vector4::repeat(rate * rate);
    system.lu().solve(&noise).map_or(f64::NAN, |s| s[0])
}

/// What drives the motion about a minimum.
#[derive(Clone, Debug)]
pub struct Linearised<'a> {
    /// H, decay included, `[P][P]`.
    pub hessian: &'a DMatrix<f64>,
    /// λ, so that H̄ = H − λ.
    pub decay: f64,
    /// C*, the covariance of a sample's gradient at the minimum.
    pub covariance: &'a DMatrix<f64>,
    /// f: the gradient that moves θ has covariance f·N.
    pub factor: f64,
    /// The samples' curvatures, where the noise depends on θ.
    pub curvatures: Option<&'a Curvatures>,
}

/// The stationary second moment Σ = ⟨(θ − θ*)(θ − θ*)ᵀ⟩, `[P][P]`.
///
/// # Errors
/// A sentence, where the mean or the second moment has no stationary value: a curvature beyond the law's limit,
/// or noise that θ's own fluctuations amplify without bound (mean-square instability).
pub fn stationary(response: Response, system: &Linearised) -> Result<DMatrix<f64>, String> {
    stationary_by(response, &|a, b| response.kernels(a, b), system)
}

/// As [`stationary`], of a motion whose mean is stable as `response` is and that answers noise by `kernels`.
pub(super) fn stationary_by(
    response: Response,
    kernels: &dyn Fn(f64, f64) -> Kernel,
    system: &Linearised,
) -> Result<DMatrix<f64>, String> {
    let size = system.hessian.nrows();
    let eigen = symmetric_eigen(system.hessian);
    let curvature = &eigen.eigenvalues;
    check_mean(response, curvature)?;
    let rotation = &eigen.eigenvectors;
    let kernel = |i: usize, j: usize| kernels(curvature[i], curvature[j]);
    let gain = DMatrix::from_fn(size, size, |i, j| system.factor * kernel(i, j).felt);
    let additive = gain.component_mul(&(rotation.tr_mul(system.covariance) * rotation));
    let solution = match system.curvatures {
        None => additive,
        Some(curvatures) => {
            let own = Amplifier::new(curvatures, rotation, curvature, system.decay, &gain);
            let radius = own.radius();
            if radius >= 1.0 {
                return Err(format!(
                    "no stationary covariance exists: θ's own fluctuations feed the gradient noise {} times over \
                     (mean-square instability at 1), so second moments grow without bound; lower the rate or raise \
                     the batch",
                    super::number::short(radius)
                ));
            }
            own.solve(&additive)?
        }
    };
    let recorded = DMatrix::from_fn(size, size, |i, j| match kernel(i, j) {
        Kernel { felt, recorded } if felt == recorded => solution[(i, j)],
        Kernel { felt, recorded } => solution[(i, j)] * recorded / felt,
    });
    let solution = recorded;
    Ok(symmetric(&(rotation * solution * rotation.transpose())))
}

fn check_mean(response: Response, curvature: &DVector<f64>) -> Result<(), String> {
    let (lowest, largest) = (curvature.min(), curvature.max());
    if lowest <= 0.0 {
        return Err(format!(
            "the curvature {lowest:.3e} is not positive: there is nothing to fluctuate about"
        ));
    }
    match response.limit(largest) {
        Some((step, limit)) if step >= limit => Err(format!(
            "no stationary law exists: step times largest curvature is {}, beyond the limit of stability {}",
            super::number::short(step),
            super::number::short(limit)
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{lyapunov, tails};
    use super::*;
    use crate::stats::spectrum::spectral_radius;

    fn two_by_two() -> (DMatrix<f64>, DMatrix<f64>) {
        (
            DMatrix::from_row_slice(2, 2, &[2.0, 0.5, 0.5, 1.0]),
            DMatrix::from_row_slice(2, 2, &[1.0, 0.3, 0.3, 0.5]),
        )
    }

    fn constant<'a>(hessian: &'a DMatrix<f64>, covariance: &'a DMatrix<f64>) -> Linearised<'a> {
        Linearised { hessian, decay: 0.0, covariance, factor: 1.0, curvatures: None }
    }

    fn entries(sigma: &DMatrix<f64>) -> [f64; 3] {
        [sigma[(0, 0)], sigma[(0, 1)], sigma[(1, 1)]]
    }

    fn close(measured: &[f64], expected: &[f64], absolute: f64) {
        for (a, b) in measured.iter().zip(expected) {
            assert!((a - b).abs() <= absolute, "{measured:?} for {expected:?}");
        }
    }

    #[test]
    fn constant_noise_matches_the_oracles() {
        // Reference values to ten digits.
        let (h, c) = two_by_two();
        let system = constant(&h, &c);
        for (response, expected) in [
            (
                Response::Iteration { rate: 0.1, momentum: 0.0 },
                [0.027_341_609_2, 0.002_755_579_6, 0.025_370_272_9],
            ),
            (Response::Continuous { rate: 0.1 }, [0.024_523_809_5, 0.001_904_761_9, 0.024_047_619_0]),
            (
                Response::Iteration { rate: 0.1, momentum: 0.5 },
                [0.052_805_764_5, 0.004_741_861_8, 0.049_671_247_2],
            ),
            (
                Response::Iteration { rate: 0.1, momentum: 0.9 },
                [0.265_842_707_3, 0.016_642_744_1, 0.240_633_733_4],
            ),
        ] {
            close(&entries(&stationary(response, &system).unwrap()), &expected, 6e-11);
        }
    }

    #[test]
    fn every_law_solves_its_own_equation() {
        let (h, c) = two_by_two();
        let system = constant(&h, &c);
        let residual = |sigma: &DMatrix<f64>, bend: f64| {
            (&h * sigma + sigma * &h - &h * sigma * &h * bend - &c * 0.1).amax()
        };
        for (response, bend) in [
            (Response::Iteration { rate: 0.1, momentum: 0.0 }, 0.1),
            (Response::Substeps { rate: 0.1, substeps: 4 }, 0.025),
            (Response::Substeps { rate: 0.1, substeps: 1 }, 0.1),
            (Response::Continuous { rate: 0.1 }, 0.0),
        ] {
            assert!(residual(&stationary(response, &system).unwrap(), bend) < 1e-16);
        }
        // Heavy ball: the recursion of (δ, v), solved whole.
        let (rate, beta) = (0.1, 0.7);
        let mut step = DMatrix::zeros(4, 4);
        let mut noise = DMatrix::zeros(4, 4);
        for i in 0..2 {
            for j in 0..2 {
                let unit = f64::from(u8::from(i == j));
                step[(i, j)] = unit - rate * h[(i, j)];
                step[(i + 2, j)] = -rate * h[(i, j)];
                step[(i, j + 2)] = unit * beta;
                step[(i + 2, j + 2)] = unit * beta;
                for (a, b) in [(0, 0), (0, 2), (2, 0), (2, 2)] {
                    noise[(i + a, j + b)] = rate * rate * c[(i, j)];
                }
            }
        }
        let whole = lyapunov::discrete(&step, &noise).unwrap();
        let ours = stationary(Response::Iteration { rate, momentum: beta }, &system).unwrap();
        assert!((whole.view((0, 0), (2, 2)) - ours).amax() < 1e-15);
        // One dimension.
        let (a, c) = (DMatrix::from_element(1, 1, 2.0), DMatrix::from_element(1, 1, 1.0));
        let ball = Response::Iteration { rate: 0.1, momentum: 0.9 };
        close(stationary(ball, &constant(&a, &c)).unwrap().as_slice(), &[0.263_888_888_888_888_9], 1e-15);
    }

    #[test]
    fn schemes_and_inertia_solve_the_recursions_of_their_steps() {
        // One curvature, unit noise: the steps themselves, iterated.
        let (rate, a): (f64, f64) = (0.3, 1.7);
        let unit = DMatrix::from_element(1, 1, 1.0);
        let curvature = DMatrix::from_element(1, 1, a);
        let ours = |response| stationary(response, &constant(&curvature, &unit)).unwrap()[(0, 0)];
        let scheme = |scheme, substeps, order| ours(Response::Scheme { rate, substeps, order, scheme });
        let continuous = rate / (2.0 * a);
        for (order, k) in [(1, a), (2, a * (1.0 + 0.5 * rate * a))] {
            for substeps in [1, 2] {
                let dt = rate / f64::from(substeps);
                let z = k * dt;
                let noise = rate * dt;
                // x' = (1 − z + z²/2)x + (1 − z/2)w.
                let heun = noise * (1.0 - 0.5 * z).powi(2) / (1.0 - (1.0 - z + 0.5 * z * z).powi(2));
                assert!((scheme(Scheme::Heun, substeps, order) / heun - 1.0).abs() < 1e-14);
                let euler = noise / (1.0 - (1.0 - z).powi(2));
                assert!((scheme(Scheme::EulerMaruyama, substeps, order) / euler - 1.0).abs() < 1e-14);
            }
        }
        // Of second order in dt: errors fall fourfold; of first order: twofold.
        for (name, order) in [
            (Scheme::EulerMaruyama, 1),
            (Scheme::StochasticRungeKutta, 2),
            (Scheme::Weak2, 2),
            (Scheme::Heun, 2),
        ] {
            let error = |m| scheme(name, m, 1) - continuous;
            let slope = (error(8) / error(16)).log2();
            assert!((slope - f64::from(order)).abs() < 0.1, "{name:?}: {slope}");
        }
        // The drift of order 2 leads away from SGD's variance: ηc/(2a(1 + ηa/2)).
        let fine = scheme(Scheme::Weak2, 64, 2);
        assert!((fine / (continuous / (1.0 + 0.5 * rate * a)) - 1.0).abs() < 1e-4);
        // Inertia: exact in the configuration for any step, with mass and friction.
        for friction in [0.1, 1.0, 3.0] {
            for substeps in [1, 4] {
                let inertia = ours(Response::Inertia { rate, friction, substeps });
                assert!((inertia / (continuous / friction) - 1.0).abs() < 1e-12, "{friction} {substeps}");
            }
        }
        let unstable = Response::Inertia { rate: 3.0, friction: 0.1, substeps: 1 };
        assert!(stationary(unstable, &constant(&curvature, &unit)).unwrap_err().contains("stability"));
    }

    /// Every law of motion and every scheme, at the rate η.
    fn responses(rate: f64) -> Vec<Response> {
        let mut list: Vec<Response> =
            [0.0, 0.1, 0.5, 0.9].map(|momentum| Response::Iteration { rate, momentum }).into();
        list.extend([1, 2, 5].map(|substeps| Response::Substeps { rate, substeps }));
        for scheme in Scheme::ALL {
            for (substeps, order) in [(1, 1), (3, 1), (1, 2), (4, 2)] {
                list.push(Response::Scheme { rate, substeps, order, scheme });
            }
        }
        for friction in [0.05, 0.5, 1.0, 3.0] {
            list.extend([1, 2].map(|substeps| Response::Inertia { rate, friction, substeps }));
        }
        list
    }

    #[test]
    fn one_step_of_every_law_and_scheme_says_its_variance_its_limit_and_its_tails() {
        let unit = DMatrix::from_element(1, 1, 1.0);
        let (a, rate) = (20.0, 1.0 / 20.0);
        let curvature = DMatrix::from_element(1, 1, a);
        let alike = Curvatures::Moments(DMatrix::from_element(1, 1, a * a));
        let (mut stable, mut unstable) = (0, 0);
        for tenth in 1..40 {
            for response in responses(rate * 0.1 * f64::from(tenth)) {
                let mode = response.mode(a).unwrap();
                let radius = spectral_radius(&DMatrix::from_column_slice(2, 2, mode.step.as_slice()));
                if (radius - 1.0).abs() < 1e-9 {
                    continue;
                }
                let found = stationary(response, &constant(&curvature, &unit));
                assert_eq!(found.is_ok(), radius < 1.0, "{response:?}: {radius}");
                // Additive noise: fourth moments go as the mean does.
                let growth = tails::growth(response, &curvature, 0.0, 1.0, &alike, None).unwrap();
                assert!((growth / radius.powi(4) - 1.0).abs() < 1e-2, "{response:?}: {growth} {radius}");
                let Ok(found) = found else {
                    unstable += 1;
                    continue;
                };
                stable += 1;
                assert!(growth < 1.0, "{response:?}: {growth}");
                let brought = mode.kicks.iter().map(|k| k * k.transpose()).sum::<Matrix2<f64>>();
                let dense = |m: &Matrix2<f64>| DMatrix::from_column_slice(2, 2, m.as_slice());
                let exact = lyapunov::discrete(&dense(&mode.step), &dense(&brought)).unwrap();
                assert!((found[(0, 0)] / exact[(0, 0)] - 1.0).abs() < 1e-8, "{response:?}: {found} {exact}");
            }
        }
        assert!(stable > 500 && unstable > 100, "{stable} {unstable}");
    }

    #[test]
    fn what_is_left_of_a_start_is_what_steps_leave() {
        let a = 1.7;
        for response in responses(0.3) {
            let each = match response {
                Response::Substeps { substeps, .. }
                | Response::Scheme { substeps, .. }
                | Response::Inertia { substeps, .. } => substeps,
                _ => 1,
            };
            let step = response.mode(a).unwrap().step;
            let mut state = Matrix2::identity();
            for _ in 0..7 * each {
                state = step * state;
            }
            assert!((response.left(a, 7) - state.norm()).abs() <= 1e-12 * state.norm(), "{response:?}");
        }
        let continuous = Response::Continuous { rate: 0.3 };
        assert!((continuous.left(a, 7) - (-0.3_f64 * 1.7 * 7.0).exp()).abs() < 1e-15);
        // Nothing has moved.
        assert!(Response::Iteration { rate: 1e-12, momentum: 0.0 }.left(1.0, 2000) > 1.0 - 1e-8);
    }

    /// Hessians xxᵀ of a Gaussian regression with x ~ N(0, 1)^d: signs and three-point Gauss–Hermite nodes, exact
    /// to the fourth moment that is asked for. `[n][d][d]` and weights.
    fn gaussian_regression(dimension: usize) -> (Vec<f64>, Vec<f64>) {
        let nodes = [(-3.0_f64.sqrt(), 1.0 / 6.0), (0.0, 2.0 / 3.0), (3.0_f64.sqrt(), 1.0 / 6.0)];
        let (mut hessians, mut weights) = (Vec::new(), Vec::new());
        for index in 0..3_usize.pow(dimension as u32) {
            let pick = |axis: usize| nodes[index / 3_usize.pow(axis as u32) % 3];
            weights.push((0..dimension).map(|axis| pick(axis).1).product());
            for i in 0..dimension {
                for j in 0..dimension {
                    hessians.push(pick(i).0 * pick(j).0);
                }
            }
        }
        (hessians, weights)
    }

    #[test]
    fn online_regression_has_the_closed_form() {
        // Online regression: Var = (ησ²/S)/(2 − ηs(1 + (d + 1)/S)).
        for (d, batch, rate, sigma, expected) in
            [(1, 1.0, 0.2, 1.0, 1.0 / 7.0), (5, 1.0, 0.1, 1.0, 0.1 / 1.3), (5, 4.0, 0.2, 0.5, 0.0125 / 1.5)]
        {
            let (hessians, weights) = gaussian_regression(d);
            let curvatures = Curvatures::new(&hessians, &weights, d);
            let samples = Curvatures::Samples(
                hessians
                    .chunks(d * d)
                    .zip(&weights)
                    .map(|(h, &w)| (w, DMatrix::from_row_slice(d, d, h)))
                    .collect(),
            );
            let hessian = DMatrix::identity(d, d);
            let covariance = DMatrix::identity(d, d) * (sigma * sigma);
            for curvatures in [&curvatures, &samples] {
                let system = Linearised {
                    hessian: &hessian,
                    decay: 0.0,
                    covariance: &covariance,
                    factor: 1.0 / batch,
                    curvatures: Some(curvatures),
                };
                let own = stationary(Response::Iteration { rate, momentum: 0.0 }, &system).unwrap();
                assert!((own - DMatrix::identity(d, d) * expected).amax() < 1e-13);
                // The SDE with the same noise: ησ²f/(2 − ηf(d + 1)).
                let sde = stationary(Response::Continuous { rate }, &system).unwrap();
                let f = 1.0 / batch;
                let value = rate * sigma * sigma * f / (2.0 - rate * f * (d as f64 + 1.0));
                assert!((sde - DMatrix::identity(d, d) * value).amax() < 1e-13);
                // Controls: constant noise is something else.
                let blind = Linearised { curvatures: None, ..system.clone() };
                let additive = stationary(Response::Iteration { rate, momentum: 0.0 }, &blind).unwrap();
                assert!((additive[(0, 0)] / expected - 1.0).abs() > 0.1);
            }
        }
    }

    #[test]
    fn state_dependent_noise_with_momentum_and_decay_solves_the_full_recursion() {
        // Correlated regressors, decay, momentum: iterate the 4×4 recursion itself and compare.
        let x = [[1.0, 0.5], [-0.3, 1.2], [0.7, -0.9], [2.0, 0.1]];
        let weights = [0.1, 0.4, 0.3, 0.2];
        let (rate, beta, factor, decay) = (0.15, 0.6, 0.5, 0.2);
        let samples: Vec<DMatrix<f64>> =
            x.iter().map(|v| DMatrix::from_fn(2, 2, |i, j| v[i] * v[j])).collect();
        let bare: DMatrix<f64> = samples.iter().zip(weights).map(|(a, w)| a * w).sum();
        let hessian = &bare + DMatrix::identity(2, 2) * decay;
        let covariance = DMatrix::from_row_slice(2, 2, &[0.8, 0.1, 0.1, 0.4]);
        let flat: Vec<f64> = samples.iter().flat_map(|a| a.as_slice().to_vec()).collect();
        let curvatures = Curvatures::new(&flat, &weights, 2);
        let system = Linearised {
            hessian: &hessian,
            decay,
            covariance: &covariance,
            factor,
            curvatures: Some(&curvatures),
        };
        let ours = stationary(Response::Iteration { rate, momentum: beta }, &system).unwrap();

        let mut step = DMatrix::zeros(4, 4);
        step.view_mut((0, 0), (2, 2)).copy_from(&(DMatrix::identity(2, 2) - &hessian * rate));
        step.view_mut((2, 0), (2, 2)).copy_from(&(&hessian * -rate));
        for i in 0..2 {
            step[(i, i + 2)] = beta;
            step[(i + 2, i + 2)] = beta;
        }
        let mut s: DMatrix<f64> = DMatrix::zeros(4, 4);
        for _ in 0..20_000 {
            let sigma = s.view((0, 0), (2, 2)).into_owned();
            let mut noise = &covariance - &bare * &sigma * &bare;
            for (a, w) in samples.iter().zip(weights) {
                noise += a * &sigma * a * w;
            }
            let block = DMatrix::from_fn(4, 4, |i, j| rate * rate * factor * noise[(i % 2, j % 2)]);
            s = &step * s * step.transpose() + block;
        }
        assert!((s.view((0, 0), (2, 2)) - ours).amax() < 1e-14);
    }

    #[test]
    fn instability_has_a_reason() {
        let (hessians, weights) = gaussian_regression(2);
        let curvatures = Curvatures::new(&hessians, &weights, 2);
        let unit = DMatrix::identity(2, 2);
        let system = Linearised {
            hessian: &unit,
            decay: 0.0,
            covariance: &unit,
            factor: 1.0,
            curvatures: Some(&curvatures),
        };
        // Mean-square stable iff η(1 + (d + 1)/S) < 2: η < 0.5.
        let at = |rate| stationary(Response::Iteration { rate, momentum: 0.0 }, &system);
        assert!(at(0.499).is_ok());
        assert!(at(0.501).unwrap_err().contains("mean-square"));
        let blind = Linearised { curvatures: None, ..system.clone() };
        let over = stationary(Response::Iteration { rate: 2.1, momentum: 0.0 }, &blind).unwrap_err();
        assert!(over.contains("2.1") && over.contains("stability"), "{over}");
        assert!(stationary(Response::Iteration { rate: 2.1, momentum: 0.1 }, &blind).is_ok());
        let saddle = DMatrix::from_row_slice(2, 2, &[1.0, 0.0, 0.0, -1.0]);
        assert!(
            stationary(Response::Continuous { rate: 0.1 }, &Linearised { hessian: &saddle, ..blind })
                .is_err()
        );
    }
}

//! The exact transition law of a linear stochastic differential equation with constant noise.

use crate::scheme::factor;

/// X(t + h) = Φ X(t) + d + F ξ, ξ standard normal: the law of dX = (A X + c) dt + B dW over a time h,
/// with Φ = e^{Ah}, d = ∫₀ʰ e^{As}c ds and F Fᵀ = ∫₀ʰ e^{As} B Bᵀ e^{Aᵀs} ds.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// n.
    pub dimension: usize,
    /// Φ, `[n][n]` row by row.
    pub propagator: Vec<f64>,
    /// d, `[n]`.
    pub shift: Vec<f64>,
    /// F Fᵀ, `[n][n]`.
    pub covariance: Vec<f64>,
    /// Columns of F, `[rank][n]`.
    pub factor: Vec<f64>,
}

impl Transition {
    /// From A `[n][n]`, c `[n]`, D = B Bᵀ `[n][n]` and h ≥ 0.
    ///
    /// Power series over h/2ᵏ, with 4‖A‖h ≤ 2ᵏ, then k doublings Φ ← Φ², V ← V + Φ V Φᵀ, d ← d + Φ d. No exponential of −A appears, as
    /// it would in Van Loan's block matrix (1978), so that a long h neither overflows nor cancels; only + − × ÷ √, so the bits are
    /// the same everywhere.
    ///
    /// # Errors
    /// A sentence if the result is not finite (an unstable drift over too long a time).
    pub fn new(a: &[f64], c: &[f64], d: &[f64], h: f64) -> Result<Self, String> {
        let n = c.len();
        let norm = (0..n).map(|i| (0..n).map(|j| a[i * n + j].abs()).sum::<f64>()).fold(0.0, f64::max);
        let mut doublings = 0;
        let mut short = h;
        while 4.0 * norm * short > 1.0 && doublings < 1100 {
            short *= 0.5;
            doublings += 1;
        }
        let (mut propagator, mut covariance, mut shift) = series(a, c, d, short);
        for _ in 0..doublings {
            let moved = multiply(&propagator, &covariance, n);
            let moved = multiply_transposed(&moved, &propagator, n);
            add(&mut covariance, &moved);
            let later = apply(&propagator, &shift, n);
            add(&mut shift, &later);
            propagator = multiply(&propagator, &propagator, n);
        }
        for i in 0..n {
            for j in 0..i {
                let mean = 0.5 * (covariance[i * n + j] + covariance[j * n + i]);
                covariance[i * n + j] = mean;
                covariance[j * n + i] = mean;
            }
        }
        if propagator.iter().chain(&covariance).chain(&shift).any(|x| !x.is_finite()) {
            return Err(format!("its exact transition over a time {h} is not finite: the drift is unstable"));
        }
        let factor = factor::semidefinite(&covariance, n);
        Ok(Self { dimension: n, propagator, shift, covariance, factor })
    }

    /// Normals a transition takes.
    pub fn rank(&self) -> usize {
        self.factor.len() / self.dimension.max(1)
    }
}

/// Φ, V and d of a time so short that the series converge like 2⁻ⁿ/n!.
fn series(a: &[f64], c: &[f64], d: &[f64], h: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    const TERMS: usize = 20;
    let n = c.len();
    let mut power: Vec<f64> = (0..n * n).map(|e| f64::from(u8::from(e / n == e % n))).collect();
    let mut propagator = power.clone();
    let mut pushed: Vec<f64> = c.iter().map(|x| x * h).collect();
    let mut shift = pushed.clone();
    let mut spread: Vec<f64> = d.iter().map(|x| x * h).collect();
    let mut covariance = spread.clone();
    for term in 1..TERMS {
        let (first, second) = (h / term as f64, h / (term + 1) as f64);
        power = scaled(multiply(a, &power, n), first);
        add(&mut propagator, &power);
        pushed = scaled(apply(a, &pushed, n), second);
        add(&mut shift, &pushed);
        let mut next = multiply(a, &spread, n);
        add(&mut next, &multiply_transposed(&spread, a, n));
        spread = scaled(next, second);
        add(&mut covariance, &spread);
    }
    (propagator, covariance, shift)
}

fn multiply(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for i in 0..n {
        for k in 0..n {
            for j in 0..n {
                out[i * n + j] += a[i * n + k] * b[k * n + j];
            }
        }
    }
    out
}

/// A Bᵀ.
fn multiply_transposed(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            out[i * n + j] = (0..n).map(|k| a[i * n + k] * b[j * n + k]).sum();
        }
    }
    out
}

fn apply(a: &[f64], x: &[f64], n: usize) -> Vec<f64> {
    (0..n).map(|i| (0..n).map(|j| a[i * n + j] * x[j]).sum()).collect()
}

fn scaled(mut a: Vec<f64>, factor: f64) -> Vec<f64> {
    for x in &mut a {
        *x *= factor;
    }
    a
}

fn add(a: &mut [f64], b: &[f64]) {
    for (x, y) in a.iter_mut().zip(b) {
        *x += y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dimension_has_the_ornstein_uhlenbeck_law() {
        let (mu, c, d) = (2.0, 0.7, 3.0);
        for h in [1e-9, 0.01, 0.3, 5.0, 400.0] {
            let t = Transition::new(&[-mu], &[c], &[d], h).unwrap();
            let decay = (-mu * h).exp();
            assert!((t.propagator[0] - decay).abs() < 1e-15, "{h}");
            let shift = -c / mu * (-mu * h).exp_m1();
            assert!((t.shift[0] / shift - 1.0).abs() < 1e-13, "{h}");
            let variance = -d / (2.0 * mu) * (-2.0 * mu * h).exp_m1();
            assert!((t.covariance[0] / variance - 1.0).abs() < 1e-13, "{h}");
            assert!((t.factor[0] - variance.sqrt()).abs() < 1e-13);
        }
    }

    #[test]
    fn a_long_time_reaches_the_lyapunov_solution_with_broken_detailed_balance() {
        // Two dimensions with broken detailed balance
        let a = [-1.0, -0.7, 0.3, -2.0];
        let d = [1.0, 0.2, 0.2, 0.5];
        let t = Transition::new(&a, &[0.0; 2], &d, 200.0).unwrap();
        for (got, want) in t.covariance.iter().zip([0.444_570_14, 0.079_185_52, 0.079_185_52, 0.136_877_83]) {
            assert!((got - want).abs() < 5e-9, "{got} {want}");
        }
        assert_eq!(t.rank(), 2);
    }

    #[test]
    fn two_halves_make_the_whole() {
        let a = [-1.0, -0.7, 0.3, -2.0];
        let d = [1.0, 0.2, 0.2, 0.5];
        let c = [0.4, -1.0];
        let (half, whole) =
            (Transition::new(&a, &c, &d, 0.35).unwrap(), Transition::new(&a, &c, &d, 0.7).unwrap());
        let phi = multiply(&half.propagator, &half.propagator, 2);
        let mut v =
            multiply_transposed(&multiply(&half.propagator, &half.covariance, 2), &half.propagator, 2);
        add(&mut v, &half.covariance);
        let mut s = apply(&half.propagator, &half.shift, 2);
        add(&mut s, &half.shift);
        for (x, y) in phi
            .iter()
            .chain(&v)
            .chain(&s)
            .zip(whole.propagator.iter().chain(&whole.covariance).chain(&whole.shift))
        {
            assert!((x - y).abs() < 1e-15);
        }
    }

    #[test]
    fn rotation_and_free_diffusion() {
        // e^{At} of a rotation; and A = 0: V = D h, d = c h.
        let t = Transition::new(&[0.0, -1.0, 1.0, 0.0], &[0.0; 2], &[0.0; 4], 3.0).unwrap();
        assert!((t.propagator[0] - 3.0_f64.cos()).abs() < 1e-14);
        assert!((t.propagator[2] - 3.0_f64.sin()).abs() < 1e-14);
        assert_eq!(t.rank(), 0);
        let t = Transition::new(&[0.0; 4], &[1.0, 2.0], &[1.0, 0.0, 0.0, 4.0], 3.0).unwrap();
        assert_eq!(t.shift, [3.0, 6.0]);
        assert_eq!(t.covariance, [3.0, 0.0, 0.0, 12.0]);
    }

    #[test]
    fn an_unstable_drift_over_a_long_time_is_refused() {
        assert!(Transition::new(&[2.0], &[1.0], &[1.0], 1e4).is_err());
    }
}

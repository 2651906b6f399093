//! A scheme of weak order 2 for any noise, commuting or not: two flows a step,
//!
//! ```text
//! x' = exp(hV₀ + √h Σ_j (ξ_j − ζ_j/√2) V_j) ∘ exp(√h Σ_j ζ_j/√2 V_j) (x)
//! ```
//!
//! with V₀ the drift in Stratonovich's form, V_j the noise's columns, and ξ, ζ independent, normal or of three points.
//! Source: Ninomiya & Ninomiya (2009), Finance Stoch. 13, 415, theorem 2 with u = ½: the operators' mean is exp(h(V₀ + ½ΣV_j²)) + O(h³).
//! The flows are taken by the classical Runge–Kutta step of order 4: what it leaves out is of order h^(5/2) and odd in the noise,
//! so that its mean is O(h³), too.

use super::kernels::{add_scaled, blend, combine, multiply};
use super::{Equation, Wiener};
use crate::lanes::Lane;

/// Its buffers.
pub struct Weak2 {
    xi: Vec<Lane>,
    zeta: Vec<Lane>,
    w: Vec<Lane>,
    flow: Flow,
}

/// One classical Runge–Kutta step of unit time along F(x) = a(x)h + B(x)w.
struct Flow {
    slope: Vec<Lane>,
    stage: Vec<Lane>,
    start: Vec<Lane>,
}

impl Flow {
    fn run(&mut self, equation: &mut dyn Equation, x: &mut [Lane], h: f64, w: &[Lane]) {
        let Self { slope, stage, start } = self;
        start.copy_from_slice(x);
        // The time is a coordinate that the drift alone moves.
        equation.ahead(0.0);
        equation.increment(start, h, w, slope);
        for (ahead, share) in [(0.5, 1.0 / 6.0), (0.5, 1.0 / 3.0), (1.0, 1.0 / 3.0)] {
            add_scaled(x, slope, share);
            combine(stage, start, slope, ahead);
            equation.ahead(ahead * h);
            equation.increment(stage, h, w, slope);
        }
        add_scaled(x, slope, 1.0 / 6.0);
    }
}

impl Weak2 {
    /// For P and M numbers of `tiles` vectors.
    pub fn new(dimension: usize, noises: usize, tiles: usize) -> Self {
        let (state, noise) =
            (vec![Lane::default(); dimension * tiles], vec![Lane::default(); noises * tiles]);
        let flow = Flow { slope: state.clone(), stage: state.clone(), start: state };
        Self { xi: noise.clone(), zeta: noise.clone(), w: noise, flow }
    }
    /// One step of length h.
    pub fn step(&mut self, equation: &mut dyn Equation, x: &mut [Lane], h: f64, wiener: &mut Wiener) {
        let Self { xi, zeta, w, flow } = self;
        wiener.pair(xi, zeta);
        let root = h.sqrt();
        let half = (0.5 * h).sqrt();
        blend(w, xi, root, zeta, -half);
        multiply(zeta, half);
        flow.run(equation, x, 0.0, zeta);
        flow.run(equation, x, h, w);
    }
}

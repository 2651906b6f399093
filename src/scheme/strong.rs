//! Stochastic Runge–Kutta schemes that follow paths closely.
//!
//! For additive noise SRA1 and for scalar or diagonal noise SRIW1, both Itô of strong order 1.5 (Rößler 2010, SIAM J. Numer. Anal. 48, 922,
//! tables 6.1 and 6.2), from I₁ = ΔW = √h ξ, I₁₀ = ∫(W_s − W_0) ds = h^(3/2) z, I₁₁ = ½(ΔW² − h) and I₁₁₁ = (ΔW³ − 3hΔW)/6. For other noise that
//! commutes Heun's scheme, Stratonovich of strong order 1.

use super::heun::Heun;
use super::kernels::{add_scaled, combine, iterated, scale};
use super::{Equation, NoiseKind, Wiener};
use crate::lanes::Lane;

/// One of the three, with its buffers.
pub enum StrongRungeKutta {
    /// SRA1.
    Additive(Stages),
    /// SRIW1.
    Diagonal(Stages),
    /// Heun.
    Commutative(Heun),
}

/// What the schemes of order 1.5 keep in a step.
pub struct Stages {
    xi: Vec<Lane>,
    z: Vec<Lane>,
    w: Vec<Lane>,
    start: Vec<Lane>,
    /// H⁰₂, then the sum that makes x'.
    upper: Vec<Lane>,
    /// H¹_i.
    stage: Vec<Lane>,
    part: Vec<Lane>,
    /// a(x)h and a(H⁰₂)h.
    drifts: [Vec<Lane>; 2],
}

/// B¹ of SRIW1: H¹_i = x + Σ_j A¹_ij a(H⁰_j)h + Σ_j B¹_ij b(H¹_j)√h.
const NOISE_STAGES: [[f64; 3]; 4] = [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [-1.0, 0.0, 0.0], [-5.0, 3.0, 0.5]];
/// c¹ of SRIW1: the part of the step after which b is taken at H¹_i.
const NOISE_TIMES: [f64; 4] = [0.0, 0.25, 1.0, 0.25];
/// β of SRIW1, by stage: the factors of I₁, I₁₁/√h, I₁₀/h and I₁₁₁/h in the weight of b(H¹_i).
const WEIGHTS: [[f64; 4]; 4] = [
    [-1.0, -1.0, 2.0, -2.0],
    [4.0 / 3.0, 4.0 / 3.0, -4.0 / 3.0, 5.0 / 3.0],
    [2.0 / 3.0, -1.0 / 3.0, -2.0 / 3.0, -2.0 / 3.0],
    [0.0, 0.0, 0.0, 1.0],
];

impl StrongRungeKutta {
    /// The scheme for noise of that kind, with P and M numbers of `tiles` vectors.
    pub fn new(kind: NoiseKind, dimension: usize, noises: usize, tiles: usize) -> Self {
        let (state, noise) =
            (vec![Lane::default(); dimension * tiles], vec![Lane::default(); noises * tiles]);
        let stages = || Stages {
            xi: noise.clone(),
            z: noise.clone(),
            w: noise.clone(),
            start: state.clone(),
            upper: state.clone(),
            stage: state.clone(),
            part: state.clone(),
            drifts: [state.clone(), state.clone()],
        };
        match kind {
            NoiseKind::Additive => Self::Additive(stages()),
            NoiseKind::Scalar | NoiseKind::Diagonal => Self::Diagonal(stages()),
            NoiseKind::Commutative | NoiseKind::General => {
                Self::Commutative(Heun::new(dimension, noises, tiles))
            }
        }
    }

    /// One step of length h.
    pub fn step(&mut self, equation: &mut dyn Equation, x: &mut [Lane], h: f64, wiener: &mut Wiener) {
        match self {
            Self::Additive(stages) => stages.additive(equation, x, h, wiener),
            Self::Diagonal(stages) => stages.diagonal(equation, x, h, wiener),
            Self::Commutative(heun) => heun.step(equation, x, h, wiener),
        }
    }
}

impl Stages {
    /// a(x)h and H⁰₂ = x + ¾a(x)h + 3/2·b(x)I₁₀/h, with b at `noise_at` after the beginning.
    fn begin(&mut self, equation: &mut dyn Equation, x: &[Lane], h: f64, noise_at: f64, wiener: &mut Wiener) {
        wiener.both(&mut self.xi, &mut self.z);
        self.start.copy_from_slice(x);
        self.w.fill(Lane::default());
        equation.ahead(0.0);
        equation.increment(x, h, &self.w, &mut self.drifts[0]);
        scale(&mut self.w, &self.z, 1.5 * h.sqrt());
        equation.ahead(noise_at);
        equation.increment(x, 0.0, &self.w, &mut self.part);
        combine(&mut self.upper, x, &self.drifts[0], 0.75);
        add_scaled(&mut self.upper, &self.part, 1.0);
    }

    /// x' = x + ⅓a(x)h + ⅔a(H⁰₂)h + B ΔW; where B depends on the time, B(h)(I₁ − I₁₀/h) + B(0)I₁₀/h in place of the last.
    fn additive(&mut self, equation: &mut dyn Equation, x: &mut [Lane], h: f64, wiener: &mut Wiener) {
        self.begin(equation, x, h, h, wiener);
        if equation.timed() {
            let root = h.sqrt();
            self.w.fill(Lane::default());
            equation.ahead(0.75 * h);
            equation.increment(&self.upper, h, &self.w, &mut self.drifts[1]);
            add_scaled(x, &self.drifts[0], 1.0 / 3.0);
            add_scaled(x, &self.drifts[1], 2.0 / 3.0);
            for (time, share) in [(h, -1.0), (0.0, 1.0)] {
                scale(&mut self.w, &self.z, share * root);
                if time > 0.0 {
                    add_scaled(&mut self.w, &self.xi, root);
                }
                equation.ahead(time);
                equation.increment(&self.start, 0.0, &self.w, &mut self.part);
                add_scaled(x, &self.part, 1.0);
            }
            return;
        }
        scale(&mut self.w, &self.xi, 1.5 * h.sqrt());
        // ⅔(a h + 3/2·B ΔW) is the drift's share and the whole of the noise.
        equation.increment(&self.upper, h, &self.w, &mut self.part);
        add_scaled(x, &self.drifts[0], 1.0 / 3.0);
        add_scaled(x, &self.part, 2.0 / 3.0);
    }

    fn diagonal(&mut self, equation: &mut dyn Equation, x: &mut [Lane], h: f64, wiener: &mut Wiener) {
        self.begin(equation, x, h, 0.0, wiener);
        let root = h.sqrt();
        self.w.fill(Lane::default());
        equation.ahead(0.75 * h);
        equation.increment(&self.upper, h, &self.w, &mut self.drifts[1]);
        // H⁰₂ has done its part; from here its place holds H¹₄ as it grows.
        self.upper.copy_from_slice(&self.start);
        add_scaled(&mut self.upper, &self.drifts[0], 0.25);
        add_scaled(x, &self.drifts[0], 1.0 / 3.0);
        add_scaled(x, &self.drifts[1], 2.0 / 3.0);
        for (index, weights) in WEIGHTS.into_iter().enumerate() {
            equation.ahead(NOISE_TIMES[index] * h);
            // b(H¹_i) of the stage, times its weight, and times √h for the stages to come.
            iterated(&mut self.w, &self.xi, &self.z, root, weights);
            let (place, to_come) = match index {
                0 => (&self.start, true),
                3 => (&self.upper, false),
                _ => (&self.stage, true),
            };
            equation.increment(place, 0.0, &self.w, &mut self.part);
            add_scaled(x, &self.part, 1.0);
            if !to_come {
                continue;
            }
            self.w.fill(Lane::splat(root));
            let place = if index == 0 { &self.start } else { &self.stage };
            equation.increment(place, 0.0, &self.w, &mut self.part);
            add_scaled(&mut self.upper, &self.part, NOISE_STAGES[3][index]);
            if index == 0 {
                // b(x)√h serves the second stage and the third.
                combine(&mut self.stage, &self.start, &self.drifts[0], 0.25);
                add_scaled(&mut self.stage, &self.part, NOISE_STAGES[1][0]);
                std::mem::swap(&mut self.drifts[1], &mut self.part);
            } else if index == 1 {
                combine(&mut self.stage, &self.start, &self.drifts[0], 1.0);
                add_scaled(&mut self.stage, &self.drifts[1], NOISE_STAGES[2][0]);
            }
        }
    }
}

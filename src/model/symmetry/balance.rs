//! Where decay and noise leave a charge alone: the fixed point of dC/dt along an orbit θ → e^{λA}θ.
//!
//! With A = Σ a_i P_i, q_i = ‖P_iθ‖² and s_i = ⟨‖P_i∇ℓ‖²⟩ (central, or whatever the law of motion feels), gradients transform as
//! ∇ℓ(e^{λA}θ) = e^{−λA}∇ℓ(θ), so that along the orbit
//!
//! `dC/dt(λ) = −D Σ a_i e^{2λa_i} q_i + κ Σ a_i e^{−2λa_i} s_i`:
//!
//! each summand falls strictly with λ, so there is at most one zero, and it attracts; there is one iff the sum takes both signs.
//! For eigenvalues ±1 it is `λ* = ¼ ln[(κs₊ + Dq₋)/(κs₋ + Dq₊)]`. Source: arXiv 2402.07193, Thm. 4.3, with decay added.

use nalgebra::DMatrix;

use super::{QuadraticForm, Symmetry, named};
use crate::lanes::math::scalar::exp;
use crate::model::{Layout, Parameter, Shape};
use crate::stats::spectrum::symmetric_eigen;

/// Eigenvalues of the same size.
const ALIKE: f64 = 1e-9;
/// A part of the noise that is this share of it is rounding.
const NOTHING: f64 = 1e-14;
/// |λ| times the largest eigenvalue beyond which there is no zero that matters.
const FARTHEST: f64 = 300.0;
/// Up to so many rows every pair of them is a direction of a double rotation.
const PAIRS: usize = 4;

/// A one-parameter symmetry by its eigenspaces.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// Which of the symmetry's generators; empty where it has one.
    pub name: String,
    /// a_i, distinct and not 0.
    pub eigenvalues: Vec<f64>,
    /// ‖P_i x‖² of each, component by component: `(component, i, j, w)`.
    squares: Vec<(usize, usize, usize, f64)>,
}

/// ‖P_i x‖² of all eigenspaces of several spectra, one behind the other.
pub fn squares(spectra: &[Spectrum]) -> QuadraticForm {
    let mut terms = Vec::new();
    let mut before = 0;
    for spectrum in spectra {
        terms.extend(spectrum.squares.iter().map(|&(c, i, j, w)| (before + c, i, j, w)));
        before += spectrum.eigenvalues.len();
    }
    QuadraticForm::new(Shape::vector(before), terms)
}

/// One eigenspace of a spectrum in the making: a, and the quadratic form of its projector.
type Space = (f64, Vec<(usize, usize, f64)>);

impl Spectrum {
    fn new(name: impl Into<String>, spaces: Vec<Space>) -> Self {
        let mut eigenvalues: Vec<f64> = Vec::new();
        let mut squares = Vec::new();
        for (a, terms) in spaces.into_iter().filter(|(a, _)| *a != 0.0) {
            let known = eigenvalues.iter().position(|e| (e - a).abs() <= ALIKE * a.abs());
            let component = known.unwrap_or_else(|| {
                eigenvalues.push(a);
                eigenvalues.len() - 1
            });
            squares.extend(terms.into_iter().map(|(i, j, w)| (component, i, j, w)));
        }
        Self { name: name.into(), eigenvalues, squares }
    }
}

impl Symmetry {
    /// Its symmetric one-parameter subgroups, of which each has a fixed point; for a double rotation A = E_aa and, for few rows, E_ab + E_ba. `None` without a
    /// charge.
    pub fn spectra(&self, layout: &Layout) -> Option<Vec<Spectrum>> {
        let whole =
            |p: &Parameter| (p.offset..p.offset + p.shape.len()).map(|e| (e, e, 1.0)).collect::<Vec<_>>();
        match self {
            Symmetry::Exponential(weights) => {
                let spaces = layout.parameters().iter().zip(weights).map(|(p, &a)| (a, whole(p))).collect();
                Some(vec![Spectrum::new("", spaces)])
            }
            Symmetry::Scale(names) => {
                Some(vec![Spectrum::new("", named(layout, names).map(|p| (1.0, whole(p))).collect())])
            }
            Symmetry::Matrix(a) => Some(vec![dense(a, layout.len())]),
            Symmetry::DoubleRotation { left, right } => {
                let (w, u) = (layout.get(left)?, layout.get(right)?);
                Some(double_rotation(w, u))
            }
            _ => None,
        }
    }
}

fn dense(a: &[f64], n: usize) -> Spectrum {
    let eigen = symmetric_eigen(&DMatrix::from_row_slice(n, n, a));
    let largest = eigen.eigenvalues.amax();
    let spaces = eigen
        .eigenvalues
        .iter()
        .zip(eigen.eigenvectors.column_iter())
        .map(|(&value, v)| {
            let upper = (0..n).flat_map(|i| (i..n).map(move |j| (i, j)));
            let terms = upper.map(|(i, j)| (i, j, v[i] * v[j] * if i == j { 1.0 } else { 2.0 })).collect();
            (if value.abs() <= ALIKE * largest { 0.0 } else { value }, terms)
        })
        .collect();
    Spectrum::new("", spaces)
}

/// W → e^{λM}W, U → Ue^{−λM} for M = E_aa and M = E_ab + E_ba.
fn double_rotation(w: &Parameter, u: &Parameter) -> Vec<Spectrum> {
    let side = w.shape.rows;
    let row = |a: usize, j: usize| w.offset + a * w.shape.cols + j;
    let column = |i: usize, a: usize| u.offset + i * u.shape.cols + a;
    let mut all = Vec::new();
    for a in 0..side {
        let own = (0..w.shape.cols).map(|j| (row(a, j), row(a, j), 1.0)).collect();
        let other = (0..u.shape.rows).map(|i| (column(i, a), column(i, a), 1.0)).collect();
        all.push(Spectrum::new(format!("[{a},{a}]"), vec![(1.0, own), (-1.0, other)]));
    }
    for a in 0..if side <= PAIRS { side } else { 0 } {
        for b in a + 1..side {
            // Eigenvectors (e_a ± e_b)/√2.
            let along =
                |sign: f64, pick: &dyn Fn(usize, usize) -> usize, n: usize| -> Vec<(usize, usize, f64)> {
                    (0..n)
                        .flat_map(|k| {
                            let (x, y) = (pick(a, k), pick(b, k));
                            [(x, x, 0.5), (y, y, 0.5), (x, y, sign)]
                        })
                        .collect()
                };
            let rows = |sign: f64| along(sign, &|a, j| row(a, j), w.shape.cols);
            let columns = |sign: f64| along(sign, &|a, i| column(i, a), u.shape.rows);
            let spaces =
                vec![(1.0, rows(1.0)), (1.0, columns(-1.0)), (-1.0, rows(-1.0)), (-1.0, columns(1.0))];
            all.push(Spectrum::new(format!("[{a},{b}]"), spaces));
        }
    }
    all
}

/// dC/dt along the orbit of a state.
#[derive(Clone, Copy, Debug)]
pub struct Balance<'a> {
    /// a_i.
    pub eigenvalues: &'a [f64],
    /// D q_i.
    pub decay: &'a [f64],
    /// κ s_i.
    pub noise: &'a [f64],
}

impl Balance<'_> {
    /// dC/dt at e^{λA}θ.
    pub fn slope(&self, lambda: f64) -> f64 {
        let mut sum = 0.0;
        for (i, a) in self.eigenvalues.iter().enumerate() {
            // Where nothing is, nothing grows.
            if self.decay[i] > 0.0 {
                sum -= a * exp(2.0 * lambda * a) * self.decay[i];
            }
            if self.noise[i] > 0.0 {
                sum += a * exp(-2.0 * lambda * a) * self.noise[i];
            }
        }
        sum
    }

    /// λ*, the zero of the slope; `None` where the slope has one sign.
    pub fn fixed_point(&self) -> Option<f64> {
        let total: f64 = self.noise.iter().chain(self.decay).sum();
        let kept = |values: &[f64]| -> Vec<f64> {
            values.iter().map(|x| if *x > NOTHING * total { *x } else { 0.0 }).collect()
        };
        let (decay, noise) = (kept(self.decay), kept(self.noise));
        let clean = Balance { decay: &decay, noise: &noise, ..*self };
        let upwards = |i: usize| {
            (clean.eigenvalues[i] > 0.0 && noise[i] > 0.0) || (clean.eigenvalues[i] < 0.0 && decay[i] > 0.0)
        };
        let downwards = |i: usize| {
            (clean.eigenvalues[i] < 0.0 && noise[i] > 0.0) || (clean.eigenvalues[i] > 0.0 && decay[i] > 0.0)
        };
        let count = clean.eigenvalues.len();
        if !((0..count).any(upwards) && (0..count).any(downwards)) {
            return None;
        }
        let largest = clean.eigenvalues.iter().fold(0.0_f64, |m, a| m.max(a.abs()));
        let (mut low, mut high) = (-1.0 / largest, 1.0 / largest);
        while clean.slope(low) <= 0.0 {
            low *= 2.0;
            if low.abs() * largest > FARTHEST {
                return None;
            }
        }
        while clean.slope(high) >= 0.0 {
            high *= 2.0;
            if high * largest > FARTHEST {
                return None;
            }
        }
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if clean.slope(middle) > 0.0 { low = middle } else { high = middle }
        }
        Some(0.5 * (low + high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_points_have_their_values() {
        // A = diag(2, 1, −1), s = (.5, 1.2, 2); with γ = .05, κ = .1, θ² = (.3, 1, .7). To twelve digits.
        let eigenvalues = [2.0, 1.0, -1.0];
        let s = [0.5, 1.2, 2.0];
        let bare = Balance { eigenvalues: &eigenvalues, decay: &[0.0; 3], noise: &s };
        assert!((bare.fixed_point().unwrap() - 0.019_453_214_220).abs() < 1e-12);
        let decay = [0.3, 1.0, 0.7].map(|q| 4.0 * 0.05 * q);
        let noise = s.map(|s| 0.1 * s);
        let both = Balance { eigenvalues: &eigenvalues, decay: &decay, noise: &noise };
        assert!((both.fixed_point().unwrap() + 0.073_225_855_345).abs() < 1e-12);
        // u = 1.5, w = .5: Σ ∝ (w, u)(w, u)ᵀ, so that λ* = −½ ln 3 and u = w there, with and without decay.
        for gamma in [0.0, 0.3] {
            let decay = [4.0 * gamma * 2.25, 4.0 * gamma * 0.25];
            let scalar = Balance { eigenvalues: &[1.0, -1.0], decay: &decay, noise: &[0.25, 2.25] };
            assert!((scalar.fixed_point().unwrap() + 0.549_306_144_3).abs() < 1e-10);
        }
    }

    #[test]
    fn eigenvalues_of_one_size_have_the_closed_form() {
        let (d, k) = (0.7, 1.3);
        let (q, s) = ([0.4, 1.9], [2.2, 0.6]);
        let balance =
            Balance { eigenvalues: &[1.0, -1.0], decay: &q.map(|q| d * q), noise: &s.map(|s| k * s) };
        let closed = 0.25 * ((k * s[0] + d * q[1]) / (k * s[1] + d * q[0])).ln();
        let found = balance.fixed_point().unwrap();
        assert!((found - closed).abs() < 1e-14);
        // Control: the exponent ½ in place of ¼ is no zero.
        assert!(balance.slope(found).abs() < 1e-13 && balance.slope(2.0 * closed).abs() > 0.1);
    }

    #[test]
    fn one_sign_has_no_fixed_point() {
        let scale = Balance { eigenvalues: &[1.0], decay: &[0.0], noise: &[2.0] };
        assert_eq!(scale.fixed_point(), None);
        // With decay the norm has one: (κs/Dq)^¼.
        let kept = Balance { eigenvalues: &[1.0], decay: &[0.5], noise: &[2.0] };
        assert!((kept.fixed_point().unwrap() - 0.25 * 4.0_f64.ln()).abs() < 1e-14);
        let none = Balance { eigenvalues: &[1.0, -1.0], decay: &[0.0, 0.0], noise: &[1.0, 0.0] };
        assert_eq!(none.fixed_point(), None);
    }

    #[test]
    fn spectra_are_those_of_the_generators() {
        let mut layout = Layout::default();
        layout.push("U", Shape::matrix(2, 2));
        layout.push("W", Shape::matrix(2, 3));
        let theta: Vec<f64> = (0..10).map(|i| 0.3 * f64::from(i) - 1.1).collect();
        let value = |spectrum: &Spectrum| -> f64 {
            let squares = squares(std::slice::from_ref(spectrum)).value(&theta);
            spectrum.eigenvalues.iter().zip(squares).map(|(a, q)| a * q).sum()
        };
        // θᵀAθ: of UᵀU − WWᵀ, minus the entry, for W → e^{λM}W.
        let pair = Symmetry::DoubleRotation { left: "W".into(), right: "U".into() };
        let charge = pair.charge(&layout).unwrap().value(&theta);
        let spectra = pair.spectra(&layout).unwrap();
        assert_eq!(spectra.len(), 3);
        for (spectrum, expected) in spectra.iter().zip([-charge[0], -charge[3], -2.0 * charge[1]]) {
            assert!((value(spectrum) - expected).abs() < 1e-12, "{}", spectrum.name);
        }
        let mut a = vec![0.0; 100];
        for (i, j, x) in [(0, 0, 1.0), (0, 5, 0.5), (5, 0, 0.5), (3, 3, -2.0)] {
            a[i * 10 + j] = x;
        }
        let matrix = Symmetry::Matrix(a);
        let expected = matrix.charge(&layout).unwrap().value(&theta)[0];
        assert!((value(&matrix.spectra(&layout).unwrap()[0]) - expected).abs() < 1e-12);
    }
}

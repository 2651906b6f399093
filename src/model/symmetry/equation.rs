//! Does a stochastic differential equation have a symmetry? Asked at random states and members of the group.
//!
//! For dx = a dt + B dW with a in Itô's form, a charge C = xᵀAx has `dC = (2xᵀAa + Tr[BᵀAB])dt + 2xᵀAB dW`. As for the Langevin equation of a
//! loss with the symmetry θ → e^{λA}θ, declared is that the noise makes no martingale of it, xᵀAB(x) = 0, and that the drift leaves it alone or relaxes it,
//! xᵀAa(x) = −κC; what is left is dC = −2κC dt + Tr[BᵀAB]dt. A transformation without a charge, g, must take the equation into itself:
//! a(gx) = g a(x) and D(gx) = g D(x) gᵀ, D = BBᵀ.

use super::{QuadraticForm, Symmetry};
use crate::lanes::{Lane, Purpose, Stream};
use crate::model::formula::{CompiledSde, SdeModel};
use crate::model::{Layout, Scratch};

/// Scales of the states that are tried, eight each.
const SCALES: [f64; 6] = [1.0, 0.7, 2.0, 0.3, 1.0, 0.1];
const STATES: usize = 8;
/// Which of the probes' streams.
const STREAM: u64 = 102;
/// A relative deviation beyond this is no rounding.
const TOLERANCE: f64 = 1e-9;

/// Where an equation has not the symmetry that was declared.
#[derive(Clone, Debug)]
pub struct Breach {
    /// x.
    pub state: Vec<f64>,
    /// What is wrong there.
    pub kind: BreachKind,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BreachKind {
    /// xᵀAa, which is no multiple of C common to all states.
    Drift(f64),
    /// xᵀAb of the column b of this process.
    Noise(usize, f64),
    /// a(gx) is not g a(x).
    Moved,
    /// D(gx) is not g D(x) gᵀ.
    Spread,
}

struct Equation {
    compiled: CompiledSde,
    scratch: Scratch,
    /// The time at which it is looked at.
    time: f64,
}

impl Equation {
    /// a(x)h + B(x)w.
    fn increment(&mut self, x: &[f64], h: f64, process: Option<usize>) -> Vec<f64> {
        let lanes: Vec<Lane> = x.iter().map(|&x| Lane::splat(x)).collect();
        let w: Vec<Lane> = (0..self.compiled.noises())
            .map(|k| Lane::splat(f64::from(u8::from(Some(k) == process))))
            .collect();
        let mut out = vec![Lane::default(); x.len()];
        self.compiled.increment(&lanes, h, &w, self.time, &mut out, &mut self.scratch);
        out.iter().map(|o| o.0[0]).collect()
    }
    /// Another time for every state, where the equation depends on it.
    fn at_state(&mut self, index: usize) {
        self.time = self.compiled.start() + 0.37 * index as f64;
    }
    fn drift(&mut self, x: &[f64]) -> Vec<f64> {
        self.increment(x, 1.0, None)
    }
    fn columns(&mut self, x: &[f64]) -> Vec<Vec<f64>> {
        (0..self.compiled.noises()).map(|j| self.increment(x, 0.0, Some(j))).collect()
    }
}

fn states(size: usize, stream: &mut Stream) -> Vec<Vec<f64>> {
    let mut list = Vec::new();
    for scale in SCALES {
        for index in 0..STATES {
            // Some are positive, for roots and logarithms.
            let one = |z: f64| scale * if index % 4 == 3 { z.abs() } else { z };
            list.push((0..size).map(|_| one(stream.normal())).collect());
        }
    }
    list
}

/// Looks for a breach of the symmetry. Of a symmetry with a charge that there is, κ is returned, else 0.
///
/// # Errors
/// The first breach; `None` within where the equation cannot be compiled.
pub fn check_equation(symmetry: &Symmetry, model: &SdeModel, seed: u64) -> Result<f64, Option<Breach>> {
    let compiled = model.compiled(false, false).map_err(|_| None)?;
    let mut equation = Equation { scratch: compiled.scratch(1), time: compiled.start(), compiled };
    let mut stream = Stream::new(seed, Purpose::Search, STREAM);
    let layout = model.layout();
    let states = states(layout.len(), &mut stream);
    match symmetry.charge(layout) {
        Some(charge) => relaxation(&charge, &mut equation, &states).map_err(Some),
        None => {
            equivariant(symmetry, layout, &mut equation, &states, &mut stream).map_err(Some).map(|()| 0.0)
        }
    }
}

fn finite(x: &[f64]) -> bool {
    x.iter().all(|x| x.is_finite())
}

/// Bilinear values of each component, and the size of what cancels in them.
fn polar(charge: &QuadraticForm, x: &[f64], y: &[f64]) -> (Vec<f64>, f64) {
    let lanes = |v: &[f64]| v.iter().map(|&x| Lane::splat(x)).collect::<Vec<_>>();
    let mut out = vec![Lane::default(); charge.shape().len()];
    charge.accumulate(&lanes(x), &lanes(y), 1.0, &mut out, 1);
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let bound = charge.bound().value(&vec![1.0; x.len()])[0] / x.len() as f64;
    (out.iter().map(|o| o.0[0]).collect(), bound * norm(x) * norm(y))
}

/// κ of xᵀAa = −κC.
fn relaxation(charge: &QuadraticForm, equation: &mut Equation, states: &[Vec<f64>]) -> Result<f64, Breach> {
    let mut seen = Vec::new();
    let (mut product, mut square) = (0.0, 0.0);
    for (index, x) in states.iter().enumerate() {
        equation.at_state(index);
        let drift = equation.drift(x);
        if !finite(&drift) {
            continue;
        }
        let (work, size) = polar(charge, x, &drift);
        let value = charge.value(x);
        // Each state counts alike, whatever its scale.
        let norm = x.iter().map(|x| x * x).sum::<f64>();
        let weight = 1.0 / (norm * norm).max(f64::MIN_POSITIVE);
        for (w, c) in work.iter().zip(&value) {
            product -= weight * w * c;
            square += weight * c * c;
        }
        for (process, column) in equation.columns(x).iter().enumerate() {
            let (work, size) = polar(charge, x, column);
            if let Some(w) = work.iter().find(|w| w.abs() > TOLERANCE * size) {
                return Err(Breach { state: x.clone(), kind: BreachKind::Noise(process, *w) });
            }
        }
        seen.push((x, work, value, size));
    }
    let kappa = if square > 0.0 { product / square } else { 0.0 };
    for (x, work, value, size) in seen {
        for (w, c) in work.iter().zip(&value) {
            if (w + kappa * c).abs() > TOLERANCE * size.max((kappa * c).abs()) {
                return Err(Breach { state: x.clone(), kind: BreachKind::Drift(*w) });
            }
        }
    }
    // Rounding is no relaxation.
    Ok(if kappa.abs() < TOLERANCE { 0.0 } else { kappa })
}

fn equivariant(
    symmetry: &Symmetry,
    layout: &Layout,
    equation: &mut Equation,
    states: &[Vec<f64>],
    stream: &mut Stream,
) -> Result<(), Breach> {
    let p = layout.len();
    for (index, x) in states.iter().enumerate() {
        equation.at_state(index);
        // The same member of the group for all vectors.
        let source = stream.clone();
        let image = |v: &[f64]| symmetry.transformed(layout, v, &mut source.clone());
        let moved = image(x);
        let differ = |a: &[f64], b: &[f64]| {
            let size = a.iter().chain(b).fold(0.0_f64, |m, x| m.max(x.abs()));
            finite(a) && finite(b) && a.iter().zip(b).any(|(a, b)| (a - b).abs() > TOLERANCE * size)
        };
        if differ(&image(&equation.drift(x)), &equation.drift(&moved)) {
            return Err(Breach { state: x.clone(), kind: BreachKind::Moved });
        }
        let covariance = |columns: &[Vec<f64>]| -> Vec<f64> {
            (0..p * p).map(|e| columns.iter().map(|c| c[e / p] * c[e % p]).sum()).collect()
        };
        let turned: Vec<Vec<f64>> = equation.columns(x).iter().map(|c| image(c)).collect();
        if differ(&covariance(&turned), &covariance(&equation.columns(&moved))) {
            return Err(Breach { state: x.clone(), kind: BreachKind::Spread });
        }
        // On to another member.
        symmetry.transformed(layout, x, stream);
        stream.normal();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::Shape;
    use crate::model::formula::{Diffusion, Expression};

    fn equation(drift: [&str; 2], diffusion: [&str; 2]) -> SdeModel {
        let mut layout = Layout::default();
        layout.push("u", Shape::SCALAR);
        layout.push("w", Shape::SCALAR);
        let parse = |text: &str| Expression::parse(text).unwrap();
        let noise =
            |name: &str, text: &str| (name.to_owned(), Diffusion::Named(vec![("a".to_owned(), parse(text))]));
        SdeModel::new(
            layout,
            &BTreeMap::new(),
            &[("u".to_owned(), parse(drift[0])), ("w".to_owned(), parse(drift[1]))],
            &[noise("u", diffusion[0]), noise("w", diffusion[1])],
            false,
        )
        .unwrap()
    }

    #[test]
    fn the_langevin_equation_of_a_rescaling_loss_relaxes_by_its_decay_and_others_do_not() {
        let rescaling = Symmetry::Exponential(vec![1.0, -1.0]);
        // (uw − 1)²/2 with the noise (w, u) of its label, and decay.
        let kept = equation(["-(u*w - 1)*w - 0.3*u", "-(u*w - 1)*u - 0.3*w"], ["0.1*w", "0.1*u"]);
        assert!((check_equation(&rescaling, &kept, 1).unwrap() - 0.3).abs() < 1e-12);
        let free = equation(["-(u*w - 1)*w", "-(u*w - 1)*u"], ["0.1*w", "0.1*u"]);
        assert_eq!(check_equation(&rescaling, &free, 1).unwrap(), 0.0);
        for (drift, diffusion, expected) in [
            (["-(u*w - 1)*w", "-1.001*(u*w - 1)*u"], ["0.1*w", "0.1*u"], "drift"),
            (["-u^3", "-w"], ["0", "0"], "drift"),
            (["-(u*w - 1)*w", "-(u*w - 1)*u"], ["0.1*w", "0.1001*u"], "noise"),
        ] {
            let found = check_equation(&rescaling, &equation(drift, diffusion), 1).unwrap_err().unwrap();
            let kind = match found.kind {
                BreachKind::Drift(_) => "drift",
                BreachKind::Noise(0, _) => "noise",
                _ => "another",
            };
            assert_eq!(kind, expected, "{drift:?} {found:?}");
        }
    }

    #[test]
    fn what_has_no_charge_must_take_the_equation_into_itself() {
        let swap = Symmetry::PermutationSwap(vec![("u".to_owned(), "w".to_owned())]);
        let alike = equation(["w - u^3", "u - w^3"], ["u", "w"]);
        assert!(check_equation(&swap, &alike, 1).is_ok());
        let moved = equation(["w - u^3", "u - 1.01*w^3"], ["u", "w"]);
        assert_eq!(check_equation(&swap, &moved, 1).unwrap_err().unwrap().kind, BreachKind::Moved);
        let spread = equation(["w - u^3", "u - w^3"], ["u", "1.01*w"]);
        assert_eq!(check_equation(&swap, &spread, 1).unwrap_err().unwrap().kind, BreachKind::Spread);
        // One process for both turns with the state; its covariance is (u, w)(u, w)ᵀ.
        let mirror = Symmetry::Negate(vec!["u".to_owned()]);
        assert!(check_equation(&mirror, &equation(["-u", "-w"], ["u", "w"]), 1).is_ok());
        let broken = equation(["-u", "-w"], ["1 + u", "w"]);
        assert_eq!(check_equation(&mirror, &broken, 1).unwrap_err().unwrap().kind, BreachKind::Spread);
    }
}

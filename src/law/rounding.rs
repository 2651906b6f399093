//! How much of a number rounding alone can make: on its own scale, and no more than can really occur.

use crate::dynamics::Law;

/// Rounding errors of a number's size that one step can make.
pub(super) const A_STEP: f64 = 8.0;
/// Below this share of the largest value ever seen, a difference of such values is rounding.
pub(super) const NOTHING: f64 = 1e-13;

/// Largest rounding errors of a quantity, absolute.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounding {
    /// From its own size.
    pub own: f64,
    /// From the size of the larger numbers that it may be the difference of.
    pub floor: f64,
}

impl Rounding {
    /// Of a quantity that is no difference of larger ones.
    pub fn own(own: f64) -> Self {
        Self { own, floor: 0.0 }
    }

    /// The larger of both.
    pub fn most(self) -> f64 {
        self.own.max(self.floor)
    }

    /// That of a mean square about some centre, of root `deviation`: ⟨(d + δ)²⟩ − ⟨d²⟩ ≤ 2δ√⟨d²⟩ + δ². The squares of numbers beside
    /// which their deviations are small do not matter: sums are of deviations, not of squares.
    pub fn of_square(self, deviation: f64) -> Self {
        self.of_product(self, deviation, deviation)
    }

    /// That of a mean product of deviations with the roots `a`, of numbers rounded so, and `b`, of others.
    pub fn of_product(self, other: Self, a: f64, b: f64) -> Self {
        let product = |x: f64, y: f64| x * b + y * a + x * y;
        Self { own: product(self.own, other.own), floor: product(self.floor, other.floor) }
    }

    /// That of a sum.
    pub fn plus(self, other: Self) -> Self {
        Self { own: self.own + other.own, floor: self.floor + other.floor }
    }

    /// That of a multiple.
    pub fn times(self, factor: f64) -> Self {
        Self { own: factor * self.own, floor: factor * self.floor }
    }
}

/// Relative error that a path of `steps` steps of a law of motion can gather: so many roundings, and what the integrator of a gradient flow
/// is allowed, whose errors add up over the path (a hundred of them, as for the budget of a charge).
pub(super) fn along_a_path(law: &Law, steps: u64) -> f64 {
    let steps = steps as f64 * f64::from(law.substeps().0);
    let rounding = A_STEP * f64::EPSILON * (steps + 2.0);
    match law {
        Law::GradientFlow { tolerance } => rounding + INTEGRATED * tolerance,
        _ => rounding,
    }
}

/// Tolerances of a step that the error of a gradient flow adds up to.
pub(super) const INTEGRATED: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variance_is_rounded_as_its_deviations_are() {
        // Deviations of 1e-5 beside 1, rounded at 1e-13: 2e-18, where the square of the numbers themselves would say 1e-13.
        let one = Rounding { own: 1e-13, floor: 2e-13 };
        let square = one.of_square(1e-5);
        assert!((square.own - 2e-18).abs() < 1e-25 && (square.floor - 4e-18).abs() < 1e-25);
        assert_eq!(square.most(), square.floor);
        // Nothing scatters: the square of the rounding.
        assert_eq!(one.of_square(0.0).own, 1e-26);
    }

    #[test]
    fn paths_gather_rounding_and_the_errors_of_their_integrator() {
        let flow = Law::GradientFlow { tolerance: 1e-12 };
        assert!(along_a_path(&Law::Sgd, 0) < 1e-14);
        assert!((1e-10..2e-10).contains(&along_a_path(&Law::Sgd, 100_000)));
        assert!(along_a_path(&Law::langevin(4), 100) > 3.9 * along_a_path(&Law::Sgd, 100));
        assert!((1e-10..1.1e-10).contains(&along_a_path(&flow, 100)));
    }
}

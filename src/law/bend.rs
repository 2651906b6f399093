//! Whether an error already falls with one power of the step: a ladder's curvature.
//!
//! An error D(h) = C hᵖ(1 + b h^q + …) has the local slope d ln D/d ln h = p + b q h^q + …, which comes to p as h falls. To ln D along the ladder a
//! parabola is fitted, with the weights of the line. Its slope at the smallest step, s, still changes by κ = ds/d ln h there, which leaves κ/q to go:
//! p ≈ s − κ/q. Both are sums over ln D_i, so that their errors come from the replicas as the slope's does, common paths counted once. Next powers:
//! q = ½ for paths, whose errors go in powers of √h, and 1 for means (Talay & Tubaro 1990).

use nalgebra::{Matrix3, Vector3};

use super::number::short;
use crate::stats::Estimate;

/// Above this probability a curvature may be chance. Larger than the level of verdicts: it guards them.
const CHANCE: f64 = 0.01;
/// Share of the tolerance that what is left to go must come down to.
const LEFT: f64 = 0.25;

/// What a ladder's curvature says.
#[derive(Clone, Debug)]
pub(super) struct Bend {
    /// Slopes between neighbours, from the largest step.
    pub slopes: Vec<f64>,
    /// Slope that the ladder tends to.
    pub limit: Estimate,
    /// Change of the slope a unit of ln h.
    curvature: Estimate,
    /// q.
    power: f64,
}

impl Bend {
    /// From `y` = ln D along `x` = ln h with the fit's `weights`; `units` has each replica's share in each ln D, about 0. `None` for fewer than three steps.
    pub fn new(x: &[f64], y: &[f64], weights: &[f64], units: &[Vec<f64>], strong: bool) -> Option<Self> {
        let power = if strong { 0.5 } else { 1.0 };
        let smallest = x.iter().copied().fold(f64::INFINITY, f64::min);
        // About the smallest step: c + s(x − x_min) + ½κ(x − x_min)².
        let row = |x: f64| Vector3::new(1.0, x - smallest, 0.5 * (x - smallest) * (x - smallest));
        let normal: Matrix3<f64> =
            x.iter().zip(weights).map(|(x, w)| row(*x) * row(*x).transpose() * *w).sum();
        let inverse = normal.try_inverse().filter(|_| x.len() > 2)?;
        let of = |functional: Vector3<f64>| -> Vec<f64> {
            x.iter().zip(weights).map(|(x, w)| w * functional.dot(&(inverse * row(*x)))).collect()
        };
        let estimate = |coefficients: &[f64]| {
            let value: f64 = coefficients.iter().zip(y).map(|(a, y)| a * y).sum();
            let replicas = units.first().map_or(0, Vec::len);
            let shares: Vec<f64> = (0..replicas)
                .map(|r| coefficients.iter().zip(units).map(|(a, unit)| a * unit[r]).sum::<f64>())
                .collect();
            let scatter = Estimate::of_sample(&shares);
            let still = units.iter().all(|unit| unit.iter().all(|x| *x == 0.0));
            let standard_error = if still { 0.0 } else { scatter.standard_error };
            Estimate { value, standard_error, ..scatter }
        };
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|&a, &b| x[b].total_cmp(&x[a]));
        Some(Self {
            slopes: order.windows(2).map(|p| (y[p[0]] - y[p[1]]) / (x[p[0]] - x[p[1]])).collect(),
            limit: estimate(&of(Vector3::new(0.0, 1.0, -1.0 / power))),
            curvature: estimate(&of(Vector3::new(0.0, 0.0, 1.0))),
            power,
        })
    }

    /// The slopes move by more than chance.
    fn seen(&self) -> bool {
        if self.curvature.standard_error > 0.0 {
            self.curvature.p_value(0.0, 0.0) <= CHANCE
        } else {
            self.curvature.value != 0.0
        }
    }

    /// Why a fitted `slope` within (or not within) `tolerance` of `order` says nothing, if it does not: the slopes still move, and what they tend to is
    /// on the other side of the tolerance's edge.
    pub fn doubt(&self, slope: f64, order: f64, tolerance: f64, finest: &Finest) -> Option<String> {
        if !self.seen() {
            return None;
        }
        let (fitted, limit) = (slope - order, self.limit.value - order);
        let same = if fitted.abs() <= tolerance {
            limit.abs() <= tolerance
        } else {
            limit.abs() > tolerance && fitted * limit > 0.0
        };
        if same {
            return None;
        }
        let slopes: Vec<String> = self.slopes.iter().map(|s| format!("{s:.2}")).collect();
        let left = (self.curvature.value / self.power).abs();
        let halvings = ((left / (LEFT * tolerance)).log2() / self.power).ceil().clamp(1.0, 60.0);
        Some(format!(
            "the slopes between neighbours, {}, still change: no one power rules yet (they tend to about {:.2}); a finer ladder would tell, {}",
            slopes.join(", "),
            self.limit.value,
            finest.halved(halvings)
        ))
    }
}

/// The setting's value at the smallest step.
pub(super) struct Finest {
    pub name: &'static str,
    pub value: f64,
    /// A smaller step is a larger value.
    pub inverse: bool,
}

impl Finest {
    fn halved(&self, times: f64) -> String {
        let factor = 2.0_f64.powf(times);
        let value = if self.inverse { self.value * factor } else { self.value / factor };
        format!("{} to {} = {}", if self.inverse { "up" } else { "down" }, self.name, short(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ln D at h = 2^−i for D = hᵖ(1 + b h^q).
    fn bend(p: f64, b: f64, q: f64, strong: bool) -> Bend {
        let x: Vec<f64> = (4..8).map(|i| -f64::from(i) * 2.0_f64.ln()).collect();
        let y: Vec<f64> = x.iter().map(|x| p * x + (b * (q * x).exp()).ln_1p()).collect();
        Bend::new(&x, &y, &[1.0; 4], &vec![vec![0.0; 8]; 4], strong).unwrap()
    }

    #[test]
    fn the_limit_of_a_bent_ladder_is_nearer_to_the_order_than_its_slope() {
        for (p, b, q, strong) in [(1.0, 1.0, 1.0, false), (2.0, -3.0, 1.0, false), (0.5, 3.0, 0.5, true)] {
            let found = bend(p, b, q, strong);
            let (coarse, fine) = (found.slopes[0] - p, found.slopes[2] - p);
            let limit = found.limit.value - p;
            assert!(limit.abs() < 0.7 * coarse.abs() && fine.abs() < coarse.abs(), "{found:?}");
            // It lies where the slopes go to.
            assert!((limit - fine) * (fine - coarse) > 0.0, "{found:?}");
        }
        // A straight one tends to its slope.
        let straight = bend(1.5, 0.0, 1.0, true);
        assert!((straight.limit.value - 1.5).abs() < 1e-9);
        assert!(Bend::new(&[0.0, 1.0], &[0.0, 1.0], &[1.0; 2], &vec![vec![0.0; 8]; 2], true).is_none());
    }

    #[test]
    fn what_a_ladder_tends_to_must_agree_with_what_its_slope_says() {
        let finest = || Finest { name: "dt", value: 2.0_f64.powi(-7), inverse: false };
        let found = bend(0.5, 8.0, 0.5, true);
        let slope = 0.5 * (found.slopes[0] + found.slopes[2]);
        // Neither the true order nor that of the line.
        for order in [0.5, slope] {
            assert!(found.doubt(slope, order, 0.15, &finest()).is_some(), "{order}: {found:?}");
        }
        // One from which it moves away is wrong either way.
        assert!(found.doubt(slope, 1.5, 0.15, &finest()).is_none());
        let said = found.doubt(slope, 0.5, 0.15, &finest()).unwrap();
        assert!(said.contains("still change") && said.contains("down to dt = "), "{said}");
        // Little curvature takes nothing away.
        let straight = bend(1.0, 0.5, 1.0, false);
        assert!(straight.doubt(straight.slopes[1], 1.0, 0.15, &finest()).is_none());
        assert!(straight.doubt(straight.slopes[1], 2.0, 0.15, &finest()).is_none());
    }
}

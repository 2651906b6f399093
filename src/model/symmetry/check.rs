//! Does a loss have a symmetry? Asked at random states, samples and members of the group.

use super::Symmetry;
use super::probe::{Probe, affordable, lane, rows_of};
use crate::lanes::{LANES, Lane};
use crate::model::Model;

/// Scales of θ that are tried, eight states each.
const ROUNDS: [f64; 6] = [1.0, 1.0, 1.0, 0.3, 0.1, 0.01];
/// Most further rounds of draws of a law.
const DRAWS: usize = 256;
/// Which of the probes' streams.
const STREAM: u64 = 101;
/// A relative change beyond this is no rounding.
const TOLERANCE: f64 = 1e-9;

/// Where a loss changes under what was declared to be its symmetry.
#[derive(Clone, Debug)]
pub struct Violation {
    /// ℓ(θ; z).
    pub before: f64,
    /// ℓ of the transformed θ.
    pub after: f64,
    /// θ.
    pub theta: Vec<f64>,
    /// The transformed θ.
    pub transformed: Vec<f64>,
    /// z, a row of the population.
    pub sample: Vec<f64>,
}

impl Violation {
    /// The change as a share of the larger value.
    pub fn relative(&self) -> f64 {
        (self.after - self.before).abs() / self.before.abs().max(self.after.abs())
    }
}

/// Compares ℓ(θ; z) with ℓ(gθ; z) at 48 random states θ, samples z and members g of the group, and at one for every row z of a table (of a very large
/// one, as many as can be afforded), and at many draws of a law; the worst deviation, if there is one beyond rounding.
///
/// Rounding is measured against |ℓ| and Σ|θ_i ∂ℓ/∂θ_i|, which says what relative errors of θ make of ℓ. Points where the loss is not finite
/// are left out.
pub fn check(symmetry: &Symmetry, model: &dyn Model, seed: u64) -> Option<Violation> {
    let layout = model.layout();
    let mut probe = Probe::new(model, seed, STREAM);
    let mut moved = vec![Lane::default(); layout.len()];
    let mut gradient = vec![Lane::default(); layout.len()];
    let mut worst: Option<(f64, Violation)> = None;
    let p = layout.len();
    let work = match symmetry {
        Symmetry::Matrix(_) => 20 * p * p * p,
        Symmetry::Mirror(_) => 2 * p * p,
        _ => 20 * p,
    };
    let rows = rows_of(model, work).map(|(rows, _)| rows).unwrap_or_default();
    let draws = if model.population().fresh.is_some() { affordable(work).min(DRAWS) } else { 0 };
    let rounds = ROUNDS.into_iter().chain(std::iter::repeat_n(1.0, draws)).map(|scale| (scale, None));
    for (scale, rows) in rounds.chain(rows.chunks(LANES).map(|rows| (1.0, Some(rows)))) {
        match rows {
            None => probe.draw(scale),
            Some(rows) => probe.draw_rows(scale, rows),
        }
        let lanes = rows.map_or(LANES, <[usize]>::len);
        for l in 0..LANES {
            let theta = lane(&probe.theta, l);
            let transformed = symmetry.transformed(layout, &theta, probe.stream());
            for (to, x) in moved.iter_mut().zip(transformed) {
                to.0[l] = x;
            }
        }
        let (before, after) = (probe.losses(), probe.losses_at(&moved));
        probe.gradients(&mut gradient);
        let mut size = sizes(&probe.theta, &gradient);
        probe.gradients_at(&moved, &mut gradient);
        for (size, other) in size.iter_mut().zip(sizes(&moved, &gradient)) {
            *size = size.max(other);
        }
        for l in 0..lanes {
            let scale = before[l].abs().max(after[l].abs()).max(size[l]);
            let deviation = (after[l] - before[l]).abs() / scale;
            if scale > 0.0
                && deviation > TOLERANCE
                && worst.as_ref().is_none_or(|(most, _)| deviation > *most)
            {
                let violation = Violation {
                    before: before[l],
                    after: after[l],
                    theta: lane(&probe.theta, l),
                    transformed: lane(&moved, l),
                    sample: lane(&probe.sample, l),
                };
                worst = Some((deviation, violation));
            }
        }
    }
    worst.map(|(_, violation)| violation)
}

/// Σ_i |θ_i ∂ℓ/∂θ_i| of each lane.
fn sizes(theta: &[Lane], gradient: &[Lane]) -> [f64; LANES] {
    std::array::from_fn(|l| theta.iter().zip(gradient).map(|(x, g)| (x.0[l] * g.0[l]).abs()).sum())
}

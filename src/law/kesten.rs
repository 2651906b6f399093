//! The tail of a random linear recursion: δ' = Mδ + ξ has P(|δ| > z) ~ z^{−κ} with ⟨|M|^κ⟩ = 1 (Kesten 1973).

use super::sums::curvature_samples;
use crate::dynamics::{Law, Sampling, Training};
use crate::lanes::stream::{Purpose, Stream};
use crate::model::Model;
use crate::model::formula::FormulaModel;
use crate::scheme::Scheme;

/// Multipliers drawn from a finite population.
const DRAWN: usize = 1 << 18;
/// Largest index looked for.
const LARGEST: f64 = 200.0;

/// Multipliers of modulus |M| with their weights.
type Multipliers = Vec<(f64, f64)>;

/// κ, with its standard error, of a loss with one parameter that is quadratic for each sample, under steps without
/// momentum.
///
/// # Errors
/// A sentence, where the motion is no such recursion or has no tail of this kind.
pub(super) fn index(
    model: &FormulaModel,
    law: &Law,
    training: &Training,
    theta: f64,
    seed: u64,
) -> Result<(f64, f64), String> {
    if training.momentum != 0.0 && law.takes_momentum() {
        return Err("the tail of a motion with momentum is not known".to_owned());
    }
    if matches!(training.sampling, Sampling::WithoutReplacement { .. }) && *law == Law::Sgd {
        return Err("minibatches of an epoch remember each other: the tail is not known".to_owned());
    }
    let rate = training.rate.last();
    let decay = training.decay.force();
    let nodes = model.nodes();
    let curvatures = model.sample_hessians(&[theta]);
    let mean: f64 = curvatures.iter().zip(&nodes.weights).map(|(a, w)| a * w).sum();
    let square: f64 = curvatures.iter().zip(&nodes.weights).map(|(a, w)| w * (a - mean) * (a - mean)).sum();
    let factor = training.noise_factor(model.population().size());
    let normal = |step: f64, power: f64| normal_multipliers(1.0 - step * (mean + decay), power.sqrt());
    let multipliers = match law {
        Law::GaussianSgd => normal(rate, rate * rate * factor * square),
        Law::Langevin { order: 1, substeps, method } if method.scheme == Scheme::EulerMaruyama => {
            let step = rate / f64::from(*substeps);
            normal(step, step * rate * factor * square)
        }
        Law::Sgd => {
            let modulus = |curvature: f64| (1.0 - rate * (curvature + decay)).abs();
            match model.population().fresh.as_deref() {
                Some(variates) => {
                    let drawn = curvature_samples(model, variates, theta, seed);
                    drawn.chunks_exact(training.batch).map(|batch| (modulus(average(batch)), 1.0)).collect()
                }
                None if training.batch == 1 => {
                    curvatures.iter().zip(&nodes.weights).map(|(a, w)| (modulus(*a), *w)).collect()
                }
                None => minibatches(&curvatures, training.batch, seed).map(|a| (modulus(a), 1.0)).collect(),
            }
        }
        other => return Err(format!("the tail of {} is not known as a recursion", other.name())),
    };
    let exact = !matches!(law, Law::Sgd) || (model.population().fresh.is_none() && training.batch == 1);
    let whole = root(&multipliers)?;
    if exact {
        return Ok((whole, 0.0));
    }
    // ⟨|M|^κ⟩ of a sample is off by its standard error: κ by that over the slope.
    let count = multipliers.len() as f64;
    let powers: Vec<(f64, f64)> = multipliers.iter().map(|(m, _)| (m.powf(whole), m.ln())).collect();
    let slope = powers.iter().filter(|(p, _)| *p > 0.0).map(|(p, l)| p * l).sum::<f64>() / count;
    let variance = powers.iter().map(|(p, _)| (p - 1.0) * (p - 1.0)).sum::<f64>() / count;
    Ok((whole, (variance / count).sqrt() / slope))
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// |m + σξ| for normal ξ, by the trapezoidal rule.
fn normal_multipliers(mean: f64, deviation: f64) -> Multipliers {
    let points = 6000;
    (-points..=points)
        .map(|k| {
            let xi = 14.0 * f64::from(k) / f64::from(points);
            ((mean + deviation * xi).abs(), (-0.5 * xi * xi).exp())
        })
        .collect()
}

/// Means of random minibatches.
fn minibatches(curvatures: &[f64], batch: usize, seed: u64) -> impl Iterator<Item = f64> {
    let mut stream = Stream::new(seed, Purpose::Reference, 3);
    let count = curvatures.len();
    (0..DRAWN / batch.min(16)).map(move |_| {
        let mut sum = 0.0;
        for _ in 0..batch {
            sum += curvatures[((stream.uniform() * count as f64) as usize).min(count - 1)];
        }
        sum / batch as f64
    })
}

/// The positive root of ⟨|M|^κ⟩ = 1.
fn root(multipliers: &[(f64, f64)]) -> Result<f64, String> {
    let total: f64 = multipliers.iter().map(|m| m.1).sum();
    let logarithms: Multipliers = multipliers.iter().map(|(m, w)| (m.ln(), w / total)).collect();
    let growth = |kappa: f64| logarithms.iter().map(|(l, w)| w * (kappa * l).exp()).sum::<f64>() - 1.0;
    let nothing = 1e-3;
    if growth(nothing) >= 0.0 {
        return Err("there is no stationary state: ⟨ln|M|⟩ is not negative".to_owned());
    }
    // The growth is convex in κ and 0 at κ = 0: below the root it is negative.
    let (mut low, mut high) = (nothing, 0.5);
    while growth(high) < 0.0 {
        (low, high) = (high, 2.0 * high);
        if high > LARGEST {
            return Err("the stationary law has no power-law tail that could be seen".to_owned());
        }
    }
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if growth(middle) < 0.0 { low = middle } else { high = middle }
    }
    Ok(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_of_the_linear_regression_recursion() {
        // M = 1 − ηx², x ~ N(0, 1), by quadrature over x: 8.30259 at η = 0.2, 2.90397 at 0.5, 2.30169 at 0.6.
        for (eta, kappa) in [(0.2, 8.302_59), (0.5, 2.903_97), (0.6, 2.301_69)] {
            let points = 200_000;
            let multipliers: Multipliers = (-points..=points)
                .map(|k| {
                    let x = 14.0 * f64::from(k) / f64::from(points);
                    ((1.0 - eta * x * x).abs(), (-0.5 * x * x).exp())
                })
                .collect();
            let found = root(&multipliers).unwrap();
            assert!((found - kappa).abs() < 2e-5, "{found} {kappa}");
        }
        // |m + σξ| with κ = 2: m² + σ² = 1.
        let found = root(&normal_multipliers(0.8, 0.6)).unwrap();
        assert!((found - 2.0).abs() < 1e-9, "{found}");
        assert!(root(&[(0.5, 1.0), (0.9, 1.0)]).is_err());
        assert!(root(&[(1.5, 1.0)]).is_err());
    }
}

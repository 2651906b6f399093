//! The tail of a random linear recursion: δ' = Mδ + ξ has P(|δ| > z) ~ z^{−κ} with ⟨|M|^κ⟩ = 1 (Kesten 1973).

use super::epochs::Epoch;
use super::sums::curvature_samples;
use crate::dynamics::{Law, Sampling, Training, amplifying_weights};
use crate::lanes::stream::{Purpose, Stream};
use crate::model::Model;
use crate::model::formula::FormulaModel;
use crate::scheme::Scheme;

/// Multipliers drawn from a finite population.
const DRAWN: usize = 1 << 18;
/// Fewest permutations drawn.
const FEWEST_EPOCHS: usize = 1 << 10;
/// Largest index looked for.
const LARGEST: f64 = 200.0;

/// Multipliers of modulus |M| with their weights.
type Multipliers = Vec<(f64, f64)>;

/// Why there is no index to compare with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Untold {
    /// It is not known.
    Unknown(String),
    /// The motion has no such tail.
    Absent(String),
}

/// κ, with its standard error, of a loss with one parameter that is quadratic for each sample, under steps without
/// momentum. M is the factor of one step: 1 − η(ā + λ) with ā the mean curvature of a minibatch; for a step of SVAG of level l, with r = √(2l − 1)
/// and two independent minibatches, 1 − (η/l)(½(1 + r)ā₁ + ½(1 − r)ā₂ + λ); by epochs the product over the minibatches of an epoch, over permutations.
///
/// # Errors
/// [`Untold`].
pub(super) fn index(
    model: &FormulaModel,
    law: &Law,
    training: &Training,
    theta: f64,
    seed: u64,
) -> Result<(f64, f64), Untold> {
    if training.momentum != 0.0 && law.takes_momentum() {
        return Err(Untold::Unknown("the tail of a motion with momentum is not known".to_owned()));
    }
    let rate = training.rate.last();
    let decay = training.decay.force();
    let nodes = model.nodes();
    let curvatures = model.sample_hessians(&[theta]);
    let mean: f64 = curvatures.iter().zip(&nodes.weights).map(|(a, w)| a * w).sum();
    let square: f64 = curvatures.iter().zip(&nodes.weights).map(|(a, w)| w * (a - mean) * (a - mean)).sum();
    let factor = training.noise_factor(model.population().size());
    let normal = |step: f64, power: f64| normal_multipliers(1.0 - step * (mean + decay), power.sqrt());
    let (multipliers, exact) = match *law {
        Law::GaussianSgd => (normal(rate, rate * rate * factor * square), true),
        Law::Langevin { order: 1, substeps, method } if method.scheme == Scheme::EulerMaruyama => {
            let step = rate / f64::from(substeps);
            (normal(step, step * rate * factor * square), true)
        }
        Law::Sgd | Law::Svag { .. } => {
            let level = if let Law::Svag { level } = *law { level } else { 1 };
            if training.uneven(model.population()) {
                let reason = "rows in epochs with fresh draws beside them: the tail is not known";
                return Err(Untold::Unknown(reason.to_owned()));
            }
            let batches = match model.population().fresh.as_deref() {
                Some(variates) => Minibatches::Drawn(
                    curvature_samples(model, variates, theta, seed)
                        .chunks_exact(training.batch)
                        .map(average)
                        .collect(),
                ),
                None => match training.sampling {
                    Sampling::WithReplacement if training.batch == 1 => Minibatches::All(curvatures),
                    Sampling::WithReplacement => {
                        Minibatches::Drawn(minibatches(&curvatures, training.batch, seed).collect())
                    }
                    Sampling::WithoutReplacement { drop_last } if *law == Law::Sgd => {
                        let epoch = Epoch::new(curvatures.len(), training.batch, drop_last);
                        let step = |a: f64| 1.0 - rate * (a + decay);
                        return of_sample(&epochs(&curvatures, &epoch, &step, seed), false);
                    }
                    Sampling::WithoutReplacement { .. } => {
                        let reason =
                            "minibatches of an epoch remember each other: the tail of svag is not known";
                        return Err(Untold::Unknown(reason.to_owned()));
                    }
                },
            };
            let step = rate / f64::from(level);
            batches.amplified(level, &|a: f64| (1.0 - step * (a + decay)).abs())
        }
        _ => {
            return Err(Untold::Unknown(format!("the tail of {} is not known as a recursion", law.name())));
        }
    };
    of_sample(&multipliers, exact)
}

/// The root, and its standard error where the multipliers are a sample.
fn of_sample(multipliers: &[(f64, f64)], exact: bool) -> Result<(f64, f64), Untold> {
    let whole = root(multipliers).map_err(Untold::Absent)?;
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

/// Mean curvatures of minibatches.
enum Minibatches {
    /// Every one there is, of equal weight.
    All(Vec<f64>),
    /// Drawn.
    Drawn(Vec<f64>),
}

impl Minibatches {
    /// The multipliers of ½(1 + r)ā₁ + ½(1 − r)ā₂ with r = √(2l − 1), and whether they are all.
    fn amplified(self, level: u32, modulus: &dyn Fn(f64) -> f64) -> (Multipliers, bool) {
        let (a, b) = amplifying_weights(level);
        let weighted = |first: f64, second: f64| (modulus(a * first + b * second), 1.0);
        let pairs = |list: &[f64]| list.chunks_exact(2).map(|p| weighted(p[0], p[1])).collect();
        match self {
            Self::All(list) if level <= 1 => (list.iter().map(|&a| (modulus(a), 1.0)).collect(), true),
            Self::Drawn(list) if level <= 1 => (list.iter().map(|&a| (modulus(a), 1.0)).collect(), false),
            Self::All(list) if list.len() * list.len() <= DRAWN => {
                (list.iter().flat_map(|&a| list.iter().map(move |&b| weighted(a, b))).collect(), true)
            }
            Self::All(list) => (pairs(&minibatches(&list, 1, 0).collect::<Vec<_>>()), false),
            Self::Drawn(list) => (pairs(&list), false),
        }
    }
}

/// |∏(1 − η(ā + λ))| over the minibatches of an epoch, for permutations drawn.
fn epochs(curvatures: &[f64], epoch: &Epoch, step: &dyn Fn(f64) -> f64, seed: u64) -> Multipliers {
    let mut stream = Stream::new(seed, Purpose::Reference, 3);
    let mut order = curvatures.to_vec();
    (0..(DRAWN / order.len().max(1)).max(FEWEST_EPOCHS))
        .map(|_| {
            for last in (1..order.len()).rev() {
                let other = ((stream.uniform() * (last + 1) as f64) as usize).min(last);
                order.swap(last, other);
            }
            let mut rest = order.as_slice();
            let mut product: f64 = 1.0;
            for &size in &epoch.batches {
                let (batch, after) = rest.split_at(size);
                product *= step(average(batch));
                rest = after;
            }
            (product.abs(), 1.0)
        })
        .collect()
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

    #[test]
    fn a_step_of_svag_amplifies_two_minibatches() {
        // Level 2, curvatures 0.5 and 2.5: the four pairs by hand. Level 1 is SGD.
        let rate = 0.9;
        let modulus = |step: f64| move |a: f64| (1.0 - step * a).abs();
        let list = vec![0.5, 2.5];
        let (multipliers, exact) = Minibatches::All(list.clone()).amplified(2, &modulus(rate / 2.0));
        let (p, q) = (0.5 * (1.0 + 3.0_f64.sqrt()), 0.5 * (1.0 - 3.0_f64.sqrt()));
        let by_hand: Vec<f64> = [(0.5, 0.5), (0.5, 2.5), (2.5, 0.5), (2.5, 2.5)]
            .map(|(a, b)| (1.0 - 0.45 * (p * a + q * b)).abs())
            .to_vec();
        assert!(exact && multipliers.len() == 4);
        assert!(multipliers.iter().zip(&by_hand).all(|((m, _), h)| (m - h).abs() < 1e-15));
        let (sgd, exact) = Minibatches::All(list.clone()).amplified(1, &modulus(rate));
        assert!(exact && sgd.iter().map(|m| m.0).eq(list.iter().map(|a| (1.0 - rate * a).abs())));
        // A control: SGD's own index is another.
        let here = root(&multipliers).unwrap_or(f64::INFINITY);
        assert!((here - root(&sgd).unwrap()).abs() > 0.1, "{here}");
    }

    #[test]
    fn an_epoch_multiplies_its_minibatches() {
        // Four samples in two batches: three ways to pair them, each as likely.
        let curvatures: [f64; 4] = [0.1, 0.2, 3.0, 4.0];
        let step = |a: f64| 1.0 - 0.7 * a;
        let pairings = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))];
        let mean = |(i, j): (usize, usize)| step(0.5 * (curvatures[i] + curvatures[j]));
        let all: Multipliers = pairings.iter().map(|&(a, b)| ((mean(a) * mean(b)).abs(), 1.0)).collect();
        let exact = root(&all).unwrap();
        let drawn = epochs(&curvatures, &Epoch::new(4, 2, false), &step, 3);
        let (found, error) = of_sample(&drawn, false).unwrap();
        assert!(error > 0.0 && (found - exact).abs() < 5.0 * error, "{found} ± {error} for {exact}");
        // Independent minibatches have another.
        let independent: Multipliers = minibatches(&curvatures, 2, 3).map(|a| (step(a).abs(), 1.0)).collect();
        assert!((root(&independent).unwrap() - exact).abs() > 20.0 * error);
        // One sample a batch: the product is the same for every permutation, and nothing is left to chance.
        let (_, scatter) = drawn_range(&epochs(&curvatures, &Epoch::new(4, 1, false), &step, 3));
        assert!(scatter < 1e-12, "{scatter}");
    }

    fn drawn_range(multipliers: &[(f64, f64)]) -> (f64, f64) {
        let (low, high) = multipliers.iter().fold((f64::MAX, f64::MIN), |(l, h), m| (l.min(m.0), h.max(m.0)));
        (low, high - low)
    }
}

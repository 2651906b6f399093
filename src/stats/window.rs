//! Stationary averages: from time averages a replica (or a batch of one path) to a mean and a variance with
//! their standard errors, and the question whether they are stationary at all.

use std::borrow::Cow;

use super::autocorrelation::statistical_inefficiency;
use super::estimate::Estimate;
use super::multiple::holm;

/// Batches that one path is cut into.
const BATCHES: usize = 40;
/// Correlation inefficiencies g = 2τ/Δ a batch must hold: 50 correlation times τ.
const INEFFICIENCIES_A_BATCH: f64 = 25.0;
/// Above this, replicas have kept to places of their own.
const R_HAT_LIMIT: f64 = 2.0;

/// Time averages over the window after burn-in, a replica each; every slice has one entry a replica. Variances
/// are population variances about the replica's own mean of that stretch.
#[derive(Clone, Debug, Default)]
pub struct TimeAverages<'a> {
    /// Instants in the window.
    pub instants: usize,
    /// Mean over the window.
    pub mean: Cow<'a, [f64]>,
    /// Variance over the window.
    pub variance: Cow<'a, [f64]>,
    /// Mean over its first half.
    pub first_mean: Cow<'a, [f64]>,
    /// Variance over its first half.
    pub first_variance: Cow<'a, [f64]>,
    /// Mean over its second half.
    pub second_mean: Cow<'a, [f64]>,
    /// Variance over its second half.
    pub second_variance: Cow<'a, [f64]>,
}

/// A scalar's stationary window, cut into independent units: replicas, or batches of one long path.
#[derive(Clone, Debug)]
pub struct Window {
    mean: Vec<f64>,
    variance: Vec<f64>,
    instants: usize,
    drift: Estimate,
    spread: Estimate,
    r_hat: f64,
}

/// Whether a window is stationary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stationarity {
    /// Nothing speaks against it.
    pub reached: bool,
    /// Smallest p-value of the two tests, corrected for there being two.
    pub p_value: f64,
    /// Mean of the second half minus mean of the first.
    pub drift: Estimate,
    /// Mean square about the common mean, second half minus first.
    pub spread: Estimate,
    /// R̂ of the halves (Gelman & Rubin 1992); NaN where the halves are too short for it.
    pub r_hat: f64,
    /// Replicas stay apart from each other (R̂ > 2 with motion within each).
    pub apart: bool,
}

impl Window {
    /// From the averages of several independent replicas.
    ///
    /// # Errors
    /// A sentence, where the window has fewer than two instants.
    pub fn of_replicas(averages: &TimeAverages) -> Result<Self, String> {
        if averages.instants < 2 {
            return Err(format!(
                "the window after burn-in has {} recorded instant{}: record more",
                averages.instants,
                if averages.instants == 1 { "" } else { "s" }
            ));
        }
        let pooled = mean(&averages.mean);
        let square = |means: &[f64], variances: &[f64]| -> Vec<f64> {
            means.iter().zip(variances).map(|(m, v)| v + (m - pooled) * (m - pooled)).collect()
        };
        let first = square(&averages.first_mean, &averages.first_variance);
        let second = square(&averages.second_mean, &averages.second_variance);
        let difference = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| b - a).collect() };
        Ok(Self {
            drift: Estimate::of_sample(&difference(&averages.first_mean, &averages.second_mean)),
            spread: Estimate::of_sample(&difference(&first, &second)),
            r_hat: r_hat(averages),
            mean: averages.mean.to_vec(),
            variance: averages.variance.to_vec(),
            instants: averages.instants,
        })
    }

    /// From one path after burn-in, by batch means: 40 batches of at least 50 correlation times.
    ///
    /// # Errors
    /// A sentence that says how much longer the path must be.
    pub fn of_path(path: &[f64]) -> Result<Self, String> {
        let needed = BATCHES as f64
            * INEFFICIENCIES_A_BATCH
            * statistical_inefficiency(path).max(1.0 / INEFFICIENCIES_A_BATCH);
        if path.len() < 2 * BATCHES || needed > path.len() as f64 {
            let factor = (needed.max(2.0 * BATCHES as f64) / path.len().max(1) as f64).ceil();
            return Err(format!(
                "one path of {} instants is too short for batch means (40 batches of 50 correlation times): \
                 run about {factor:.0} times as long, or more replicas",
                path.len()
            ));
        }
        let length = path.len() / BATCHES;
        let skipped = path.len() - BATCHES * length;
        let (mut means, mut variances) = (Vec::new(), Vec::new());
        for batch in path[skipped..].chunks_exact(length) {
            let m = mean(batch);
            means.push(m);
            variances.push(batch.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / length as f64);
        }
        let pooled = mean(&means);
        let squares: Vec<f64> =
            means.iter().zip(&variances).map(|(m, v)| v + (m - pooled) * (m - pooled)).collect();
        Ok(Self {
            drift: between_halves(&means),
            spread: between_halves(&squares),
            r_hat: f64::NAN,
            mean: means,
            variance: variances,
            instants: path.len(),
        })
    }

    /// Independent units: replicas or batches.
    pub fn units(&self) -> usize {
        self.mean.len()
    }

    /// Mean of every unit.
    pub fn means(&self) -> &[f64] {
        &self.mean
    }

    /// Instants in the window.
    pub fn instants(&self) -> usize {
        self.instants
    }

    /// The mean over time and units.
    pub fn mean(&self) -> Estimate {
        Estimate::of_sample(&self.mean)
    }

    /// Mean square about `center` of every unit: `v_r + (m_r − c)²`.
    pub fn squares_about(&self, center: f64) -> Vec<f64> {
        self.mean.iter().zip(&self.variance).map(|(m, v)| v + (m - center) * (m - center)).collect()
    }

    /// Mean square about `center`, averaged over units.
    pub fn about(&self, center: f64) -> Estimate {
        Estimate::of_sample(&self.squares_about(center))
    }

    /// Mean square.
    pub fn second_moment(&self) -> Estimate {
        self.about(0.0)
    }

    /// Variance about the pooled mean M: the mean over units of `v_r + (m_r − M)²`, with Var(M) added, which the
    /// use of the measured M takes away.
    pub fn variance(&self) -> Estimate {
        let mean = self.mean();
        let about = self.about(mean.value);
        let correction =
            if mean.standard_error.is_finite() { mean.standard_error * mean.standard_error } else { 0.0 };
        Estimate { value: about.value + correction, ..about }
    }

    /// Its root, by the delta method.
    pub fn standard_deviation(&self) -> Estimate {
        self.variance().sqrt()
    }

    /// Effective number of independent samples behind the mean, σ²/se²; infinite without scatter.
    pub fn effective_samples(&self) -> f64 {
        let error = self.mean().standard_error;
        if error == 0.0 { f64::INFINITY } else { self.variance().value / (error * error) }
    }

    /// Tests the first half of the window against the second, unit by unit, in mean and in mean square about the
    /// common mean (which sees the ensemble spread out as well as each path's variance change), at level
    /// `significance`; and whether replicas keep apart. `rounding` is the largest rounding error of a value.
    pub fn stationarity(&self, significance: f64, rounding: f64) -> Stationarity {
        let p = |estimate: &Estimate, rounding: f64| {
            if estimate.standard_error.is_nan() || estimate.standard_error <= rounding {
                return f64::from(u8::from(estimate.value.abs() <= rounding));
            }
            estimate.p_value(0.0, 0.0)
        };
        // Of squares of deviations d, 2d times as much.
        let deviation = self.variance().value.max(0.0).sqrt();
        let of_squares = (2.0 * deviation + rounding) * rounding;
        let adjusted = holm(&[p(&self.drift, rounding), p(&self.spread, of_squares)]);
        let p_value = adjusted[0].min(adjusted[1]);
        let within = mean(&self.variance);
        let apart = self.r_hat > R_HAT_LIMIT && within > rounding * rounding;
        Stationarity {
            reached: p_value > significance && !apart,
            p_value,
            drift: self.drift,
            spread: self.spread,
            r_hat: self.r_hat,
            apart,
        }
    }
}

/// How many times as long a run must be for its window to forget the start, from the ensemble mean at the start
/// and in the two halves of the window, at the share `burn_in` of the run: the exponential through the three
/// points, followed until the halves differ by no more than `error`. `None` where the three do not relax.
pub fn longer(start: f64, first: f64, second: f64, burn_in: f64, error: f64) -> Option<f64> {
    let centre = |quarter: f64| burn_in + quarter * (1.0 - burn_in);
    let (t1, t2) = (centre(0.25), centre(0.75));
    let drop = (second - first) / (first - start);
    // (e^{−κt₁} − e^{−κt₂})/(1 − e^{−κt₁}) falls from (t₂ − t₁)/t₁ to 0 as κ grows.
    let ratio = |kappa: f64| (-kappa * t1).exp() * -(-kappa * (t2 - t1)).exp_m1() / -(-kappa * t1).exp_m1();
    if !(drop > 0.0 && drop < 0.95 * (t2 - t1) / t1) {
        return None;
    }
    let (mut low, mut high) = (1e-9, 1e3);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if ratio(middle) > drop { low = middle } else { high = middle }
    }
    // The difference of the halves of a run s times as long: A(e^{−κt₁s} − e^{−κt₂s}).
    let amplitude = (second - first).abs() / ((-low * t1).exp() - (-low * t2).exp());
    let mut factor = 1.0;
    while amplitude * ((-low * t1 * factor).exp() - (-low * t2 * factor).exp()) > error && factor < 1e6 {
        factor *= 1.1;
    }
    Some(factor)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Difference of the means of the second and the first half of independent values (Welch).
fn between_halves(values: &[f64]) -> Estimate {
    let (first, second) = values.split_at(values.len() / 2);
    let (a, b) = (Estimate::of_sample(first), Estimate::of_sample(second));
    Estimate {
        value: b.value - a.value,
        standard_error: a.standard_error.hypot(b.standard_error),
        skewness: 0.0,
        units: first.len() as f64,
        dominance: 0.0,
    }
}

/// Split R̂: the halves of every replica as chains of their own.
fn r_hat(averages: &TimeAverages) -> f64 {
    let length = (averages.instants / 2) as f64;
    if averages.mean.len() < 2 || length < 4.0 {
        return f64::NAN;
    }
    let means: Vec<f64> = averages.first_mean.iter().chain(averages.second_mean.iter()).copied().collect();
    let within =
        0.5 * (mean(&averages.first_variance) + mean(&averages.second_variance)) * length / (length - 1.0);
    let centre = mean(&means);
    let between = means.iter().map(|m| (m - centre) * (m - centre)).sum::<f64>() / (means.len() as f64 - 1.0);
    ((length - 1.0) / length + between / within).sqrt()
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    use super::*;

    /// Replicas of x' = ρx + √(1 − ρ²)ξ (stationary variance 1) from x = `start`, `instants` after `burn_in`.
    fn replicas(
        rho: f64,
        start: Option<f64>,
        burn_in: usize,
        instants: usize,
        count: usize,
        seed: u64,
    ) -> TimeAverages<'static> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut averages = TimeAverages { instants, ..TimeAverages::default() };
        for _ in 0..count {
            let mut x = start.unwrap_or_else(&mut normal);
            let mut path = Vec::with_capacity(instants);
            for step in 0..burn_in + instants {
                x = rho * x + (1.0 - rho * rho).sqrt() * normal();
                if step >= burn_in {
                    path.push(x);
                }
            }
            let moments = |part: &[f64]| {
                let m = mean(part);
                (m, part.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / part.len() as f64)
            };
            let half = instants / 2;
            for (stretch, means, variances) in [
                (&path[..], &mut averages.mean, &mut averages.variance),
                (&path[..half], &mut averages.first_mean, &mut averages.first_variance),
                (&path[instants - half..], &mut averages.second_mean, &mut averages.second_variance),
            ] {
                let (m, v) = moments(stretch);
                means.to_mut().push(m);
                variances.to_mut().push(v);
            }
        }
        averages
    }

    #[test]
    fn pooled_variance_is_unbiased_for_few_short_replicas() {
        // Three replicas of five instants: without the correction the bias is about 30 %.
        let (mut sum, trials) = (0.0, 4000);
        for seed in 0..trials {
            sum += Window::of_replicas(&replicas(0.8, None, 0, 5, 3, seed)).unwrap().variance().value;
        }
        // The scatter of one pooled variance is about 0.6: 1 % on the mean.
        let average = sum / trials as f64;
        assert!((average - 1.0).abs() < 0.06, "{average}");
    }

    #[test]
    fn standard_errors_cover_the_truth() {
        // 1500 ensembles of 40 replicas, correlation time 10, window of 100: p ≤ 0.01 in one of a hundred.
        let (mut of_mean, mut of_variance, mut moved) = (0, 0, 0);
        let trials = 1500;
        for seed in 0..trials {
            let window = Window::of_replicas(&replicas(0.9, None, 0, 100, 40, 1000 + seed)).unwrap();
            of_mean += u32::from(window.mean().p_value(0.0, 0.0) <= 0.01);
            of_variance += u32::from(window.about(0.0).p_value(1.0, 0.0) <= 0.01);
            moved += u32::from(!window.stationarity(0.01, 4e-13).reached);
        }
        // Expected 15 each, sd 4.
        for (name, alarms) in [("mean", of_mean), ("variance", of_variance), ("stationarity", moved)] {
            assert!((1..42).contains(&alarms), "{name}: {alarms} of {trials}");
        }
    }

    #[test]
    fn relaxation_is_seen_and_its_end_foretold() {
        // Correlation time 100, start 5 standard deviations off, no burn-in to speak of.
        let moving = Window::of_replicas(&replicas(0.99, Some(5.0), 100, 100, 200, 1)).unwrap();
        assert!(!moving.stationarity(1e-3, 5e-13).reached);
        // From the mean the average does not move, but the ensemble spreads out: seen in the mean square.
        let spreading = Window::of_replicas(&replicas(0.99, Some(0.0), 20, 60, 400, 2)).unwrap();
        let verdict = spreading.stationarity(1e-3, 5e-13);
        assert!(!verdict.reached && verdict.drift.p_value(0.0, 0.0) > 1e-3, "{verdict:?}");
        // Control: the same process, started in its stationary law, over five correlation times.
        let still = Window::of_replicas(&replicas(0.99, None, 100, 500, 200, 3)).unwrap();
        assert!(still.stationarity(1e-3, 5e-13).reached);
        // x = e^{−5t}, the run being 0..1: exact values give the exact answer.
        let x = |t: f64| (-5.0 * t).exp();
        let factor = longer(1.0, x(0.625), x(0.875), 0.5, 1e-6).unwrap();
        let left = x(0.625 * factor) - x(0.875 * factor);
        assert!(left <= 1e-6 && left > 1e-7, "{factor}: {left}");
        assert_eq!(longer(0.0, 1.0, 2.0, 0.5, 0.1), None);
        assert_eq!(longer(0.0, 1.0, 0.5, 0.5, 0.1), None);
    }

    #[test]
    fn replicas_in_wells_of_their_own_are_told_apart() {
        let mut averages = replicas(0.5, None, 0, 100, 50, 9);
        for (r, i) in (0..50).map(|r| (r % 2, r)) {
            for means in [&mut averages.mean, &mut averages.first_mean, &mut averages.second_mean] {
                means.to_mut()[i] += 10.0 * r as f64;
            }
        }
        let verdict = Window::of_replicas(&averages).unwrap().stationarity(1e-3, 10e-13);
        assert!(verdict.apart && !verdict.reached && verdict.r_hat > 4.0);
    }

    #[test]
    fn one_path_is_judged_by_batch_means() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
        let mut path = |count: usize| -> Vec<f64> {
            let mut x = 0.0;
            (0..count)
                .map(|_| {
                    let noise: f64 = StandardNormal.sample(&mut rng);
                    x = 0.8 * x + 0.6 * noise;
                    x
                })
                .collect()
        };
        // g = 9, so 40 batches of 25 g are 9000 instants.
        let window = Window::of_path(&path(20_000)).unwrap();
        let mean = window.mean();
        // se² = g/n = 9/20000; its estimate from 40 batches scatters by 11 %.
        assert!((mean.standard_error / 0.0212 - 1.0).abs() < 0.5, "{mean:?}");
        assert!(mean.p_value(0.0, 0.0) > 1e-4 && window.variance().p_value(1.0, 0.0) > 1e-4);
        assert!(window.stationarity(1e-3, 4e-13).reached);
        let refusal = Window::of_path(&path(1000)).unwrap_err();
        assert!(refusal.contains("times as long"), "{refusal}");
    }

    #[test]
    fn windows_without_scatter_are_judged_at_rounding_level() {
        let constant = |second: f64| TimeAverages {
            instants: 10,
            mean: vec![1.0; 5].into(),
            variance: vec![0.0; 5].into(),
            first_mean: vec![1.0; 5].into(),
            first_variance: vec![0.0; 5].into(),
            second_mean: vec![second; 5].into(),
            second_variance: vec![0.0; 5].into(),
        };
        assert!(Window::of_replicas(&constant(1.0)).unwrap().stationarity(1e-3, 1e-13).reached);
        let moved = Window::of_replicas(&constant(1.0 + 1e-6)).unwrap().stationarity(1e-3, 1e-13);
        assert!(!moved.reached && moved.p_value == 0.0);
        assert!(Window::of_replicas(&TimeAverages::default()).is_err());
    }
}

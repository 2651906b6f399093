//! Distances between two samples under resampling (Efron 1979): pairs (one of each sample) drawn with replacement.

use super::kolmogorov;
use crate::lanes::stream::{Purpose, Stream};

/// Resamples.
const ROUNDS: usize = 200;

/// A distance with its bootstrap: standard error, and an interval of 95 % about it.
///
/// Resampling adds to a distance as sampling does (a distance between samples of one law is not 0), so the resamples lie above it, and
/// their own quantiles q may exclude it. The lower end is that of the basic interval, 2d − q(97.5 %), cut at 0: it takes that bias
/// off. The upper end, d + m − q(2.5 %) with the mean m of the resamples, does not, so that d is always within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampled {
    /// Of the samples themselves.
    pub value: f64,
    /// Standard deviation over resamples.
    pub standard_error: f64,
    /// As above.
    pub interval: (f64, f64),
}

/// Kolmogorov and Smirnov's distance, and Wasserstein's of order 1, between paired samples of one length; `seed` draws.
pub fn distances(a: &[f64], b: &[f64], seed: u64) -> [Resampled; 2] {
    let order = |values: &[f64]| -> Vec<usize> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
        order
    };
    let sorted = |values: &[f64], order: &[usize]| order.iter().map(|&i| values[i]).collect::<Vec<f64>>();
    let orders = [order(a), order(b)];
    let (first, second) = (sorted(a, &orders[0]), sorted(b, &orders[1]));
    let values = [kolmogorov::distance_between(&first, &second), kolmogorov::wasserstein(&first, &second)];
    let mut stream = Stream::new(seed, Purpose::Reference, 4);
    let count = a.len().min(b.len());
    let mut times = vec![0_u32; count];
    let mut found = [Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS)];
    let (mut resampled_a, mut resampled_b) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..ROUNDS {
        times.fill(0);
        for _ in 0..count {
            times[((stream.uniform() * count as f64) as usize).min(count - 1)] += 1;
        }
        // Each drawn as often as it came up, in order: nothing is to be sorted again.
        let fill = |out: &mut Vec<f64>, order: &[usize], values: &[f64]| {
            out.clear();
            for &i in order {
                out.extend((0..times[i]).map(|_| values[i]));
            }
        };
        fill(&mut resampled_a, &orders[0], a);
        fill(&mut resampled_b, &orders[1], b);
        found[0].push(kolmogorov::distance_between(&resampled_a, &resampled_b));
        found[1].push(kolmogorov::wasserstein(&resampled_a, &resampled_b));
    }
    [0, 1].map(|which| {
        let list = &mut found[which];
        list.sort_by(f64::total_cmp);
        let mean = list.iter().sum::<f64>() / ROUNDS as f64;
        let square = list.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (ROUNDS as f64 - 1.0);
        let quantile = |share: f64| list[(share * (ROUNDS as f64 - 1.0)).round() as usize];
        let value = values[which];
        let low = (2.0 * value - quantile(0.975)).clamp(0.0, value);
        let high = value + (mean - quantile(0.025)).max(0.0);
        Resampled { value, standard_error: square.sqrt(), interval: (low, high) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_of_independent_samples_has_the_error_of_a_difference_of_means() {
        let mut stream = Stream::new(3, Purpose::Reference, 9);
        let a: Vec<f64> = (0..4000).map(|_| stream.normal()).collect();
        let b: Vec<f64> = (0..4000).map(|_| 1.0 + stream.normal()).collect();
        let [ks, wasserstein] = distances(&a, &b, 1);
        // sup|Φ(x) − Φ(x − 1)| = 2Φ(½) − 1.
        assert!((ks.value - 0.382_9).abs() < 5.0 * ks.standard_error, "{ks:?}");
        assert!((wasserstein.value - 1.0).abs() < 5.0 * wasserstein.standard_error);
        let expected = (2.0_f64 / 4000.0).sqrt();
        assert!((wasserstein.standard_error / expected - 1.0).abs() < 0.25, "{wasserstein:?}");
        assert!(wasserstein.interval.0 < wasserstein.value && wasserstein.value < wasserstein.interval.1);
        // Seeded.
        assert_eq!(distances(&a, &b, 1), [ks, wasserstein]);
        // Pairs: the shift of a sample against itself has no scatter.
        let shifted: Vec<f64> = a.iter().map(|x| x + 1.0).collect();
        assert!(distances(&a, &shifted, 1)[1].standard_error < 1e-12);
    }

    #[test]
    fn the_interval_is_about_the_estimate_and_knows_of_distances_of_nothing() {
        // Two samples of one law: the resamples all lie above the distance of the samples, the truth is 0.
        let mut stream = Stream::new(5, Purpose::Reference, 9);
        for seed in 1..=8 {
            let [a, b] = [0, 1].map(|_| (0..1500).map(|_| stream.normal()).collect::<Vec<f64>>());
            for found in distances(&a, &b, seed) {
                let (low, high) = found.interval;
                assert!(low < 0.4 * found.value && found.value < high, "{found:?}");
                assert!(high < 4.0 * found.value, "{found:?}");
            }
        }
        // A real distance is not 0.
        let [a, b] = [0.0, 1.0].map(|m| (0..1500).map(|_| m + stream.normal()).collect::<Vec<f64>>());
        for found in distances(&a, &b, 1) {
            assert!(found.interval.0 > 0.5 * found.value, "{found:?}");
        }
    }
}

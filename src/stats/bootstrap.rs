//! Distances between two samples under resampling (Efron 1979): pairs (one of each sample) drawn with replacement.

use super::kolmogorov;
use crate::lanes::stream::{Purpose, Stream};

/// Resamples.
const ROUNDS: usize = 200;

/// A distance with its bootstrap: standard error, and the interval that holds 95 % of the resamples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampled {
    /// Of the samples themselves.
    pub value: f64,
    /// Standard deviation over resamples.
    pub standard_error: f64,
    /// 2.5 and 97.5 % quantiles.
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
        Resampled {
            value: values[which],
            standard_error: square.sqrt(),
            interval: (quantile(0.025), quantile(0.975)),
        }
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
}

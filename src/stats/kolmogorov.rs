//! Distances between distributions: Kolmogorov and Smirnov's, Wasserstein's; tails after Hill.

/// sup |F_n − F| for a sample sorted upwards and the values F of a continuous law at it.
pub fn distance(cumulative: &[f64]) -> f64 {
    let count = cumulative.len() as f64;
    cumulative
        .iter()
        .enumerate()
        .map(|(i, f)| (f - i as f64 / count).max((i + 1) as f64 / count - f))
        .fold(0.0, f64::max)
}

/// sup |F_n − G_m| for two samples sorted upwards.
pub fn distance_between(a: &[f64], b: &[f64]) -> f64 {
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let x = a[i].min(b[j]);
        while i < a.len() && a[i] <= x {
            i += 1;
        }
        while j < b.len() && b[j] <= x {
            j += 1;
        }
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    largest
}

/// ∫|F_n − G_m| dx for two samples sorted upwards: Wasserstein's distance of order 1.
pub fn wasserstein(a: &[f64], b: &[f64]) -> f64 {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    let mut before = f64::NAN;
    while i < a.len() || j < b.len() {
        let x = match (a.get(i), b.get(j)) {
            (Some(&x), Some(&y)) => x.min(y),
            (Some(&x), None) | (None, Some(&x)) => x,
            (None, None) => break,
        };
        if before < x {
            sum += (x - before) * (i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs();
        }
        before = x;
        while a.get(i).is_some_and(|y| *y <= x) {
            i += 1;
        }
        while b.get(j).is_some_and(|y| *y <= x) {
            j += 1;
        }
    }
    sum
}

/// Probability of a distance at least this large from `count` independent numbers of the law itself:
/// Kolmogorov's limit at λ = (√n + 0.12 + 0.11/√n)D (Stephens 1970). For two samples, n = nm/(n + m).
pub fn p_value(distance: f64, count: f64) -> f64 {
    let root = count.sqrt();
    upper((root + 0.12 + 0.11 / root) * distance)
}

/// Distance that is reached with probability `p`.
pub fn quantile(p: f64, count: f64) -> f64 {
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if upper(middle) > p { low = middle } else { high = middle }
    }
    let root = count.sqrt();
    high / (root + 0.12 + 0.11 / root)
}

/// P(K > λ) of Kolmogorov's law: 2Σ(−1)^{k−1} e^{−2k²λ²}.
fn upper(lambda: f64) -> f64 {
    if lambda < 0.2 {
        return 1.0;
    }
    let mut sum = 0.0;
    for k in 1..200 {
        let term = (-2.0 * f64::from(k * k) * lambda * lambda).exp();
        sum += if k % 2 == 1 { term } else { -term };
        if term < 1e-18 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// Index κ of a tail P(|X| > x) ~ x^{−κ} by the `largest` of the moduli (Hill 1975), with its standard error κ/√k.
/// `moduli` are sorted upwards.
pub fn hill(moduli: &[f64], largest: usize) -> (f64, f64) {
    let Some(at) = moduli.len().checked_sub(largest + 1) else { return (f64::NAN, f64::NAN) };
    let threshold = moduli[at];
    let sum: f64 = moduli[at + 1..].iter().map(|x| (x / threshold).ln()).sum();
    let index = largest as f64 / sum;
    (index, index / (largest as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardUniform};
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    use super::*;

    fn uniform(seed: u64, count: usize) -> Vec<f64> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut sample: Vec<f64> = (0..count).map(|_| StandardUniform.sample(&mut rng)).collect();
        sample.sort_by(f64::total_cmp);
        sample
    }

    #[test]
    fn distances_of_small_samples() {
        assert!((distance(&[0.2, 0.4, 0.9]) - (2.0 / 3.0 - 0.4)).abs() < 1e-15);
        assert!((distance_between(&[1.0, 2.0, 3.0], &[2.5, 4.0]) - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(distance_between(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        // A shift costs itself.
        assert!((wasserstein(&[0.0, 1.0, 5.0], &[2.0, 3.0, 7.0]) - 2.0).abs() < 1e-15);
        assert!((wasserstein(&[0.0], &[1.0, 3.0]) - 2.0).abs() < 1e-15);
    }

    #[test]
    fn kolmogorov_matches_tables() {
        for (lambda, p) in [(1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)] {
            assert!((upper(lambda) / p - 1.0).abs() < 2e-3, "{lambda}");
        }
        assert!((p_value(quantile(1e-3, 400.0), 400.0) / 1e-3 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn true_laws_are_rejected_as_often_as_stated() {
        // α = 0.01, 4000 samples: binomial sd 0.0016.
        let (mut one, mut two) = (0, 0);
        for seed in 0..4000 {
            let (a, b) = (uniform(seed, 100), uniform(seed + 1_000_000, 150));
            one += usize::from(p_value(distance(&a), 100.0) < 0.01);
            two += usize::from(p_value(distance_between(&a, &b), 60.0) < 0.01);
        }
        // Ties of the two-sample distance make its test somewhat conservative.
        assert!((20..65).contains(&one) && (10..65).contains(&two), "{one} {two}");
    }

    #[test]
    fn the_tail_of_a_power_law_is_its_index() {
        let moduli: Vec<f64> = uniform(3, 100_000).iter().rev().map(|u| u.powf(-1.0 / 2.5)).collect();
        let (index, error) = hill(&moduli, 2000);
        assert!((index - 2.5).abs() < 5.0 * error && error < 0.06, "{index} {error}");
        assert!(hill(&[1.0], 5).0.is_nan());
    }
}

//! Moments up to the fourth, one value at a time and merged, without cancellation.

/// Count, mean and central sums of powers 2 to 4, with the extremes (Pébay 2008, SAND2008-6212).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Number of values.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Σ(x − mean)².
    pub m2: f64,
    /// Σ(x − mean)³.
    pub m3: f64,
    /// Σ(x − mean)⁴.
    pub m4: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0, mean: 0.0, m2: 0.0, m3: 0.0, m4: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Moments {
    /// The moments of these values, pushed in order.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut moments = Self::default();
        for value in values {
            moments.push(value);
        }
        moments
    }

    /// Adds one value (Pébay 2008, equations 2.1 and 2.6 with a second set of one element).
    pub fn push(&mut self, value: f64) {
        let before = self.count as f64;
        self.count += 1;
        let n = self.count as f64;
        let delta = value - self.mean;
        let step = delta / n;
        let step2 = step * step;
        let term = delta * step * before;
        self.mean += step;
        self.m4 += term * step2 * (n * n - 3.0 * n + 3.0) + 6.0 * step2 * self.m2 - 4.0 * step * self.m3;
        self.m3 += term * step * (n - 2.0) - 3.0 * step * self.m2;
        self.m2 += term;
        self.min = smaller(self.min, value);
        self.max = larger(self.max, value);
    }

    /// Adds the values of another set (Pébay 2008, equation 2.6 for p = 2, 3, 4). The bits depend on
    /// the order of merging, so whoever folds blocks folds them in replica order.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let n = a + b;
        let delta = other.mean - self.mean;
        let step = delta / n;
        let step2 = step * step;
        let term = delta * step * a * b;
        self.m4 += other.m4
            + term * step2 * (a * a - a * b + b * b)
            + 6.0 * step2 * (a * a * other.m2 + b * b * self.m2)
            + 4.0 * step * (a * other.m3 - b * self.m3);
        self.m3 += other.m3 + term * step * (a - b) + 3.0 * step * (a * other.m2 - b * self.m2);
        self.m2 += other.m2 + term;
        self.mean += step * b;
        self.count += other.count;
        self.min = smaller(self.min, other.min);
        self.max = larger(self.max, other.max);
    }

    /// Unbiased variance Σ(x − mean)²/(n − 1); NaN below two values.
    pub fn variance(&self) -> f64 {
        if self.count < 2 { f64::NAN } else { self.m2 / (self.count as f64 - 1.0) }
    }

    /// Standard deviation, the root of [`Moments::variance`].
    pub fn standard_deviation(&self) -> f64 {
        self.variance().sqrt()
    }

    /// Standard error of the mean of independent values, √(variance/n); NaN below two values.
    pub fn standard_error(&self) -> f64 {
        (self.variance() / self.count as f64).sqrt()
    }

    /// Standard error of [`Moments::variance`] for independent values of any law,
    /// √((μ₄ − σ⁴(n − 3)/(n − 1))/n) with μ₄ = Σ(x − mean)⁴/n; NaN below two values.
    /// Source: Kenney & Keeping (1951), Mathematics of Statistics 2, §7.7.
    pub fn variance_standard_error(&self) -> f64 {
        if self.count < 2 {
            return f64::NAN;
        }
        let n = self.count as f64;
        let variance = self.variance();
        let fourth = self.m4 / n;
        ((fourth - variance * variance * (n - 3.0) / (n - 1.0)).max(0.0) / n).sqrt()
    }
}

/// The smaller of two, the first if they are equal: which of −0 and 0 `f64::min` gives differs between processors.
fn smaller(a: f64, b: f64) -> f64 {
    if b < a || a.is_nan() { b } else { a }
}

/// The larger of two, the first if they are equal.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || a.is_nan() { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central sums the direct way, about a mean known beforehand.
    fn direct(values: &[f64]) -> (f64, [f64; 3]) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sum = |p: i32| values.iter().map(|x| (x - mean).powi(p)).sum::<f64>();
        (mean, [sum(2), sum(3), sum(4)])
    }

    fn sample(n: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 37 % 101) as f64 / 13.0).powi(2) - 3.0 + (i % 7) as f64).collect()
    }

    fn assert_close(moments: &Moments, values: &[f64]) {
        let (mean, sums) = direct(values);
        assert_eq!(moments.count, values.len() as u64);
        for (got, want) in
            [(moments.mean, mean), (moments.m2, sums[0]), (moments.m3, sums[1]), (moments.m4, sums[2])]
        {
            assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{got} {want}");
        }
        assert_eq!(moments.min, values.iter().copied().fold(f64::INFINITY, f64::min));
        assert_eq!(moments.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    }

    #[test]
    fn pushed_values_give_the_central_sums() {
        let values = sample(250);
        assert_close(&Moments::of(values.iter().copied()), &values);
    }

    #[test]
    fn merged_sets_give_the_central_sums_of_the_union() {
        let values = sample(250);
        for cut in [0, 1, 2, 77, 249, 250] {
            let mut left = Moments::of(values[..cut].iter().copied());
            left.merge(&Moments::of(values[cut..].iter().copied()));
            assert_close(&left, &values);
        }
    }

    #[test]
    fn a_large_offset_does_not_cancel() {
        let values: Vec<f64> = sample(250).iter().map(|x| x + 1e9).collect();
        let moments = Moments::of(values.iter().copied());
        let exact = Moments::of(values.iter().map(|x| x - 1e9));
        assert!((moments.variance() / exact.variance() - 1.0).abs() < 1e-9);
        assert!((moments.m4 / exact.m4 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn standard_errors_of_known_small_sets() {
        let moments = Moments::of([1.0, 2.0, 3.0, 4.0]);
        assert_eq!(moments.variance(), 5.0 / 3.0);
        assert_eq!(moments.standard_error(), (5.0_f64 / 12.0).sqrt());
        // μ₄ = (2·1.5⁴ + 2·0.5⁴)/4 = 2.5625; (2.5625 − (25/9)/3)/4
        let expected = ((2.5625 - 25.0 / 27.0) / 4.0_f64).sqrt();
        assert!((moments.variance_standard_error() - expected).abs() < 1e-15);
        assert!(Moments::of([1.0]).variance().is_nan());
        assert!(Moments::default().standard_error().is_nan());
        assert!(Moments::of([1.0]).variance_standard_error().is_nan());
        assert_eq!(Moments::of([2.0; 9]).variance_standard_error(), 0.0);
    }

    #[test]
    fn of_two_zeros_the_first_is_the_extreme_on_every_processor() {
        for (first, second) in [(0.0, -0.0), (-0.0, 0.0)] {
            let mut moments = Moments::of([first]);
            moments.merge(&Moments::of([second]));
            for m in [moments, Moments::of([first, second])] {
                assert_eq!((m.min.to_bits(), m.max.to_bits()), (f64::to_bits(first), f64::to_bits(first)));
            }
        }
        let with_nan = Moments::of([f64::NAN, 1.0, -2.0, f64::NAN]);
        assert_eq!((with_nan.min, with_nan.max), (-2.0, 1.0));
    }
}

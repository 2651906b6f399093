//! A measured number with its standard error, and the tests that compare it with a prediction.

use super::distribution::{normal_quantile_upper, student_quantile_upper, student_upper};
use super::moments::Moments;

/// The mean of independent numbers (one a replica, say) as an estimate of their expectation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error; NaN where nothing is known of it.
    pub standard_error: f64,
    /// Skewness of one of the numbers, for the correction of the tests; 0 where unknown.
    pub skewness: f64,
    /// How many independent numbers.
    pub units: f64,
    /// Share of the largest squared deviation in their sum: near 1 where one number makes the scatter.
    pub dominance: f64,
}

impl Estimate {
    /// A number without error.
    pub const fn exact(value: f64) -> Self {
        Self { value, standard_error: 0.0, skewness: 0.0, units: f64::INFINITY, dominance: 0.0 }
    }

    /// Mean of independent numbers; one number alone has a standard error of NaN.
    ///
    /// ```
    /// use perrin::stats::Estimate;
    /// let estimate = Estimate::of_sample(&[0.9, 1.1, 1.0, 1.2, 0.8]);
    /// assert!((estimate.value - 1.0).abs() < 1e-15);
    /// assert!(estimate.p_value(1.0, 0.0) > 0.9);
    /// assert!(estimate.p_value(2.0, 0.0) < 1e-3);
    /// ```
    pub fn of_sample(sample: &[f64]) -> Self {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let (mut square, mut cube, mut largest) = (0.0, 0.0, 0.0_f64);
        for x in sample {
            let d = x - mean;
            square += d * d;
            cube += d * d * d;
            largest = largest.max(d * d);
        }
        let standard_error =
            if sample.len() < 2 { f64::NAN } else { (square / (count - 1.0) / count).sqrt() };
        Self {
            value: mean,
            standard_error,
            skewness: skewness(count, square, cube),
            units: count,
            dominance: if square > 0.0 { largest / square } else { 0.0 },
        }
    }

    /// The mean of what the moments saw.
    pub fn mean_of(moments: &Moments) -> Self {
        let count = moments.count as f64;
        let standard_error =
            if moments.count < 2 { f64::NAN } else { (moments.m2 / (count - 1.0) / count).sqrt() };
        Self {
            value: moments.mean,
            standard_error,
            skewness: skewness(count, moments.m2, moments.m3),
            units: count,
            dominance: 0.0,
        }
    }

    /// The variance of what the moments saw: unbiased, with the standard error that the fourth moment gives,
    /// Var(s²) = (μ₄ − σ⁴(n − 3)/(n − 1))/n. The skewness of a squared deviation would need the sixth moment;
    /// that of a gamma law with the same mean and variance stands for it (exact for a normal observable).
    pub fn variance_of(moments: &Moments) -> Self {
        let count = moments.count as f64;
        if moments.count < 2 {
            return Self {
                value: f64::NAN,
                standard_error: f64::NAN,
                skewness: 0.0,
                units: count,
                dominance: 0.0,
            };
        }
        let variance = moments.m2 / (count - 1.0);
        let of_variance =
            (moments.m4 / count - variance * variance * (count - 3.0) / (count - 1.0)).max(0.0) / count;
        let standard_error = of_variance.sqrt();
        let skewness = if variance > 0.0 { 2.0 * (count * of_variance).sqrt() / variance } else { 0.0 };
        Self { value: variance, standard_error, skewness, units: count, dominance: 0.0 }
    }

    /// The mean square of what the moments saw.
    pub fn second_moment_of(moments: &Moments) -> Self {
        let count = moments.count as f64;
        let (m, m2, m3, m4) = (moments.mean, moments.m2 / count, moments.m3 / count, moments.m4 / count);
        let value = m * m + m2;
        // Var((d + m)²) with d = x − m.
        let spread = (m4 - m2 * m2 + 4.0 * m * m3 + 4.0 * m * m * m2).max(0.0);
        let standard_error = if moments.count < 2 { f64::NAN } else { (spread / (count - 1.0)).sqrt() };
        let skewness = if value > 0.0 { 2.0 * spread.sqrt() / value } else { 0.0 };
        Self { value, standard_error, skewness, units: count, dominance: 0.0 }
    }

    /// The square root, by the delta method.
    #[must_use]
    pub fn sqrt(self) -> Self {
        let value = self.value.max(0.0).sqrt();
        let standard_error =
            if self.standard_error == 0.0 { 0.0 } else { self.standard_error / (2.0 * value) };
        Self { value, standard_error, skewness: 0.0, ..self }
    }

    /// The same with an independent error of the prediction (or any other) added.
    #[must_use]
    pub fn with_error(self, error: f64) -> Self {
        if error == 0.0 {
            return self;
        }
        let total = self.standard_error.hypot(error);
        // The other error is not skewed as the scatter is.
        let share = self.standard_error / total;
        Self { standard_error: total, skewness: self.skewness * share.powi(3), ..self }
    }

    /// The largest deviation of one of the numbers from their mean; 0 where `dominance` is not known.
    pub fn largest_deviation(&self) -> f64 {
        // Σ(x − x̄)² = n(n − 1)·(standard error)².
        self.standard_error * (self.dominance * self.units * (self.units - 1.0)).sqrt()
    }

    fn degrees(&self) -> f64 {
        (self.units - 1.0).max(1.0)
    }

    /// (value − reference)/error, freed of the leading effect of skewness on Student's ratio (Hall 1992):
    /// t + γt²/(3√n) + γ²t³/(27n) + γ/(6√n).
    fn ratio(&self, reference: f64) -> f64 {
        let t = (self.value - reference) / self.standard_error;
        if !self.units.is_finite() {
            return t;
        }
        let a = self.skewness / self.units.sqrt();
        t + a * t * t / 3.0 + a * a * t * t * t / 27.0 + a / 6.0
    }

    /// Probability of an estimate at least this far from `predicted` on either side, were the expectation
    /// within `tolerance` of it; with a tolerance of 0 the two-sided test.
    pub fn p_value(&self, predicted: f64, tolerance: f64) -> f64 {
        self.outside(predicted - tolerance, predicted + tolerance)
    }

    /// The equivalence test (two one-sided tests, Schuirmann 1987): probability of an estimate at least this
    /// well inside `predicted ± tolerance`, were the expectation outside.
    pub fn equivalence_p_value(&self, predicted: f64, tolerance: f64) -> f64 {
        self.inside(predicted - tolerance, predicted + tolerance)
    }

    /// [`Estimate::p_value`] for an expectation claimed to lie in [`low`, `high`].
    pub fn outside(&self, low: f64, high: f64) -> f64 {
        let dof = self.degrees();
        let above = student_upper(self.ratio(high), dof);
        let below = student_upper(-self.ratio(low), dof);
        if low >= high {
            return (2.0 * above.min(below)).min(1.0);
        }
        // The least favourable expectation lies at the edge on the estimate's side; what is beyond the other side
        // by as much counts too.
        let (near, distance) = if self.value >= 0.5 * (low + high) {
            (above, self.value - low)
        } else {
            (below, high - self.value)
        };
        (near + student_upper(distance / self.standard_error, dof)).min(1.0)
    }

    /// [`Estimate::equivalence_p_value`] for the interval [`low`, `high`].
    pub fn inside(&self, low: f64, high: f64) -> f64 {
        let dof = self.degrees();
        student_upper(self.ratio(low), dof).max(student_upper(-self.ratio(high), dof))
    }

    /// Smallest deviation that a two-sided test at level `significance` sees with probability `power`, on whichever
    /// side it is seen worse: on one side skewness weakens the test that allows for it.
    pub fn detectable(&self, significance: f64, power: f64) -> f64 {
        let quantile = student_quantile_upper(0.5 * significance, self.degrees());
        let needed = self.plain_ratio(quantile).max(-self.plain_ratio(-quantile));
        self.standard_error * (needed + normal_quantile_upper(1.0 - power))
    }

    /// The plain ratio t at which [`Estimate::ratio`] is `freed`: its inverse, as the cubic is
    /// ((1 + at/3)³ − 1)/a + a/6 with a = γ/√n.
    fn plain_ratio(&self, freed: f64) -> f64 {
        let a = self.skewness / self.units.sqrt();
        if !self.units.is_finite() || a.abs() < 1e-6 {
            return freed;
        }
        3.0 / a * ((1.0 + a * (freed - a / 6.0)).cbrt() - 1.0)
    }
}

fn skewness(count: f64, square: f64, cube: f64) -> f64 {
    if count < 3.0 || square <= 0.0 {
        return 0.0;
    }
    let skewness = count.sqrt() * cube / (square * square.sqrt());
    if skewness.is_finite() { skewness } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, Exp1, StandardNormal};
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    use super::*;

    fn moments(sample: &[f64]) -> Moments {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let power = |k: i32| sample.iter().map(|x| (x - mean).powi(k)).sum::<f64>();
        Moments {
            count: sample.len() as u64,
            mean,
            m2: power(2),
            m3: power(3),
            m4: power(4),
            min: sample.iter().copied().fold(f64::INFINITY, f64::min),
            max: sample.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// Share of `trials` samples of `size` for which a true claim is rejected at `significance`.
    fn false_alarms(
        size: usize,
        trials: usize,
        significance: f64,
        draw: impl Fn(&mut Xoshiro256PlusPlus) -> f64,
        p_value: impl Fn(&[f64]) -> f64,
    ) -> f64 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
        let mut sample = vec![0.0; size];
        let mut alarms = 0;
        for _ in 0..trials {
            sample.fill_with(|| draw(&mut rng));
            alarms += usize::from(p_value(&sample) <= significance);
        }
        alarms as f64 / trials as f64
    }

    fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
        StandardNormal.sample(rng)
    }

    fn exponential(rng: &mut Xoshiro256PlusPlus) -> f64 {
        Exp1.sample(rng)
    }

    #[test]
    fn true_claims_are_rejected_as_often_as_stated() {
        // α = 0.01 and 20 000 samples: binomial sd 0.0007; bounds at 0.01 ± 6 sd, and a little bias allowed above.
        let check = |name: &str, rate: f64| assert!((0.005..0.016).contains(&rate), "{name}: {rate}");
        let of_mean = |m: f64| move |s: &[f64]| Estimate::of_sample(s).p_value(m, 0.0);
        let of_variance = |s: &[f64]| Estimate::variance_of(&moments(s)).p_value(1.0, 0.0);
        let of_square = |s: &[f64]| {
            let squares: Vec<f64> = s.iter().map(|x| x * x).collect();
            Estimate::of_sample(&squares).p_value(1.0, 0.0)
        };
        check("mean, normal", false_alarms(30, 20_000, 0.01, normal, of_mean(0.0)));
        check("mean, exponential", false_alarms(60, 20_000, 0.01, exponential, of_mean(1.0)));
        check("variance, normal", false_alarms(100, 20_000, 0.01, normal, of_variance));
        check("square, normal", false_alarms(100, 20_000, 0.01, normal, of_square));
        // Control: without the correction for skewness the same test raises twice as many alarms.
        let plain =
            |s: &[f64]| Estimate { skewness: 0.0, ..Estimate::variance_of(&moments(s)) }.p_value(1.0, 0.0);
        let rate = false_alarms(100, 20_000, 0.01, normal, plain);
        assert!(rate > 0.017, "uncorrected: {rate}");
    }

    #[test]
    fn wrong_claims_are_seen_with_the_stated_power() {
        // Standard error 0.1 known to 1e6 units: what is detectable is seen nine times in ten.
        let estimate = Estimate { standard_error: 0.1, units: 1e6, ..Estimate::exact(0.0) };
        let shift = estimate.detectable(1e-3, 0.9);
        assert!((shift / 0.1 - (3.290_527 + 1.281_552)).abs() < 1e-4, "{shift}");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let seen = (0..10_000)
            .filter(|_| {
                Estimate { value: shift + 0.1 * normal(&mut rng), ..estimate }.p_value(0.0, 0.0) <= 1e-3
            })
            .count();
        // Binomial sd 30.
        assert!((8_850..9_150).contains(&seen), "{seen}");
    }

    #[test]
    fn skewness_that_blinds_the_test_is_counted_against_its_power() {
        // 40 squares with the skewness of χ²₁: an estimate 13.7 errors below the claim is not rejected at 1e-3,
        // because such a ratio is not rare for so skew a sample; so the test must not pass for a powerful one.
        let skew =
            Estimate { value: 0.0555, standard_error: 0.00364, skewness: 2.0, units: 40.0, dominance: 0.1 };
        let twice = 0.1053;
        assert!(skew.p_value(twice, 0.0) > 1e-3);
        assert!(skew.detectable(1e-3, 0.9) > twice - skew.value);
        // The inverse is one, on both sides.
        for t in [-3.0, -0.5, 0.0, 2.0, 7.0] {
            let freed = skew.ratio(skew.value - t * skew.standard_error);
            assert!((skew.plain_ratio(freed) - t).abs() < 1e-9, "{t}");
        }
        // Control: without skewness the same deviation is plain to see.
        assert!(Estimate { skewness: 0.0, ..skew }.detectable(1e-3, 0.9) < 0.4 * (twice - skew.value));
    }

    #[test]
    fn equivalence_needs_the_whole_interval_inside() {
        let at =
            |value, standard_error| Estimate { value, standard_error, units: 1e6, ..Estimate::exact(0.0) };
        // Well inside, at the edge, too wide, outside.
        assert!(at(1.01, 0.005).equivalence_p_value(1.0, 0.05) < 1e-10);
        assert!(at(1.05, 0.005).equivalence_p_value(1.0, 0.05) > 0.4);
        assert!(at(1.0, 0.1).equivalence_p_value(1.0, 0.05) > 0.3);
        assert!(at(1.0, 0.1).p_value(1.0, 0.05) > 0.5);
        assert!(at(1.1, 0.005).p_value(1.0, 0.05) < 1e-10);
        assert!(at(1.1, 0.005).equivalence_p_value(1.0, 0.05) > 0.999);
    }

    #[test]
    fn estimates_from_moments_and_from_the_sample_agree() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let sample: Vec<f64> = (0..50).map(|_| exponential(&mut rng)).collect();
        let squares: Vec<f64> = sample.iter().map(|x| x * x).collect();
        let m = moments(&sample);
        for (a, b) in [
            (Estimate::mean_of(&m), Estimate::of_sample(&sample)),
            (Estimate::second_moment_of(&m), Estimate::of_sample(&squares)),
        ] {
            assert!((a.value / b.value - 1.0).abs() < 1e-12);
            assert!((a.standard_error / b.standard_error - 1.0).abs() < 1e-12);
        }
        assert!((Estimate::mean_of(&m).skewness - Estimate::of_sample(&sample).skewness).abs() < 1e-12);
    }

    #[test]
    fn one_number_has_no_error_and_equal_numbers_have_none_to_speak_of() {
        assert!(Estimate::of_sample(&[3.0]).standard_error.is_nan());
        let equal = Estimate::of_sample(&[3.0; 10]);
        assert_eq!((equal.standard_error, equal.skewness, equal.dominance), (0.0, 0.0, 0.0));
    }
}

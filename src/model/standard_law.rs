//! Standard laws: their draws, from uniform numbers alone, and their moments.

use crate::lanes::math::scalar::{cos, exp, expm1, ln, sigmoid, sin};

/// A law without location and scale, which are part of the formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StandardLaw {
    /// N(0, 1).
    Normal,
    /// Uniform on [0, 1).
    Uniform,
    /// −1 or 1, each with probability ½.
    Rademacher,
    /// Student's t with that many degrees of freedom.
    Student(f64),
    /// Exponential of rate 1: density e⁻ˣ.
    Exponential,
    /// Density |x|-exponential, ½e^{−|x|}.
    Laplace,
    /// Density 1/(π(1 + x²)).
    Cauchy,
    /// Gamma of shape k and scale 1: density x^{k−1}e⁻ˣ/Γ(k).
    Gamma(f64),
    /// Beta: density proportional to x^{a−1}(1 − x)^{b−1}.
    Beta(f64, f64),
    /// Poisson of that mean.
    Poisson(f64),
}

/// Most candidates of a rejection: the odds that none is taken are below 10⁻⁵⁰.
const MOST_CANDIDATES: usize = 100;

/// Means of Poisson's law up to which a count is searched from 0 on.
const SEARCHED: f64 = 10.0;

impl StandardLaw {
    /// A draw, from as many numbers of [0, 1) as it takes.
    pub fn draw(self, next: &mut dyn FnMut() -> f64) -> f64 {
        match self {
            Self::Normal => normal(next),
            Self::Uniform => next(),
            Self::Rademacher => {
                if next() < 0.5 {
                    -1.0
                } else {
                    1.0
                }
            }
            Self::Student(freedom) => {
                // Bailey (1994), Math. Comp. 62, 779.
                let (u, v) = (1.0 - next(), next());
                (freedom * expm1(-2.0 / freedom * ln(u))).sqrt() * cos(std::f64::consts::TAU * v)
            }
            Self::Exponential => -ln(1.0 - next()),
            Self::Laplace => {
                let twice = 2.0 * next();
                if twice < 1.0 { ln(1.0 - twice) } else { -ln(1.0 - (twice - 1.0)) }
            }
            Self::Cauchy => {
                let angle = std::f64::consts::PI * (next() - 0.5);
                sin(angle) / cos(angle)
            }
            Self::Gamma(shape) => {
                let (value, log_factor) = gamma(shape, next);
                value * exp(log_factor)
            }
            Self::Beta(a, b) => {
                // X/(X + Y) of two gamma numbers, by their logarithms: both may be too small for a number.
                let (x, log_x) = gamma(a, next);
                let (y, log_y) = gamma(b, next);
                sigmoid((ln(x) + log_x) - (ln(y) + log_y))
            }
            Self::Poisson(mean) => poisson(mean, next),
        }
    }

    /// Mean and standard deviation; where there are none, the centre and the scale.
    pub fn centre_and_scale(self) -> (f64, f64) {
        match self {
            Self::Uniform => (0.5, (1.0_f64 / 12.0).sqrt()),
            Self::Student(freedom) if freedom > 2.0 => (0.0, (freedom / (freedom - 2.0)).sqrt()),
            Self::Normal | Self::Rademacher | Self::Cauchy | Self::Student(_) => (0.0, 1.0),
            Self::Exponential => (1.0, 1.0),
            Self::Laplace => (0.0, std::f64::consts::SQRT_2),
            Self::Gamma(shape) => (shape, shape.sqrt()),
            Self::Beta(a, b) => (a / (a + b), (a * b / (a + b + 1.0)).sqrt() / (a + b)),
            Self::Poisson(mean) => (mean, mean.sqrt()),
        }
    }
}

/// Box and Muller (1958).
fn normal(next: &mut dyn FnMut() -> f64) -> f64 {
    let radius = (-2.0 * ln(1.0 - next())).sqrt();
    radius * cos(std::f64::consts::TAU * next())
}

/// g and f with g·e^f of the gamma law of that shape and scale 1, f 0 for a shape from 1 on. Source: Marsaglia & Tsang (2000), ACM TOMS
/// 26, 363; below 1 by U^{1/k} of the law of shape k + 1.
fn gamma(shape: f64, next: &mut dyn FnMut() -> f64) -> (f64, f64) {
    let (whole, log_factor) =
        if shape < 1.0 { (shape + 1.0, ln(1.0 - next()) / shape) } else { (shape, 0.0) };
    let d = whole - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    for _ in 0..MOST_CANDIDATES {
        let x = normal(next);
        let root = 1.0 + c * x;
        let v = root * root * root;
        let u = 1.0 - next();
        if v > 0.0 && ln(u) < 0.5 * x * x + d - d * v + d * ln(v) {
            return (d * v, log_factor);
        }
    }
    (d, log_factor)
}

/// ln k! to rounding: a product below 16, Stirling's series above.
fn log_factorial(k: f64) -> f64 {
    if k < 16.0 {
        let mut product = 1.0;
        let mut i = 2.0;
        while i <= k {
            product *= i;
            i += 1.0;
        }
        return ln(product);
    }
    let n = k + 1.0;
    let inverse = 1.0 / n;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    // ½ ln 2π.
    (n - 0.5) * ln(n) - n + 0.918_938_533_204_672_8 + series
}

/// A Poisson number: by search from 0 for small means, else by Hörmann's transformed rejection PTRS (1993, Insur. Math. Econ. 12, 39).
fn poisson(mean: f64, next: &mut dyn FnMut() -> f64) -> f64 {
    if mean < SEARCHED {
        let (mut k, mut term) = (0.0, exp(-mean));
        let mut left = next() - term;
        // Beyond 150 the rest is below 10⁻¹⁰⁰.
        while left >= 0.0 && k < 150.0 {
            k += 1.0;
            term *= mean / k;
            left -= term;
        }
        return k;
    }
    let b = 0.931 + 2.53 * mean.sqrt();
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let least = 0.9277 - 3.6224 / (b - 2.0);
    let log_mean = ln(mean);
    for _ in 0..MOST_CANDIDATES {
        let (u, v) = (next() - 0.5, 1.0 - next());
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
        if us >= 0.07 && v <= least {
            return k;
        }
        if k < 0.0 || (us < 0.013 && v > us) {
            continue;
        }
        let density = k * log_mean - mean - log_factorial(k);
        if ln(v) + ln(inverse_alpha) - ln(a / (us * us) + b) <= density {
            return k;
        }
    }
    mean.floor()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{Purpose, Stream};
    use statrs::distribution as laws;
    use statrs::distribution::{ContinuousCDF, DiscreteCDF};

    /// √n times the largest distance of the sample's distribution from `below` = P(X < x) and `up_to` = P(X ≤ x).
    fn distance(law: StandardLaw, below: &dyn Fn(f64) -> f64, up_to: &dyn Fn(f64) -> f64) -> f64 {
        const N: usize = 20_000;
        let mut stream = Stream::new(11, Purpose::Test, 0);
        let mut sample: Vec<f64> = (0..N).map(|_| law.draw(&mut || stream.uniform())).collect();
        sample.sort_by(f64::total_cmp);
        let mut largest: f64 = 0.0;
        let mut i = 0;
        while i < N {
            let j = i + sample[i..].iter().take_while(|x| **x == sample[i]).count();
            let gap = (below(sample[i]) - i as f64 / N as f64)
                .abs()
                .max((up_to(sample[i]) - j as f64 / N as f64).abs());
            largest = largest.max(gap);
            i = j;
        }
        largest * (N as f64).sqrt()
    }

    /// √n D > 2.7 has odds 9e-7; a parameter that is off by 10 to 40 % is seen.
    #[test]
    fn continuous_laws_are_those_of_their_names() {
        let check = |law: StandardLaw, right: &dyn Fn(f64) -> f64, wrong: &dyn Fn(f64) -> f64| {
            let (d, control) = (distance(law, right, right), distance(law, wrong, wrong));
            assert!(d < 2.7, "{law:?}: {d}");
            assert!(control > 2.7, "{law:?}: the control passes with {control}");
        };
        let normal = |s: f64| laws::Normal::new(0.0, s).unwrap();
        check(StandardLaw::Normal, &|x| normal(1.0).cdf(x), &|x| normal(1.3).cdf(x));
        check(StandardLaw::Student(3.0), &|x| laws::StudentsT::new(0.0, 1.0, 3.0).unwrap().cdf(x), &|x| {
            laws::StudentsT::new(0.0, 1.0, 1.5).unwrap().cdf(x)
        });
        check(StandardLaw::Exponential, &|x| 1.0 - (-x).exp(), &|x| 1.0 - (-1.2 * x).exp());
        let laplace = |b: f64| move |x: f64| laws::Laplace::new(0.0, b).unwrap().cdf(x);
        check(StandardLaw::Laplace, &laplace(1.0), &laplace(1.4));
        let cauchy = |s: f64| move |x: f64| laws::Cauchy::new(0.0, s).unwrap().cdf(x);
        check(StandardLaw::Cauchy, &cauchy(1.0), &cauchy(1.4));
        for shape in [0.05, 0.7, 1.0, 2.5, 40.0] {
            let gamma = |shape: f64| move |x: f64| laws::Gamma::new(shape, 1.0).unwrap().cdf(x);
            check(StandardLaw::Gamma(shape), &gamma(shape), &gamma(1.1 * shape));
        }
        for (a, b) in [(0.5, 0.5), (0.2, 0.3), (2.0, 5.0), (1.0, 0.3)] {
            let beta = |a: f64, b: f64| move |x: f64| laws::Beta::new(a, b).unwrap().cdf(x);
            check(StandardLaw::Beta(a, b), &beta(a, b), &beta(1.3 * a, b));
        }
    }

    #[test]
    fn poisson_numbers_have_their_law_on_both_sides_of_the_change_of_method() {
        for mean in [0.3, 4.0, 9.99, 10.0, 35.0, 900.0] {
            let law = |mean: f64| {
                move |x: f64| if x < 0.0 { 0.0 } else { laws::Poisson::new(mean).unwrap().cdf(x as u64) }
            };
            let of = |m: f64| distance(StandardLaw::Poisson(mean), &|x| law(m)(x - 1.0), &law(m));
            // The steps of a discrete law make the distance smaller, never larger.
            assert!(of(mean) < 2.7, "{mean}: {}", of(mean));
            assert!(of(1.15 * mean) > 2.7, "{mean}: the control passes with {}", of(1.15 * mean));
        }
    }

    #[test]
    fn logarithms_of_factorials_meet_where_the_method_changes() {
        let mut sum = 0.0;
        for k in 1..200 {
            sum += f64::from(k).ln();
            assert!((log_factorial(f64::from(k)) - sum).abs() < 1e-13 * sum.max(1.0), "{k}");
        }
    }
}

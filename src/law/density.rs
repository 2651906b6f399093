//! The stationary density of dx = a(x)dt + √D(x) dW in one dimension, by quadrature.
//!
//! Without a current, p(x) ∝ (1/D) exp ∫2a/D dx in Itô's reading, D^{−½} exp ∫2a/D dx in Stratonovich's. It lives on
//! the interval about the start in which D > 0; it is followed from the start to both ends in a coordinate in which power laws
//! at a zero of D, and at infinity, are exponentials. Source: Risken (1989), The Fokker–Planck Equation, §5.2.

use super::number::short;

/// Largest change of ln p in one step.
const STEP: f64 = 0.02;
/// Longest step of the coordinate.
const LONGEST: f64 = 0.01;
/// The density is followed until it has fallen by e^{−40} from its maximum.
const DEPTH: f64 = 40.0;
/// Where numbers end before that (1 − x about 1), this much must do.
const ENOUGH: f64 = 25.0;
/// Coordinates beyond this leave the range of numbers.
const FARTHEST: f64 = 600.0;
/// Steps after which an end is given up.
const MOST_STEPS: usize = 400_000;
/// A minimum of D this far below its surroundings is a zero.
const ZERO: f64 = 1e-10;

/// a and D at some points.
pub(super) type Coefficients<'a> = &'a dyn Fn(&[f64]) -> Vec<(f64, f64)>;

/// How the noise is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Ito,
    Stratonovich,
    /// As if D were the same everywhere as where the drift vanishes: exp(−2U/D).
    Gibbs,
}

/// A normalised density on a grid.
#[derive(Clone, Debug)]
pub(super) struct Density {
    /// Points, upwards.
    pub points: Vec<f64>,
    /// Mass between neighbouring points; their sum is 1.
    masses: Vec<f64>,
    /// ln(p dx/ds) at the points, s the coordinate.
    logarithms: Vec<f64>,
}

/// The interval in which D > 0.
#[derive(Clone, Copy, Debug)]
enum Domain {
    Line { center: f64, scale: f64 },
    Above { low: f64 },
    Below { high: f64 },
    Between { low: f64, high: f64 },
}

impl Domain {
    /// x(s).
    fn x(self, s: f64) -> f64 {
        match self {
            Domain::Line { center, scale } => center + scale * s.sinh(),
            Domain::Above { low } => low + s.exp(),
            Domain::Below { high } => high - (-s).exp(),
            Domain::Between { low, high } => {
                // From the nearer end, so that no digit is lost there.
                let width = high - low;
                if s < 0.0 {
                    low + width * s.exp() / (1.0 + s.exp())
                } else {
                    high - width * (-s).exp() / (1.0 + (-s).exp())
                }
            }
        }
    }
    /// dx/ds.
    fn slope(self, s: f64) -> f64 {
        match self {
            Domain::Line { scale, .. } => scale * s.cosh(),
            Domain::Above { .. } => s.exp(),
            Domain::Below { .. } => (-s).exp(),
            Domain::Between { low, high } => {
                let e = (-s.abs()).exp();
                (high - low) * e / ((1.0 + e) * (1.0 + e))
            }
        }
    }
    /// s(x).
    fn coordinate(self, x: f64) -> f64 {
        match self {
            Domain::Line { center, scale } => ((x - center) / scale).asinh(),
            Domain::Above { low } => (x - low).ln(),
            Domain::Below { high } => -(high - x).ln(),
            Domain::Between { low, high } => ((x - low) / (high - x)).ln(),
        }
    }
}

impl Density {
    /// Follows the density from `start`.
    ///
    /// # Errors
    /// A sentence: there is no noise, or the density cannot be normalised.
    pub fn new(coefficients: Coefficients, start: f64, reading: Reading) -> Result<Self, String> {
        let (_, noise) = coefficients(&[start])[0];
        if !(noise > 0.0 && noise.is_finite()) {
            return Err(format!("the noise vanishes where the run starts, at {}", short(start)));
        }
        let domain = match reading {
            Reading::Gibbs => Domain::Line { center: start, scale: 1e-3 * start.abs().max(1e-3) },
            _ => domain(coefficients, start),
        };
        let constant = match reading {
            Reading::Gibbs => Some(noise_at_rest(coefficients, start)?),
            _ => None,
        };
        let walk = Walk { coefficients, domain, reading, constant, longest: LONGEST };
        let rough = walk.density(start)?;
        // Once more with steps that suit its width, from its middle.
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| rough.quantile(share));
        let domain = match domain {
            Domain::Line { .. } => Domain::Line { center: middle, scale: high - low },
            other => other,
        };
        let longest = LONGEST.min(0.02 * (high - low) / domain.slope(domain.coordinate(middle)));
        Walk { coefficients, domain, reading, constant, longest }.density(middle)
    }

    /// x with P(X ≤ x) = `share`, to the nearest point.
    fn quantile(&self, share: f64) -> f64 {
        let mut below = 0.0;
        for (point, mass) in self.points.iter().zip(&self.masses) {
            below += mass;
            if below >= share {
                return *point;
            }
        }
        self.points.last().copied().unwrap_or(0.0)
    }

    /// P(g(x) ≤ y) for every y of `sample`, sorted upwards; `values` are g at [`Density::points`].
    pub fn cumulative(&self, values: &[f64], sample: &[f64]) -> Vec<f64> {
        let upwards = values.windows(2).all(|v| v[0] <= v[1]);
        let downwards = values.windows(2).all(|v| v[0] >= v[1]);
        if upwards || downwards {
            let mut below = 0.0;
            let mut cell = 0;
            let cells = self.masses.len();
            let of = |cell: usize| {
                let at = if upwards { cell } else { cells - 1 - cell };
                let (a, b) = (values[at], values[at + 1]);
                (a.min(b), a.max(b), self.masses[at])
            };
            return sample
                .iter()
                .map(|&y| {
                    while cell < cells && of(cell).1 <= y {
                        below += of(cell).2;
                        cell += 1;
                    }
                    let rest = if cell < cells { share(of(cell), y) } else { 0.0 };
                    (below + rest).min(1.0)
                })
                .collect();
        }
        let cells: Vec<(f64, f64, f64)> = values
            .windows(2)
            .zip(&self.masses)
            .map(|(v, &mass)| (v[0].min(v[1]), v[0].max(v[1]), mass))
            .collect();
        sample.iter().map(|&y| cells.iter().map(|&c| share(c, y)).sum::<f64>().min(1.0)).collect()
    }

    /// Mean and variance of g.
    pub fn moments(&self, values: &[f64]) -> (f64, f64) {
        let over = |f: &dyn Fn(f64) -> f64| -> f64 {
            let middles = values.windows(2).map(|v| 0.5 * (f(v[0]) + f(v[1])));
            middles.zip(&self.masses).map(|(value, mass)| mass * value).sum()
        };
        let mean = over(&|x| x);
        (mean, over(&|x| (x - mean) * (x - mean)))
    }

    /// κ of P(|g| > y) ~ y^{−κ} where |g| grows without bound, the smaller of both ends; `None` where it falls faster.
    pub fn tail(&self, values: &[f64]) -> Option<f64> {
        let ends = [false, true].map(|right| {
            let order: Vec<usize> =
                if right { (0..values.len()).rev().collect() } else { (0..values.len()).collect() };
            let at = |depth: f64| -> Option<f64> {
                let i = order.iter().copied().find(|&i| self.logarithms[i] >= -depth)?;
                Some(values[i].abs().ln())
            };
            let index =
                |deep: f64, high: f64| -> Option<f64> { Some((deep - high) / (at(deep)? - at(high)?)) };
            let (near, far) = (index(22.0, 18.0)?, index(39.0, 35.0)?);
            (far > 0.0 && far.is_finite() && (near / far - 1.0).abs() < 0.05).then_some(far)
        });
        ends.into_iter().flatten().min_by(f64::total_cmp)
    }
}

/// Mass of a cell below y.
fn share((low, high, mass): (f64, f64, f64), y: f64) -> f64 {
    if y >= high {
        mass
    } else if y <= low {
        0.0
    } else {
        mass * (y - low) / (high - low)
    }
}

struct Walk<'a> {
    coefficients: Coefficients<'a>,
    domain: Domain,
    reading: Reading,
    constant: Option<f64>,
    /// Longest step of the coordinate.
    longest: f64,
}

impl Walk<'_> {
    /// Follows the density from `start` to both sides, and normalises it.
    fn density(&self, start: f64) -> Result<Density, String> {
        let from = self.domain.coordinate(start);
        let mut maximum = self.logarithm(from, 0.0)?;
        let left = self.follow(from, -1.0, &mut maximum)?;
        let right = self.follow(from, 1.0, &mut maximum)?;
        let mut path: Vec<(f64, f64)> = left.into_iter().rev().collect();
        path.extend(right.into_iter().skip(1));
        // What the one side left below the maximum of the other is nothing.
        path.retain(|(_, l)| *l >= maximum - DEPTH - 5.0);
        let mut masses: Vec<f64> = path
            .windows(2)
            .map(|pair| {
                let ((s, l), (t, m)) = (pair[0], pair[1]);
                // Between the points the logarithm is nearly straight.
                let (a, b) = ((l - maximum).exp(), (m - maximum).exp());
                let ratio = m - l;
                (t - s) * if ratio.abs() < 1e-6 { 0.5 * (a + b) } else { (b - a) / ratio }
            })
            .collect();
        let total: f64 = masses.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return Err("the density has no mass".to_owned());
        }
        for mass in &mut masses {
            *mass /= total;
        }
        Ok(Density {
            points: path.iter().map(|(s, _)| self.domain.x(*s)).collect(),
            masses,
            logarithms: path.iter().map(|(_, l)| l - maximum).collect(),
        })
    }

    /// ln(p dx/ds) given ∫2a/D up to here.
    fn logarithm(&self, s: f64, exponent: f64) -> Result<f64, String> {
        let x = self.domain.x(s);
        let noise = self.constant.unwrap_or_else(|| (self.coefficients)(&[x])[0].1);
        let weight = match self.reading {
            Reading::Ito => -noise.ln(),
            Reading::Stratonovich => -0.5 * noise.ln(),
            Reading::Gibbs => 0.0,
        };
        let l = exponent + weight + self.domain.slope(s).ln();
        if l.is_finite() { Ok(l) } else { Err(format!("the density is not finite at {}", short(x))) }
    }

    /// Points (s, ln(p dx/ds)) from `from` in the direction ±1 until nothing is left.
    fn follow(&self, from: f64, direction: f64, maximum: &mut f64) -> Result<Vec<(f64, f64)>, String> {
        let mut path = vec![(from, self.logarithm(from, 0.0)?)];
        let (mut s, mut exponent, mut step) = (from, 0.0, 1e-3);
        let integrand = |s: f64| {
            let (drift, noise) = (self.coefficients)(&[self.domain.x(s)])[0];
            2.0 * drift / self.constant.unwrap_or(noise) * self.domain.slope(s)
        };
        let mut here = integrand(s);
        for _ in 0..MOST_STEPS {
            let (_, l) = path[path.len() - 1];
            if l < *maximum - DEPTH {
                return Ok(path);
            }
            let next = s + direction * step;
            let middle = integrand(0.5 * (s + next));
            let there = integrand(next);
            let gain = direction * step * (here + 4.0 * middle + there) / 6.0;
            let reached = self.logarithm(next, exponent + gain);
            let change = reached.as_ref().map_or(f64::INFINITY, |m| (m - l).abs());
            if change > 2.0 * STEP || !gain.is_finite() {
                step *= 0.5;
                if step < 1e-12 {
                    break;
                }
                continue;
            }
            let Ok(reached) = reached else { break };
            (s, exponent, here) = (next, exponent + gain, there);
            *maximum = maximum.max(reached);
            path.push((s, reached));
            if change < STEP {
                step = (1.5 * step).min(self.longest);
            }
            if s.abs() > FARTHEST {
                break;
            }
        }
        if path[path.len() - 1].1 < *maximum - ENOUGH {
            return Ok(path);
        }
        let place = match (self.domain, direction > 0.0) {
            (Domain::Above { low } | Domain::Between { low, .. }, false) => short(low),
            (Domain::Below { high } | Domain::Between { high, .. }, true) => short(high),
            (_, true) => "infinity".to_owned(),
            (_, false) => "minus infinity".to_owned(),
        };
        Err(format!("there is no stationary density: it cannot be normalised at {place}"))
    }
}

/// D where the drift pulls from both sides, the nearest such point to `start`.
fn noise_at_rest(coefficients: Coefficients, start: f64) -> Result<f64, String> {
    let scale = 1e-3 * start.abs().max(1e-3);
    let scan: Vec<f64> = (0..=1000).map(|k| scale * (0.02 * f64::from(k)).sinh()).collect();
    let drift = |x: f64| coefficients(&[x])[0].0;
    let direction = drift(start).signum();
    let mut before = start;
    for offset in scan {
        let x = start + direction * offset;
        if direction * drift(x) <= 0.0 {
            let (mut a, mut b) = (before, x);
            for _ in 0..200 {
                let middle = 0.5 * (a + b);
                if direction * drift(middle) > 0.0 { a = middle } else { b = middle }
            }
            return Ok(coefficients(&[b])[0].1);
        }
        before = x;
    }
    Err("the drift vanishes nowhere near the start".to_owned())
}

/// The interval about `start` in which the noise does not vanish.
fn domain(coefficients: Coefficients, start: f64) -> Domain {
    let low = edge(coefficients, start, -1.0);
    let high = edge(coefficients, start, 1.0);
    match (low, high) {
        (None, None) => Domain::Line { center: start, scale: 1e-3 * start.abs().max(1e-3) },
        (Some(low), None) => Domain::Above { low },
        (None, Some(high)) => Domain::Below { high },
        (Some(low), Some(high)) => Domain::Between { low, high },
    }
}

/// The first zero of D, or end of where it is defined, from `start` in the direction ±1.
fn edge(coefficients: Coefficients, start: f64, direction: f64) -> Option<f64> {
    let scale = 1e-3 * start.abs().max(1e-3);
    let xs: Vec<f64> = (0..=1200).map(|k| start + direction * scale * (0.02 * f64::from(k)).sinh()).collect();
    let noise = |x: f64| coefficients(&[x])[0].1;
    let values: Vec<f64> = xs.iter().map(|&x| noise(x)).collect();
    for i in 1..xs.len() {
        if !(values[i] > 0.0 && values[i].is_finite()) {
            if values[i] == f64::INFINITY {
                return None;
            }
            let (mut inside, mut outside) = (xs[i - 1], xs[i]);
            for _ in 0..200 {
                let middle = 0.5 * (inside + outside);
                if noise(middle) > 0.0 { inside = middle } else { outside = middle }
            }
            return Some(rounded(outside, |x| noise(x).is_nan() || noise(x) <= 0.0));
        }
        if i + 1 < xs.len() && values[i] <= values[i - 1] && values[i] <= values[i + 1] {
            let least = golden(&noise, xs[i - 1], xs[i + 1]);
            let around = values[i - 1].min(values[i + 1]);
            let zero = |x: f64| noise(x) <= ZERO * around;
            if zero(least) {
                return Some(rounded(least, zero));
            }
        }
    }
    None
}

/// The roundest number near x of which `is` holds.
fn rounded(x: f64, is: impl Fn(f64) -> bool) -> f64 {
    for digits in 0..9 {
        let unit = 10_f64.powi(digits);
        let near = (x * unit).round() / unit;
        if (near - x).abs() <= 1e-6 * x.abs().max(1e-3) && is(near) {
            return near;
        }
    }
    x
}

/// Minimum of a unimodal function between a and b.
fn golden(f: &dyn Fn(f64) -> f64, a: f64, b: f64) -> f64 {
    let share = 0.5 * (5.0_f64.sqrt() - 1.0);
    let (mut low, mut high) = (a, b);
    for _ in 0..120 {
        let (left, right) = (high - share * (high - low), low + share * (high - low));
        if f(left) < f(right) { high = right } else { low = left }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn density(
        drift: impl Fn(f64) -> f64,
        noise: impl Fn(f64) -> f64,
        start: f64,
        reading: Reading,
    ) -> Result<Density, String> {
        Density::new(&|xs| xs.iter().map(|&x| (drift(x), noise(x))).collect(), start, reading)
    }

    fn values(density: &Density, g: impl Fn(f64) -> f64) -> Vec<f64> {
        density.points.iter().map(|&x| g(x)).collect()
    }

    #[test]
    fn a_linear_drift_gives_the_normal_law_from_any_start() {
        for start in [0.0, 2.9, -7.0, 40.0] {
            let law = density(|x| -2.0 * (x - 3.0), |_| 3.0, start, Reading::Ito).unwrap();
            let xs = values(&law, |x| x);
            let (mean, variance) = law.moments(&xs);
            assert!((mean - 3.0).abs() < 1e-4 && (variance - 0.75).abs() < 3e-4, "{mean} {variance}");
            let at: Vec<f64> = [-1.0, 0.0, 1.5].iter().map(|z| 3.0 + z * 0.75_f64.sqrt()).collect();
            let known = [0.158_655_3, 0.5, 0.933_192_8];
            for (got, want) in law.cumulative(&xs, &at).iter().zip(known) {
                assert!((got - want).abs() < 1e-4, "{got} {want}");
            }
            assert_eq!(law.tail(&xs), None);
            // The square is not monotone: P(|z| < 1).
            let squares = values(&law, |x| (x - 3.0) * (x - 3.0));
            assert!((law.cumulative(&squares, &[0.75])[0] - 0.682_689_5).abs() < 1e-4);
        }
    }

    #[test]
    fn noise_that_vanishes_at_the_symmetric_state_gives_a_gamma_law_in_the_square() {
        // ds = −(2c₀s + 4c₁s³)dt + √(ηv)s dW with c₀ = −0.2, c₁ = 1, ηv = 0.16: s² ~ Gamma(2, 25), mean 0.08; read after
        // Stratonovich the mean is 0.1.
        let (drift, noise) = (|s: f64| 0.4 * s - 4.0 * s.powi(3), |s: f64| 0.16 * s * s);
        for (reading, mean) in [(Reading::Ito, 0.08), (Reading::Stratonovich, 0.1)] {
            let law = density(drift, noise, 0.3, reading).unwrap();
            assert!(law.points.iter().all(|x| *x > 0.0));
            let squares = values(&law, |s| s * s);
            assert!((law.moments(&squares).0 - mean).abs() < 1e-5, "{:?}", law.moments(&squares));
        }
        let law = density(drift, noise, 0.3, Reading::Ito).unwrap();
        let squares = values(&law, |s| s * s);
        // Gamma(2, 25): P(X ≤ x) = 1 − (1 + 25x)e^{−25x}.
        let exact = |x: f64| 1.0 - (1.0 + 25.0 * x) * (-25.0 * x).exp();
        let at = [0.001, 0.02, 0.08, 0.3];
        for (got, x) in law.cumulative(&squares, &at).iter().zip(at) {
            assert!((got - exact(x)).abs() < 2e-5, "{got} {}", exact(x));
        }
        // Above the threshold the state collapses.
        let gone = density(drift, |s| 0.9 * s * s, 0.3, Reading::Ito);
        assert!(gone.unwrap_err().contains("cannot be normalised at 0"));
    }

    #[test]
    fn multiplicative_noise_gives_a_power_law() {
        // dx = −x dt + √(η(2x² + 1)) dW: κ = 1 + 1/η.
        for eta in [0.2, 0.5] {
            let law = density(|x| -x, |x| eta * (2.0 * x * x + 1.0), 0.4, Reading::Ito).unwrap();
            let tail = law.tail(&values(&law, |x| x)).unwrap();
            assert!((tail / (1.0 + 1.0 / eta) - 1.0).abs() < 0.01, "{tail}");
            let of_square = law.tail(&values(&law, |x| x * x)).unwrap();
            assert!((2.0 * of_square / tail - 1.0).abs() < 0.01);
        }
    }

    #[test]
    fn densities_between_two_zeros_and_behind_an_edge() {
        // dx = (½ − x)dt + √(x(1 − x)) dW: Beta(1, 1), uniform.
        let law = density(|x| 0.5 - x, |x| x * (1.0 - x), 0.3, Reading::Ito).unwrap();
        let xs = values(&law, |x| x);
        for (got, want) in law.cumulative(&xs, &[0.1, 0.5, 0.9]).iter().zip([0.1, 0.5, 0.9]) {
            assert!((got - want).abs() < 1e-4, "{got}");
        }
        // Cox–Ingersoll–Ross: Gamma(2ab/σ², 2a/σ²) with a = 1, b = 1, σ² = 1: mean 1, variance ½.
        let law = density(|x| 1.0 - x, f64::abs, 1.3, Reading::Ito).unwrap();
        let (mean, variance) = law.moments(&values(&law, |x| x));
        assert!((mean - 1.0).abs() < 1e-4 && (variance - 0.5).abs() < 1e-4, "{mean} {variance}");
        assert!(density(|x| x, |_| 1.0, 0.0, Reading::Ito).unwrap_err().contains("infinity"));
        assert!(density(|x| -x, |_| 0.0, 0.0, Reading::Ito).unwrap_err().contains("vanishes"));
    }

    #[test]
    fn gibbs_takes_the_noise_where_the_drift_vanishes() {
        // U = x⁴/4 − x²/2 about 1, D = x² → 1 there: mean square of exp(−2U).
        let law = density(|x| x - x.powi(3), |x| x * x, 0.5, Reading::Gibbs).unwrap();
        let mean = law.moments(&values(&law, |x| x)).0;
        assert!(mean.abs() < 1e-3, "both wells: {mean}");
    }
}

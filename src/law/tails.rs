//! Heavy tails: whether noise that grows with the distance from the minimum leaves the fourth moment finite.
//!
//! Far out δ' = Mδ with a random matrix M, and the stationary law falls off as a power (Kesten 1973). Where ⟨δ⁴⟩
//! grows without bound the variance may still exist, but the scatter of δ² does not, and no standard error of a
//! measured variance means anything.

use nalgebra::DMatrix;

use super::amplifier::{Amplifier, Curvatures, packed_index, pairs};
use super::recursion::{Mode, Response};
use crate::stats::spectrum::{spectral_radius, symmetric_eigen};

/// Pairs of coordinates beyond which the fourth moment is not followed.
const MOST_PAIRS: usize = 80;
/// Products an iteration of the power method that third and fourth cumulants may take.
const MOST_PRODUCTS: usize = 1 << 21;
/// Iterations of the power method.
const ITERATIONS: usize = 500;
/// Numbers of the state up to which the map of fourth moments is made as a matrix: 126 moments.
const MOST_DENSE: usize = 6;

/// Moments of a scalar multiplier M = m − s with ⟨s⟩ = 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Multiplier {
    /// m.
    pub mean: f64,
    /// ⟨s²⟩.
    pub second: f64,
    /// ⟨s³⟩ of s = ηa − η⟨a⟩.
    pub third: f64,
    /// ⟨s⁴⟩.
    pub fourth: f64,
}

impl Multiplier {
    /// ⟨M⁴⟩: the growth of ⟨δ⁴⟩ in one step.
    pub fn fourth_moment(self) -> f64 {
        let m2 = self.mean * self.mean;
        m2 * m2 + 6.0 * m2 * self.second - 4.0 * self.mean * self.third + self.fourth
    }
}

/// Growth a step of the fourth moment of one parameter under SGD: `multiplier` is the factor of a step without momentum, 1 − ηa, whose random
/// part is that of the curvature a. With momentum the state (x, v) moves by x' = (1 − ηa)x + βv, v' = x' − x, and the five moments ⟨x^(4−k) v^k⟩ obey a linear
/// recursion; the growth is its spectral radius. Exact, whatever the law of the minibatch.
pub(super) fn scalar_growth(multiplier: Multiplier, momentum: f64) -> f64 {
    if momentum == 0.0 {
        return multiplier.fourth_moment();
    }
    let Multiplier { mean, second, third, fourth } = multiplier;
    // With s the random part: x' = X − sx, v' = V − sx; polynomials in (x, v), by the power of v.
    let moments = [1.0, 0.0, second, -third, fourth];
    let (x, v) = ([mean, momentum], [mean - 1.0, momentum]);
    let product = |a: &[f64], b: &[f64]| {
        let mut out = vec![0.0; a.len() + b.len() - 1];
        for (i, a) in a.iter().enumerate() {
            for (j, b) in b.iter().enumerate() {
                out[i + j] += a * b;
            }
        }
        out
    };
    let power = |a: &[f64], n: usize| (0..n).fold(vec![1.0], |sum, _| product(&sum, a));
    let choose = |n: usize, k: usize| (0..k).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64);
    let mut map = DMatrix::zeros(5, 5);
    for k in 0..5 {
        // ⟨(X − sx)^(4−k) (V − sx)^k⟩, term by term in the powers of −sx.
        for i in 0..=4 - k {
            for j in 0..=k {
                let weight = choose(4 - k, i) * choose(k, j) * moments[i + j];
                let rest = product(&power(&x, 4 - k - i), &power(&v, k - j));
                for (of_v, coefficient) in rest.iter().enumerate() {
                    map[(k, of_v)] += weight * coefficient;
                }
            }
        }
    }
    spectral_radius(&map)
}

/// Growth a step of the fourth moment of the state s, δ or (δ, v): s' = Ms + Σ_k g_k ξ_k with normal noise ξ of
/// covariance Q(δδᵀ) = f (E[A δδᵀ A] − H̄ δδᵀ H̄) at the position e·s where it is felt, each law of motion and each scheme with its own M, g and e
/// ([`Response::mode`]), so that T = ⟨s⊗s⊗s⊗s⟩ obeys
/// `T' = M⊗⁴T + 6 sym(M⊗M ⊗ Q)T + 3 sym(Q⊗Q)T`.
/// Exact for the laws of motion with normal noise (of schemes that evaluate it twice, to leading order in the step), and for SGD in the limit of large
/// batches; with the `cumulants` of the minibatch's curvature beyond the second it is exact for SGD of any batch. Without them it may err either
/// way: too large where the curvature's kurtosis is below 3, too small where it is above. `None` for too many parameters, or a law
/// without steps.
pub(super) fn growth(
    response: Response,
    hessian: &DMatrix<f64>,
    decay: f64,
    factor: f64,
    curvatures: &Curvatures,
    cumulants: Option<&Cumulants>,
) -> Option<f64> {
    let size = hessian.nrows();
    let eigen = symmetric_eigen(hessian);
    let modes: Vec<Mode> = eigen.eigenvalues.iter().map(|&h| response.mode(h)).collect::<Option<_>>()?;
    let numbers = modes.first()?.numbers;
    let state = numbers * size;
    if state * (state + 1) / 2 > MOST_PAIRS {
        return None;
    }
    let gains = DMatrix::from_element(size, size, factor);
    let amplifier = Amplifier::new(curvatures, &eigen.eigenvectors, &eigen.eigenvalues, decay, &gains);
    let amplified = amplifier.matrix()?;
    // Number a of mode i is at a·size + i.
    let motion = DMatrix::from_fn(state, state, |row, column| {
        let (i, j) = (row % size, column % size);
        if i == j { modes[i].step[(row / size, column / size)] } else { 0.0 }
    });
    let pairs = pairs(state);
    let drift = square_of(&motion);
    let noise = DMatrix::from_fn(pairs.len(), pairs.len(), |row, column| {
        let ((p, q), (u, w)) = (pairs[row], pairs[column]);
        let (i, l, j, m) = (p % size, q % size, u % size, w % size);
        let brought: f64 =
            modes[i].kicks.iter().zip(&modes[l].kicks).map(|(a, b)| a[p / size] * b[q / size]).sum();
        // Both orders of two numbers of one mode.
        let twice = if j == m && u != w { 2.0 } else { 1.0 };
        let felt = twice * modes[j].felt[u / size] * modes[m].felt[w / size];
        brought * amplified[(packed_index(i, l), packed_index(j, m))] * felt
    });
    let beyond = cumulants.map(|cumulants| {
        let bare = DMatrix::from_diagonal(&eigen.eigenvalues.map(|h| h - decay));
        // What one sample does to a step, in units of what noise of the covariance N does: 1, or √(1/l) for a step of SVAG.
        let of_sample = match response {
            Response::Substeps { substeps, .. } => 1.0 / f64::from(substeps),
            _ => 1.0_f64,
        };
        let samples = cumulants.samples.iter().map(|(weight, a)| {
            let off = eigen.eigenvectors.tr_mul(a) * &eigen.eigenvectors - &bare;
            let kick = DMatrix::from_fn(state, state, |row, column| {
                let (i, j) = (row % size, column % size);
                let brought = modes[i].kicks.iter().map(|k| k[row / size]).sum::<f64>() * of_sample.sqrt();
                -brought * off[(i, j)] * modes[j].felt[column / size]
            });
            let square = square_of(&kick);
            let mixed = square_of(&(&motion + kick)) - &drift - &square;
            (*weight, square, mixed)
        });
        let share = of_sample / factor;
        Beyond {
            samples: samples.collect(),
            third: cumulants.third,
            fourth: cumulants.fourth,
            normal: cumulants.fourth * share * share,
        }
    });
    Some(radius(&Moments { drift, noise, pairs, beyond }, state))
}

/// What makes the cumulants of the minibatch's mean curvature X beyond the second: κ₃ = `third`·⟨x⊗³⟩ and κ₄ = `fourth`·(⟨x⊗⁴⟩ − 3 sym⟨x⊗²⟩⊗²) for samples
/// x = A − H̄. Independent draws: 1/S² and 1/S³; of SVAG's weights a, b: (a³ + b³)/S² and (a⁴ + b⁴)/S³.
#[derive(Clone, Debug)]
pub(super) struct Cumulants {
    /// Weights and Hessians of a finite population.
    pub samples: Vec<(f64, DMatrix<f64>)>,
    /// Factor of ⟨x⊗³⟩.
    pub third: f64,
    /// Factor of the fourth cumulant.
    pub fourth: f64,
}

impl Cumulants {
    /// True if the growth is quickly found with so many samples, for so many numbers of the state.
    pub fn feasible(samples: usize, state: usize) -> bool {
        let pairs = state * (state + 1) / 2;
        pairs <= MOST_PAIRS && samples * pairs.pow(3) <= MOST_PRODUCTS
    }
}

/// The same, as maps of the moments: weight, N⊗N and N⊗B + B⊗N of each sample's kick N = −ηx.
struct Beyond {
    samples: Vec<(f64, DMatrix<f64>, DMatrix<f64>)>,
    third: f64,
    fourth: f64,
    /// What to take of the normal fourth moment of the batch.
    normal: f64,
}

impl Beyond {
    /// `4κ₃ sym(B⊗N⊗³)T + κ₄ N⊗⁴T`, but for the normal part.
    fn apply(&self, moment: &DMatrix<f64>) -> DMatrix<f64> {
        let mut sum = DMatrix::zeros(moment.nrows(), moment.ncols());
        for (weight, square, mixed) in &self.samples {
            let half = square * moment;
            let skew = &half * mixed.transpose();
            sum += (&skew + skew.transpose()) * (self.third * weight);
            sum += half * square.transpose() * (self.fourth * weight);
        }
        sum
    }
}

/// M⊗M on vech.
fn square_of(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    let pairs = pairs(matrix.nrows());
    DMatrix::from_fn(pairs.len(), pairs.len(), |row, column| {
        let ((i, l), (j, m)) = (pairs[row], pairs[column]);
        let mut sum = matrix[(i, j)] * matrix[(l, m)];
        if j != m {
            sum += matrix[(i, m)] * matrix[(l, j)];
        }
        sum
    })
}

/// The map of fourth moments, `T ↦ DTDᵀ + sym₃(DTQᵀ + QTDᵀ + QTQᵀ)`, with sym₃ the sum over the three pairings, and what is beyond. A moment is a matrix over
/// pairs of numbers.
struct Moments {
    drift: DMatrix<f64>,
    noise: DMatrix<f64>,
    pairs: Vec<(usize, usize)>,
    beyond: Option<Beyond>,
}

impl Moments {
    fn pairings(&self, w: &DMatrix<f64>) -> DMatrix<f64> {
        let at = |i: usize, j: usize, k: usize, l: usize| w[(packed_index(i, j), packed_index(k, l))];
        let pairs = &self.pairs;
        DMatrix::from_fn(pairs.len(), pairs.len(), |row, column| {
            let ((i, j), (k, l)) = (pairs[row], pairs[column]);
            at(i, j, k, l) + at(i, k, j, l) + at(i, l, j, k)
        })
    }

    fn apply(&self, moment: &DMatrix<f64>) -> DMatrix<f64> {
        let carried = &self.drift * moment;
        let felt = &self.noise * moment;
        let crossed = &carried * self.noise.transpose();
        let normal = 1.0 - self.beyond.as_ref().map_or(0.0, |b| b.normal);
        let mixed = &crossed + crossed.transpose() + &felt * self.noise.transpose() * normal;
        let mut next = carried * self.drift.transpose() + self.pairings(&mixed);
        if let Some(beyond) = &self.beyond {
            next += beyond.apply(moment);
        }
        next
    }

    /// Its matrix on the moments ⟨s_i s_j s_k s_l⟩, i ≤ j ≤ k ≤ l.
    fn matrix(&self, state: usize) -> DMatrix<f64> {
        let mut places = Vec::new();
        for l in 0..state {
            for k in 0..=l {
                for j in 0..=k {
                    places.extend((0..=j).map(|i| [i, j, k, l]));
                }
            }
        }
        let size = self.pairs.len();
        let mut matrix = DMatrix::zeros(places.len(), places.len());
        for (column, place) in places.iter().enumerate() {
            // The symmetric tensor that is 1 there.
            let unit = DMatrix::from_fn(size, size, |row, other| {
                let ((a, b), (c, d)) = (self.pairs[row], self.pairs[other]);
                let mut here = [a, b, c, d];
                here.sort_unstable();
                f64::from(u8::from(here == *place))
            });
            let moved = self.apply(&unit);
            for (row, &[i, j, k, l]) in places.iter().enumerate() {
                matrix[(row, column)] = moved[(packed_index(i, j), packed_index(k, l))];
            }
        }
        matrix
    }
}

/// Spectral radius: that of the matrix for few numbers, else the mean growth of a moment that is repeatedly mapped, over its later half.
fn radius(map: &Moments, state: usize) -> f64 {
    if state <= MOST_DENSE {
        return spectral_radius(&map.matrix(state));
    }
    let pairs = &map.pairs;
    let unit = DMatrix::from_fn(pairs.len(), pairs.len(), |row, column| {
        f64::from(u8::from(pairs[row].0 == pairs[row].1 && pairs[column].0 == pairs[column].1))
    });
    let mut moment = map.pairings(&unit);
    // Oscillating motions have several eigenvalues of one modulus: then the ratio of two steps never settles. Weights that rise and fall smoothly take
    // its oscillations out of the mean.
    let (mut logarithms, mut weights) = (0.0, 0.0);
    let half = ITERATIONS / 2;
    for iteration in 0..ITERATIONS {
        moment /= moment.norm();
        moment = map.apply(&moment);
        let norm = moment.norm();
        if !(norm > 0.0 && norm.is_finite()) {
            return norm;
        }
        if iteration >= half {
            let weight =
                (std::f64::consts::PI * ((iteration - half) as f64 + 0.5) / half as f64).sin().powi(2);
            logarithms += weight * norm.ln();
            weights += weight;
        }
    }
    (logarithms / weights).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::DVector;

    #[test]
    fn one_dimension_has_the_closed_form() {
        // Curvature moments of a = x², x ~ N(0, 1): ⟨a²⟩ = 3. The SDE's tail index is 1 + 1/(ηs) and
        // with Euler–Maruyama steps m⁴ + 6m²s₂ + 3s₂².
        let hessian = DMatrix::from_element(1, 1, 1.0);
        let curvatures = Curvatures::Moments(DMatrix::from_element(1, 1, 3.0));
        for (rate, substeps) in [(0.2, 1), (0.4, 4), (0.3, 10)] {
            let step: f64 = rate / f64::from(substeps);
            let (mean, second) = (1.0 - step, 2.0 * step * rate);
            let closed =
                Multiplier { mean, second, third: 0.0, fourth: 3.0 * second * second }.fourth_moment();
            let response = Response::Substeps { rate, substeps };
            let ours = growth(response, &hessian, 0.0, 1.0, &curvatures, None).unwrap();
            assert!((ours / closed - 1.0).abs() < 1e-12, "{ours} {closed}");
        }
        // κ = 4 at η = 1/3 in the limit of small steps.
        let at = |rate| {
            growth(Response::Substeps { rate, substeps: 1000 }, &hessian, 0.0, 1.0, &curvatures, None)
                .unwrap()
        };
        assert!(at(0.3325) < 1.0 && at(0.334) > 1.0);
        // The exact multiplier of SGD: −4 + 18η − 60η² + 105η³ = 0 at 0.383451.
        let sgd = |eta: f64| {
            let (m2, m3, m4) = (2.0 * eta * eta, 8.0 * eta.powi(3), 60.0 * eta.powi(4));
            Multiplier { mean: 1.0 - eta, second: m2, third: m3, fourth: m4 }.fourth_moment()
        };
        assert!(sgd(0.383_450) < 1.0 && sgd(0.383_452) > 1.0);
    }

    #[test]
    fn an_oscillating_motion_without_multiplicative_noise_has_no_tails() {
        // The same curvature in every sample: only the heavy ball moves, with eigenvalues of modulus √β.
        let hessian = DMatrix::from_element(1, 1, 1.0);
        let curvatures = Curvatures::Moments(DMatrix::from_element(1, 1, 1.0));
        for (rate, momentum) in [(0.1, 0.9), (0.05, 0.95), (0.5, 0.5_f64)] {
            let response = Response::Iteration { rate, momentum };
            let ours = growth(response, &hessian, 0.0, 1.0, &curvatures, None).unwrap();
            let expected = momentum * momentum;
            assert!((ours / expected - 1.0).abs() < 0.02, "{ours} for {expected}");
        }
    }

    #[test]
    fn one_parameter_with_momentum_has_its_tails_exactly() {
        // Normal curvature noise: as the tensors say.
        let hessian = DMatrix::from_element(1, 1, 1.0);
        for (rate, momentum, spread) in [(0.2, 0.5, 2.0), (0.05, 0.9, 2.0), (0.4, 0.0, 1.0_f64)] {
            let curvatures = Curvatures::Moments(DMatrix::from_element(1, 1, 1.0 + spread));
            let tensors =
                growth(Response::Iteration { rate, momentum }, &hessian, 0.0, 1.0, &curvatures, None)
                    .unwrap();
            let second = rate * rate * spread;
            let multiplier =
                Multiplier { mean: 1.0 - rate, second, third: 0.0, fourth: 3.0 * second * second };
            let ours = scalar_growth(multiplier, momentum);
            assert!((ours / tensors - 1.0).abs() < 0.02, "{rate} {momentum}: {ours} {tensors}");
        }
        // Curvatures 0.2 and 2 with probabilities ½: the Kronecker power of the two steps.
        let (rate, momentum, points) = (0.3, 0.6, [0.2, 2.0]);
        let fourth = points.iter().fold(DMatrix::zeros(16, 16), |sum, a| {
            let step = DMatrix::from_row_slice(2, 2, &[1.0 - rate * a, momentum, -rate * a, momentum]);
            let square = step.kronecker(&step);
            sum + square.kronecker(&square) * 0.5
        });
        let eigenvalues = fourth.complex_eigenvalues();
        let expected =
            eigenvalues.iter().map(|z: &nalgebra::Complex<f64>| z.re.hypot(z.im)).fold(0.0, f64::max);
        let s: f64 = rate * 0.9;
        let multiplier = Multiplier { mean: 1.0 - rate * 1.1, second: s * s, third: 0.0, fourth: s.powi(4) };
        let ours = scalar_growth(multiplier, momentum);
        assert!((ours / expected - 1.0).abs() < 1e-9, "{ours} {expected}");
    }

    #[test]
    fn inertia_has_the_tails_of_its_own_steps() {
        // Curvatures 1 ± 0.8 with equal weights and normal noise, which is felt and enters in the middle of a step: the Kronecker power of the steps for
        // three points of a normal number, exact to the fourth moment that is asked for.
        let hessian = DMatrix::from_element(1, 1, 1.0);
        let spread: f64 = 0.8;
        let curvatures = Curvatures::Moments(DMatrix::from_element(1, 1, 1.0 + spread * spread));
        let mut seen = Vec::new();
        for (rate, friction, substeps) in
            [(0.3, 0.1, 1), (0.3, 0.5, 1), (1.2, 1.0, 1), (1.9, 0.4, 2), (0.5, 3.0, 2)]
        {
            let response = Response::Inertia { rate, friction, substeps };
            let mode = response.mode(1.0).unwrap();
            let nodes = [(-3.0_f64.sqrt(), 1.0 / 6.0), (0.0, 2.0 / 3.0), (3.0_f64.sqrt(), 1.0 / 6.0)];
            let fourth = nodes.iter().fold(DMatrix::zeros(16, 16), |sum, &(z, weight)| {
                let step = mode.step + mode.kicks[0] * mode.felt.transpose() * (spread * z);
                let square = step.kronecker(&step);
                let fourth: DMatrix<f64> =
                    DMatrix::from_column_slice(16, 16, square.kronecker(&square).as_slice());
                sum + fourth * weight
            });
            let (ours, expected) =
                (growth(response, &hessian, 0.0, 1.0, &curvatures, None).unwrap(), spectral_radius(&fourth));
            assert!((ours / expected - 1.0).abs() < 1e-9, "{response:?}: {ours} {expected}");
            seen.push(ours);
        }
        // Both sides of the limit.
        assert!(seen.iter().any(|g| *g > 1.0) && seen.iter().any(|g| *g < 1.0), "{seen:?}");
    }

    #[test]
    fn many_numbers_are_followed_to_the_growth_of_few() {
        // Four independent directions, of which the second has the heaviest tail: a matrix of moments is not made for so many numbers.
        let few = DMatrix::from_diagonal(&DVector::from_vec(vec![1.0, 2.0]));
        let many = DMatrix::from_diagonal(&DVector::from_vec(vec![1.0, 2.0, 0.5, 0.2]));
        let of = |hessian: &DMatrix<f64>, momentum| {
            let size = hessian.nrows();
            // Samples 0 and 2a in each direction by itself.
            let samples: Vec<f64> = (0..1 << size)
                .flat_map(|k: usize| {
                    let own = move |i: usize| if k >> i & 1 == 1 { 2.0 * hessian[(i, i)] } else { 0.0 };
                    (0..size * size).map(move |e| if e / size == e % size { own(e / size) } else { 0.0 })
                })
                .collect();
            let curvatures = Curvatures::new(&samples, &vec![1.0 / f64::from(1 << size); 1 << size], size);
            growth(Response::Iteration { rate: 0.3, momentum }, hessian, 0.0, 1.0, &curvatures, None).unwrap()
        };
        for momentum in [0.2, 0.6] {
            let (exact, followed) = (of(&few, momentum), of(&many, momentum));
            assert!((followed / exact - 1.0).abs() < 1e-2, "{followed} {exact}");
        }
    }

    #[test]
    fn the_growth_is_found_for_every_momentum_and_rate() {
        // Without randomness the growth is that of the mean motion, to the fourth power: of z² − (1 + β − ηa)z + β = 0.
        for beta in [0.0, 0.1, 0.25, 0.5, 0.6, 0.9, 0.99_f64] {
            for step in [0.0, 0.1, 0.5, 1.0, 1.1, 1.25, 1.5, 1.9, 1.99, 2.0, 2.5, 3.0, 3.9_f64] {
                let multiplier = Multiplier { mean: 1.0 - step, second: 0.0, third: 0.0, fourth: 0.0 };
                let half = 0.5 * (1.0 + beta - step);
                let apart = half * half - beta;
                let largest = if apart < 0.0 { beta.sqrt() } else { half.abs() + apart.sqrt() };
                let largest = if beta == 0.0 { (1.0 - step).abs() } else { largest };
                let ours = scalar_growth(multiplier, beta);
                // Where two eigenvalues meet the fifth powers of rounding do, too.
                assert!((ours - largest.powi(4)).abs() <= 1e-2 * largest.powi(4), "{beta} {step}: {ours}");
            }
        }
    }

    #[test]
    fn two_dimensions_with_momentum_match_products_of_random_steps() {
        // Two samples with curvatures A₁, A₂ and equal weights, normal noise; 2¹⁸ steps from a fixed fourth moment.
        let samples = [[1.5, 0.4, 0.4, 0.3], [0.2, -0.1, -0.1, 0.9]];
        let flat: Vec<f64> = samples.concat();
        let curvatures = Curvatures::new(&flat, &[0.5, 0.5], 2);
        let hessian = DMatrix::from_fn(2, 2, |i, j| 0.5 * (samples[0][2 * i + j] + samples[1][2 * i + j]));
        let difference = DMatrix::from_fn(2, 2, |i, j| 0.5 * (samples[0][2 * i + j] - samples[1][2 * i + j]));
        let (rate, momentum) = (0.6, 0.3);
        let response = Response::Iteration { rate, momentum };
        let ours = growth(response, &hessian, 0.0, 1.0, &curvatures, None).unwrap();
        // δ' for one normal number z: the noise is z·ΔAδ. ⟨f(z)⟩ for polynomials of degree 4 by three nodes.
        let nodes = [(-3.0_f64.sqrt(), 1.0 / 6.0), (0.0, 2.0 / 3.0), (3.0_f64.sqrt(), 1.0 / 6.0)];
        let steps: Vec<(f64, DMatrix<f64>)> = nodes
            .iter()
            .map(|&(z, weight)| {
                let force = (&hessian + &difference * z) * rate;
                let step = DMatrix::from_fn(4, 4, |i, j| {
                    let unit = f64::from(u8::from(i % 2 == j % 2));
                    match (i < 2, j < 2) {
                        (true, true) => unit - force[(i, j)],
                        (false, true) => -force[(i % 2, j)],
                        (_, false) => momentum * unit,
                    }
                });
                (weight, step)
            })
            .collect();
        // The whole Kronecker power, 256 × 256.
        let fourth = steps.iter().fold(DMatrix::zeros(256, 256), |sum, (weight, step)| {
            let square = step.kronecker(step);
            sum + square.kronecker(&square) * *weight
        });
        let start = DVector::from_fn(256, |i, _| f64::from(u8::from(i % 16 % 5 == 0 && i / 16 % 5 == 0)));
        let expected = growth_by(&fourth, start, 2000);
        assert!((ours / expected - 1.0).abs() < 1e-3, "{ours} for {expected}");
    }

    /// What a vector grows by in the last of so many products with a matrix.
    fn growth_by(matrix: &DMatrix<f64>, mut vector: DVector<f64>, products: usize) -> f64 {
        let mut growth = 0.0;
        for _ in 0..products {
            vector = matrix * vector;
            growth = vector.norm();
            vector /= growth;
        }
        growth
    }

    #[test]
    fn a_table_has_its_own_fourth_moments() {
        // Three samples in two parameters, batches of 1 and 2 drawn with replacement: the Kronecker power over all of them.
        let samples = [[1.9, 0.5, 0.5, 0.3], [0.1, -0.2, -0.2, 1.4], [0.6, 0.1, 0.1, 0.2]];
        let weight = 1.0 / 3.0;
        let curvatures = Curvatures::new(&samples.concat(), &[weight; 3], 2);
        let matrices = samples.map(|s| DMatrix::from_row_slice(2, 2, &s));
        let hessian = (&matrices[0] + &matrices[1] + &matrices[2]) * weight;
        for (rate, momentum, batch) in [(0.9, 0.0, 1), (0.9, 0.0, 2), (0.5, 0.4, 1), (0.5, 0.4, 2)] {
            let count = f64::from(batch);
            let cumulants = Cumulants {
                samples: matrices.iter().map(|a| (weight, a.clone())).collect(),
                third: count.powi(-2),
                fourth: count.powi(-3),
            };
            let response = Response::Iteration { rate, momentum };
            let ours = growth(response, &hessian, 0.0, 1.0 / count, &curvatures, Some(&cumulants)).unwrap();
            let state: usize = if momentum == 0.0 { 2 } else { 4 };
            let mut fourth = DMatrix::zeros(state.pow(4), state.pow(4));
            for first in &matrices {
                for second in &matrices {
                    let a = if batch == 1 { first.clone() } else { (first + second) * 0.5 };
                    let step = DMatrix::from_fn(state, state, |i, j| {
                        let unit = f64::from(u8::from(i % 2 == j % 2));
                        match (i < 2, j < 2) {
                            (true, true) => unit - rate * a[(i, j)],
                            (false, true) => -rate * a[(i % 2, j)],
                            (_, false) => momentum * unit,
                        }
                    });
                    let square = step.kronecker(&step);
                    fourth += square.kronecker(&square) * (weight * weight);
                }
            }
            let start = DVector::from_fn(state.pow(4), |i, _| 1.0 / (1.0 + i as f64));
            let expected = growth_by(&fourth, start, 1500);
            assert!((ours / expected - 1.0).abs() < 2e-3, "{rate} {momentum} {batch}: {ours} for {expected}");
            // The normal surrogate is another: the control.
            let normal = growth(response, &hessian, 0.0, 1.0 / count, &curvatures, None).unwrap();
            assert!((normal / expected - 1.0).abs() > 5e-3, "{normal} {expected}");
        }
    }
}

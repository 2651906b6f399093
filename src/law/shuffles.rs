//! SGD without replacement about the minimum of a loss that is quadratic for each sample: the exact linear theory, averaged over permutations.
//!
//! With δ = θ − θ*, A_k the Hessian and g_k the gradient of sample k at θ*, decay included, Σ g_k = 0, a batch s moves x = (δ, v) by the affine map
//! v' = βv − η(Ā_s δ + ḡ_s), δ' = δ + v'. The first m batches of a permutation make x_m = M_m x_0 + b_m, and the permutation knows nothing of x_0:
//!
//! ```text
//! x̄ = E[M]x̄ + E[b],    S = E[MSMᵀ + Mx̄bᵀ + b(Mx̄)ᵀ + bbᵀ]        at the ends of epochs (all B batches),
//! S_m = E[M_m S M_mᵀ + M_m x̄ b_mᵀ + b_m (M_m x̄)ᵀ + b_m b_mᵀ]       after m batches of one.
//! ```
//!
//! These are exact. The A_k do not commute, and E[M⊗M] has no closed form; the expectations are taken over all permutations where they are few, else
//! over a seeded sample of them, with standard errors from its parts, each permutation with its reverse: to leading order the mean shift is a sum over pairs
//! of batches one before the other, and both together have every pair once. What the same permutations make of a curvature that is the same for all
//! samples, b⁰_m, has a covariance Q_m in closed form ([`super::epochs`]) and the mean 0: only the difference from it is left to the sample.
//!
//! Rows with fresh draws behind them are permuted alike; whenever one is met it is one of its nodes, by their weights, independently: the expectations
//! are over permutations and draws together, and Q_m is the sum of that of the rows' means and of that of the draws about them.

use nalgebra::{DMatrix, DVector};

use super::epochs::{Epoch, Parts, covariances};
use super::lyapunov;
use super::sums::About;
use crate::lanes::{Purpose, Stream};
use crate::model::critical::Minimum;
use crate::model::formula::FormulaModel;

/// Multiplications that a prediction may cost, about.
const WORK: usize = 1_000_000_000;
/// A sample of fewer permutations says too little.
const FEWEST: usize = 256;
const MOST: usize = 8192;
/// Most entries of all curvatures.
const MOST_NUMBERS: usize = 1 << 25;
/// Parts of the sample, for its errors.
const PARTS: usize = 16;
/// Rounds of the fixed point of S.
const ROUNDS: usize = 500;

/// The stationary law, and its standard errors.
pub(super) struct Stationary {
    pub about: About,
    pub errors: About,
    /// Permutations; all of them if the law is known without an error.
    pub permutations: usize,
    pub all: bool,
}

/// What SGD does.
#[derive(Clone, Copy)]
pub(super) struct Descent<'a> {
    pub rate: f64,
    pub momentum: f64,
    pub decay: f64,
    pub epoch: &'a Epoch,
}

/// The linear maps of one descent.
struct Maps<'a> {
    descent: Descent<'a>,
    /// P, and the numbers of the state: P, or 2P with momentum.
    size: usize,
    state: usize,
    /// A_k and g_k, decay included.
    curvatures: Vec<DMatrix<f64>>,
    slopes: Vec<DVector<f64>>,
    hessian: DMatrix<f64>,
    /// The nodes of a row, which follow each other: cumulative probabilities. A single one in a table.
    nodes: Vec<f64>,
}

/// Where a permutation has led: rows δ and v of M and, in the last column, b; and of b⁰.
struct Place {
    position: DMatrix<f64>,
    velocity: DMatrix<f64>,
    plain: DVector<f64>,
    plain_velocity: DVector<f64>,
}

impl Maps<'_> {
    fn start(&self) -> Place {
        let (p, columns) = (self.size, self.state + 1);
        let position = DMatrix::from_fn(p, columns, |i, j| f64::from(u8::from(i == j)));
        let velocity = DMatrix::from_fn(p, columns, |i, j| f64::from(u8::from(self.state > p && j == p + i)));
        Place { position, velocity, plain: DVector::zeros(p), plain_velocity: DVector::zeros(p) }
    }

    /// One batch further.
    fn advance(&self, place: &mut Place, batch: &[usize]) {
        let Descent { rate, momentum, .. } = self.descent;
        let share = 1.0 / batch.len() as f64;
        let mut curvature = DMatrix::zeros(self.size, self.size);
        let mut slope = DVector::zeros(self.size);
        for &k in batch {
            curvature += &self.curvatures[k];
            slope += &self.slopes[k];
        }
        let last = self.state;
        place.velocity.gemm(-rate * share, &curvature, &place.position, momentum);
        place.velocity.column_mut(last).axpy(-rate * share, &slope, 1.0);
        place.position += &place.velocity;
        place.plain_velocity.gemv(-rate, &self.hessian, &place.plain, momentum);
        place.plain_velocity.axpy(-rate * share, &slope, 1.0);
        place.plain += &place.plain_velocity;
    }

    /// M and b, and b⁰, of the whole state.
    fn affine(&self, place: &Place) -> (DMatrix<f64>, DVector<f64>, DVector<f64>) {
        let (p, n) = (self.size, self.state);
        let pick = |i: usize| if i < p { (&place.position, i) } else { (&place.velocity, i - p) };
        let map = DMatrix::from_fn(n, n, |i, j| {
            let (rows, i) = pick(i);
            rows[(i, j)]
        });
        let shift = DVector::from_fn(n, |i, _| {
            let (rows, i) = pick(i);
            rows[(i, n)]
        });
        let plain =
            DVector::from_fn(n, |i, _| if i < p { place.plain[i] } else { place.plain_velocity[i - p] });
        (map, shift, plain)
    }

    /// Goes through a permutation, batch by batch; `visit` is told of each place, the start first.
    fn walk(&self, order: &[usize], visit: &mut dyn FnMut(usize, &Place)) -> Place {
        let mut place = self.start();
        let mut first = 0;
        for (m, &size) in self.descent.epoch.batches.iter().enumerate() {
            visit(m, &place);
            self.advance(&mut place, &order[first..first + size]);
            first += size;
        }
        place
    }
}

/// The permutations that expectations are taken over.
enum Orders {
    All(Vec<Vec<usize>>),
    /// So many, from this seed, each second one the reverse of the one before; of rows that each have nodes of these cumulative probabilities.
    Drawn(usize, u64, Vec<f64>),
}

impl Orders {
    fn new(samples: usize, drawn: usize, seed: u64, nodes: &[f64]) -> Self {
        let all: usize = (1..=samples).try_fold(1_usize, usize::checked_mul).unwrap_or(usize::MAX);
        if all > drawn.max(1) || nodes.len() > 1 {
            return Self::Drawn(drawn, seed, nodes.to_vec());
        }
        let mut orders: Vec<Vec<usize>> = vec![Vec::new()];
        for _ in 0..samples {
            let longer = |order: &Vec<usize>| {
                (0..samples)
                    .filter(|k| !order.contains(k))
                    .map(|k| [&order[..], &[k]].concat())
                    .collect::<Vec<_>>()
            };
            orders = orders.iter().flat_map(longer).collect();
        }
        Self::All(orders)
    }

    fn len(&self) -> usize {
        match self {
            Self::All(list) => list.len(),
            Self::Drawn(count, ..) => *count,
        }
    }

    fn each(&self, samples: usize, f: &mut dyn FnMut(usize, &[usize])) {
        match self {
            Self::All(list) => list.iter().enumerate().for_each(|(i, order)| f(i, order)),
            Self::Drawn(count, seed, nodes) => {
                let mut stream = Stream::new(*seed, Purpose::Reference, 3);
                let mut order: Vec<usize> = (0..samples).collect();
                let mut visited = Vec::with_capacity(samples);
                for index in 0..*count {
                    if nodes.len() <= 1 {
                        if index % 2 == 1 {
                            order.reverse();
                        } else {
                            shuffle(&mut order, &mut stream);
                        }
                        f(index, &order);
                        continue;
                    }
                    if index % 2 == 1 {
                        visited.reverse();
                    } else {
                        shuffle(&mut order, &mut stream);
                        visited.clear();
                        visited.extend(order.iter().map(|row| {
                            let u = stream.uniform();
                            let node = nodes.partition_point(|p| *p <= u).min(nodes.len() - 1);
                            row * nodes.len() + node
                        }));
                    }
                    f(index, &visited);
                }
            }
        }
    }
}

/// Another permutation, by Fisher and Yates.
fn shuffle(order: &mut [usize], stream: &mut Stream) {
    let samples = order.len();
    for here in 0..samples.saturating_sub(1) {
        order.swap(here, here + stream.below((samples - here) as u64) as usize);
    }
}

/// Second moment and mean of MX + b with X of mean x̄ and second moment S.
fn moved(
    map: &DMatrix<f64>,
    shift: &DVector<f64>,
    mean: &DVector<f64>,
    second: &DMatrix<f64>,
) -> DMatrix<f64> {
    let carried = map * mean;
    let cross = &carried * shift.transpose();
    map * second * map.transpose() + &cross + cross.transpose() + shift * shift.transpose()
}

/// The law about the minimum, averaged over the places in an epoch with the weights `phases`; `None` where it would cost too much.
///
/// # Errors
/// A sentence, where there is no stationary law.
pub(super) fn stationary(
    model: &FormulaModel,
    minimum: &Minimum,
    descent: Descent<'_>,
    phases: &[f64],
    seed: u64,
) -> Result<Option<Stationary>, String> {
    let size = minimum.theta.len();
    let samples = descent.epoch.samples;
    let state = if descent.momentum == 0.0 { size } else { 2 * size };
    let visited = phases.iter().skip(1).filter(|w| **w > 0.0).count();
    let batches = descent.epoch.batches.len();
    let cost = samples * size * size + batches * size * size * state + visited * 3 * state * state * state;
    let drawn = (WORK / cost.max(1)).min(MOST) / (2 * PARTS) * (2 * PARTS);
    if drawn < FEWEST || model.nodes().len() * size * size > MOST_NUMBERS {
        return Ok(None);
    }
    let maps = maps(model, minimum, descent, size, state);
    let Descent { rate, momentum, epoch, .. } = descent;
    let parts = Parts::of(model, minimum);
    let rows = parts.as_ref().map_or(&minimum.covariance, |parts| &parts.rows);
    let mut closed = covariances(&minimum.hessian, rows, size, (rate, momentum), epoch);
    if let Some(parts) = &parts {
        let fresh = covariances(&minimum.hessian, &parts.draws, size, (rate, momentum), &epoch.independent());
        closed.iter_mut().zip(fresh).for_each(|(sum, own)| *sum += own);
    }
    of_maps(&maps, &closed, phases, drawn, seed).map(Some)
}

/// The same for linear maps, with the covariances Q_0 … Q_B of what a common curvature makes; over all permutations if they are no more than `drawn`.
fn of_maps(
    maps: &Maps<'_>,
    closed: &[DMatrix<f64>],
    phases: &[f64],
    drawn: usize,
    seed: u64,
) -> Result<Stationary, String> {
    let (size, state) = (maps.size, maps.state);
    let (samples, batches) = (maps.descent.epoch.samples, maps.descent.epoch.batches.len());
    let visited = phases.iter().skip(1).any(|w| *w > 0.0);
    let orders = Orders::new(samples, drawn, seed, &maps.nodes);

    // Whole epochs.
    let count = orders.len();
    let mut ends = Vec::with_capacity(count);
    orders.each(samples, &mut |_, order| ends.push(maps.affine(&maps.walk(order, &mut |_, _| {}))));
    let share = 1.0 / count as f64;
    let (mut map, mut shift) = (DMatrix::zeros(state, state), DVector::zeros(state));
    for (m, b, plain) in &ends {
        map += m * share;
        shift += (b - plain) * share;
    }
    let resolvent = (DMatrix::identity(state, state) - &map).try_inverse();
    let resolvent =
        resolvent.ok_or("an epoch leaves a direction as it is: there is nothing to fluctuate about")?;
    let mean = &resolvent * &shift;
    let mut constant = closed[batches].clone();
    for (m, b, plain) in &ends {
        let cross = m * &mean * b.transpose();
        constant += (&cross + cross.transpose() + b * b.transpose() - plain * plain.transpose()) * share;
    }
    let second = fixed_point(&map, &constant, &ends)?;

    // Errors, part by part.
    let parts = if matches!(orders, Orders::All(_)) { 1 } else { PARTS };
    let of = |index: usize| index * parts / count;
    let mut part_second = vec![DMatrix::zeros(state, state); parts];
    let mut part_mean = vec![DVector::zeros(state); parts];
    let weight = parts as f64 / count as f64;
    for (index, (m, b, plain)) in ends.iter().enumerate() {
        let own = moved(m, b, &mean, &second) - plain * plain.transpose();
        part_second[of(index)] += own * weight;
        part_mean[of(index)] += (m * &mean + b - plain) * weight;
    }
    let mut begin = Vec::with_capacity(parts);
    for (own, shifted) in part_second.iter().zip(&part_mean) {
        let surplus = own + &closed[batches] - &second;
        begin.push((&second + lyapunov::discrete(&map, &surplus)?, &mean + &resolvent * (shifted - &mean)));
    }

    // Places within an epoch.
    let mut inside: Vec<(DMatrix<f64>, DVector<f64>)> =
        begin.iter().map(|(s, x)| (s * phases[0], x * phases[0])).collect();
    let mut whole = (&second * phases[0], &mean * phases[0]);
    if visited {
        let known =
            closed.iter().zip(phases).skip(1).fold(DMatrix::zeros(state, state), |sum, (q, w)| sum + q * *w);
        let mut sums = vec![(known.clone(), DVector::zeros(state)); parts];
        orders.each(samples, &mut |index, order| {
            let part = of(index);
            let sum = &mut sums[part];
            maps.walk(order, &mut |m, place| {
                let phase = phases.get(m).copied().unwrap_or(0.0);
                if m == 0 || phase == 0.0 {
                    return;
                }
                let (map, b, plain) = maps.affine(place);
                let (start, centre) = &begin[part];
                let own = moved(&map, &b, centre, start) - &plain * plain.transpose();
                sum.0 += own * (weight * phase);
                sum.1 += (map * centre + b - plain) * (weight * phase);
            });
        });
        let each = 1.0 / parts as f64;
        for (total, own) in inside.iter_mut().zip(&sums) {
            total.0 += &own.0;
            total.1 += &own.1;
        }
        for own in &sums {
            whole.0 += &own.0 * each;
            whole.1 += &own.1 * each;
        }
    }
    let errors = scatter(&inside, size);
    let about = (
        whole.1.rows(0, size).into_owned(),
        lyapunov::symmetric(&whole.0.view((0, 0), (size, size)).into_owned()),
    );
    Ok(Stationary { about, errors, permutations: count, all: matches!(orders, Orders::All(_)) })
}

fn maps<'a>(
    model: &FormulaModel,
    minimum: &Minimum,
    descent: Descent<'a>,
    size: usize,
    state: usize,
) -> Maps<'a> {
    let decay = DMatrix::identity(size, size) * descent.decay;
    let pull = DVector::from_column_slice(&minimum.theta) * descent.decay;
    let curvatures = model
        .sample_hessians(&minimum.theta)
        .chunks_exact(size * size)
        .map(|h| DMatrix::from_row_slice(size, size, h) + &decay)
        .collect();
    let slopes = model
        .sample_gradients(&minimum.theta)
        .chunks_exact(size)
        .map(|g| DVector::from_column_slice(g) + &pull)
        .collect();
    let hessian = DMatrix::from_row_slice(size, size, &minimum.hessian);
    let weights = &model.nodes().weights;
    let each = weights.len() / descent.epoch.samples.max(1);
    let mut sum = 0.0;
    let nodes = weights[..each]
        .iter()
        .map(|w| {
            sum += w * descent.epoch.samples as f64;
            sum
        })
        .collect();
    Maps { descent, size, state, curvatures, slopes, hessian, nodes }
}

/// S = M̄SM̄ᵀ + E[(M − M̄)S(M − M̄)ᵀ] + constant.
fn fixed_point(
    map: &DMatrix<f64>,
    constant: &DMatrix<f64>,
    ends: &[(DMatrix<f64>, DVector<f64>, DVector<f64>)],
) -> Result<DMatrix<f64>, String> {
    let share = 1.0 / ends.len() as f64;
    let mut second = lyapunov::discrete(map, constant)?;
    for _ in 0..ROUNDS {
        let mut source = constant.clone();
        for (m, ..) in ends {
            let apart = m - map;
            source += &apart * &second * apart.transpose() * share;
        }
        let next = lyapunov::discrete(map, &source)?;
        let change = (&next - &second).norm();
        second = next;
        if change <= 1e-12 * second.norm() {
            return Ok(second);
        }
        if !change.is_finite() {
            break;
        }
    }
    Err("no stationary covariance exists: what permutations do differently feeds itself (mean-square instability); lower the \
         rate or raise the batch"
        .to_owned())
}

/// Standard errors of the mean of parts.
fn scatter(parts: &[(DMatrix<f64>, DVector<f64>)], size: usize) -> About {
    let mut errors: About = (DVector::zeros(size), DMatrix::zeros(size, size));
    if parts.len() < 2 {
        return errors;
    }
    let count = parts.len() as f64;
    let second =
        parts.iter().fold(DMatrix::zeros(size, size), |sum, p| sum + p.0.view((0, 0), (size, size)) / count);
    let mean = parts.iter().fold(DVector::zeros(size), |sum, p| sum + p.1.rows(0, size) / count);
    for part in parts {
        errors.0 += (part.1.rows(0, size) - &mean).map(|x| x * x);
        errors.1 += (part.0.view((0, 0), (size, size)) - &second).map(|x| x * x);
    }
    let scale = 1.0 / (count * (count - 1.0));
    errors.0.apply(|x| *x = (*x * scale).sqrt());
    errors.1.apply(|x| *x = (*x * scale).sqrt());
    errors
}

#[cfg(test)]
mod tests {
    use super::super::recursion::Linearised;
    use super::super::{amplifier::Curvatures, epochs};
    use super::*;

    /// Regressions x_k, y_k with two parameters.
    fn maps(samples: usize, descent: Descent<'_>, state: usize, curved: bool) -> (Maps<'_>, DMatrix<f64>) {
        let x = |k: usize| [1.0, ((k * 37 + 11) % 17) as f64 / 8.0 - 1.0];
        let hessians: Vec<DMatrix<f64>> = (0..samples)
            .map(|k| DMatrix::from_fn(2, 2, |i, j| x(k)[i] * x(k)[j]) + DMatrix::identity(2, 2) * 0.3)
            .collect();
        let hessian = hessians.iter().sum::<DMatrix<f64>>() / samples as f64;
        let mut slopes: Vec<DVector<f64>> = (0..samples)
            .map(|k| DVector::from_column_slice(&x(k)) * (((k * 29 + 5) % 13) as f64 / 6.0 - 1.0))
            .collect();
        let mean = slopes.iter().sum::<DVector<f64>>() / samples as f64;
        for g in &mut slopes {
            *g -= &mean;
        }
        let noise = slopes.iter().map(|g| g * g.transpose()).sum::<DMatrix<f64>>() / samples as f64;
        let curvatures = if curved { hessians } else { vec![hessian.clone(); samples] };
        (Maps { descent, size: 2, state, curvatures, slopes, hessian, nodes: vec![1.0] }, noise)
    }

    #[test]
    fn one_curvature_for_all_samples_is_the_closed_form() {
        let epoch = Epoch::new(7, 2, false);
        for momentum in [0.0, 0.6] {
            let descent = Descent { rate: 0.2, momentum, decay: 0.0, epoch: &epoch };
            let (maps, noise) = maps(7, descent, if momentum == 0.0 { 2 } else { 4 }, false);
            let rows = |m: &DMatrix<f64>| m.transpose().as_slice().to_vec();
            let closed = epochs::covariances(&rows(&maps.hessian), &rows(&noise), 2, (0.2, momentum), &epoch);
            for steps in [vec![0], vec![0, 1, 3]] {
                let phases = epoch.phases(&steps);
                let found = of_maps(&maps, &closed, &phases, 5040, 1).unwrap();
                assert!(found.all);
                let system = Linearised {
                    hessian: &maps.hessian,
                    decay: 0.0,
                    covariance: &noise,
                    factor: 1.0,
                    curvatures: None,
                };
                let known = epochs::stationary(&system, (0.2, momentum), &epoch, &steps).unwrap();
                assert!((&found.about.1 - &known).amax() < 1e-12 * known.amax(), "{} {known}", found.about.1);
                assert!(found.about.0.amax() < 1e-13);
                assert_eq!(found.errors.1.amax(), 0.0);
            }
        }
    }

    #[test]
    fn a_sample_of_permutations_errs_by_what_it_says() {
        let epoch = Epoch::new(7, 2, false);
        let descent = Descent { rate: 0.3, momentum: 0.3, decay: 0.0, epoch: &epoch };
        let (maps, noise) = maps(7, descent, 4, true);
        let rows = |m: &DMatrix<f64>| m.transpose().as_slice().to_vec();
        let closed = epochs::covariances(&rows(&maps.hessian), &rows(&noise), 2, (0.3, 0.3), &epoch);
        let phases = epoch.phases(&[0, 1, 2, 3]);
        let all = of_maps(&maps, &closed, &phases, 5040, 1).unwrap();
        let (mut sum, mut count) = (0.0, 0.0);
        for seed in 0..20 {
            let part = of_maps(&maps, &closed, &phases, 1024, seed).unwrap();
            assert!(!part.all);
            for (i, j) in [(0, 0), (0, 1), (1, 1)] {
                sum += ((part.about.1[(i, j)] - all.about.1[(i, j)]) / part.errors.1[(i, j)]).powi(2);
                count += 1.0;
            }
            for i in 0..2 {
                sum += ((part.about.0[i] - all.about.0[i]) / part.errors.0[i]).powi(2);
                count += 1.0;
            }
        }
        // Student's t with 15 degrees of freedom has the variance 15/13.
        let ratio: f64 = sum / count;
        assert!((0.6..2.0).contains(&ratio), "{ratio}");
        // Control: constant noise, and noise that is felt as if θ kept still, are elsewhere.
        let packed: Vec<f64> = maps.curvatures.iter().flat_map(|a| a.as_slice().to_vec()).collect();
        let curvatures = Curvatures::new(&packed, &[1.0 / 7.0; 7], 2);
        for curvatures in [None, Some(&curvatures)] {
            let system = Linearised {
                hessian: &maps.hessian,
                decay: 0.0,
                covariance: &noise,
                factor: 1.0,
                curvatures,
            };
            let other = epochs::stationary(&system, (0.3, 0.3), &epoch, &[0, 1, 2, 3]).unwrap();
            let off = (0..2).map(|i| (other[(i, i)] / all.about.1[(i, i)] - 1.0).abs()).fold(0.0, f64::max);
            assert!(off > 0.05, "{off}");
        }
    }
}

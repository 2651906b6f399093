//! Weighted samples for expectations over an infinite population: Gauss quadrature, or a reference sample.

use gauss_quad::{GaussHermite, GaussLegendre};
use std::num::NonZeroUsize;

use super::data::{Draw, cholesky, draw_row};
use super::gauss;
use crate::lanes::stream::{Purpose, Stream};
use crate::model::{Nodes, Origin, Rows, StandardLaw};

/// Most scalar variates that quadrature takes, whatever the formula.
const MOST_VARIATES: usize = 3;
/// Most scalar variates of a formula for which three points a variate are exact (polynomials of low degree).
const MOST_POLYNOMIAL: usize = 7;
/// Most nodes of a product rule.
const MOST_NODES: usize = 4096;
/// Largest mean of Poisson's law whose numbers are all summed over.
const MOST_SUMMED: f64 = 1000.0;
/// Widest row of a reference sample all of whose rows tell of its errors.
const WIDE: usize = 256;
/// Most nodes of a rule beside the rows of a table, all rows together; a few a row are always allowed,
const MOST_BESIDE: usize = 1 << 17;
/// namely so many, by which it is seen whether fewer do,
const FEW: usize = 16;
/// unless their numbers are more than these.
const MOST_NUMBERS: usize = 1 << 25;
/// Size of a reference sample; beside the rows of a table at least.
const REFERENCE: usize = 4096;
/// Samples a row are a multiple of this: two pairs of mirror images, whose difference says how far off they are.
const QUADRUPLE: usize = 4;
/// Most normal variates of a reference sample that are given their exact second moments.
const MOST_WHITENED: usize = 256;
/// Points a variate, from coarse to fine.
const LADDER: [usize; 12] = [2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64];
/// A rule as good as the finest to this relative error is fine enough.
const TOLERANCE: f64 = 1e-12;

/// Gradients at a few states.
pub(super) trait Probe {
    /// Means that tell whether a rule is fine enough: gradients and their squares.
    fn moments(&self, nodes: &Nodes) -> Vec<f64>;
    /// Relative standard errors of the mean gradient and of the gradient covariance, for independent pairs of nodes. `of_rows`: two pairs
    /// in succession are of one row of a table, all of whose rows are there.
    fn errors_of_pairs(&self, nodes: &Nodes, of_rows: bool) -> (f64, f64);
}

/// Nodes for the given draws, behind each of `rows` where there are such.
pub(super) fn expectation(
    draws: &[Draw],
    rows: Option<&Rows>,
    width: usize,
    seed: u64,
    probe: &dyn Probe,
) -> Nodes {
    let scalars: usize = draws.iter().map(|d| d.variate.len).sum();
    let power = |n: usize| n.saturating_pow(u32::try_from(scalars).unwrap_or(u32::MAX));
    let gauss = draws.iter().all(|d| match d.variate.law {
        StandardLaw::Student(_) | StandardLaw::Cauchy => false,
        StandardLaw::Poisson(mean) => mean <= MOST_SUMMED,
        _ => true,
    });
    // Most nodes of the law, and of the rule that another one is compared with.
    let most = rows.map_or(MOST_NODES, |rows| {
        let count = rows.count.max(1);
        let fitting = MOST_NUMBERS / (count * width.max(1));
        (MOST_BESIDE / count).clamp(FEW, MOST_NODES).min(fitting)
    });
    let sample = || match rows {
        None => reference(draws, width, seed, probe),
        Some(rows) => reference_beside(draws, rows, width, seed, probe),
    };
    let rule = |n: usize| {
        let nodes = product_rule(draws, width, n);
        match rows {
            None => nodes,
            Some(rows) => beside(rows, &nodes),
        }
    };
    if !gauss || scalars > MOST_POLYNOMIAL || (rows.is_some() && power(4) > most) {
        return sample();
    }
    if scalars > MOST_VARIATES {
        return polynomial(draws, &rule, probe).unwrap_or_else(sample);
    }
    let possible: Vec<usize> =
        LADDER.into_iter().filter(|&n| power(n) <= most && bounded(draws, n)).collect();
    if possible.is_empty() {
        return sample();
    }
    let finest = rule(possible.last().copied().unwrap_or(2));
    let target = probe.moments(&finest);
    let scale = target.iter().map(|x| x.abs()).fold(f64::MIN_POSITIVE, f64::max);
    let error_of = |nodes: &Nodes| {
        let values = probe.moments(nodes);
        values.iter().zip(&target).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
    };
    // The finest rule's own error is what halving it would change.
    let mut best: Option<(usize, f64, Nodes)> = None;
    for &n in &possible[..possible.len().saturating_sub(1)] {
        let nodes = rule(n);
        let error = error_of(&nodes);
        if error <= TOLERANCE {
            return Nodes { origin: Origin::Quadrature { per_variate: n, error }, ..nodes };
        }
        if best.as_ref().is_none_or(|b| error < b.1) {
            best = Some((n, error, nodes));
        }
    }
    let per_variate = possible.last().copied().unwrap_or(2);
    let error = best.map_or(0.0, |b| b.1);
    Nodes { origin: Origin::Quadrature { per_variate, error }, ..finest }
}

/// Three points a variate, if four change nothing.
fn polynomial(draws: &[Draw], rule: &dyn Fn(usize) -> Nodes, probe: &dyn Probe) -> Option<Nodes> {
    if !bounded(draws, 4) {
        return None;
    }
    let nodes = rule(3);
    let (coarse, fine) = (probe.moments(&nodes), probe.moments(&rule(4)));
    let scale = fine.iter().map(|x| x.abs()).fold(f64::MIN_POSITIVE, f64::max);
    let error = coarse.iter().zip(&fine).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale;
    (error <= TOLERANCE).then_some(Nodes { origin: Origin::Quadrature { per_variate: 3, error }, ..nodes })
}

/// True if a product rule of n points has not too many nodes for what Poisson's laws, whose numbers are all taken, and Laplace's add.
fn bounded(draws: &[Draw], n: usize) -> bool {
    let special = |law: StandardLaw| matches!(law, StandardLaw::Poisson(_) | StandardLaw::Laplace);
    if !draws.iter().any(|d| special(d.variate.law)) {
        return true;
    }
    let size = draws.iter().fold(1_usize, |size, draw| {
        let points = rule(draw, n).len();
        (0..draw.variate.len).fold(size, |size, _| size.saturating_mul(points))
    });
    size <= MOST_NODES
}

/// Points and weights of one variate.
fn rule(draw: &Draw, n: usize) -> Vec<(f64, f64)> {
    let size = NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
    match (draw.variate.law, &draw.breaks) {
        (StandardLaw::Rademacher, _) => vec![(-1.0, 0.5), (1.0, 0.5)],
        (StandardLaw::Uniform, Some(breaks)) => {
            // Constant on cells: one point each, exact.
            let mut edges = vec![0.0];
            edges.extend(breaks);
            edges.push(1.0);
            edges
                .windows(2)
                .map(|e| (f64::midpoint(e[0], e[1]), e[1] - e[0]))
                .filter(|(_, w)| *w > 0.0)
                .collect()
        }
        (StandardLaw::Uniform, None) => {
            let rule = GaussLegendre::new(size);
            symmetric(rule.as_node_weight_pairs())
                .into_iter()
                .map(|(x, w)| (f64::midpoint(1.0, x), w / 2.0))
                .collect()
        }
        (StandardLaw::Exponential, _) => gauss::gamma(n, 1.0),
        (StandardLaw::Gamma(shape), _) => gauss::gamma(n, shape),
        (StandardLaw::Beta(a, b), _) => gauss::beta(n, a, b),
        (StandardLaw::Laplace, _) => gauss::laplace(n),
        (StandardLaw::Poisson(mean), _) => gauss::poisson(mean),
        // Those of the last two are expected over a reference sample.
        (StandardLaw::Normal | StandardLaw::Student(_) | StandardLaw::Cauchy, _) => {
            let rule = GaussHermite::new(size);
            let root_pi = std::f64::consts::PI.sqrt();
            symmetric(rule.as_node_weight_pairs())
                .into_iter()
                .map(|(x, w)| (x * std::f64::consts::SQRT_2, w / root_pi))
                .collect()
        }
    }
}

/// Sorted, and exactly symmetric about 0, so that odd moments vanish to the bit.
fn symmetric(pairs: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut pairs = pairs.to_vec();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = pairs.len();
    (0..n)
        .map(|i| {
            let ((x, w), (y, v)) = (pairs[i], pairs[n - 1 - i]);
            ((x - y) / 2.0, f64::midpoint(w, v))
        })
        .collect()
}

fn product_rule(draws: &[Draw], width: usize, n: usize) -> Nodes {
    let mut values = vec![vec![0.0; width]];
    let mut weights = vec![1.0];
    for draw in draws {
        let points = rule(draw, n);
        for element in 0..draw.variate.len {
            let mut next_values = Vec::with_capacity(values.len() * points.len());
            let mut next_weights = Vec::with_capacity(values.len() * points.len());
            for (row, weight) in values.iter().zip(&weights) {
                for (x, w) in &points {
                    let mut row = row.clone();
                    row[draw.variate.offset + element] = *x;
                    next_values.push(row);
                    next_weights.push(weight * w);
                }
            }
            (values, weights) = (next_values, next_weights);
        }
    }
    let total: f64 = weights.iter().sum();
    for weight in &mut weights {
        *weight /= total;
    }
    Nodes {
        width,
        values: values.concat(),
        weights,
        origin: Origin::Quadrature { per_variate: n, error: 0.0 },
    }
}

/// Every row with every node of the law behind it, row by row.
fn beside(rows: &Rows, law: &Nodes) -> Nodes {
    let total = rows.count * law.len();
    let mut values = Vec::with_capacity(total * law.width);
    let mut weights = Vec::with_capacity(total);
    for row in 0..rows.count {
        for (node, weight) in law.weights.iter().enumerate() {
            values.extend_from_slice(&rows.values[row * rows.width..(row + 1) * rows.width]);
            values.extend_from_slice(&law.samples(node, 1)[rows.width..]);
            weights.push(weight / rows.count as f64);
        }
    }
    Nodes { width: law.width, values, weights, origin: law.origin.clone() }
}

/// Gives columns of a sample of standard normal variates exactly the mean 0 and the covariance 1 that they have in
/// law: means, second moments and what is made of them (the minimum of a regression, say) are then those of the
/// population. The other half of the sample is the mirror image of the first, so odd moments vanish too.
fn whiten(values: &mut [f64], width: usize, columns: &[usize]) {
    let rows = values.len() / width.max(1);
    let half = rows / 2;
    for row in 0..half {
        for &c in columns {
            values[(half + row) * width + c] = -values[row * width + c];
        }
    }
    let n = columns.len();
    let mut covariance = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let mut sum = 0.0;
            for row in values.chunks_exact(width) {
                sum += row[columns[i]] * row[columns[j]];
            }
            covariance[i * n + j] = sum / rows as f64;
            covariance[j * n + i] = covariance[i * n + j];
        }
    }
    // 4096 rows of at most 256 columns make it positive.
    let Some(factor) = cholesky(&covariance, n) else { return };
    let mut solved = vec![0.0; n];
    for row in values.chunks_exact_mut(width) {
        for i in 0..n {
            let known: f64 = (0..i).map(|k| factor[i * n + k] * solved[k]).sum();
            solved[i] = (row[columns[i]] - known) / factor[i * n + i];
        }
        for (&c, &x) in columns.iter().zip(&solved) {
            row[c] = x;
        }
    }
}

fn reference(draws: &[Draw], width: usize, seed: u64, probe: &dyn Probe) -> Nodes {
    let values = drawn(draws, width, seed, &Rows { width: 0, count: 1, values: vec![] }, REFERENCE);
    // A row and its mirror image are not independent: pairs of them are.
    let rows = estimated_from(width);
    let mut pairs = paired(&values, width, 1);
    pairs.truncate(rows * width);
    let (mean, covariance) = probe.errors_of_pairs(&sample_of(pairs, width), false);
    let share = (rows as f64 / REFERENCE as f64).sqrt();
    let (mean, covariance) = (share * mean, share * covariance);
    let origin = Origin::Reference { size: REFERENCE, mean, covariance };
    Nodes { origin, ..sample_of(values, width) }
}

/// A sample of draws behind every row, equally many, row by row.
fn reference_beside(draws: &[Draw], rows: &Rows, width: usize, seed: u64, probe: &dyn Probe) -> Nodes {
    let each = REFERENCE.div_ceil(rows.count.max(1)).next_multiple_of(QUADRUPLE);
    let size = each * rows.count;
    let nodes = sample_of(paired(&drawn(draws, width, seed, rows, size), width, rows.count), width);
    let (mean, covariance) = probe.errors_of_pairs(&nodes, true);
    Nodes { origin: Origin::Reference { size, mean, covariance }, ..nodes }
}

/// Nodes of one weight.
fn sample_of(values: Vec<f64>, width: usize) -> Nodes {
    let size = values.len() / width.max(1);
    Nodes { width, weights: vec![1.0 / size as f64; size], values, origin: Origin::Table }
}

/// `size` samples, the rows in turn; where the normal variates are few, the second half are their mirror images.
fn drawn(draws: &[Draw], width: usize, seed: u64, rows: &Rows, size: usize) -> Vec<f64> {
    let variates: Vec<_> = draws.iter().map(|d| d.variate).collect();
    let mut stream = Stream::new(seed, Purpose::Reference, 0);
    let mut values = vec![0.0; size * width];
    for (index, sample) in values.chunks_exact_mut(width.max(1)).enumerate() {
        let row = index % rows.count.max(1);
        sample[..rows.width].copy_from_slice(&rows.values[row * rows.width..(row + 1) * rows.width]);
        draw_row(&variates, &mut stream, sample);
    }
    let normal: Vec<usize> = variates
        .iter()
        .filter(|v| v.law == StandardLaw::Normal)
        .flat_map(|v| v.offset..v.offset + v.len)
        .collect();
    if normal.len() <= MOST_WHITENED {
        whiten(&mut values, width, &normal);
    }
    values
}

/// Each sample of the first half with that of the second which has the same row, all pairs of one row in succession.
fn paired(values: &[f64], width: usize, rows: usize) -> Vec<f64> {
    let half = values.len() / width.max(1) / 2;
    let mut pairs = Vec::with_capacity(values.len());
    for row in 0..rows {
        for index in (row..half).step_by(rows) {
            for index in [index, index + half] {
                pairs.extend_from_slice(&values[index * width..(index + 1) * width]);
            }
        }
    }
    pairs
}

/// Rows from whose scatter the errors of a reference sample are estimated: all of them, or fewer where a row is so wide that what makes data of
/// it (the factor of a covariance) takes the square of its width.
fn estimated_from(width: usize) -> usize {
    let share = (WIDE as f64 / width.max(1) as f64).min(1.0);
    2 * ((REFERENCE / 2) as f64 * share * share).max(32.0) as usize
}

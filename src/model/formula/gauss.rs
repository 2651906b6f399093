//! Gauss quadrature from the recurrence of the orthogonal polynomials, by + − × ÷ √ alone.

/// n points and weights (their sum is 1) for the law whose monic orthogonal polynomials obey
/// p_{k+1} = (x − `recurrence(k).0`) p_k − `recurrence(k).1` p_{k−1}: the points are the eigenvalues of the tridiagonal matrix of the
/// coefficients, found by bisection (Sturm), the weights 1/Σ_{k<n} p̃_k² of the normalised polynomials. Source: Golub & Welsch (1969).
pub(super) fn rule(n: usize, recurrence: impl Fn(usize) -> (f64, f64)) -> Vec<(f64, f64)> {
    let coefficients: Vec<(f64, f64)> = (0..n).map(recurrence).collect();
    let root = |k: usize| coefficients.get(k).map_or(0.0, |c| c.1.sqrt());
    // Gershgorin's interval holds all points.
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (k, (a, _)) in coefficients.iter().enumerate() {
        let radius = if k > 0 { root(k) } else { 0.0 } + root(k + 1);
        low = low.min(a - radius);
        high = high.max(a + radius);
    }
    let below = |x: f64| {
        let (mut count, mut q) = (0, 1.0);
        for (k, (a, b)) in coefficients.iter().enumerate() {
            q = (a - x) - if k > 0 { b / q } else { 0.0 };
            if q == 0.0 {
                q = f64::MIN_POSITIVE;
            }
            count += usize::from(q < 0.0);
        }
        count
    };
    let mut points: Vec<(f64, f64)> = (0..n)
        .map(|i| {
            let (mut left, mut right) = (low, high);
            // An interval is halved at most as often as it has numbers.
            for _ in 0..2200 {
                let middle = f64::midpoint(left, right);
                if middle <= left || middle >= right {
                    break;
                }
                if below(middle) > i { right = middle } else { left = middle }
            }
            let x = f64::midpoint(left, right);
            let (mut before, mut now, mut sum) = (0.0, 1.0, 1.0);
            for k in 0..n - 1 {
                let next = ((x - coefficients[k].0) * now - if k > 0 { root(k) } else { 0.0 } * before)
                    / root(k + 1);
                (before, now) = (now, next);
                sum += now * now;
            }
            (x, 1.0 / sum)
        })
        .collect();
    let total: f64 = points.iter().map(|p| p.1).sum();
    for point in &mut points {
        point.1 /= total;
    }
    points
}

/// For the gamma law of shape k (Laguerre, α = k − 1).
pub(super) fn gamma(n: usize, shape: f64) -> Vec<(f64, f64)> {
    rule(n, |k| {
        let k = k as f64;
        (2.0 * k + shape, k * (k + shape - 1.0))
    })
}

/// For Laplace's law: half of the weight on each side.
pub(super) fn laplace(n: usize) -> Vec<(f64, f64)> {
    let side = gamma(n, 1.0);
    side.iter().rev().map(|(x, w)| (-x, 0.5 * w)).chain(side.iter().map(|(x, w)| (*x, 0.5 * w))).collect()
}

/// For the beta law (Jacobi on [0, 1], weight x^{a−1}(1 − x)^{b−1}).
pub(super) fn beta(n: usize, a: f64, b: f64) -> Vec<(f64, f64)> {
    let (p, q) = (b - 1.0, a - 1.0);
    let sum = p + q;
    let on_both_sides = rule(n, |k| {
        if k == 0 {
            return ((q - p) / (sum + 2.0), 0.0);
        }
        let k = k as f64;
        let m = 2.0 * k + sum;
        let square = if k == 1.0 {
            4.0 * (1.0 + p) * (1.0 + q) / (m * m * (m + 1.0))
        } else {
            4.0 * k * (k + p) * (k + q) * (k + sum) / (m * m * (m + 1.0) * (m - 1.0))
        };
        ((q * q - p * p) / (m * (m + 2.0)), square)
    });
    on_both_sides.into_iter().map(|(x, w)| (f64::midpoint(1.0, x), w)).collect()
}

/// All numbers of Poisson's law but those whose probability is below 10⁻²⁰ of the largest.
pub(super) fn poisson(mean: f64) -> Vec<(f64, f64)> {
    let mode = mean.floor();
    let mut points = vec![(mode, 1.0)];
    let (mut k, mut term) = (mode, 1.0);
    while k > 0.0 && term > 1e-20 {
        term *= k / mean;
        k -= 1.0;
        points.push((k, term));
    }
    points.reverse();
    (k, term) = (mode, 1.0);
    while term > 1e-20 {
        k += 1.0;
        term *= mean / k;
        points.push((k, term));
    }
    let total: f64 = points.iter().map(|p| p.1).sum();
    for point in &mut points {
        point.1 /= total;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(points: &[(f64, f64)], power: i32) -> f64 {
        points.iter().map(|(x, w)| w * x.powi(power)).sum()
    }

    #[test]
    fn moments_are_exact_up_to_twice_the_number_of_points() {
        for shape in [0.3, 1.0, 4.5] {
            let points = gamma(6, shape);
            let mut expected = 1.0;
            for m in 0..12 {
                assert!((moment(&points, m) / expected - 1.0).abs() < 1e-12, "gamma({shape}): {m}");
                expected *= shape + f64::from(m);
            }
            // Of degree 2n the rule is wrong.
            assert!((moment(&points, 12) / expected - 1.0).abs() > 1e-6);
        }
        for (a, b) in [(0.5, 0.5), (2.0, 5.0), (1.0, 1.0), (0.2, 3.0)] {
            let points = beta(5, a, b);
            let mut expected = 1.0;
            for m in 0..10 {
                assert!((moment(&points, m) / expected - 1.0).abs() < 1e-12, "beta({a}, {b}): {m}");
                expected *= (a + f64::from(m)) / (a + b + f64::from(m));
            }
        }
        let points = laplace(4);
        for (m, expected) in [(0, 1.0), (1, 0.0), (2, 2.0), (3, 0.0), (4, 24.0), (6, 720.0)] {
            assert!((moment(&points, m) - expected).abs() < 1e-9, "laplace: {m}");
        }
        for mean in [0.2, 7.0, 400.0] {
            let points = poisson(mean);
            assert!((moment(&points, 1) / mean - 1.0).abs() < 1e-13);
            assert!((moment(&points, 2) / (mean + mean * mean) - 1.0).abs() < 1e-13);
        }
    }

    #[test]
    fn many_points_integrate_what_is_no_polynomial() {
        // ⟨1/(1 + x)⟩ of the exponential law: e·E₁(1).
        let value: f64 = gamma(64, 1.0).iter().map(|(x, w)| w / (1.0 + x)).sum();
        assert!((value - 0.596_347_362_323_194_1).abs() < 1e-9, "{value}");
        // ⟨√x⟩ of the uniform law.
        let value: f64 = beta(64, 1.0, 1.0).iter().map(|(x, w)| w * x.sqrt()).sum();
        assert!((value - 2.0 / 3.0).abs() < 1e-6, "{value}");
    }
}

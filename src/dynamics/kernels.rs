//! What a step does to a block, number by number.

use crate::dynamics::Gait;
use crate::lanes::{LANES, Lane, flat, flat_mut, vectorized};

vectorized! {
    /// θ ← θ − η(s g + λθ).
    pub fn descend(theta: &mut [Lane], gradient: &[Lane], factor: f64, rate: f64, decay: f64) {
        for (x, g) in flat_mut(theta).iter_mut().zip(flat(gradient)) {
            *x -= rate * (factor * g + decay * *x);
        }
    }

    /// v ← βv − η(s g + λθ), θ ← θ + v.
    pub fn heavy_ball(theta: &mut [Lane], velocity: &mut [Lane], gradient: &[Lane], factor: f64, rate: f64, decay: f64, momentum: f64) {
        for ((x, v), g) in flat_mut(theta).iter_mut().zip(flat_mut(velocity)).zip(flat(gradient)) {
            *v = momentum * *v - rate * (factor * g + decay * *x);
            *x += *v;
        }
    }

    /// v ← βv − ηu, θ ← θ + μv − ηu with u = s g + λθ.
    pub fn look_ahead(theta: &mut [Lane], velocity: &mut [Lane], gradient: &[Lane], factor: f64, gait: &Gait) {
        let Gait { rate, decay, momentum, ahead, .. } = *gait;
        for ((x, v), g) in flat_mut(theta).iter_mut().zip(flat_mut(velocity)).zip(flat(gradient)) {
            let step = rate * (factor * g + decay * *x);
            *v = momentum * *v - step;
            *x += ahead * *v - step;
        }
    }

    /// x ← a x.
    pub fn scale_in_place(x: &mut [Lane], a: f64) {
        for x in flat_mut(x) {
            *x *= a;
        }
    }

    /// out ← −(g + λθ), in place of g.
    pub fn downhill(gradient: &mut [Lane], theta: &[Lane], decay: f64) {
        for (g, x) in flat_mut(gradient).iter_mut().zip(flat(theta)) {
            *g = -(*g + decay * x);
        }
    }

    /// out = a x.
    pub fn scale(out: &mut [Lane], x: &[Lane], a: f64) {
        for (o, x) in flat_mut(out).iter_mut().zip(flat(x)) {
            *o = a * x;
        }
    }

    /// out ← out + a x.
    pub fn add_scaled(out: &mut [Lane], x: &[Lane], a: f64) {
        for (o, x) in flat_mut(out).iter_mut().zip(flat(x)) {
            *o += a * x;
        }
    }

    /// x ← x + h·drift + increment.
    pub fn euler(state: &mut [Lane], drift: &[Lane], increment: &[Lane], h: f64) {
        for ((x, d), i) in flat_mut(state).iter_mut().zip(flat(drift)).zip(flat(increment)) {
            *x += h * d + i;
        }
    }

    /// Weights m + σ(√ω ξ − ω Σ) of one node, with `sum` = Σ_j √ω_j ξ_j.
    pub fn noise_weights(out: &mut [Lane], xi: &[Lane], sum: &[Lane], mean: f64, weight: f64, root: f64, sigma: f64) {
        for ((o, x), s) in flat_mut(out).iter_mut().zip(flat(xi)).zip(flat(sum)) {
            *o = mean + sigma * (root * x - weight * s);
        }
    }

    /// Student's t with ν degrees of freedom from two uniforms (Bailey 1994, Math. Comp. 62, 779), in place of the first:
    /// √(ν(u^(−2/ν) − 1))·cos 2πv with u in (0, 1].
    pub fn student(u: &mut [Lane], v: &[Lane], freedom: f64) {
        for (u, v) in flat_mut(u).iter_mut().zip(flat(v)) {
            let radius = crate::lanes::math::scalar::expm1(-2.0 / freedom * crate::lanes::math::scalar::ln(1.0 - *u));
            *u = (freedom * radius).sqrt() * crate::lanes::math::scalar::cos(std::f64::consts::TAU * v);
        }
    }

    /// One more node of a weighted mean and covariance (West 1979): δ = g − m, m ← m + forward·δ, C_ij ← C_ij + spread·δ_i δ_j for
    /// i ≤ j; `gradient` becomes δ.
    pub fn accumulate(mean: &mut [Lane], covariance: &mut [Lane], gradient: &mut [Lane], tiles: usize, forward: f64, spread: f64) {
        for (g, m) in flat_mut(gradient).iter_mut().zip(flat_mut(mean)) {
            *g -= *m;
            *m += forward * *g;
        }
        let n = gradient.len() / tiles;
        let mut rows = covariance.chunks_exact_mut(tiles);
        for i in 0..n {
            for j in i..n {
                let (a, b) = (&gradient[i * tiles..(i + 1) * tiles], &gradient[j * tiles..(j + 1) * tiles]);
                if let Some(row) = rows.next() {
                    for ((c, a), b) in flat_mut(row).iter_mut().zip(flat(a)).zip(flat(b)) {
                        *c += spread * (a * b);
                    }
                }
            }
        }
    }

    /// out = m + σ √V ξ with m = Σ ω_k φ_k and V = Σ ω_k (φ_k − m)², in every lane; φ is `[nodes][tiles]`.
    pub fn noisy_mean(out: &mut [Lane], phi: &[Lane], xi: &[Lane], weights: &[f64], sigma: f64) {
        let tiles = out.len();
        for (t, (out, xi)) in out.iter_mut().zip(xi).enumerate() {
            let column = || phi[t..].iter().step_by(tiles).zip(weights);
            let mut mean = [0.0; LANES];
            for (phi, weight) in column() {
                for l in 0..LANES {
                    mean[l] += weight * phi.0[l];
                }
            }
            let mut variance = [0.0; LANES];
            for (phi, weight) in column() {
                for l in 0..LANES {
                    let deviation = phi.0[l] - mean[l];
                    variance[l] += weight * (deviation * deviation);
                }
            }
            for l in 0..LANES {
                out.0[l] = mean[l] + sigma * variance[l].sqrt() * xi.0[l];
            }
        }
    }

    /// Weighted means `[r][tiles]` and covariances (i ≤ j, `[…][tiles]`) of φ, `[r][nodes][tiles]`.
    pub fn moments(mean: &mut [Lane], covariance: &mut [Lane], phi: &[Lane], weights: &[f64], tiles: usize) {
        let nodes = weights.len();
        let r = mean.len() / tiles;
        for i in 0..r {
            let mean = flat_mut(&mut mean[i * tiles..(i + 1) * tiles]);
            mean.fill(0.0);
            for (phi, weight) in phi[i * nodes * tiles..].chunks_exact(tiles).zip(weights) {
                for (m, x) in mean.iter_mut().zip(flat(phi)) {
                    *m += weight * x;
                }
            }
        }
        let mut rows = covariance.chunks_exact_mut(tiles);
        for i in 0..r {
            for j in i..r {
                let Some(row) = rows.next() else { return };
                let row = flat_mut(row);
                row.fill(0.0);
                let (a, b) = (&phi[i * nodes * tiles..], &phi[j * nodes * tiles..]);
                let (m, n) = (flat(&mean[i * tiles..(i + 1) * tiles]), flat(&mean[j * tiles..(j + 1) * tiles]));
                for ((a, b), weight) in a.chunks_exact(tiles).zip(b.chunks_exact(tiles)).zip(weights) {
                    let pairs = flat(a).iter().zip(flat(b)).zip(m.iter().zip(n));
                    for (c, ((x, y), (m, n))) in row.iter_mut().zip(pairs) {
                        *c += weight * ((x - m) * (y - n));
                    }
                }
            }
        }
    }

    /// gradient ← mean + σ F ξ in every lane, F the factor of its own covariance (upper triangle `[i ≤ j][tiles]`): outer-product
    /// Cholesky with diagonal pivoting, as [`semidefinite`](crate::scheme::factor::semidefinite).
    pub fn factored_noise<const P: usize>(gradient: &mut [Lane], mean: &[Lane], covariance: &[Lane], xi: &[Lane], tiles: usize, sigma: f64) {
        for t in 0..tiles {
            let mut rest = [[[0.0_f64; LANES]; P]; P];
            let mut at = 0;
            for i in 0..P {
                for j in i..P {
                    rest[i][j] = covariance[at * tiles + t].0;
                    rest[j][i] = rest[i][j];
                    at += 1;
                }
            }
            let whole: [[f64; LANES]; P] = std::array::from_fn(|i| rest[i][i]);
            let mut noise = [[0.0_f64; LANES]; P];
            for r in 0..P {
                let xi = xi[r * tiles + t].0;
                // The largest relevant pivot of each lane.
                let mut best = [0.0_f64; LANES];
                let mut pivot = [P; LANES];
                for i in 0..P {
                    for l in 0..LANES {
                        let relevant = rest[i][i][l] > crate::scheme::factor::NEGLIGIBLE * whole[i][l];
                        let better = relevant && (rest[i][i][l] > best[l]);
                        best[l] = if better { rest[i][i][l] } else { best[l] };
                        pivot[l] = if better { i } else { pivot[l] };
                    }
                }
                let mut column = [[0.0_f64; LANES]; P];
                for i in 0..P {
                    for j in 0..P {
                        for l in 0..LANES {
                            column[i][l] = if pivot[l] == j { rest[i][j][l] } else { column[i][l] };
                        }
                    }
                }
                for l in 0..LANES {
                    let inverse = 1.0 / best[l].sqrt();
                    let inverse = if best[l] > 0.0 { inverse } else { 0.0 };
                    for i in 0..P {
                        column[i][l] *= inverse;
                    }
                }
                for i in 0..P {
                    for l in 0..LANES {
                        noise[i][l] += column[i][l] * xi[l];
                    }
                    for j in 0..P {
                        for l in 0..LANES {
                            let left = rest[i][j][l] - column[i][l] * column[j][l];
                            rest[i][j][l] = if pivot[l] == i || pivot[l] == j { 0.0 } else { left };
                        }
                    }
                }
            }
            for i in 0..P {
                for l in 0..LANES {
                    gradient[i * tiles + t].0[l] = mean[i * tiles + t].0[l] + sigma * noise[i][l];
                }
            }
        }
    }

    /// out = shift + Φ x + Σ_r ξ_r F_r, rows of `tiles` vectors; Φ is `[n][n]`, F `[rank][n]`.
    pub fn transition(out: &mut [Lane], x: &[Lane], xi: &[Lane], tiles: usize, shift: &[f64], propagator: &[f64], factor: &[f64]) {
        let n = shift.len();
        for (i, out) in out.chunks_exact_mut(tiles).enumerate() {
            let out = flat_mut(out);
            out.fill(shift[i]);
            for (x, a) in x.chunks_exact(tiles).zip(&propagator[i * n..(i + 1) * n]) {
                for (o, x) in out.iter_mut().zip(flat(x)) {
                    *o += a * x;
                }
            }
            for (xi, column) in xi.chunks_exact(tiles).zip(factor.chunks_exact(n)) {
                let f = column[i];
                for (o, x) in out.iter_mut().zip(flat(xi)) {
                    *o += f * x;
                }
            }
        }
    }
}

//! W3 and W4: a replica at a time, its parameters in registers or in the first cache.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::normals::{Block, Normals, ROWS};
use crate::paths::moments;
use crate::vector::{Kernel, Vector};

/// Numbers that begin with a line of the cache.
#[repr(align(64))]
struct Matrix<const LENGTH: usize>([f64; LENGTH]);

/// SGD for y = ⟨θ, x⟩ on a table of 1024 rows of 64 + 1 numbers, batch 8, η = 0.01, from θ = 0.
pub struct Regression<'a> {
    pub table: &'a [f64],
    pub replicas: usize,
    pub steps: usize,
}

impl Kernel for Regression<'_> {
    /// Mean over replicas and components, and the mean over components of the variance over replicas.
    type Out = (f64, f64);

    #[inline(always)]
    unsafe fn run<V: Vector>(&self) -> (f64, f64) {
        let row = |row: &[f64]| Matrix(std::array::from_fn(|j| row[j]));
        let inputs: Vec<Matrix<64>> = self.table.chunks_exact(65).map(row).collect();
        let labels: Vec<f64> = self.table.chunks_exact(65).map(|row| row[64]).collect();
        assert_eq!(inputs.len(), 1024);
        let mut ends = vec![vec![0.0; self.replicas]; 64];
        for replica in 0..self.replicas {
            let mut words = Xoshiro256PlusPlus::seed_from_u64(replica as u64);
            let mut theta = unsafe { [V::f(0.0); 8] };
            for _ in 0..self.steps {
                let (a, b) = (words.next_u64(), words.next_u64());
                let mut rows = [0; 8];
                for k in 0..4 {
                    rows[k] = (a >> (14 + 10 * k)) as usize & 1023;
                    rows[4 + k] = (b >> (14 + 10 * k)) as usize & 1023;
                }
                unsafe { step::<V>(&mut theta, &inputs, &labels, rows) };
            }
            let mut end = [0.0; 64];
            for (j, part) in theta.into_iter().enumerate() {
                unsafe { V::store(end.as_mut_ptr().add(8 * j), part) };
            }
            for (all, one) in ends.iter_mut().zip(end) {
                all[replica] = one;
            }
        }
        let each: Vec<(f64, f64)> = ends.iter().map(|values| moments(values)).collect();
        (each.iter().map(|m| m.0).sum::<f64>() / 64.0, each.iter().map(|m| m.1).sum::<f64>() / 64.0)
    }
}

#[inline(always)]
unsafe fn step<V: Vector>(theta: &mut [V::F; 8], inputs: &[Matrix<64>], labels: &[f64], rows: [usize; 8]) {
    let mut partial = [0.0; 64];
    unsafe {
        for (k, row) in rows.into_iter().enumerate() {
            let x = inputs[row].0.as_ptr();
            let mut sum = V::mul(V::load(x), theta[0]);
            for j in 1..8 {
                sum = V::fma(V::load(x.add(8 * j)), theta[j], sum);
            }
            V::store(partial.as_mut_ptr().add(8 * k), sum);
        }
        let mut change = [V::f(0.0); 8];
        for (k, row) in rows.into_iter().enumerate() {
            let q = &partial[8 * k..8 * k + 8];
            let output = ((q[0] + q[4]) + (q[2] + q[6])) + ((q[1] + q[5]) + (q[3] + q[7]));
            let error = V::f((output - labels[row]) * (-0.02 / 8.0));
            let x = inputs[row].0.as_ptr();
            for (j, change) in change.iter_mut().enumerate() {
                *change = V::fma(V::load(x.add(8 * j)), error, *change);
            }
        }
        for (theta, change) in theta.iter_mut().zip(change) {
            *theta = V::add(*theta, change);
        }
    }
}

const N: usize = 32;
const BATCH: usize = 16;

/// C = α A B (or C + α A B): A is `m` × `k` with strides, B `k` × `n`, in tiles of 8 × 16.
#[inline(always)]
unsafe fn product<V: Vector, const ADD: bool>(
    [m, n, k]: [usize; 3],
    a: *const f64,
    [row, column]: [usize; 2],
    b: *const f64,
    c: *mut f64,
    alpha: f64,
) {
    unsafe {
        let alpha = V::f(alpha);
        for i in (0..m).step_by(8) {
            for j in (0..n).step_by(16) {
                let mut tile = [V::f(0.0); 16];
                for k in 0..k {
                    let (left, right) = (V::load(b.add(k * n + j)), V::load(b.add(k * n + j + 8)));
                    for q in 0..8 {
                        let v = V::f(*a.add((i + q) * row + k * column));
                        tile[2 * q] = V::fma(v, left, tile[2 * q]);
                        tile[2 * q + 1] = V::fma(v, right, tile[2 * q + 1]);
                    }
                }
                for q in 0..8 {
                    let to = c.add((i + q) * n + j);
                    let (left, right) = (tile[2 * q], tile[2 * q + 1]);
                    if ADD {
                        V::store(to, V::fma(left, alpha, V::load(to)));
                        V::store(to.add(8), V::fma(right, alpha, V::load(to.add(8))));
                    } else {
                        V::store(to, V::mul(left, alpha));
                        V::store(to.add(8), V::mul(right, alpha));
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn transposed(a: &Matrix<512>, out: &mut Matrix<512>) {
    for b in 0..BATCH {
        for k in 0..N {
            out.0[b * N + k] = a.0[k * BATCH + b];
        }
    }
}

/// SGD for y = W₃W₂W₁x, all 32 × 32, x ~ N(0, 1) fresh, y = Mx + 0.1 ξ, batch 16, η = 0.01, from W ~ N(0, 1/32).
pub struct DeepLinear<'a> {
    /// M, row by row.
    pub teacher: &'a [f64],
    pub replicas: usize,
    pub steps: usize,
}

impl Kernel for DeepLinear<'_> {
    /// Mean and variance over replicas of ‖W₃W₂W₁ − M‖².
    type Out = (f64, f64);

    #[inline(always)]
    unsafe fn run<V: Vector>(&self) -> (f64, f64) {
        let mut ends = Vec::with_capacity(self.replicas);
        for replica in 0..self.replicas {
            ends.push(unsafe { self.replica::<V>(replica as u64) });
        }
        moments(&ends)
    }
}

impl DeepLinear<'_> {
    #[inline(always)]
    unsafe fn replica<V: Vector>(&self, replica: u64) -> f64 {
        const RATE: f64 = -0.01 * 2.0 / BATCH as f64;
        let mut normals = unsafe { Normals::<V>::new(11, replica) };
        let mut w = Matrix([0.0; 3 * N * N]);
        let mut x = Block([0.0; 8 * ROWS]);
        for part in w.0.chunks_exact_mut(8 * ROWS) {
            unsafe { normals.fill(&mut x, ROWS) };
            part.iter_mut().zip(x.0).for_each(|(w, z)| *w = z / (N as f64).sqrt());
        }
        let empty = || Matrix([0.0; N * BATCH]);
        let (mut h1, mut h2, mut d2, mut d1, mut t) = (empty(), empty(), empty(), empty(), empty());
        let mut e = Block([0.0; 8 * ROWS]);
        let (w1, w2, w3) =
            unsafe { (w.0.as_mut_ptr(), w.0.as_mut_ptr().add(N * N), w.0.as_mut_ptr().add(2 * N * N)) };
        let (forward, backward) = ([N, BATCH, N], [N, N, BATCH]);
        let (plain, turned, wide) = ([N, 1], [1, N], [BATCH, 1]);
        for _ in 0..self.steps {
            unsafe {
                normals.fill(&mut x, ROWS);
                normals.fill(&mut e, ROWS);
                e.0.iter_mut().for_each(|e| *e *= -0.1);
                let (xs, es) = (x.0.as_ptr(), e.0.as_mut_ptr());
                product::<V, true>(forward, self.teacher.as_ptr(), plain, xs, es, -1.0);
                product::<V, false>(forward, w1, plain, xs, h1.0.as_mut_ptr(), 1.0);
                product::<V, false>(forward, w2, plain, h1.0.as_ptr(), h2.0.as_mut_ptr(), 1.0);
                product::<V, true>(forward, w3, plain, h2.0.as_ptr(), es, 1.0);
                product::<V, false>(forward, w3, turned, es, d2.0.as_mut_ptr(), 1.0);
                product::<V, false>(forward, w2, turned, d2.0.as_ptr(), d1.0.as_mut_ptr(), 1.0);
                transposed(&h2, &mut t);
                product::<V, true>(backward, es, wide, t.0.as_ptr(), w3, RATE);
                transposed(&h1, &mut t);
                product::<V, true>(backward, d2.0.as_ptr(), wide, t.0.as_ptr(), w2, RATE);
                h1.0.copy_from_slice(&x.0);
                transposed(&h1, &mut t);
                product::<V, true>(backward, d1.0.as_ptr(), wide, t.0.as_ptr(), w1, RATE);
            }
        }
        misfit(&w.0, self.teacher)
    }
}

fn misfit(w: &[f64], teacher: &[f64]) -> f64 {
    let times = |a: &[f64], b: &[f64]| -> Vec<f64> {
        (0..N * N).map(|at| (0..N).map(|k| a[at / N * N + k] * b[k * N + at % N]).sum()).collect()
    };
    let [w1, w2, w3] = [0, 1, 2].map(|layer| &w[layer * N * N..(layer + 1) * N * N]);
    let all = times(w3, &times(w2, w1));
    all.iter().zip(teacher).map(|(a, b)| (a - b).powi(2)).sum()
}

//! W1, W2a, W2b: replicas in registers, normals a block ahead.

use std::array::from_fn;

use crate::normals::{Block, Normals, ROWS};
use crate::vector::{Kernel, Vector};

/// Vectors of replicas that a step moves: as many as hide each other's latencies.
const TOGETHER: usize = 8;

/// Mean and variance over replicas of one number each.
pub fn moments(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, squares / (values.len() - 1) as f64)
}

/// Runs all replicas; `step` gets the state of one vector of them, and the normals of the step.
macro_rules! simulate {
    ($self:ident, $V:ident, $normals:literal, $start:expr, $step:expr) => {{
        let mut out = Vec::with_capacity($self.paths + 8 * TOGETHER);
        let mut block = Block([0.0; 8 * ROWS]);
        let rows = TOGETHER * $normals;
        for group in 0..$self.paths.div_ceil(8 * TOGETHER) {
            let mut normals = unsafe { Normals::<$V>::new(7, group as u64) };
            let mut states = [$start; TOGETHER];
            let mut left = $self.steps;
            while left > 0 {
                let steps = left.min(ROWS / rows);
                unsafe { normals.fill(&mut block, rows * steps) };
                for step in 0..steps {
                    let at = unsafe { block.0.as_ptr().add(8 * rows * step) };
                    for (v, state) in states.iter_mut().enumerate() {
                        *state = $step(
                            *state,
                            from_fn::<_, $normals, _>(|i| unsafe {
                                $V::load(at.add(8 * (v * $normals + i)))
                            }),
                        );
                    }
                }
                left -= steps;
            }
            for state in states {
                let mut last = [0.0; 8];
                unsafe { $V::store(last.as_mut_ptr(), state[0]) };
                out.extend_from_slice(&last);
            }
        }
        out.truncate($self.paths);
        moments(&out)
    }};
}

/// dx = −x dt + ½ dW, dt = 0.01, from x = 1.
pub struct Harmonic {
    pub paths: usize,
    pub steps: usize,
}

impl Kernel for Harmonic {
    type Out = (f64, f64);
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) -> (f64, f64) {
        let (keep, spread) = unsafe { (V::f(0.99), V::f(0.05)) };
        let start = unsafe { [V::f(1.0)] };
        simulate!(self, V, 1, start, |[x]: [V::F; 1], [z]: [V::F; 1]| unsafe {
            [V::fma(keep, x, V::mul(spread, z))]
        })
    }
}

/// SGD on (u w x − 1)² with η = 0.01, from u = 1.5, w = 0.2.
pub struct Descent {
    pub paths: usize,
    pub steps: usize,
}

impl Kernel for Descent {
    type Out = (f64, f64);
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) -> (f64, f64) {
        let (rate, minus) = unsafe { (V::f(-0.02), V::f(-1.0)) };
        let start = unsafe { [V::f(1.5), V::f(0.2)] };
        simulate!(self, V, 1, start, |[u, w]: [V::F; 2], [x]: [V::F; 1]| unsafe {
            let p = V::mul(u, x);
            let k = V::mul(rate, V::fma(p, w, minus));
            [V::fma(k, V::mul(w, x), u), V::fma(k, p, w)]
        })
    }
}

/// Its Langevin equation with dt = η: C = 4(2u²w² + 1)(w, u)(w, u)ᵀ has rank one.
pub struct LangevinRank {
    pub paths: usize,
    pub steps: usize,
}

impl Kernel for LangevinRank {
    type Out = (f64, f64);
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) -> (f64, f64) {
        let (rate, one, two) = unsafe { (V::f(-0.02), V::f(1.0), V::f(2.0)) };
        let start = unsafe { [V::f(1.5), V::f(0.2)] };
        simulate!(self, V, 1, start, |[u, w]: [V::F; 2], [z]: [V::F; 1]| unsafe {
            let p = V::mul(u, w);
            let amplitude = V::sqrt(V::fma(V::mul(p, two), p, one));
            let k = V::mul(rate, V::fma(amplitude, z, p));
            [V::fma(k, w, u), V::fma(k, u, w)]
        })
    }
}

/// The same by the symmetric square root of the 2 × 2 matrix C, two normals a step: what the peers do.
pub struct Langevin {
    pub paths: usize,
    pub steps: usize,
}

impl Kernel for Langevin {
    type Out = (f64, f64);
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) -> (f64, f64) {
        let (rate, one, two, four) = unsafe { (V::f(0.01), V::f(1.0), V::f(2.0), V::f(4.0)) };
        let start = unsafe { [V::f(1.5), V::f(0.2)] };
        simulate!(self, V, 2, start, |[u, w]: [V::F; 2], [x, y]: [V::F; 2]| unsafe {
            let p = V::mul(u, w);
            let c = V::mul(four, V::fma(V::mul(p, two), p, one));
            let (a, d, b) = (V::mul(c, V::mul(w, w)), V::mul(c, V::mul(u, u)), V::mul(c, p));
            let root = V::sqrt(V::abs(V::sub(V::mul(a, d), V::mul(b, b))));
            let scale = V::div(rate, V::sqrt(V::fma(two, root, V::add(a, d))));
            let noise_u = V::mul(scale, V::fma(V::add(a, root), x, V::mul(b, y)));
            let noise_w = V::mul(scale, V::fma(V::add(d, root), y, V::mul(b, x)));
            let k = V::mul(V::f(-0.02), p);
            [V::add(V::fma(k, w, u), noise_u), V::add(V::fma(k, u, w), noise_w)]
        })
    }
}

//! What symmetries do to θ: generators A of θ → e^{λA}θ, and finite transformations.

use nalgebra::DMatrix;

use super::{Symmetry, named};
use crate::lanes::Stream;
use crate::lanes::math::scalar::exp;
use crate::model::{Layout, Parameter};
use crate::stats::spectrum::symmetric_eigen;

/// A linear map of θ as a sum of maps of single parameters: nothing of size P × P is made unless it was given so.
#[derive(Clone, Debug, PartialEq)]
pub struct Generator {
    /// The summands.
    pub acting: Vec<Acting>,
}

/// A map of one parameter X into itself, or of θ.
#[derive(Clone, Debug, PartialEq)]
pub enum Acting {
    /// X → c X.
    Scale {
        /// X.
        parameter: Parameter,
        /// c.
        factor: f64,
    },
    /// X → M X, M `[rows][rows]`.
    Left {
        /// X.
        parameter: Parameter,
        /// M.
        matrix: Vec<f64>,
    },
    /// X → X M, M `[columns][columns]`.
    Right {
        /// X.
        parameter: Parameter,
        /// M.
        matrix: Vec<f64>,
    },
    /// X → X + c Y as a generator: adds cY to X's image.
    Mix {
        /// X.
        to: Parameter,
        /// Y, of the same shape.
        from: Parameter,
        /// c.
        factor: f64,
    },
    /// θ → A θ, A `[P][P]`.
    Whole(Vec<f64>),
}

impl Generator {
    /// Aθ.
    pub fn apply(&self, theta: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; theta.len()];
        for acting in &self.acting {
            acting.add(theta, &mut out);
        }
        out
    }

    /// A, `[P][P]` row by row.
    pub fn matrix(&self, parameters: usize) -> Vec<f64> {
        let mut matrix = vec![0.0; parameters * parameters];
        let mut unit = vec![0.0; parameters];
        for j in 0..parameters {
            unit[j] = 1.0;
            for (i, x) in self.apply(&unit).into_iter().enumerate() {
                matrix[i * parameters + j] = x;
            }
            unit[j] = 0.0;
        }
        matrix
    }
}

impl Acting {
    fn add(&self, theta: &[f64], out: &mut [f64]) {
        match self {
            Acting::Scale { parameter, factor } => {
                for e in parameter.offset..parameter.offset + parameter.shape.len() {
                    out[e] += factor * theta[e];
                }
            }
            Acting::Left { parameter, matrix } => {
                let (rows, cols) = (parameter.shape.rows, parameter.shape.cols);
                for i in 0..rows {
                    for (k, &m) in
                        matrix[i * rows..(i + 1) * rows].iter().enumerate().filter(|(_, m)| **m != 0.0)
                    {
                        for j in 0..cols {
                            out[parameter.offset + i * cols + j] +=
                                m * theta[parameter.offset + k * cols + j];
                        }
                    }
                }
            }
            Acting::Right { parameter, matrix } => {
                let (rows, cols) = (parameter.shape.rows, parameter.shape.cols);
                for i in 0..rows {
                    let row = parameter.offset + i * cols;
                    for k in 0..cols {
                        for j in 0..cols {
                            out[row + j] += theta[row + k] * matrix[k * cols + j];
                        }
                    }
                }
            }
            Acting::Mix { to, from, factor } => {
                for e in 0..to.shape.len() {
                    out[to.offset + e] += factor * theta[from.offset + e];
                }
            }
            Acting::Whole(matrix) => {
                let n = theta.len();
                for (i, out) in out.iter_mut().enumerate() {
                    *out += (0..n).map(|j| matrix[i * n + j] * theta[j]).sum::<f64>();
                }
            }
        }
    }
}

impl Symmetry {
    /// A basis of its Lie algebra; empty for discrete symmetries.
    pub fn generators(&self, layout: &Layout) -> Vec<Generator> {
        let scale = |p: &Parameter, factor: f64| Acting::Scale { parameter: p.clone(), factor };
        match self {
            Symmetry::Exponential(weights) => {
                let list = layout.parameters().iter().zip(weights).filter(|(_, a)| **a != 0.0);
                vec![Generator { acting: list.map(|(p, &a)| scale(p, a)).collect() }]
            }
            Symmetry::Scale(names) => {
                vec![Generator { acting: named(layout, names).map(|p| scale(p, 1.0)).collect() }]
            }
            Symmetry::Matrix(a) => vec![Generator { acting: vec![Acting::Whole(a.clone())] }],
            Symmetry::Rotation { left, right } => {
                let side = side_of(layout, left, right);
                let pairs = (0..side).flat_map(|a| (a + 1..side).map(move |b| (a, b)));
                pairs
                    .map(|(a, b)| {
                        let mut turn = vec![0.0; side * side];
                        turn[a * side + b] = 1.0;
                        turn[b * side + a] = -1.0;
                        let lefts = named(layout, left)
                            .map(|p| Acting::Left { parameter: p.clone(), matrix: turn.clone() });
                        // Rᵀ = e^{−λB} from the right.
                        let back: Vec<f64> = turn.iter().map(|x| -x).collect();
                        let rights = named(layout, right)
                            .map(|p| Acting::Right { parameter: p.clone(), matrix: back.clone() });
                        Generator { acting: lefts.chain(rights).collect() }
                    })
                    .collect()
            }
            Symmetry::DoubleRotation { left, right } => {
                let (Some(w), Some(u)) = (layout.get(left), layout.get(right)) else { return Vec::new() };
                let side = w.shape.rows;
                (0..side * side)
                    .map(|e| {
                        let mut unit = vec![0.0; side * side];
                        unit[e] = 1.0;
                        let back = unit.iter().map(|x| -x).collect();
                        Generator {
                            acting: vec![
                                Acting::Left { parameter: w.clone(), matrix: unit },
                                Acting::Right { parameter: u.clone(), matrix: back },
                            ],
                        }
                    })
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// θ under a random member of the group, of moderate size.
    pub fn transformed(&self, layout: &Layout, theta: &[f64], stream: &mut Stream) -> Vec<f64> {
        let lambda = stream.sign() * (0.25 + 0.5 * stream.uniform());
        let mut out = theta.to_vec();
        match self {
            Symmetry::Exponential(weights) => {
                let largest = weights.iter().fold(0.0_f64, |m, a| m.max(a.abs())).max(f64::MIN_POSITIVE);
                for (p, &a) in layout.parameters().iter().zip(weights) {
                    times(&mut out, p, exp(lambda * a / largest));
                }
            }
            Symmetry::Scale(names) => named(layout, names).for_each(|p| times(&mut out, p, exp(lambda))),
            Symmetry::Matrix(a) => return along(a, theta, lambda),
            Symmetry::Rotation { left, right } => {
                let turn = rotation(side_of(layout, left, right), stream);
                named(layout, left).for_each(|p| from_left(&mut out, p, &turn));
                let back = turn.transpose();
                named(layout, right).for_each(|p| from_right(&mut out, p, &back));
            }
            Symmetry::DoubleRotation { left, right } => {
                let side = side_of(layout, std::slice::from_ref(left), std::slice::from_ref(right));
                // 1 + N with ‖N‖ ≈ ½ is well away from singular ones.
                let spread = 0.25 / (side as f64).sqrt();
                let a = DMatrix::from_fn(side, side, |i, j| {
                    f64::from(u8::from(i == j))
                        + (spread * stream.normal()).clamp(-0.9 / side as f64, 0.9 / side as f64)
                });
                let Some(inverse) = a.clone().try_inverse() else { return out };
                named(layout, std::slice::from_ref(left)).for_each(|p| from_left(&mut out, p, &a));
                named(layout, std::slice::from_ref(right)).for_each(|p| from_right(&mut out, p, &inverse));
            }
            Symmetry::PermutationSwap(pairs) => {
                for (a, b) in pairs.iter().filter_map(|(a, b)| layout.get(a).zip(layout.get(b))) {
                    for e in 0..a.shape.len() {
                        out.swap(a.offset + e, b.offset + e);
                    }
                }
            }
            Symmetry::PermutationRows { rows, columns } => {
                let side = side_of(layout, rows, columns);
                let mut order: Vec<usize> = (0..side).collect();
                for i in (1..side).rev() {
                    order.swap(i, stream.below(i as u64 + 1) as usize);
                }
                if order.windows(2).all(|w| w[0] < w[1]) {
                    order.rotate_left(1);
                }
                let p = DMatrix::from_fn(side, side, |i, j| f64::from(u8::from(order[i] == j)));
                named(layout, rows).for_each(|q| from_left(&mut out, q, &p));
                let back = p.transpose();
                named(layout, columns).for_each(|q| from_right(&mut out, q, &back));
            }
            Symmetry::Negate(names) => named(layout, names).for_each(|p| times(&mut out, p, -1.0)),
            Symmetry::Mirror(_) => {
                let state = self.symmetric_state(layout, theta).unwrap_or_default();
                for (x, s) in out.iter_mut().zip(state) {
                    *x = 2.0 * s - *x;
                }
            }
        }
        out
    }
}

/// e^{λA}θ for a symmetric A, scaled so that λ is the largest eigenvalue's exponent.
fn along(a: &[f64], theta: &[f64], lambda: f64) -> Vec<f64> {
    let n = theta.len();
    let eigen = symmetric_eigen(&DMatrix::from_row_slice(n, n, a));
    let largest = eigen.eigenvalues.iter().fold(0.0_f64, |m, x| m.max(x.abs())).max(f64::MIN_POSITIVE);
    let mut out = vec![0.0; n];
    for (vector, value) in eigen.eigenvectors.column_iter().zip(&eigen.eigenvalues) {
        let part: f64 = vector.iter().zip(theta).map(|(v, x)| v * x).sum();
        let factor = part * exp(lambda * value / largest);
        for (o, v) in out.iter_mut().zip(vector.iter()) {
            *o += factor * v;
        }
    }
    out
}

/// Rows of the left ones, columns of the right ones: they are equally many.
fn side_of(layout: &Layout, left: &[String], right: &[String]) -> usize {
    named(layout, left)
        .map(|p| p.shape.rows)
        .chain(named(layout, right).map(|p| p.shape.cols))
        .next()
        .unwrap_or(0)
}

fn times(theta: &mut [f64], p: &Parameter, factor: f64) {
    theta[p.offset..p.offset + p.shape.len()].iter_mut().for_each(|x| *x *= factor);
}

fn from_left(theta: &mut [f64], p: &Parameter, matrix: &DMatrix<f64>) {
    let range = p.offset..p.offset + p.shape.len();
    let moved = matrix * DMatrix::from_row_slice(p.shape.rows, p.shape.cols, &theta[range.clone()]);
    theta[range].copy_from_slice(moved.transpose().as_slice());
}

fn from_right(theta: &mut [f64], p: &Parameter, matrix: &DMatrix<f64>) {
    let range = p.offset..p.offset + p.shape.len();
    let moved = DMatrix::from_row_slice(p.shape.rows, p.shape.cols, &theta[range.clone()]) * matrix;
    theta[range].copy_from_slice(moved.transpose().as_slice());
}

/// A member of SO(n), a product of turns in planes; −1 for n = 1, where e^{λB} alone would say nothing.
fn rotation(side: usize, stream: &mut Stream) -> DMatrix<f64> {
    if side == 1 {
        return DMatrix::from_element(1, 1, -1.0);
    }
    let gaussian = DMatrix::from_fn(side, side, |_, _| stream.normal());
    let mut turn = gaussian.qr().q();
    if turn.determinant() < 0.0 {
        turn.row_mut(0).neg_mut();
    }
    turn
}

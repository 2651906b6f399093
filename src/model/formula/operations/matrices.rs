//! Inverse, determinant and Cholesky factor of small square matrices, replica by replica.
//!
//! Elimination takes as its pivot the first of the largest in the column; a replica's numbers depend on no other's. A matrix that is singular
//! has an inverse that is not finite, one that is not positive definite a factor of NaN.

use super::{Attribute, Call, Frame, Operand, Operation};
use crate::lanes::{LANES, Lane};
use crate::model::Shape;
use crate::model::formula::graph::{Graph, Node};

/// Most rows.
const MOST: usize = 16;

/// Numbers of one matrix, row by row.
type Matrix = [f64; MOST * MOST];

/// Writes f of a matrix of n rows to the second, for one replica.
type Function = fn(&mut Matrix, &mut Matrix, usize);

/// f(A) of a square matrix.
pub struct Square {
    name: &'static str,
    /// One number, not a matrix.
    scalar: bool,
    function: Function,
    derivative: fn(&mut Graph, &Call<'_>) -> Option<Node>,
}

impl Operation for Square {
    fn name(&self) -> &'static str {
        self.name
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        let shape = args[0];
        if shape.rows != shape.cols {
            return Err(format!("{} of {shape}, which is not square", self.name));
        }
        if shape.rows > MOST {
            return Err(format!("{} of {shape}: it takes at most {MOST} rows", self.name));
        }
        Ok(if self.scalar { Shape::SCALAR } else { shape })
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let (n, tiles) = (args[0].shape.rows, frame.tiles);
        let (mut matrix, mut value) = ([0.0; MOST * MOST], [0.0; MOST * MOST]);
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            let sample = args[0].sample(k, tiles);
            for t in 0..tiles {
                for l in 0..LANES {
                    for (e, x) in matrix[..n * n].iter_mut().enumerate() {
                        *x = sample[e * tiles + t].0[l];
                    }
                    (self.function)(&mut matrix, &mut value, n);
                    for (e, x) in value[..frame.shape.len()].iter().enumerate() {
                        out[e * tiles + t].0[l] = *x;
                    }
                }
            }
        }
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        (self.derivative)(graph, &call)
    }
}

/// Brings the pivot of column j to row j, in `b` too; true if rows changed places.
fn pivot(a: &mut [f64], b: &mut [f64], n: usize, j: usize) -> bool {
    let mut best = j;
    for i in j + 1..n {
        if a[i * n + j].abs() > a[best * n + j].abs() {
            best = i;
        }
    }
    if best != j {
        for c in 0..n {
            a.swap(j * n + c, best * n + c);
            b.swap(j * n + c, best * n + c);
        }
    }
    best != j
}

/// det a; `a` is used up.
fn determinant(a: &mut [f64], n: usize) -> f64 {
    let mut product = 1.0;
    for j in 0..n {
        if pivot(a, &mut [0.0; MOST * MOST], n, j) {
            product = -product;
        }
        let top = a[j * n + j];
        product *= top;
        if top == 0.0 {
            return 0.0;
        }
        for i in j + 1..n {
            let factor = a[i * n + j] / top;
            for c in j + 1..n {
                a[i * n + c] -= factor * a[j * n + c];
            }
        }
    }
    product
}

/// A⁻¹, with the part −A⁻ᵀ Ḡ A⁻ᵀ of A in what is differentiated.
pub static INVERSE: Square = Square {
    name: "inverse",
    scalar: false,
    function: |a, out, n| {
        for (e, x) in out[..n * n].iter_mut().enumerate() {
            *x = if e / n == e % n { 1.0 } else { 0.0 };
        }
        for j in 0..n {
            pivot(a, out, n, j);
            let top = a[j * n + j];
            for c in 0..n {
                a[j * n + c] /= top;
                out[j * n + c] /= top;
            }
            for i in (0..n).filter(|&i| i != j) {
                let factor = a[i * n + j];
                for c in 0..n {
                    a[i * n + c] -= factor * a[j * n + c];
                    out[i * n + c] -= factor * out[j * n + c];
                }
            }
        }
    },
    derivative: |g, c| {
        let left = g.matrix_product(c.value, true, c.adjoint, false).ok()?;
        let both = g.matrix_product(left, false, c.value, true).ok()?;
        Some(g.negate(both))
    },
};

/// det A; its slope is the matrix of cofactors, finite where A is singular.
pub static DETERMINANT: Square = Square {
    name: "determinant",
    scalar: true,
    function: |a, out, n| out[0] = determinant(a, n),
    derivative: |g, c| {
        let cofactors = g.unary(&COFACTOR, c.args[0]);
        Some(g.multiply(c.adjoint, cofactors))
    },
};

/// det A · A⁻ᵀ, by minors. Of two rows it is linear; of more, its own derivative (⟨G, C⟩ − C Gᵀ)A⁻ᵀ is not finite where A is singular.
pub static COFACTOR: Square = Square {
    name: "cofactor",
    scalar: false,
    function: |a, out, n| {
        let mut minor = [0.0; MOST * MOST];
        for row in 0..n {
            for col in 0..n {
                let rest = (0..n * n).filter(|e| e / n != row && e % n != col);
                for (to, e) in minor.iter_mut().zip(rest) {
                    *to = a[e];
                }
                let value = determinant(&mut minor, n - 1);
                out[row * n + col] = if (row + col) % 2 == 0 { value } else { -value };
            }
        }
    },
    derivative: |g, c| {
        let n = g.shape(c.args[0]).rows;
        if n == 2 {
            return Some(g.unary(&COFACTOR, c.adjoint));
        }
        let inverse = g.unary(&INVERSE, c.args[0]);
        let along = g.dot(c.adjoint, c.value);
        let identity: Vec<f64> = (0..n * n).map(|e| if e / n == e % n { 1.0 } else { 0.0 }).collect();
        let identity = g.constant(Shape::matrix(n, n), &identity);
        let first = g.multiply(along, identity);
        let second = g.matrix_product(c.value, false, c.adjoint, true).ok()?;
        let both = g.subtract(first, second);
        g.matrix_product(both, false, inverse, true).ok()
    },
};

/// The lower L with L Lᵀ = ½(A + Aᵀ); a pivot of 0 with nothing below it gives a column of 0. Its derivative: Murray (2016),
/// arXiv:1602.07527, eq. 10, L⁻ᵀ Φ(Lᵀ Ḡ) L⁻¹ made symmetric, Φ the lower half with half of the diagonal.
pub static CHOLESKY: Square = Square {
    name: "cholesky",
    scalar: false,
    function: |a, out, n| {
        out[..n * n].fill(0.0);
        for j in 0..n {
            for i in j..n {
                let mut rest = 0.5 * (a[i * n + j] + a[j * n + i]);
                for k in 0..j {
                    rest -= out[i * n + k] * out[j * n + k];
                }
                let top = out[j * n + j];
                out[i * n + j] = if i == j {
                    rest.sqrt()
                } else if top == 0.0 && rest == 0.0 {
                    0.0
                } else {
                    rest / top
                };
            }
        }
    },
    derivative: |g, c| {
        let n = g.shape(c.args[0]).rows;
        let lower: Vec<f64> = (0..n * n)
            .map(|e| match (e / n).cmp(&(e % n)) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 1.0,
            })
            .collect();
        let lower = g.constant(Shape::matrix(n, n), &lower);
        let inverse = g.unary(&INVERSE, c.value);
        let product = g.matrix_product(c.value, true, c.adjoint, false).ok()?;
        let half = g.multiply(product, lower);
        let left = g.matrix_product(inverse, true, half, false).ok()?;
        let whole = g.matrix_product(left, false, inverse, false).ok()?;
        let turned = g.transpose(whole);
        let sum = g.add(whole, turned);
        Some(g.scale(0.5, sum))
    },
};

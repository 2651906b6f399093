//! The functions that a user can call, with what they are made of.

use super::binary::larger;
use super::vector::smallest;
use super::{
    ABS, ATAN, Attribute, CHOLESKY, COS, DETERMINANT, DOT, ERF, EXP, FLOOR, INVERSE, LOG, LOG10, LOGSUMEXP,
    MAXIMUM, NONZERO, NORM, NORM2, NOT_BELOW_ZERO, ONE_HOT, POWER, REAL_POWER, RELU, SIGMOID, SIGN, SIN,
    SOFTMAX, SOFTPLUS, SQRT, STEP, SUBTRACT, TAN, TANH, TRACE, ZERO,
};
use crate::model::Shape;
use crate::model::formula::graph::{Graph, Node};
use crate::model::formula::syntax::Comparison;

/// A function of the language.
pub struct Function {
    /// As written.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arguments: std::ops::RangeInclusive<usize>,
    /// For the reference page: signature and meaning.
    pub documentation: &'static str,
    /// Builds the node, or says what does not fit.
    pub build: fn(&mut Graph, &[Node]) -> Result<Node, String>,
}

/// The function of that name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name == name)
}

/// All functions, in the order of the reference page.
pub static FUNCTIONS: &[Function] = &[
    Function {
        name: "sum",
        arguments: 1..=1,
        documentation: "sum(a): Σ a_ij",
        build: |g, a| Ok(g.sum(a[0])),
    },
    Function {
        name: "mean",
        arguments: 1..=1,
        documentation: "mean(a): the mean of all elements",
        build: |g, a| {
            let count = g.shape(a[0]).len() as f64;
            let sum = g.sum(a[0]);
            let count = g.number(count);
            Ok(g.divide(sum, count))
        },
    },
    Function {
        name: "norm2",
        arguments: 1..=1,
        documentation: "norm2(a): the squared Euclidean (Frobenius) norm Σ a_ij²",
        build: |g, a| {
            if g.shape(a[0]).is_scalar() {
                Ok(g.integer_power(a[0], 2))
            } else {
                g.call(&NORM2, Attribute::NONE, a)
            }
        },
    },
    Function {
        name: "norm",
        arguments: 1..=1,
        documentation: "norm(a): the Euclidean (Frobenius) norm √Σ a_ij²; gradient 0 at 0",
        build: |g, a| {
            if g.shape(a[0]).is_scalar() {
                Ok(g.unary(&ABS, a[0]))
            } else {
                g.call(&NORM, Attribute::NONE, a)
            }
        },
    },
    Function {
        name: "dot",
        arguments: 2..=2,
        documentation: "dot(a, b): Σ a_ij b_ij of two values of one shape",
        build: |g, a| {
            if g.shape(a[0]).is_scalar() && g.shape(a[1]).is_scalar() {
                Ok(g.multiply(a[0], a[1]))
            } else {
                g.call(&DOT, Attribute::NONE, a)
            }
        },
    },
    Function {
        name: "trace",
        arguments: 1..=1,
        documentation: "trace(A): Σ a_ii",
        build: |g, a| g.call(&TRACE, Attribute::NONE, a),
    },
    Function {
        name: "inverse",
        arguments: 1..=1,
        documentation: "inverse(A): the inverse of a square matrix of at most 16 rows",
        build: |g, a| {
            if g.shape(a[0]).is_scalar() {
                let one = g.number(1.0);
                return Ok(g.divide(one, a[0]));
            }
            let inverse = g.call(&INVERSE, Attribute::NONE, a)?;
            finite(g, inverse, "the matrix is singular")
        },
    },
    Function {
        name: "determinant",
        arguments: 1..=1,
        documentation: "determinant(A): the determinant of a square matrix of at most 16 rows",
        build: |g, a| {
            if g.shape(a[0]).is_scalar() { Ok(a[0]) } else { g.call(&DETERMINANT, Attribute::NONE, a) }
        },
    },
    Function {
        name: "cholesky",
        arguments: 1..=1,
        documentation: "cholesky(A): the lower L with L Lᵀ = A of a symmetric positive definite matrix of at most 16 rows (of ½(A + Aᵀ) \
                        where A depends on parameters or data)",
        build: |g, a| {
            let shape = g.shape(a[0]);
            if let Some(data) = g.constant_of(a[0])
                && (0..data.len()).any(|e| {
                    let (row, col) = (e / shape.cols, e % shape.cols);
                    let other = data.get(col * shape.cols + row).copied().unwrap_or(f64::NAN);
                    (data[e] - other).abs() > 1e-9 * (data[e].abs() + other.abs())
                })
                && shape.rows == shape.cols
            {
                return Err("the matrix is not symmetric".to_owned());
            }
            if shape.is_scalar() {
                return Ok(g.unary(&SQRT, a[0]));
            }
            let factor = g.call(&CHOLESKY, Attribute::NONE, a)?;
            finite(g, factor, "the matrix is not positive definite")
        },
    },
    Function {
        name: "outer",
        arguments: 2..=2,
        documentation: "outer(a, b): the matrix a bᵀ of two vectors",
        build: |g, a| {
            for &v in a {
                if g.shape(v).cols != 1 {
                    return Err(format!("outer of {} and {}", g.shape(a[0]), g.shape(a[1])));
                }
            }
            g.matrix_product(a[0], false, a[1], true)
        },
    },
    Function {
        name: "exp",
        arguments: 1..=1,
        documentation: "exp(a): eᵃ, elementwise",
        build: |g, a| Ok(g.unary(&EXP, a[0])),
    },
    Function {
        name: "log",
        arguments: 1..=1,
        documentation: "log(a): the natural logarithm, elementwise",
        build: |g, a| Ok(g.unary(&LOG, a[0])),
    },
    Function {
        name: "log10",
        arguments: 1..=1,
        documentation: "log10(a): the common logarithm, elementwise",
        build: |g, a| Ok(g.unary(&LOG10, a[0])),
    },
    Function {
        name: "sqrt",
        arguments: 1..=1,
        documentation: "sqrt(a): √a, elementwise; slope 0 at 0",
        build: |g, a| Ok(g.unary(&SQRT, a[0])),
    },
    Function {
        name: "abs",
        arguments: 1..=1,
        documentation: "abs(a): |a|, elementwise; slope 0 at 0",
        build: |g, a| Ok(g.unary(&ABS, a[0])),
    },
    Function {
        name: "sign",
        arguments: 1..=1,
        documentation: "sign(a): −1 where a < 0, 1 where a > 0, 0 at 0, elementwise; slope 0",
        build: |g, a| Ok(g.unary(&SIGN, a[0])),
    },
    Function {
        name: "step",
        arguments: 1..=1,
        documentation: "step(a): 1 where a > 0, else 0, elementwise, as a > 0 is; slope 0",
        build: |g, a| Ok(g.unary(&STEP, a[0])),
    },
    Function {
        name: "floor",
        arguments: 1..=1,
        documentation: "floor(a): the largest whole number not above a, elementwise; slope 0",
        build: |g, a| Ok(g.unary(&FLOOR, a[0])),
    },
    Function {
        name: "tanh",
        arguments: 1..=1,
        documentation: "tanh(a): the hyperbolic tangent, elementwise",
        build: |g, a| Ok(g.unary(&TANH, a[0])),
    },
    Function {
        name: "sigmoid",
        arguments: 1..=1,
        documentation: "sigmoid(a): 1/(1 + e⁻ᵃ), elementwise",
        build: |g, a| Ok(g.unary(&SIGMOID, a[0])),
    },
    Function {
        name: "softplus",
        arguments: 1..=1,
        documentation: "softplus(a): ln(1 + eᵃ), elementwise",
        build: |g, a| Ok(g.unary(&SOFTPLUS, a[0])),
    },
    Function {
        name: "relu",
        arguments: 1..=1,
        documentation: "relu(a): a where a > 0, else 0, elementwise; slope 0 at 0",
        build: |g, a| Ok(g.unary(&RELU, a[0])),
    },
    Function {
        name: "gelu",
        arguments: 1..=1,
        documentation: "gelu(a): a Φ(a) = a (1 + erf(a/√2))/2, elementwise",
        build: |g, a| {
            let scaled = g.scale(std::f64::consts::FRAC_1_SQRT_2, a[0]);
            let erf = g.unary(&ERF, scaled);
            let one = g.number(1.0);
            let twice = g.add(one, erf);
            let share = g.scale(0.5, twice);
            Ok(g.multiply(a[0], share))
        },
    },
    Function {
        name: "sin",
        arguments: 1..=1,
        documentation: "sin(a): the sine, elementwise, a in radians",
        build: |g, a| Ok(g.unary(&SIN, a[0])),
    },
    Function {
        name: "cos",
        arguments: 1..=1,
        documentation: "cos(a): the cosine, elementwise, a in radians",
        build: |g, a| Ok(g.unary(&COS, a[0])),
    },
    Function {
        name: "tan",
        arguments: 1..=1,
        documentation: "tan(a): the tangent, elementwise, a in radians",
        build: |g, a| Ok(g.unary(&TAN, a[0])),
    },
    Function {
        name: "atan",
        arguments: 1..=1,
        documentation: "atan(a): the arc tangent, between −π/2 and π/2, elementwise",
        build: |g, a| Ok(g.unary(&ATAN, a[0])),
    },
    Function {
        name: "erf",
        arguments: 1..=1,
        documentation: "erf(a): the error function, elementwise",
        build: |g, a| Ok(g.unary(&ERF, a[0])),
    },
    Function {
        name: "softmax",
        arguments: 1..=1,
        documentation: "softmax(a): e^{a_i}/Σ e^{a_j} of a vector",
        build: |g, a| {
            if g.shape(a[0]).cols == 1 {
                Ok(g.unary(&SOFTMAX, a[0]))
            } else {
                Err(format!("softmax of {}, which takes a vector", g.shape(a[0])))
            }
        },
    },
    Function {
        name: "logsumexp",
        arguments: 1..=1,
        documentation: "logsumexp(a): ln Σ e^{a_ij}",
        build: |g, a| g.call(&LOGSUMEXP, Attribute::NONE, a),
    },
    Function {
        name: "cross_entropy",
        arguments: 2..=2,
        documentation: "cross_entropy(logits, k): −ln softmax(logits)_k of a vector and a 0-based label",
        build: |g, a| {
            let (shape, label) = (g.shape(a[0]), g.shape(a[1]));
            if shape.cols != 1 || shape.is_scalar() || !label.is_scalar() {
                return Err(format!(
                    "cross_entropy of {shape} and {label}, which takes a vector and a scalar label"
                ));
            }
            if let Some(&[k]) = g.constant_of(a[1])
                && !(k >= 0.0 && k < shape.rows as f64 && k == k.trunc())
            {
                return Err(format!(
                    "the label {k} of {} logits, whose labels are 0 to {}",
                    shape.rows,
                    shape.rows - 1
                ));
            }
            let normaliser = g.call(&LOGSUMEXP, Attribute::NONE, &a[..1])?;
            let choice = g.apply(&ONE_HOT, Attribute::shape(shape), &a[1..]);
            let chosen = g.dot(a[0], choice);
            Ok(g.subtract(normaliser, chosen))
        },
    },
    Function {
        name: "max",
        arguments: 1..=2,
        documentation: "max(a), max(a, b): the largest element, or the larger of two, elementwise; equals share the slope",
        build: |g, a| match a {
            [one] if g.shape(*one).is_scalar() => Ok(*one),
            [_] => g.call(&MAXIMUM, Attribute::NONE, a),
            _ => larger(g, a[0], a[1]),
        },
    },
    Function {
        name: "min",
        arguments: 1..=2,
        documentation: "min(a), min(a, b): the smallest element, or the smaller of two, elementwise; equals share the slope",
        build: |g, a| match a {
            [one] if g.shape(*one).is_scalar() => Ok(*one),
            [one] => Ok(smallest(g, *one)),
            _ => {
                let (x, y) = (g.negate(a[0]), g.negate(a[1]));
                let top = larger(g, x, y)?;
                Ok(g.negate(top))
            }
        },
    },
];

/// A node, or a message where it is a constant that is not finite.
fn finite(graph: &Graph, node: Node, message: &str) -> Result<Node, String> {
    match graph.constant_of(node) {
        Some(data) if data.iter().any(|x| !x.is_finite()) => Err(message.to_owned()),
        _ => Ok(node),
    }
}

/// `a < b` and its kin, 1 where true and 0 elsewhere: of the difference, so that all have one switching argument. Where a side is not a
/// number, none is true.
///
/// # Errors
/// Shapes that do not fit.
pub fn comparison(graph: &mut Graph, comparison: Comparison, a: Node, b: Node) -> Result<Node, String> {
    let (a, b, operation): (Node, Node, &'static super::Unary) = match comparison {
        Comparison::Below => (b, a, &STEP),
        Comparison::Above => (a, b, &STEP),
        Comparison::AtMost => (b, a, &NOT_BELOW_ZERO),
        Comparison::AtLeast => (a, b, &NOT_BELOW_ZERO),
        Comparison::Equal => (a, b, &ZERO),
        Comparison::Unequal => (a, b, &NONZERO),
    };
    let difference = graph.call(&SUBTRACT, Attribute::NONE, &[a, b])?;
    Ok(graph.unary(operation, difference))
}

/// aᵇ, elementwise: whole constant exponents by multiplication, √ for ½.
///
/// # Errors
/// Shapes that do not fit.
pub fn power(graph: &mut Graph, base: Node, exponent: Node) -> Result<Node, String> {
    if let Some(&[value]) = graph.constant_of(exponent) {
        if value == value.trunc() && value.abs() <= 1024.0 {
            return Ok(graph.integer_power(base, value as i64));
        }
        if value == 0.5 {
            return Ok(graph.unary(&SQRT, base));
        }
        return graph.call(&REAL_POWER, Attribute::real(value), &[base]);
    }
    graph.call(&POWER, Attribute::NONE, &[base, exponent])
}

/// A column of scalars, or a matrix of rows given as columns of one length.
///
/// # Errors
/// No elements, or elements that are matrices.
pub fn array(graph: &mut Graph, elements: &[Node]) -> Result<Node, String> {
    let Some(&first) = elements.first() else {
        return Err("an empty array".to_owned());
    };
    let part = graph.shape(first);
    let shape = match part {
        Shape { rows: 1, cols: 1 } => Shape::vector(elements.len()),
        Shape { rows, cols: 1 } => Shape::matrix(elements.len(), rows),
        other => return Err(format!("an array of matrices {other}")),
    };
    if elements.len() == 1 && part.is_scalar() {
        return Ok(first);
    }
    graph.call(&super::ARRAY, Attribute::shape(shape), elements)
}

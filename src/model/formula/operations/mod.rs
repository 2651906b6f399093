//! The operations of the language: each in one place, with its shape rule, value, derivative and documentation.
//!
//! A new operation is an [`Operation`] in one of the files here (or a new file), and, if users may call it, one
//! line in [`functions`].

mod affine;
mod binary;
pub mod functions;
mod kernels;
mod linear;
mod matrices;
mod reduce;
mod unary;
mod vector;

pub use affine::{AFFINE, AFFINE_PRODUCT};
pub use binary::{ADD, CHAIN_PRODUCT, CHAIN_QUOTIENT, DIVIDE, LARGER, MULTIPLY, POWER, SUBTRACT};
pub use linear::{MATRIX_PRODUCT, SCALED_IDENTITY, TRACE, TRANSPOSE};
pub use matrices::{CHOLESKY, COFACTOR, DETERMINANT, INVERSE};
pub use reduce::{BROADCAST, DOT, MAX_MASK, MAXIMUM, NORM, NORM2, SUM};
pub use unary::{
    ABS, ATAN, COS, ERF, EXP, FLOOR, INTEGER_POWER, LOG, LOG10, NEGATE, NONZERO, NOT_BELOW_ZERO, REAL_POWER,
    RECIPROCAL_OR_ZERO, RECIPROCAL_ROOT, RELU, SIGMOID, SIGN, SIN, SOFTPLUS, SQRT, STEP, TAN, TANH, Unary,
    ZERO,
};
pub use vector::{ARRAY, LOGSUMEXP, ONE_HOT, SOFTMAX, element};

use super::graph::{Graph, Node};
use crate::lanes::pass::{Recipe, Value};
use crate::lanes::{Lane, Product, matrix_product, number_product};
use crate::model::Shape;

/// A number or two that belong to an operation (an exponent, a target shape, flags).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attribute(u64, u64);

impl Attribute {
    /// Nothing.
    pub const NONE: Self = Self(0, 0);
    /// A whole number.
    pub fn integer(value: i64) -> Self {
        Self(value.cast_unsigned(), 0)
    }
    /// The whole number.
    pub fn as_integer(self) -> i64 {
        self.0.cast_signed()
    }
    /// A real number.
    pub fn real(value: f64) -> Self {
        Self(value.to_bits(), 0)
    }
    /// The real number.
    pub fn as_real(self) -> f64 {
        f64::from_bits(self.0)
    }
    /// Two real numbers.
    pub fn reals(a: f64, b: f64) -> Self {
        Self(a.to_bits(), b.to_bits())
    }
    /// The two real numbers.
    pub fn as_reals(self) -> (f64, f64) {
        (f64::from_bits(self.0), f64::from_bits(self.1))
    }
    /// A shape.
    pub fn shape(shape: Shape) -> Self {
        Self(shape.rows as u64, shape.cols as u64)
    }
    /// The shape.
    pub fn as_shape(self) -> Shape {
        Shape::matrix(self.0 as usize, self.1 as usize)
    }
    /// Two flags.
    pub fn flags(a: bool, b: bool) -> Self {
        Self(u64::from(a), u64::from(b))
    }
    /// The flags.
    pub fn as_flags(self) -> (bool, bool) {
        (self.0 != 0, self.1 != 0)
    }
}

/// An argument's numbers on a block: `[sample][element][tile]`.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    /// All of them, from the first sample on.
    pub data: &'a [Lane],
    /// Shape of the value.
    pub shape: Shape,
    /// Vectors from one sample to the next; 0 if all samples share one value.
    pub stride: usize,
    /// The number, where it is a scalar constant.
    pub immediate: Option<f64>,
    /// In place of `data`, where all replicas have the same samples and the operation [takes](Operation::takes_numbers) them so: from the
    /// first sample on, as many numbers apart as the data are elements.
    pub numbers: Option<&'a [f64]>,
}

impl<'a> Operand<'a> {
    /// A value shared by all samples.
    pub fn unbatched(data: &'a [Lane], shape: Shape) -> Self {
        Self { data, shape, stride: 0, immediate: None, numbers: None }
    }
    /// The value for one sample, `[element][tile]`.
    pub fn sample(&self, sample: usize, tiles: usize) -> &'a [Lane] {
        let start = sample * self.stride;
        &self.data[start..start + self.shape.len() * tiles]
    }
}

/// What is known of an argument before there are numbers.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Shape of the value.
    pub shape: Shape,
    /// It differs between samples.
    pub batched: bool,
}

/// out (+)= a b, where at most one of the factors is numbers.
fn product(out: &mut [Lane], a: &Operand<'_>, b: &Operand<'_>, extents: &Product, add: bool) {
    match (a.numbers, b.numbers) {
        (None, None) => matrix_product(out, a.data, b.data, extents, add),
        (Some(numbers), _) => number_product(out, numbers, b.data, extents, add),
        (None, Some(numbers)) => number_product(out, numbers, a.data, &extents.turned(), add),
    }
}

/// An argument in a pass.
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    /// Its elements.
    pub values: &'a [Value],
    /// Its shape.
    pub shape: Shape,
}

/// What is being computed: `out` is `[count][shape.len()][tiles]`.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Vectors of eight replicas.
    pub tiles: usize,
    /// Samples.
    pub count: usize,
    /// Shape of the result.
    pub shape: Shape,
}

impl Frame {
    /// Vectors a sample of the result takes.
    pub fn stride(&self) -> usize {
        self.shape.len() * self.tiles
    }
    /// True if `operand` lies in memory just as the result does.
    fn matches(&self, operand: &Operand<'_>) -> bool {
        operand.shape.len() == self.shape.len() && (self.count == 1 || operand.stride == self.stride())
    }
    /// Everything of an operand that [`Frame::matches`].
    fn whole<'a>(&self, operand: &Operand<'a>) -> &'a [Lane] {
        &operand.data[..self.count * self.stride()]
    }
}

/// A value that is one loop over the numbers of its operands, named by their index.
#[derive(Clone, Copy)]
pub enum Straight {
    /// out = f(x).
    One(fn(&mut [Lane], &[Lane])),
    /// out = x ∘ y.
    Two(fn(&mut [Lane], &[Lane], &[Lane])),
    /// out = c ∘ y, y the second argument.
    Left(fn(&mut [Lane], f64, &[Lane]), f64),
    /// out = x ∘ c, x the first argument.
    Right(fn(&mut [Lane], &[Lane], f64), f64),
    /// out = (x + shift)·factor.
    Affine(f64, f64),
    /// out = (x·y + shift)·factor.
    AffineProduct(f64, f64),
}

impl Straight {
    /// The arguments it reads.
    pub fn operands(&self) -> std::ops::Range<usize> {
        match self {
            Self::One(_) | Self::Right(..) | Self::Affine(..) => 0..1,
            Self::Left(..) => 1..2,
            Self::Two(_) | Self::AffineProduct(..) => 0..2,
        }
    }
    /// Computes it.
    #[inline]
    pub fn run<'a>(&self, out: &mut [Lane], operand: impl Fn(usize) -> &'a [Lane]) {
        match *self {
            Self::One(kernel) => kernel(out, operand(0)),
            Self::Two(kernel) => kernel(out, operand(0), operand(1)),
            Self::Left(kernel, c) => kernel(out, c, operand(1)),
            Self::Right(kernel, c) => kernel(out, operand(0), c),
            Self::Affine(shift, factor) => kernels::affine(out, operand(0), shift, factor),
            Self::AffineProduct(shift, factor) => {
                kernels::affine_product(out, operand(0), operand(1), shift, factor);
            }
        }
    }
}

/// A node whose derivative is asked for.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Its attribute.
    pub attribute: Attribute,
    /// Its arguments.
    pub args: &'a [Node],
    /// Itself.
    pub value: Node,
    /// ∂(what is differentiated)/∂value.
    pub adjoint: Node,
}

/// An operation of the language.
pub trait Operation: Sync {
    /// Unique name; the user's where users can write it.
    fn name(&self) -> &'static str;
    /// Shape of the result.
    ///
    /// # Errors
    /// The shapes that do not fit, as they would be written: `[3,4] @ [5]`.
    fn shape(&self, attribute: Attribute, args: &[Shape]) -> Result<Shape, String>;
    /// The value on a block.
    fn evaluate(&self, attribute: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]);
    /// The part of argument `which` in the adjoint: `adjoint · ∂value/∂args[which]`; `None` where the derivative is 0 everywhere.
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, which: usize) -> Option<Node>;
    /// The value as one loop over all numbers, where it is one if operands lie in memory just as the result does; `immediates` are those
    /// arguments that are scalar constants.
    fn straight(&self, _attribute: Attribute, _immediates: &[Option<f64>]) -> Option<Straight> {
        None
    }
    /// The value's elements in a pass, rounded as [`Operation::evaluate`] rounds them; `None` if it has no such form.
    fn in_pass(
        &self,
        _attribute: Attribute,
        _recipe: &mut Recipe,
        _args: &[Elements<'_>],
        _shape: Shape,
    ) -> Option<Vec<Value>> {
        None
    }
    /// True if argument `which` may come as [`Operand::numbers`], in sums over samples if `summed`; no other argument does then.
    fn takes_numbers(&self, _attribute: Attribute, _which: usize, _args: &[Argument], _summed: bool) -> bool {
        false
    }
    /// a ∘ b = b ∘ a, to the bit.
    fn commutative(&self) -> bool {
        false
    }
    /// True if [`Operation::accumulate`] is offered.
    fn accumulates(&self) -> bool {
        false
    }
    /// Adds the sum over the frame's samples to `out` (`[shape.len()][tiles]`), or begins the sum if `first`;
    /// one sample after the other, so that the result does not depend on how samples are cut into chunks.
    fn accumulate(
        &self,
        _attribute: Attribute,
        _frame: &Frame,
        _args: &[Operand<'_>],
        _out: &mut [Lane],
        _first: bool,
    ) {
        unreachable!("only operations that say so accumulate")
    }
}

/// a ← factor·a.
pub fn scale_in_place(a: &mut [Lane], factor: f64) {
    kernels::scale_in_place(a, factor);
}

/// mean += a x, squares += a x·x.
pub fn add_moments(mean: &mut [Lane], squares: &mut [Lane], x: &[Lane], a: f64) {
    kernels::add_moments(mean, squares, x, a);
}

/// Copies; its accumulation is the sum over a batch.
pub static IDENTITY: Identity = Identity;

/// See [`IDENTITY`].
pub struct Identity;

impl Operation for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        Ok(args[0])
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let stride = frame.stride();
        for k in 0..frame.count {
            out[k * stride..(k + 1) * stride].copy_from_slice(args[0].sample(k, frame.tiles));
        }
    }
    fn derivative(&self, _: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        Some(call.adjoint)
    }
    fn straight(&self, _: Attribute, _: &[Option<f64>]) -> Option<Straight> {
        Some(Straight::One(|out, a| out.copy_from_slice(a)))
    }
    fn in_pass(&self, _: Attribute, _: &mut Recipe, args: &[Elements<'_>], _: Shape) -> Option<Vec<Value>> {
        Some(args[0].values.to_vec())
    }
    fn accumulates(&self) -> bool {
        true
    }
    fn accumulate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane], first: bool) {
        for k in 0..frame.count {
            let sample = args[0].sample(k, frame.tiles);
            if first && k == 0 {
                out.copy_from_slice(sample);
            } else {
                kernels::add_to(out, sample);
            }
        }
    }
}

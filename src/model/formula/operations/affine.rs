//! (y + shift)·factor and (a·b + shift)·factor in one pass: what the compiler of programs makes of chains of
//! products and sums with constants. Each number is rounded just as in the separate operations.

use super::{Attribute, Call, Frame, MULTIPLY, Operand, Operation, Straight, kernels};
use crate::lanes::Lane;
use crate::model::Shape;
use crate::model::formula::graph::{Graph, Node};

/// (y + shift)·factor (attribute: both).
pub static AFFINE: Affine = Affine { product: false };
/// (a·b + shift)·factor (attribute: both).
pub static AFFINE_PRODUCT: Affine = Affine { product: true };

/// See [`AFFINE`] and [`AFFINE_PRODUCT`].
pub struct Affine {
    product: bool,
}

impl Operation for Affine {
    fn name(&self) -> &'static str {
        if self.product { "affine_product" } else { "affine" }
    }
    fn shape(&self, attribute: Attribute, args: &[Shape]) -> Result<Shape, String> {
        if self.product { MULTIPLY.shape(attribute, args) } else { Ok(args[0]) }
    }
    fn evaluate(&self, attribute: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let (shift, factor) = attribute.as_reals();
        match args {
            [a, b] if frame.matches(a) && frame.matches(b) => {
                kernels::affine_product(out, frame.whole(a), frame.whole(b), shift, factor);
            }
            [a, b] => {
                MULTIPLY.evaluate(attribute, frame, &[*a, *b], out);
                kernels::affine_in_place(out, shift, factor);
            }
            [y] if frame.matches(y) => kernels::affine(out, frame.whole(y), shift, factor),
            _ => {
                let stride = frame.stride();
                for (k, out) in out.chunks_exact_mut(stride).enumerate() {
                    kernels::affine(out, args[0].sample(k, frame.tiles), shift, factor);
                }
            }
        }
    }
    fn straight(&self, attribute: Attribute, _: &[Option<f64>]) -> Option<Straight> {
        let (shift, factor) = attribute.as_reals();
        Some(if self.product {
            Straight::AffineProduct(shift, factor)
        } else {
            Straight::Affine(shift, factor)
        })
    }
    fn derivative(&self, _: &mut Graph, _: Call<'_>, _: usize) -> Option<Node> {
        unreachable!("programs are made after derivatives")
    }
}

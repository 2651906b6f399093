//! Sums, norms and extremes over all elements, and back.

use super::kernels;
use super::unary::RECIPROCAL_OR_ZERO;
use super::{Argument, Attribute, Call, Elements, Frame, Operand, Operation, product};
use crate::lanes::pass::{Recipe, Value};
use crate::lanes::{Lane, Product, matrix_product};
use crate::model::Shape;
use crate::model::formula::graph::{Graph, Node};

fn need_same(args: &[Shape], name: &str) -> Result<(), String> {
    if args[0] == args[1] { Ok(()) } else { Err(format!("{name} of {} and {}", args[0], args[1])) }
}

/// Sum of all elements, in their order.
pub static SUM: Sum = Sum;
/// See [`SUM`].
pub struct Sum;
impl Operation for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn shape(&self, _: Attribute, _: &[Shape]) -> Result<Shape, String> {
        Ok(Shape::SCALAR)
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        for (k, out) in out.chunks_exact_mut(frame.tiles).enumerate() {
            let mut elements = args[0].sample(k, frame.tiles).chunks_exact(frame.tiles);
            if let Some(first) = elements.next() {
                out.copy_from_slice(first);
            }
            elements.for_each(|element| kernels::add_to(out, element));
        }
    }
    fn in_pass(
        &self,
        _: Attribute,
        recipe: &mut Recipe,
        args: &[Elements<'_>],
        _: Shape,
    ) -> Option<Vec<Value>> {
        recipe.sum(args[0].values.iter().copied()).map(|sum| vec![sum])
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let shape = graph.shape(call.args[0]);
        Some(graph.broadcast(call.adjoint, shape))
    }
}

/// A scalar in every element (attribute: the shape).
pub static BROADCAST: Broadcast = Broadcast;
/// See [`BROADCAST`].
pub struct Broadcast;
impl Operation for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }
    fn shape(&self, attribute: Attribute, args: &[Shape]) -> Result<Shape, String> {
        let shape = attribute.as_shape();
        if args[0].is_scalar() || args[0] == shape {
            Ok(shape)
        } else {
            Err(format!("{} spread over {shape}", args[0]))
        }
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let tiles = frame.tiles;
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            let value = args[0].sample(k, tiles);
            out.chunks_exact_mut(value.len()).for_each(|element| element.copy_from_slice(value));
        }
    }
    fn in_pass(
        &self,
        _: Attribute,
        _: &mut Recipe,
        args: &[Elements<'_>],
        shape: Shape,
    ) -> Option<Vec<Value>> {
        Some(args[0].values.iter().copied().cycle().take(shape.len()).collect())
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        Some(if graph.shape(call.args[0]).is_scalar() { graph.sum(call.adjoint) } else { call.adjoint })
    }
}

/// Σ a_i b_i in a pass.
fn scalar_product(recipe: &mut Recipe, a: &[Value], b: &[Value]) -> Option<Vec<Value>> {
    let products: Vec<Value> = a.iter().zip(b).map(|(&a, &b)| recipe.multiply(a, b)).collect();
    recipe.sum(products).map(|sum| vec![sum])
}

/// Σ a_i b_i.
pub static DOT: Dot = Dot;
/// See [`DOT`].
pub struct Dot;
impl Operation for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        need_same(args, "dot")?;
        Ok(Shape::SCALAR)
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        // The operand that differs between samples gives the rows, one a sample.
        let (a, b) = if args[0].stride > 0 { (args[0], args[1]) } else { (args[1], args[0]) };
        let one_matrix = frame.count == 1 || b.stride == 0;
        let (rows, tiles) = (if one_matrix { frame.count } else { 1 }, frame.tiles);
        let extents = Product {
            rows,
            inner: a.shape.len(),
            cols: 1,
            a_row: a.stride / tiles,
            a_inner: 1,
            b_inner: 1,
            b_col: 0,
            out_row: 1,
            out_col: 1,
            tiles,
        };
        if one_matrix {
            return product(out, &a, &b, &extents, false);
        }
        for (k, out) in out.chunks_exact_mut(tiles).enumerate() {
            let (from_a, from_b) = (k * a.stride, k * b.stride);
            matrix_product(out, &a.data[from_a..], &b.data[from_b..], &extents, false);
        }
    }
    fn in_pass(
        &self,
        _: Attribute,
        recipe: &mut Recipe,
        args: &[Elements<'_>],
        _: Shape,
    ) -> Option<Vec<Value>> {
        scalar_product(recipe, args[0].values, args[1].values)
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, which: usize) -> Option<Node> {
        Some(graph.multiply(call.adjoint, call.args[1 - which]))
    }
    fn takes_numbers(&self, _: Attribute, which: usize, args: &[Argument], summed: bool) -> bool {
        !summed && args[which].batched && !args[1 - which].batched
    }
    fn commutative(&self) -> bool {
        true
    }
}

/// Σ a_i².
pub static NORM2: Norm2 = Norm2;
/// See [`NORM2`].
pub struct Norm2;
impl Operation for Norm2 {
    fn name(&self) -> &'static str {
        "norm2"
    }
    fn shape(&self, _: Attribute, _: &[Shape]) -> Result<Shape, String> {
        Ok(Shape::SCALAR)
    }
    fn evaluate(&self, attribute: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        DOT.evaluate(attribute, frame, &[args[0], args[0]], out);
    }
    fn in_pass(
        &self,
        _: Attribute,
        recipe: &mut Recipe,
        args: &[Elements<'_>],
        _: Shape,
    ) -> Option<Vec<Value>> {
        scalar_product(recipe, args[0].values, args[0].values)
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let twice = graph.scale(2.0, call.adjoint);
        Some(graph.multiply(twice, call.args[0]))
    }
}

/// √Σ a_i²; its gradient a/‖a‖ is 0 at 0.
pub static NORM: Norm = Norm;
/// See [`NORM`].
pub struct Norm;
impl Operation for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }
    fn shape(&self, _: Attribute, _: &[Shape]) -> Result<Shape, String> {
        Ok(Shape::SCALAR)
    }
    fn evaluate(&self, attribute: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        NORM2.evaluate(attribute, frame, args, out);
        for lane in out.iter_mut() {
            for x in &mut lane.0 {
                *x = x.sqrt();
            }
        }
    }
    fn in_pass(
        &self,
        _: Attribute,
        recipe: &mut Recipe,
        args: &[Elements<'_>],
        _: Shape,
    ) -> Option<Vec<Value>> {
        let square = scalar_product(recipe, args[0].values, args[0].values)?;
        Some(square.into_iter().map(|x| recipe.sqrt(x)).collect())
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let inverse = graph.unary(&RECIPROCAL_OR_ZERO, call.value);
        let along = graph.multiply(call.adjoint, inverse);
        Some(graph.multiply(along, call.args[0]))
    }
}

/// The largest element.
pub static MAXIMUM: Maximum = Maximum;
/// See [`MAXIMUM`].
pub struct Maximum;
impl Operation for Maximum {
    fn name(&self) -> &'static str {
        "maximum"
    }
    fn shape(&self, _: Attribute, _: &[Shape]) -> Result<Shape, String> {
        Ok(Shape::SCALAR)
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        for (k, out) in out.chunks_exact_mut(frame.tiles).enumerate() {
            largest(out, args[0].sample(k, frame.tiles), frame.tiles);
        }
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let mask = graph.unary(&MAX_MASK, call.args[0]);
        Some(graph.multiply(call.adjoint, mask))
    }
}

pub(super) fn largest(out: &mut [Lane], value: &[Lane], tiles: usize) {
    out.copy_from_slice(&value[..tiles]);
    value.chunks_exact(tiles).skip(1).for_each(|element| kernels::max_to(out, element));
}

/// 1/m at each of the m largest elements, else 0: the slope of the maximum.
pub static MAX_MASK: MaxMask = MaxMask;
/// See [`MAX_MASK`].
pub struct MaxMask;
impl Operation for MaxMask {
    fn name(&self) -> &'static str {
        "max_mask"
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        Ok(args[0])
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let tiles = frame.tiles;
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            let value = args[0].sample(k, tiles);
            for t in 0..tiles {
                let mut top = [value[t]];
                value
                    .iter()
                    .skip(t)
                    .step_by(tiles)
                    .for_each(|x| kernels::max_to(&mut top, std::slice::from_ref(x)));
                let mut count = [Lane::default()];
                for e in (t..out.len()).step_by(tiles) {
                    kernels::equal(&mut out[e..=e], &value[e..=e], &top);
                    kernels::add_to(&mut count, &out[e..=e]);
                }
                for e in (t..out.len()).step_by(tiles) {
                    let mark = [out[e]];
                    kernels::divide(&mut out[e..=e], &mark, &count);
                }
            }
        }
    }
    fn derivative(&self, _: &mut Graph, _: Call<'_>, _: usize) -> Option<Node> {
        None
    }
}

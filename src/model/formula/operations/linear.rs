//! Matrices: products, transposes, traces.

use super::kernels;
use super::{Argument, Attribute, Call, Elements, Frame, Operand, Operation, product};
use crate::lanes::pass::{Recipe, Value};
use crate::lanes::{Lane, Product, matrix_product};
use crate::model::Shape;
use crate::model::formula::graph::{Graph, Node};

fn turned(shape: Shape, transposed: bool) -> Shape {
    if transposed { Shape::matrix(shape.cols, shape.rows) } else { shape }
}

/// op(a) @ op(b); attribute: which of the two is transposed.
pub static MATRIX_PRODUCT: MatrixProduct = MatrixProduct;
/// See [`MATRIX_PRODUCT`].
pub struct MatrixProduct;

impl MatrixProduct {
    fn extents(attribute: Attribute, tiles: usize, a: Shape, b: Shape) -> Product {
        let (ta, tb) = attribute.as_flags();
        let (left, right) = (turned(a, ta), turned(b, tb));
        Product {
            rows: left.rows,
            inner: left.cols,
            cols: right.cols,
            a_row: if ta { 1 } else { a.cols },
            a_inner: if ta { a.cols } else { 1 },
            b_inner: if tb { 1 } else { b.cols },
            b_col: if tb { b.cols } else { 1 },
            out_row: right.cols,
            out_col: 1,
            tiles,
        }
    }
}

impl Operation for MatrixProduct {
    fn name(&self) -> &'static str {
        "matrix_product"
    }
    fn shape(&self, attribute: Attribute, args: &[Shape]) -> Result<Shape, String> {
        let (ta, tb) = attribute.as_flags();
        let (a, b) = (turned(args[0], ta), turned(args[1], tb));
        if a.cols == b.rows { Ok(Shape::matrix(a.rows, b.cols)) } else { Err(format!("{a} @ {b}")) }
    }
    fn evaluate(&self, attribute: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let mut extents = Self::extents(attribute, frame.tiles, args[0].shape, args[1].shape);
        if extents.cols == 1 && args[0].stride == 0 && args[1].stride > 0 {
            // One matrix, a vector a sample: the samples are the columns of one product.
            extents.cols = frame.count;
            extents.b_col = args[1].stride / frame.tiles;
            extents.out_row = 1;
            extents.out_col = extents.rows;
            return product(out, &args[0], &args[1], &extents, false);
        }
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            let (a, b) = (args[0].sample(k, frame.tiles), args[1].sample(k, frame.tiles));
            matrix_product(out, a, b, &extents, false);
        }
    }
    fn in_pass(
        &self,
        attribute: Attribute,
        recipe: &mut Recipe,
        args: &[Elements<'_>],
        _: Shape,
    ) -> Option<Vec<Value>> {
        let d = Self::extents(attribute, 1, args[0].shape, args[1].shape);
        let (a, b) = (args[0].values, args[1].values);
        let mut all = Vec::with_capacity(d.rows * d.cols);
        for (i, j) in (0..d.rows).flat_map(|i| (0..d.cols).map(move |j| (i, j))) {
            let products: Vec<Value> = (0..d.inner)
                .map(|k| {
                    let (x, y) = (a[i * d.a_row + k * d.a_inner], b[k * d.b_inner + j * d.b_col]);
                    recipe.multiply(x, y)
                })
                .collect();
            all.push(recipe.sum(products)?);
            if recipe.too_long() {
                return None;
            }
        }
        Some(all)
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, which: usize) -> Option<Node> {
        // C = op(A) op(B): dop(A) = G op(B)ᵀ, dop(B) = op(A)ᵀ G, transposed back where the operand was.
        let (ta, tb) = call.attribute.as_flags();
        let (a, b, g) = (call.args[0], call.args[1], call.adjoint);
        let product = match (which, ta, tb) {
            (0, false, _) => graph.matrix_product(g, false, b, !tb),
            (0, true, _) => graph.matrix_product(b, tb, g, true),
            (_, _, false) => graph.matrix_product(a, !ta, g, false),
            (_, _, true) => graph.matrix_product(g, true, a, ta),
        };
        product.ok()
    }
    fn takes_numbers(&self, attribute: Attribute, which: usize, args: &[Argument], summed: bool) -> bool {
        let extents = Self::extents(attribute, 1, args[0].shape, args[1].shape);
        if summed {
            extents.inner == 1 && args[0].batched && args[1].batched
        } else {
            which == 1 && extents.cols == 1 && !args[0].batched && args[1].batched
        }
    }
    fn accumulates(&self) -> bool {
        true
    }
    fn accumulate(
        &self,
        attribute: Attribute,
        frame: &Frame,
        args: &[Operand<'_>],
        out: &mut [Lane],
        first: bool,
    ) {
        let mut extents = Self::extents(attribute, frame.tiles, args[0].shape, args[1].shape);
        if extents.inner == 1 && args[0].stride > 0 && args[1].stride > 0 {
            // An outer product a sample: the samples are the inner dimension of one product.
            extents.inner = frame.count;
            extents.a_inner = args[0].stride / frame.tiles;
            extents.b_inner = args[1].stride / frame.tiles;
            return product(out, &args[0], &args[1], &extents, !first);
        }
        for k in 0..frame.count {
            let (a, b) = (args[0].sample(k, frame.tiles), args[1].sample(k, frame.tiles));
            matrix_product(out, a, b, &extents, !(first && k == 0));
        }
    }
}

/// aᵀ.
pub static TRANSPOSE: Transpose = Transpose;
/// See [`TRANSPOSE`].
pub struct Transpose;
impl Operation for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        Ok(turned(args[0], true))
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let (tiles, Shape { rows, cols }) = (frame.tiles, frame.shape);
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            let a = args[0].sample(k, tiles);
            for i in 0..rows {
                for j in 0..cols {
                    let (to, from) = ((i * cols + j) * tiles, (j * rows + i) * tiles);
                    out[to..to + tiles].copy_from_slice(&a[from..from + tiles]);
                }
            }
        }
    }
    fn in_pass(
        &self,
        _: Attribute,
        _: &mut Recipe,
        args: &[Elements<'_>],
        Shape { rows, cols }: Shape,
    ) -> Option<Vec<Value>> {
        Some((0..rows * cols).map(|e| args[0].values[e % cols * rows + e / cols]).collect())
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        Some(graph.transpose(call.adjoint))
    }
}

/// Σ a_ii.
pub static TRACE: Trace = Trace;
/// See [`TRACE`].
pub struct Trace;
impl Operation for Trace {
    fn name(&self) -> &'static str {
        "trace"
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        if args[0].rows == args[0].cols { Ok(Shape::SCALAR) } else { Err(format!("trace of {}", args[0])) }
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let (tiles, n) = (frame.tiles, args[0].shape.rows);
        for (k, out) in out.chunks_exact_mut(tiles).enumerate() {
            let a = args[0].sample(k, tiles);
            out.copy_from_slice(&a[..tiles]);
            for i in 1..n {
                let at = i * (n + 1) * tiles;
                kernels::add_to(out, &a[at..at + tiles]);
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
        let n = args[0].shape.rows;
        recipe.sum((0..n).map(|i| args[0].values[i * (n + 1)])).map(|sum| vec![sum])
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let shape = graph.shape(call.args[0]);
        Some(graph.apply(&SCALED_IDENTITY, Attribute::shape(shape), &[call.adjoint]))
    }
}

/// A scalar on the diagonal of a square matrix (attribute: its shape).
pub static SCALED_IDENTITY: ScaledIdentity = ScaledIdentity;
/// See [`SCALED_IDENTITY`].
pub struct ScaledIdentity;
impl Operation for ScaledIdentity {
    fn name(&self) -> &'static str {
        "scaled_identity"
    }
    fn shape(&self, attribute: Attribute, _: &[Shape]) -> Result<Shape, String> {
        Ok(attribute.as_shape())
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let (tiles, n) = (frame.tiles, frame.shape.rows);
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            out.fill(Lane::default());
            for i in 0..n {
                let at = i * (n + 1) * tiles;
                out[at..at + tiles].copy_from_slice(args[0].sample(k, tiles));
            }
        }
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        Some(graph.unary(&TRACE, call.adjoint))
    }
}

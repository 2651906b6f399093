//! Softmax, its normaliser, and class labels.

use super::{Attribute, Call, Elements, Frame, Operand, Operation, kernels, reduce};
use crate::lanes::pass::{Recipe, Value};
use crate::lanes::{Lane, math};
use crate::model::Shape;
use crate::model::formula::graph::{Graph, Node};

/// ln Σ e^{a_i}, shifted by the largest element so that nothing overflows.
pub static LOGSUMEXP: LogSumExp = LogSumExp;
/// See [`LOGSUMEXP`].
pub struct LogSumExp;
impl Operation for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }
    fn shape(&self, _: Attribute, _: &[Shape]) -> Result<Shape, String> {
        Ok(Shape::SCALAR)
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        for (k, out) in out.chunks_exact_mut(frame.tiles).enumerate() {
            let value = args[0].sample(k, frame.tiles);
            for (t, out) in out.iter_mut().enumerate() {
                let (top, sum) = shifted(value, t, frame.tiles, |_, _| {});
                let mut log = [Lane::default()];
                math::ln(&mut log, &[sum]);
                kernels::add(std::slice::from_mut(out), &log, &[top]);
            }
        }
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let weights = graph.unary(&SOFTMAX, call.args[0]);
        Some(graph.multiply(call.adjoint, weights))
    }
}

/// (largest, Σ e^{a_i − largest}) of one tile; each exponential is shown to `each` with its place.
fn shifted(value: &[Lane], tile: usize, tiles: usize, mut each: impl FnMut(usize, Lane)) -> (Lane, Lane) {
    let mut top = [value[tile]];
    for x in value.iter().skip(tile).step_by(tiles) {
        kernels::max_to(&mut top, std::slice::from_ref(x));
    }
    let mut sum = [Lane::default()];
    for at in (tile..value.len()).step_by(tiles) {
        let (mut shift, mut exponential) = ([Lane::default()], [Lane::default()]);
        kernels::subtract(&mut shift, &value[at..=at], &top);
        math::exp(&mut exponential, &shift);
        kernels::add_to(&mut sum, &exponential);
        each(at, exponential[0]);
    }
    (top[0], sum[0])
}

/// e^{a_i} / Σ e^{a_j}.
pub static SOFTMAX: Softmax = Softmax;
/// See [`SOFTMAX`].
pub struct Softmax;
impl Operation for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        Ok(args[0])
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let tiles = frame.tiles;
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            let value = args[0].sample(k, tiles);
            for t in 0..tiles {
                let (_, sum) = shifted(value, t, tiles, |at, exponential| out[at] = exponential);
                for at in (t..out.len()).step_by(tiles) {
                    let exponential = [out[at]];
                    kernels::divide(&mut out[at..=at], &exponential, &[sum]);
                }
            }
        }
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let mean = graph.dot(call.adjoint, call.value);
        let centred = graph.subtract(call.adjoint, mean);
        Some(graph.multiply(call.value, centred))
    }
}

/// The unit vector of a 0-based label (attribute: the vector's shape); no derivative.
pub static ONE_HOT: OneHot = OneHot;
/// See [`ONE_HOT`].
pub struct OneHot;
impl Operation for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }
    fn shape(&self, attribute: Attribute, args: &[Shape]) -> Result<Shape, String> {
        if args[0].is_scalar() {
            Ok(attribute.as_shape())
        } else {
            Err(format!("a label of shape {}", args[0]))
        }
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let tiles = frame.tiles;
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            let label = args[0].sample(k, tiles);
            for (i, out) in out.chunks_exact_mut(tiles).enumerate() {
                kernels::equal_to(out, label, i as f64);
            }
        }
    }
    fn derivative(&self, _: &mut Graph, _: Call<'_>, _: usize) -> Option<Node> {
        None
    }
}

/// Scalars side by side as a column, or vectors as rows of a matrix (attribute: the result's shape).
pub static ARRAY: Array = Array;
/// See [`ARRAY`].
pub struct Array;
impl Operation for Array {
    fn name(&self) -> &'static str {
        "array"
    }
    fn shape(&self, attribute: Attribute, args: &[Shape]) -> Result<Shape, String> {
        let shape = attribute.as_shape();
        if args.iter().all(|a| *a == args[0]) && shape.len() == args.len() * args[0].len() {
            Ok(shape)
        } else {
            Err("an array of elements of different shapes".to_owned())
        }
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            let size = frame.stride() / args.len();
            for (out, a) in out.chunks_exact_mut(size).zip(args) {
                out.copy_from_slice(a.sample(k, frame.tiles));
            }
        }
    }
    fn in_pass(&self, _: Attribute, _: &mut Recipe, args: &[Elements<'_>], _: Shape) -> Option<Vec<Value>> {
        Some(args.iter().flat_map(|a| a.values).copied().collect())
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, which: usize) -> Option<Node> {
        // Picks the element's own part of the adjoint.
        let part = graph.shape(call.args[which]);
        let picked = graph.apply(
            &SLICE,
            Attribute::integer(which as i64 * part.len() as i64 * SLICE_UNIT + part.len() as i64),
            &[call.adjoint],
        );
        Some(picked)
    }
}

/// Offset and length of a slice share one attribute.
const SLICE_UNIT: i64 = 1 << 24;

/// `len` elements from an offset on, as a scalar or column.
static SLICE: Slice = Slice;
struct Slice;
impl Slice {
    fn range(attribute: Attribute) -> (usize, usize) {
        let both = attribute.as_integer();
        ((both / SLICE_UNIT) as usize, (both % SLICE_UNIT) as usize)
    }
}
impl Operation for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn shape(&self, attribute: Attribute, _: &[Shape]) -> Result<Shape, String> {
        Ok(Shape::vector(Self::range(attribute).1))
    }
    fn evaluate(&self, attribute: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let (offset, len) = Self::range(attribute);
        let tiles = frame.tiles;
        for (k, out) in out.chunks_exact_mut(frame.stride()).enumerate() {
            out.copy_from_slice(&args[0].sample(k, tiles)[offset * tiles..(offset + len) * tiles]);
        }
    }
    fn in_pass(
        &self,
        attribute: Attribute,
        _: &mut Recipe,
        args: &[Elements<'_>],
        _: Shape,
    ) -> Option<Vec<Value>> {
        let (first, len) = Self::range(attribute);
        Some(args[0].values[first..first + len].to_vec())
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let shape = graph.shape(call.args[0]);
        let (offset, len) = Self::range(call.attribute);
        let zero = |graph: &mut Graph, n: usize| graph.constant(Shape::vector(n), &vec![0.0; n]);
        let mut parts = Vec::new();
        for e in 0..shape.len() {
            if e < offset || e >= offset + len {
                parts.push(zero(graph, 1));
            } else if len == 1 {
                parts.push(call.adjoint);
            } else {
                let at = (e - offset) as i64;
                parts.push(graph.apply(&SLICE, Attribute::integer(at * SLICE_UNIT + 1), &[call.adjoint]));
            }
        }
        Some(graph.apply(&ARRAY, Attribute::shape(shape), &parts))
    }
}

/// One element as a scalar.
pub fn element(graph: &mut Graph, a: Node, which: usize) -> Node {
    if graph.shape(a).is_scalar() {
        return a;
    }
    graph.apply(&SLICE, Attribute::integer(which as i64 * SLICE_UNIT + 1), &[a])
}

/// The smallest element is minus the largest of the negative; used by `min`.
pub(super) fn smallest(graph: &mut Graph, a: Node) -> Node {
    let negative = graph.negate(a);
    let top = graph.unary(&reduce::MAXIMUM, negative);
    graph.negate(top)
}

//! Elementwise operations of two arguments; a scalar goes with every element of the other.

use super::kernels;
use super::unary::{LOG, SIGN};
use super::{Argument, Attribute, Call, Elements, Frame, Operand, Operation, Straight, product};
use crate::lanes::pass::{Recipe, Value};
use crate::lanes::{Lane, Product, math};
use crate::model::Shape;
use crate::model::formula::graph::{Graph, Node};

/// Derivatives with respect to both arguments, times the adjoint.
type Partial = fn(&mut Graph, &Call<'_>) -> Node;

/// out = c ∘ y.
type LeftKernel = fn(&mut [Lane], f64, &[Lane]);
/// out = x ∘ c.
type RightKernel = fn(&mut [Lane], &[Lane], f64);

/// z = x ∘ y.
pub struct Binary {
    name: &'static str,
    symbol: &'static str,
    commutative: bool,
    kernel: fn(&mut [Lane], &[Lane], &[Lane]),
    /// With a constant on the left.
    left: Option<LeftKernel>,
    /// With a constant on the right.
    right: Option<RightKernel>,
    partial: [Partial; 2],
    /// In a pass.
    register: Option<fn(&mut Recipe, Value, Value) -> Value>,
}

impl Operation for Binary {
    fn name(&self) -> &'static str {
        self.name
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        let (a, b) = (args[0], args[1]);
        if a == b || b.is_scalar() {
            Ok(a)
        } else if a.is_scalar() {
            Ok(b)
        } else {
            Err(format!("{a} {} {b}", self.symbol))
        }
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let (a, b) = (&args[0], &args[1]);
        match (a.immediate, b.immediate, self.left, self.right) {
            (Some(c), _, Some(kernel), _) if frame.matches(b) => return kernel(out, c, frame.whole(b)),
            (_, Some(c), _, Some(kernel)) if frame.matches(a) => return kernel(out, frame.whole(a), c),
            _ => {}
        }
        if frame.matches(a) && frame.matches(b) {
            return (self.kernel)(out, frame.whole(a), frame.whole(b));
        }
        let stride = frame.stride();
        for k in 0..frame.count {
            let out = &mut out[k * stride..(k + 1) * stride];
            pairs(frame, a.sample(k, frame.tiles), b.sample(k, frame.tiles), |at, a, b| {
                (self.kernel)(&mut out[at..at + a.len()], a, b);
            });
        }
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, which: usize) -> Option<Node> {
        let full = self.partial[which](graph, &call);
        // A scalar that went with every element collects from all of them.
        Some(if graph.shape(call.args[which]).is_scalar() { graph.sum(full) } else { full })
    }
    fn straight(&self, _: Attribute, immediates: &[Option<f64>]) -> Option<Straight> {
        Some(match (immediates[0], immediates[1], self.left, self.right) {
            (Some(c), _, Some(kernel), _) => Straight::Left(kernel, c),
            (_, Some(c), _, Some(kernel)) => Straight::Right(kernel, c),
            _ => Straight::Two(self.kernel),
        })
    }
    fn in_pass(
        &self,
        _: Attribute,
        recipe: &mut Recipe,
        args: &[Elements<'_>],
        shape: Shape,
    ) -> Option<Vec<Value>> {
        let apply = self.register?;
        // A scalar goes with every element.
        let element = |which: usize, e: usize| args[which].values[e % args[which].values.len()];
        Some((0..shape.len()).map(|e| apply(recipe, element(0, e), element(1, e))).collect())
    }
    fn commutative(&self) -> bool {
        self.commutative
    }
    fn accumulates(&self) -> bool {
        self.name == "multiply"
    }
    fn takes_numbers(&self, _: Attribute, which: usize, args: &[Argument], summed: bool) -> bool {
        summed && args[which].batched && !args[which].shape.is_scalar() && args[1 - which].shape.is_scalar()
    }
    fn accumulate(
        &self,
        attribute: Attribute,
        frame: &Frame,
        args: &[Operand<'_>],
        out: &mut [Lane],
        first: bool,
    ) {
        let (a, b) = (&args[0], &args[1]);
        if a.shape.is_scalar() != b.shape.is_scalar() {
            // Σ_k s_k v_k: a product of the vectors as columns with the scalars as a column.
            let (vector, scalar) = if b.shape.is_scalar() { (a, b) } else { (b, a) };
            let tiles = frame.tiles;
            let extents = Product {
                rows: frame.shape.len(),
                inner: frame.count,
                cols: 1,
                a_row: 1,
                a_inner: vector.stride / tiles,
                b_inner: scalar.stride / tiles,
                b_col: 0,
                out_row: 1,
                out_col: 1,
                tiles,
            };
            return product(out, vector, scalar, &extents, !first);
        }
        let one = Frame { count: 1, ..*frame };
        for k in 0..frame.count {
            let (a, b) = (a.sample(k, frame.tiles), b.sample(k, frame.tiles));
            if first && k == 0 {
                let operands = [Operand { data: a, ..args[0] }, Operand { data: b, ..args[1] }];
                self.evaluate(attribute, &one, &operands, out);
            } else {
                kernels::multiply_add_to(out, a, b);
            }
        }
    }
}

/// Matches two operands of one sample, a scalar with each element of the other.
fn pairs(frame: &Frame, a: &[Lane], b: &[Lane], mut apply: impl FnMut(usize, &[Lane], &[Lane])) {
    if a.len() == b.len() {
        return apply(0, a, b);
    }
    let tiles = frame.tiles;
    for at in (0..a.len().max(b.len())).step_by(tiles) {
        let (a, b) = if a.len() == tiles { (a, &b[at..at + tiles]) } else { (&a[at..at + tiles], b) };
        apply(at, a, b);
    }
}

/// A derivative that fills the result's shape even where the adjoint and the factor are scalars.
fn filled(graph: &mut Graph, call: &Call<'_>, node: Node) -> Node {
    let shape = graph.shape(call.value);
    graph.broadcast(node, shape)
}

/// x + y.
pub static ADD: Binary = Binary {
    name: "add",
    symbol: "+",
    commutative: true,
    kernel: kernels::add,
    left: Some(kernels::add_left),
    right: Some(kernels::add_right),
    partial: [|g, c| filled(g, c, c.adjoint), |g, c| filled(g, c, c.adjoint)],
    register: Some(Recipe::add),
};
/// x − y.
pub static SUBTRACT: Binary = Binary {
    name: "subtract",
    symbol: "-",
    commutative: false,
    kernel: kernels::subtract,
    left: Some(kernels::subtract_left),
    right: Some(kernels::subtract_right),
    partial: [
        |g, c| filled(g, c, c.adjoint),
        |g, c| {
            let negative = g.negate(c.adjoint);
            filled(g, c, negative)
        },
    ],
    register: Some(Recipe::subtract),
};
/// x·y.
pub static MULTIPLY: Binary = Binary {
    name: "multiply",
    symbol: "*",
    commutative: true,
    kernel: kernels::multiply,
    left: Some(kernels::multiply_left),
    right: Some(kernels::multiply_right),
    partial: [|g, c| g.multiply(c.adjoint, c.args[1]), |g, c| g.multiply(c.adjoint, c.args[0])],
    register: Some(Recipe::multiply),
};
/// x/y.
pub static DIVIDE: Binary = Binary {
    name: "divide",
    symbol: "/",
    commutative: false,
    kernel: kernels::divide,
    left: Some(kernels::divide_left),
    right: Some(kernels::divide_right),
    partial: [
        |g, c| g.chain_quotient(c.adjoint, c.args[1]),
        |g, c| {
            let ratio = g.divide(c.value, c.args[1]);
            let slope = g.negate(ratio);
            g.chain_product(c.adjoint, slope)
        },
    ],
    register: Some(Recipe::divide),
};
/// x·y, and 0 where x is, however steep y: the chain rule's product of an adjoint and a slope that may be infinite. Where nothing hangs on a value
/// (the other branch of a maximum was taken, say) its slope is of no account.
pub static CHAIN_PRODUCT: Binary = Binary {
    name: "chain_product",
    symbol: "*",
    commutative: false,
    kernel: kernels::chain_product,
    left: None,
    right: None,
    partial: [|g, c| g.chain_product(c.adjoint, c.args[1]), |g, c| g.chain_product(c.adjoint, c.args[0])],
    register: Some(|recipe, a, b| {
        let product = recipe.multiply(a, b);
        recipe.unless_zero(a, product)
    }),
};
/// x/y, and 0 where x is.
pub static CHAIN_QUOTIENT: Binary = Binary {
    name: "chain_quotient",
    symbol: "/",
    commutative: false,
    kernel: kernels::chain_quotient,
    left: None,
    right: None,
    partial: [
        |g, c| g.chain_quotient(c.adjoint, c.args[1]),
        |g, c| {
            let ratio = g.chain_quotient(c.value, c.args[1]);
            let slope = g.negate(ratio);
            g.chain_product(c.adjoint, slope)
        },
    ],
    register: Some(|recipe, a, b| {
        let ratio = recipe.divide(a, b);
        recipe.unless_zero(a, ratio)
    }),
};
/// xʸ with a y that varies; its slopes at x = 0 and 0 < y < 1 are 0, as that of √.
pub static POWER: Binary = Binary {
    name: "power",
    symbol: "^",
    commutative: false,
    kernel: math::powf,
    left: None,
    right: None,
    partial: [
        |g, c| power_part(g, c, &POWER_SLOPE),
        |g, c| {
            let log = g.unary(&LOG, c.args[0]);
            let slope = g.chain_product(c.value, log);
            g.multiply(c.adjoint, slope)
        },
    ],
    register: None,
};
/// xʸ, and 0 at x = 0 for −1 < y < 0: the slope of a root.
pub static POWER_SLOPE: Binary = Binary {
    name: "power_slope",
    kernel: |out, x, y| {
        math::powf(out, x, y);
        kernels::clear_at_zero_above(out, x, y, -1.0);
    },
    partial: [|g, c| power_part(g, c, &POWER_CURVATURE), POWER.partial[1]],
    ..POWER
};
/// xʸ, and 0 at x = 0 for y < 0: further derivatives of a root.
pub static POWER_CURVATURE: Binary = Binary {
    name: "power_curvature",
    kernel: |out, x, y| {
        math::powf(out, x, y);
        kernels::clear_at_zero_above(out, x, y, f64::NEG_INFINITY);
    },
    partial: [|g, c| power_part(g, c, &POWER_CURVATURE), POWER.partial[1]],
    ..POWER
};

/// y x^(y−1) times the adjoint.
fn power_part(g: &mut Graph, c: &Call<'_>, power: &'static Binary) -> Node {
    let one = g.number(1.0);
    let less = g.subtract(c.args[1], one);
    let power = g.apply(power, Attribute::NONE, &[c.args[0], less]);
    let slope = g.multiply(c.args[1], power);
    g.chain_product(slope, c.adjoint)
}

/// The larger of two, as a node: (a + b + |a − b|)/2 would round, so a weighted choice by the sign of a − b.
pub(super) fn larger(graph: &mut Graph, a: Node, b: Node) -> Result<Node, String> {
    graph.call(&LARGER, Attribute::NONE, &[a, b])
}

/// max(x, y); where they are equal each gets half of the slope.
pub static LARGER: Binary = Binary {
    name: "max",
    symbol: "and",
    commutative: true,
    kernel: |out, a, b| {
        out.copy_from_slice(a);
        kernels::max_to(out, b);
    },
    left: None,
    right: None,
    partial: [|g, c| larger_part(g, c, 0), |g, c| larger_part(g, c, 1)],
    register: None,
};

fn larger_part(g: &mut Graph, c: &Call<'_>, which: usize) -> Node {
    let difference = g.subtract(c.args[which], c.args[1 - which]);
    let sign = g.unary(&SIGN, difference);
    let one = g.number(1.0);
    let twice = g.add(sign, one);
    let share = g.scale(0.5, twice);
    g.multiply(c.adjoint, share)
}

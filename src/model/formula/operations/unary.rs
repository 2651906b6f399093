//! Elementwise functions of one argument.

use super::kernels;
use super::{Attribute, Call, Elements, Frame, Operand, Operation, Straight};
use crate::lanes::pass::{Kernel, Recipe, Value};
use crate::lanes::{Lane, math};
use crate::model::Shape;
use crate::model::formula::graph::{Graph, Node};

/// y = f(x), elementwise, with f'(x) given x and y.
pub struct Unary {
    name: &'static str,
    kernel: fn(&mut [Lane], &[Lane]),
    /// f' as a node, from x and y; `None` where f is locally constant.
    slope: Option<fn(&mut Graph, Node, Node) -> Node>,
    /// In a pass, if it is not a call of the kernel.
    register: Option<fn(&mut Recipe, Value) -> Value>,
    /// The slope may be infinite.
    steep: bool,
}

/// What most functions have in common.
const PLAIN: Unary = Unary { name: "", kernel: kernels::negate, slope: None, register: None, steep: false };

impl Operation for Unary {
    fn name(&self) -> &'static str {
        self.name
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        Ok(args[0])
    }
    fn evaluate(&self, _: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        elementwise(frame, &args[0], out, self.kernel);
    }
    fn straight(&self, _: Attribute, _: &[Option<f64>]) -> Option<Straight> {
        Some(Straight::One(self.kernel))
    }
    fn in_pass(
        &self,
        _: Attribute,
        recipe: &mut Recipe,
        args: &[Elements<'_>],
        _: Shape,
    ) -> Option<Vec<Value>> {
        let value = |&a: &Value| match self.register {
            Some(apply) => apply(recipe, a),
            None => recipe.call(self.name, Kernel::Plain(self.kernel), a),
        };
        Some(args[0].values.iter().map(value).collect())
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let slope = self.slope?(graph, call.args[0], call.value);
        Some(if self.steep {
            graph.chain_product(call.adjoint, slope)
        } else {
            graph.multiply(call.adjoint, slope)
        })
    }
}

fn elementwise(frame: &Frame, a: &Operand<'_>, out: &mut [Lane], kernel: impl Fn(&mut [Lane], &[Lane])) {
    if frame.matches(a) {
        kernel(out, frame.whole(a));
        return;
    }
    let stride = frame.stride();
    for k in 0..frame.count {
        kernel(&mut out[k * stride..(k + 1) * stride], a.sample(k, frame.tiles));
    }
}

/// −x.
pub static NEGATE: Unary = Unary {
    name: "negate",
    kernel: kernels::negate,
    slope: Some(|g, _, _| g.number(-1.0)),
    register: Some(Recipe::negate),
    ..PLAIN
};
/// eˣ.
pub static EXP: Unary = Unary { name: "exp", kernel: math::exp, slope: Some(|_, _, y| y), ..PLAIN };
/// ln x.
pub static LOG: Unary = Unary {
    name: "log",
    kernel: math::ln,
    slope: Some(|g, x, _| {
        let one = g.number(1.0);
        g.divide(one, x)
    }),
    steep: true,
    ..PLAIN
};
/// √x; its slope at 0 is 0: that of the side, if there is one, on which it is bounded (√max(x, 0), √|x|).
pub static SQRT: Unary = Unary {
    name: "sqrt",
    kernel: kernels::sqrt,
    slope: Some(|g, x, _| {
        let root = g.unary(&RECIPROCAL_ROOT, x);
        g.scale(0.5, root)
    }),
    register: Some(Recipe::sqrt),
    ..PLAIN
};
/// 1/√x, and 0 at 0.
pub static RECIPROCAL_ROOT: Unary = Unary {
    name: "reciprocal_root",
    kernel: kernels::reciprocal_root,
    slope: Some(|g, x, y| {
        let ratio = g.chain_quotient(y, x);
        g.scale(-0.5, ratio)
    }),
    register: Some(|recipe, x| {
        let (one, root) = (recipe.constant(1.0), recipe.sqrt(x));
        let ratio = recipe.divide(one, root);
        recipe.unless_zero(x, ratio)
    }),
    ..PLAIN
};
/// |x|; its slope at 0 is 0.
pub static ABS: Unary = Unary {
    name: "abs",
    kernel: kernels::abs,
    slope: Some(|g, x, _| g.unary(&SIGN, x)),
    register: Some(Recipe::abs),
    ..PLAIN
};
/// −1, 0 or 1.
pub static SIGN: Unary =
    Unary { name: "sign", kernel: kernels::sign, slope: None, register: Some(Recipe::sign), ..PLAIN };
/// 1 where x > 0, else 0.
pub static STEP: Unary =
    Unary { name: "step", kernel: kernels::step, slope: None, register: Some(Recipe::step), ..PLAIN };
/// 1 where x ≥ 0, else 0: y ≤ z of x = z − y.
pub static NOT_BELOW_ZERO: Unary = Unary {
    name: "not_below_zero",
    kernel: kernels::not_below_zero,
    slope: None,
    register: Some(|recipe, x| {
        let (sign, half) = (recipe.sign(x), recipe.constant(0.5));
        let above = recipe.add(sign, half);
        recipe.step(above)
    }),
    ..PLAIN
};
/// 1 where x = 0, else 0.
pub static ZERO: Unary = Unary {
    name: "zero",
    kernel: kernels::zero,
    slope: None,
    register: Some(|recipe, x| {
        let (sign, half) = (recipe.sign(x), recipe.constant(0.5));
        let size = recipe.abs(sign);
        let below = recipe.subtract(half, size);
        recipe.step(below)
    }),
    ..PLAIN
};
/// 1 where x is above or below 0, else 0.
pub static NONZERO: Unary = Unary {
    name: "nonzero",
    kernel: kernels::nonzero,
    slope: None,
    register: Some(|recipe, x| {
        let (sign, half) = (recipe.sign(x), recipe.constant(0.5));
        let size = recipe.abs(sign);
        let above = recipe.subtract(size, half);
        recipe.step(above)
    }),
    ..PLAIN
};
/// The largest whole number that is not above x.
pub static FLOOR: Unary = Unary { name: "floor", kernel: kernels::floor, slope: None, ..PLAIN };
/// 1/x, and 0 at 0: what stands in the slope of a norm.
pub static RECIPROCAL_OR_ZERO: Unary = Unary {
    name: "reciprocal_or_zero",
    kernel: kernels::reciprocal_or_zero,
    slope: Some(|g, _, y| {
        let square = g.integer_power(y, 2);
        g.negate(square)
    }),
    ..PLAIN
};
/// x where x > 0, else 0; its slope at 0 is 0.
pub static RELU: Unary = Unary {
    name: "relu",
    kernel: kernels::relu,
    slope: Some(|g, x, _| g.unary(&STEP, x)),
    register: Some(Recipe::positive_part),
    ..PLAIN
};
/// tanh x.
pub static TANH: Unary = Unary {
    name: "tanh",
    kernel: math::tanh,
    slope: Some(|g, _, y| {
        let square = g.integer_power(y, 2);
        let one = g.number(1.0);
        g.subtract(one, square)
    }),
    ..PLAIN
};
/// 1/(1 + e⁻ˣ).
pub static SIGMOID: Unary = Unary {
    name: "sigmoid",
    kernel: math::sigmoid,
    slope: Some(|g, _, y| {
        let one = g.number(1.0);
        let rest = g.subtract(one, y);
        g.multiply(y, rest)
    }),
    ..PLAIN
};
/// ln(1 + eˣ).
pub static SOFTPLUS: Unary =
    Unary { name: "softplus", kernel: math::softplus, slope: Some(|g, x, _| g.unary(&SIGMOID, x)), ..PLAIN };
/// The error function.
pub static ERF: Unary = Unary {
    name: "erf",
    kernel: math::erf,
    slope: Some(|g, x, _| {
        let square = g.integer_power(x, 2);
        let exponent = g.negate(square);
        let bell = g.unary(&EXP, exponent);
        g.scale(std::f64::consts::FRAC_2_SQRT_PI, bell)
    }),
    ..PLAIN
};
/// sin x.
pub static SIN: Unary =
    Unary { name: "sin", kernel: math::sin, slope: Some(|g, x, _| g.unary(&COS, x)), ..PLAIN };
/// cos x.
pub static COS: Unary = Unary {
    name: "cos",
    kernel: math::cos,
    slope: Some(|g, x, _| {
        let sine = g.unary(&SIN, x);
        g.negate(sine)
    }),
    ..PLAIN
};

/// sin x / cos x.
pub static TAN: Unary = Unary {
    name: "tan",
    kernel: math::tan,
    slope: Some(|g, _, y| {
        let square = g.integer_power(y, 2);
        let one = g.number(1.0);
        g.add(one, square)
    }),
    ..PLAIN
};
/// The angle between −π/2 and π/2 whose tangent is x.
pub static ATAN: Unary = Unary {
    name: "atan",
    kernel: math::atan,
    slope: Some(|g, x, _| {
        let square = g.integer_power(x, 2);
        let one = g.number(1.0);
        let sum = g.add(one, square);
        g.divide(one, sum)
    }),
    ..PLAIN
};
/// log₁₀ x.
pub static LOG10: Unary = Unary {
    name: "log10",
    kernel: math::log10,
    slope: Some(|g, x, _| {
        let factor = g.number(std::f64::consts::LOG10_E);
        g.divide(factor, x)
    }),
    steep: true,
    ..PLAIN
};

/// xⁿ for a whole number n ≠ 0, by repeated squaring (attribute: n).
pub static INTEGER_POWER: IntegerPower = IntegerPower;

/// See [`INTEGER_POWER`].
pub struct IntegerPower;

impl Operation for IntegerPower {
    fn name(&self) -> &'static str {
        "integer_power"
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        Ok(args[0])
    }
    fn evaluate(&self, attribute: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let exponent = attribute.as_integer();
        if exponent == 2 {
            return elementwise(frame, &args[0], out, kernels::square);
        }
        let size = u32::try_from(exponent.unsigned_abs()).unwrap_or(u32::MAX);
        elementwise(frame, &args[0], out, |out, a| {
            kernels::positive_power(out, a, size);
            if exponent < 0 {
                for lane in out {
                    for x in &mut lane.0 {
                        *x = 1.0 / *x;
                    }
                }
            }
        });
    }
    fn in_pass(
        &self,
        attribute: Attribute,
        recipe: &mut Recipe,
        args: &[Elements<'_>],
        _: Shape,
    ) -> Option<Vec<Value>> {
        let exponent = attribute.as_integer();
        let power = |&a: &Value| {
            // As the kernel does it.
            let (mut base, mut left) = (a, exponent.unsigned_abs());
            while left & 1 == 0 {
                base = recipe.multiply(base, base);
                left >>= 1;
            }
            let mut result = base;
            left >>= 1;
            while left > 0 {
                base = recipe.multiply(base, base);
                if left & 1 == 1 {
                    result = recipe.multiply(result, base);
                }
                left >>= 1;
            }
            if exponent > 0 {
                return result;
            }
            let one = recipe.constant(1.0);
            recipe.divide(one, result)
        };
        (exponent != 0).then(|| args[0].values.iter().map(power).collect())
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let exponent = call.attribute.as_integer();
        let power = graph.integer_power(call.args[0], exponent - 1);
        let slope = graph.scale(exponent as f64, power);
        Some(if exponent < 0 {
            graph.chain_product(call.adjoint, slope)
        } else {
            graph.multiply(call.adjoint, slope)
        })
    }
}

/// xᶜ for a constant real c (attribute: c); its slope at 0 is 0, as that of [`SQRT`].
pub static REAL_POWER: RealPower = RealPower { at_zero: false };
/// The same, and 0 at 0: the derivatives of roots.
pub static ROOT_SLOPE: RealPower = RealPower { at_zero: true };

/// See [`REAL_POWER`] and [`ROOT_SLOPE`].
pub struct RealPower {
    at_zero: bool,
}

/// xᵖ, and 0 at 0.
fn power_unless_zero(out: &mut [Lane], x: &[Lane], exponent: f64) {
    math::power(out, x, exponent);
    kernels::clear_at_zero(out, x);
}

impl RealPower {
    fn kernel(&self) -> fn(&mut [Lane], &[Lane], f64) {
        if self.at_zero { power_unless_zero } else { math::power }
    }
}

impl Operation for RealPower {
    fn name(&self) -> &'static str {
        if self.at_zero { "root_slope" } else { "real_power" }
    }
    fn shape(&self, _: Attribute, args: &[Shape]) -> Result<Shape, String> {
        Ok(args[0])
    }
    fn evaluate(&self, attribute: Attribute, frame: &Frame, args: &[Operand<'_>], out: &mut [Lane]) {
        let (exponent, kernel) = (attribute.as_real(), self.kernel());
        elementwise(frame, &args[0], out, |out, a| kernel(out, a, exponent));
    }
    fn in_pass(
        &self,
        attribute: Attribute,
        recipe: &mut Recipe,
        args: &[Elements<'_>],
        _: Shape,
    ) -> Option<Vec<Value>> {
        let kernel = Kernel::With(self.kernel(), attribute.as_real());
        Some(args[0].values.iter().map(|&a| recipe.call(self.name(), kernel, a)).collect())
    }
    fn derivative(&self, graph: &mut Graph, call: Call<'_>, _: usize) -> Option<Node> {
        let exponent = call.attribute.as_real();
        let root = self.at_zero || (0.0 < exponent && exponent < 1.0);
        let operation = if root { &ROOT_SLOPE } else { &REAL_POWER };
        let power = graph.apply(operation, Attribute::real(exponent - 1.0), &[call.args[0]]);
        let slope = graph.scale(exponent, power);
        Some(if root || exponent > 0.0 {
            graph.multiply(call.adjoint, slope)
        } else {
            graph.chain_product(call.adjoint, slope)
        })
    }
}

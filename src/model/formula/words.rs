//! Nodes of a graph as a user would write them, for messages.

use super::formula_model::FormulaModel;
use super::graph::{Graph, Node, Op};
use crate::model::Layout;

/// Longest text; what is deeper is left out.
const LONGEST: usize = 80;

/// Names of what is not an operation.
pub trait Names {
    /// The name of the parameter at an offset, of the data at one; a shared second input has none.
    fn parameter(&self, offset: usize) -> Option<String>;
    /// The same of data.
    fn data(&self, graph: &Graph, node: Node) -> Option<String>;
}

impl Names for Layout {
    fn parameter(&self, offset: usize) -> Option<String> {
        self.parameters().iter().find(|p| p.offset == offset).map(|p| p.name.clone())
    }
    fn data(&self, _: &Graph, _: Node) -> Option<String> {
        None
    }
}

impl Names for FormulaModel {
    fn parameter(&self, offset: usize) -> Option<String> {
        self.layout.parameter(offset)
    }
    fn data(&self, _: &Graph, node: Node) -> Option<String> {
        self.data_name(node)
    }
}

/// The node in words.
pub fn text(graph: &Graph, node: Node, names: &dyn Names) -> String {
    for depth in (1..8).rev() {
        let text = written(graph, node, names, depth).0;
        if text.len() <= LONGEST {
            return text;
        }
    }
    written(graph, node, names, 1).0
}

/// Text, and how strongly it binds: 0 sums, 1 products, 2 powers, 3 what needs no brackets.
fn written(graph: &Graph, node: Node, names: &dyn Names, depth: usize) -> (String, u8) {
    if let Some(name) = names.data(graph, node) {
        return (name, 3);
    }
    let entry = graph.entry(node);
    let plain = |text: &str| (text.to_owned(), 3);
    let (operation, attribute) = match &entry.op {
        Op::Constant(data) => {
            return match **data {
                [x] => (format!("{x}"), if x < 0.0 { 0 } else { 3 }),
                _ => plain("[…]"),
            };
        }
        Op::Parameter(at) => return (names.parameter(*at).unwrap_or_else(|| "θ".to_owned()), 3),
        Op::Sample(_) => return plain("data"),
        Op::Weight => return plain("weight"),
        Op::Auxiliary(_) => return plain("dW"),
        Op::BatchSum | Op::BatchBroadcast => return written(graph, entry.args[0], names, depth),
        Op::Call(operation, attribute) => (*operation, *attribute),
    };
    if depth == 0 {
        return plain("…");
    }
    let of = |which: usize, least: u8| {
        let (text, binding) = written(graph, entry.args[which], names, depth - 1);
        if binding < least { format!("({text})") } else { text }
    };
    let two = |symbol: &str, left: u8, right: u8, own: u8| {
        (format!("{}{symbol}{}", of(0, left), of(1, right)), own)
    };
    match operation.name() {
        "add" => two(" + ", 0, 0, 0),
        "subtract" => two(" - ", 0, 1, 0),
        "multiply" | "chain_product" => two("*", 1, 1, 1),
        "divide" | "chain_quotient" => two("/", 1, 2, 1),
        "matrix_product" => two(" @ ", 1, 2, 1),
        "power" | "power_slope" | "power_curvature" => two("^", 3, 3, 2),
        "integer_power" => (format!("{}^{}", of(0, 3), exponent(attribute.as_integer() as f64)), 2),
        "real_power" | "root_slope" => (format!("{}^{}", of(0, 3), exponent(attribute.as_real())), 2),
        "negate" => (format!("-{}", of(0, 1)), 0),
        "transpose" => (format!("{}.T", of(0, 3)), 3),
        "broadcast" | "identity" => written(graph, entry.args[0], names, depth),
        "reciprocal_root" => (format!("1/sqrt({})", of(0, 0)), 1),
        "maximum" => (format!("max({})", of(0, 0)), 3),
        name => {
            let args: Vec<String> = (0..entry.args.len()).map(|which| of(which, 0)).collect();
            (format!("{name}({})", args.join(", ")), 3)
        }
    }
}

fn exponent(x: f64) -> String {
    if x < 0.0 { format!("({x})") } else { format!("{x}") }
}

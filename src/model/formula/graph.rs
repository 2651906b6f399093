//! The expression graph: every distinct operation once, constants folded.
//!
//! A node has a shape, and a flag `batched`: it differs from sample to sample. Nodes over parameters alone are
//! computed once an evaluation, batched ones once a sample; [`Graph::batch_sum`] leads from the latter to the former.

use std::collections::HashMap;
use std::sync::Arc;

use super::operations::{self as ops, Attribute, Operand, Operation};
use super::size;
use crate::lanes::Lane;
use crate::model::Shape;

/// A node's index; arguments come before what uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(u32);

impl Node {
    /// Position in the graph.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node computes.
#[derive(Clone)]
pub enum Op {
    /// Fixed numbers, row by row.
    Constant(Arc<[f64]>),
    /// Elements of θ from an offset.
    Parameter(usize),
    /// Elements of the sample's row from an offset; batched.
    Sample(usize),
    /// The sample's weight a_k; batched.
    Weight,
    /// Elements of a second, unbatched input from an offset (directions of derivatives).
    Auxiliary(usize),
    /// Σ over the samples of a batch.
    BatchSum,
    /// The same value for every sample, as a batched node (so that its derivative is one a sample).
    BatchBroadcast,
    /// An operation of the language.
    Call(&'static dyn Operation, Attribute),
}

/// A node.
#[derive(Clone)]
pub struct Entry {
    /// What it computes.
    pub op: Op,
    /// From what.
    pub args: Vec<Node>,
    /// Shape of its value.
    pub shape: Shape,
    /// Differs from sample to sample.
    pub batched: bool,
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Constant(Shape, Vec<u64>),
    Leaf(&'static str, usize, Shape),
    Call(&'static str, Attribute, Vec<Node>),
}

/// The graph.
#[derive(Clone, Default)]
pub struct Graph {
    entries: Vec<Entry>,
    known: HashMap<Arc<Key>, Node>,
}

impl Graph {
    /// The entry of a node.
    pub fn entry(&self, node: Node) -> &Entry {
        &self.entries[node.index()]
    }
    /// Shape of a node's value.
    pub fn shape(&self, node: Node) -> Shape {
        self.entry(node).shape
    }
    /// True if the node differs from sample to sample.
    pub fn batched(&self, node: Node) -> bool {
        self.entry(node).batched
    }
    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// True without nodes.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// The node's numbers, if it is a constant.
    pub fn constant_of(&self, node: Node) -> Option<&[f64]> {
        match &self.entry(node).op {
            Op::Constant(data) => Some(data),
            _ => None,
        }
    }
    /// The number, if the node is a constant with one value in all elements.
    fn uniform(&self, node: Node) -> Option<f64> {
        let data = self.constant_of(node)?;
        data.iter().all(|x| x.to_bits() == data[0].to_bits()).then(|| data[0])
    }

    fn insert(&mut self, key: Key, entry: Entry) -> Node {
        let key = Arc::new(key);
        if let Some(&node) = self.known.get(&key) {
            return node;
        }
        let node = Node(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.entries.push(entry);
        self.known.insert(key, node);
        node
    }

    fn leaf(&mut self, name: &'static str, op: Op, offset: usize, shape: Shape, batched: bool) -> Node {
        self.insert(Key::Leaf(name, offset, shape), Entry { op, args: vec![], shape, batched })
    }

    /// A constant, row by row.
    pub fn constant(&mut self, shape: Shape, data: &[f64]) -> Node {
        let key = Key::Constant(shape, data.iter().map(|x| x.to_bits()).collect());
        self.insert(key, Entry { op: Op::Constant(data.into()), args: vec![], shape, batched: false })
    }
    /// A scalar constant.
    pub fn number(&mut self, value: f64) -> Node {
        self.constant(Shape::SCALAR, &[value])
    }
    /// Elements of θ.
    pub fn parameter(&mut self, offset: usize, shape: Shape) -> Node {
        self.leaf("parameter", Op::Parameter(offset), offset, shape, false)
    }
    /// Elements of a sample's row.
    pub fn sample(&mut self, offset: usize, shape: Shape) -> Node {
        self.leaf("sample", Op::Sample(offset), offset, shape, true)
    }
    /// The sample's weight.
    pub fn weight(&mut self) -> Node {
        self.leaf("weight", Op::Weight, 0, Shape::SCALAR, true)
    }
    /// Elements of the second input.
    pub fn auxiliary(&mut self, offset: usize, shape: Shape) -> Node {
        self.leaf("auxiliary", Op::Auxiliary(offset), offset, shape, false)
    }
    /// Σ over samples (a node that does not differ between samples is taken once a sample, too).
    pub fn batch_sum(&mut self, node: Node) -> Node {
        let node = if self.batched(node) { node } else { self.batch_broadcast(node) };
        let shape = self.shape(node);
        let key = Key::Call("batch_sum", Attribute::NONE, vec![node]);
        self.insert(key, Entry { op: Op::BatchSum, args: vec![node], shape, batched: false })
    }
    /// The value as one a sample.
    pub fn batch_broadcast(&mut self, node: Node) -> Node {
        if self.batched(node) {
            return node;
        }
        let shape = self.shape(node);
        let key = Key::Call("batch_broadcast", Attribute::NONE, vec![node]);
        self.insert(key, Entry { op: Op::BatchBroadcast, args: vec![node], shape, batched: true })
    }

    /// An operation; constants are folded with the very kernel that would run.
    pub fn call(
        &mut self,
        operation: &'static dyn Operation,
        attribute: Attribute,
        args: &[Node],
    ) -> Result<Node, String> {
        let shapes: Vec<Shape> = args.iter().map(|&a| self.shape(a)).collect();
        let shape = operation.shape(attribute, &shapes)?;
        // Before anything of that size is made.
        size::check(shape)?;
        Ok(self.enter(operation, attribute, args, shape))
    }

    fn enter(
        &mut self,
        operation: &'static dyn Operation,
        attribute: Attribute,
        args: &[Node],
        shape: Shape,
    ) -> Node {
        let batched = args.iter().any(|&a| self.batched(a));
        if let Some(data) = self.folded(operation, attribute, args, shape) {
            return self.constant(shape, &data);
        }
        let mut args = args.to_vec();
        if operation.commutative() {
            args.sort();
        }
        let key = Key::Call(operation.name(), attribute, args.clone());
        self.insert(key, Entry { op: Op::Call(operation, attribute), args, shape, batched })
    }

    fn folded(
        &self,
        operation: &dyn Operation,
        attribute: Attribute,
        args: &[Node],
        shape: Shape,
    ) -> Option<Vec<f64>> {
        if args.is_empty() {
            return None;
        }
        let data: Vec<(Vec<Lane>, Shape)> = args
            .iter()
            .map(|&a| Some((self.constant_of(a)?.iter().map(|&x| Lane::splat(x)).collect(), self.shape(a))))
            .collect::<Option<_>>()?;
        let operands: Vec<Operand<'_>> = data.iter().map(|(d, s)| Operand::unbatched(d, *s)).collect();
        let mut out = vec![Lane::default(); shape.len()];
        operation.evaluate(attribute, &ops::Frame { tiles: 1, count: 1, shape }, &operands, &mut out);
        Some(out.iter().map(|lane| lane.0[0]).collect())
    }

    /// A call that cannot fail because its shapes were made to fit; the reason is a bug of ours otherwise.
    fn fitting(&mut self, operation: &'static dyn Operation, attribute: Attribute, args: &[Node]) -> Node {
        let shapes: Vec<Shape> = args.iter().map(|&a| self.shape(a)).collect();
        match operation.shape(attribute, &shapes) {
            Ok(shape) => self.enter(operation, attribute, args, shape),
            Err(error) => unreachable!("derivative rules make fitting shapes: {}: {error}", operation.name()),
        }
    }

    // Builders used by derivative rules and by the elaboration of operators; they keep graphs small by the
    // identities that hold for every finite number.

    /// a + b.
    pub fn add(&mut self, a: Node, b: Node) -> Node {
        if self.uniform(b) == Some(0.0) && self.covers(a, b) {
            return a;
        }
        if self.uniform(a) == Some(0.0) && self.covers(b, a) {
            return b;
        }
        self.fitting(&ops::ADD, Attribute::NONE, &[a, b])
    }
    /// a − b.
    pub fn subtract(&mut self, a: Node, b: Node) -> Node {
        if self.uniform(b) == Some(0.0) && self.covers(a, b) {
            return a;
        }
        self.fitting(&ops::SUBTRACT, Attribute::NONE, &[a, b])
    }
    /// a·b, elementwise with scalar broadcast.
    pub fn multiply(&mut self, a: Node, b: Node) -> Node {
        for (x, y) in [(a, b), (b, a)] {
            match self.uniform(x) {
                Some(1.0) if self.covers(y, x) => return y,
                Some(-1.0) if self.covers(y, x) => return self.negate(y),
                _ => {}
            }
        }
        self.fitting(&ops::MULTIPLY, Attribute::NONE, &[a, b])
    }
    /// a/b.
    pub fn divide(&mut self, a: Node, b: Node) -> Node {
        if self.uniform(b) == Some(1.0) && self.covers(a, b) {
            return a;
        }
        self.fitting(&ops::DIVIDE, Attribute::NONE, &[a, b])
    }
    /// a·b of an adjoint a and a slope b that may be infinite, see [`ops::CHAIN_PRODUCT`].
    pub fn chain_product(&mut self, a: Node, b: Node) -> Node {
        if self.never_zero(a) {
            return self.multiply(a, b);
        }
        self.fitting(&ops::CHAIN_PRODUCT, Attribute::NONE, &[a, b])
    }
    /// a/b, and 0 where a is.
    pub fn chain_quotient(&mut self, a: Node, b: Node) -> Node {
        // What is fixed or a sample's is as it is: nobody moves it.
        let fixed = matches!(self.entry(b).op, Op::Constant(_) | Op::Sample(_));
        if fixed || self.never_zero(a) {
            return self.divide(a, b);
        }
        self.fitting(&ops::CHAIN_QUOTIENT, Attribute::NONE, &[a, b])
    }
    /// A constant none of whose elements is 0, or the weight of a sample.
    fn never_zero(&self, node: Node) -> bool {
        match &self.entry(node).op {
            Op::Constant(data) => data.iter().all(|&x| x != 0.0),
            Op::Weight => true,
            _ => false,
        }
    }
    /// −a.
    pub fn negate(&mut self, a: Node) -> Node {
        // −(c·x) = (−c)·x to the bit.
        if let Op::Call(op, _) = self.entry(a).op
            && op.name() == ops::MULTIPLY.name()
        {
            let args = self.entry(a).args.clone();
            for (constant, other) in [(args[0], args[1]), (args[1], args[0])] {
                if let (Some(&[c]), true) = (self.constant_of(constant), self.shape(other) == self.shape(a)) {
                    return self.scale(-c, other);
                }
            }
        }
        self.fitting(&ops::NEGATE, Attribute::NONE, &[a])
    }
    /// c·a.
    pub fn scale(&mut self, factor: f64, a: Node) -> Node {
        let factor = self.number(factor);
        self.multiply(factor, a)
    }
    /// Unary operation.
    pub fn unary(&mut self, operation: &'static dyn Operation, a: Node) -> Node {
        self.fitting(operation, Attribute::NONE, &[a])
    }
    /// Any operation whose shapes are known to fit.
    pub fn apply(&mut self, operation: &'static dyn Operation, attribute: Attribute, args: &[Node]) -> Node {
        self.fitting(operation, attribute, args)
    }
    /// aⁿ for a whole number n.
    pub fn integer_power(&mut self, a: Node, exponent: i64) -> Node {
        match exponent {
            0 => {
                let shape = self.shape(a);
                self.constant(shape, &vec![1.0; shape.len()])
            }
            1 => a,
            n => self.fitting(&ops::INTEGER_POWER, Attribute::integer(n), &[a]),
        }
    }
    /// Sum of all elements.
    pub fn sum(&mut self, a: Node) -> Node {
        let entry = self.entry(a);
        if entry.shape.is_scalar() {
            return a;
        }
        // Σ x_i y_i, to the bit.
        if let (Op::Call(op, _), &[x, y]) = (&entry.op, entry.args.as_slice())
            && op.name() == ops::MULTIPLY.name()
            && self.shape(x) == self.shape(y)
        {
            return self.dot(x, y);
        }
        self.fitting(&ops::SUM, Attribute::NONE, &[a])
    }
    /// Σ a_i b_i.
    pub fn dot(&mut self, a: Node, b: Node) -> Node {
        if self.shape(a).is_scalar() {
            return self.multiply(a, b);
        }
        self.fitting(&ops::DOT, Attribute::NONE, &[a, b])
    }
    /// A scalar in every element of a shape.
    pub fn broadcast(&mut self, a: Node, shape: Shape) -> Node {
        if self.shape(a) == shape {
            return a;
        }
        self.fitting(&ops::BROADCAST, Attribute::shape(shape), &[a])
    }
    /// aᵀ.
    pub fn transpose(&mut self, a: Node) -> Node {
        let entry = self.entry(a);
        if entry.shape.is_scalar() {
            return a;
        }
        if let Op::Call(op, _) = entry.op
            && op.name() == ops::TRANSPOSE.name()
        {
            return entry.args[0];
        }
        self.fitting(&ops::TRANSPOSE, Attribute::NONE, &[a])
    }
    /// op(a) @ op(b), where op transposes if asked.
    pub fn matrix_product(
        &mut self,
        a: Node,
        transpose_a: bool,
        b: Node,
        transpose_b: bool,
    ) -> Result<Node, String> {
        // A transposed operand is read in place.
        let (a, transpose_a) = self.without_transpose(a, transpose_a);
        let (b, transpose_b) = self.without_transpose(b, transpose_b);
        self.call(&ops::MATRIX_PRODUCT, Attribute::flags(transpose_a, transpose_b), &[a, b])
    }

    fn without_transpose(&self, a: Node, transposed: bool) -> (Node, bool) {
        let entry = self.entry(a);
        match entry.op {
            Op::Call(op, _) if op.name() == ops::TRANSPOSE.name() => (entry.args[0], !transposed),
            _ => (a, transposed),
        }
    }

    /// True if a result of `a ∘ b` has the shape and the batch of `a` alone.
    fn covers(&self, a: Node, b: Node) -> bool {
        self.shape(a) == self.shape(b) || self.shape(b).is_scalar()
    }

    /// True if any of `nodes` depends on θ.
    pub fn depends_on_parameters(&self, nodes: &[Node]) -> bool {
        self.reachable(nodes).iter().any(|&n| matches!(self.entry(n).op, Op::Parameter(_)))
    }

    /// The nodes with the first elements of the second input fixed to `values`, and products with what becomes 0 left out.
    pub fn with_auxiliary(&mut self, nodes: &[Node], values: &[f64]) -> Vec<Node> {
        self.rebuilt(nodes, |graph, _, entry| match entry.op {
            Op::Auxiliary(at) => {
                let values = values.get(at..at + entry.shape.len())?;
                Some(graph.constant(entry.shape, values))
            }
            _ => None,
        })
    }

    /// The nodes with the first `count` elements of the second input read `by` elements later.
    pub fn with_shifted_auxiliary(&mut self, nodes: &[Node], count: usize, by: usize) -> Vec<Node> {
        self.rebuilt(nodes, |graph, _, entry| match entry.op {
            Op::Auxiliary(at) if at < count => Some(graph.auxiliary(at + by, entry.shape)),
            _ => None,
        })
    }

    /// The nodes with what `replacement` gives in place of those it gives something for.
    fn rebuilt(
        &mut self,
        nodes: &[Node],
        replacement: impl Fn(&mut Self, Node, &Entry) -> Option<Node>,
    ) -> Vec<Node> {
        let mut replaced: HashMap<Node, Node> = HashMap::new();
        for node in self.reachable(nodes) {
            let entry = self.entry(node).clone();
            if let Some(new) = replacement(self, node, &entry) {
                replaced.insert(node, new);
                continue;
            }
            let args: Vec<Node> = entry.args.iter().map(|a| replaced.get(a).copied().unwrap_or(*a)).collect();
            let new = match entry.op {
                _ if args == entry.args => node,
                Op::Call(operation, _)
                    if (operation.name() == ops::MULTIPLY.name()
                        || operation.name() == ops::MATRIX_PRODUCT.name())
                        && args.iter().any(|&a| self.uniform(a) == Some(0.0)) =>
                {
                    self.constant(entry.shape, &vec![0.0; entry.shape.len()])
                }
                Op::Call(operation, _)
                    if (operation.name() == ops::CHAIN_PRODUCT.name()
                        || operation.name() == ops::CHAIN_QUOTIENT.name())
                        && self.uniform(args[0]) == Some(0.0) =>
                {
                    self.constant(entry.shape, &vec![0.0; entry.shape.len()])
                }
                Op::Call(operation, _) if operation.name() == ops::ADD.name() => {
                    let sum = self.add(args[0], args[1]);
                    self.broadcast(sum, entry.shape)
                }
                Op::Call(operation, attribute) => self.fitting(operation, attribute, &args),
                Op::BatchSum => self.batch_sum(args[0]),
                Op::BatchBroadcast => self.batch_broadcast(args[0]),
                Op::Constant(_) | Op::Parameter(_) | Op::Auxiliary(_) | Op::Sample(_) | Op::Weight => node,
            };
            replaced.insert(node, new);
        }
        nodes.iter().map(|n| replaced.get(n).copied().unwrap_or(*n)).collect()
    }

    /// `nodes` with some of those that they depend on replaced by others of the same shape.
    pub fn replaced(&mut self, nodes: &[Node], replacements: &[(Node, Node)]) -> Vec<Node> {
        self.rebuilt(nodes, |_, node, _| replacements.iter().find(|(old, _)| *old == node).map(|r| r.1))
    }

    /// The nodes that `roots` depend on, themselves included, in order.
    pub fn reachable(&self, roots: &[Node]) -> Vec<Node> {
        let mut seen = vec![false; self.entries.len()];
        let mut stack: Vec<Node> = roots.to_vec();
        while let Some(node) = stack.pop() {
            if !std::mem::replace(&mut seen[node.index()], true) {
                stack.extend(&self.entry(node).args);
            }
        }
        (0..self.entries.len()).filter(|&i| seen[i]).map(|i| Node(i as u32)).collect()
    }
}

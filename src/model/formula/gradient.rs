//! Reverse-mode differentiation, as a transformation of the graph: adjoints are ordinary nodes.

use std::collections::HashMap;

use super::graph::{Graph, Node, Op};
use super::operations::Call;

/// ∂(Σ seed·output)/∂x for each x of `wrt`, as nodes; `seed` is a scalar (the weight of a sample, or 1).
///
/// Where an unbatched node feeds batched ones, its adjoint is summed over the batch.
pub fn gradient(graph: &mut Graph, output: Node, seed: Node, wrt: &[Node]) -> Vec<Node> {
    let needed = dependents(graph, output, wrt);
    let mut adjoints: HashMap<Node, Node> = HashMap::new();
    adjoints.insert(output, seed);
    for &node in needed.iter().rev() {
        let Some(&adjoint) = adjoints.get(&node) else { continue };
        let entry = graph.entry(node).clone();
        for (which, &arg) in entry.args.iter().enumerate() {
            if needed.binary_search(&arg).is_err() {
                continue;
            }
            let part = match entry.op {
                Op::Call(operation, attribute) => {
                    let call = Call { attribute, args: &entry.args, value: node, adjoint };
                    operation.derivative(graph, call, which)
                }
                // The same for every sample; where it meets an unbatched node it is summed over them.
                Op::BatchSum => Some(adjoint),
                Op::BatchBroadcast => Some(graph.batch_sum(adjoint)),
                Op::Constant(_) | Op::Parameter(_) | Op::Sample(_) | Op::Weight | Op::Auxiliary(_) => None,
            };
            let Some(mut part) = part else { continue };
            if entry.batched && !graph.batched(arg) && !matches!(entry.op, Op::BatchBroadcast) {
                part = graph.batch_sum(part);
            }
            let total = match adjoints.get(&arg) {
                Some(&other) => graph.add(other, part),
                None => part,
            };
            adjoints.insert(arg, total);
        }
    }
    wrt.iter()
        .map(|x| {
            let shape = graph.shape(*x);
            match adjoints.get(x) {
                Some(&adjoint) => graph.broadcast(adjoint, shape),
                None => graph.constant(shape, &vec![0.0; shape.len()]),
            }
        })
        .collect()
}

/// Σ_q (∂value/∂wrt_q)·along_q for each of `values`, by differentiating twice: the gradient of ⟨u, value⟩ is linear in the seed u, and its
/// product with `along` has the wanted derivative along u. `free` is an offset in the second input that nothing else uses; nothing of it is left.
pub fn directional(
    graph: &mut Graph,
    values: &[Node],
    wrt: &[Node],
    along: &[Node],
    free: usize,
) -> Vec<Node> {
    let mut offset = free;
    let mut seeds = Vec::with_capacity(values.len());
    let mut total = graph.number(0.0);
    for &value in values {
        let shape = graph.shape(value);
        let seed = graph.auxiliary(offset, shape);
        offset += shape.len();
        let part = graph.dot(value, seed);
        total = graph.add(total, part);
        seeds.push(seed);
    }
    let one = graph.number(1.0);
    let slopes = gradient(graph, total, one, wrt);
    let mut product = graph.number(0.0);
    for (slope, &direction) in slopes.into_iter().zip(along) {
        let part = graph.dot(slope, direction);
        product = graph.add(product, part);
    }
    gradient(graph, product, one, &seeds)
}

/// Nodes on a path from `wrt` to `output`, in order.
fn dependents(graph: &Graph, output: Node, wrt: &[Node]) -> Vec<Node> {
    let reachable = graph.reachable(&[output]);
    let mut depends = vec![false; graph.len()];
    for x in wrt {
        depends[x.index()] = true;
    }
    for &node in &reachable {
        if graph.entry(node).args.iter().any(|a| depends[a.index()]) {
            depends[node.index()] = true;
        }
    }
    reachable.into_iter().filter(|n| depends[n.index()]).collect()
}

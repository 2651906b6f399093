//! The sums over samples that a gradient is a linear function of: ∇L = A(θ) Σ_k a_k φ(θ; z_k) with φ ∈ Rʳ.
//!
//! Reverse mode brings every adjoint that leaves the samples to a sum over them, and what follows is linear in those
//! sums. So the covariance of ∇ℓ is A Cov(φ) Aᵀ, of rank r at most: Gaussian noise needs r normals only, and directions outside
//! the range of A (a Noether charge's, say) get none at all.

use super::graph::{Graph, Node, Op};
use super::program::Program;
use crate::model::Shape;

/// Programs for φ and for A.
pub struct Sums {
    /// φ_i, one a sample.
    summands: Vec<Program>,
    /// ∇L from Σ φ as the second input.
    assembly: Program,
}

impl Sums {
    /// For the gradients, of all parameters in order, of a graph; `None` if there are no sums, more than `most`, or any of vectors.
    pub fn new(graph: &Graph, gradients: &[Node], width: usize, most: usize) -> Option<Self> {
        let reachable = graph.reachable(gradients);
        let sums: Vec<Node> =
            reachable.into_iter().filter(|&n| matches!(graph.entry(n).op, Op::BatchSum)).collect();
        if sums.is_empty() || sums.len() > most || !sums.iter().all(|&s| graph.shape(s).is_scalar()) {
            return None;
        }
        let summands = sums
            .iter()
            .map(|&sum| Program::writing(graph, &[graph.entry(sum).args[0]], width).ok())
            .collect::<Option<_>>()?;
        let mut graph = graph.clone();
        let inputs: Vec<(Node, Node)> =
            sums.iter().enumerate().map(|(i, &sum)| (sum, graph.auxiliary(i, Shape::SCALAR))).collect();
        let gradients = graph.replaced(gradients, &inputs);
        let assembly = Program::writing(&graph, &gradients, width).ok()?;
        Some(Self { summands, assembly })
    }
    /// r.
    pub fn len(&self) -> usize {
        self.summands.len()
    }
    /// φ_i of a sample, written one sample behind the other.
    pub fn summands(&self) -> impl Iterator<Item = &Program> {
        self.summands.iter()
    }
    /// A(θ)s with s as the second input.
    pub fn assembly(&self) -> &Program {
        &self.assembly
    }
}

//! Second derivatives of a mean loss on a block: products with its Hessian, and the slope of the gradient's spread.

use super::formula_model::{FormulaModel, gradient_along, parameter_nodes};
use super::function::scratch_for;
use super::gradient::gradient;
use super::program::{Inputs, Program};
use crate::lanes::{Lane, Purpose, Stream};
use crate::model::{Batch, Layout, Scratch};

/// Compiled second derivatives of a [`FormulaModel`].
#[derive(Clone)]
pub struct Curvature {
    layout: Layout,
    product: Program,
    spread: Program,
}

impl FormulaModel {
    /// Compiles the loss's second derivatives.
    ///
    /// # Errors
    /// A sentence, where they cannot be had in one pass over the samples.
    pub fn curvature(&self) -> Result<Curvature, String> {
        let width = self.nodes().width;
        let mut graph = self.graph.clone();
        let parameters = parameter_nodes(&mut graph, &self.layout);
        let weight = graph.weight();
        let gradients = gradient(&mut graph, self.loss, weight, &parameters);
        let products = gradient_along(&mut graph, &gradients, &parameters, &self.layout);
        let product = Program::new(&graph, &products, width).map_err(|e| e.to_string())?;
        // ½ Σ a_k ‖g_k‖², whose gradient is Σ a_k H_k g_k.
        let mut total = graph.number(0.0);
        for index in 0..self.layout.parameters().len() {
            let part = self.sample_gradients[index].1;
            let square = graph.dot(part, part);
            total = graph.add(total, square);
        }
        let total = graph.scale(0.5, total);
        let total = graph.batch_broadcast(total);
        let slopes = gradient(&mut graph, total, weight, &parameters);
        let spread = Program::new(&graph, &slopes, width).map_err(|e| e.to_string())?;
        Ok(Curvature { layout: self.layout.clone(), product, spread })
    }
}

/// Relative size of differences that are rounding.
const ROUNDING: f64 = 1e-9;

impl FormulaModel {
    /// True if the gradient's covariance does not depend on θ: the samples' deviations g_k − ∇L are the same at a few random states.
    pub fn additive_noise(&self) -> bool {
        let p = self.layout.len();
        let mut stream = Stream::new(0, Purpose::Search, 3);
        let mut deviations = || {
            let theta: Vec<f64> = (0..p).map(|_| stream.normal()).collect();
            let gradients = self.sample_gradients(&theta);
            let mut mean = vec![0.0; p];
            for (row, weight) in gradients.chunks(p).zip(&self.nodes().weights) {
                for (m, g) in mean.iter_mut().zip(row) {
                    *m += weight * g;
                }
            }
            let size = gradients.iter().fold(0.0_f64, |a, g| a.max(g.abs()));
            let deviations: Vec<f64> =
                gradients.chunks(p).flat_map(|row| row.iter().zip(&mean).map(|(g, m)| g - m)).collect();
            (deviations, size)
        };
        let (first, first_size) = deviations();
        (0..2).all(|_| {
            let (other, size) = deviations();
            let allowed = ROUNDING * size.max(first_size);
            first.iter().zip(&other).all(|(a, b)| (a - b).abs() <= allowed)
        })
    }
}

impl Curvature {
    /// Working memory for blocks of `tiles` vectors.
    pub fn scratch(&self, tiles: usize) -> Scratch {
        scratch_for(&[&self.product, &self.spread], tiles)
    }

    /// Σ_k a_k H_k v, with H_k the Hessian of ℓ(θ; z_k): θ, v and `out` are `[P][tiles]`.
    pub fn product(
        &self,
        theta: &[Lane],
        direction: &[Lane],
        batch: &mut dyn Batch,
        out: &mut [Lane],
        scratch: &mut Scratch,
    ) {
        let tiles = theta.len() / self.layout.len();
        let registers = &mut scratch.lanes[..self.product.scratch_len(tiles)];
        run(
            &self.product,
            &self.layout,
            Inputs { theta, auxiliary: direction, tiles },
            batch,
            out,
            registers,
        );
    }

    /// Σ_k a_k H_k g_k = ½∇ Σ_k a_k ‖g_k‖², with g_k the gradient of ℓ(θ; z_k).
    pub fn spread(&self, theta: &[Lane], batch: &mut dyn Batch, out: &mut [Lane], scratch: &mut Scratch) {
        let tiles = theta.len() / self.layout.len();
        let registers = &mut scratch.lanes[self.product.scratch_len(tiles)..];
        run(&self.spread, &self.layout, Inputs { theta, auxiliary: &[], tiles }, batch, out, registers);
    }
}

fn run(
    program: &Program,
    layout: &Layout,
    inputs: Inputs<'_>,
    batch: &mut dyn Batch,
    out: &mut [Lane],
    registers: &mut [Lane],
) {
    program.run(&inputs, batch, registers, |_, _, _| {});
    for (index, parameter) in layout.parameters().iter().enumerate() {
        let range =
            parameter.offset * inputs.tiles..(parameter.offset + parameter.shape.len()) * inputs.tiles;
        out[range].copy_from_slice(program.output(index, &inputs, registers, 0));
    }
}

//! What a stationary motion gains by noise and loses by descent: the observables of the fluctuation–dissipation relations.
//!
//! With the objective f = L + ½λ‖θ‖², C₁ the covariance of one sample's gradient and H = ∇²f, all at θ. Expectations run
//! over the population's nodes.

use super::error::FormulaError;
use super::formula_model::{FormulaModel, averaged, gradient_along, parameter_nodes};
use super::function::Function;
use super::gradient::gradient;
use super::graph::{Graph, Node};
use crate::model::critical::Minimum;
use crate::model::{Layout, Parameter, Shape};

/// Most parameters whose Hessian is traced with the covariance at every instant.
pub const MOST_PARAMETERS: usize = 32;

impl FormulaModel {
    /// `[θ·F, ‖F‖², Tr C₁, ‖θ‖²]` with the decay λ of the force and F = ∇f + bend·H∇f.
    ///
    /// # Errors
    /// As [`FormulaModel::function`].
    pub fn dissipation(&self, decay: f64, bend: f64) -> Result<Function, FormulaError> {
        let mut parts = Parts::new(self, decay);
        let force = self.bent(&mut parts, decay, bend);
        let work = parts.dot(&parts.theta.clone(), &force);
        let square = parts.dot(&force, &force);
        let trace = parts.noise_trace();
        let norm = parts.dot(&parts.theta.clone(), &parts.theta.clone());
        self.vector(parts.graph, &[work, square, trace, norm])
    }

    /// The part of F that belongs to parameter `index`, in its shape.
    ///
    /// # Errors
    /// As [`FormulaModel::function`].
    pub fn force(&self, decay: f64, bend: f64, index: usize) -> Result<Function, FormulaError> {
        let mut parts = Parts::new(self, decay);
        let force = self.bent(&mut parts, decay, bend);
        self.compile_function(&parts.graph, force[index])
    }

    /// F = ∇f + bend·H∇f, one node a parameter.
    fn bent(&self, parts: &mut Parts, decay: f64, bend: f64) -> Vec<Node> {
        if bend == 0.0 {
            return parts.force.clone();
        }
        let rows = self.hessian_rows(parts);
        let force = parts.force.clone();
        let mut bent = Vec::new();
        for (p, &own) in self.layout.parameters().iter().zip(&force) {
            let graph = &mut parts.graph;
            let mut total = graph.scale(1.0 + bend * decay, own);
            for e in 0..p.shape.len() {
                let product = dot(graph, &rows[p.offset + e], &force);
                let unit: Vec<f64> = (0..p.shape.len()).map(|k| bend * f64::from(u8::from(k == e))).collect();
                let unit = graph.constant(p.shape, &unit);
                let part = graph.multiply(product, unit);
                total = graph.add(total, part);
            }
            bent.push(total);
        }
        bent
    }

    /// `[∇f·a, aᵀHa]` with the decay λ of the force, for a direction a in the second input.
    ///
    /// Where the loss is quadratic, ∇f and H are linear maps of few parameters that know no sample any more.
    ///
    /// # Errors
    /// As [`FormulaModel::function`].
    pub fn work(&self, decay: f64) -> Result<Function, FormulaError> {
        let size = self.layout.len();
        let mut parts = Parts::new(self, decay);
        let along: Vec<Node> =
            self.layout.parameters().iter().map(|p| parts.graph.auxiliary(p.offset, p.shape)).collect();
        let (descent, curved) = if self.quadratic() && size <= MOST_PARAMETERS {
            let slope = self.mean_gradient(&vec![0.0; size]);
            let rows = self.hessian_rows(&mut parts);
            let Parts { graph, theta, .. } = &mut parts;
            let constants: Vec<Node> = self
                .layout
                .parameters()
                .iter()
                .map(|p| graph.constant(p.shape, &slope[p.offset..p.offset + p.shape.len()]))
                .collect();
            let mut descent = dot(graph, &constants, &along);
            let mut curved = graph.number(0.0);
            for (i, row) in rows.iter().enumerate() {
                let component = element(graph, &along, i, &self.layout);
                for (sum, vector) in [(&mut descent, &*theta), (&mut curved, &along)] {
                    let product = dot(graph, row, vector);
                    let term = graph.multiply(component, product);
                    *sum = graph.add(*sum, term);
                }
            }
            let pull = dot(graph, theta, &along);
            let pull = graph.scale(decay, pull);
            (graph.add(descent, pull), curved)
        } else {
            let product =
                gradient_along(&mut parts.graph, &parts.gradient.clone(), &parts.theta.clone(), &self.layout);
            (parts.dot(&parts.force.clone(), &along), parts.dot(&along, &product))
        };
        let square = parts.dot(&along, &along);
        let damped = parts.graph.scale(decay, square);
        let curved = parts.graph.add(curved, damped);
        self.vector(parts.graph, &[descent, curved])
    }

    /// `[∇f·F, Tr[H C₁], FᵀHF, f]` with the decay λ of the force and F = ∇f + bend·H∇f.
    ///
    /// # Errors
    /// As [`FormulaModel::function`].
    pub fn curvature_dissipation(&self, decay: f64, bend: f64) -> Result<Function, FormulaError> {
        let mut parts = Parts::new(self, decay);
        let force = self.bent(&mut parts, decay, bend);
        let gain = parts.dot(&parts.force.clone(), &force);
        let square = parts.dot(&force, &force);
        let rows = self.hessian_rows(&mut parts);
        // Σ_j h_j·⟨g_j g⟩ of single samples, and of their mean.
        let graph = &mut parts.graph;
        let mut samples = graph.number(0.0);
        let mut means = graph.number(0.0);
        for (j, row) in rows.iter().enumerate() {
            let along = |graph: &mut Graph, gradient: &[Node]| {
                let component = element(graph, gradient, j, &self.layout);
                gradient.iter().map(|&g| graph.multiply(component, g)).collect::<Vec<Node>>()
            };
            let products = along(graph, &parts.sample_gradients);
            let products: Vec<Node> = products.into_iter().map(|p| averaged(graph, p)).collect();
            let of_samples = dot(graph, row, &products);
            samples = graph.add(samples, of_samples);
            let products = along(graph, &parts.gradient);
            let of_means = dot(graph, row, &products);
            means = graph.add(means, of_means);
        }
        let bare = parts.graph.subtract(samples, means);
        let trace = parts.noise_trace();
        let damped = parts.graph.scale(decay, trace);
        let trace = parts.graph.add(bare, damped);
        let mut curved = parts.graph.number(0.0);
        for (j, row) in rows.iter().enumerate() {
            let component = element(&mut parts.graph, &force, j, &self.layout);
            let product = parts.dot(row, &force);
            let term = parts.graph.multiply(component, product);
            curved = parts.graph.add(curved, term);
        }
        let damped = parts.graph.scale(decay, square);
        let curved = parts.graph.add(curved, damped);
        let norm = parts.dot(&parts.theta.clone(), &parts.theta.clone());
        let energy = parts.graph.scale(0.5 * decay, norm);
        let loss = averaged(&mut parts.graph, self.loss);
        let objective = parts.graph.add(loss, energy);
        self.vector(parts.graph, &[gain, trace, curved, objective])
    }

    /// Of the equation linearised about a minimum θ*, whose force is F = K(θ − θ*), K the Hessian there, and whose noise keeps the covariance that it
    /// has there: `[θ·F, ‖F‖², Tr C₁(θ*), ‖θ‖²]`, or, of curvature, `[‖F‖², Tr[K C₁(θ*)], FᵀKF, ½(θ − θ*)·F]`.
    ///
    /// # Errors
    /// As [`FormulaModel::function`].
    pub fn linear_dissipation(&self, about: &Minimum, of_curvature: bool) -> Result<Function, FormulaError> {
        let size = self.layout.len();
        let mut graph = self.graph.clone();
        let theta = parameter_nodes(&mut graph, &self.layout);
        let (from, force) = self.linear_force_nodes(&mut graph, &theta, about);
        let square = dot(&mut graph, &force, &force);
        let scalars = if of_curvature {
            let trace = about.hessian.iter().zip(&about.covariance).map(|(h, c)| h * c).sum();
            let bent = self.times(&mut graph, &about.hessian, &force);
            let curved = dot(&mut graph, &force, &bent);
            let energy = dot(&mut graph, &from, &force);
            [square, graph.number(trace), curved, graph.scale(0.5, energy)]
        } else {
            let trace = about.covariance.iter().step_by(size + 1).sum();
            let work = dot(&mut graph, &theta, &force);
            [work, square, graph.number(trace), dot(&mut graph, &theta, &theta)]
        };
        self.vector(graph, &scalars)
    }

    /// The part of K(θ − θ*) that belongs to parameter `index`, in its shape.
    ///
    /// # Errors
    /// As [`FormulaModel::function`].
    pub fn linear_force(&self, about: &Minimum, index: usize) -> Result<Function, FormulaError> {
        let mut graph = self.graph.clone();
        let theta = parameter_nodes(&mut graph, &self.layout);
        let force = self.linear_force_nodes(&mut graph, &theta, about).1;
        self.compile_function(&graph, force[index])
    }

    /// θ − θ* and K(θ − θ*), one node a parameter.
    fn linear_force_nodes(
        &self,
        graph: &mut Graph,
        theta: &[Node],
        about: &Minimum,
    ) -> (Vec<Node>, Vec<Node>) {
        let mut from = Vec::new();
        for (p, &x) in self.layout.parameters().iter().zip(theta) {
            let center = graph.constant(p.shape, &about.theta[p.offset..p.offset + p.shape.len()]);
            from.push(graph.subtract(x, center));
        }
        let force = self.times(graph, &about.hessian, &from);
        (from, force)
    }

    /// A constant matrix `[P][P]` times a vector, one node a parameter.
    fn times(&self, graph: &mut Graph, matrix: &[f64], vector: &[Node]) -> Vec<Node> {
        let size = self.layout.len();
        let parameters = self.layout.parameters();
        let mut product = Vec::new();
        for p in parameters {
            let mut total = graph.constant(p.shape, &vec![0.0; p.shape.len()]);
            for e in 0..p.shape.len() {
                let row = &matrix[(p.offset + e) * size..(p.offset + e + 1) * size];
                let row: Vec<Node> = parameters
                    .iter()
                    .map(|q| graph.constant(q.shape, &row[q.offset..q.offset + q.shape.len()]))
                    .collect();
                let value = dot(graph, &row, vector);
                let unit: Vec<f64> = (0..p.shape.len()).map(|k| f64::from(u8::from(k == e))).collect();
                let unit = graph.constant(p.shape, &unit);
                let part = graph.multiply(value, unit);
                total = graph.add(total, part);
            }
            product.push(total);
        }
        product
    }

    /// `[‖v‖², vᵀHv]` with the decay λ of the force, for a velocity v in the second input.
    ///
    /// # Errors
    /// As [`FormulaModel::function`].
    pub fn kinetic(&self, decay: f64) -> Result<Function, FormulaError> {
        let mut parts = Parts::new(self, decay);
        let velocity: Vec<Node> =
            self.layout.parameters().iter().map(|p| parts.graph.auxiliary(p.offset, p.shape)).collect();
        let product =
            gradient_along(&mut parts.graph, &parts.gradient.clone(), &parts.theta.clone(), &self.layout);
        let square = parts.dot(&velocity, &velocity);
        let bare = parts.dot(&velocity, &product);
        let damped = parts.graph.scale(decay, square);
        let curved = parts.graph.add(bare, damped);
        self.vector(parts.graph, &[square, curved])
    }

    /// Rows of the Hessian of L, each as one node a parameter: numbers where it does not depend on θ.
    fn hessian_rows(&self, parts: &mut Parts) -> Vec<Vec<Node>> {
        let size = self.layout.len();
        if self.quadratic() {
            let hessian = self.mean_hessian(&vec![0.0; size]);
            let number = |graph: &mut Graph, row: usize, p: &Parameter| {
                graph
                    .constant(p.shape, &hessian[row * size + p.offset..row * size + p.offset + p.shape.len()])
            };
            return (0..size)
                .map(|row| {
                    self.layout.parameters().iter().map(|p| number(&mut parts.graph, row, p)).collect()
                })
                .collect();
        }
        let one = parts.graph.number(1.0);
        (0..size)
            .map(|row| {
                let slope = element(&mut parts.graph, &parts.gradient, row, &self.layout);
                gradient(&mut parts.graph, slope, one, &parts.theta)
            })
            .collect()
    }

    /// Scalars as the elements of one vector.
    fn vector(&self, mut graph: Graph, scalars: &[Node]) -> Result<Function, FormulaError> {
        let shape = Shape::vector(scalars.len());
        let mut total = graph.constant(shape, &vec![0.0; scalars.len()]);
        for (i, &scalar) in scalars.iter().enumerate() {
            let unit: Vec<f64> = (0..scalars.len()).map(|k| f64::from(u8::from(k == i))).collect();
            let unit = graph.constant(shape, &unit);
            let part = graph.multiply(scalar, unit);
            total = graph.add(total, part);
        }
        self.compile_function(&graph, total)
    }
}

/// The graph with what all relations are made of, one node a parameter.
struct Parts {
    graph: Graph,
    theta: Vec<Node>,
    /// ∇L.
    gradient: Vec<Node>,
    /// ∇f = ∇L + λθ.
    force: Vec<Node>,
    /// ∇ℓ of single samples.
    sample_gradients: Vec<Node>,
}

impl Parts {
    fn new(model: &FormulaModel, decay: f64) -> Self {
        let mut graph = model.graph.clone();
        let theta = parameter_nodes(&mut graph, &model.layout);
        let weight = graph.weight();
        let slopes = gradient(&mut graph, model.loss, weight, &theta);
        let force = theta
            .iter()
            .zip(&slopes)
            .map(|(&x, &slope)| {
                let pull = graph.scale(decay, x);
                graph.add(slope, pull)
            })
            .collect();
        let sample_gradients = model.sample_gradients[..theta.len()].iter().map(|g| g.1).collect();
        Self { graph, theta, gradient: slopes, force, sample_gradients }
    }

    fn dot(&mut self, a: &[Node], b: &[Node]) -> Node {
        dot(&mut self.graph, a, b)
    }

    /// Tr C₁ = ⟨‖∇ℓ‖²⟩ − ‖∇L‖².
    fn noise_trace(&mut self) -> Node {
        let samples = dot(&mut self.graph, &self.sample_gradients, &self.sample_gradients);
        let samples = averaged(&mut self.graph, samples);
        let mean = dot(&mut self.graph, &self.gradient, &self.gradient);
        self.graph.subtract(samples, mean)
    }
}

fn dot(graph: &mut Graph, a: &[Node], b: &[Node]) -> Node {
    let mut total = graph.number(0.0);
    for (&a, &b) in a.iter().zip(b) {
        let product = graph.dot(a, b);
        total = graph.add(total, product);
    }
    total
}

/// Element `index` of a vector that is given as one node a parameter.
fn element(graph: &mut Graph, parts: &[Node], index: usize, layout: &Layout) -> Node {
    for (&part, p) in parts.iter().zip(layout.parameters()) {
        if let Some(at) = index.checked_sub(p.offset).filter(|at| *at < p.shape.len()) {
            let unit: Vec<f64> = (0..p.shape.len()).map(|k| f64::from(u8::from(k == at))).collect();
            let unit = graph.constant(p.shape, &unit);
            return graph.dot(part, unit);
        }
    }
    graph.number(0.0)
}

//! A loss formula over a population, compiled.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::data::{self, DataGraph, Part};
use super::elaborate::{Scope, elaborate};
use super::error::FormulaError;
use super::function::{Function, NoSamples, NodeBatch, part, scratch_for, splat};
use super::gathered::Tables;
use super::gradient::gradient;
use super::graph::{Graph, Node, Op};
use super::in_pass::{InPass, Samples};
use super::nodes;
use super::operations::{self, ABS, Attribute, MATRIX_PRODUCT, ONE_HOT, Operation as _};
use super::program::{Inputs, Program};
use super::sums::Sums;
use super::{Expression, ModelSpec, Place, Value};
use crate::lanes::pass::{Recipe, Value as InRegister};
use crate::lanes::rows::Step;
use crate::lanes::stream::{Purpose, Stream};
use crate::lanes::{LANES, Lane};
use crate::model::{
    Batch, Layout, LazyNodes, Model, Nodes, Origin, OverRows, Population, Rows, Scratch, Shape,
};

/// A model given by its formula.
pub struct FormulaModel {
    pub(super) layout: Layout,
    population: Population,
    constants: BTreeMap<String, Value>,
    decay: f64,
    pub(super) graph: Graph,
    /// Data by name.
    data: Vec<(String, Node)>,
    /// Named intermediates of the loss.
    intermediates: Vec<(String, Node)>,
    pub(super) loss: Node,
    /// ∂ℓ/∂name of every parameter and intermediate, one a sample.
    pub(super) sample_gradients: Vec<(String, Node)>,
    /// Σ_k ∂ℓ/∂θ for samples of one weight, one a parameter.
    summed: Vec<Node>,
    gradient_program: Program,
    /// Σ_k ∇ℓ, for samples of one weight.
    sum_program: Program,
    /// What it reads of rows of a table; made when it is first asked for.
    tables: OnceLock<Tables>,
    loss_program: Program,
    /// Where they are few.
    sums: Option<Sums>,
}

/// Most sums whose covariance is factorised in every lane.
const FEW_SUMS: usize = 3;

/// Parts of [`Scratch`].
const WEIGHTED: usize = 0;
const SUMMED: usize = 1;
const LOSS: usize = 2;
const OF_SUMS: usize = 3;

impl FormulaModel {
    /// Compiles.
    ///
    /// # Errors
    /// All independent errors, each with the formula it is in.
    pub fn new(spec: ModelSpec) -> Result<Self, Vec<(Place, FormulaError)>> {
        let in_data = |errors: Vec<(usize, FormulaError)>| {
            errors.into_iter().map(|(i, e)| (Place::Data(i), e)).collect::<Vec<_>>()
        };
        let mut graph = Graph::default();
        let (data, width, rows, draws) = if let Some(count) = spec.size {
            let moving = data::moving(&spec.data).map_err(in_data)?;
            let (values, places) = data::finite(&spec, count, &moving).map_err(in_data)?;
            let part = Part::Moving(&moving, &places);
            let data = DataGraph::new(&spec.data, &spec.constants, part, &mut graph).map_err(in_data)?;
            let rows = Rows { width: data.columns, count, values };
            // What is computed anew without a draw of its own depends on one.
            let draws = moving.contains(&true).then_some(data.draws);
            (data.nodes, data.width, Some(rows), draws)
        } else {
            let data = DataGraph::new(&spec.data, &spec.constants, Part::All, &mut graph).map_err(in_data)?;
            (data.nodes, data.width, None, Some(data.draws))
        };
        let parameters: Vec<(String, Node)> = spec
            .layout
            .parameters()
            .iter()
            .map(|p| (p.name.clone(), graph.parameter(p.offset, p.shape)))
            .collect();
        let (loss, intermediates) = elaborate_loss(&spec, &mut graph, &parameters, &data)?;
        // Without data every sample has the same loss.
        let loss = graph.batch_broadcast(loss);
        let leaves: Vec<Node> = parameters.iter().map(|p| p.1).collect();
        let weight = graph.weight();
        let weighted = gradient(&mut graph, loss, weight, &leaves);
        let one = graph.number(1.0);
        let summed = gradient(&mut graph, loss, one, &leaves);
        let weighted_loss = graph.multiply(weight, loss);
        let total = graph.batch_sum(weighted_loss);
        let sample_gradients = per_sample_gradients(&spec, &mut graph, &parameters, &data)?;
        let compile = |graph: &Graph, outputs: &[Node]| {
            Program::writing(graph, outputs, width)
                .map_err(|e| vec![(Place::Loss, FormulaError::of_program(0..spec.loss.text().len(), &e))])
        };
        let gradient_program = compile(&graph, &weighted)?;
        let sum_program = compile(&graph, &summed)?;
        let loss_program = compile(&graph, &[total])?;
        let few = FEW_SUMS.min(spec.layout.len());
        let sums = Sums::new(&graph, &summed, width, few);
        let empty = Nodes { width, values: vec![], weights: vec![], origin: Origin::Table };
        let mut model = Self {
            population: Population { width, fresh: None, rows: None, cells: vec![], nodes: empty.into() },
            layout: spec.layout,
            constants: spec.constants,
            decay: spec.decay,
            graph,
            data,
            intermediates,
            loss,
            sample_gradients,
            summed,
            gradient_program,
            sum_program,
            tables: OnceLock::new(),
            loss_program,
            sums,
        };
        let fresh = draws.as_ref().map(|draws| draws.iter().map(|d| d.variate).collect());
        let drawn = draws.iter().flatten();
        let cells = drawn.filter_map(|d| Some((d.variate.offset, d.breaks.clone()?))).collect();
        let rows = rows.map(Arc::new);
        let (nodes, beside) = match (draws, rows) {
            (None, rows) => {
                let Rows { width, count, values } = rows.map(Arc::unwrap_or_clone).unwrap_or_default();
                let count = count.max(1);
                let weights = vec![1.0 / count as f64; count];
                (LazyNodes::from(Nodes { width, values, weights, origin: Origin::Table }), None)
            }
            (Some(draws), rows) => {
                let (probe, seed, table) = (model.probe(spec.seed), spec.seed, rows.clone());
                let make = move || nodes::expectation(&draws, table.as_deref(), width, seed, &probe);
                (LazyNodes::new(make), rows)
            }
        };
        model.check_labels(&nodes, spec.size, &spec.loss)?;
        model.population = Population { width, fresh, rows: beside, cells, nodes };
        Ok(model)
    }

    /// Labels of `cross_entropy` that come from data must be whole numbers within the logits' range.
    fn check_labels(
        &self,
        nodes: &LazyNodes,
        rows: Option<usize>,
        loss: &Expression,
    ) -> Result<(), Vec<(Place, FormulaError)>> {
        for &node in &self.graph.reachable(&[self.loss]) {
            let entry = self.graph.entry(node);
            let Op::Call(operation, _) = entry.op else { continue };
            if operation.name() != ONE_HOT.name() {
                continue;
            }
            let label = entry.args[0];
            if self.graph.depends_on_parameters(&[label]) {
                continue;
            }
            let classes = entry.shape.len();
            let mut wrong = None;
            self.for_each_sample(&[label], &[], &[], nodes, 1, |k, value| {
                let x = value[0].0[0];
                if wrong.is_none() && !(x >= 0.0 && x < classes as f64 && x == x.trunc()) {
                    wrong = Some((k, x));
                }
            });
            if let Some((row, value)) = wrong {
                let call = loss.text().find("cross_entropy").unwrap_or(0);
                let which = match rows {
                    Some(rows) => format!("row {}", row / (nodes.len() / rows.max(1)).max(1) + 1),
                    None => "a sample".to_owned(),
                };
                let message = format!(
                    "{which} has the label {value}; {classes} logits have the labels 0 to {}",
                    classes - 1
                );
                let error =
                    FormulaError::new(call..(call + "cross_entropy".len()).min(loss.text().len()), message);
                let help = "labels are 0-based whole numbers; subtract 1 from labels that start at 1";
                return Err(vec![(Place::Loss, error.help(help))]);
            }
        }
        Ok(())
    }

    /// What tells whether quadrature rules are fine enough.
    fn probe(&self, seed: u64) -> Probe {
        let parameters = self.layout.parameters().len();
        let mut stream = Stream::new(seed, Purpose::Reference, 1);
        let mut states = vec![Lane::default(); self.layout.len()];
        for lane in 0..LANES {
            // From small states to large ones, so that no scale is missed.
            let scale = 0.25 * (lane + 1) as f64;
            for x in &mut states {
                x.0[lane] = scale * stream.normal();
            }
        }
        let outputs = self.sample_gradients[..parameters].iter().map(|g| g.1).collect();
        Probe { graph: self.graph.clone(), outputs, states }
    }

    /// The population's nodes, made or not.
    pub(super) fn lazy_nodes(&self) -> &LazyNodes {
        &self.population.nodes
    }

    /// The user's name of data.
    pub(super) fn data_name(&self, node: Node) -> Option<String> {
        self.data.iter().find(|d| d.1 == node).map(|d| d.0.clone())
    }

    /// Calls `each(k, gradient)` with ∇ℓ(θ; z_k), `[P][tiles]`, for every node in order.
    fn for_each_sample_gradient(
        &self,
        theta: &[Lane],
        nodes: &Nodes,
        tiles: usize,
        mut each: impl FnMut(usize, &[Lane]),
    ) {
        let outputs: Vec<Node> =
            self.sample_gradients[..self.layout.parameters().len()].iter().map(|g| g.1).collect();
        self.for_each_sample(&outputs, theta, &[], nodes, tiles, |k, parts| each(k, parts));
    }

    /// Runs `outputs` over all nodes and shows each sample's values, one output behind the other.
    fn for_each_sample(
        &self,
        outputs: &[Node],
        theta: &[Lane],
        auxiliary: &[Lane],
        nodes: &Nodes,
        tiles: usize,
        mut each: impl FnMut(usize, &[Lane]),
    ) {
        // A second pass cannot be needed: these outputs hold no sums over the batch.
        let Ok(program) = Program::new(&self.graph, outputs, nodes.width) else { return };
        run_samples(&program, outputs.len(), theta, auxiliary, nodes, tiles, &mut each);
    }

    /// The elements of Σ_k ∇ℓ.
    fn summed_in_pass(&self, pass: &mut InPass<'_>, recipe: &mut Recipe) -> Option<Vec<InRegister>> {
        if !pass.short(&self.summed) {
            return None;
        }
        let mut gradient = Vec::with_capacity(self.layout.len());
        for &node in &self.summed {
            gradient.extend_from_slice(&pass.value(recipe, node, 0)?);
        }
        Some(gradient)
    }

    /// The sums that the gradient is a function of, in the order of [`Sums`].
    fn batch_sums(&self) -> Vec<Node> {
        let reachable = self.graph.reachable(&self.summed);
        reachable.into_iter().filter(|&n| matches!(self.graph.entry(n).op, Op::BatchSum)).collect()
    }

    fn scope(&self) -> ObservationScope<'_> {
        ObservationScope { model: self }
    }

    pub(super) fn compile_function(&self, graph: &Graph, node: Node) -> Result<Function, FormulaError> {
        let shape = graph.shape(node);
        let program = Program::writing(graph, &[node], self.population.width).map_err(|e| {
            FormulaError::of_program(0..0, &e)
                .help("name the mean as an observable of its own, and combine the two when plotting")
        })?;
        Ok(Function::new(program, shape, self.population.nodes.clone()))
    }

    /// Compiles a formula over parameters, constants, `loss`, `objective`, `gradient_norm2`, data and the loss's named
    /// intermediates (`h`, and `grad(h)` its gradient); whatever depends on data is averaged over the population's nodes.
    ///
    /// # Errors
    /// Unknown names and shapes that do not fit, with their place.
    pub fn function(&self, formula: &Expression) -> Result<Function, FormulaError> {
        let mut graph = self.graph.clone();
        let (node, _) = elaborate(&formula.lines, &mut graph, &mut self.scope())?;
        let node = averaged(&mut graph, node);
        self.compile_function(&graph, node).map_err(|e| FormulaError { span: 0..formula.text().len(), ..e })
    }
    /// Σ_i |θ_i ∂f/∂θ_i| of a scalar formula (of the sum of the elements of others): the size of what cancels in it.
    ///
    /// # Errors
    /// As [`FormulaModel::function`].
    pub fn magnitude(&self, formula: &Expression) -> Result<Function, FormulaError> {
        let mut graph = self.graph.clone();
        let (node, _) = elaborate(&formula.lines, &mut graph, &mut self.scope())?;
        let node = averaged(&mut graph, node);
        let node = magnitude(&mut graph, node, &self.layout);
        self.compile_function(&graph, node).map_err(|e| FormulaError { span: 0..formula.text().len(), ..e })
    }
    /// The flattened outer product (θ−c)(θ−c)ᵀ, P×P.
    pub fn second_moments_about(&self, center: &[f64]) -> Function {
        second_moments(center, &self.population.nodes)
    }
    /// ∇L(θ) over the population's nodes (without decay).
    pub fn mean_gradient(&self, theta: &[f64]) -> Vec<f64> {
        let mut gradient = vec![Lane::default(); self.layout.len()];
        let mut batch = NodeBatch::new(&self.population.nodes, 1);
        self.weighted_gradient(&splat(theta), &mut batch, &mut gradient, &mut self.scratch(1));
        first_lane(&gradient)
    }
    /// L(θ) over the population's nodes (without decay).
    pub fn mean_loss(&self, theta: &[f64]) -> f64 {
        let mut loss = [Lane::default()];
        let mut batch = NodeBatch::new(&self.population.nodes, 1);
        self.weighted_loss(&splat(theta), &mut batch, &mut loss, &mut self.scratch(1));
        loss[0].0[0]
    }
    /// ∇ℓ(θ; z_k) of every node: `[n][P]`.
    pub fn sample_gradients(&self, theta: &[f64]) -> Vec<f64> {
        let mut all = Vec::with_capacity(self.population.nodes.len() * self.layout.len());
        self.for_each_sample_gradient(&splat(theta), &self.population.nodes, 1, |_, gradient| {
            all.extend(first_lane(gradient));
        });
        all
    }
    /// Hessians ∇²ℓ(θ; z_k) of every node: `[n][P][P]`.
    pub fn sample_hessians(&self, theta: &[f64]) -> Vec<f64> {
        let mut graph = self.graph.clone();
        let products = self.sample_curvature(&mut graph);
        let p = self.layout.len();
        let tiles = p.div_ceil(LANES);
        let (theta, directions) = (spread(theta, tiles), unit_directions(p, tiles));
        let mut all = vec![0.0; self.population.nodes.len() * p * p];
        let Ok(program) = Program::new(&graph, &products, self.population.nodes.width) else { return all };
        run_samples(
            &program,
            products.len(),
            &theta,
            &directions,
            &self.population.nodes,
            tiles,
            &mut |k, product| {
                for j in 0..p {
                    for i in 0..p {
                        all[(k * p + i) * p + j] = product[i * tiles + j / LANES].0[j % LANES];
                    }
                }
            },
        );
        all
    }
    /// Hessian of L over the population's nodes (without decay): `[P][P]`.
    pub fn mean_hessian(&self, theta: &[f64]) -> Vec<f64> {
        let p = self.layout.len();
        let mut graph = self.graph.clone();
        let parameters = parameter_nodes(&mut graph, &self.layout);
        let weight = graph.weight();
        let gradients = gradient(&mut graph, self.loss, weight, &parameters);
        let products = gradient_along(&mut graph, &gradients, &parameters, &self.layout);
        let mut hessian = vec![0.0; p * p];
        let Ok(program) = Program::new(&graph, &products, self.population.nodes.width) else {
            return hessian;
        };
        let tiles = p.div_ceil(LANES);
        let (theta, directions) = (spread(theta, tiles), unit_directions(p, tiles));
        let inputs = Inputs { theta: &theta, auxiliary: &directions, tiles };
        let mut scratch = scratch_for(&[&program], tiles);
        program.run(
            &inputs,
            &mut NodeBatch::new(&self.population.nodes, tiles),
            &mut scratch.lanes,
            |_, _, _| {},
        );
        let mut row = 0;
        for output in 0..products.len() {
            let value = program.output(output, &inputs, &scratch.lanes, 0);
            for element in value.chunks_exact(tiles) {
                for j in 0..p {
                    hessian[row * p + j] = element[j / LANES].0[j % LANES];
                }
                row += 1;
            }
        }
        hessian
    }
    /// True if every ∇ℓ(θ; z) is affine in θ (regression): decided from the graph, not by sampling.
    pub fn quadratic(&self) -> bool {
        let mut graph = self.graph.clone();
        let products = self.sample_curvature(&mut graph);
        !graph.depends_on_parameters(&products)
    }
    /// The named data of one sample, element by element: `x`, `x[2]`, `X[1,0]`.
    pub fn data_of(&self, sample: &[f64]) -> Vec<(String, f64)> {
        let nodes = Nodes {
            width: self.population.width,
            values: sample.to_vec(),
            weights: vec![1.0],
            origin: Origin::Table,
        };
        let mut layout = Layout::default();
        for (name, node) in &self.data {
            layout.push(name, self.graph.shape(*node));
        }
        let outputs: Vec<Node> = self.data.iter().map(|(_, node)| *node).collect();
        let mut list = Vec::new();
        self.for_each_sample(&outputs, &[], &[], &nodes, 1, |_, values| {
            list = values.iter().enumerate().map(|(e, x)| (layout.element_name(e), x.0[0])).collect();
        });
        list
    }
    /// The nodes that stand for the population.
    pub fn nodes(&self) -> &Nodes {
        &self.population.nodes
    }

    /// The population's columns as a batch of its rows is cheapest to run over, if that is not sample by sample.
    fn tables(&self, batch: &dyn Batch) -> Option<&Tables> {
        let gathering = self.sum_program.gathering(batch.len()).filter(|_| batch.has_rows())?;
        let Nodes { values, width, .. } = &*self.population.nodes;
        Some(self.tables.get_or_init(|| Tables::new(gathering, values, *width)))
    }

    /// The Hessian of each sample's loss times the direction in the second input.
    fn sample_curvature(&self, graph: &mut Graph) -> Vec<Node> {
        let lifted: Vec<Node> = lifted_parameters(graph, &self.layout).into_iter().map(|p| p.1).collect();
        let gradients: Vec<Node> = self.sample_gradients[..lifted.len()].iter().map(|g| g.1).collect();
        gradient_along(graph, &gradients, &lifted, &self.layout)
    }
}

/// Gradients at eight states at once, standard normal about 0, at which quadrature rules are compared.
struct Probe {
    graph: Graph,
    /// ∇ℓ, parameter by parameter.
    outputs: Vec<Node>,
    states: Vec<Lane>,
}

impl Probe {
    /// Shows every node's gradient, `[P]`.
    fn for_each(&self, nodes: &Nodes, each: &mut dyn FnMut(usize, &[Lane])) {
        // A second pass cannot be needed: these outputs hold no sums over the batch.
        if let Ok(program) = Program::new(&self.graph, &self.outputs, nodes.width) {
            run_samples(&program, self.outputs.len(), &self.states, &[], nodes, 1, each);
        }
    }
}

impl nodes::Probe for Probe {
    fn moments(&self, nodes: &Nodes) -> Vec<f64> {
        let p = self.states.len();
        let mut mean = vec![Lane::default(); p];
        let mut squares = vec![Lane::default(); p];
        self.for_each(nodes, &mut |k, gradient| {
            operations::add_moments(&mut mean, &mut squares, gradient, nodes.weights[k]);
        });
        let mut out: Vec<f64> = mean.iter().chain(&squares).flat_map(|lane| lane.0).collect();
        out.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
        out
    }

    /// With m the mean of g over all nodes, and over the n pairs (k, l) of u = ½(g_k + g_l) − m and of
    /// q = ½((g_k − m)² + (g_l − m)²): √(Σ Var u/n) / √(Σ m²), sums over elements and states, and the largest
    /// √(Var q/n) / ⟨q⟩. Where all rows of a table are there, what differs between rows is no error: Var u of a row is ½(u − u')² of
    /// its two pairs in succession.
    fn errors_of_pairs(&self, nodes: &Nodes, of_rows: bool) -> (f64, f64) {
        let count = self.states.len() * LANES;
        let mut mean = self.moments(nodes);
        mean.truncate(count);
        let (mut first, mut squares) = (vec![0.0; count], vec![0.0; count]);
        let (mut u2, mut q1, mut q2) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
        let mut before = vec![(0.0, 0.0); if of_rows { count } else { 0 }];
        self.for_each(nodes, &mut |k, gradient| {
            let gradient = gradient.iter().flat_map(|lane| lane.0);
            for (e, g) in gradient.enumerate() {
                let off = g - mean[e];
                if k % 2 == 0 {
                    (first[e], squares[e]) = (off, off * off);
                } else {
                    let (u, q) = (0.5 * (first[e] + off), 0.5 * (squares[e] + off * off));
                    q1[e] += q;
                    if !of_rows {
                        u2[e] += u * u;
                        q2[e] += q * q;
                    } else if k % 4 == 1 {
                        before[e] = (u, q);
                    } else {
                        u2[e] += (u - before[e].0) * (u - before[e].0);
                        q2[e] += (q - before[e].1) * (q - before[e].1);
                    }
                }
            }
        });
        let pairs = (nodes.len() / 2) as f64;
        let scale: f64 = mean.iter().map(|m| m * m).sum();
        let noise: f64 = u2.iter().filter(|x| x.is_finite()).sum::<f64>() / (pairs * pairs);
        // What is the same for all samples has no scatter but that of rounding.
        let rounding = 1e-24 * mean.iter().map(|m| m * m).fold(0.0, f64::max);
        let covariance = (0..count)
            .filter(|&e| q2[e].is_finite() && q1[e] > pairs * rounding)
            .map(|e| (q2[e] / (q1[e] * q1[e]) - if of_rows { 0.0 } else { 1.0 / pairs }).max(0.0).sqrt())
            .fold(0.0, f64::max);
        (if scale > 0.0 { (noise / scale).sqrt() } else { 0.0 }, covariance)
    }
}

/// Runs a program of `outputs` outputs over all nodes and shows each sample's values, one output behind the other.
#[allow(clippy::too_many_arguments, reason = "the pieces of one evaluation")]
fn run_samples(
    program: &Program,
    outputs: usize,
    theta: &[Lane],
    auxiliary: &[Lane],
    nodes: &Nodes,
    tiles: usize,
    each: &mut dyn FnMut(usize, &[Lane]),
) {
    let mut scratch = scratch_for(&[program], tiles);
    let inputs = Inputs { theta, auxiliary, tiles };
    let mut row = Vec::new();
    let mut seen = 0;
    program.run(&inputs, &mut NodeBatch::new(nodes, tiles), &mut scratch.lanes, |registers, first, count| {
        for k in 0..count {
            row.clear();
            (0..outputs).for_each(|o| row.extend_from_slice(program.output(o, &inputs, registers, k)));
            each(first + k, &row);
        }
        seen = first + count;
    });
    // A program without batched nodes has one value for all samples.
    for k in seen..nodes.len() {
        row.clear();
        (0..outputs).for_each(|o| row.extend_from_slice(program.output(o, &inputs, &scratch.lanes, 0)));
        each(k, &row);
    }
}

fn first_lane(lanes: &[Lane]) -> Vec<f64> {
    lanes.iter().map(|lane| lane.0[0]).collect()
}

/// The same state in every lane of `tiles` vectors.
fn spread(theta: &[f64], tiles: usize) -> Vec<Lane> {
    theta.iter().flat_map(|&x| std::iter::repeat_n(Lane::splat(x), tiles)).collect()
}

/// Unit vector j in lane j.
fn unit_directions(p: usize, tiles: usize) -> Vec<Lane> {
    let mut directions = vec![Lane::default(); p * tiles];
    for j in 0..p {
        directions[j * tiles + j / LANES].0[j % LANES] = 1.0;
    }
    directions
}

pub(super) fn parameter_nodes(graph: &mut Graph, layout: &Layout) -> Vec<Node> {
    layout.parameters().iter().map(|p| graph.parameter(p.offset, p.shape)).collect()
}

fn lifted_parameters(graph: &mut Graph, layout: &Layout) -> Vec<(String, Node)> {
    layout
        .parameters()
        .iter()
        .map(|p| {
            let node = graph.parameter(p.offset, p.shape);
            (p.name.clone(), graph.batch_broadcast(node))
        })
        .collect()
}

/// ∂/∂`wrt` of Σ_p ⟨value_p, v_p⟩, one value a parameter, with the direction v in the second input.
pub(super) fn gradient_along(graph: &mut Graph, values: &[Node], wrt: &[Node], layout: &Layout) -> Vec<Node> {
    let mut total = graph.number(0.0);
    for (&value, parameter) in values.iter().zip(layout.parameters()) {
        let direction = graph.auxiliary(parameter.offset, parameter.shape);
        let part = graph.dot(value, direction);
        total = graph.add(total, part);
    }
    let seed = graph.number(1.0);
    gradient(graph, total, seed, wrt)
}

/// Σ_k ω_k f_k where f differs between samples; f itself otherwise.
pub(super) fn averaged(graph: &mut Graph, node: Node) -> Node {
    if !graph.batched(node) {
        return node;
    }
    let weight = graph.weight();
    let weighted = graph.multiply(weight, node);
    graph.batch_sum(weighted)
}

/// Σ_i |θ_i ∂f/∂θ_i|.
pub(super) fn magnitude(graph: &mut Graph, node: Node, layout: &Layout) -> Node {
    let parameters = parameter_nodes(graph, layout);
    let scalar = graph.sum(node);
    let seed = graph.number(1.0);
    let slopes = gradient(graph, scalar, seed, &parameters);
    let mut total = graph.number(0.0);
    for (parameter, slope) in parameters.into_iter().zip(slopes) {
        let product = graph.multiply(parameter, slope);
        let size = graph.unary(&ABS, product);
        let sum = graph.sum(size);
        total = graph.add(total, sum);
    }
    total
}

/// (θ−c)(θ−c)ᵀ.
pub(super) fn second_moments(center: &[f64], nodes: &LazyNodes) -> Function {
    let p = center.len();
    let mut graph = Graph::default();
    let theta = graph.parameter(0, Shape::vector(p));
    let center = graph.constant(Shape::vector(p), center);
    let deviation = graph.subtract(theta, center);
    let product = graph.apply(&MATRIX_PRODUCT, Attribute::flags(false, true), &[deviation, deviation]);
    match Program::writing(&graph, &[product], nodes.width) {
        Ok(program) => Function::new(program, Shape::matrix(p, p), nodes.clone()),
        Err(error) => unreachable!("no population enters: {error}"),
    }
}

struct LossScope<'a> {
    parameters: &'a [(String, Node)],
    data: &'a [(String, Node)],
    constants: &'a BTreeMap<String, Value>,
}

impl Scope for LossScope<'_> {
    fn name(&mut self, graph: &mut Graph, name: &str) -> Option<Node> {
        let known = self.parameters.iter().chain(self.data).find(|(n, _)| n == name);
        known
            .map(|(_, node)| *node)
            .or_else(|| self.constants.get(name).map(|v| graph.constant(v.shape, &v.data)))
    }
    fn names(&self) -> Vec<String> {
        let variables = self.parameters.iter().chain(self.data).map(|(n, _)| n.clone());
        variables.chain(self.constants.keys().cloned()).collect()
    }
}

type Named = Vec<(String, Node)>;

fn elaborate_loss(
    spec: &ModelSpec,
    graph: &mut Graph,
    parameters: &[(String, Node)],
    data: &[(String, Node)],
) -> Result<(Node, Named), Vec<(Place, FormulaError)>> {
    let mut scope = LossScope { parameters, data, constants: &spec.constants };
    let (loss, named) = elaborate(&spec.loss.lines, graph, &mut scope).map_err(|e| vec![(Place::Loss, e)])?;
    let shape = graph.shape(loss);
    if shape.is_scalar() {
        return Ok((loss, named));
    }
    Err(vec![(
        Place::Loss,
        FormulaError::new(
            spec.loss.lines.value.span.clone(),
            format!("the loss has the shape {shape}; it must be a scalar"),
        )
        .help("reduce it with norm2(…), sum(…) or mean(…)"),
    )])
}

/// ∂ℓ/∂(parameter or intermediate), one a sample: the loss elaborated again with parameters as one-a-sample nodes.
fn per_sample_gradients(
    spec: &ModelSpec,
    graph: &mut Graph,
    parameters: &[(String, Node)],
    data: &[(String, Node)],
) -> Result<Named, Vec<(Place, FormulaError)>> {
    debug_assert_eq!(parameters.len(), spec.layout.parameters().len());
    let mut lifted = lifted_parameters(graph, &spec.layout);
    let (loss, named) = elaborate_loss(spec, graph, &lifted, data)?;
    let loss = graph.batch_broadcast(loss);
    lifted.extend(named);
    let nodes: Vec<Node> = lifted.iter().map(|l| l.1).collect();
    let seed = graph.number(1.0);
    let gradients = gradient(graph, loss, seed, &nodes);
    Ok(lifted.into_iter().map(|l| l.0).zip(gradients).collect())
}

/// What names mean in `[observe]` and in claims.
struct ObservationScope<'a> {
    model: &'a FormulaModel,
}

impl ObservationScope<'_> {
    fn loss(&self, graph: &mut Graph) -> Node {
        averaged(graph, self.model.loss)
    }
}

impl Scope for ObservationScope<'_> {
    fn name(&mut self, graph: &mut Graph, name: &str) -> Option<Node> {
        let model = self.model;
        if let Some(parameter) = model.layout.get(name) {
            return Some(graph.parameter(parameter.offset, parameter.shape));
        }
        if let Some((_, node)) = model.data.iter().chain(&model.intermediates).find(|(n, _)| n == name) {
            return Some(*node);
        }
        if let Some(value) = model.constants.get(name) {
            return Some(graph.constant(value.shape, &value.data));
        }
        let parameters = parameter_nodes(graph, &model.layout);
        match name {
            "loss" => Some(self.loss(graph)),
            "objective" => {
                let mut total = self.loss(graph);
                for parameter in parameters {
                    let square = graph.dot(parameter, parameter);
                    let energy = graph.scale(0.5 * model.decay, square);
                    total = graph.add(total, energy);
                }
                Some(total)
            }
            "gradient_norm2" => {
                let weight = graph.weight();
                let mut total = graph.number(0.0);
                for part in gradient(graph, model.loss, weight, &parameters) {
                    let square = graph.dot(part, part);
                    total = graph.add(total, square);
                }
                Some(total)
            }
            _ => None,
        }
    }
    fn names(&self) -> Vec<String> {
        let model = self.model;
        let mut names: Vec<String> = model.layout.parameters().iter().map(|p| p.name.clone()).collect();
        names.extend(model.data.iter().chain(&model.intermediates).map(|(n, _)| n.clone()));
        names.extend(model.constants.keys().cloned());
        names.extend(["loss", "objective", "gradient_norm2"].map(str::to_owned));
        names
    }
    fn gradient(&mut self, _: &mut Graph, name: &str) -> Option<Result<Node, String>> {
        let found = self.model.sample_gradients.iter().find(|(n, _)| n == name);
        Some(
            found
                .map(|(_, node)| *node)
                .ok_or_else(|| format!("the loss has no parameter or intermediate `{name}`")),
        )
    }
}

impl Model for FormulaModel {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn population(&self) -> &Population {
        &self.population
    }
    fn scratch(&self, _tiles: usize) -> Scratch {
        Scratch::default()
    }
    fn working_set(&self, samples: usize) -> usize {
        self.sum_program.working_set(samples)
    }
    fn over_rows(&self, samples: usize) -> Option<OverRows> {
        self.sum_program.over_rows(samples)
    }
    fn in_rows(&self, samples: usize) -> Option<Range<usize>> {
        self.sum_program.in_rows(samples)
    }
    fn over_shared(&self, samples: usize) -> OverRows {
        self.sum_program.over_shared(samples)
    }
    fn run_length(&self, samples: usize) -> usize {
        self.sum_program.run_length(samples)
    }
    fn weighted_gradient(
        &self,
        theta: &[Lane],
        batch: &mut dyn Batch,
        gradient: &mut [Lane],
        scratch: &mut Scratch,
    ) {
        let weight = self.gradient_to_scale(theta, batch, gradient, scratch);
        if weight != 1.0 {
            operations::scale_in_place(gradient, weight);
        }
    }
    fn gradient_to_scale(
        &self,
        theta: &[Lane],
        batch: &mut dyn Batch,
        gradient: &mut [Lane],
        scratch: &mut Scratch,
    ) -> f64 {
        let tiles = theta.len() / self.layout.len();
        let inputs = Inputs { theta, auxiliary: &[], tiles };
        let Some(weight) = batch.uniform_weight() else {
            let registers = part(scratch, WEIGHTED, &self.gradient_program, tiles);
            self.gradient_program.run_to(&inputs, batch, registers, gradient);
            return 1.0;
        };
        let registers = part(scratch, SUMMED, &self.sum_program, tiles);
        let tables = self.tables(&*batch);
        self.sum_program.run_over_rows(&inputs, tables, None, batch, registers, gradient);
        weight
    }
    fn step_in_rows(
        &self,
        theta: &[Lane],
        batch: &mut dyn Batch,
        gradient: &mut [Lane],
        turned: &mut Step<'_>,
        scratch: &mut Scratch,
    ) -> f64 {
        let tiles = theta.len() / self.layout.len();
        let inputs = Inputs { theta, auxiliary: &[], tiles };
        let registers = part(scratch, SUMMED, &self.sum_program, tiles);
        let tables = self.tables(&*batch);
        debug_assert!(tables.is_some() && batch.uniform_weight().is_some(), "rows of one weight");
        turned.factor = batch.uniform_weight().unwrap_or(1.0);
        let factor = turned.factor;
        self.sum_program.run_over_rows(&inputs, tables, Some(turned), batch, registers, gradient);
        factor
    }
    fn weighted_loss(&self, theta: &[Lane], batch: &mut dyn Batch, loss: &mut [Lane], scratch: &mut Scratch) {
        let tiles = theta.len() / self.layout.len();
        let inputs = Inputs { theta, auxiliary: &[], tiles };
        // The loss needs its weights written out.
        let mut batch = WithWeights(batch, tiles);
        let registers = part(scratch, LOSS, &self.loss_program, tiles);
        self.loss_program.run_to(&inputs, &mut batch, registers, loss);
    }
    fn gradient_in_pass(&self, recipe: &mut Recipe, samples: usize) -> Option<Vec<InRegister>> {
        let rows = Samples::Rows { count: samples, width: self.population.width };
        let mut pass = InPass::new(&self.graph, rows, &[]);
        let mut gradient = self.summed_in_pass(&mut pass, recipe)?;
        let weight = 1.0 / samples as f64;
        if weight != 1.0 {
            let weight = recipe.constant(weight);
            for g in &mut gradient {
                *g = recipe.multiply(*g, weight);
            }
        }
        Some(gradient)
    }
    fn summands_in_pass(&self, recipe: &mut Recipe) -> Option<Vec<Vec<InRegister>>> {
        let mut pass = InPass::new(&self.graph, Samples::Nodes(&self.population.nodes), &[]);
        let summands: Vec<Node> =
            self.batch_sums().iter().map(|&sum| self.graph.entry(sum).args[0]).collect();
        if !pass.short(&summands) {
            return None;
        }
        let mut all = Vec::with_capacity(summands.len());
        for summand in summands {
            let of_node = |k| pass.value(recipe, summand, k).map(|values| values[0]);
            all.push((0..self.population.nodes.len()).map(of_node).collect::<Option<_>>()?);
        }
        Some(all)
    }
    fn gradient_of_sums_in_pass(&self, recipe: &mut Recipe, sums: &[InRegister]) -> Option<Vec<InRegister>> {
        let mut pass = InPass::new(&self.graph, Samples::None, &[]);
        for (node, &sum) in self.batch_sums().into_iter().zip(sums) {
            pass.replace(node, sum);
        }
        self.summed_in_pass(&mut pass, recipe)
    }
    fn sums(&self) -> Option<usize> {
        self.sums.as_ref().map(Sums::len)
    }
    fn summands(&self, theta: &[Lane], batch: &mut dyn Batch, out: &mut [Lane], scratch: &mut Scratch) {
        let Some(sums) = &self.sums else { return };
        let tiles = theta.len() / self.layout.len();
        let samples = batch.len() * tiles;
        for (i, (program, out)) in sums.summands().zip(out.chunks_exact_mut(samples)).enumerate() {
            let registers = part(scratch, OF_SUMS + 1 + i, program, tiles);
            program.run_to(&Inputs { theta, auxiliary: &[], tiles }, batch, registers, out);
        }
    }
    fn gradient_of_sums(&self, theta: &[Lane], sums: &[Lane], gradient: &mut [Lane], scratch: &mut Scratch) {
        let Some(of) = &self.sums else { return };
        let tiles = theta.len() / self.layout.len();
        let registers = part(scratch, OF_SUMS, of.assembly(), tiles);
        of.assembly().run_to(&Inputs { theta, auxiliary: sums, tiles }, &mut NoSamples, registers, gradient);
    }
}

/// A batch whose weights are written even if they are all the same.
struct WithWeights<'a>(&'a mut dyn Batch, usize);

impl WithWeights<'_> {
    fn weigh(&self, count: usize, weights: &mut [Lane]) {
        if let Some(weight) = self.0.uniform_weight() {
            weights[..count * self.1].fill(Lane::splat(weight));
        }
    }
}

impl Batch for WithWeights<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        self.0.fill(first, count, samples, weights);
        self.weigh(count, weights);
    }
    fn shared(&mut self, first: usize, count: usize, weights: &mut [Lane]) -> Option<&[f64]> {
        self.weigh(count, weights);
        self.0.shared(first, count, weights)
    }
    fn has_shared(&self) -> bool {
        self.0.has_shared()
    }
}

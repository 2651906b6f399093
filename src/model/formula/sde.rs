//! Drift and diffusion of a stochastic differential equation, compiled.

use std::collections::BTreeMap;

use super::elaborate::{Scope, elaborate};
use super::error::FormulaError;
use super::formula_model::{gradient_along, magnitude, parameter_nodes, second_moments};
use super::function::{Function, NoSamples, scratch_for};
use super::graph::{Graph, Node};
use super::in_pass::{InPass, Samples};
use super::program::{Inputs, Program};
use super::wieners::Wieners;
use super::{Expression, Place, Value};
use crate::lanes::Lane;
use crate::lanes::pass::{Recipe, Value as InRegister};
use crate::model::{Layout, LazyNodes, Nodes, Origin, Scratch, Shape};

/// Diffusion of one parameter.
#[derive(Clone, Debug)]
pub enum Diffusion {
    /// A bare formula. One value, or one an element: every element has a Wiener process of its own. A matrix [n, m] for a vector [n], or a
    /// row [1, m] for a scalar: its columns are m Wiener processes, the same for all parameters that have columns.
    Own(Expression),
    /// By name of shared, scalar Wiener processes.
    Named(Vec<(String, Expression)>),
}

/// An SDE given by its drift and diffusion (Itô or Stratonovich as written).
pub struct SdeModel {
    pub(super) layout: Layout,
    constants: BTreeMap<String, Value>,
    pub(super) wieners: Wieners,
    stratonovich: bool,
    pub(super) graph: Graph,
    /// One a parameter.
    pub(super) drift: Vec<Node>,
    /// One a parameter: linear in the second input, which is dW (and the time after it, where a formula has t).
    pub(super) increment: Vec<Node>,
    /// A formula has t.
    timed: bool,
    /// The time at which a run begins.
    start: f64,
    program: Program,
    nodes: LazyNodes,
    /// Elements of the state that are reflected, with their bounds.
    bounds: Vec<(usize, f64, f64)>,
}

/// A `[P][P]`, c `[P]` and B `[P][M]` of dx = (A x + c) dt + B dW.
pub type Linear = (Vec<f64>, Vec<f64>, Vec<f64>);

/// The time in formulas of drift and diffusion.
pub const TIME: &str = "t";

/// Where the time stands in the second input until the number of Wiener processes before it is known.
const SOMEWHERE: usize = 1 << 40;

struct StateScope<'a> {
    layout: &'a Layout,
    constants: &'a BTreeMap<String, Value>,
    /// True where t is known.
    timed: bool,
}

impl Scope for StateScope<'_> {
    fn name(&mut self, graph: &mut Graph, name: &str) -> Option<Node> {
        if let Some(p) = self.layout.get(name) {
            return Some(graph.parameter(p.offset, p.shape));
        }
        if let Some(v) = self.constants.get(name) {
            return Some(graph.constant(v.shape, &v.data));
        }
        (self.timed && name == TIME).then(|| graph.auxiliary(SOMEWHERE, Shape::SCALAR))
    }
    fn names(&self) -> Vec<String> {
        self.layout
            .parameters()
            .iter()
            .map(|p| p.name.clone())
            .chain(self.constants.keys().cloned())
            .collect()
    }
}

impl SdeModel {
    /// `drift` and `diffusion` by parameter name, an absent one is 0; entries of `Place` count in the order given
    /// (the formulas of a named diffusion one after the other, each with a place of its own).
    ///
    /// # Errors
    /// All independent errors, each with the formula it is in.
    pub fn new(
        layout: Layout,
        constants: &BTreeMap<String, Value>,
        drift: &[(String, Expression)],
        diffusion: &[(String, Diffusion)],
        stratonovich: bool,
    ) -> Result<Self, Vec<(Place, FormulaError)>> {
        let mut graph = Graph::default();
        let mut errors = Vec::new();
        let mut scope = StateScope { layout: &layout, constants, timed: true };
        let zero = |graph: &mut Graph, shape: Shape| graph.constant(shape, &vec![0.0; shape.len()]);
        let mut drifts: Vec<Node> = layout.parameters().iter().map(|p| zero(&mut graph, p.shape)).collect();
        let mut increments = drifts.clone();
        let index_of = |name: &str| layout.parameters().iter().position(|p| p.name == name);
        for (entry, (name, formula)) in drift.iter().enumerate() {
            let Some(index) = index_of(name) else { continue };
            let shape = layout.parameters()[index].shape;
            let built = elaborate(&formula.lines, &mut graph, &mut scope).and_then(|(node, _)| {
                let found = graph.shape(node);
                if found == shape || found.is_scalar() {
                    Ok(graph.broadcast(node, shape))
                } else {
                    Err(misfit(formula, "drift", name, found, shape))
                }
            });
            match built {
                Ok(node) => drifts[index] = node,
                Err(error) => errors.push((Place::Drift(entry), error)),
            }
        }
        let mut wieners = Wieners::default();
        let mut entry = 0;
        for (name, diffusion) in diffusion {
            let index = index_of(name);
            let formulas: Vec<(Option<&str>, &Expression)> = match diffusion {
                Diffusion::Own(formula) => vec![(None, formula)],
                Diffusion::Named(list) => {
                    list.iter().map(|(wiener, formula)| (Some(wiener.as_str()), formula)).collect()
                }
            };
            for (wiener, formula) in formulas {
                let place = Place::Diffusion(entry);
                entry += 1;
                let Some(index) = index else { continue };
                let part = elaborate(&formula.lines, &mut graph, &mut scope).and_then(|(node, _)| {
                    wieners.increment(&mut graph, node, wiener, &layout.parameters()[index], formula)
                });
                match part {
                    Ok(node) => increments[index] = graph.add(increments[index], node),
                    Err(error) => errors.push((place, error)),
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        // The time comes after the increments.
        let mut outputs: Vec<Node> = drifts.iter().chain(&increments).copied().collect();
        let somewhere = graph.auxiliary(SOMEWHERE, Shape::SCALAR);
        let timed = graph.reachable(&outputs).contains(&somewhere);
        if timed {
            let time = graph.auxiliary(wieners.count(), Shape::SCALAR);
            outputs = graph.replaced(&outputs, &[(somewhere, time)]);
            increments = outputs.split_off(drifts.len());
            drifts.clone_from(&outputs);
            outputs.extend(&increments);
        }
        let program = Program::writing(&graph, &outputs, 0)
            .map_err(|e| vec![(Place::Drift(0), FormulaError::of_program(0..0, &e))])?;
        let nodes = Nodes { width: 0, values: vec![], weights: vec![1.0], origin: Origin::Table }.into();
        Ok(Self {
            layout,
            constants: constants.clone(),
            wieners,
            stratonovich,
            graph,
            drift: drifts,
            increment: increments,
            timed,
            start: 0.0,
            program,
            nodes,
            bounds: Vec::new(),
        })
    }
    /// The same, with elements of the state kept between bounds (which may be infinite) by reflection.
    #[must_use]
    pub fn within(self, bounds: Vec<(usize, f64, f64)>) -> Self {
        Self { bounds, ..self }
    }
    /// Elements that are reflected, and between which bounds.
    pub fn bounds(&self) -> &[(usize, f64, f64)] {
        &self.bounds
    }
    /// Σ B², the variance of an element's noise per unit time, where the diffusion does not depend on the state.
    pub fn spread(&self, element: usize) -> Option<f64> {
        if !self.additive() || self.timed() {
            return None;
        }
        let zero = vec![0.0; self.layout.len()];
        let column = |process: usize| {
            let mut unit = vec![0.0; self.noises()];
            unit[process] = 1.0;
            self.at(&zero, &unit).1[element]
        };
        Some((0..self.noises()).map(|process| column(process) * column(process)).sum())
    }
    /// Names and shapes of the state.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
    /// M, the number of Wiener processes.
    pub fn noises(&self) -> usize {
        self.wieners.count()
    }
    /// The same with runs that begin at time `start`.
    #[must_use]
    pub fn starting_at(self, start: f64) -> Self {
        Self { start, ..self }
    }
    /// The time at which a run begins.
    pub fn start(&self) -> f64 {
        self.start
    }
    /// True if drift or diffusion depend on the time.
    pub fn timed(&self) -> bool {
        self.timed
    }
    /// Elements of the second input: the Wiener processes, and the time.
    pub(super) fn inputs(&self) -> usize {
        self.noises() + usize::from(self.timed)
    }
    /// An error where the equation is not the same at all times.
    ///
    /// # Errors
    /// A sentence that says so.
    pub fn autonomous(&self) -> Result<(), String> {
        if self.timed { Err("the equation depends on the time t".to_owned()) } else { Ok(()) }
    }
    /// True if interpreted after Stratonovich.
    pub fn stratonovich(&self) -> bool {
        self.stratonovich
    }
    /// True if the diffusion does not depend on the state: Itô and Stratonovich agree.
    pub fn additive(&self) -> bool {
        !self.graph.depends_on_parameters(&self.increment)
    }
    /// Working memory.
    pub fn scratch(&self, tiles: usize) -> Scratch {
        with_second_input(scratch_for(&[&self.program], tiles), self.timed, self.noises(), tiles)
    }
    /// Drift and B(x)·dW at a time for `wiener` `[M][tiles]`: `out` is `[2P][tiles]`, the drift before the noise.
    pub fn drift_and_noise(
        &self,
        state: &[Lane],
        wiener: &[Lane],
        time: f64,
        out: &mut [Lane],
        scratch: &mut Scratch,
    ) {
        let tiles = state.len() / self.layout.len();
        let (registers, auxiliary) = second_input(&mut scratch.lanes, self.timed, wiener, time, tiles);
        let inputs = Inputs { theta: state, auxiliary, tiles };
        self.program.run_to(&inputs, &mut NoSamples, registers, out);
    }
    /// Drift and B(x)·dW as values of a pass with x the state, to the bit those of [`SdeModel::drift_and_noise`]; `None` where they have no
    /// such form.
    pub fn in_pass(
        &self,
        recipe: &mut Recipe,
        wiener: &[InRegister],
    ) -> Option<(Vec<InRegister>, Vec<InRegister>)> {
        let mut pass = InPass::new(&self.graph, Samples::None, wiener);
        // A pass has no time.
        if self.timed {
            return None;
        }
        if !pass.short(&self.drift) || !pass.short(&self.increment) {
            return None;
        }
        let mut all = |nodes: &[Node]| {
            let mut values = Vec::with_capacity(self.layout.len());
            for &node in nodes {
                values.extend_from_slice(&pass.value(recipe, node, 0)?);
            }
            Some(values)
        };
        Some((all(&self.drift)?, all(&self.increment)?))
    }
    /// `(A, c, B)` with drift = A x + c and constant B `[P][M]`, if the drift is affine and the noise constant.
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn linear(&self) -> Result<Linear, String> {
        let p = self.layout.len();
        self.autonomous()?;
        if self.graph.depends_on_parameters(&self.increment) {
            return Err("the diffusion depends on the state".to_owned());
        }
        let jacobian = self.jacobian_rows()?;
        let zero = vec![0.0; p];
        let (constant, _) = self.at(&zero, &vec![0.0; self.noises()]);
        let mut noise = vec![0.0; p * self.noises()];
        for j in 0..self.noises() {
            let mut unit = vec![0.0; self.noises()];
            unit[j] = 1.0;
            let (_, column) = self.at(&zero, &unit);
            for i in 0..p {
                noise[i * self.noises() + j] = column[i];
            }
        }
        Ok((jacobian, constant, noise))
    }

    /// ∂drift_i/∂x_j, where it does not depend on x.
    fn jacobian_rows(&self) -> Result<Vec<f64>, String> {
        let p = self.layout.len();
        let mut graph = self.graph.clone();
        let parameters = parameter_nodes(&mut graph, &self.layout);
        let rows = gradient_along(&mut graph, &self.drift, &parameters, &self.layout);
        if graph.depends_on_parameters(&rows) {
            return Err("the drift is not linear in the state".to_owned());
        }
        let program = Program::new(&graph, &rows, 0).map_err(|e| e.to_string())?;
        let mut scratch = scratch_for(&[&program], 1);
        let mut jacobian = vec![0.0; p * p];
        for i in 0..p {
            let mut direction = vec![Lane::default(); p];
            direction[i] = Lane::splat(1.0);
            let theta = vec![Lane::default(); p];
            let inputs = Inputs { theta: &theta, auxiliary: &direction, tiles: 1 };
            program.run(&inputs, &mut NoSamples, &mut scratch.lanes, |_, _, _| {});
            for (output, q) in self.layout.parameters().iter().enumerate() {
                let row = program.output(output, &inputs, &scratch.lanes, 0);
                for (e, lane) in row.iter().enumerate() {
                    jacobian[i * p + q.offset + e] = lane.0[0];
                }
            }
        }
        Ok(jacobian)
    }

    pub(super) fn at(&self, state: &[f64], wiener: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let lanes = |values: &[f64]| values.iter().map(|&x| Lane::splat(x)).collect::<Vec<_>>();
        let mut out = vec![Lane::default(); 2 * state.len()];
        self.drift_and_noise(&lanes(state), &lanes(wiener), self.start, &mut out, &mut self.scratch(1));
        let first = |lanes: &[Lane]| lanes.iter().map(|l| l.0[0]).collect();
        (first(&out[..state.len()]), first(&out[state.len()..]))
    }

    /// ∂a_i/∂x_j of the drift as it is written, row by row, by central differences.
    pub fn drift_slopes(&self, x: &[f64]) -> Vec<f64> {
        let (p, wiener) = (x.len(), vec![0.0; self.noises()]);
        let mut slopes = vec![0.0; p * p];
        for j in 0..p {
            let h = 1e-6 * (1.0 + x[j].abs());
            let shifted = |by: f64| {
                let mut x = x.to_vec();
                x[j] += by;
                self.at(&x, &wiener).0
            };
            for (i, (up, down)) in shifted(h).into_iter().zip(shifted(-h)).enumerate() {
                slopes[i * p + j] = (up - down) / (2.0 * h);
            }
        }
        slopes
    }

    fn built(
        &self,
        formula: &Expression,
        then: impl Fn(&mut Graph, Node) -> Node,
    ) -> Result<Function, FormulaError> {
        let mut graph = Graph::default();
        let mut scope = StateScope { layout: &self.layout, constants: &self.constants, timed: false };
        let (node, _) = elaborate(&formula.lines, &mut graph, &mut scope)?;
        let node = then(&mut graph, node);
        let program = Program::writing(&graph, &[node], 0)
            .map_err(|e| FormulaError::of_program(0..formula.text().len(), &e))?;
        Ok(Function::new(program, graph.shape(node), self.nodes.clone()))
    }
    /// A node of the equation's graph as a function of the state.
    pub(super) fn compile_state(&self, graph: &Graph, node: Node) -> Result<Function, String> {
        let program = Program::writing(graph, &[node], 0).map_err(|e| e.to_string())?;
        Ok(Function::new(program, graph.shape(node), self.nodes.clone()))
    }
    /// Compiles a formula over the state and constants.
    ///
    /// # Errors
    /// Unknown names and shapes that do not fit, with their place.
    pub fn function(&self, formula: &Expression) -> Result<Function, FormulaError> {
        self.built(formula, |_, node| node)
    }
    /// As [`super::FormulaModel::magnitude`].
    ///
    /// # Errors
    /// As [`SdeModel::function`].
    pub fn magnitude(&self, formula: &Expression) -> Result<Function, FormulaError> {
        self.built(formula, |graph, node| magnitude(graph, node, &self.layout))
    }
    /// As [`super::FormulaModel::second_moments_about`].
    pub fn second_moments_about(&self, center: &[f64]) -> Function {
        second_moments(center, &self.nodes)
    }
}

/// `scratch` with room for Wiener increments and the time after them, where there is one.
pub(super) fn with_second_input(mut scratch: Scratch, timed: bool, noises: usize, tiles: usize) -> Scratch {
    if timed {
        let registers = scratch.lanes.len();
        scratch.lanes.resize(registers + (noises + 1) * tiles, Lane::default());
    }
    scratch
}

/// Registers, and the second input: `wiener` itself, or with the time after it at the end of `lanes`.
pub(super) fn second_input<'a>(
    lanes: &'a mut [Lane],
    timed: bool,
    wiener: &'a [Lane],
    time: f64,
    tiles: usize,
) -> (&'a mut [Lane], &'a [Lane]) {
    if !timed {
        return (lanes, wiener);
    }
    let (registers, second) = lanes.split_at_mut(lanes.len() - wiener.len() - tiles);
    let (increments, times) = second.split_at_mut(wiener.len());
    increments.copy_from_slice(wiener);
    times.fill(Lane::splat(time));
    (registers, second)
}

pub(super) fn misfit(
    formula: &Expression,
    what: &str,
    name: &str,
    found: Shape,
    wanted: Shape,
) -> FormulaError {
    FormulaError::new(
        formula.lines.value.span.clone(),
        format!("the {what} of `{name}` has the shape {found}, the parameter {wanted}"),
    )
    .help("give one value an element, or a scalar for all")
}

//! An SDE made ready for a scheme: its drift in the scheme's calculus, and what its noise is like.

use super::formula_model::parameter_nodes;
use super::function::{Function, NoSamples, scratch_for};
use super::gradient::directional;
use super::graph::{Graph, Node};
use super::program::{Inputs, Program};
use super::sde::{SdeModel, second_input, with_second_input};
use crate::lanes::stream::{Purpose, Stream};
use crate::lanes::{Lane, flat, flat_mut, vectorized};
use crate::model::{Layout, Scratch, Shape};

/// Most Wiener processes whose state-dependent coefficients are differentiated one by one.
const MOST_NOISES: usize = 256;
/// States at which the noise's kind is looked at.
const PROBES: usize = 4;
/// Relative size of what counts as rounding there.
const ROUNDING: f64 = 1e-9;

/// What the columns b_j of the noise B(x) dW are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseStructure {
    /// B does not depend on x.
    pub additive: bool,
    /// Each b_j moves the coordinate j alone and depends on it alone.
    pub diagonal: bool,
    /// (∂b_j)b_k = (∂b_k)b_j.
    pub commutative: bool,
}

/// A compiled equation.
#[derive(Clone)]
pub struct CompiledSde {
    layout: Layout,
    noises: usize,
    timed: bool,
    start: f64,
    /// Drift and B(x)w.
    program: Program,
    /// (∂(Bw))Bw.
    slope: Option<Program>,
}

vectorized! {
    /// out = h·drift + noise.
    fn drift_and_noise(out: &mut [Lane], drift: &[Lane], h: f64, noise: &[Lane]) {
        for ((o, d), n) in flat_mut(out).iter_mut().zip(flat(drift)).zip(flat(noise)) {
            *o = h * d + n;
        }
    }
}

impl SdeModel {
    /// Compiles the equation with its drift in Stratonovich's form, or in Itô's: the two differ by ½Σ_j(∂b_j)b_j, which the
    /// formulas' derivatives give. `slope` adds (∂(Bw))Bw.
    ///
    /// # Errors
    /// A sentence, where too many processes have coefficients that depend on the state.
    pub fn compiled(&self, stratonovich: bool, slope: bool) -> Result<CompiledSde, String> {
        let mut graph = self.graph.clone();
        let drift = self.drift_in(stratonovich, &mut graph)?;
        let outputs: Vec<Node> = drift.iter().chain(&self.increment).copied().collect();
        let program = Program::new(&graph, &outputs, 0).map_err(|e| e.to_string())?;
        let slope = if slope && !self.additive() {
            let parameters = parameter_nodes(&mut graph, &self.layout);
            let along = directional(&mut graph, &self.increment, &parameters, &self.increment, self.inputs());
            Some(Program::new(&graph, &along, 0).map_err(|e| e.to_string())?)
        } else {
            None
        };
        let (noises, timed, start) = (self.noises(), self.timed(), self.start());
        Ok(CompiledSde { layout: self.layout.clone(), noises, timed, start, program, slope })
    }

    /// The drift in Stratonovich's form, or in Itô's, one node a parameter.
    fn drift_in(&self, stratonovich: bool, graph: &mut Graph) -> Result<Vec<Node>, String> {
        let mut drift = self.drift.clone();
        if self.stratonovich() != stratonovich && !self.additive() {
            let sign = if stratonovich { -0.5 } else { 0.5 };
            let correction = self.correction(graph)?;
            for (drift, correction) in drift.iter_mut().zip(correction) {
                let part = graph.scale(sign, correction);
                *drift = graph.add(*drift, part);
            }
        }
        Ok(drift)
    }

    /// `[−x·a, ‖a‖², Tr[BBᵀ], ‖x‖²]` with the drift a in Itô's form; Tr[BBᵀ] = Σ_j‖b_j‖² over the Wiener processes, whose powers add and not
    /// their amplitudes.
    ///
    /// # Errors
    /// As [`SdeModel::compiled`].
    pub fn dissipation(&self) -> Result<Function, String> {
        self.autonomous()?;
        let mut graph = self.graph.clone();
        let drift = self.drift_in(false, &mut graph)?;
        let state = parameter_nodes(&mut graph, &self.layout);
        let unit = |j: usize| (0..self.noises()).map(|k| f64::from(u8::from(k == j))).collect::<Vec<f64>>();
        let mut constant = 0.0;
        let columns: Vec<Vec<Node>> = if self.wieners.separate() || self.noise_structure().diagonal {
            // Each process moves one coordinate: all columns at once.
            vec![graph.with_auxiliary(&self.increment, &vec![1.0; self.noises()])]
        } else if self.additive() {
            let zero = vec![0.0; self.layout.len()];
            let power = |j| self.at(&zero, &unit(j)).1.iter().map(|b| b * b).sum::<f64>();
            constant = (0..self.noises()).map(power).sum();
            Vec::new()
        } else if self.noises() > MOST_NOISES {
            return Err(format!(
                "the columns of {} Wiener processes, more than {MOST_NOISES}",
                self.noises()
            ));
        } else {
            (0..self.noises()).map(|j| graph.with_auxiliary(&self.increment, &unit(j))).collect()
        };
        let mut dot = |a: &[Node], b: &[Node]| {
            let mut total = graph.number(0.0);
            for (&a, &b) in a.iter().zip(b) {
                let product = graph.dot(a, b);
                total = graph.add(total, product);
            }
            total
        };
        let (work, square, norm) = (dot(&state, &drift), dot(&drift, &drift), dot(&state, &state));
        let traces: Vec<Node> = columns.iter().map(|column| dot(column, column)).collect();
        let mut trace = graph.number(constant);
        for part in traces {
            trace = graph.add(trace, part);
        }
        let shape = Shape::vector(4);
        let mut total = graph.constant(shape, &[0.0; 4]);
        for (i, (scalar, sign)) in
            [(work, -1.0), (square, 1.0), (trace, 1.0), (norm, 1.0)].into_iter().enumerate()
        {
            let unit: Vec<f64> = (0..4).map(|k| if k == i { sign } else { 0.0 }).collect();
            let unit = graph.constant(shape, &unit);
            let part = graph.multiply(scalar, unit);
            total = graph.add(total, part);
        }
        self.compile_state(&graph, total)
    }

    /// The part of −a that belongs to parameter `index`, in its shape, with the drift a in Itô's form.
    ///
    /// # Errors
    /// As [`SdeModel::compiled`].
    pub fn force(&self, index: usize) -> Result<Function, String> {
        self.autonomous()?;
        let mut graph = self.graph.clone();
        let drift = self.drift_in(false, &mut graph)?;
        let force = graph.negate(drift[index]);
        self.compile_state(&graph, force)
    }

    /// Σ_j (∂b_j) b_j, one node a parameter.
    fn correction(&self, graph: &mut Graph) -> Result<Vec<Node>, String> {
        let noises = self.noises();
        let parameters = parameter_nodes(graph, &self.layout);
        if self.noise_structure().diagonal {
            // Coordinate by coordinate b_i'(x_i) b_i(x_i): the slope of B·1 along itself.
            let all = graph.with_auxiliary(&self.increment, &vec![1.0; noises]);
            return Ok(directional(graph, &all, &parameters, &all, self.inputs()));
        }
        if noises > MOST_NOISES {
            return Err(format!(
                "the drift of Itô and Stratonovich differ by the derivatives of {noises} coefficients, more than the \
                 {MOST_NOISES} that are taken: use a scheme of the equation's own interpretation"
            ));
        }
        let mut total: Option<Vec<Node>> = None;
        for j in 0..noises {
            let mut unit = vec![0.0; noises];
            unit[j] = 1.0;
            let column = graph.with_auxiliary(&self.increment, &unit);
            if !graph.depends_on_parameters(&column) {
                continue;
            }
            let part = directional(graph, &column, &parameters, &column, self.inputs());
            total = Some(match total {
                None => part,
                Some(sum) => sum.into_iter().zip(part).map(|(a, b)| graph.add(a, b)).collect(),
            });
        }
        Ok(total.unwrap_or_else(|| {
            self.layout
                .parameters()
                .iter()
                .map(|p| graph.constant(p.shape, &vec![0.0; p.shape.len()]))
                .collect()
        }))
    }

    /// What the noise is like, by its values and derivatives at a few random states, those where they are finite. Where it is additive its
    /// derivatives are 0 and commute, and `diagonal` is as the equation is written.
    pub fn noise_structure(&self) -> NoiseStructure {
        let mut found = NoiseStructure {
            additive: self.additive(),
            diagonal: self.wieners.separate(),
            commutative: true,
        };
        if found.additive {
            return found;
        }
        let (p, m) = (self.layout.len(), self.noises());
        found.diagonal = p == m;
        found.commutative = m == 1;
        let (Ok(equation), Ok(crossed)) = (self.compiled(self.stratonovich(), false), self.crossed()) else {
            found.diagonal = false;
            return found;
        };
        let mut stream = Stream::new(0, Purpose::Search, 2);
        let mut probes = 0;
        let mut commutes = true;
        for attempt in 0..16 * PROBES {
            // Half of the states are positive, for roots and logarithms.
            let x: Vec<f64> = (0..p)
                .map(|_| {
                    let z = stream.normal();
                    if attempt % 2 == 0 { z } else { z.abs() + 0.05 }
                })
                .collect();
            let (v, w): (Vec<f64>, Vec<f64>) = (0..m).map(|_| (stream.normal(), stream.normal())).unzip();
            let time = if self.timed() { self.start() + 10.0 * stream.uniform() } else { 0.0 };
            // ((∂(Bv))Bw − (∂(Bw))Bv).
            let (one, other) = (crossed.value(&x, &v, &w, time), crossed.value(&x, &w, &v, time));
            if one.iter().chain(&other).any(|x| !x.is_finite()) {
                continue;
            }
            probes += 1;
            let size = one.iter().chain(&other).fold(0.0_f64, |a, x| a.max(x.abs()));
            commutes &= one.iter().zip(&other).all(|(a, b)| (a - b).abs() <= ROUNDING * size);
            found.diagonal = found.diagonal && diagonal(&equation, &x, m, time);
            if probes == PROBES {
                break;
            }
        }
        found.commutative |= commutes && probes > 0;
        found.diagonal &= probes > 0;
        found
    }

    /// (∂(Bv))Bw, with v, the time where there is one, and w behind each other in the second input.
    fn crossed(&self) -> Result<Crossed, String> {
        let (mut graph, m) = (self.graph.clone(), self.noises());
        let parameters = parameter_nodes(&mut graph, &self.layout);
        let inputs = self.inputs();
        let shifted = graph.with_shifted_auxiliary(&self.increment, m, inputs);
        let along = directional(&mut graph, &self.increment, &parameters, &shifted, inputs + m);
        let program = Program::new(&graph, &along, 0).map_err(|e| e.to_string())?;
        Ok(Crossed { program, outputs: along.len(), timed: self.timed() })
    }
}

/// b_j moves coordinate j alone, by what depends on it alone.
fn diagonal(equation: &CompiledSde, x: &[f64], m: usize, time: f64) -> bool {
    let mut scratch = equation.scratch(1);
    let column = |x: &[f64], j: usize, scratch: &mut Scratch| {
        let lanes: Vec<Lane> = x.iter().map(|&x| Lane::splat(x)).collect();
        let w: Vec<Lane> = (0..m).map(|k| Lane::splat(f64::from(u8::from(k == j)))).collect();
        let mut out = vec![Lane::default(); x.len()];
        equation.increment(&lanes, 0.0, &w, time, &mut out, scratch);
        out.iter().map(|o| o.0[0]).collect::<Vec<f64>>()
    };
    (0..m).all(|j| {
        let here = column(x, j, &mut scratch);
        let moved: Vec<f64> =
            x.iter().enumerate().map(|(i, x)| if i == j { *x } else { 1.25 * x + 0.25 }).collect();
        let there = column(&moved, j, &mut scratch);
        here.iter().enumerate().all(|(i, b)| i == j || *b == 0.0)
            && (!there[j].is_finite() || here[j] == there[j])
    })
}

struct Crossed {
    program: Program,
    outputs: usize,
    timed: bool,
}

impl Crossed {
    fn value(&self, x: &[f64], v: &[f64], w: &[f64], time: f64) -> Vec<f64> {
        let lanes = |values: &[f64]| values.iter().map(|&x| Lane::splat(x)).collect::<Vec<_>>();
        let time: &[f64] = if self.timed { &[time] } else { &[] };
        let auxiliary = lanes(&[v, time, w].concat());
        let theta = lanes(x);
        let inputs = Inputs { theta: &theta, auxiliary: &auxiliary, tiles: 1 };
        let mut scratch = scratch_for(&[&self.program], 1);
        self.program.run(&inputs, &mut NoSamples, &mut scratch.lanes, |_, _, _| {});
        (0..self.outputs)
            .flat_map(|o| self.program.output(o, &inputs, &scratch.lanes, 0).iter().map(|l| l.0[0]))
            .collect()
    }
}

impl CompiledSde {
    /// Names and shapes of the state.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
    /// M, the number of Wiener processes.
    pub fn noises(&self) -> usize {
        self.noises
    }
    /// True if drift or diffusion depend on the time.
    pub fn timed(&self) -> bool {
        self.timed
    }
    /// The time at which a run begins.
    pub fn start(&self) -> f64 {
        self.start
    }
    /// Working memory.
    pub fn scratch(&self, tiles: usize) -> Scratch {
        let registers = match &self.slope {
            Some(slope) => scratch_for(&[&self.program, slope], tiles),
            None => scratch_for(&[&self.program], tiles),
        };
        with_second_input(registers, self.timed, self.noises, tiles)
    }

    /// `out` = drift·h + B(x)w at a time: x and `out` are `[P][tiles]`, w is `[M][tiles]`.
    pub fn increment(
        &self,
        x: &[Lane],
        h: f64,
        w: &[Lane],
        time: f64,
        out: &mut [Lane],
        scratch: &mut Scratch,
    ) {
        let tiles = x.len() / self.layout.len();
        let (registers, auxiliary) = second_input(&mut scratch.lanes, self.timed, w, time, tiles);
        let inputs = Inputs { theta: x, auxiliary, tiles };
        let registers = &mut registers[..self.program.scratch_len(tiles)];
        self.program.run(&inputs, &mut NoSamples, registers, |_, _, _| {});
        let parameters = self.layout.parameters();
        for (index, parameter) in parameters.iter().enumerate() {
            let range = parameter.offset * tiles..(parameter.offset + parameter.shape.len()) * tiles;
            let drift = self.program.output(index, &inputs, registers, 0);
            let noise = self.program.output(parameters.len() + index, &inputs, registers, 0);
            if h == 0.0 {
                out[range].copy_from_slice(noise);
            } else {
                drift_and_noise(&mut out[range], drift, h, noise);
            }
        }
    }

    /// `out` = (∂(Bw))Bw at a time; zero where the noise is additive or the slope was not asked for.
    pub fn slope(&self, x: &[Lane], w: &[Lane], time: f64, out: &mut [Lane], scratch: &mut Scratch) {
        let tiles = x.len() / self.layout.len();
        let Some(slope) = &self.slope else {
            out.fill(Lane::default());
            return;
        };
        let (registers, auxiliary) = second_input(&mut scratch.lanes, self.timed, w, time, tiles);
        let inputs = Inputs { theta: x, auxiliary, tiles };
        let registers = &mut registers[self.program.scratch_len(tiles)..];
        slope.run(&inputs, &mut NoSamples, registers, |_, _, _| {});
        for (index, parameter) in self.layout.parameters().iter().enumerate() {
            let range = parameter.offset * tiles..(parameter.offset + parameter.shape.len()) * tiles;
            out[range].copy_from_slice(slope.output(index, &inputs, registers, 0));
        }
    }
}

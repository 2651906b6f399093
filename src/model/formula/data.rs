//! `[data]`: laws and derived data, as variates of a sample and a graph over them.

use std::collections::BTreeMap;

use super::elaborate::{Scope, elaborate};
use super::error::FormulaError;
use super::function::scratch_for;
use super::graph::{Graph, Node};
use super::operations::{EXP, STEP};
use super::program::{Inputs, Program};
use super::size;
use super::{DataEntry, DataSource, ModelSpec, Value};
use crate::lanes::stream::{Purpose, Stream};
use crate::lanes::{LANES, Lane, math};
use crate::model::{Batch, Shape, StandardLaw, Variate};

/// A draw and, for uniform ones, the points that cut [0, 1) into cells of constant value.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    pub(super) variate: Variate,
    pub(super) breaks: Option<Vec<f64>>,
}

/// `[data]` in a graph whose samples are rows of table columns followed by variates.
#[derive(Default)]
pub(super) struct DataGraph {
    pub(super) nodes: Vec<(String, Node)>,
    pub(super) draws: Vec<Draw>,
    /// Numbers of a raw row that come from the table.
    pub(super) columns: usize,
    /// Numbers of a raw row.
    pub(super) width: usize,
}

/// Where the entries of `[data]` come from in a graph.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// All of them, laws by draws and columns as they are.
    All,
    /// Those that are the same whenever a row is taken; the others are left out.
    Held(&'a [bool]),
    /// Those that are not, behind the others' values, which lie in a row at these places.
    Moving(&'a [bool], &'a [(usize, Shape)]),
}

/// Which entries are drawn or computed anew with every sample of a finite population: those that are declared so, and what is derived from them.
pub(super) fn moving(entries: &[DataEntry]) -> Result<Vec<bool>, Vec<(usize, FormulaError)>> {
    let mut moving: Vec<bool> = Vec::with_capacity(entries.len());
    let mut errors = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let new = match &entry.source {
            DataSource::Columns { .. } => false,
            DataSource::Fresh { .. } => true,
            DataSource::Formula { formula, .. } => {
                let names = formula.names();
                let is = |(name, _): &&(String, std::ops::Range<usize>)| {
                    entries[..index].iter().zip(&moving).any(|(e, m)| *m && e.name == *name)
                };
                if let (Some((name, _)), Some(law)) = (names.iter().find(is), formula.law()) {
                    let error = FormulaError::new(
                        law,
                        format!("this law is drawn once a row, `{name}` anew with every sample"),
                    )
                    .help("with fresh = true it is drawn anew too; else give it a name of its own in [data]");
                    errors.push((index, error));
                }
                names.iter().any(|name| is(&name))
            }
        };
        moving.push(new);
    }
    if errors.is_empty() { Ok(moving) } else { Err(errors) }
}

impl DataGraph {
    /// Elaborates entries; errors carry the entry's index.
    pub(super) fn new(
        entries: &[DataEntry],
        constants: &BTreeMap<String, Value>,
        part: Part<'_>,
        graph: &mut Graph,
    ) -> Result<Self, Vec<(usize, FormulaError)>> {
        let mut data = Self::default();
        let mut errors = Vec::new();
        data.columns = match part {
            Part::Moving(_, places) => places.iter().map(|(_, shape)| shape.len()).sum(),
            _ => entries
                .iter()
                .map(|entry| if let DataSource::Columns { len, .. } = entry.source { len } else { 0 })
                .sum(),
        };
        data.width = data.columns;
        let mut column = 0;
        let mut held = 0;
        for (index, entry) in entries.iter().enumerate() {
            match part {
                Part::Held(moving) if moving[index] => continue,
                Part::Moving(moving, places) if !moving[index] => {
                    let (at, shape) = places[held];
                    held += 1;
                    data.nodes.push((entry.name.clone(), graph.sample(at, shape)));
                    continue;
                }
                _ => {}
            }
            let node = match &entry.source {
                DataSource::Columns { len, .. } => {
                    let node = graph.sample(column, Shape::vector(*len));
                    column += len;
                    node
                }
                DataSource::Formula { formula, shape } | DataSource::Fresh { formula, shape } => {
                    let mut scope = DataScope { data: &mut data, constants, shape: *shape };
                    let all = 0..formula.text().len();
                    match elaborate(&formula.lines, graph, &mut scope) {
                        Ok((node, _)) if shape.is_none_or(|s| s == graph.shape(node)) => node,
                        Ok((node, _)) => {
                            let (found, wanted) = (graph.shape(node), shape.unwrap_or(Shape::SCALAR));
                            errors.push((
                                index,
                                FormulaError::new(
                                    all,
                                    format!("`{}` has the shape {found}, declared is {wanted}", entry.name),
                                )
                                .help(
                                    "laws draw the declared shape; derived data must have it by themselves",
                                ),
                            ));
                            // Later entries are still checked, with the shape that was declared.
                            graph.constant(wanted, &vec![0.0; wanted.len()])
                        }
                        Err(error) => {
                            errors.push((index, error));
                            let wanted = shape.unwrap_or(Shape::SCALAR);
                            graph.constant(wanted, &vec![0.0; wanted.len()])
                        }
                    }
                }
            };
            data.nodes.push((entry.name.clone(), node));
        }
        if errors.is_empty() { Ok(data) } else { Err(errors) }
    }

    /// The standard draws, in order.
    pub(super) fn variates(&self) -> Vec<Variate> {
        self.draws.iter().map(|d| d.variate).collect()
    }

    fn draw(&mut self, graph: &mut Graph, law: StandardLaw, shape: Shape, breaks: Option<Vec<f64>>) -> Node {
        let offset = self.width;
        self.width += shape.len();
        self.draws.push(Draw { variate: Variate { law, len: shape.len(), offset }, breaks });
        graph.sample(offset, shape)
    }
}

struct DataScope<'a> {
    data: &'a mut DataGraph,
    constants: &'a BTreeMap<String, Value>,
    shape: Option<Shape>,
}

impl Scope for DataScope<'_> {
    fn name(&mut self, graph: &mut Graph, name: &str) -> Option<Node> {
        if let Some((_, node)) = self.data.nodes.iter().find(|(n, _)| n == name) {
            return Some(*node);
        }
        self.constants.get(name).map(|value| graph.constant(value.shape, &value.data))
    }
    fn names(&self) -> Vec<String> {
        self.data.nodes.iter().map(|(n, _)| n.clone()).chain(self.constants.keys().cloned()).collect()
    }
    fn law(&mut self, graph: &mut Graph, law: &str, args: &[Node]) -> Option<Result<Node, String>> {
        Some(self.draw(graph, law, args))
    }
}

/// The number of a constant scalar.
fn number(graph: &Graph, node: Node) -> Option<f64> {
    match graph.constant_of(node) {
        Some(&[value]) => Some(value),
        _ => None,
    }
}

/// Largest mean of Poisson's law: its numbers are whole ones to the last place.
const MOST_MEAN: f64 = 1e9;

/// An error where a constant is not above 0.
fn above_zero(graph: &Graph, node: Node, what: &str) -> Result<(), String> {
    match graph.constant_of(node) {
        Some(data) if data.iter().any(|x| *x <= 0.0) => Err(format!("the {what} is not above 0")),
        _ => Ok(()),
    }
}

/// The number of a scalar constant above 0.
fn positive_constant(graph: &Graph, node: Node, what: &str) -> Result<f64, String> {
    match number(graph, node) {
        Some(x) if x > 0.0 => Ok(x),
        Some(_) => Err(format!("the {what} is not above 0")),
        None => Err(format!("the {what} must be a constant")),
    }
}

impl DataScope<'_> {
    fn draw(&mut self, graph: &mut Graph, law: &str, args: &[Node]) -> Result<Node, String> {
        let count = |allowed: &[usize]| {
            if allowed.contains(&args.len()) {
                Ok(())
            } else {
                Err(format!("`{law}` does not take {} arguments", args.len()))
            }
        };
        let mut shape = self.shape;
        for &arg in args {
            if shape.is_none() && !graph.shape(arg).is_scalar() {
                shape = Some(graph.shape(arg));
            }
        }
        let shape = shape.unwrap_or(Shape::SCALAR);
        let fits = |graph: &Graph, node: Node| graph.shape(node).is_scalar() || graph.shape(node) == shape;
        if law != "multinormal" && !args.iter().all(|&a| fits(graph, a)) {
            return Err(format!("an argument of `{law}` has not the shape {shape} of the draw"));
        }
        match law {
            "normal" => {
                count(&[0, 2])?;
                let z = self.data.draw(graph, StandardLaw::Normal, shape, None);
                let &[mean, deviation] = args else { return Ok(z) };
                if graph.constant_of(deviation).is_some_and(|s| s.iter().any(|s| *s < 0.0)) {
                    return Err("the standard deviation is negative".to_owned());
                }
                let scaled = graph.multiply(deviation, z);
                Ok(graph.add(mean, scaled))
            }
            "uniform" => {
                count(&[0, 2])?;
                let u = self.data.draw(graph, StandardLaw::Uniform, shape, None);
                let &[low, high] = args else { return Ok(u) };
                if let (Some(a), Some(b)) = (number(graph, low), number(graph, high))
                    && a >= b
                {
                    return Err(format!("the interval from {a} to {b} is empty"));
                }
                let length = graph.subtract(high, low);
                let scaled = graph.multiply(length, u);
                Ok(graph.add(low, scaled))
            }
            "rademacher" => {
                count(&[0])?;
                Ok(self.data.draw(graph, StandardLaw::Rademacher, shape, None))
            }
            "bernoulli" => {
                count(&[1])?;
                let p = number(graph, args[0]);
                if p.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
                    return Err("the probability is not between 0 and 1".to_owned());
                }
                let u = self.data.draw(graph, StandardLaw::Uniform, shape, p.map(|p| vec![p]));
                let left = graph.subtract(args[0], u);
                Ok(graph.unary(&STEP, left))
            }
            "student" => {
                count(&[1])?;
                match number(graph, args[0]) {
                    Some(nu) if nu > 0.0 => Ok(self.data.draw(graph, StandardLaw::Student(nu), shape, None)),
                    _ => Err("the degrees of freedom must be a positive constant".to_owned()),
                }
            }
            "categorical" => self.categorical(graph, args, shape),
            "exponential" => {
                count(&[0, 1])?;
                let z = self.data.draw(graph, StandardLaw::Exponential, shape, None);
                let &[rate] = args else { return Ok(z) };
                above_zero(graph, rate, "rate")?;
                Ok(graph.divide(z, rate))
            }
            "gamma" => {
                count(&[2])?;
                let law = StandardLaw::Gamma(positive_constant(graph, args[0], "shape")?);
                above_zero(graph, args[1], "scale")?;
                let z = self.data.draw(graph, law, shape, None);
                Ok(graph.multiply(args[1], z))
            }
            "chi_squared" => {
                count(&[1])?;
                let freedom = positive_constant(graph, args[0], "number of degrees of freedom")?;
                let z = self.data.draw(graph, StandardLaw::Gamma(0.5 * freedom), shape, None);
                Ok(graph.scale(2.0, z))
            }
            "beta" => {
                count(&[2])?;
                let a = positive_constant(graph, args[0], "first shape")?;
                let b = positive_constant(graph, args[1], "second shape")?;
                Ok(self.data.draw(graph, StandardLaw::Beta(a, b), shape, None))
            }
            "poisson" => {
                count(&[1])?;
                let mean = positive_constant(graph, args[0], "mean")?;
                if mean > MOST_MEAN {
                    return Err(format!("the mean {mean} is above {MOST_MEAN}"));
                }
                Ok(self.data.draw(graph, StandardLaw::Poisson(mean), shape, None))
            }
            "laplace" | "cauchy" => {
                count(&[0, 2])?;
                let standard = if law == "laplace" { StandardLaw::Laplace } else { StandardLaw::Cauchy };
                let z = self.data.draw(graph, standard, shape, None);
                let &[centre, scale] = args else { return Ok(z) };
                above_zero(graph, scale, "scale")?;
                let scaled = graph.multiply(scale, z);
                Ok(graph.add(centre, scaled))
            }
            "lognormal" => {
                count(&[2])?;
                if graph.constant_of(args[1]).is_some_and(|s| s.iter().any(|s| *s < 0.0)) {
                    return Err("the standard deviation of the logarithm is negative".to_owned());
                }
                let z = self.data.draw(graph, StandardLaw::Normal, shape, None);
                let scaled = graph.multiply(args[1], z);
                let logarithm = graph.add(args[0], scaled);
                Ok(graph.unary(&EXP, logarithm))
            }
            _ => {
                count(&[2])?;
                self.multinormal(graph, args[0], args[1])
            }
        }
    }

    fn categorical(&mut self, graph: &mut Graph, args: &[Node], shape: Shape) -> Result<Node, String> {
        let p: Vec<f64> = match args {
            [] => return Err("`categorical` needs probabilities".to_owned()),
            [one] => graph.constant_of(*one).map(<[f64]>::to_vec),
            many => many.iter().map(|&a| number(graph, a)).collect(),
        }
        .ok_or("the probabilities must be constants")?;
        let total: f64 = p.iter().sum();
        if p.iter().any(|p| *p < 0.0) || (total - 1.0).abs() > 1e-9 {
            return Err(format!("the probabilities must be ≥ 0 and sum to 1; they sum to {total}"));
        }
        let shape = if args.len() == 1 { self.shape.unwrap_or(Shape::SCALAR) } else { shape };
        let mut breaks = Vec::new();
        let mut cumulative = 0.0;
        for p in &p[..p.len() - 1] {
            cumulative += p;
            breaks.push(cumulative);
        }
        let u = self.data.draw(graph, StandardLaw::Uniform, shape, Some(breaks.clone()));
        let mut index = graph.constant(shape, &vec![0.0; shape.len()]);
        for threshold in breaks {
            let threshold = graph.number(threshold);
            let beyond = graph.subtract(u, threshold);
            let one = graph.unary(&STEP, beyond);
            index = graph.add(index, one);
        }
        Ok(index)
    }

    fn multinormal(&mut self, graph: &mut Graph, mean: Node, covariance: Node) -> Result<Node, String> {
        let n = graph.shape(mean).len();
        let (Some(_), Some(c)) = (graph.constant_of(mean), graph.constant_of(covariance)) else {
            return Err("the mean and the covariance must be constants".to_owned());
        };
        if graph.shape(mean).cols != 1 || graph.shape(covariance) != Shape::matrix(n, n) {
            return Err(format!(
                "a mean {} needs a covariance [{n},{n}], not {}",
                graph.shape(mean),
                graph.shape(covariance)
            ));
        }
        let factor = cholesky(c, n).ok_or("the covariance is not symmetric and positive semi-definite")?;
        let shape = Shape::vector(n);
        let z = self.data.draw(graph, StandardLaw::Normal, shape, None);
        let factor = graph.constant(Shape::matrix(n, n), &factor);
        let spread = graph.matrix_product(factor, false, z, false)?;
        Ok(graph.add(mean, spread))
    }
}

/// Lower factor of a positive semi-definite matrix (zero columns where it is singular).
pub fn cholesky(c: &[f64], n: usize) -> Option<Vec<f64>> {
    let scale = (0..n).map(|i| c[i * n + i].abs()).fold(0.0, f64::max);
    let tolerance = 1e-12 * scale;
    let mut l = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            if (c[i * n + j] - c[j * n + i]).abs() > 1e-9 * scale {
                return None;
            }
            let rest = c[i * n + j] - (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum::<f64>();
            l[i * n + j] = if i == j {
                if rest < -tolerance {
                    return None;
                }
                if rest > tolerance { rest.sqrt() } else { 0.0 }
            } else if l[j * n + j] > 0.0 {
                rest / l[j * n + j]
            } else if rest.abs() > 1e-9 * scale {
                return None;
            } else {
                0.0
            };
        }
    }
    Some(l)
}

/// Fills one raw row's variates from a scalar stream.
pub(super) fn draw_row(variates: &[Variate], stream: &mut Stream, row: &mut [f64]) {
    for variate in variates {
        for x in &mut row[variate.offset..variate.offset + variate.len] {
            *x = match variate.law {
                StandardLaw::Normal => stream.normal(),
                StandardLaw::Uniform => stream.uniform(),
                StandardLaw::Rademacher => stream.sign(),
                StandardLaw::Student(nu) => student(stream, nu),
                StandardLaw::Exponential
                | StandardLaw::Laplace
                | StandardLaw::Cauchy
                | StandardLaw::Gamma(_)
                | StandardLaw::Beta(..)
                | StandardLaw::Poisson(_) => variate.law.draw(&mut || stream.uniform()),
            };
        }
    }
}

/// Student's t from two uniforms (Bailey 1994): √(ν(U^{−2/ν} − 1)) cos 2πV.
fn student(stream: &mut Stream, nu: f64) -> f64 {
    let u = 1.0 - stream.uniform();
    let v = stream.uniform();
    (nu * (math::scalar::powf(u, -2.0 / nu) - 1.0)).max(0.0).sqrt()
        * math::scalar::cos(std::f64::consts::TAU * v)
}

/// `[rows][width]`, and offset and shape of each entry in a row.
pub(super) type Table = (Vec<f64>, Vec<(usize, Shape)>);

/// Values of the data entries for each row of a finite population, but for those that are `moving`: `[rows][width']`, and the offset of each entry.
pub(super) fn finite(
    spec: &ModelSpec,
    rows: usize,
    moving: &[bool],
) -> Result<Table, Vec<(usize, FormulaError)>> {
    let mut graph = Graph::default();
    let data = DataGraph::new(&spec.data, &spec.constants, Part::Held(moving), &mut graph)?;
    let width: usize = data.nodes.iter().map(|(_, node)| graph.shape(*node).len()).sum();
    let numbers = rows.saturating_mul(data.width.saturating_add(width));
    let bytes = (numbers as u64).saturating_mul(8);
    if !size::fits(bytes) {
        let message = format!(
            "{}{rows} samples of {width} numbers, made of {}, are {}{}",
            size::TOO_LARGE,
            data.width,
            size::amount(bytes),
            size::allowed()
        );
        let error = FormulaError::new(0..0, message).help("choose a smaller `size`, or smaller shapes");
        return Err(vec![(0, error)]);
    }
    let mut raw = vec![0.0; rows * data.width];
    let mut stream = Stream::new(spec.seed, Purpose::Population, 0);
    let variates = data.variates();
    for row in 0..rows {
        let mut at = row * data.width;
        for entry in &spec.data {
            if let DataSource::Columns { len, values } = &entry.source {
                raw[at..at + len].copy_from_slice(&values[row * len..(row + 1) * len]);
                at += len;
            }
        }
        draw_row(&variates, &mut stream, &mut raw[row * data.width..(row + 1) * data.width]);
    }
    let mut places = Vec::new();
    let mut width = 0;
    for (_, node) in &data.nodes {
        places.push((width, graph.shape(*node)));
        width += graph.shape(*node).len();
    }
    let outputs: Vec<Node> = data.nodes.iter().map(|(_, n)| *n).collect();
    let program = Program::new(&graph, &outputs, data.width)
        .map_err(|e| vec![(0, FormulaError::of_program(0..0, &e))])?;
    let mut values = vec![0.0; rows * width];
    let mut scratch = scratch_for(&[&program], 1);
    let inputs = Inputs { theta: &[], auxiliary: &[], tiles: 1 };
    for first in (0..rows).step_by(LANES) {
        let mut batch = Rows { raw: &raw, width: data.width, first };
        let mut store = |lanes: &[Lane]| {
            for lane in 0..LANES.min(rows - first) {
                for (output, (at, shape)) in places.iter().enumerate() {
                    let value = program.output(output, &inputs, lanes, 0);
                    for e in 0..shape.len() {
                        values[(first + lane) * width + at + e] = value[e].0[lane];
                    }
                }
            }
        };
        program.run(&inputs, &mut batch, &mut scratch.lanes, |_, _, _| {});
        store(&scratch.lanes);
    }
    Ok((values, places))
}

/// Eight rows at a time, one in each lane.
struct Rows<'a> {
    raw: &'a [f64],
    width: usize,
    first: usize,
}

impl Batch for Rows<'_> {
    fn len(&self) -> usize {
        1
    }
    fn fill(&mut self, _: usize, _: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        for (e, lane) in samples.iter_mut().enumerate() {
            for (l, x) in lane.0.iter_mut().enumerate() {
                *x = self.raw.get((self.first + l) * self.width + e).copied().unwrap_or(0.0);
            }
        }
        weights.fill(Lane::splat(1.0));
    }
}

//! Finds every linear symmetry of a loss from its gradients.
//!
//! θ → e^{λA}θ leaves ℓ(θ; z) alone for all θ and z if and only if ∇ℓ(θ; z)ᵀAθ = 0 for all θ and z: a linear equation in A at every random θ and z.
//! For few parameters all of A's P² entries are unknown; for many A = Σ of maps of single parameters, X → MX and X → XM with unknown M, and X → X + cY of equal shapes.

use super::basis::{Kind, norm, readable, whole};
use super::elimination::null_space;
use super::probe::{Probe, rows_of};
use super::suggest;
use super::{Acting, Generator};
use crate::lanes::{LANES, Lane};
use crate::model::{Layout, Model, Parameter};

/// Up to so many numbers in θ every entry of A is unknown.
pub const DENSE: usize = 60;
/// Most unknowns.
const UNKNOWNS: usize = DENSE * DENSE;
/// Scales of θ, batch by batch.
const ROUNDS: [f64; 8] = [1.0, 1.0, 0.3, 1.0, 1.0, 0.1, 1.0, 0.01];
/// States a batch.
const BATCH: usize = 64;
/// Equations by which the unknowns are brought to one scale.
const MEASURED: usize = 512;
/// Gradients that are so much smaller than others of their batch are saturation, whose rounding says nothing.
const FAINT: f64 = 1e-3;
/// Batches without a finite gradient before the search gives up.
const PATIENCE: usize = 64;
/// A generator holds if ∇ℓᵀAθ is this share of its terms.
const HOLDS: f64 = 1e-10;
/// A sample speaks against a generator if ∇ℓᵀAθ is this share of its terms.
const SPEAKS: f64 = 1e-7;
/// Draws of a law that are looked at so.
const DRAWS: usize = 1 << 12;
/// Most samples that are found to do so in one pass.
const TELLING: usize = 64;
/// Most passes.
const PASSES: usize = 16;
/// Which of the probes' streams.
const STREAM: u64 = 102;
/// That of passes.
const SWEEP: u64 = 104;

/// The Lie algebra of linear symmetries of a loss.
#[derive(Clone, Debug)]
pub struct Algebra {
    /// A basis.
    pub generators: Vec<Found>,
    /// The weakest equation that was used over the strongest response of a fresh gradient to the basis: far above 1 if the rank is sure.
    pub gap: f64,
    /// What was searched, where not every entry of A was unknown.
    pub restricted: Option<String>,
    /// Lines of `[symmetries]` that declare what was found, as far as it can be declared.
    pub declarations: Vec<String>,
    /// What the rank rests on.
    pub seen: Seen,
}

/// The samples at which gradients were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Random states, each with a sample of its own: any row of a table, or draws among which rare values are not rare.
    pub states: usize,
    /// Rows of a table that were gone over one by one, and all that it has.
    pub rows: Option<(usize, usize)>,
}

/// One generator.
#[derive(Clone, Debug)]
pub struct Found {
    /// A.
    pub generator: Generator,
    /// Symmetric, antisymmetric or mixed.
    pub kind: Kind,
    /// Its numbers are whole.
    pub whole: bool,
}

/// Why no algebra could be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// No finite gradient.
    #[error("the gradient of the loss is not finite at any of the random states that were tried")]
    NotFinite,
}

/// One unknown number of A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unknown {
    /// A[i, j].
    Entry(usize, usize),
    /// M[a, b] of X → MX for parameter p.
    Left(usize, usize, usize),
    /// M[a, b] of X → XM.
    Right(usize, usize, usize),
    /// c of X_p → X_p + cX_q.
    Mix(usize, usize),
}

/// Finds a basis of all A with ∇ℓ(θ; z)ᵀAθ = 0.
///
/// # Errors
/// [`FindError`].
pub fn find(model: &dyn Model, seed: u64) -> Result<Algebra, FindError> {
    let layout = model.layout();
    let (unknowns, restricted) = unknowns(layout);
    let transpose = transposition(&unknowns);
    let work = unknowns.iter().map(|u| u.work(layout.parameters())).sum::<usize>() + 100 * layout.len();
    let rows = rows_of(model, work);
    // Samples that few draws are not likely to meet, and that say something.
    let mut telling: Vec<Vec<f64>> = Vec::new();
    let mut candidates = candidates(model, seed, &unknowns, &telling)?;
    let mut states = candidates.states;
    for _ in 0..PASSES {
        if candidates.basis.is_empty() {
            break;
        }
        let list = rows.as_ref().map(|(rows, _)| &rows[..]).unwrap_or_default();
        let (more, drawn) = against(model, seed, &unknowns, &candidates.basis, list);
        states += drawn;
        if more.is_empty() {
            break;
        }
        telling.extend(more);
        let fewer = self::candidates(model, seed, &unknowns, &telling)?;
        states += fewer.states;
        let lower = fewer.basis.len() < candidates.basis.len();
        candidates = fewer;
        if !lower {
            break;
        }
    }
    let Candidates { basis, proofs, gap, .. } = candidates;
    let generators: Vec<Found> = readable(&basis, &transpose)
        .into_iter()
        .map(|vector| {
            let rounded = whole(&vector).filter(|w| holds(w, &proofs));
            Found {
                kind: Kind::of(&vector, &transpose),
                whole: rounded.is_some(),
                generator: generator(&unknowns, &rounded.unwrap_or(vector), layout),
            }
        })
        .collect();
    let declarations = suggest::declarations(model, seed, &telling, &generators);
    let seen = Seen { states, rows: rows.map(|(checked, all)| (checked.len(), all)) };
    Ok(Algebra { generators, gap, restricted, declarations, seen })
}

/// What equations at random states leave of all A.
struct Candidates {
    /// A basis, `[dimension][unknowns]`.
    basis: Vec<Vec<f64>>,
    /// Further equations.
    proofs: Vec<Vec<f64>>,
    gap: f64,
    states: usize,
}

fn candidates(
    model: &dyn Model,
    seed: u64,
    unknowns: &[Unknown],
    telling: &[Vec<f64>],
) -> Result<Candidates, FindError> {
    let mut equations = Equations::new(model, seed, unknowns, telling);
    let measured: Vec<Vec<f64>> = std::iter::from_fn(|| equations.next()).take(MEASURED).collect();
    if measured.is_empty() {
        return Err(FindError::NotFinite);
    }
    let scales: Vec<f64> = (0..unknowns.len())
        .map(|u| (measured.iter().map(|row| row[u] * row[u]).sum::<f64>() / measured.len() as f64).sqrt())
        .collect();
    // What never enters an equation is free; among the others the smallest must not drown.
    let entering: Vec<usize> = (0..unknowns.len()).filter(|&u| scales[u] > 0.0).collect();
    let mut usable = || {
        let row = equations.next()?;
        let mut scaled: Vec<f64> = entering.iter().map(|&u| row[u] / scales[u]).collect();
        let length = norm(&scaled);
        let says = length > 0.0 && length.is_finite();
        if says {
            for x in &mut scaled {
                *x /= length;
            }
        }
        Some(says.then_some(scaled))
    };
    // A row that says nothing is passed over, but not for ever.
    let mut fresh = || std::iter::from_fn(&mut usable).take(PATIENCE * BATCH).flatten().next();
    let space = null_space(entering.len(), &mut fresh);
    let mut basis: Vec<Vec<f64>> = (0..unknowns.len())
        .filter(|&u| scales[u] == 0.0)
        .map(|u| (0..unknowns.len()).map(|v| f64::from(u8::from(u == v))).collect())
        .collect();
    for vector in &space.basis {
        let mut full = vec![0.0; unknowns.len()];
        for (&u, x) in entering.iter().zip(vector) {
            full[u] = x / scales[u];
        }
        let length = norm(&full);
        for x in &mut full {
            *x /= length;
        }
        basis.push(full);
    }
    let proofs: Vec<Vec<f64>> = std::iter::from_fn(|| equations.next()).take(2 * BATCH).collect();
    Ok(Candidates { basis, proofs, gap: space.gap, states: equations.round * BATCH })
}

/// ∇ℓᵀAθ vanishes among its terms, in every equation.
fn holds(vector: &[f64], equations: &[Vec<f64>]) -> bool {
    equations.iter().all(|row| remainder(vector, row) <= HOLDS)
}

/// |∇ℓᵀAθ| against its terms.
fn remainder(vector: &[f64], row: &[f64]) -> f64 {
    let (mut sum, mut size) = (0.0, 1e-4 * norm(vector));
    for (r, a) in row.iter().zip(vector) {
        sum += r * a;
        size += (r * a).abs();
    }
    sum.abs() / size
}

/// Some of the samples at which a member of the algebra, drawn at random, is no symmetry, and how many states were drawn: of the rows of a table, gone
/// over one by one, and of many draws of a law.
fn against(
    model: &dyn Model,
    seed: u64,
    unknowns: &[Unknown],
    basis: &[Vec<f64>],
    rows: &[usize],
) -> (Vec<Vec<f64>>, usize) {
    let layout = model.layout();
    let mut probe = Probe::new(model, seed, SWEEP);
    let mut member = vec![0.0; unknowns.len()];
    for vector in basis {
        let weight = probe.stream().normal();
        member.iter_mut().zip(vector).for_each(|(m, x)| *m += weight * x);
    }
    let mut gradient = vec![Lane::default(); layout.len()];
    let mut found = Vec::new();
    let draws = if model.population().fresh.is_some() { DRAWS / LANES } else { 0 };
    let mut drawn = 0;
    for rows in rows.chunks(LANES).map(Some).chain(std::iter::repeat_n(None, draws)) {
        match rows {
            Some(rows) => probe.draw_rows(1.0, rows),
            None => probe.draw(1.0),
        }
        drawn += if rows.is_none() { LANES } else { 0 };
        probe.gradients(&mut gradient);
        for l in 0..rows.map_or(LANES, <[usize]>::len) {
            let (theta, gradient) = (super::probe::lane(&probe.theta, l), super::probe::lane(&gradient, l));
            let size = norm(&theta) * norm(&gradient);
            if size.is_finite() && size > 0.0 {
                let list = layout.parameters();
                let equation: Vec<f64> =
                    unknowns.iter().map(|u| u.factor(list, &theta, &gradient) / size).collect();
                if remainder(&member, &equation) > SPEAKS {
                    found.push(super::probe::lane(&probe.sample, l));
                }
            }
        }
        if found.len() >= TELLING {
            break;
        }
    }
    (found, drawn)
}

/// The unknowns that fit, and what they leave out.
fn unknowns(layout: &Layout) -> (Vec<Unknown>, Option<String>) {
    let p = layout.len();
    if p <= DENSE {
        return ((0..p * p).map(|e| Unknown::Entry(e / p, e % p)).collect(), None);
    }
    let list = layout.parameters();
    let mut room = UNKNOWNS;
    let mut sides: Vec<(usize, usize, bool)> = Vec::new();
    for (index, parameter) in list.iter().enumerate() {
        sides.push((parameter.shape.rows, index, true));
        // M = 1 from the right is M = 1 from the left.
        if parameter.shape.cols > 1 {
            sides.push((parameter.shape.cols, index, false));
        }
    }
    sides.sort_unstable();
    let mut unknowns = Vec::new();
    let mut cut = Vec::new();
    for (side, index, left) in sides {
        let entry =
            |a: usize, b: usize| if left { Unknown::Left(index, a, b) } else { Unknown::Right(index, a, b) };
        let whole = side * side <= room;
        if !whole {
            cut.push(format!("{} of {}", if left { "rows" } else { "columns" }, list[index].name));
        }
        for a in 0..side {
            for b in 0..side {
                let redundant = !left && a == 0 && b == 0;
                if !redundant && (whole || (a == b && room > 0)) {
                    unknowns.push(entry(a, b));
                    room = room.saturating_sub(1);
                }
            }
        }
    }
    for (i, one) in list.iter().enumerate() {
        for (j, other) in list.iter().enumerate() {
            if i != j && one.shape == other.shape && room > 0 {
                unknowns.push(Unknown::Mix(i, j));
                room -= 1;
            }
        }
    }
    let mut text = "searched were maps of the rows and of the columns of each parameter, and mixtures of parameters of equal shapes".to_owned();
    if !cut.is_empty() {
        text.push_str(&format!("; by a factor a row or column only: {}", cut.join(", ")));
    }
    (unknowns, Some(text))
}

/// The unknown across the diagonal of each.
fn transposition(unknowns: &[Unknown]) -> Vec<usize> {
    let place: std::collections::HashMap<[usize; 4], usize> =
        unknowns.iter().enumerate().map(|(at, unknown)| (unknown.key(), at)).collect();
    unknowns
        .iter()
        .enumerate()
        .map(|(at, unknown)| place.get(&unknown.across().key()).copied().unwrap_or(at))
        .collect()
}

impl Unknown {
    fn key(self) -> [usize; 4] {
        match self {
            Unknown::Entry(i, j) => [0, i, j, 0],
            Unknown::Left(p, a, b) => [1, p, a, b],
            Unknown::Right(p, a, b) => [2, p, a, b],
            Unknown::Mix(p, q) => [3, p, q, 0],
        }
    }
    /// Multiplications that its factor takes.
    fn work(self, list: &[Parameter]) -> usize {
        match self {
            Unknown::Entry(..) => 1,
            Unknown::Left(p, ..) => list[p].shape.cols,
            Unknown::Right(p, ..) => list[p].shape.rows,
            Unknown::Mix(p, _) => list[p].shape.len(),
        }
    }
    fn across(self) -> Self {
        match self {
            Unknown::Entry(i, j) => Unknown::Entry(j, i),
            Unknown::Left(p, a, b) => Unknown::Left(p, b, a),
            Unknown::Right(p, a, b) => Unknown::Right(p, b, a),
            Unknown::Mix(p, q) => Unknown::Mix(q, p),
        }
    }

    /// Its factor in ∇ℓᵀAθ.
    fn factor(self, list: &[Parameter], theta: &[f64], gradient: &[f64]) -> f64 {
        let at = |p: usize, i: usize, j: usize| list[p].offset + i * list[p].shape.cols + j;
        match self {
            Unknown::Entry(i, j) => gradient[i] * theta[j],
            Unknown::Left(p, a, b) => {
                (0..list[p].shape.cols).map(|j| gradient[at(p, a, j)] * theta[at(p, b, j)]).sum()
            }
            Unknown::Right(p, a, b) => {
                (0..list[p].shape.rows).map(|i| gradient[at(p, i, b)] * theta[at(p, i, a)]).sum()
            }
            Unknown::Mix(p, q) => (0..list[p].shape.len())
                .map(|e| gradient[list[p].offset + e] * theta[list[q].offset + e])
                .sum(),
        }
    }
}

/// The generator with these numbers.
fn generator(unknowns: &[Unknown], values: &[f64], layout: &Layout) -> Generator {
    let list = layout.parameters();
    let p = layout.len();
    let mut acting: Vec<Acting> = Vec::new();
    let mut whole: Option<Vec<f64>> = None;
    for (unknown, &value) in unknowns.iter().zip(values).filter(|(_, v)| **v != 0.0) {
        match *unknown {
            Unknown::Entry(i, j) => whole.get_or_insert_with(|| vec![0.0; p * p])[i * p + j] = value,
            Unknown::Left(index, a, b) => {
                let side = list[index].shape.rows;
                side_of(&mut acting, &list[index], side, true)[a * side + b] = value;
            }
            Unknown::Right(index, a, b) => {
                let side = list[index].shape.cols;
                side_of(&mut acting, &list[index], side, false)[a * side + b] = value;
            }
            Unknown::Mix(to, from) => {
                acting.push(Acting::Mix { to: list[to].clone(), from: list[from].clone(), factor: value });
            }
        }
    }
    acting.extend(whole.map(Acting::Whole));
    Generator { acting }
}

/// M of X → MX or X → XM among `acting`, made where it is not there yet.
fn side_of<'a>(acting: &'a mut Vec<Acting>, of: &Parameter, side: usize, left: bool) -> &'a mut [f64] {
    let is_it = |acting: &Acting| match acting {
        Acting::Left { parameter, .. } => left && parameter == of,
        Acting::Right { parameter, .. } => !left && parameter == of,
        _ => false,
    };
    let at = acting.iter().position(is_it).unwrap_or_else(|| {
        let (parameter, matrix) = (of.clone(), vec![0.0; side * side]);
        acting.push(if left {
            Acting::Left { parameter, matrix }
        } else {
            Acting::Right { parameter, matrix }
        });
        acting.len() - 1
    });
    match &mut acting[at] {
        Acting::Left { matrix, .. } | Acting::Right { matrix, .. } => matrix,
        _ => &mut [],
    }
}

/// Equations of unit norm from fresh states and samples, as long as there are any.
struct Equations<'a> {
    probe: Probe<'a>,
    layout: &'a Layout,
    unknowns: &'a [Unknown],
    gradient: Vec<Lane>,
    ready: Vec<Vec<f64>>,
    round: usize,
}

impl<'a> Equations<'a> {
    fn new(model: &'a dyn Model, seed: u64, unknowns: &'a [Unknown], telling: &'a [Vec<f64>]) -> Self {
        let layout = model.layout();
        let gradient = vec![Lane::default(); layout.len()];
        Self {
            probe: Probe::new(model, seed, STREAM).telling(telling),
            layout,
            unknowns,
            gradient,
            ready: Vec::new(),
            round: 0,
        }
    }

    fn next(&mut self) -> Option<Vec<f64>> {
        for _ in 0..PATIENCE {
            if let Some(row) = self.ready.pop() {
                return Some(row);
            }
            self.fill();
        }
        None
    }

    /// One more batch.
    fn fill(&mut self) {
        let scale = ROUNDS[self.round % ROUNDS.len()];
        self.round += 1;
        let mut points: Vec<(f64, Vec<f64>, Vec<f64>, bool)> = Vec::new();
        for _ in 0..BATCH / LANES {
            self.probe.draw(scale);
            self.probe.gradients(&mut self.gradient);
            for l in 0..LANES {
                let (theta, gradient) =
                    (super::probe::lane(&self.probe.theta, l), super::probe::lane(&self.gradient, l));
                let size = norm(&theta) * norm(&gradient);
                if size.is_finite() && size > 0.0 {
                    points.push((size, theta, gradient, self.probe.tells(l)));
                }
            }
        }
        let largest = points.iter().fold(0.0_f64, |m, p| m.max(p.0));
        // What a telling sample says is no saturation.
        for (size, theta, gradient, _) in points.into_iter().filter(|p| p.3 || p.0 > FAINT * largest) {
            let list = self.layout.parameters();
            let row = self.unknowns.iter().map(|u| u.factor(list, &theta, &gradient) / size).collect();
            self.ready.push(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Symmetry;
    use super::*;
    use crate::model::Shape;
    use crate::model::formula::{DataEntry, DataSource, Expression, FormulaModel, ModelSpec};

    fn model(parameters: &[(&str, Shape)], data: &[(&str, &str, Shape)], loss: &str) -> FormulaModel {
        let mut layout = Layout::default();
        for (name, shape) in parameters {
            layout.push(*name, *shape);
        }
        let parse = |text: &str| Expression::parse(text).unwrap();
        FormulaModel::new(ModelSpec {
            layout,
            constants: std::collections::BTreeMap::new(),
            data: data
                .iter()
                .map(|(name, law, shape)| DataEntry {
                    name: (*name).to_owned(),
                    source: DataSource::Formula { formula: parse(law), shape: Some(*shape) },
                })
                .collect(),
            size: None,
            loss: parse(loss),
            decay: 0.0,
            seed: 1,
        })
        .unwrap()
    }

    const S: Shape = Shape::SCALAR;
    fn v(n: usize) -> Shape {
        Shape::vector(n)
    }
    fn m(rows: usize, cols: usize) -> Shape {
        Shape::matrix(rows, cols)
    }

    /// Dimension, and the number of symmetric, antisymmetric and mixed generators.
    fn counts(parameters: &[(&str, Shape)], data: &[(&str, &str, Shape)], loss: &str) -> [usize; 4] {
        let model = model(parameters, data, loss);
        let found = find(&model, 5).unwrap();
        assert!(found.gap > 1e4, "{loss}: gap {}", found.gap);
        let of = |kind: Kind| found.generators.iter().filter(|g| g.kind == kind).count();
        assert!(found.generators.iter().all(|g| g.whole), "{loss}: {found:?}");
        [found.generators.len(), of(Kind::Symmetric), of(Kind::Antisymmetric), of(Kind::Mixed)]
    }

    /// Regression on a table whose first column is 0 but for one row, and whose last one is 0.
    fn rare(rows: usize, value: f64, fresh: bool) -> FormulaModel {
        let wave = |k: usize| ((k * 37 + 11) % 101) as f64 / 50.0 - 1.0;
        let x = |k: usize| [if k == rows / 3 { value } else { 0.0 }, wave(k), wave(3 * k + 1), 0.0];
        let mut layout = Layout::default();
        layout.push("w", v(4));
        let parse = |text: &str| Expression::parse(text).unwrap();
        let column = |name: &str, len: usize, values: Vec<f64>| DataEntry {
            name: name.to_owned(),
            source: DataSource::Columns { len, values },
        };
        let noise = if fresh {
            DataSource::Fresh { formula: parse("normal(0, 1)"), shape: None }
        } else {
            DataSource::Formula { formula: parse("normal(0, 1)"), shape: None }
        };
        FormulaModel::new(ModelSpec {
            layout,
            constants: std::collections::BTreeMap::new(),
            data: vec![
                column("x", 4, (0..rows).flat_map(x).collect()),
                column("y", 1, (0..rows).map(|k| wave(7 * k + 2)).collect()),
                DataEntry { name: "n".to_owned(), source: noise },
            ],
            size: Some(rows),
            loss: parse("(dot(w, x) - y - n)^2"),
            decay: 0.0,
            seed: 1,
        })
        .unwrap()
    }

    #[test]
    fn what_a_single_row_says_counts() {
        // ∇ℓ = r x, and the x span three of four directions: A has the row of the fourth, four numbers, and nothing else. Random rows never
        // meet the one that has a first element, without which there are eight.
        for (rows, value, fresh) in [(1500, 1.0, false), (2000, 1e-3, false), (1500, 1.0, true)] {
            let model = rare(rows, value, fresh);
            let found = find(&model, 5).unwrap();
            assert_eq!(found.generators.len(), 4, "{rows} {value} {fresh}");
            assert_eq!(found.seen.rows, Some((rows, rows)));
            assert!(found.gap > 1e3, "{}", found.gap);
            // As a declaration too: w[0] times a number is none, w[3] is.
            let matrix =
                |at: usize| Symmetry::Matrix((0..16).map(|e| f64::from(u8::from(e == at))).collect());
            assert!(super::super::check(&matrix(0), &model, 5).is_some());
            assert!(super::super::check(&matrix(15), &model, 5).is_none());
        }
        // Control: where that row has nothing to say there are eight.
        assert_eq!(find(&rare(1500, 0.0, false), 5).unwrap().generators.len(), 8);
    }

    #[test]
    fn rare_values_of_a_law_occur() {
        let one = [("x", "normal(0, 1)", S), ("b", "bernoulli(1e-6)", S), ("u0", "uniform(0, 1)", S)];
        let uw = [("u", S), ("w", S)];
        // Control: without the rare terms there is one.
        assert_eq!(counts(&uw, &one, "(u*w*x - 1)^2 + 0*b")[0], 1);
        assert_eq!(counts(&uw, &one, "(u*w*x - 1)^2 + b*u^2")[0], 0);
        assert_eq!(counts(&uw, &one, "(u*w*x - 1)^2 + relu(x - 4.5)*u^2")[0], 0);
        assert_eq!(counts(&uw, &one, "(u*w*x - 1)^2 + relu(u0 - 0.9999)*1e4*u^2")[0], 0);
        let many = [("x", "normal(0, 1)", S), ("k", "categorical(0.5, 1e-7, 0.4999999)", S)];
        assert_eq!(counts(&uw, &many, "(u*w*x - 1)^2 + relu(1 - (k - 1)^2)*u^2")[0], 0);
    }

    #[test]
    fn algebras_are_found_whole_and_none_where_there_is_none() {
        let (x, y) = ("normal(0, 1)", "normal(0.3, 2)");
        let one = [("x", x, S), ("y", y, S)];
        let two = [("x", x, v(2)), ("y", y, v(2))];
        let three = [("x", x, v(3)), ("y", y, S)];
        let uw = [("u", S), ("w", S)];
        assert_eq!(counts(&uw, &one, "(u*w*x - y)^2"), [1, 1, 0, 0]);
        assert_eq!(counts(&uw, &one, "(u*w*x - y)^2 + 1e-3*u^2"), [0, 0, 0, 0]);
        assert_eq!(counts(&uw, &one, "(u*w^2*x - y)^2"), [1, 1, 0, 0]);
        assert_eq!(counts(&uw, &one, "(u*tanh(w*x) - y)^2"), [0, 0, 0, 0]);
        assert_eq!(counts(&uw, &one, "(u*relu(w*x) - y)^2"), [1, 1, 0, 0]);
        assert_eq!(counts(&uw, &one, "exp(-u*x)*(w - y)^2"), [0, 0, 0, 0]);
        // Three factors: two rescalings.
        assert_eq!(counts(&[("u", S), ("v", S), ("w", S)], &one, "abs(u*v*w*x - y)"), [2, 2, 0, 0]);
        // Double rotation: gl(2), three symmetric and one antisymmetric.
        let net = [("U", m(2, 2)), ("W", m(2, 2))];
        assert_eq!(counts(&net, &two, "norm2(U @ W @ x - y)"), [4, 3, 1, 0]);
        assert_eq!(counts(&net, &two, "norm2(U @ relu(W @ x) - y)"), [2, 2, 0, 0]);
        assert_eq!(counts(&net, &two, "norm2(U @ tanh(W @ x) - y)"), [0, 0, 0, 0]);
        // so(3), and so(3, 3): u·w is a quadratic form of that signature.
        assert_eq!(counts(&[("w", v(3))], &three, "(norm2(w) - y)^2"), [3, 0, 3, 0]);
        assert_eq!(counts(&[("u", v(3)), ("w", v(3))], &three, "(dot(u, w)*y - 1)^2"), [15, 9, 6, 0]);
        // Scale invariance.
        assert_eq!(counts(&[("w", v(3))], &three, "(dot(w, x)/sqrt(norm2(w)) - y)^2"), [1, 1, 0, 0]);
        // A shear: w appears nowhere without u's direction.
        assert_eq!(counts(&[("u", S), ("w", S)], &one, "(u*x - y)^2 + 0*w"), [2, 1, 0, 1]);
        // Softmax: the same vector added to every row, any of three times nine.
        let classes = [("W", m(3, 3))];
        assert_eq!(
            counts(
                &classes,
                &[("x", x, v(3)), ("k", "categorical(0.2, 0.3, 0.5)", S)],
                "cross_entropy(W @ x, k)"
            )[0],
            27
        );
    }
}

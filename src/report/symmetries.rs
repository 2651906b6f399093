//! The linear symmetries of a loss, in words, as formulas and as JSON.

use serde_json::{Value, json};

use super::json::FORMAT;
use super::number::count;
use super::style::{Style, Tone};
use super::table::title;
use crate::model::symmetry::{Acting, Algebra, Found, Kind, Seen};
use crate::model::{Layout, Parameter};
use crate::study::Study;

/// Up to so many numbers in θ a generator is shown as a matrix.
const MATRIX: usize = 256;
/// Numbers in all matrices beyond which JSON leaves them out.
const NUMBERS: usize = 4_000_000;
/// Generators that the terminal shows.
const SHOWN: usize = 24;
/// Entries that are shown one by one.
const ENTRIES: usize = 8;

/// What was found, and where.
#[derive(Clone, Copy)]
pub struct Symmetries<'a> {
    /// The study.
    pub study: &'a Study,
    /// What its loss has.
    pub algebra: &'a Algebra,
}

/// The document of `perrin symmetries --json`.
///
/// `matrix` goes over all parameters in file order, matrices row by row; it is null where it would be very large. `charge` is a formula of the study
/// language, null where there is none. `gap` is the weakest equation used over the strongest response of a fresh gradient; `states` are those that
/// were drawn, `rows` those of a table that were gone over.
pub fn document(found: &Symmetries<'_>) -> Value {
    let layout = found.study.layout();
    let algebra = found.algebra;
    let p = layout.len();
    let small = p <= MATRIX && p * p * algebra.generators.len() <= NUMBERS;
    let generators: Vec<Value> = algebra
        .generators
        .iter()
        .map(|generator| {
            let matrix = small.then(|| {
                let entries = generator.generator.matrix(p);
                entries
                    .chunks(p)
                    .map(|row| row.iter().map(|x| number(*x)).collect())
                    .collect::<Vec<Vec<Value>>>()
            });
            json!({
                "matrix": matrix,
                "kind": generator.kind.as_str(),
                "charge": charge(generator, layout),
                "action": action(generator, layout),
            })
        })
        .collect();
    json!({
        "format": FORMAT,
        "parameters": layout.parameters().iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        "elements": (0..p).map(|e| layout.element_name(e)).collect::<Vec<_>>(),
        "dimension": algebra.generators.len(),
        "gap": algebra.gap,
        "states": algebra.seen.states,
        "rows": algebra.seen.rows.map(|(checked, all)| json!({ "checked": checked, "all": all })),
        "restricted": algebra.restricted,
        "generators": generators,
        "declarations": algebra.declarations,
    })
}

/// The same for a terminal.
pub fn text(found: &Symmetries<'_>, style: &Style) -> String {
    let layout = found.study.layout();
    let algebra = found.algebra;
    let mut lines = vec![String::new()];
    lines.extend(title(found.study, style));
    lines.push(String::new());
    let of = |kind: Kind| algebra.generators.iter().filter(|g| g.kind == kind).count();
    let heading = match algebra.generators.len() {
        0 => "no linear symmetry".to_owned(),
        1 => "1 linear symmetry".to_owned(),
        n => format!("{n} linear symmetries"),
    };
    let kinds: Vec<String> = [Kind::Symmetric, Kind::Antisymmetric, Kind::Mixed]
        .into_iter()
        .filter(|kind| of(*kind) > 0)
        .map(|kind| format!("{} {}", of(kind), kind.as_str()))
        .collect();
    let mut heading = style.paint(Tone::Strong, &heading);
    if !kinds.is_empty() {
        heading.push_str(&format!(": {}", kinds.join(", ")));
    }
    lines.push(format!("  {heading}"));
    let sure = if algebra.gap >= 1e3 { Tone::Dim } else { Tone::Doubt };
    let gap = format!("the rank is supported by a gap of {:.0e}", algebra.gap);
    lines.push(format!("  {}", style.paint(sure, &gap)));
    lines.extend(style.wrap(&seen(&algebra.seen), 2).iter().map(|line| style.paint(Tone::Dim, line)));
    if let Some(restricted) = &algebra.restricted {
        lines.extend(style.wrap(restricted, 2).iter().map(|line| style.paint(Tone::Dim, line)));
    }
    for (index, generator) in algebra.generators.iter().take(SHOWN).enumerate() {
        lines.push(String::new());
        let kind = style.paint(Tone::Dim, generator.kind.as_str());
        lines.push(format!("  {}  {kind}", style.paint(Tone::Strong, &format!("A{}", index + 1))));
        lines.extend(style.wrap(&action(generator, layout).join(", "), 6));
        if let Some(charge) = charge(generator, layout) {
            lines.extend(style.wrap(&format!("charge {charge}"), 6));
        }
    }
    if algebra.generators.len() > SHOWN {
        lines.push(String::new());
        lines.push(format!("  and {} more (--json has them all)", algebra.generators.len() - SHOWN));
    }
    if !algebra.declarations.is_empty() {
        lines.push(String::new());
        lines.push(format!("  {}", style.paint(Tone::Dim, "to declare them:")));
        lines.push("  [symmetries]".to_owned());
        lines.extend(algebra.declarations.iter().map(|line| format!("  {line}")));
    }
    lines.push(String::new());
    lines.join("\n") + "\n"
}

/// What the rank rests on.
fn seen(seen: &Seen) -> String {
    let states = count(seen.states as u64);
    match seen.rows {
        None => format!("it rests on {states} random states with draws of their own, rare values among them"),
        Some((checked, all)) if checked == all => {
            format!(
                "it rests on {states} random states, and on all {} rows of the population",
                count(all as u64)
            )
        }
        Some((checked, all)) => format!(
            "it rests on {states} random states, and on {} of the {} rows of the population: more would take too long",
            count(checked as u64),
            count(all as u64)
        ),
    }
}

/// Whole numbers as such.
fn number(x: f64) -> Value {
    if x == x.trunc() && x.abs() < 1e15 { json!(x as i64) } else { json!(x) }
}

/// A map of one parameter into one.
enum Block {
    /// c times it.
    Times(f64),
    /// M from the left.
    Rows(Vec<f64>),
    /// M from the right.
    Columns(Vec<f64>),
    /// Anything else: (to, from, factor).
    Entries(Vec<(usize, usize, f64)>),
}

/// The blocks of a generator that are not 0.
fn blocks<'l>(generator: &Found, layout: &'l Layout) -> Vec<(&'l Parameter, &'l Parameter, Block)> {
    let list = layout.parameters();
    let mut out = Vec::new();
    for acting in &generator.generator.acting {
        let own = |parameter: &Parameter| list.iter().find(|p| *p == parameter);
        let found = match acting {
            Acting::Scale { parameter, factor } => own(parameter).map(|p| (p, p, Block::Times(*factor))),
            Acting::Left { parameter, matrix } => {
                own(parameter).map(|p| (p, p, simple(matrix.clone(), p.shape.rows, Block::Rows)))
            }
            Acting::Right { parameter, matrix } => {
                own(parameter).map(|p| (p, p, simple(matrix.clone(), p.shape.cols, Block::Columns)))
            }
            Acting::Mix { to, from, factor } => {
                own(to).zip(own(from)).map(|(to, from)| (to, from, Block::Times(*factor)))
            }
            Acting::Whole(matrix) => {
                for to in list {
                    for from in list {
                        if let Some(block) = block(matrix, layout.len(), to, from) {
                            out.push((to, from, block));
                        }
                    }
                }
                None
            }
        };
        out.extend(found);
    }
    out
}

/// c where M = c.
fn simple(matrix: Vec<f64>, side: usize, otherwise: impl Fn(Vec<f64>) -> Block) -> Block {
    let c = matrix.first().copied().unwrap_or(0.0);
    let unit = (0..side * side).all(|e| matrix[e] == if e / side == e % side { c } else { 0.0 });
    if unit { Block::Times(c) } else { otherwise(matrix) }
}

/// What a dense generator does to `to` by `from`.
fn block(matrix: &[f64], p: usize, to: &Parameter, from: &Parameter) -> Option<Block> {
    let entry = |i: usize, j: usize| matrix[(to.offset + i) * p + from.offset + j];
    let (m, n) = (to.shape.len(), from.shape.len());
    let entries: Vec<(usize, usize, f64)> =
        (0..m * n).map(|e| (e / n, e % n, entry(e / n, e % n))).filter(|(_, _, x)| *x != 0.0).collect();
    if entries.is_empty() {
        return None;
    }
    if to.shape != from.shape {
        return Some(Block::Entries(entries));
    }
    let (rows, cols) = (to.shape.rows, to.shape.cols);
    let left: Vec<f64> = (0..rows * rows).map(|e| entry(e / rows * cols, e % rows * cols)).collect();
    let fits_left = (0..m * m).all(|e| {
        let (i, j) = (e / m, e % m);
        entry(i, j) == if i % cols == j % cols { left[i / cols * rows + j / cols] } else { 0.0 }
    });
    if fits_left {
        return Some(simple(left, rows, Block::Rows));
    }
    // δX[i, j] = Σ_l X[i, l] M[l, j].
    let right: Vec<f64> = (0..cols * cols).map(|e| entry(e % cols, e / cols)).collect();
    let fits_right = (0..m * m).all(|e| {
        let (i, j) = (e / m, e % m);
        entry(i, j) == if i / cols == j / cols { right[j % cols * cols + i % cols] } else { 0.0 }
    });
    Some(if fits_right { Block::Columns(right) } else { Block::Entries(entries) })
}

/// δθ = Aθ, a line a block.
fn action(generator: &Found, layout: &Layout) -> Vec<String> {
    blocks(generator, layout)
        .into_iter()
        .map(|(to, from, block)| match block {
            Block::Times(c) => format!("δ{} = {}", to.name, times(c, &from.name)),
            Block::Rows(m) => format!("δ{} = {} @ {}", to.name, literal(&m, to.shape.rows), from.name),
            Block::Columns(m) => format!("δ{} = {} @ {}", to.name, from.name, literal(&m, to.shape.cols)),
            Block::Entries(entries) => {
                let mut parts: Vec<String> = entries
                    .iter()
                    .take(ENTRIES)
                    .map(|(i, j, c)| {
                        let name = |p: &Parameter, e: usize| layout.element_name(p.offset + e);
                        format!("δ{} = {}", name(to, *i), times(*c, &name(from, *j)))
                    })
                    .collect();
                if entries.len() > ENTRIES {
                    parts.push("…".to_owned());
                }
                parts.join(", ")
            }
        })
        .collect()
}

/// θᵀAθ of a symmetric generator.
fn charge(generator: &Found, layout: &Layout) -> Option<String> {
    if generator.kind != Kind::Symmetric {
        return None;
    }
    let mut terms: Vec<(f64, String)> = Vec::new();
    for (to, from, block) in blocks(generator, layout) {
        let (a, b) = (&to.name, &from.name);
        let vector = to.shape.cols == 1;
        let own = to.offset == from.offset;
        // A is symmetric: each pair of blocks comes twice.
        if !own && to.offset > from.offset {
            continue;
        }
        let double = if own { 1.0 } else { 2.0 };
        match block {
            Block::Times(c) => terms.push((
                double * c,
                match (own, to.shape.is_scalar(), vector) {
                    (true, true, _) => format!("{a}^2"),
                    (true, ..) => format!("norm2({a})"),
                    (false, true, _) => format!("{a}*{b}"),
                    (false, _, true) => format!("dot({a}, {b})"),
                    _ => format!("sum({a}*{b})"),
                },
            )),
            Block::Rows(m) if own && !vector && few(&m) => terms.extend(squares(&m, &format!("{a}.T"))),
            Block::Columns(m) if own && few(&m) => terms.extend(squares(&m, a)),
            Block::Rows(m) if vector => {
                terms.push((double, format!("dot({a}, {} @ {b})", literal(&m, to.shape.rows))));
            }
            Block::Rows(m) => {
                terms.push((double, format!("trace({a}.T @ {} @ {b})", literal(&m, to.shape.rows))));
            }
            Block::Columns(m) => {
                terms.push((double, format!("trace({b} @ {} @ {a}.T)", literal(&m, to.shape.cols))));
            }
            Block::Entries(entries) => {
                for (i, j, c) in entries {
                    if own && i > j {
                        continue;
                    }
                    let double = if own && i == j { 1.0 } else { 2.0 };
                    terms.push((double * c, format!("{}*{}", element(to, i), element(from, j))));
                }
            }
        }
    }
    let mut text = String::new();
    for (c, term) in terms {
        let sign = if c < 0.0 { "-" } else { "+" };
        let part = times(c.abs(), &term);
        match (text.is_empty(), c < 0.0) {
            (true, false) => text = part,
            (true, true) => text = format!("-{part}"),
            _ => text.push_str(&format!(" {sign} {part}")),
        }
    }
    Some(text)
}

/// A matrix so sparse that its entries are better shown one by one.
fn few(matrix: &[f64]) -> bool {
    matrix.iter().filter(|x| **x != 0.0).count() <= 4
}

/// Σ M[a, b] x_a·x_b of a symmetric M, with x_a the product of `factor` and unit vector a.
fn squares(matrix: &[f64], factor: &str) -> Vec<(f64, String)> {
    let side = matrix.len().isqrt();
    let picked = |a: usize| format!("{factor} @ {}", unit(side, a));
    let mut terms = Vec::new();
    for a in 0..side {
        for b in a..side {
            let c = matrix[a * side + b];
            if c != 0.0 && a == b {
                terms.push((c, format!("norm2({})", picked(a))));
            } else if c != 0.0 {
                terms.push((2.0 * c, format!("dot({}, {})", picked(a), picked(b))));
            }
        }
    }
    terms
}

/// Unit vector `at` as a literal.
fn unit(n: usize, at: usize) -> String {
    let list: Vec<&str> = (0..n).map(|i| if i == at { "1" } else { "0" }).collect();
    format!("[{}]", list.join(", "))
}

/// `2*x`, `x`, `-x`.
fn times(c: f64, name: &str) -> String {
    if c == 1.0 {
        name.to_owned()
    } else if c == -1.0 {
        format!("-{name}")
    } else {
        format!("{c}*{name}")
    }
}

/// One element, picked by unit vectors.
fn element(parameter: &Parameter, index: usize) -> String {
    let (rows, cols) = (parameter.shape.rows, parameter.shape.cols);
    match (rows, cols) {
        (1, 1) => parameter.name.clone(),
        (_, 1) => format!("dot({}, {})", unit(rows, index), parameter.name),
        _ => format!("dot({}, {} @ {})", unit(rows, index / cols), parameter.name, unit(cols, index % cols)),
    }
}

fn literal(matrix: &[f64], side: usize) -> String {
    let row = |row: &[f64]| format!("[{}]", row.iter().map(f64::to_string).collect::<Vec<_>>().join(", "));
    if side == 1 {
        return matrix.first().map_or_else(String::new, f64::to_string);
    }
    format!("[{}]", matrix.chunks(side).map(row).collect::<Vec<_>>().join(", "))
}

//! Declarations for `[symmetries]`: what of an algebra the study file can say.

use super::basis::{beyond, echelon, norm, orthonormal, whole};
use super::elimination::null_space;
use super::find::Found;
use super::probe::{Probe, lane};
use super::{Acting, Generator, Kind, Symmetry, check};
use crate::lanes::{LANES, Lane};
use crate::model::{Layout, Model, Parameter};

/// Up to so many numbers in θ a matrix is written out.
const WRITTEN: usize = 16;
/// Up to so many numbers in θ declarations are compared with the algebra.
const COMPARED: usize = super::find::DENSE;
/// States at which candidates are compared.
const STATES: usize = 96;
/// Which of the probes' streams.
const STREAM: u64 = 103;

/// TOML lines, each of which declares a symmetry that the loss has; `telling` are samples that speak against others.
pub fn declarations(model: &dyn Model, seed: u64, telling: &[Vec<f64>], found: &[Found]) -> Vec<String> {
    if found.is_empty() {
        return Vec::new();
    }
    let layout = model.layout();
    let list = layout.parameters();
    let mut declared: Vec<(&str, String, Symmetry)> = Vec::new();
    // One factor a parameter.
    let scalings: Vec<Generator> = list
        .iter()
        .map(|p| Generator { acting: vec![Acting::Scale { parameter: p.clone(), factor: 1.0 }] })
        .collect();
    for weights in combinations(model, seed, telling, &scalings) {
        let symmetry = Symmetry::Exponential(weights.clone());
        let moved: Vec<(&Parameter, f64)> = list.iter().zip(weights).filter(|(_, a)| *a != 0.0).collect();
        let text = if moved.iter().all(|(_, a)| *a == 1.0) {
            format!("{{ scale = [{}] }}", names(moved.iter().map(|(p, _)| p.name.as_str())))
        } else {
            let entries: Vec<String> = moved.iter().map(|(p, a)| format!("{} = {a}", key(&p.name))).collect();
            format!("{{ exponential = {{ {} }} }}", entries.join(", "))
        };
        declared.push(("scaling", text, symmetry));
    }
    // A of W → AW, U → UA⁻¹.
    for w in list.iter().filter(|w| w.shape.rows > 1) {
        for u in list.iter().filter(|u| u.shape.cols == w.shape.rows && u.name != w.name) {
            let symmetry = Symmetry::DoubleRotation { left: w.name.clone(), right: u.name.clone() };
            let text = format!("{{ double_rotation = {{ left = {:?}, right = {:?} }} }}", w.name, u.name);
            declared.push(("double_rotation", text, symmetry));
        }
    }
    declared.extend(
        rotations(model, seed, telling).into_iter().map(|(text, symmetry)| ("rotation", text, symmetry)),
    );
    declared.retain(|(_, _, symmetry)| check(symmetry, model, seed).is_none());
    let compare = layout.len() <= COMPARED;
    let mut spanned = Vec::new();
    let mut lines = Vec::new();
    if compare {
        // A rotation that lies within a double rotation says nothing new.
        declared.retain(|(_, _, symmetry)| {
            let matrices: Vec<Vec<f64>> =
                symmetry.generators(layout).iter().map(|g| g.matrix(layout.len())).collect();
            let new = matrices.iter().any(|m| norm(&beyond(m, &spanned)) > 1e-6 * norm(m));
            if new {
                let all: Vec<Vec<f64>> = spanned.iter().cloned().chain(matrices).collect();
                spanned = orthonormal(&all);
            }
            new
        });
    }
    for (kind, text, _) in &declared {
        lines.push(numbered(kind, text, &lines));
    }
    if compare && layout.len() <= WRITTEN {
        for one in found.iter().filter(|f| f.kind == Kind::Symmetric) {
            let matrix = one.generator.matrix(layout.len());
            if norm(&beyond(&matrix, &spanned)) > 1e-6 * norm(&matrix) {
                spanned = orthonormal(&spanned.iter().cloned().chain([matrix.clone()]).collect::<Vec<_>>());
                lines.push(numbered(
                    "symmetry",
                    &format!("{{ exponential = {{ matrix = {} }} }}", rows(&matrix, layout)),
                    &lines,
                ));
            }
        }
    }
    lines
}

/// `name_2 = text`, the first free number.
fn numbered(name: &str, text: &str, lines: &[String]) -> String {
    let taken = |name: &str| lines.iter().any(|l| l.split(" = ").next() == Some(name));
    let mut free = name.to_owned();
    let mut number = 1;
    while taken(&free) {
        number += 1;
        free = format!("{name}_{number}");
    }
    format!("{free} = {text}")
}

fn names<'n>(list: impl Iterator<Item = &'n str>) -> String {
    list.map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ")
}

/// A TOML key.
fn key(name: &str) -> String {
    let bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { format!("{name:?}") }
}

fn rows(matrix: &[f64], layout: &Layout) -> String {
    let rows: Vec<String> = matrix
        .chunks(layout.len())
        .map(|row| format!("[{}]", row.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")))
        .collect();
    format!("[{}]", rows.join(", "))
}

/// Whole-numbered c with ∇ℓᵀ(Σ_s c_s A_s)θ = 0, a basis in echelon form.
fn combinations(
    model: &dyn Model,
    seed: u64,
    telling: &[Vec<f64>],
    generators: &[Generator],
) -> Vec<Vec<f64>> {
    let mut probe = Probe::new(model, seed, STREAM).telling(telling);
    let mut gradient = vec![Lane::default(); model.layout().len()];
    let mut rows = Vec::new();
    while rows.len() < STATES.max(4 * generators.len()).max(2 * telling.len()) {
        probe.draw(1.0);
        probe.gradients(&mut gradient);
        for l in 0..LANES {
            let (theta, gradient) = (lane(&probe.theta, l), lane(&gradient, l));
            let row: Vec<f64> = generators
                .iter()
                .map(|a| a.apply(&theta).iter().zip(&gradient).map(|(x, g)| x * g).sum())
                .collect();
            // Against the size of ∇ℓ and θ, so that rounding stays small.
            let size = norm(&theta) * norm(&gradient);
            rows.push(if size > 0.0 { row.iter().map(|x| x / size).collect() } else { row });
        }
    }
    rows.retain(|row: &Vec<f64>| row.iter().all(|x| x.is_finite()));
    let mut rows = rows.into_iter();
    let space = null_space(generators.len(), &mut || rows.next());
    echelon(space.basis).iter().filter_map(|vector| whole(vector)).collect()
}

/// Sides of parameters that one R turns together.
fn rotations(model: &dyn Model, seed: u64, telling: &[Vec<f64>]) -> Vec<(String, Symmetry)> {
    let layout = model.layout();
    let list = layout.parameters();
    let mut lengths: Vec<usize> =
        list.iter().flat_map(|p| [p.shape.rows, p.shape.cols]).filter(|n| *n > 1).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let mut all = Vec::new();
    for length in lengths {
        let sides: Vec<(&str, bool)> = list
            .iter()
            .flat_map(|p| [(p.name.as_str(), true, p.shape.rows), (p.name.as_str(), false, p.shape.cols)])
            .filter(|(_, _, n)| *n == length)
            .map(|(name, left, _)| (name, left))
            .collect();
        let of = |chosen: &[(&str, bool)]| {
            let pick = |side: bool| {
                chosen
                    .iter()
                    .filter(|(_, left)| *left == side)
                    .map(|(n, _)| (*n).to_owned())
                    .collect::<Vec<_>>()
            };
            (pick(true), pick(false))
        };
        let turns: Vec<Generator> = sides
            .iter()
            .map(|side| {
                let (left, right) = of(&[*side]);
                Symmetry::Rotation { left, right }
                    .generators(layout)
                    .into_iter()
                    .next()
                    .unwrap_or(Generator { acting: vec![] })
            })
            .collect();
        for weights in combinations(model, seed, telling, &turns) {
            if weights.iter().any(|c| *c != 0.0 && *c != 1.0) {
                continue;
            }
            let chosen: Vec<(&str, bool)> =
                sides.iter().zip(&weights).filter(|(_, c)| **c == 1.0).map(|(s, _)| *s).collect();
            let (left, right) = of(&chosen);
            let mut parts = Vec::new();
            for (word, list) in [("left", &left), ("right", &right)] {
                match &list[..] {
                    [] => {}
                    [one] => parts.push(format!("{word} = {one:?}")),
                    more => parts.push(format!("{word} = [{}]", names(more.iter().map(String::as_str)))),
                }
            }
            all.push((
                format!("{{ rotation = {{ {} }} }}", parts.join(", ")),
                Symmetry::Rotation { left, right },
            ));
        }
    }
    all
}

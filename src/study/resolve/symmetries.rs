//! `[symmetries]`: names and shapes checked, matrices over all parameters, and their charges as formulas.

use super::Parameters;
use crate::model::symmetry::{Breach, BreachKind, Violation, check, check_equation};
use crate::model::{Layout, Parameter};
use crate::study::resolved::{LossSystem, Symmetry, System};
use crate::study::source::{Span, Spanned};
use crate::study::spec::read::Errors;
use crate::study::spec::{Named, Spec, SymmetrySpec};

/// `[symmetries]` as far as it could be read.
pub struct Symmetries {
    pub list: Vec<(String, Symmetry)>,
    /// Every name written.
    pub names: Vec<String>,
    /// κ of each of the list's charges under an `[sde]`, dC = −2κC dt beside the noise.
    pub relaxations: Vec<f64>,
}

impl Symmetries {
    /// κ of a symmetry's charge.
    pub fn relaxation(&self, name: &str) -> f64 {
        let at = self.list.iter().position(|(n, _)| n == name);
        at.and_then(|i| self.relaxations.get(i)).copied().unwrap_or(0.0)
    }
}

pub fn symmetries(
    spec: &Spec,
    parameters: &Parameters,
    system: Option<&System>,
    seed: u64,
    errors: &mut Errors<'_>,
) -> Symmetries {
    let mut all = Symmetries { list: Vec::new(), names: Vec::new(), relaxations: Vec::new() };
    for entry in &spec.symmetries {
        all.names.push(entry.name.value.clone());
        let Some(written) = entry.value.given() else { continue };
        if !parameters.complete {
            continue;
        }
        let found = symmetry(&written.value, entry.name.span, &parameters.layout, errors);
        let Some(symmetry) = found else { continue };
        if let Some(System::Loss(loss)) = system
            && let Some(violation) = check(&symmetry, &*loss.model, seed)
        {
            let (message, help) = broken(&entry.name.value, &violation, loss, &parameters.layout);
            errors.at(entry.name.span, message, help);
            continue;
        }
        let mut relaxation = 0.0;
        if let Some(System::Sde(equation)) = system {
            match check_equation(&symmetry, equation, seed) {
                Ok(found) => relaxation = found,
                Err(None) => {}
                Err(Some(breach)) => {
                    let (message, help) = breached(&entry.name.value, &breach, &parameters.layout);
                    errors.at(entry.name.span, message, help);
                    continue;
                }
            }
        }
        all.list.push((entry.name.value.clone(), symmetry));
        all.relaxations.push(relaxation);
    }
    all
}

/// Most numbers that a message shows.
const SHOWN: usize = 4;

/// What to say of a symmetry that an equation does not have.
fn breached(name: &str, breach: &Breach, layout: &Layout) -> (String, String) {
    let shown: Vec<String> = breach
        .state
        .iter()
        .enumerate()
        .take(SHOWN)
        .map(|(e, x)| format!("{} = {}", layout.element_name(e), short(*x)))
        .collect();
    let more = if breach.state.len() > SHOWN { ", …" } else { "" };
    let place = format!("at {}{more}", shown.join(", "));
    let (what, help) = match breach.kind {
        BreachKind::Drift(work) => (
            format!(
                "xᵀA times the drift is {} {place}, and no multiple of the charge that would be the same everywhere",
                short(work)
            ),
            "the drift, in Itô's form, of an equation with this charge has xᵀAa(x) = −κ xᵀAx, κ = 0 or a decay",
        ),
        BreachKind::Noise(process, work) => (
            format!("xᵀA times the noise of process {} is {} {place}", process + 1, short(work)),
            "the noise of an equation with this charge does not move it: xᵀAB(x) = 0",
        ),
        BreachKind::Moved => (
            format!("the drift of the transformed state is not the transformed drift {place}"),
            "a symmetry g of an equation has a(gx) = g a(x), in Itô's form, and BBᵀ(gx) = g BBᵀ(x) gᵀ",
        ),
        BreachKind::Spread => (
            format!("the noise of the transformed state is not that of the state, transformed, {place}"),
            "a symmetry g of an equation has a(gx) = g a(x), in Itô's form, and BBᵀ(gx) = g BBᵀ(x) gᵀ",
        ),
    };
    (format!("the equation does not have the symmetry `{name}`: {what}"), help.to_owned())
}

/// What to say of a symmetry that the loss does not have.
fn broken(name: &str, violation: &Violation, loss: &LossSystem, layout: &Layout) -> (String, String) {
    let state = |theta: &[f64]| {
        let shown: Vec<String> = theta
            .iter()
            .enumerate()
            .map(|(e, x)| format!("{} = {}", layout.element_name(e), short(*x)))
            .collect();
        (shown.len() <= SHOWN).then(|| shown.join(", "))
    };
    let data: Vec<(String, f64)> = match &loss.formula {
        Some(formula) => formula.data_of(&violation.sample),
        None => violation.sample.iter().enumerate().map(|(i, x)| (format!("z[{i}]"), *x)).collect(),
    };
    let mut places = Vec::new();
    if let Some(text) = state(&violation.theta) {
        places.push(text);
    }
    if !data.is_empty() {
        let mut list: Vec<String> =
            data.iter().take(SHOWN).map(|(name, x)| format!("{name} = {}", short(*x))).collect();
        if data.len() > SHOWN {
            list.push("…".to_owned());
        }
        places.push(format!("sample {}", list.join(", ")));
    }
    let place = if places.is_empty() { String::new() } else { format!(" at {}", places.join(" with the ")) };
    let mean =
        loss.formula.as_ref().map(|f| [f.mean_loss(&violation.theta), f.mean_loss(&violation.transformed)]);
    let on_average = match mean {
        Some([before, after]) if (after - before).abs() <= 1e-9 * before.abs().max(after.abs()) => {
            "; its mean over the population does not change there, but noise sees single samples"
        }
        _ => "",
    };
    let message = format!(
        "the loss does not have the symmetry `{name}`: it changes by {} % (from {} to {}){place}{on_average}",
        short(100.0 * violation.relative()),
        short(violation.before),
        short(violation.after),
    );
    let moved = match state(&violation.transformed) {
        Some(text) => format!(" (here it moved to {text})"),
        None => String::new(),
    };
    let help = format!(
        "a symmetry leaves the loss formula, without decay, as it is for every sample{moved}; `perrin symmetries` finds \
         those that it has"
    );
    (message, help)
}

/// Four digits.
fn short(x: f64) -> String {
    let text = format!("{x:.3e}");
    let value: f64 = text.parse().unwrap_or(x);
    if x == 0.0 || (1e-4..1e6).contains(&value.abs()) { value.to_string() } else { text }
}

fn symmetry(spec: &SymmetrySpec, at: Span, layout: &Layout, errors: &mut Errors<'_>) -> Option<Symmetry> {
    let p = layout.len();
    match spec {
        SymmetrySpec::Exponential(list) => {
            if list.iter().all(|weight| weight.value == 0.0) {
                errors.at(at, STILL, "write { exponential = { u = 1, w = -1 } }, not all of them 0");
                return None;
            }
            exponential(list, layout, errors)
        }
        SymmetrySpec::ExponentialMatrix(matrix) => {
            let a = square(matrix, p, errors)?;
            if a.iter().all(|x| *x == 0.0) {
                errors.at(matrix.span, STILL, "give a matrix A that is not 0");
                return None;
            }
            if !symmetric(&a, p) {
                errors.at(
                    matrix.span,
                    "the matrix is not symmetric",
                    "A of θ → e^{λA}θ is symmetric; an antisymmetric one is a rotation",
                );
                return None;
            }
            Some(Symmetry::Matrix(a))
        }
        SymmetrySpec::Rotation { left, right } => {
            once(left.iter(), errors)?;
            once(right.iter(), errors)?;
            let lefts = lookup(left, layout, errors)?;
            let rights = lookup(right, layout, errors)?;
            let sides = lefts.iter().map(|p| p.shape.rows).chain(rights.iter().map(|p| p.shape.cols));
            alike(
                sides,
                left.iter().chain(right),
                "R is one square matrix: rows of `left` and columns of `right` are equally many",
                errors,
            )?;
            Some(Symmetry::Rotation { left: texts(left), right: texts(right) })
        }
        SymmetrySpec::DoubleRotation { left, right } => {
            let both = [left.clone(), right.clone()];
            let found = lookup(&both, layout, errors)?;
            let sides = [found[0].shape.rows, found[1].shape.cols];
            alike(
                sides.into_iter(),
                both.iter(),
                "A is one square matrix: `left` has as many rows as `right` has columns",
                errors,
            )?;
            Some(Symmetry::DoubleRotation { left: left.value.clone(), right: right.value.clone() })
        }
        SymmetrySpec::Scale(list) => {
            if list.is_empty() {
                errors.at(at, "this symmetry names no parameter", "write { scale = [\"w\"] }");
                return None;
            }
            once(list.iter(), errors)?;
            lookup(list, layout, errors)?;
            Some(Symmetry::Scale(texts(list)))
        }
        SymmetrySpec::Swap(pairs) => {
            let mut fine = !pairs.is_empty() & once(pairs.iter().flat_map(|(a, b)| [a, b]), errors).is_some();
            if pairs.is_empty() {
                errors.at(
                    at,
                    "this symmetry swaps nothing",
                    "write { permutation = { swap = [[\"u1\", \"u2\"]] } }",
                );
            }
            for (a, b) in pairs {
                let pair = [a.clone(), b.clone()];
                let Some(found) = lookup(&pair, layout, errors) else {
                    fine = false;
                    continue;
                };
                if found[0].shape != found[1].shape {
                    fine = false;
                    errors.at(
                        b.span,
                        format!("`{}` is {}, `{}` is {}", a.value, found[0].shape, b.value, found[1].shape),
                        "parameters that are exchanged have the same shape",
                    );
                }
            }
            fine.then(|| {
                Symmetry::PermutationSwap(
                    pairs.iter().map(|(a, b)| (a.value.clone(), b.value.clone())).collect(),
                )
            })
        }
        SymmetrySpec::Permutation { rows, columns } => {
            once(rows.iter(), errors)?;
            once(columns.iter(), errors)?;
            let of_rows = lookup(rows, layout, errors)?;
            let of_columns = lookup(columns, layout, errors)?;
            let sides = of_rows.iter().map(|p| p.shape.rows).chain(of_columns.iter().map(|p| p.shape.cols));
            alike(
                sides,
                rows.iter().chain(columns),
                "one permutation acts on all: rows of `rows` and columns of `columns` are equally many",
                errors,
            )?;
            Some(Symmetry::PermutationRows { rows: texts(rows), columns: texts(columns) })
        }
        SymmetrySpec::Negate(list) => {
            if list.is_empty() {
                errors.at(
                    at,
                    "this mirror negates nothing",
                    "write { mirror = { negate = [\"u\", \"w\"] } }",
                );
                return None;
            }
            once(list.iter(), errors)?;
            lookup(list, layout, errors)?;
            Some(Symmetry::Negate(texts(list)))
        }
        SymmetrySpec::Projector(matrix) => {
            let o = square(matrix, p, errors)?;
            let product = |i: usize, j: usize| (0..p).map(|k| o[i * p + k] * o[k * p + j]).sum::<f64>();
            let idempotent = (0..p * p).all(|e| (product(e / p, e % p) - o[e]).abs() < 1e-9);
            if o.iter().all(|x| *x == 0.0) {
                errors.at(matrix.span, STILL, "give a projector that is not 0");
                return None;
            }
            if !symmetric(&o, p) || !idempotent {
                errors.at(
                    matrix.span,
                    "the matrix is no projector",
                    "OOᵀ is symmetric and equal to its square",
                );
                return None;
            }
            Some(Symmetry::Mirror(o))
        }
    }
}

fn exponential(list: &[Named<f64>], layout: &Layout, errors: &mut Errors<'_>) -> Option<Symmetry> {
    let names: Vec<Spanned<String>> = list.iter().map(|n| n.name.clone()).collect();
    lookup(&names, layout, errors)?;
    let weight = |p: &Parameter| list.iter().find(|n| n.name.value == p.name).map_or(0.0, |n| n.value);
    Some(Symmetry::Exponential(layout.parameters().iter().map(weight).collect()))
}

fn texts(list: &[Spanned<String>]) -> Vec<String> {
    list.iter().map(|s| s.value.clone()).collect()
}

/// What to say of a symmetry that is the identity.
const STILL: &str = "this symmetry moves nothing: it is 0";

/// Every name stands once.
fn once<'n>(list: impl Iterator<Item = &'n Spanned<String>>, errors: &mut Errors<'_>) -> Option<()> {
    let mut seen: Vec<&str> = Vec::new();
    for name in list {
        if seen.contains(&name.value.as_str()) {
            let message = format!("`{}` stands twice in this symmetry", name.value);
            errors.at(name.span, message, "name each parameter once");
            return None;
        }
        seen.push(&name.value);
    }
    Some(())
}

/// The parameters of these names; all unknown ones are reported.
fn lookup<'l>(
    list: &[Spanned<String>],
    layout: &'l Layout,
    errors: &mut Errors<'_>,
) -> Option<Vec<&'l Parameter>> {
    let known = layout.parameters().iter().map(|p| p.name.as_str());
    let found: Vec<Option<&Parameter>> = list
        .iter()
        .map(|name| {
            let parameter = layout.get(&name.value);
            if parameter.is_none() {
                errors.unknown(name.span, "parameter", &name.value, known.clone());
            }
            parameter
        })
        .collect();
    found.into_iter().collect()
}

/// All sides have the same length.
fn alike<'n>(
    sides: impl Iterator<Item = usize>,
    names: impl Iterator<Item = &'n Spanned<String>>,
    help: &str,
    errors: &mut Errors<'_>,
) -> Option<()> {
    let mut first: Option<(usize, &Spanned<String>)> = None;
    for (side, name) in sides.zip(names) {
        match first {
            None => first = Some((side, name)),
            Some((length, other)) if length != side => {
                errors.at(
                    name.span,
                    format!("`{}` has {side} where `{}` has {length}", name.value, other.value),
                    help,
                );
                return None;
            }
            Some(_) => {}
        }
    }
    Some(())
}

fn square(matrix: &Spanned<Vec<Vec<f64>>>, p: usize, errors: &mut Errors<'_>) -> Option<Vec<f64>> {
    if matrix.value.len() != p {
        let n = matrix.value.len();
        errors.at(
            matrix.span,
            format!("the matrix is [{n},{n}], the parameters are {p} numbers"),
            "the matrix goes over all parameters in file order, matrices row by row",
        );
        return None;
    }
    Some(matrix.value.concat())
}

fn symmetric(a: &[f64], p: usize) -> bool {
    let scale = a.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    (0..p * p).all(|e| (a[e] - a[(e % p) * p + e / p]).abs() <= 1e-12 * scale)
}

/// The Noether charge of a symmetry as a formula, or why it has none.
pub fn charge(symmetry: &Symmetry, layout: &Layout) -> Result<String, &'static str> {
    match symmetry {
        Symmetry::Exponential(weights) => {
            let terms: Vec<String> = layout
                .parameters()
                .iter()
                .zip(weights)
                .filter(|(_, a)| **a != 0.0)
                .map(|(p, a)| format!("({a:?})*norm2({})", p.name))
                .collect();
            Ok(if terms.is_empty() { nothing(layout) } else { terms.join(" + ") })
        }
        Symmetry::Matrix(a) => Ok(quadratic(a, layout)),
        Symmetry::Scale(names) => {
            Ok(names.iter().map(|n| format!("norm2({n})")).collect::<Vec<_>>().join(" + "))
        }
        Symmetry::DoubleRotation { left, right } => Ok(format!("{right}.T @ {right} - {left} @ {left}.T")),
        Symmetry::Rotation { .. } => Err("a rotation's θᵀBθ is 0, for B is antisymmetric"),
        Symmetry::PermutationSwap(_)
        | Symmetry::PermutationRows { .. }
        | Symmetry::Negate(_)
        | Symmetry::Mirror(_) => Err("it is a discrete symmetry"),
    }
}

/// 0, as a formula of the state.
fn nothing(layout: &Layout) -> String {
    format!("0*norm2({})", layout.parameters().first().map_or("", |f| &f.name))
}

/// θᵀAθ.
fn quadratic(a: &[f64], layout: &Layout) -> String {
    let p = layout.len();
    let list = layout.parameters();
    let mut terms = Vec::new();
    for (i, left) in list.iter().enumerate() {
        diagonal(a, p, left, &mut terms);
        for right in &list[i + 1..] {
            mixed(a, p, left, right, &mut terms);
        }
    }
    if terms.is_empty() { nothing(layout) } else { terms.join(" + ") }
}

/// Terms of one parameter with itself.
fn diagonal(a: &[f64], p: usize, parameter: &Parameter, terms: &mut Vec<String>) {
    let (name, n, at) = (&parameter.name, parameter.shape.len(), parameter.offset);
    let own: Vec<f64> = (0..n).map(|e| a[(at + e) * p + at + e]).collect();
    if own.iter().all(|x| *x == own[0]) {
        if own[0] != 0.0 {
            terms.push(format!("({:?})*norm2({name})", own[0]));
        }
    } else {
        let weights = literal(&own, parameter.shape.rows, parameter.shape.cols);
        terms.push(format!("sum({weights}*{name}*{name})"));
    }
    for e in 0..n {
        for f in e + 1..n {
            let value = 2.0 * a[(at + e) * p + at + f];
            if value != 0.0 {
                terms.push(format!("({value:?})*{}*{}", element(parameter, e), element(parameter, f)));
            }
        }
    }
}

/// Terms of two parameters; A is symmetric, so both sides at once.
fn mixed(a: &[f64], p: usize, left: &Parameter, right: &Parameter, terms: &mut Vec<String>) {
    for e in 0..left.shape.len() {
        for f in 0..right.shape.len() {
            let value = 2.0 * a[(left.offset + e) * p + right.offset + f];
            if value != 0.0 {
                terms.push(format!("({value:?})*{}*{}", element(left, e), element(right, f)));
            }
        }
    }
}

/// One element of a parameter, picked by unit vectors.
fn element(parameter: &Parameter, index: usize) -> String {
    let unit = |n: usize, at: usize| {
        let list: Vec<&str> = (0..n).map(|i| if i == at { "1" } else { "0" }).collect();
        format!("[{}]", list.join(", "))
    };
    let (rows, cols) = (parameter.shape.rows, parameter.shape.cols);
    match (rows, cols) {
        (1, 1) => parameter.name.clone(),
        (_, 1) => format!("dot({}, {})", unit(rows, index), parameter.name),
        _ => format!("dot({}, {} @ {})", unit(rows, index / cols), parameter.name, unit(cols, index % cols)),
    }
}

/// A literal vector or matrix.
fn literal(values: &[f64], rows: usize, cols: usize) -> String {
    let list =
        |row: &[f64]| format!("[{}]", row.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(", "));
    if cols == 1 {
        return list(values);
    }
    let rows: Vec<String> = (0..rows).map(|r| list(&values[r * cols..(r + 1) * cols])).collect();
    format!("[{}]", rows.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Shape;
    use crate::model::formula::{Expression, SdeModel};

    #[test]
    fn the_charge_is_the_quadratic_form_of_its_matrix() {
        let mut layout = Layout::default();
        layout.push("s", Shape::SCALAR);
        layout.push("v", Shape::vector(2));
        layout.push("W", Shape::matrix(2, 2));
        layout.push("R", Shape::matrix(1, 2));
        let p = layout.len();
        let mut a = vec![0.0; p * p];
        let mut state = 1_u64;
        for i in 0..p {
            for j in 0..=i {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let value = ((state >> 33) % 9) as f64 - 4.0;
                a[i * p + j] = value;
                a[j * p + i] = value;
            }
        }
        let theta: Vec<f64> = (0..p).map(|i| 0.3 * i as f64 - 1.1).collect();
        let wanted: f64 = (0..p * p).map(|e| a[e] * theta[e / p] * theta[e % p]).sum();
        let text = charge(&Symmetry::Matrix(a), &layout).unwrap();
        let model = SdeModel::new(layout, &std::collections::BTreeMap::new(), &[], &[], false).unwrap();
        let function = model.function(&Expression::parse(&text).unwrap()).unwrap();
        let value = function.value(&theta)[0];
        assert!((value - wanted).abs() < 1e-12 * wanted.abs().max(1.0), "{value} {wanted}\n{text}");
    }
}

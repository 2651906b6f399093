//! `[parameters]`: shapes and initial laws.
//!
//! A `[rows, cols]` matrix has fan-in `cols` and fan-out `rows`; a vector `[n]` is an n×1 column, so its fan-in is 1 and
//! its fan-out n (write a row as `shape = [1, n]`), a scalar has both 1.

use std::ops::Range;

use super::names::{Broken, Names};
use super::{Constants, Parameters};
use super::{constants, population};
use crate::model::formula::operations::functions;
use crate::model::formula::{Value, semidefinite_factor};
use crate::model::{Layout, Shape, StandardLaw};
use crate::study::resolved::{Initial, Start};
use crate::study::source::Spanned;
use crate::study::spec::read::Errors;
use crate::study::spec::{Field, InitialRows, Named, ParameterSpec, Quantity, Scalar, Spec};

/// Initial laws, as messages list them.
const LAWS: [(&str, &str); 17] = [
    ("kaiming", "kaiming: normal, variance 2/fan_in"),
    ("xavier", "xavier: normal, variance 2/(fan_in + fan_out)"),
    ("orthogonal", "orthogonal(s): s times a Haar-distributed orthogonal matrix"),
    ("identity", "identity(s): s on the diagonal"),
    ("normal", "normal(mean, standard deviation)"),
    ("uniform", "uniform(low, high)"),
    ("rademacher", "rademacher: −1 or 1, without arguments"),
    ("multinormal", "multinormal(mean vector, covariance matrix)"),
    ("student", "student(degrees of freedom), above 0"),
    ("exponential", "exponential(rate), above 0"),
    ("gamma", "gamma(shape, scale), both above 0"),
    ("beta", "beta(a, b), both above 0"),
    ("chi_squared", "chi_squared(degrees of freedom), above 0"),
    ("laplace", "laplace(mean, scale), the scale above 0"),
    ("lognormal", "lognormal(mean of the logarithm, its standard deviation)"),
    ("cauchy", "cauchy(centre, scale), the scale above 0"),
    ("poisson", "poisson(mean), above 0 and up to 1e9"),
];

pub fn parameters(
    spec: &Spec,
    constants: &Constants,
    names: &mut Names,
    errors: &mut Errors<'_>,
) -> Parameters {
    let mut parameters = Parameters { layout: Layout::default(), initial: Vec::new(), complete: true };
    if spec.parameters.is_empty() {
        names.broken.all = true;
        match spec.tree.get("parameters") {
            None if spec.written("parameters") => {}
            None => errors.at(
                crate::study::Span::default(),
                "the study has no [parameters]",
                "add [parameters] with a line such as w = 1.0",
            ),
            Some(node) if matches!(node.value, crate::study::tree::Value::Table(_)) => {
                errors.at(node.span, "[parameters] is empty", "add a line such as w = 1.0");
            }
            Some(_) => {}
        }
        parameters.complete = false;
    }
    for entry in &spec.parameters {
        if !names.take(&entry.name, "parameter", errors) {
            parameters.complete = false;
            continue;
        }
        if let Some((shape, initial)) = parameter(spec, entry, constants, &names.broken, errors) {
            parameters.layout.push(&entry.name.value, shape);
            parameters.initial.push(initial);
        } else {
            names.broken.push(&entry.name.value);
            parameters.complete = false;
        }
    }
    parameters
}

/// `[starts]`: the laws of each, in the layout's order.
pub fn starts(
    spec: &Spec,
    parameters: &Parameters,
    constants: &Constants,
    broken: &Broken,
    errors: &mut Errors<'_>,
) -> Vec<Start> {
    let mut all = Vec::new();
    for start in &spec.starts {
        let Some(entries) = &start.value else { continue };
        let mut initial = parameters.initial.clone();
        for entry in entries {
            let known = parameters.layout.parameters();
            let Some(index) = known.iter().position(|p| p.name == entry.name.value) else {
                if !broken.contains(&entry.name.value) {
                    let names = known.iter().map(|p| p.name.as_str());
                    errors.unknown(entry.name.span, "parameter", &entry.name.value, names);
                }
                continue;
            };
            // A law takes the shape that [parameters] gives.
            let own = &known[index];
            let mut shaped = entry.clone();
            if shaped.value.shape.is_absent() {
                let law = shaped.value.init.given().filter(|init| matches!(&init.value, Quantity::Single(_)));
                let span = law.map(|init| init.span).or_else(|| shaped.value.rows.span());
                if let Some(span) = span {
                    shaped.value.shape = Field::Given(Spanned::new(own.shape, span));
                }
            }
            let Some((shape, law)) = parameter(spec, &shaped, constants, broken, errors) else { continue };
            if shape != own.shape {
                errors.at(
                    entry.name.span,
                    format!("`{}` has the shape {shape} here, and {} in [parameters]", own.name, own.shape),
                    "a start gives other values, not other shapes",
                );
                continue;
            }
            initial[index] = law;
        }
        all.push(Start { name: start.name.value.clone(), initial });
    }
    all
}

fn parameter(
    spec: &Spec,
    entry: &Named<ParameterSpec>,
    constants: &Constants,
    broken: &Broken,
    errors: &mut Errors<'_>,
) -> Option<(Shape, Initial)> {
    let ParameterSpec { shape, init, rows } = &entry.value;
    if let Some(rows) = rows.given() {
        return of_rows(spec, shape, rows, errors);
    }
    let init = init.given()?;
    if let Quantity::Single(Spanned { value: Scalar::Formula(text), span }) = &init.value {
        let text = Spanned::new(text.clone(), *span);
        match law(&text, constants, broken, errors) {
            Found::Law("multinormal", arguments) => {
                return multinormal(&text, &arguments, shape, errors);
            }
            Found::Law(name, arguments) => {
                if matches!(shape, Field::Broken) {
                    return None;
                }
                let arguments: Vec<f64> = arguments.iter().flat_map(|value| value.data.clone()).collect();
                let shape = shape.value().copied().unwrap_or(Shape::SCALAR);
                return initial(&text, name, &arguments, shape, errors).map(|initial| (shape, initial));
            }
            Found::Broken => return None,
            Found::Formula => {}
        }
    }
    let value = constants::quantity(&init.value, constants, broken, errors)?;
    fixed(value, shape, init, errors)
}

/// Rows of a table, which replicas take in turn: the columns are the elements, row by row of a matrix.
fn of_rows(
    spec: &Spec,
    shape: &Field<Shape>,
    rows: &Spanned<InitialRows>,
    errors: &mut Errors<'_>,
) -> Option<(Shape, Initial)> {
    if matches!(shape, Field::Broken) {
        return None;
    }
    let InitialRows { from, columns, patterns } = &rows.value;
    let table = population::open(spec, from, errors)?;
    let chosen = population::choose(columns, *patterns, Some(&table), true, errors)?;
    let numbers = match table.read(&[chosen]) {
        Ok(list) => list.into_iter().next()?,
        Err(list) => {
            errors.list.extend(list);
            return None;
        }
    };
    let plain = if *patterns { Shape::vector(numbers.width) } else { Shape::SCALAR };
    let wanted = shape.value().copied().unwrap_or(plain);
    if wanted.len() != numbers.width {
        errors.at(
            rows.span,
            format!(
                "{} of the table {} a start of the shape {wanted}, which has {} elements",
                if numbers.width == 1 { "1 column".to_owned() } else { format!("{} columns", numbers.width) },
                if numbers.width == 1 { "is not" } else { "are not" },
                wanted.len()
            ),
            "a row of the table is one start: name as many columns as there are elements, row by row of a matrix",
        );
        return None;
    }
    let initial = if numbers.rows == 1 {
        Initial::Fixed(numbers.values)
    } else {
        Initial::Rows { values: numbers.values.into() }
    };
    Some((wanted, initial))
}

/// A literal value, spread over the shape where it is a single number.
fn fixed(
    value: Value,
    shape: &Field<Shape>,
    init: &Spanned<Quantity>,
    errors: &mut Errors<'_>,
) -> Option<(Shape, Initial)> {
    match shape {
        Field::Broken => None,
        Field::Absent => Some((value.shape, Initial::Fixed(value.data))),
        Field::Given(given) if value.shape.is_scalar() => {
            let x = value.data.first().copied().unwrap_or(0.0);
            Some((given.value, Initial::Fixed(vec![x; given.value.len()])))
        }
        Field::Given(given) if given.value == value.shape => Some((value.shape, Initial::Fixed(value.data))),
        Field::Given(given) => {
            errors.at(
                init.span,
                format!("the value has the shape {}, `shape` says {}", value.shape, given.value),
                "remove `shape`, or give a single number, which fills it",
            );
            None
        }
    }
}

/// `multinormal(m, C)`: the parameter is a vector of m's length.
fn multinormal(
    text: &Spanned<String>,
    arguments: &[Value],
    shape: &Field<Shape>,
    errors: &mut Errors<'_>,
) -> Option<(Shape, Initial)> {
    let form = "multinormal(mean vector, covariance matrix), for a parameter of the mean's shape";
    let mut wrong = |message: String| {
        errors.at(text.span, message, form);
        None
    };
    let [mean, covariance] = arguments else {
        return wrong(format!("`multinormal` takes 2 arguments, not {}", arguments.len()));
    };
    let n = mean.shape.rows;
    if mean.shape.cols != 1 || covariance.shape != Shape::matrix(n, n) {
        return wrong(format!(
            "a mean {} needs a covariance [{n},{n}], not {}",
            mean.shape, covariance.shape
        ));
    }
    match shape {
        Field::Broken => return None,
        Field::Given(given) if given.value != mean.shape => {
            return wrong(format!("the mean has the shape {}, the parameter {}", mean.shape, given.value));
        }
        _ => {}
    }
    let Some(factor) = semidefinite_factor(&covariance.data, n) else {
        return wrong("the covariance is not symmetric and positive semi-definite".to_owned());
    };
    Some((mean.shape, Initial::Multinormal { mean: mean.data.clone(), factor }))
}

enum Found {
    Law(&'static str, Vec<Value>),
    Formula,
    Broken,
}

/// Recognises `name` or `name(a, b)` as an initial law and evaluates its arguments.
fn law(text: &Spanned<String>, constants: &Constants, broken: &Broken, errors: &mut Errors<'_>) -> Found {
    let written = text.value.as_str();
    let Some((head, arguments)) = call(written) else { return Found::Formula };
    let name = &written[head.clone()];
    let Some((known, _)) = LAWS.iter().find(|(n, _)| *n == name) else {
        let is_constant = constants.contains_key(name) || broken.contains(name);
        if is_constant || functions::find(name).is_some() {
            return Found::Formula;
        }
        let span = errors.sources.inside(text.span, written, head);
        let known = LAWS.iter().map(|(n, _)| *n).chain(constants.keys().map(String::as_str));
        errors.unknown(span, "initial law or constant", name, known);
        return Found::Broken;
    };
    let values: Vec<Option<Value>> = arguments
        .iter()
        .map(|range| {
            // Blanks keep the argument in its place, so that errors point into it.
            let argument = format!("{}{}", " ".repeat(range.start), &written[range.clone()]);
            let value = constants::part(&argument, text, constants, broken, errors)?;
            let fits = value.shape.is_scalar() || *known == "multinormal";
            if !fits {
                let span = errors.sources.inside(text.span, written, range.clone());
                errors.at(
                    span,
                    format!("this argument has the shape {}", value.shape),
                    "give a single number",
                );
            }
            fits.then_some(value)
        })
        .collect();
    match values.into_iter().collect() {
        Some(values) => Found::Law(known, values),
        None => Found::Broken,
    }
}

/// `name` or `name(a, b)`: the place of the name and of the arguments.
fn call(text: &str) -> Option<(Range<usize>, Vec<Range<usize>>)> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    let name = text[start..end].find(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(end, |i| start + i);
    if name == start || text[start..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = text[name..end].trim_start();
    if rest.is_empty() {
        return Some((start..name, Vec::new()));
    }
    let open = end - rest.len();
    if !rest.starts_with('(') || !rest.ends_with(')') {
        return None;
    }
    let mut depth = 0_usize;
    let mut arguments = Vec::new();
    let mut begin = open + 1;
    for (i, c) in text[open..end].char_indices() {
        let at = open + i;
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => {
                depth = depth.checked_sub(1)?;
                // A bracket that closes before the end: the text is an expression.
                if depth == 0 && at + 1 != end {
                    return None;
                }
            }
            ',' if depth == 1 => {
                arguments.push(begin..at);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if !arguments.is_empty() || !text[begin..end - 1].trim().is_empty() {
        arguments.push(begin..end - 1);
    }
    Some((start..name, arguments))
}

fn initial(
    text: &Spanned<String>,
    name: &'static str,
    arguments: &[f64],
    shape: Shape,
    errors: &mut Errors<'_>,
) -> Option<Initial> {
    let written = text.value.trim();
    let start = text.value.len() - text.value.trim_start().len();
    let place = errors.sources.inside(text.span, &text.value, start..start + written.len());
    let wrong = |errors: &mut Errors<'_>, message: String, help: &str| {
        errors.at(place, message, help);
        None
    };
    let form = LAWS.iter().find(|(n, _)| *n == name).map_or("", |(_, form)| *form);
    let allowed: &[usize] = match name {
        "kaiming" | "xavier" | "rademacher" => &[0],
        "student" | "chi_squared" | "poisson" => &[1],
        "gamma" | "beta" | "lognormal" => &[2],
        "orthogonal" | "identity" | "exponential" => &[0, 1],
        _ => &[0, 2],
    };
    if !allowed.contains(&arguments.len()) {
        let wanted = allowed.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
        return wrong(errors, format!("`{name}` takes {wanted} arguments, not {}", arguments.len()), form);
    }
    if arguments.iter().any(|x| !x.is_finite()) {
        return wrong(errors, format!("an argument of `{name}` is not finite"), form);
    }
    let normal = |variance: f64| Initial::Normal { mean: 0.0, standard_deviation: variance.sqrt() };
    let standard = |law: StandardLaw, shift: f64, scale: f64| Initial::Law { law, shift, scale };
    let (fan_in, fan_out) = (shape.cols as f64, shape.rows as f64);
    match (name, arguments) {
        ("kaiming", _) => Some(normal(2.0 / fan_in)),
        ("xavier", _) => Some(normal(2.0 / (fan_in + fan_out))),
        ("orthogonal", _) => Some(Initial::Orthogonal { scale: arguments.first().copied().unwrap_or(1.0) }),
        ("identity", _) => {
            if shape.cols == 1 && shape.rows > 1 {
                return wrong(
                    errors,
                    format!("`identity` needs a matrix, the shape is {shape}"),
                    "give shape = [rows, columns]",
                );
            }
            let scale = arguments.first().copied().unwrap_or(1.0);
            let mut data = vec![0.0; shape.len()];
            for i in 0..shape.rows.min(shape.cols) {
                data[i * shape.cols + i] = scale;
            }
            Some(Initial::Fixed(data))
        }
        ("rademacher", _) => Some(standard(StandardLaw::Rademacher, 0.0, 1.0)),
        ("lognormal", &[_, s]) if s < 0.0 => {
            wrong(errors, format!("the standard deviation {s} is negative"), form)
        }
        ("lognormal", &[mean, standard_deviation]) => Some(Initial::LogNormal { mean, standard_deviation }),
        ("laplace" | "cauchy", &[_, s]) if s <= 0.0 => {
            wrong(errors, format!("the scale {s} is not above 0"), form)
        }
        ("laplace", &[mean, scale]) => Some(standard(StandardLaw::Laplace, mean, scale)),
        ("laplace", _) => Some(standard(StandardLaw::Laplace, 0.0, 1.0)),
        ("cauchy", &[centre, scale]) => Some(standard(StandardLaw::Cauchy, centre, scale)),
        ("cauchy", _) => Some(standard(StandardLaw::Cauchy, 0.0, 1.0)),
        ("exponential", &[]) => Some(standard(StandardLaw::Exponential, 0.0, 1.0)),
        ("student" | "chi_squared" | "poisson" | "exponential" | "gamma" | "beta", all)
            if all.iter().any(|x| *x <= 0.0) =>
        {
            wrong(errors, format!("an argument of `{name}` is not above 0"), form)
        }
        ("poisson", &[mean]) if mean > 1e9 => wrong(errors, format!("the mean {mean} is above 1e9"), form),
        ("student", &[freedom]) => Some(standard(StandardLaw::Student(freedom), 0.0, 1.0)),
        ("chi_squared", &[freedom]) => Some(standard(StandardLaw::Gamma(0.5 * freedom), 0.0, 2.0)),
        ("poisson", &[mean]) => Some(standard(StandardLaw::Poisson(mean), 0.0, 1.0)),
        ("exponential", &[rate]) => Some(standard(StandardLaw::Exponential, 0.0, 1.0 / rate)),
        ("gamma", &[shape, scale]) => Some(standard(StandardLaw::Gamma(shape), 0.0, scale)),
        ("beta", &[a, b]) => Some(standard(StandardLaw::Beta(a, b), 0.0, 1.0)),
        ("normal", &[_, s]) if s < 0.0 => wrong(
            errors,
            format!("the standard deviation {s} is negative"),
            "normal(mean, standard deviation), the deviation at least 0",
        ),
        ("normal", &[mean, standard_deviation]) => Some(Initial::Normal { mean, standard_deviation }),
        ("normal", _) => Some(normal(1.0)),
        ("uniform", &[low, high]) if low >= high => wrong(
            errors,
            format!("the interval from {low} to {high} is empty"),
            "uniform(low, high) with low < high",
        ),
        ("uniform", &[low, high]) => Some(Initial::Uniform { low, high }),
        _ => Some(Initial::Uniform { low: 0.0, high: 1.0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_expressions() {
        let parts = |text: &'static str| {
            call(text).map(|(n, a)| (&text[n], a.into_iter().map(|r| text[r].trim()).collect::<Vec<_>>()))
        };
        assert_eq!(parts(" normal(0, max(1, 2)) "), Some(("normal", vec!["0", "max(1, 2)"])));
        assert_eq!(parts("kaiming"), Some(("kaiming", vec![])));
        assert_eq!(parts("kaiming()"), Some(("kaiming", vec![])));
        assert_eq!(parts("sqrt(2) + (1)"), None);
        assert_eq!(parts("2*a"), None);
        assert_eq!(parts("a + b"), None);
        assert_eq!(parts("normal(0,)"), Some(("normal", vec!["0", ""])));
        assert_eq!(parts(""), None);
        assert_eq!(parts("µ(1))("), None);
    }
}

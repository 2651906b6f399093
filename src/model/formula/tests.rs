//! Every operation against central differences, on random shapes and states; models against closed forms.

use proptest::prelude::*;
use std::collections::BTreeMap;

use super::function::{NodeBatch, scratch_for};
use super::gradient::gradient;
use super::graph::{Graph, Node};
use super::operations::functions::{self, FUNCTIONS};
use super::program::{Inputs, Program};
use super::*;
use crate::lanes::{Indices, LANES, Lane, Level};
use crate::model::{Batch, Model, Nodes, Origin};

pub(super) fn expression(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

type Build = Box<dyn Fn(&mut Graph, &[Node]) -> Node>;

/// The function applied to arguments of a shape that it takes, and the domain of the arguments.
struct Case {
    name: String,
    shapes: Vec<Shape>,
    domain: (f64, f64),
    build: Build,
}

fn cases(m: usize, n: usize, k: usize) -> Vec<Case> {
    let (scalar, column, matrix) = (Shape::SCALAR, Shape::vector(m), Shape::matrix(m, n));
    let mut cases = Vec::new();
    let mut add = |name: &str, shapes: Vec<Shape>, domain, build: Build| {
        cases.push(Case { name: name.to_owned(), shapes, domain, build });
    };
    for function in FUNCTIONS {
        let build =
            || Box::new(move |g: &mut Graph, a: &[Node]| (function.build)(g, a).expect("fitting shapes"));
        let domain = match function.name {
            "log" | "log10" | "sqrt" => (0.3, 3.0),
            // The factor of a sample is below 1.4: short of the pole.
            "tan" => (-1.0, 1.0),
            _ => (-2.0, 2.0),
        };
        let shapes: Vec<Vec<Shape>> = match function.name {
            "trace" => vec![vec![Shape::matrix(m, m)]],
            "inverse" | "determinant" | "cholesky" => {
                // Away from singular matrices, and from those that are not positive definite.
                add(
                    function.name,
                    vec![Shape::matrix(m, m)],
                    domain,
                    Box::new(move |g, a| {
                        let identity: Vec<f64> =
                            (0..m * m).map(|e| if e / m == e % m { 9.0 } else { 0.0 }).collect();
                        let identity = g.constant(Shape::matrix(m, m), &identity);
                        let shifted = g.add(a[0], identity);
                        (function.build)(g, &[shifted]).expect("fitting shapes")
                    }),
                );
                vec![]
            }
            "outer" => vec![vec![column, Shape::vector(n)]],
            "softmax" => vec![vec![column]],
            "dot" => vec![vec![matrix, matrix], vec![column, column], vec![scalar, scalar]],
            "cross_entropy" => {
                let label = m as f64;
                add(
                    "cross_entropy",
                    vec![Shape::vector(m + 1)],
                    domain,
                    Box::new(move |g, a| {
                        let label = g.number(label);
                        (function.build)(g, &[a[0], label]).expect("fitting shapes")
                    }),
                );
                vec![]
            }
            "max" | "min" => vec![vec![matrix], vec![scalar], vec![matrix, matrix], vec![column, scalar]],
            _ => vec![vec![matrix], vec![column], vec![scalar]],
        };
        for shapes in shapes {
            add(function.name, shapes, domain, build());
        }
    }
    for (name, build) in [
        ("+", Graph::add as fn(&mut Graph, Node, Node) -> Node),
        ("-", Graph::subtract),
        ("*", Graph::multiply),
        ("/", Graph::divide),
    ] {
        for shapes in [vec![matrix, matrix], vec![scalar, matrix], vec![column, scalar], vec![scalar, scalar]]
        {
            add(name, shapes, (0.4, 2.0), Box::new(move |g, a| build(g, a[0], a[1])));
        }
    }
    for shapes in [vec![matrix, matrix], vec![matrix, scalar], vec![scalar, column]] {
        add("^", shapes, (0.4, 2.0), Box::new(|g, a| functions::power(g, a[0], a[1]).expect("fits")));
    }
    for exponent in [-2.0, -1.0, 0.5, 2.0, 3.0, 5.0, 1.7, -0.3] {
        add(
            &format!("^{exponent}"),
            vec![matrix],
            (0.4, 2.0),
            Box::new(move |g, a| {
                let exponent = g.number(exponent);
                functions::power(g, a[0], exponent).expect("fits")
            }),
        );
    }
    for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
        let a = if ta { Shape::matrix(k, m) } else { Shape::matrix(m, k) };
        let b = if tb { Shape::matrix(n, k) } else { Shape::matrix(k, n) };
        add(
            &format!("@{ta}{tb}"),
            vec![a, b],
            (-2.0, 2.0),
            Box::new(move |g, x| g.matrix_product(x[0], ta, x[1], tb).expect("fits")),
        );
    }
    add(
        "@ vector",
        vec![matrix, Shape::vector(n)],
        (-2.0, 2.0),
        Box::new(|g, x| g.matrix_product(x[0], false, x[1], false).expect("fits")),
    );
    add(".T", vec![matrix], (-2.0, 2.0), Box::new(|g, x| g.transpose(x[0])));
    add("negate", vec![matrix], (-2.0, 2.0), Box::new(|g, x| g.negate(x[0])));
    add(
        "array",
        vec![scalar, scalar, scalar],
        (-2.0, 2.0),
        Box::new(|g, x| functions::array(g, x).expect("fits")),
    );
    add(
        "array of rows",
        vec![column, column],
        (-2.0, 2.0),
        Box::new(|g, x| functions::array(g, x).expect("fits")),
    );
    cases
}

/// f(θ) = Σ c·op(args(θ) ⊙ (1 + s)) averaged over samples, with s a sample number: batched and unbatched paths at once.
struct Probe {
    program: Program,
    outputs: usize,
    nodes: Nodes,
}

fn nodes(values: &[f64]) -> Nodes {
    let n = values.len();
    Nodes { width: 1, values: values.to_vec(), weights: vec![1.0 / n as f64; n], origin: Origin::Table }
}

impl Probe {
    /// Outputs: the value, then its gradient with respect to all of θ, then the Hessian times the second input.
    fn new(case: &Case, coefficients: &[f64], batched: &[bool]) -> (Self, usize) {
        let mut g = Graph::default();
        let mut offset = 0;
        let mut parameters = Vec::new();
        let mut args = Vec::new();
        let one = g.number(1.0);
        for (shape, batched) in case.shapes.iter().zip(batched) {
            let parameter = g.parameter(offset, *shape);
            offset += shape.len();
            parameters.push(parameter);
            let mut arg = parameter;
            if *batched {
                let s = g.sample(0, Shape::SCALAR);
                let factor = g.add(one, s);
                arg = g.multiply(parameter, factor);
            }
            args.push(arg);
        }
        let value = (case.build)(&mut g, &args);
        let shape = g.shape(value);
        let c: Vec<f64> = (0..shape.len()).map(|i| coefficients[i % coefficients.len()]).collect();
        let c = g.constant(shape, &c);
        let scalar = g.dot(c, value);
        let scalar = g.batch_broadcast(scalar);
        let weight = g.weight();
        let weighted = g.multiply(weight, scalar);
        let mean = g.batch_sum(weighted);
        let first = gradient(&mut g, scalar, weight, &parameters);
        let mut along = g.number(0.0);
        let mut at = 0;
        for (&slope, shape) in first.iter().zip(&case.shapes) {
            let direction = g.auxiliary(at, *shape);
            at += shape.len();
            let part = g.dot(slope, direction);
            along = g.add(along, part);
        }
        let second = gradient(&mut g, along, one, &parameters);
        let outputs: Vec<Node> = std::iter::once(mean).chain(first).chain(second).collect();
        let program = Program::new(&g, &outputs, 1).expect("one pass");
        (Self { program, outputs: case.shapes.len(), nodes: nodes(&[-0.2, 0.1, 0.25, 0.4, -0.1]) }, offset)
    }

    /// (value, gradient, Hessian·direction) at one state.
    fn at(&self, theta: &[f64], direction: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
        let tiles = 2;
        let lanes = |v: &[f64]| v.iter().flat_map(|&x| [Lane::splat(x); 2]).collect::<Vec<_>>();
        let (theta, direction) = (lanes(theta), lanes(direction));
        let mut scratch = scratch_for(&[&self.program], tiles);
        let inputs = Inputs { theta: &theta, auxiliary: &direction, tiles };
        self.program.run(&inputs, &mut NodeBatch::new(&self.nodes, tiles), &mut scratch.lanes, |_, _, _| {});
        let read = |range: std::ops::Range<usize>| -> Vec<f64> {
            range
                .flat_map(|o| {
                    let value = self.program.output(o, &inputs, &scratch.lanes, 0);
                    // All lanes saw the same state.
                    for pair in value.chunks_exact(tiles) {
                        assert!(
                            pair.iter()
                                .all(|lane| lane.0.iter().all(|x| x.to_bits() == pair[0].0[0].to_bits()))
                        );
                    }
                    value.chunks_exact(tiles).map(|pair| pair[0].0[0]).collect::<Vec<_>>()
                })
                .collect()
        };
        let n = self.outputs;
        (read(0..1)[0], read(1..1 + n), read(1 + n..1 + 2 * n))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn every_derivative_agrees_with_central_differences(
        m in 1_usize..4, n in 1_usize..4, k in 1_usize..4,
        numbers in prop::collection::vec(0.0_f64..1.0, 64),
        coefficients in prop::collection::vec(-1.0_f64..1.0, 7),
        mask in prop::collection::vec(any::<bool>(), 4),
    ) {
        for case in cases(m, n, k) {
            let (probe, size) = Probe::new(&case, &coefficients, &mask);
            let (low, high) = case.domain;
            let theta: Vec<f64> = (0..size).map(|i| low + (high - low) * numbers[i % 64]).collect();
            let direction: Vec<f64> = (0..size).map(|i| numbers[(i + 11) % 64] - 0.5).collect();
            let (_, slope, curvature) = probe.at(&theta, &direction);
            // Kinks (relu, abs, max, …) between the two points spoil differences: skip those states.
            let kinked = matches!(case.name.as_str(), "relu" | "abs" | "max" | "min");
            let jumps = matches!(case.name.as_str(), "sign" | "step" | "floor");
            let h = 1e-5;
            for i in 0..size {
                let shifted = |s: f64| { let mut t = theta.clone(); t[i] += s; probe.at(&t, &direction) };
                let (up, down) = (shifted(h), shifted(-h));
                if kinked && up.1.iter().zip(&down.1).any(|(a, b)| (a - b).abs() > 1e-3) {
                    continue;
                }
                if jumps && (up.0 - down.0).abs() > 1e-3 {
                    continue;
                }
                let difference = (up.0 - down.0) / (2.0 * h);
                prop_assert!((slope[i] - difference).abs() < 2e-8 * (1.0 + difference.abs() * 10.0),
                    "{} {:?} d{i}: {} against {difference}", case.name, case.shapes, slope[i]);
                // Row i of the Hessian times the direction, from the gradient along it.
                let along = |t: &(f64, Vec<f64>, Vec<f64>)| t.1.iter().zip(&direction).map(|(g, v)| g * v).sum::<f64>();
                let difference = (along(&up) - along(&down)) / (2.0 * h);
                prop_assert!((curvature[i] - difference).abs() < 2e-7 * (1.0 + difference.abs() * 10.0),
                    "{} {:?} second d{i}: {} against {difference}", case.name, case.shapes, curvature[i]);
            }
        }
    }
}

#[test]
fn a_wrong_derivative_would_be_seen() {
    // The control of the property: the slope of sin taken for that of cos differs by far more than its tolerance.
    let case = Case {
        name: "sin".into(),
        shapes: vec![Shape::SCALAR],
        domain: (0.0, 1.0),
        build: Box::new(|g, a| (functions::find("sin").expect("sin").build)(g, a).expect("fits")),
    };
    let (probe, _) = Probe::new(&case, &[1.0], &[false]);
    let (_, slope, _) = probe.at(&[0.3], &[1.0]);
    let h = 1e-5;
    let wrong = (0.3_f64 + h).cos() - (0.3_f64 - h).cos();
    assert!((slope[0] - wrong / (2.0 * h)).abs() > 1e-2);
}

#[test]
fn values_of_functions() {
    let constants = |name: &str| match name {
        "v" => Some(Value { shape: Shape::vector(3), data: vec![1.0, -2.0, 0.5] }),
        "M" => Some(Value { shape: Shape::matrix(2, 2), data: vec![1.0, 2.0, 3.0, 4.0] }),
        "x" => Some(Value { shape: Shape::SCALAR, data: vec![0.7] }),
        _ => None,
    };
    let e = std::f64::consts::E;
    let gelu = |x: f64| 0.5 * x * (1.0 + statrs::function::erf::erf(x / 2f64.sqrt()));
    let logits = (e + (-2f64).exp() + 0.5f64.exp()).ln();
    for (text, expected) in [
        ("sum(v)", -0.5),
        ("mean(M)", 2.5),
        ("norm2(v)", 5.25),
        ("norm2(x)", 0.49),
        ("dot(v, 2*v)", 10.5),
        ("trace(M @ M.T)", 30.0),
        ("sum(outer(v, v))", 0.25),
        ("max(v)", 1.0),
        ("min(v)", -2.0),
        ("max(x, 1)", 1.0),
        ("min(x, 1)", 0.7),
        ("-x^2", -0.49),
        ("2^3^0.5", 2f64.powf(3f64.sqrt())),
        ("relu(-x) + relu(x)", 0.7),
        ("gelu(x)", gelu(0.7)),
        ("logsumexp(v)", logits),
        ("cross_entropy(v, 2)", logits - 0.5),
        ("sum(softmax(v))", 1.0),
        ("softplus(800)", 800.0),
        ("sigmoid(-800)", 0.0),
        ("tanh(x)", 0.7f64.tanh()),
        ("h = x + 1\ng = h*h\ng - h", 1.7 * 1.7 - 1.7),
        ("trace([[1, 2], [3, 4]] @ [[1, 2], [3, 4]])", 29.0),
        ("v.T @ v", 5.25),
        ("sum(abs(v)) / 2 - 1", 0.75),
        ("norm(v)", 5.25f64.sqrt()),
        ("norm(-x)", 0.7),
        ("sum(sign(v)) + 10*sum(step(v)) + 100*sign(0*x)", 21.0),
        ("step(0*x)", 0.0),
        ("floor(-x) + 10*floor(x + 2)", 19.0),
        ("tan(x) - atan(x)", 0.7f64.tan() - 0.7f64.atan()),
        ("erf(x)", 0.677_801_193_837_418_5),
        ("log10(1000) + log10(0.001)", 0.0),
        ("determinant(M)", -2.0),
        ("determinant([[0, 2, 1], [1, 0, 3], [2, 1, 0]])", 13.0),
        (
            "sum(inverse(M) @ [[1, 10], [100, 1000]])",
            -2.0 - 20.0 + 100.0 + 1000.0 + 1.5 + 15.0 - 50.0 - 500.0,
        ),
        ("sum(cholesky([[4, 2], [2, 5]]) @ [1, 10])", 2.0 + 1.0 + 20.0),
        ("sum(cholesky([[1, 1], [1, 1]]) @ [1, 10])", 2.0),
        ("(x < 1) + 10*(x <= 0.7) + 100*(x > 0.7) + 1000*(x >= 0.7)", 1011.0),
        ("(x == 0.7) + 10*(x != 0.7) + 100*(x != 1) + 1000*(x == 1)", 101.0),
        ("sum(v > 0) + 10*sum(0 > v) + 100*sum(v < [1, 0, 1])", 212.0),
        ("1 + x < 2 - x", 0.0),
        ("(x > 0)*3 + (x <= 0)*5", 3.0),
    ] {
        let value = expression(text).evaluate(&constants).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert!(value.shape.is_scalar(), "{text}");
        assert!(
            (value.data[0] - expected).abs() <= 4e-15 * expected.abs().max(1.0),
            "{text}: {} against {expected}",
            value.data[0]
        );
    }
}

#[test]
fn names_of_other_languages_and_slips_are_told_what_to_write() {
    let help = |text: &str| {
        let error = expression(text).evaluate(&|_: &str| None).expect_err(text);
        error.help.expect("a remedy")
    };
    for (text, wanted) in [
        ("ln(2)", "write log(a), the natural logarithm;"),
        ("ceil(2)", "write -floor(-a);"),
        ("det(2)", "write determinant(A);"),
        ("sing(2)", "did you mean `sign`?"),
        ("sqr(2)", "did you mean `sqrt`?"),
        ("cross(2)", "did you mean `cross_entropy`?"),
        ("soft_norm(2)", "did you mean `norm`?"),
    ] {
        assert!(help(text).starts_with(wanted), "{text}: {}", help(text));
    }
    assert!(help("frobnicate(2)").starts_with("functions: "));
}

#[test]
fn the_nearest_name_is_a_whole_word_before_a_few_letters() {
    use super::elaborate::nearest;
    for (name, known, wanted) in [
        ("burn", &["born", "burn_in"][..], Some("burn_in")),
        ("norm", &["form", "norm2"], Some("norm2")),
        ("replica", &["replicas", "seed"], Some("replicas")),
        ("Rate", &["rate", "date"], Some("rate")),
        ("xyzzy", &["rate", "date"], None),
        ("ab", &["ab_c", "abc"], Some("abc")),
    ] {
        assert_eq!(nearest(name, known.iter().copied()), wanted, "{name}");
    }
    // Not compared letter by letter: a megabyte would take minutes.
    let long = "a".repeat(1 << 20);
    assert_eq!(nearest(&long, ["aa"].into_iter()), None);
    assert_eq!(nearest("aa", [long.as_str(), "aab"].into_iter()), Some("aab"));
}

#[test]
fn the_gradient_of_a_norm_is_a_unit_vector_and_zero_at_zero() {
    let m = model(&[("w", Shape::vector(2))], &[("x", "normal(0, 1)")], None, "norm(w)");
    let slope = m.mean_gradient(&[3.0, -4.0]);
    assert!((slope[0] - 0.6).abs() < 1e-15 && (slope[1] + 0.8).abs() < 1e-15, "{slope:?}");
    assert_eq!(m.mean_gradient(&[0.0, 0.0]), [0.0, 0.0]);
}

#[test]
fn errors_of_meaning_point_into_the_formula() {
    let constants = |name: &str| match name {
        "W" => Some(Value { shape: Shape::matrix(3, 4), data: vec![0.0; 12] }),
        "x" => Some(Value { shape: Shape::vector(5), data: vec![0.0; 5] }),
        "rate" => Some(Value { shape: Shape::SCALAR, data: vec![0.1] }),
        _ => None,
    };
    for (text, span, part) in [
        ("1 + W @ x", 4..9, "[3,4] @ [5]"),
        ("W + x", 0..5, "[3,4] + [5]"),
        ("2*tanh(x, x)", 2..12, "takes 1 argument, not 2"),
        ("foo(x)", 0..3, "unknown function `foo`"),
        ("1 + y", 4..5, "unknown name `y`"),
        ("tanh + 1", 0..4, "is a function"),
        ("normal(0, 1)", 0..6, "cannot stand here"),
        ("trace(W)", 0..8, "trace of [3,4]"),
        ("inverse(W)", 0..10, "not square"),
        ("inverse([[1, 2], [2, 4]])", 0..25, "the matrix is singular"),
        ("cholesky([[1, 2], [2, 1]])", 0..26, "the matrix is not positive definite"),
        ("cholesky([[1, 2], [0, 1]])", 0..26, "the matrix is not symmetric"),
        (
            "determinant(outer(2*[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]))",
            0..94,
            "at most 16 rows",
        ),
        ("W < x", 0..5, "[3,4] < [5]"),
        ("[1, x]", 4..5, "this element is [5]"),
        ("rate(x)", 0..4, "unknown function `rate`"),
        ("tanh = 1\n2", 0..4, "cannot be redefined"),
        ("grad(x)", 0..7, "cannot stand here"),
        ("cross_entropy(x, 5)", 0..19, "the label 5 of 5 logits"),
        ("cross_entropy(x, 0.5)", 0..21, "the label 0.5"),
        ("cross_entropy(rate, 0)", 0..22, "takes a vector"),
    ] {
        let error = expression(text).evaluate(&constants).expect_err(text);
        assert_eq!(error.span, span, "{text}: {}", error.message);
        assert!(error.message.contains(part), "{text}: {}", error.message);
        assert!(error.help.is_some(), "{text}");
    }
}

fn spec(parameters: &[(&str, Shape)], data: &[(&str, &str)], size: Option<usize>, loss: &str) -> ModelSpec {
    let mut layout = Layout::default();
    for (name, shape) in parameters {
        layout.push(*name, *shape);
    }
    let data = data
        .iter()
        .map(|(name, law)| DataEntry {
            name: (*name).into(),
            source: match law.strip_prefix("fresh ") {
                Some(law) => DataSource::Fresh { formula: expression(law), shape: None },
                None => DataSource::Formula { formula: expression(law), shape: None },
            },
        })
        .collect();
    ModelSpec { layout, constants: BTreeMap::new(), data, size, loss: expression(loss), decay: 0.0, seed: 5 }
}

pub(super) fn model(
    parameters: &[(&str, Shape)],
    data: &[(&str, &str)],
    size: Option<usize>,
    loss: &str,
) -> FormulaModel {
    FormulaModel::new(spec(parameters, data, size, loss)).unwrap_or_else(|e| panic!("{loss}: {e:?}"))
}

pub(super) const S: Shape = Shape::SCALAR;

#[test]
fn expectations_over_laws_run_over_their_nodes() {
    // E (w − x)² at w = 0 and its gradient −2 E x at w = 0.
    let e = std::f64::consts::E;
    for (law, mean, second) in [
        ("exponential(2)", 0.5, 0.5),
        ("exponential", 1.0, 2.0),
        ("gamma(0.5, 3)", 1.5, 0.5 * 1.5 * 9.0),
        ("beta(2, 3)", 0.4, 0.2),
        ("chi_squared(5)", 5.0, 35.0),
        ("laplace(1, 2)", 1.0, 9.0),
        ("lognormal(0, 1)", e.sqrt(), e * e),
        ("poisson(7)", 7.0, 56.0),
        ("poisson(0.25)", 0.25, 0.3125),
        ("1 + laplace", 1.0, 3.0),
    ] {
        let m = model(&[("w", S)], &[("x", law)], None, "(w - x)^2");
        assert!(matches!(m.nodes().origin, Origin::Quadrature { .. }), "{law}");
        assert!((m.mean_loss(&[0.0]) / second - 1.0).abs() < 1e-9, "{law}: {}", m.mean_loss(&[0.0]));
        assert!((m.mean_gradient(&[0.0])[0] / (-2.0 * mean) - 1.0).abs() < 1e-9, "{law}");
    }
    // Not a polynomial: P(x > 8) of Poisson's law, whose numbers are all taken.
    let m = model(&[("w", S)], &[("x", "poisson(7)")], None, "w*(x > 8)");
    let poisson = statrs::distribution::Poisson::new(7.0).expect("a mean");
    let beyond = 1.0 - statrs::distribution::DiscreteCDF::cdf(&poisson, 8);
    assert!((m.mean_gradient(&[0.0])[0] - beyond).abs() < 1e-12);
    for law in ["cauchy(0, 1)", "poisson(2000)"] {
        let m = model(&[("w", S)], &[("x", law)], None, "tanh(w - x)^2");
        assert!(matches!(m.nodes().origin, Origin::Reference { .. }), "{law}");
    }
    for (law, part) in [
        ("exponential(0)", "rate is not above 0"),
        ("gamma(-1, 2)", "shape is not above 0"),
        ("gamma(normal(0, 1), 2)", "shape must be a constant"),
        ("gamma(2)", "does not take 1 arguments"),
        ("beta(1, 0)", "second shape is not above 0"),
        ("poisson(1e10)", "above 1000000000"),
        ("laplace(0, -1)", "scale is not above 0"),
        ("lognormal(0, -1)", "negative"),
        ("cauchy(1)", "does not take 1 arguments"),
        ("chi_squared(0)", "not above 0"),
    ] {
        let errors = FormulaModel::new(spec(&[("w", S)], &[("x", law)], None, "(w - x)^2")).err().expect(law);
        assert!(errors[0].1.message.contains(part), "{law}: {}", errors[0].1.message);
    }
}

#[test]
fn moments_of_a_rescaling_loss_are_exact_by_quadrature() {
    // In closed form: E ℓ = p² + 1, E q² = 4(1 + 3p²) with ∇ℓ = q (w, u), q = 2(px² − x).
    let m = model(&[("u", S), ("w", S)], &[("x", "normal(0, 1)")], None, "(u*w*x - 1)^2");
    let (u, w) = (1.3, -0.4);
    let p: f64 = u * w;
    assert!((m.mean_loss(&[u, w]) - (p * p + 1.0)).abs() < 1e-14);
    let gradient = m.mean_gradient(&[u, w]);
    assert!((gradient[0] - 2.0 * p * w).abs() < 1e-14 && (gradient[1] - 2.0 * p * u).abs() < 1e-14);
    let Origin::Quadrature { per_variate, error } = m.nodes().origin else { panic!("quadrature") };
    assert!(per_variate <= 4 && error < 1e-12, "{per_variate} nodes, {error}");
    let gradients = m.sample_gradients(&[u, w]);
    let second: f64 =
        gradients.chunks(2).zip(&m.nodes().weights).map(|(g, weight)| weight * g[0] * g[0]).sum();
    assert!((second - w * w * 4.0 * (1.0 + 3.0 * p * p)).abs() < 1e-13);
    assert!(!m.quadratic());
    let hessian = m.mean_hessian(&[u, w]);
    for (h, expected) in hessian.iter().zip([2.0 * w * w, 4.0 * p, 4.0 * p, 2.0 * u * u]) {
        assert!((h - expected).abs() < 1e-13);
    }
    // Σ_k ω_k H_k is the Hessian of the mean.
    let each = m.sample_hessians(&[u, w]);
    for e in 0..4 {
        let sum: f64 = each.chunks(4).zip(&m.nodes().weights).map(|(h, weight)| weight * h[e]).sum();
        assert!((sum - hessian[e]).abs() < 1e-13);
    }
}

#[test]
fn fresh_noise_on_the_inputs_of_a_table_is_ridge_regression() {
    // ½(w(x + n) − y)², n ~ N(0, s²): ∇L = w(⟨x²⟩ + s²) − ⟨xy⟩, and by the moments 3s⁴, s² of n, with r = wx − y,
    // E[g²] = ⟨x²r²⟩ + s²⟨r² + 4wxr + w²x²⟩ + 3w²s⁴.
    let (rows, s, w) = (7, 0.7, 0.4);
    let data =
        [("x", "normal(0, 1)"), ("y", "2*x + normal(0, 0.5)"), ("n", "fresh normal(0, 0.7)"), ("z", "x + n")];
    let loss = "0.5*(w*z - y)^2";
    let m = model(&[("w", S)], &data, Some(rows), loss);
    let held = m.population().rows.clone().unwrap();
    assert_eq!((held.width, held.count, m.population().width), (2, rows, 3));
    let mean = |f: &dyn Fn(f64, f64) -> f64| {
        held.values.chunks(2).map(|row| f(row[0], row[1])).sum::<f64>() / rows as f64
    };
    let gradient = w * (mean(&|x, _| x * x) + s * s) - mean(&|x, y| x * y);
    let square = mean(&|x, y| (x * (w * x - y)).powi(2))
        + s * s * mean(&|x, y| (w * x - y).powi(2) + 4.0 * w * x * (w * x - y) + w * w * x * x)
        + 3.0 * w * w * s.powi(4);
    assert!((m.mean_gradient(&[w])[0] - gradient).abs() < 1e-13);
    let second = |m: &FormulaModel| {
        m.sample_gradients(&[w]).iter().zip(&m.nodes().weights).map(|(g, weight)| weight * g * g).sum::<f64>()
    };
    assert!((second(&m) / square - 1.0).abs() < 1e-12, "{} {square}", second(&m));
    let Origin::Quadrature { per_variate, error } = m.nodes().origin else { panic!("quadrature") };
    assert!((per_variate, m.nodes().len()) == (3, 3 * rows) && error < 1e-12);
    // Control: noise that is drawn once a row is another system.
    let frozen = data.map(|(name, law)| (name, law.strip_prefix("fresh ").unwrap_or(law)));
    let once = model(&[("w", S)], &frozen, Some(rows), loss);
    assert!(once.population().rows.is_none() && once.population().finite() == Some(rows));
    assert!((once.mean_gradient(&[w])[0] / gradient - 1.0).abs() > 0.01);
    // Of too many draws a sample is taken; its stated errors, and no more, are what it is off by. Rows are all there: they are no error.
    let many: Vec<String> = (0..9).map(|k| format!("n{k}")).collect();
    let mut data = data[..2].to_vec();
    data.extend(many.iter().map(|n| (n.as_str(), "fresh normal(0, 1)")));
    let sum = many.join(" + ");
    let m = model(&[("w", S)], &data, Some(rows), &format!("0.5*(w*(x + 0.7*({sum})/3) - y)^2"));
    let Origin::Reference { size, mean: first, covariance } = m.nodes().origin else { panic!("a sample") };
    assert!(size >= 4096 && size % (4 * rows) == 0 && m.nodes().len() == size);
    assert!((m.mean_gradient(&[w])[0] / gradient - 1.0).abs() < 1e-3 && first < 0.01, "{first}");
    let off = (second(&m) / square - 1.0).abs();
    assert!(off < 5.0 * covariance && covariance < 0.1, "{off} {covariance}");
}

#[test]
fn what_is_drawn_once_and_what_is_fresh_are_not_mixed_in_one_entry() {
    let data = [("n", "fresh normal(0, 1)"), ("z", "n + uniform(0, 1)")];
    let errors = FormulaModel::new(spec(&[("w", S)], &data, Some(5), "(w - z)^2")).err().unwrap();
    assert_eq!(errors.len(), 1);
    assert!(matches!(errors[0].0, Place::Data(1)) && errors[0].1.span == (4..11), "{errors:?}");
    assert!(errors[0].1.message.contains("this law is drawn once a row, `n` anew"), "{errors:?}");
    // All is fresh in an infinite population.
    let m = model(&[("w", S)], &data, None, "(w - z)^2");
    assert!(m.population().size().is_none() && !m.population().mixed());
}

#[test]
fn a_deep_net_on_a_table_agrees_with_a_plain_loop() {
    let (d, h, o, n) = (3, 4, 2, 37);
    let mut layout = Layout::default();
    layout.push("W", Shape::matrix(h, d));
    layout.push("b", Shape::vector(h));
    layout.push("U", Shape::matrix(o, h));
    let value = |i: usize| ((i * 2_654_435_761) % 1000) as f64 / 500.0 - 1.0;
    let x: Vec<f64> = (0..n * d).map(|i| value(i + 3)).collect();
    let y: Vec<f64> = (0..n * o).map(|i| value(i + 7001)).collect();
    let spec = ModelSpec {
        layout,
        constants: BTreeMap::new(),
        data: vec![
            DataEntry { name: "x".into(), source: DataSource::Columns { len: d, values: x.clone() } },
            DataEntry { name: "y".into(), source: DataSource::Columns { len: o, values: y.clone() } },
            DataEntry {
                name: "y2".into(),
                source: DataSource::Formula { formula: expression("2*y"), shape: None },
            },
        ],
        size: Some(n),
        loss: expression("h = tanh(W @ x + b)\nnorm2(U @ h - y2)"),
        decay: 0.3,
        seed: 1,
    };
    let m = FormulaModel::new(spec).expect("a good model");
    let p = h * d + h + o * h;
    let theta: Vec<f64> = (0..p).map(|i| value(i + 90_001)).collect();
    let (w, rest) = theta.split_at(h * d);
    let (b, u) = rest.split_at(h);
    let (mut loss, mut gradient, mut hidden_norm, mut delta_norm) = (0.0, vec![0.0; p], 0.0, 0.0);
    for k in 0..n {
        let hidden: Vec<f64> = (0..h)
            .map(|i| ((0..d).map(|j| w[i * d + j] * x[k * d + j]).sum::<f64>() + b[i]).tanh())
            .collect();
        let r: Vec<f64> = (0..o)
            .map(|i| (0..h).map(|j| u[i * h + j] * hidden[j]).sum::<f64>() - 2.0 * y[k * o + i])
            .collect();
        loss += r.iter().map(|x| x * x).sum::<f64>() / n as f64;
        hidden_norm += hidden.iter().map(|x| x * x).sum::<f64>() / n as f64;
        for i in 0..o {
            for j in 0..h {
                gradient[h * d + h + i * h + j] += 2.0 * r[i] * hidden[j] / n as f64;
            }
        }
        for j in 0..h {
            let back: f64 = (0..o).map(|i| 2.0 * r[i] * u[i * h + j]).sum();
            delta_norm += back * back / n as f64;
            let delta = back * (1.0 - hidden[j] * hidden[j]) / n as f64;
            gradient[h * d + j] += delta;
            for i in 0..d {
                gradient[j * d + i] += delta * x[k * d + i];
            }
        }
    }
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} against {b}");
    close(m.mean_loss(&theta), loss);
    m.mean_gradient(&theta).iter().zip(&gradient).for_each(|(a, b)| close(*a, *b));
    let observe = |text: &str| {
        m.function(&expression(text)).unwrap_or_else(|e| panic!("{text}: {e:?}")).value(&theta)[0]
    };
    close(observe("loss"), loss);
    close(observe("log(loss)"), loss.ln());
    close(observe("objective"), loss + 0.15 * theta.iter().map(|x| x * x).sum::<f64>());
    close(observe("gradient_norm2"), gradient.iter().map(|x| x * x).sum());
    close(observe("norm2(h)"), hidden_norm);
    close(observe("norm2(grad(h))"), delta_norm);
    close(observe("trace(U.T @ U)"), u.iter().map(|x| x * x).sum());
    // The charge's terms are as large as twice their sum of squares.
    close(
        m.magnitude(&expression("norm2(U) - norm2(W)")).expect("good").value(&theta)[0],
        2.0 * u.iter().chain(w).map(|x| x * x).sum::<f64>(),
    );
    assert!(!m.quadratic());
}

#[test]
fn regression_is_recognised_as_quadratic_per_sample() {
    let v = Shape::vector(3);
    for (loss, quadratic) in [
        ("(dot(w, x) - y)^2", true),
        ("0.5*(w.T @ x - y)^2 + 0.1*norm2(w)", true),
        ("dot(w, x)*y", true),
        ("norm2(w)^2", false),
        ("exp(dot(w, x))", false),
        ("abs(dot(w, x) - y)", true),
    ] {
        let mut spec = spec(&[("w", v)], &[], None, loss);
        spec.data = vec![
            DataEntry {
                name: "x".into(),
                source: DataSource::Formula { formula: expression("normal"), shape: Some(v) },
            },
            DataEntry {
                name: "y".into(),
                source: DataSource::Formula { formula: expression("2*x + normal(0, 0.5)"), shape: Some(v) },
            },
        ];
        spec.data[1].source =
            DataSource::Formula { formula: expression("sum(x) + normal(0, 0.5)"), shape: None };
        let m = FormulaModel::new(spec).unwrap_or_else(|e| panic!("{loss}: {e:?}"));
        assert_eq!(m.quadratic(), quadratic, "{loss}");
        let polynomial = !(loss.contains("exp") || loss.contains("abs"));
        assert_eq!(matches!(m.nodes().origin, Origin::Reference { size: 4096, .. }), !polynomial, "{loss}");
    }
}

/// The same samples under one weight, which the batch does not write out.
struct Uniform<'a>(NodeBatch<'a>, f64);
impl Batch for Uniform<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn uniform_weight(&self) -> Option<f64> {
        Some(self.1)
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        self.0.fill(first, count, samples, weights);
        weights.fill(Lane::splat(f64::NAN));
    }
}

#[test]
fn chunks_and_weights_do_not_change_the_sum() {
    let m = model(
        &[("a", S), ("b", S)],
        &[("x", "normal(0, 1)"), ("s", "rademacher")],
        Some(301),
        "tanh(a*x + b*s)^2",
    );
    let whole = m.mean_gradient(&[0.3, -0.8]);
    let gradients = m.sample_gradients(&[0.3, -0.8]);
    for e in 0..2 {
        let mut sum = 0.0;
        for k in 0..301 {
            sum += gradients[k * 2 + e] / 301.0;
        }
        assert!((whole[e] - sum).abs() < 1e-15);
    }
    // Samples of one weight may be summed first and weighted afterwards.
    let theta = [Lane::splat(0.3), Lane::splat(-0.8)];
    let mut gradient = [Lane::default(); 2];
    let mut batch = Uniform(NodeBatch::new(m.nodes(), 1), 0.5);
    m.weighted_gradient(&theta, &mut batch, &mut gradient, &mut m.scratch(1));
    for e in 0..2 {
        assert!((gradient[e].0[5] - whole[e] * 150.5).abs() < 1e-12);
    }
    let mut loss = [Lane::default()];
    m.weighted_loss(&theta, &mut batch, &mut loss, &mut m.scratch(1));
    assert!((loss[0].0[2] - 150.5 * m.mean_loss(&[0.3, -0.8])).abs() < 1e-11);
    // Rademacher data are ±1, and a seeded table is the same again.
    let n = m.nodes();
    assert!(n.values.chunks(2).all(|row| row[1].abs() == 1.0));
    let again = model(
        &[("a", S), ("b", S)],
        &[("x", "normal(0, 1)"), ("s", "rademacher")],
        Some(301),
        "tanh(a*x + b*s)^2",
    );
    assert_eq!(n.values, again.nodes().values);
}

#[test]
fn laws_have_their_moments_by_quadrature_or_by_draws() {
    let moment = |law: &str, size: Option<usize>, power: &str| {
        model(&[("a", S)], &[("x", law)], size, &format!("a*x^{power}")).mean_gradient(&[0.0])[0]
    };
    for (law, mean, second) in [
        ("normal(1, 2)", 1.0, 5.0),
        ("uniform(-1, 3)", 1.0, 1.0 + 16.0 / 12.0),
        ("rademacher", 0.0, 1.0),
        ("bernoulli(0.3)", 0.3, 0.3),
        ("categorical(0.2, 0.3, 0.5)", 1.3, 2.3),
        ("2*normal(0, 1) + uniform(0, 1)", 0.5, 4.0 + 1.0 / 3.0),
    ] {
        assert!((moment(law, None, "1") - mean).abs() < 1e-13, "{law}");
        assert!((moment(law, None, "2") - second).abs() < 1e-12, "{law}");
        // 40 000 draws at a fixed seed: five standard errors.
        let deviation = (second - mean * mean).sqrt();
        assert!((moment(law, Some(40_000), "1") - mean).abs() < 5.0 * deviation / 200.0, "{law}");
    }
    let student = moment("student(5)", Some(40_000), "2");
    assert!((student - 5.0 / 3.0).abs() < 0.25, "{student}");
}

#[test]
fn chains_in_one_pass_round_as_their_operations_do() {
    let m = model(&[("u", S), ("w", S)], &[("x", "normal(0, 1)")], Some(9), "(u*w*x - 1)^2");
    let (u, w) = (1.234_567, -0.765_432_1);
    let gradients = m.sample_gradients(&[u, w]);
    for (x, g) in m.nodes().values.iter().zip(gradients.chunks(2)) {
        let slope = (u * w * x - 1.0) * 2.0 * x;
        assert_eq!((g[0].to_bits(), g[1].to_bits()), ((slope * w).to_bits(), (slope * u).to_bits()));
    }
    // Chains of every form against the separate operations, which constants are folded with.
    for text in
        ["3*(a*b - 0.1)", "3*(a*v + 0.1)", "(v*v - 0.1)*3", "2*(0.3 + v) - 0.7", "a*b - 0.1", "5*(v - 1) + v"]
    {
        let values = [("a", vec![0.377]), ("b", vec![-1.13]), ("v", vec![0.21, 3.3, -0.7])];
        let mut layout = Layout::default();
        for (name, value) in &values {
            layout.push(*name, Shape::vector(value.len()));
        }
        let sde =
            SdeModel::new(layout, &BTreeMap::new(), &[], &[], false).unwrap_or_else(|e| panic!("{e:?}"));
        let theta: Vec<f64> = values.iter().flat_map(|v| v.1.clone()).collect();
        let run = sde.function(&expression(text)).unwrap_or_else(|e| panic!("{e:?}")).value(&theta);
        let constant = |name: &str| {
            let found = values.iter().find(|v| v.0 == name)?;
            Some(Value { shape: Shape::vector(found.1.len()), data: found.1.clone() })
        };
        let folded = expression(text).evaluate(&constant).unwrap_or_else(|e| panic!("{e:?}")).data;
        assert!(
            run.iter().zip(&folded).all(|(a, b)| a.to_bits() == b.to_bits()),
            "{text}: {run:?} {folded:?}"
        );
    }
}

#[test]
fn labels_of_data_must_exist() {
    let classes = Shape::vector(3);
    let with = |law: &str, size| {
        FormulaModel::new(spec(&[("v", classes)], &[("k", law)], size, "cross_entropy(v, k)"))
    };
    assert!(with("categorical(0.2, 0.3, 0.5)", None).is_ok());
    let Err(errors) = with("categorical(0.2, 0.3, 0.4, 0.1)", None) else { panic!("label 3 of 3") };
    assert_eq!((errors[0].0.clone(), errors[0].1.span.clone()), (Place::Loss, 0..13));
    let Err(errors) = with("1 + categorical(0.2, 0.3, 0.5)", Some(50)) else { panic!("labels 1 to 3") };
    assert!(errors[0].1.message.contains("has the label 3"), "{}", errors[0].1.message);
}

#[test]
fn polynomials_of_a_few_more_variates_are_exact_too() {
    let v = Shape::vector(5);
    let mut spec = spec(&[("w", v)], &[], None, "0.5*(dot(w, x) - y)^2");
    spec.data = vec![
        DataEntry {
            name: "x".into(),
            source: DataSource::Formula { formula: expression("normal"), shape: Some(v) },
        },
        DataEntry {
            name: "y".into(),
            source: DataSource::Formula { formula: expression("sum(x) + normal(0, 2)"), shape: None },
        },
    ];
    let m = FormulaModel::new(spec).expect("a good model");
    assert!(matches!(m.nodes().origin, Origin::Quadrature { per_variate: 3, .. }));
    assert_eq!(m.nodes().len(), 729);
    // At w = 1: E g gᵀ = σ² I.
    let gradients = m.sample_gradients(&[1.0; 5]);
    let second = |i: usize, j: usize| {
        gradients.chunks(5).zip(&m.nodes().weights).map(|(g, w)| w * g[i] * g[j]).sum::<f64>()
    };
    assert!((second(0, 0) - 4.0).abs() < 1e-11 && second(0, 1).abs() < 1e-11);
}

#[test]
fn a_reference_sample_of_normals_has_their_first_moments_exactly() {
    let v = Shape::vector(12);
    let mut spec = spec(&[("w", v)], &[], None, "0.5*(dot(w, x) - y)^2");
    spec.data = vec![
        DataEntry {
            name: "x".into(),
            source: DataSource::Formula { formula: expression("normal"), shape: Some(v) },
        },
        DataEntry {
            name: "y".into(),
            source: DataSource::Formula { formula: expression("sum(x) + normal(0, 2)"), shape: None },
        },
    ];
    let m = FormulaModel::new(spec).expect("a good model");
    assert!(matches!(m.nodes().origin, Origin::Reference { .. }));
    // The mean gradient is w − 1, the loss σ²/2 at w = 1: exactly, though the sample is one.
    assert!(m.mean_gradient(&[1.5; 12]).iter().all(|g| (g - 0.5).abs() < 1e-12));
    assert!((m.mean_loss(&[1.0; 12]) - 2.0).abs() < 1e-12);
    // Fourth moments are those of a sample: E (x² r²) = σ² only nearly.
    let second: f64 = m.sample_gradients(&[1.0; 12]).chunks(12).map(|g| g[3] * g[3]).sum::<f64>() / 4096.0;
    assert!((second - 4.0).abs() > 1e-6 && (second - 4.0).abs() < 1.0, "{second}");
}

#[test]
fn an_sde_gives_its_matrices() {
    let mut layout = Layout::default();
    layout.push("x", Shape::vector(2));
    layout.push("v", S);
    let constants = BTreeMap::from([(
        "A".to_owned(),
        Value { shape: Shape::matrix(2, 2), data: vec![1.0, 0.7, -0.3, 2.0] },
    )]);
    let drift = [("x".to_owned(), expression("-A @ x + 1")), ("v".to_owned(), expression("-v + sum(x)"))];
    let diffusion = [
        ("x".to_owned(), Diffusion::Own(expression("[[1, 0, 2], [0, 3, 0]]"))),
        (
            "v".to_owned(),
            Diffusion::Named(vec![("common".into(), expression("0.5")), ("own".into(), expression("2"))]),
        ),
    ];
    let sde = SdeModel::new(layout.clone(), &constants, &drift, &diffusion, false)
        .unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(sde.noises(), 5);
    let (a, c, b) = sde.linear().expect("linear");
    assert_eq!(a, [-1.0, -0.7, 0.0, 0.3, -2.0, 0.0, 1.0, 1.0, -1.0]);
    assert_eq!(c, [1.0, 1.0, 0.0]);
    assert_eq!(b, [1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 2.0]);
    assert!(sde.additive());
    let bent = [("v".to_owned(), expression("-v^3"))];
    let nonlinear = SdeModel::new(layout.clone(), &constants, &bent, &diffusion, false)
        .unwrap_or_else(|e| panic!("{e:?}"));
    assert!(nonlinear.linear().expect_err("cubic").contains("not linear"));
    let noisy = [("v".to_owned(), Diffusion::Own(expression("v")))];
    let multiplicative =
        SdeModel::new(layout.clone(), &constants, &drift, &noisy, false).unwrap_or_else(|e| panic!("{e:?}"));
    assert!(multiplicative.linear().expect_err("noise").contains("diffusion"));
    let wrong = [("x".to_owned(), expression("A @ v @ x"))];
    let Err(errors) = SdeModel::new(layout, &constants, &wrong, &[], false) else {
        panic!("shapes do not fit")
    };
    assert_eq!(errors[0].0, Place::Drift(0));
}

/// B, row by row, of `diffusion` over scalars a, b and a vector v of 2.
fn noise_of(diffusion: &[(&str, &str)]) -> Result<SdeModel, Vec<(Place, FormulaError)>> {
    let mut layout = Layout::default();
    layout.push("a", S);
    layout.push("b", S);
    layout.push("v", Shape::vector(2));
    let constants = BTreeMap::from([(
        "S".to_owned(),
        Value { shape: Shape::matrix(2, 2), data: vec![1.0, 0.6, 0.6, 1.0] },
    )]);
    let diffusion: Vec<_> =
        diffusion.iter().map(|(n, f)| ((*n).to_owned(), Diffusion::Own(expression(f)))).collect();
    SdeModel::new(layout, &constants, &[], &diffusion, false)
}

#[test]
fn columns_are_the_same_processes_for_all_parameters() {
    let numbers = |diffusion: &[(&str, &str)]| {
        let model = noise_of(diffusion).unwrap_or_else(|e| panic!("{e:?}"));
        (model.noises(), model.linear().expect("additive").2)
    };
    let zero = |rows: usize| vec![0.0; rows];
    let (noises, b) = numbers(&[("a", "[[1, 0]]"), ("b", "[[0.6, 0.8]]")]);
    assert_eq!((noises, b), (2, [vec![1.0, 0.0, 0.6, 0.8], zero(4)].concat()));
    // A vector's rows, and a scalar's, meet the same columns; what has one value has a process of its own.
    let (noises, b) = numbers(&[("v", "[[1, 2], [3, 4]]"), ("a", "0.5"), ("b", "[[5, 6]]")]);
    assert_eq!(noises, 3);
    assert_eq!(b, [0.0, 0.0, 0.5, 5.0, 6.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0]);
    // One value an element: independent.
    let (noises, b) = numbers(&[("v", "[1, 2]"), ("a", "3")]);
    assert_eq!((noises, b), (3, vec![0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0]));
}

#[test]
fn columns_of_other_numbers_are_refused() {
    let message =
        |diffusion: &[(&str, &str)]| noise_of(diffusion).err().expect("refused")[0].1.message.clone();
    assert_eq!(
        message(&[("a", "[[1, 0]]"), ("b", "[[1, 0, 2]]")]),
        "the diffusion of `b` has 3 columns, that of `a` has 2"
    );
    assert!(message(&[("a", "[1, 0]")]).contains("the shape [2]"));
    assert!(message(&[("v", "[[1, 0]]")]).contains("the shape [1,2]"));
}

#[test]
fn the_noise_matrix_is_shown_as_it_acts() {
    let model = noise_of(&[("a", "[[1, b^2]]"), ("b", "3*a"), ("v", "[[1, 0], [a, 2]]")])
        .unwrap_or_else(|e| panic!("{e:?}"));
    let matrix = model.noise_matrix().expect("small");
    assert_eq!(matrix.processes, ["column 1", "column 2", "b alone"]);
    let text = |e: &NoiseEntry| match e {
        NoiseEntry::Number(x) => format!("{x}"),
        NoiseEntry::Formula(f) => f.clone(),
    };
    let rows: Vec<String> = matrix
        .rows
        .iter()
        .map(|(n, row)| format!("{n}: {}", row.iter().map(text).collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(rows, ["a: 1 b^2 0", "b: 0 0 3*a", "v[0]: 1 0 0", "v[1]: a 2 0"]);
}

#[test]
fn one_lane_does_not_see_another() {
    let m = model(&[("u", S), ("w", S)], &[("x", "normal(0, 1)")], None, "(u*w*x - 1)^2");
    let tiles = 3;
    let theta: Vec<Lane> =
        (0..2 * tiles).map(|i| Lane(std::array::from_fn(|l| 0.1 * (i * LANES + l) as f64 - 1.0))).collect();
    let mut gradient = vec![Lane::default(); 2 * tiles];
    m.weighted_gradient(&theta, &mut NodeBatch::new(m.nodes(), tiles), &mut gradient, &mut m.scratch(tiles));
    for t in 0..tiles {
        for l in 0..LANES {
            let one = m.mean_gradient(&[theta[t].0[l], theta[tiles + t].0[l]]);
            assert_eq!(one[0].to_bits(), gradient[t].0[l].to_bits());
            assert_eq!(one[1].to_bits(), gradient[tiles + t].0[l].to_bits());
        }
    }
}

#[test]
fn common_subexpressions_are_merged_and_constants_folded() {
    let mut graph = Graph::default();
    let x = graph.parameter(0, S);
    let a = graph.multiply(x, x);
    let b = graph.multiply(x, x);
    assert_eq!(a, b);
    let size = graph.len();
    let two = graph.number(2.0);
    let three = graph.number(3.0);
    let six = graph.multiply(two, three);
    assert_eq!(graph.constant_of(six), Some(&[6.0][..]));
    assert_eq!(graph.len(), size + 3);
}

#[test]
fn dissipation_is_what_gradients_and_hessians_make_of_it() {
    let parameters = [("W", Shape::matrix(2, 2)), ("u", Shape::vector(2)), ("b", S)];
    for (loss, quadratic) in [
        ("norm2(W @ u*x - u) + tanh(b*y)^2", false),
        ("(x*sum(u) + b - y)^2 + 0.5*norm2(W)*x^2 + b*sum(W)", true),
    ] {
        let m = model(&parameters, &[("x", "normal(0, 1)"), ("y", "normal(1, 2)")], Some(7), loss);
        assert_eq!(m.quadratic(), quadratic);
        let p = m.layout().len();
        let theta: Vec<f64> = (0..p).map(|i| ((i * 37 + 11) % 17) as f64 / 9.0 - 0.8).collect();
        let velocity: Vec<f64> = (0..p).map(|i| ((i * 29 + 5) % 13) as f64 / 7.0 - 0.9).collect();
        let decay = 0.3;
        let gradients = m.sample_gradients(&theta);
        let mean = m.mean_gradient(&theta);
        let force: Vec<f64> = mean.iter().zip(&theta).map(|(g, x)| g + decay * x).collect();
        let mut hessian = m.mean_hessian(&theta);
        (0..p).for_each(|i| hessian[i * p + i] += decay);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let form = |a: &[f64]| (0..p).map(|i| a[i] * dot(&hessian[i * p..(i + 1) * p], a)).sum::<f64>();
        let over = |f: &dyn Fn(&[f64]) -> f64| gradients.chunks(p).map(f).sum::<f64>() / 7.0;
        let near = |got: &[f64], want: &[f64]| {
            for (g, w) in got.iter().zip(want) {
                assert!((g - w).abs() <= 1e-12 * w.abs().max(1.0), "{loss}: {got:?} {want:?}");
            }
        };
        let norm = dot(&theta, &theta);
        let trace = over(&|g| dot(g, g)) - dot(&mean, &mean);
        let curved = over(&|g| form(g)) - form(&mean);
        let objective = m.mean_loss(&theta) + 0.5 * decay * norm;
        for bend in [0.0, 0.17] {
            let bent: Vec<f64> =
                (0..p).map(|i| force[i] + bend * dot(&hessian[i * p..(i + 1) * p], &force)).collect();
            near(
                &m.dissipation(decay, bend).unwrap().value(&theta),
                &[dot(&theta, &bent), dot(&bent, &bent), trace, norm],
            );
            for (index, q) in m.layout().parameters().iter().enumerate() {
                let part = &bent[q.offset..q.offset + q.shape.len()];
                near(&m.force(decay, bend, index).unwrap().value(&theta), part);
            }
            near(
                &m.curvature_dissipation(decay, bend).unwrap().value(&theta),
                &[dot(&force, &bent), curved, form(&bent), objective],
            );
        }
        let kinetic = m.kinetic(decay).unwrap();
        let splat = |x: &[f64]| x.iter().map(|&x| Lane::splat(x)).collect::<Vec<_>>();
        let mut out = vec![Lane::default(); 2];
        kinetic.evaluate_with(&splat(&theta), &splat(&velocity), &mut out, &mut kinetic.scratch(1));
        near(&[out[0].0[3], out[1].0[3]], &[dot(&velocity, &velocity), form(&velocity)]);
        let work = m.work(decay).unwrap();
        work.evaluate_with(&splat(&theta), &splat(&velocity), &mut out, &mut work.scratch(1));
        near(&[out[0].0[3], out[1].0[3]], &[dot(&force, &velocity), form(&velocity)]);
    }
}

/// A batch of table rows, another for every replica, given as rows or only as vectors of replicas.
struct RowBatch<'a> {
    nodes: &'a Nodes,
    indices: Vec<Indices>,
    tiles: usize,
    offers: bool,
    taken: usize,
    /// Samples that were asked for as rows.
    as_rows: usize,
}

impl Batch for RowBatch<'_> {
    fn len(&self) -> usize {
        self.indices.len() / self.tiles
    }
    fn uniform_weight(&self) -> Option<f64> {
        Some(1.0 / self.len() as f64)
    }
    fn fill(&mut self, _: usize, count: usize, samples: &mut [Lane], _: &mut [Lane]) {
        let here = &self.indices[self.taken * self.tiles..][..count * self.tiles];
        let width = self.nodes.width;
        let samples = &mut samples[..count * width * self.tiles];
        crate::lanes::gather(samples, &self.nodes.values, here, width, self.tiles);
        self.taken += count;
    }
    fn has_rows(&self) -> bool {
        self.offers
    }
    fn rows(&mut self, count: usize) -> Option<&[Indices]> {
        let first = self.taken * self.tiles;
        self.taken += count;
        self.as_rows += count;
        self.offers.then(|| &self.indices[first..first + count * self.tiles])
    }
}

#[test]
fn rows_of_a_table_give_the_gradient_of_their_vectors_and_the_same_bits_at_every_level() {
    let column = |n| Shape::vector(n);
    let x = |n| format!("normal([{}], 1)", vec!["0.1"; n].join(", "));
    // Loss, shapes of w and v, length of x and z, whether rows are used from two samples on.
    let cases: [(&str, Shape, Shape, usize, bool); 15] = [
        ("(dot(w, x) - y)^2", column(8), S, 8, true),
        ("(dot(x, w) + v - y)^2", column(19), S, 19, true),
        ("(sum(w*x) - y)^2", column(16), S, 16, true),
        ("log(1 + exp(-y*dot(w, x)))", column(21), S, 21, true),
        ("norm2(w @ x - y)", Shape::matrix(1, 12), S, 12, true),
        ("norm2(x.T @ w - y)", column(12), S, 12, true),
        ("(dot(w*w - v, x) - y)^2", column(9), column(9), 9, true),
        ("(dot(w, x) - y*dot(v, z))^2", column(8), column(8), 8, true),
        ("(dot(w, x) - y)^2 + dot(v, x)", column(8), column(8), 8, false),
        ("(dot(w, x) - y)^2 + norm2(w - x)", column(8), S, 8, false),
        ("(dot(w, x*x) - y)^2", column(8), S, 8, false),
        ("dot(w, x)^2 + (dot(v, x) - y)^2", column(8), column(8), 8, false),
        ("norm2(w @ x - y)", Shape::matrix(3, 11), S, 11, false),
        ("(dot(w, x) - y)^2", column(7), S, 7, false),
        ("(dot(v, tanh(w @ x)) - y)^2", Shape::matrix(4, 9), column(4), 9, false),
    ];
    for (loss, w, v, n, expected) in cases {
        let law = x(n);
        let data = [("z", law.as_str()), ("y", "rademacher"), ("x", law.as_str())];
        let m = model(&[("w", w), ("v", v)], &data, Some(29), loss);
        for (samples, tiles) in [(1, 1), (2, 1), (5, 3), (16, 2), (37, 1)] {
            let indices: Vec<Indices> = (0..samples * tiles)
                .map(|i| Indices(std::array::from_fn(|l| ((i * 7 + l * 13 + 3) % 29) as u32)))
                .collect();
            let theta: Vec<Lane> = (0..m.layout().len() * tiles)
                .map(|i| Lane(std::array::from_fn(|l| ((i * 8 + l) as f64 * 0.7).sin())))
                .collect();
            let gradient = |offers, level| {
                let indices = indices.clone();
                let mut batch = RowBatch { nodes: m.nodes(), indices, tiles, offers, taken: 0, as_rows: 0 };
                let mut gradient = vec![Lane::default(); theta.len()];
                let mut scratch = m.scratch(tiles);
                Level::force(level, || {
                    m.weighted_gradient(&theta, &mut batch, &mut gradient, &mut scratch);
                });
                (gradient, batch.as_rows)
            };
            let (wanted, none) = gradient(false, Level::V1);
            let (found, rows) = gradient(true, Level::V1);
            assert_eq!(none, 0);
            assert_eq!(rows, if expected && samples > 1 { samples } else { 0 }, "{loss} of {samples}");
            let scale = wanted.iter().flat_map(|x| x.0).fold(0.0, |top: f64, x| top.max(x.abs()));
            for (a, b) in found.iter().flat_map(|x| x.0).zip(wanted.iter().flat_map(|x| x.0)) {
                assert!((a - b).abs() <= 1e-13 * scale, "{loss}: {a} {b}");
            }
            for level in [Level::V3, Level::V4] {
                assert_eq!(gradient(true, level).0, found, "{loss} {level:?}");
                assert_eq!(gradient(false, level).0, wanted, "{loss} {level:?}");
            }
        }
    }
}

/// All nodes, shown as the numbers that they are, or only as vectors; with their weights, or with one weight that is not written.
struct AllNodes<'a> {
    nodes: NodeBatch<'a>,
    offers: bool,
    uniform: Option<f64>,
    /// Samples that were asked for as numbers.
    as_numbers: usize,
}

impl Batch for AllNodes<'_> {
    fn len(&self) -> usize {
        self.nodes.len()
    }
    fn uniform_weight(&self) -> Option<f64> {
        self.uniform
    }
    fn fill(&mut self, first: usize, count: usize, samples: &mut [Lane], weights: &mut [Lane]) {
        self.nodes.fill(first, count, samples, weights);
        if self.uniform.is_some() {
            weights.fill(Lane::splat(f64::NAN));
        }
    }
    fn has_shared(&self) -> bool {
        self.offers
    }
    fn shared(&mut self, first: usize, count: usize, weights: &mut [Lane]) -> Option<&[f64]> {
        self.as_numbers += count;
        let numbers = self.nodes.shared(first, count, weights);
        if self.uniform.is_some() {
            weights.fill(Lane::splat(f64::NAN));
        }
        numbers
    }
}

#[test]
fn samples_that_all_replicas_share_give_the_same_bits_as_their_vectors() {
    let column = |n| Shape::vector(n);
    let x = |n| format!("normal([{}], 1)", vec!["0.1"; n].join(", "));
    // Loss, shapes of w and v, length of x and z, whether some columns are taken as numbers.
    let cases: [(&str, Shape, Shape, usize, bool); 12] = [
        ("(dot(w, x) - y)^2", column(8), S, 8, true),
        ("(dot(x, w) + v - y)^2", column(3), S, 3, true),
        ("(sum(w*x) - y)^2", column(17), S, 17, true),
        ("norm2(x.T @ w - y)", column(12), S, 12, false),
        ("norm2(w @ x - y)", Shape::matrix(1, 12), S, 12, true),
        ("norm2(w @ x - y)", Shape::matrix(3, 11), S, 11, true),
        ("(dot(v, tanh(w @ x)) - y)^2", Shape::matrix(4, 9), column(4), 9, true),
        ("(dot(w*w - v, x) - y*dot(v, z))^2", column(9), column(9), 9, true),
        ("(dot(w, x) - y)^2 + norm2(v - z)", column(8), column(8), 8, true),
        ("(dot(w, x) - y)^2 + norm2(w - x)", column(8), S, 8, false),
        ("(dot(w, x*x) - y)^2 + dot(x, x)*v", column(8), S, 8, false),
        ("(w*y - v)^2", S, S, 2, false),
    ];
    for (loss, w, v, n, expected) in cases {
        let law = x(n);
        let data = [("z", law.as_str()), ("y", "rademacher"), ("x", law.as_str())];
        let m = model(&[("w", w), ("v", v)], &data, Some(37), loss);
        for (tiles, uniform) in [(1, None), (3, None), (2, Some(0.25))] {
            let theta: Vec<Lane> = (0..m.layout().len() * tiles)
                .map(|i| Lane(std::array::from_fn(|l| ((i * 8 + l) as f64 * 0.7).sin())))
                .collect();
            let gradient = |offers, level| {
                let nodes = NodeBatch::new(m.nodes(), tiles);
                let mut batch = AllNodes { nodes, offers, uniform, as_numbers: 0 };
                let mut gradient = vec![Lane::default(); theta.len()];
                let mut scratch = m.scratch(tiles);
                Level::force(level, || {
                    m.weighted_gradient(&theta, &mut batch, &mut gradient, &mut scratch);
                });
                (gradient, batch.as_numbers)
            };
            let (wanted, none) = gradient(false, Level::V1);
            assert_eq!(none, 0);
            for level in Level::ALL {
                let (found, numbers) = gradient(true, level);
                assert_eq!(numbers, if expected { 37 } else { 0 }, "{loss}");
                assert_eq!(found, wanted, "{loss} {level:?}");
            }
        }
    }
}

#[test]
fn a_reference_sample_knows_how_far_off_it_is() {
    // ∇ℓ = 1.3w − k: the covariance is that of k, κ = 3 + 6/(ν − 4) for Student's law; the mean gradient's part in w is exact.
    let origin = |law: &str, seed: u64| {
        let mut spec = spec(&[("w", S)], &[], None, "0.65*w^2 - w*k");
        spec.data = vec![DataEntry {
            name: "k".into(),
            source: DataSource::Formula { formula: expression(law), shape: None },
        }];
        spec.seed = seed;
        let m = FormulaModel::new(spec).expect("a good model");
        let gradients = m.sample_gradients(&[0.0]);
        let n = gradients.len() as f64;
        let mean = gradients.iter().sum::<f64>() / n;
        (m.nodes().origin.clone(), mean, gradients.iter().map(|g| (g - mean) * (g - mean)).sum::<f64>() / n)
    };
    // Whatever the seed the true covariance ν/(ν − 2) is within a few of the stated errors, and the errors are those of theory.
    let (mut squares, mut shifts) = (0.0, 0.0);
    for seed in 1..=40 {
        let (origin, mean, covariance) = origin("student(9)", seed);
        let Origin::Reference { size: 4096, covariance: error, mean: of_mean } = origin else {
            panic!("{origin:?}")
        };
        let theory = ((3.0 + 6.0 / 5.0 - 1.0) / 4096.0_f64).sqrt();
        assert!((0.8..2.0).contains(&(error / theory)), "{error} for {theory}");
        squares += ((covariance / (9.0 / 7.0) - 1.0) / error).powi(2) / 40.0;
        // Against a mean gradient of 1.3w at w of order 1.
        assert!((0.002..0.1).contains(&of_mean), "{of_mean}");
        shifts += mean * mean * 4096.0 / (9.0 / 7.0) / 40.0;
    }
    assert!((0.4..2.0).contains(&squares), "{squares}");
    assert!((0.4..2.0).contains(&shifts), "{shifts}");
    // Quadrature has no such error.
    let (exact, ..) = origin("normal(0, 1)", 1);
    assert!(exact.error() < 1e-10, "{exact:?}");
}

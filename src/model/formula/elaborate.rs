//! Syntax → graph: names resolved, shapes checked, functions and laws applied.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::error::FormulaError;
use super::graph::{Graph, Node};
use super::operations::functions::{self, FUNCTIONS};
use super::size;
use super::syntax::{Kind, Lines, Operator, Syntax};

/// What names mean where a formula stands.
pub trait Scope {
    /// The node of a name.
    fn name(&mut self, graph: &mut Graph, name: &str) -> Option<Node>;
    /// All names, for suggestions.
    fn names(&self) -> Vec<String>;
    /// A law called by name, where laws may stand.
    fn law(&mut self, _graph: &mut Graph, _law: &str, _args: &[Node]) -> Option<Result<Node, String>> {
        None
    }
    /// ∂ℓ/∂name, where gradients may be named.
    fn gradient(&mut self, _graph: &mut Graph, _name: &str) -> Option<Result<Node, String>> {
        None
    }
}

/// Names of the laws of data.
pub const LAWS: [&str; 15] = [
    "normal",
    "uniform",
    "rademacher",
    "bernoulli",
    "student",
    "categorical",
    "multinormal",
    "exponential",
    "gamma",
    "beta",
    "chi_squared",
    "laplace",
    "lognormal",
    "cauchy",
    "poisson",
];

/// Builds a formula's value in `graph`; intermediates are returned by name.
///
/// # Errors
/// The first name, shape or call that has no meaning.
pub fn elaborate(
    lines: &Lines,
    graph: &mut Graph,
    scope: &mut dyn Scope,
) -> Result<(Node, Vec<(String, Node)>), FormulaError> {
    let taken: HashSet<String> =
        if lines.intermediates.is_empty() { HashSet::new() } else { scope.names().into_iter().collect() };
    let mut elaboration = Elaboration { graph, scope, locals: Vec::new(), places: HashMap::new() };
    for line in &lines.intermediates {
        if functions::find(&line.name).is_some() {
            return Err(FormulaError::new(
                line.span.clone(),
                format!("`{}` is a function and cannot be redefined", line.name),
            )
            .help("choose another name"));
        }
        if taken.contains(&line.name) {
            return Err(FormulaError::new(
                line.span.clone(),
                format!("`{}` has a meaning already", line.name),
            )
            .help("choose another name for the intermediate"));
        }
        let node = elaboration.node(&line.value)?;
        elaboration.places.entry(line.name.clone()).or_insert(node);
        elaboration.locals.push((line.name.clone(), node));
    }
    let value = elaboration.node(&lines.value)?;
    Ok((value, elaboration.locals))
}

struct Elaboration<'a> {
    graph: &'a mut Graph,
    scope: &'a mut dyn Scope,
    locals: Vec<(String, Node)>,
    /// The same by name.
    places: HashMap<String, Node>,
}

impl Elaboration<'_> {
    fn node(&mut self, syntax: &Syntax) -> Result<Node, FormulaError> {
        match &syntax.kind {
            Kind::Number(value) => Ok(self.graph.number(*value)),
            Kind::Name(name) => self.name(name, &syntax.span),
            Kind::Negate(inner) => {
                let inner = self.node(inner)?;
                Ok(self.graph.negate(inner))
            }
            Kind::Transpose(inner) => {
                let inner = self.node(inner)?;
                Ok(self.graph.transpose(inner))
            }
            Kind::Array(elements) => {
                let nodes = elements.iter().map(|e| self.node(e)).collect::<Result<Vec<_>, _>>()?;
                if let Some(odd) =
                    nodes.iter().position(|&n| self.graph.shape(n) != self.graph.shape(nodes[0]))
                {
                    let (first, other) = (self.graph.shape(nodes[0]), self.graph.shape(nodes[odd]));
                    return Err(FormulaError::new(
                        elements[odd].span.clone(),
                        format!("this element is {other}, the first is {first}"),
                    )
                    .help("all elements of an array have one shape"));
                }
                functions::array(self.graph, &nodes).map_err(|e| {
                    FormulaError::new(syntax.span.clone(), e)
                        .help("write [a, b] for a vector, [[a, b], [c, d]] for a matrix")
                })
            }
            Kind::Binary(operator, left, right) => {
                let (a, b) = (self.node(left)?, self.node(right)?);
                self.binary(*operator, a, b).map_err(|shapes| {
                    if shapes.starts_with(size::TOO_LARGE) {
                        return FormulaError::new(syntax.span.clone(), shapes).help(size::HELP);
                    }
                    FormulaError::new(syntax.span.clone(), format!("shapes do not fit: {shapes}"))
                        .help(shape_help(*operator))
                })
            }
            Kind::Call(name, at, args) => self.call(name, at, args, &syntax.span),
        }
    }

    fn binary(&mut self, operator: Operator, a: Node, b: Node) -> Result<Node, String> {
        let (x, y) = (self.graph.shape(a), self.graph.shape(b));
        let elementwise = x == y || x.is_scalar() || y.is_scalar();
        match operator {
            Operator::MatrixProduct => self.graph.matrix_product(a, false, b, false),
            _ if !elementwise => Err(format!("{x} {} {y}", operator.symbol())),
            Operator::Add => Ok(self.graph.add(a, b)),
            Operator::Subtract => Ok(self.graph.subtract(a, b)),
            Operator::Multiply => Ok(self.graph.multiply(a, b)),
            Operator::Divide => Ok(self.graph.divide(a, b)),
            Operator::Power => functions::power(self.graph, a, b),
            Operator::Compare(comparison) => functions::comparison(self.graph, comparison, a, b),
        }
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> Result<Node, FormulaError> {
        if let Some(node) = self.places.get(name) {
            return Ok(*node);
        }
        if let Some(node) = self.scope.name(self.graph, name) {
            return Ok(node);
        }
        if LAWS.contains(&name) {
            return self.law(name, &[], span, span);
        }
        if let Some(function) = functions::find(name) {
            return Err(FormulaError::new(span.clone(), format!("`{name}` is a function"))
                .help(format!("call it: {}", function.documentation)));
        }
        let mut known: Vec<String> = self.locals.iter().map(|(n, _)| n.clone()).collect();
        known.extend(self.scope.names());
        let help = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`? known here: {}", list(&known)),
            None if known.is_empty() => "no names are known here".to_owned(),
            None => format!("known here: {}", list(&known)),
        };
        Err(FormulaError::new(span.clone(), format!("unknown name `{name}`")).help(help))
    }

    fn call(
        &mut self,
        name: &str,
        at: &Range<usize>,
        args: &[Syntax],
        span: &Range<usize>,
    ) -> Result<Node, FormulaError> {
        if name == "grad" {
            return self.gradient(args, span);
        }
        if LAWS.contains(&name) {
            let nodes = args.iter().map(|a| self.node(a)).collect::<Result<Vec<_>, _>>()?;
            return self.law(name, &nodes, at, span);
        }
        let Some(function) = functions::find(name) else {
            let all: Vec<&str> = FUNCTIONS.iter().map(|f| f.name).chain(LAWS).collect();
            let known_name =
                self.locals.iter().any(|(n, _)| n == name) || self.scope.names().iter().any(|n| n == name);
            let help = if known_name {
                format!("`{name}` is not a function; write a product with *: {name} * (…)")
            } else {
                match (alias(name), nearest(name, all.iter().copied())) {
                    (Some(instead), _) => format!("write {instead}; functions: {}", all.join(", ")),
                    (None, Some(near)) => format!("did you mean `{near}`? functions: {}", all.join(", ")),
                    (None, None) => format!("functions: {}", all.join(", ")),
                }
            };
            return Err(FormulaError::new(at.clone(), format!("unknown function `{name}`")).help(help));
        };
        let nodes = args.iter().map(|a| self.node(a)).collect::<Result<Vec<_>, _>>()?;
        if !function.arguments.contains(&nodes.len()) {
            let (low, high) = (function.arguments.start(), function.arguments.end());
            let wanted = if low == high { plural(*low) } else { format!("{low} or {high} arguments") };
            return Err(FormulaError::new(
                span.clone(),
                format!("`{name}` takes {wanted}, not {}", nodes.len()),
            )
            .help(function.documentation));
        }
        (function.build)(self.graph, &nodes).map_err(|misfit| {
            if misfit.starts_with(size::TOO_LARGE) {
                return FormulaError::new(span.clone(), misfit).help(size::HELP);
            }
            let message =
                if misfit.starts_with("the ") { misfit } else { format!("shapes do not fit: {misfit}") };
            FormulaError::new(span.clone(), message).help(function.documentation)
        })
    }

    fn law(
        &mut self,
        name: &str,
        args: &[Node],
        at: &Range<usize>,
        span: &Range<usize>,
    ) -> Result<Node, FormulaError> {
        match self.scope.law(self.graph, name, args) {
            Some(result) => result.map_err(|e| FormulaError::new(span.clone(), e).help(law_help(name))),
            None => Err(FormulaError::new(at.clone(), format!("the law `{name}` cannot stand here"))
                .help("laws stand in [data]; name the draw there and use its name here")),
        }
    }

    fn gradient(&mut self, args: &[Syntax], span: &Range<usize>) -> Result<Node, FormulaError> {
        let [Syntax { kind: Kind::Name(name), span: at }] = args else {
            return Err(FormulaError::new(span.clone(), "`grad` takes one name")
                .help("write grad(h) for ∂loss/∂h of a parameter or a named intermediate h"));
        };
        match self.scope.gradient(self.graph, name) {
            Some(result) => result.map_err(|e| {
                FormulaError::new(at.clone(), e)
                    .help("grad(h) takes a parameter or an intermediate that the loss names")
            }),
            None => Err(FormulaError::new(span.clone(), "`grad` cannot stand here")
                .help("grad(h) stands in [observe] and in claims, in a study with a [loss]")),
        }
    }
}

fn plural(n: usize) -> String {
    if n == 1 { "1 argument".to_owned() } else { format!("{n} arguments") }
}

fn shape_help(operator: Operator) -> &'static str {
    match operator {
        Operator::MatrixProduct => {
            "the columns of the left must equal the rows of the right; vectors are columns, .T transposes"
        }
        _ => "elementwise operations take equal shapes, or a scalar and anything; @ is the matrix product",
    }
}

fn law_help(law: &str) -> &'static str {
    match law {
        "normal" => "normal(mean, standard deviation)",
        "uniform" => "uniform(low, high)",
        "rademacher" => "rademacher: −1 or 1, without arguments",
        "bernoulli" => "bernoulli(probability of 1)",
        "student" => "student(degrees of freedom)",
        "categorical" => "categorical(p1, p2, …), probabilities of 0, 1, …",
        "exponential" => "exponential(rate), of mean 1/rate",
        "gamma" => "gamma(shape, scale), of mean shape·scale; the shape a constant",
        "beta" => "beta(a, b), two constants above 0",
        "chi_squared" => "chi_squared(degrees of freedom), a constant",
        "laplace" => "laplace(mean, scale), of variance 2·scale²",
        "lognormal" => "lognormal(mean of the logarithm, its standard deviation)",
        "cauchy" => "cauchy(centre, scale)",
        "poisson" => "poisson(mean), a constant up to 1e9",
        _ => "multinormal(mean vector, covariance matrix), both constant",
    }
}

/// What to write for names that other languages use.
fn alias(name: &str) -> Option<&'static str> {
    Some(match name {
        "ln" => "log(a), the natural logarithm",
        "log2" => "log(a)/log(2)",
        "log1p" => "log(1 + a)",
        "expm1" => "exp(a) - 1",
        "square" | "sq" => "a^2, or norm2(a), the sum of squares",
        "pow" | "power" => "a^b",
        "logistic" | "sigma" => "sigmoid(a)",
        "inner" | "vdot" | "einsum" => "dot(a, b)",
        "matmul" => "A @ B",
        "average" => "mean(a)",
        "tr" => "trace(A)",
        "det" => "determinant(A)",
        "inv" => "inverse(A)",
        "transpose" => "A.T",
        "maximum" | "amax" | "fmax" => "max(a, b)",
        "minimum" | "amin" | "fmin" => "min(a, b)",
        "clip" | "clamp" => "min(max(a, low), high)",
        "where" | "if" | "piecewise" => "(a > 0)*b + (a <= 0)*c, where comparisons are 0 or 1",
        "ceil" => "-floor(-a)",
        "round" => "floor(a + 0.5)",
        "mod" | "fmod" => "a - b*floor(a/b)",
        "heaviside" | "theta" => "step(a), or a > 0",
        "sgn" | "signum" => "sign(a)",
        "arctan" => "atan(a)",
        "arcsin" | "asin" => "atan(a/sqrt(1 - a^2))",
        "arccos" | "acos" => "pi/2 - atan(a/sqrt(1 - a^2))",
        "sinh" => "(exp(a) - exp(-a))/2",
        "cosh" => "(exp(a) + exp(-a))/2",
        "erfc" => "1 - erf(a)",
        "cbrt" => "a^(1/3)",
        "gaussian" | "randn" => "normal(mean, standard deviation)",
        _ => return None,
    })
}

/// Longest name that is compared letter by letter: what is longer is no slip of the pen.
const LONGEST: usize = 64;

/// The known name that is most like `name`, if any is like it: one that has it as a whole word, or is a whole word of it (`burn` in
/// `burn_in`), before one that differs by few letters.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.chars().count() > LONGEST {
        return None;
    }
    let lower = name.to_lowercase();
    let mut best: Option<((bool, usize), &'a str)> = None;
    for k in known.filter(|k| k.len() <= 4 * LONGEST) {
        let other = k.to_lowercase();
        let whole = lower != other && (has_word(&other, &lower) || has_word(&lower, &other));
        let distance = strsim::damerau_levenshtein(&lower, &other);
        let like = distance <= 1.max(name.chars().count().min(k.chars().count()) / 3);
        let rank = (!whole, distance);
        if (whole || like) && best.is_none_or(|(known, _)| rank < known) {
            best = Some((rank, k));
        }
    }
    best.map(|(_, k)| k)
}

/// True if `word` stands in `name` with no letters on either side; words of one or two letters say nothing.
fn has_word(name: &str, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    word.chars().count() > 2
        && name.match_indices(word).any(|(at, _)| {
            !letter(name[..at].chars().next_back()) && !letter(name[at + word.len()..].chars().next())
        })
}

fn list(names: &[String]) -> String {
    const MOST: usize = 12;
    let mut text = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text += ", …";
    }
    text
}

//! Text → syntax tree.
//!
//! ```text
//! formula    = { name "=" comparison newline } comparison
//! comparison = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
//! sum      = product { ("+" | "-") product }
//! product  = unary { ("*" | "/" | "@") unary }
//! unary    = "-" unary | "+" unary | power
//! power    = postfix [ "^" unary ]              (to the right, above the unary minus)
//! postfix  = atom { ".T" }
//! atom     = number | name | name "(" list ")" | "(" comparison ")" | "[" list "]"
//! list     = comparison { "," comparison }
//! ```
//! A newline inside brackets is white space; `;` ends a line too; `#` starts a comment.

use std::ops::Range;

use super::error::FormulaError;

/// A node of the syntax tree, with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Syntax {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub span: Range<usize>,
}

/// Kinds of syntax.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A literal.
    Number(f64),
    /// A name.
    Name(String),
    /// `[a, b, …]`.
    Array(Vec<Syntax>),
    /// `-a`.
    Negate(Box<Syntax>),
    /// `a.T`.
    Transpose(Box<Syntax>),
    /// `a ∘ b`.
    Binary(Operator, Box<Syntax>, Box<Syntax>),
    /// `f(a, …)`, with the place of the name.
    Call(String, Range<usize>, Vec<Syntax>),
}

/// Infix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `^`
    Power,
    /// `@`
    MatrixProduct,
    /// `<` and its kin.
    Compare(Comparison),
}

/// Comparisons: 1 where true, else 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

impl Operator {
    /// As written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Power => "^",
            Self::MatrixProduct => "@",
            Self::Compare(Comparison::Below) => "<",
            Self::Compare(Comparison::AtMost) => "<=",
            Self::Compare(Comparison::Above) => ">",
            Self::Compare(Comparison::AtLeast) => ">=",
            Self::Compare(Comparison::Equal) => "==",
            Self::Compare(Comparison::Unequal) => "!=",
        }
    }
}

/// `name = value`, a line of a formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Intermediate {
    /// The name.
    pub name: String,
    /// Where the name stands.
    pub span: Range<usize>,
    /// Its value.
    pub value: Syntax,
}

/// A whole formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// Named intermediates, in order.
    pub intermediates: Vec<Intermediate>,
    /// The last line.
    pub value: Syntax,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Symbol(char),
    Comparison(Comparison),
    Transpose,
    End,
}

type Spanned = (Token, Range<usize>);

/// Deepest nesting of brackets and operators: beyond it the text is refused rather than the stack overflowed.
const MAX_DEPTH: usize = 200;

/// Longest line, in tokens: long chains nest deeply, too.
const MAX_TOKENS: usize = 4000;

/// Parses a formula.
///
/// # Errors
/// The first error of every line.
pub fn parse(text: &str) -> Result<Lines, Vec<FormulaError>> {
    let mut errors = Vec::new();
    let mut parsed = Vec::new();
    for line in lex(text, &mut errors) {
        match Parser::new(&line).line() {
            Ok(line) => parsed.push(line),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        errors.sort_by_key(|e| e.span.start);
        return Err(errors);
    }
    let Some((name, value)) = parsed.pop() else {
        return Err(vec![
            FormulaError::new(0..text.len(), "the formula is empty")
                .help("write an expression, such as (u*w*x - 1)^2"),
        ]);
    };
    if let Some((name, span)) = name {
        return Err(vec![
            FormulaError::new(span, format!("the last line names `{name}`, but it must be the value"))
                .help(format!("add a last line with the value, such as `{name}`")),
        ]);
    }
    let mut intermediates: Vec<Intermediate> = Vec::new();
    for (name, value) in parsed {
        match name {
            Some((name, span)) => {
                if intermediates.iter().any(|i| i.name == name) {
                    errors.push(
                        FormulaError::new(span.clone(), format!("`{name}` is named twice"))
                            .help("give each intermediate its own name"),
                    );
                }
                intermediates.push(Intermediate { name, span, value });
            }
            None => errors.push(
                FormulaError::new(value.span.clone(), "this line has a value but no name")
                    .help("name it, as in `h = …`; only the last line stands for the formula's value"),
            ),
        }
    }
    if errors.is_empty() { Ok(Lines { intermediates, value }) } else { Err(errors) }
}

/// Cuts the text into lines of tokens; a line with a bad character is left out and reported.
fn lex(text: &str, errors: &mut Vec<FormulaError>) -> Vec<Vec<Spanned>> {
    let mut lines = Vec::new();
    let mut line: Vec<Spanned> = Vec::new();
    let mut bad = false;
    let mut open: Vec<usize> = Vec::new();
    let mut rest = text.char_indices().peekable();
    let mut finish = |line: &mut Vec<Spanned>, bad: &mut bool, at: usize| {
        if !line.is_empty() && !*bad {
            line.push((Token::End, at..at));
            lines.push(std::mem::take(line));
        }
        line.clear();
        *bad = false;
    };
    while let Some((start, c)) = rest.next() {
        match c {
            '#' => {
                while rest.peek().is_some_and(|&(_, c)| c != '\n') {
                    rest.next();
                }
            }
            '\n' if open.is_empty() => finish(&mut line, &mut bad, start),
            ';' => {
                open.clear();
                finish(&mut line, &mut bad, start);
            }
            c if c.is_whitespace() => {}
            '0'..='9' => {
                let end = number_end(text, start);
                while rest.peek().is_some_and(|&(i, _)| i < end) {
                    rest.next();
                }
                match text[start..end].replace('_', "").parse::<f64>() {
                    Ok(value) if value.is_finite() => line.push((Token::Number(value), start..end)),
                    _ => {
                        errors.push(
                            FormulaError::new(
                                start..end,
                                format!("`{}` is not a finite number", &text[start..end]),
                            )
                            .help("numbers are written as 2, 0.5 or 1e-3"),
                        );
                        bad = true;
                    }
                }
            }
            '.' => match rest.peek() {
                Some(&(i, 'T')) if !follows_name(text, i + 1) => {
                    rest.next();
                    line.push((Token::Transpose, start..start + 2));
                }
                Some(&(_, d)) if d.is_ascii_digit() => {
                    errors.push(
                        FormulaError::new(start..start + 1, "a number cannot start with a point")
                            .help(format!("write 0{}", &text[start..number_end(text, start + 1)])),
                    );
                    bad = true;
                }
                _ => {
                    errors.push(
                        FormulaError::new(start..start + 1, "`.` stands only in numbers and in `.T`")
                            .help("`.T` transposes; there are no other attributes"),
                    );
                    bad = true;
                }
            },
            c if c.is_alphabetic() || c == '_' => {
                let mut end = start + c.len_utf8();
                while let Some(&(i, c)) = rest.peek() {
                    if !(c.is_alphanumeric() || c == '_' || c == '\'') {
                        break;
                    }
                    end = i + c.len_utf8();
                    rest.next();
                }
                line.push((Token::Name(text[start..end].to_owned()), start..end));
            }
            '*' if matches!(rest.peek(), Some(&(_, '*'))) => {
                rest.next();
                errors.push(
                    FormulaError::new(start..start + 2, "`**` is not an operator")
                        .help("write a power as x^2"),
                );
                bad = true;
            }
            '<' | '>' | '!' | '=' if c != '=' || matches!(rest.peek(), Some(&(_, '='))) => {
                let equal = rest.next_if(|&(_, c)| c == '=').is_some();
                let comparison = match (c, equal) {
                    ('<', false) => Comparison::Below,
                    ('<', true) => Comparison::AtMost,
                    ('>', false) => Comparison::Above,
                    ('>', true) => Comparison::AtLeast,
                    ('!', true) => Comparison::Unequal,
                    ('=', true) => Comparison::Equal,
                    _ => {
                        errors.push(no_logic(start..start + 1, c));
                        bad = true;
                        continue;
                    }
                };
                line.push((Token::Comparison(comparison), start..start + 1 + usize::from(equal)));
            }
            '&' | '|' => {
                errors.push(no_logic(start..start + 1, c));
                bad = true;
            }
            '(' | '[' => {
                open.push(start);
                line.push((Token::Symbol(c), start..start + 1));
            }
            ')' | ']' => {
                open.pop();
                line.push((Token::Symbol(c), start..start + 1));
            }
            '+' | '-' | '*' | '/' | '^' | '@' | ',' | '=' => line.push((Token::Symbol(c), start..start + 1)),
            other => {
                let help = match other {
                    '·' | '×' | '⋅' => "write a product as a*b, a matrix product as A @ b".to_owned(),
                    '−' | '–' => "write minus as the ASCII sign -".to_owned(),
                    '≤' | '≥' | '≠' => "write comparisons as <=, >=, !=".to_owned(),
                    '²' => "write a square as x^2".to_owned(),
                    '"' | '\'' => "formulas have no strings; write names bare".to_owned(),
                    _ => "formulas have numbers, names, + - * / ^ @ .T, comparisons, brackets and commas"
                        .to_owned(),
                };
                errors.push(
                    FormulaError::new(
                        start..start + other.len_utf8(),
                        format!("`{other}` has no meaning in a formula"),
                    )
                    .help(help),
                );
                bad = true;
            }
        }
    }
    finish(&mut line, &mut bad, text.trim_end().len());
    lines
}

fn no_logic(span: Range<usize>, c: char) -> FormulaError {
    FormulaError::new(span, format!("`{c}` has no meaning in a formula")).help(match c {
        '&' => "comparisons are 0 or 1: for both write (a > 0) * (b > 0)",
        '|' => "comparisons are 0 or 1: for either write max(a > 0, b > 0)",
        _ => "comparisons are 0 or 1: for the contrary write 1 - (a > 0); unequal is !=",
    })
}

fn follows_name(text: &str, at: usize) -> bool {
    text[at..].chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn number_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut i: usize| {
        while i < bytes.len() && (bytes[i].is_ascii_digit() || bytes[i] == b'_') {
            i += 1;
        }
        i
    };
    let mut end = digits(start);
    if end < bytes.len() && bytes[end] == b'.' && !text[end..].starts_with(".T") {
        end = digits(end + 1);
    }
    if end < bytes.len() && matches!(bytes[end], b'e' | b'E') {
        let mut exponent = end + 1;
        if exponent < bytes.len() && matches!(bytes[exponent], b'+' | b'-') {
            exponent += 1;
        }
        if exponent < bytes.len() && bytes[exponent].is_ascii_digit() {
            end = digits(exponent);
        }
    }
    end
}

struct Parser<'a> {
    tokens: &'a [Spanned],
    at: usize,
    depth: usize,
}

type Parsed = Result<Syntax, FormulaError>;
/// A line: its name, if it has one, and its value.
type Line = (Option<(String, Range<usize>)>, Syntax);

impl<'a> Parser<'a> {
    fn new(tokens: &'a [Spanned]) -> Self {
        Self { tokens, at: 0, depth: 0 }
    }

    fn peek(&self) -> &Spanned {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn take(&mut self, symbol: char) -> bool {
        let found = self.peek().0 == Token::Symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn line(&mut self) -> Result<Line, FormulaError> {
        if self.tokens.len() > MAX_TOKENS {
            return Err(FormulaError::new(
                self.tokens[MAX_TOKENS].1.clone(),
                format!("this line has more than {MAX_TOKENS} symbols"),
            )
            .help("name intermediates on lines of their own, or use vectors and matrices"));
        }
        let mut name = None;
        if let [(Token::Name(left), span), (Token::Symbol('='), _), ..] = self.tokens {
            name = Some((left.clone(), span.clone()));
            self.at = 2;
        }
        let value = self.comparison()?;
        match self.peek() {
            (Token::End, _) => Ok((name, value)),
            (Token::Symbol('='), span) => {
                Err(FormulaError::new(span.clone(), "`=` names an intermediate, on a line of its own")
                    .help("write `name = expression` at the start of a line; a comparison is =="))
            }
            (Token::Symbol(c @ (')' | ']')), span) => {
                Err(FormulaError::new(span.clone(), format!("`{c}` closes nothing"))
                    .help("remove it, or open its bracket"))
            }
            (Token::Symbol(','), span) => {
                Err(FormulaError::new(span.clone(), "`,` stands only between arguments")
                    .help("use a decimal point in numbers; commas separate arguments of functions"))
            }
            (token, span) => Err(no_operator(token, span.clone())),
        }
    }

    fn deeper(&mut self, span: &Range<usize>) -> Result<(), FormulaError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FormulaError::new(
                span.clone(),
                format!("the formula is nested deeper than {MAX_DEPTH} levels"),
            )
            .help("name intermediates on lines of their own"));
        }
        Ok(())
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let Token::Comparison(comparison) = self.peek().0 else { return Ok(left) };
        self.at += 1;
        let right = self.sum()?;
        if let (Token::Comparison(_), span) = self.peek() {
            return Err(FormulaError::new(span.clone(), "comparisons cannot be chained")
                .help("compare twice and multiply: (a < b) * (b < c)"));
        }
        Ok(binary(Operator::Compare(comparison), left, right))
    }

    fn sum(&mut self) -> Parsed {
        let start = self.peek().1.clone();
        self.deeper(&start)?;
        let mut left = self.product()?;
        loop {
            let operator = match self.peek().0 {
                Token::Symbol('+') => Operator::Add,
                Token::Symbol('-') => Operator::Subtract,
                _ => break,
            };
            self.at += 1;
            let right = self.product()?;
            left = binary(operator, left, right);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let operator = match self.peek().0 {
                Token::Symbol('*') => Operator::Multiply,
                Token::Symbol('/') => Operator::Divide,
                Token::Symbol('@') => Operator::MatrixProduct,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.unary()?;
            left = binary(operator, left, right);
        }
    }

    fn unary(&mut self) -> Parsed {
        let start = self.peek().1.clone();
        self.deeper(&start)?;
        let value = if self.take('-') {
            let inner = self.unary()?;
            let span = start.start..inner.span.end;
            // A literal's sign belongs to the literal.
            match inner.kind {
                Kind::Number(value) => Syntax { kind: Kind::Number(-value), span },
                _ => Syntax { kind: Kind::Negate(Box::new(inner)), span },
            }
        } else if self.take('+') {
            self.unary()?
        } else {
            self.power()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn power(&mut self) -> Parsed {
        let base = self.postfix()?;
        if self.take('^') {
            let exponent = self.unary()?;
            return Ok(binary(Operator::Power, base, exponent));
        }
        Ok(base)
    }

    fn postfix(&mut self) -> Parsed {
        let mut value = self.atom()?;
        while self.peek().0 == Token::Transpose {
            let span = value.span.start..self.peek().1.end;
            self.at += 1;
            value = Syntax { kind: Kind::Transpose(Box::new(value)), span };
        }
        Ok(value)
    }

    fn atom(&mut self) -> Parsed {
        let (token, span) = self.peek().clone();
        match token {
            Token::Number(value) => {
                self.at += 1;
                Ok(Syntax { kind: Kind::Number(value), span })
            }
            Token::Name(name) => {
                self.at += 1;
                if self.take('(') {
                    let (arguments, end) = self.list(')', &self.tokens[self.at - 1].1.clone())?;
                    return Ok(Syntax {
                        kind: Kind::Call(name, span.clone(), arguments),
                        span: span.start..end,
                    });
                }
                Ok(Syntax { kind: Kind::Name(name), span })
            }
            Token::Symbol('(') => {
                self.at += 1;
                let mut inner = self.comparison()?;
                let end = self.close(')', &span)?;
                inner.span = span.start..end;
                Ok(inner)
            }
            Token::Symbol('[') => {
                self.at += 1;
                let (elements, end) = self.list(']', &span)?;
                Ok(Syntax { kind: Kind::Array(elements), span: span.start..end })
            }
            Token::Symbol(c @ (')' | ']')) => {
                Err(FormulaError::new(span, format!("an operand is missing before `{c}`"))
                    .help("put a number, a name or a bracket here"))
            }
            Token::Symbol('=') => {
                Err(FormulaError::new(span, "`=` names an intermediate, on a line of its own")
                    .help("write `name = expression` at the start of a line"))
            }
            Token::Symbol(c) => Err(FormulaError::new(span, format!("an operand is missing before `{c}`"))
                .help("put a number, a name or a bracket here")),
            Token::Comparison(comparison) => {
                let symbol = Operator::Compare(comparison).symbol();
                Err(FormulaError::new(span, format!("an operand is missing before `{symbol}`"))
                    .help("put a number, a name or a bracket here"))
            }
            Token::Transpose => {
                Err(FormulaError::new(span, "`.T` follows what it transposes").help("write W.T"))
            }
            Token::End => {
                // The caret goes under the operator or bracket that waits for an operand.
                let last = self.tokens[..self.tokens.len() - 1].last().map_or(span, |t| t.1.clone());
                Err(FormulaError::new(last, "the formula ends where an operand should follow")
                    .help("put a number, a name or a bracket after it"))
            }
        }
    }

    fn list(&mut self, close: char, open: &Range<usize>) -> Result<(Vec<Syntax>, usize), FormulaError> {
        let mut items = Vec::new();
        if self.peek().0 == Token::Symbol(close) {
            self.at += 1;
            return Ok((items, self.tokens[self.at - 1].1.end));
        }
        loop {
            items.push(self.comparison()?);
            if self.take(',') {
                continue;
            }
            let end = self.close(close, open)?;
            return Ok((items, end));
        }
    }

    fn close(&mut self, close: char, open: &Range<usize>) -> Result<usize, FormulaError> {
        let (token, span) = self.peek().clone();
        match token {
            Token::Symbol(c) if c == close => {
                self.at += 1;
                Ok(span.end)
            }
            Token::End => Err(FormulaError::new(open.clone(), "this bracket is never closed")
                .help(format!("add `{close}`"))),
            Token::Symbol(c @ (')' | ']')) => {
                Err(FormulaError::new(span, format!("`{c}` where `{close}` is due"))
                    .help(format!("close the bracket with `{close}`")))
            }
            Token::Symbol(',') => Err(FormulaError::new(span, "`,` stands only between arguments")
                .help("use a decimal point in numbers; commas separate arguments of functions")),
            Token::Symbol('=') => {
                Err(FormulaError::new(span, "`=` names an intermediate, on a line of its own")
                    .help("write `name = expression` at the start of a line"))
            }
            token => Err(no_operator(&token, span)),
        }
    }
}

/// Where one operand follows another.
fn no_operator(token: &Token, span: Range<usize>) -> FormulaError {
    if matches!(token, Token::Symbol('[')) {
        return FormulaError::new(span, "formulas have no indices")
            .help("pick an element by a product, dot([0, 1, 0], x), or give it a name of its own");
    }
    FormulaError::new(span, "an operator is missing here")
        .help("write products with *, matrix products with @: 2*x, W @ x")
}

fn binary(operator: Operator, left: Syntax, right: Syntax) -> Syntax {
    let span = left.span.start..right.span.end;
    Syntax { kind: Kind::Binary(operator, Box::new(left), Box::new(right)), span }
}

/// Calls `visit` for every free name of a formula with its place (functions and intermediates excluded).
pub fn free_names(lines: &Lines, visit: &mut dyn FnMut(&str, &Range<usize>)) {
    fn walk(syntax: &Syntax, visit: &mut dyn FnMut(&str, &Range<usize>)) {
        match &syntax.kind {
            Kind::Number(_) => {}
            Kind::Name(name) => visit(name, &syntax.span),
            Kind::Negate(a) | Kind::Transpose(a) => walk(a, visit),
            Kind::Binary(_, a, b) => {
                walk(a, visit);
                walk(b, visit);
            }
            Kind::Array(items) | Kind::Call(_, _, items) => items.iter().for_each(|a| walk(a, visit)),
        }
    }
    let mut named: std::collections::HashSet<&str> = std::collections::HashSet::new();
    for line in &lines.intermediates {
        walk(&line.value, &mut |name, span| {
            if !named.contains(name) {
                visit(name, span);
            }
        });
        named.insert(&line.name);
    }
    walk(&lines.value, &mut |name, span| {
        if !named.contains(name) {
            visit(name, span);
        }
    });
}

/// Calls `visit` for every call and every bare name, which may be one without arguments, with the place of the name.
pub fn called(lines: &Lines, visit: &mut dyn FnMut(&str, &Range<usize>)) {
    fn walk(syntax: &Syntax, visit: &mut dyn FnMut(&str, &Range<usize>)) {
        match &syntax.kind {
            Kind::Number(_) => {}
            Kind::Name(name) => visit(name, &syntax.span),
            Kind::Negate(a) | Kind::Transpose(a) => walk(a, visit),
            Kind::Binary(_, a, b) => {
                walk(a, visit);
                walk(b, visit);
            }
            Kind::Array(items) => items.iter().for_each(|a| walk(a, visit)),
            Kind::Call(name, at, items) => {
                visit(name, at);
                for item in items {
                    walk(item, visit);
                }
            }
        }
    }
    for line in &lines.intermediates {
        walk(&line.value, visit);
    }
    walk(&lines.value, visit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(syntax: &Syntax) -> String {
        match &syntax.kind {
            Kind::Number(v) => format!("{v}"),
            Kind::Name(n) => n.clone(),
            Kind::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Kind::Negate(a) => format!("(neg {})", show(a)),
            Kind::Transpose(a) => format!("(T {})", show(a)),
            Kind::Binary(o, a, b) => format!("({} {} {})", o.symbol(), show(a), show(b)),
            Kind::Call(f, _, a) => format!("{f}({})", a.iter().map(show).collect::<Vec<_>>().join(" ")),
        }
    }

    fn tree(text: &str) -> String {
        show(&parse(text).expect("a good formula").value)
    }

    #[test]
    fn precedence_follows_numpy() {
        assert_eq!(tree("a + b*c - d/e"), "(- (+ a (* b c)) (/ d e))");
        assert_eq!(tree("-x^2"), "(neg (^ x 2))");
        assert_eq!(tree("2^-1"), "(^ 2 -1)");
        assert_eq!(tree("a^b^c"), "(^ a (^ b c))");
        assert_eq!(tree("W3 @ W2 @ x"), "(@ (@ W3 W2) x)");
        assert_eq!(tree("W.T @ h.T"), "(@ (T W) (T h))");
        assert_eq!(tree("-a*b"), "(* (neg a) b)");
        assert_eq!(tree("norm2(U @ tanh(W @ x) - y)"), "norm2((- (@ U tanh((@ W x))) y))");
        assert_eq!(tree("[1, -2.5e-1]"), "[1 -0.25]");
        assert_eq!(tree("(a\n + b)"), "(+ a b)");
        assert_eq!(tree("2.T"), "(T 2)");
        assert_eq!(tree("1_000"), "1000");
        assert_eq!(tree("a + b < c*d - 1"), "(< (+ a b) (- (* c d) 1))");
        assert_eq!(tree("(a <= b)*(b != c)"), "(* (<= a b) (!= b c))");
        assert_eq!(tree("max(a >= b, a == b)"), "max((>= a b) (== a b))");
        assert_eq!(tree("[a > 1, a<-1]"), "[(> a 1) (< a -1)]");
    }

    #[test]
    fn lines_name_intermediates() {
        let lines = parse("h = W @ x  # hidden\n\nr = U @ h - y; norm2(r)").expect("good");
        assert_eq!(lines.intermediates.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["h", "r"]);
        let mut names = Vec::new();
        free_names(&lines, &mut |n, _| names.push(n.to_owned()));
        assert_eq!(names, ["W", "x", "U", "y"]);
    }

    #[test]
    fn errors_point_at_the_fault() {
        for (text, span, part) in [
            ("", 0..0, "empty"),
            ("u*w*", 3..4, "ends"),
            ("(a + b", 0..1, "never closed"),
            ("a + b)", 5..6, "closes nothing"),
            ("2 x", 2..3, "operator is missing"),
            ("x[0]", 1..2, "no indices"),
            ("f(x[0])", 3..4, "no indices"),
            ("a < b < c", 6..7, "chained"),
            ("a <", 2..3, "ends"),
            (">= b", 0..2, "missing before `>=`"),
            ("!a", 0..1, "no meaning"),
            ("a & b", 2..3, "no meaning"),
            ("a ** b", 2..4, "`**`"),
            ("a + .5", 4..5, "point"),
            ("h = a", 0..1, "last line"),
            ("a\nb", 0..1, "no name"),
            ("f(a,)", 4..5, "operand is missing"),
            ("a $ b", 2..3, "no meaning"),
            ("h = 1\nh = 2\nh", 6..7, "twice"),
            ("x = y = z\nx", 6..7, "`=`"),
            ("1e999", 0..5, "finite"),
            ("f(a]", 3..4, "where `)` is due"),
            ("1,5", 1..2, "between arguments"),
        ] {
            let errors = parse(text).expect_err(text);
            assert_eq!(errors[0].span, span, "{text}: {}", errors[0].message);
            assert!(errors[0].message.contains(part), "{text}: {}", errors[0].message);
            assert!(errors[0].help.is_some(), "{text}");
        }
        assert_eq!(parse("h = a +\ng = $\nh*g").expect_err("two faults").len(), 2);
    }

    #[test]
    fn deep_nesting_is_refused_not_overflowed() {
        for text in ["(".repeat(1000) + "1", "-".repeat(1000) + "1", "2^".repeat(1000) + "1"] {
            assert!(parse(&text).expect_err("too deep")[0].message.contains("nested deeper"));
        }
        assert!(parse(&"1+".repeat(50_000)).expect_err("too long")[0].message.contains("symbols"));
    }
}

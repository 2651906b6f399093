//! The study as TOML gives it: an owned tree, every key and value with its place.

use toml::de::{DeTable, DeValue};

use super::source::{Sources, Span, Spanned};
use super::{Diagnostic, source};

/// A value with its place.
pub type Node = Spanned<Value>;

/// A TOML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A date or time, which no setting takes.
    Datetime(String),
    /// A list.
    Array(Vec<Node>),
    /// Named values.
    Table(Table),
}

impl Value {
    /// What messages call it: `the string "x"`, `the integer 3`.
    pub fn found(&self) -> String {
        match self {
            Value::String(s) if s.chars().count() <= 30 && !s.contains('\n') => format!("the string \"{s}\""),
            Value::String(_) => "a string".to_owned(),
            Value::Integer(i) => format!("the integer {i}"),
            Value::Float(x) => format!("the number {x}"),
            Value::Boolean(b) => format!("the boolean {b}"),
            Value::Datetime(d) => format!("the date {d}"),
            Value::Array(_) => "an array".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

/// Named values in the order written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Keys and values.
    pub entries: Vec<(Spanned<String>, Node)>,
}

impl Table {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(k, _)| k.value == key).map(|(_, v)| v)
    }

    /// Key and value of `key`.
    pub fn entry(&self, key: &str) -> Option<&(Spanned<String>, Node)> {
        self.entries.iter().find(|(k, _)| k.value == key)
    }

    /// Sets `key`, in its old place if it has one.
    pub fn set(&mut self, key: Spanned<String>, node: Node) {
        match self.entries.iter_mut().find(|(k, _)| k.value == key.value) {
            Some(entry) => *entry = (key, node),
            None => self.entries.push((key, node)),
        }
    }
}

/// Parses the text of source `index`.
///
/// # Errors
/// All syntax errors at once, at most one a line.
pub fn parse(sources: &Sources, index: usize) -> Result<Table, Vec<Diagnostic>> {
    let Some(source) = sources.get(index) else { return Ok(Table::default()) };
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut errors: Vec<(std::ops::Range<usize>, String)> =
        errors.iter().map(|e| (e.span().unwrap_or(0..0), e.message().to_owned())).collect();
    if errors.is_empty() {
        let mut broken = Vec::new();
        let table = own_table(table.get_ref(), index, 0, &mut broken);
        let diagnostics: Vec<Diagnostic> =
            broken.into_iter().map(|(span, message, help)| sources.diagnostic(span, message, help)).collect();
        return if diagnostics.is_empty() { Ok(table) } else { Err(diagnostics) };
    }
    errors.sort_by_key(|(span, _)| (span.start, span.end));
    let mut lines = Vec::new();
    let mut diagnostics = Vec::new();
    for (span, message) in errors {
        if let Some((place, bracket)) = open_bracket(&source.text, span.start) {
            let (what, close) = if bracket == '[' { ("array", ']') } else { ("table", '}') };
            diagnostics.push(sources.diagnostic(
                Span::new(index, place..place + 1),
                format!("not valid TOML: this {what} is not closed"),
                format!("close it with {close}"),
            ));
            // All that follows was read as part of it.
            break;
        }
        let (line, _, _) = source::locate(&source.text, span.start);
        if !lines.contains(&line) {
            lines.push(line);
            let (message, help) = explain(&source.text, &span, &message);
            diagnostics.push(sources.diagnostic(Span::new(index, span), message, help));
        }
    }
    Err(diagnostics)
}

/// Parses one value, the bytes from `start` of source `index`.
///
/// # Errors
/// The first syntax error.
pub fn parse_value(sources: &Sources, index: usize, start: usize) -> Result<Node, Diagnostic> {
    let text = sources.get(index).map_or("", |s| &s.text[start..]);
    let (value, errors) = DeValue::parse_recoverable(text);
    if let Some(error) = errors.first() {
        let span = error.span().unwrap_or(0..0);
        let (message, help) = explain(text, &span, error.message());
        let span = Span::new(index, span.start + start..span.end + start);
        return Err(sources.diagnostic(span, message, help));
    }
    let mut broken = Vec::new();
    let node = own(value.get_ref(), value.span(), index, start, &mut broken);
    match broken.into_iter().next() {
        Some((span, message, help)) => Err(sources.diagnostic(span, message, help)),
        None => Ok(node),
    }
}

/// The bracket that is open where a line begins, if `at` is there (or at the end of the text): it was left open on an
/// earlier line. Strings and comments are skipped.
fn open_bracket(text: &str, at: usize) -> Option<(usize, char)> {
    let before = text.get(..at)?;
    let line = before.rfind('\n').map_or(0, |n| n + 1);
    if !text[line..at].trim().is_empty() && !text[at..].trim().is_empty() {
        return None;
    }
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut rest = 0;
    while rest < at {
        let tail = &text[rest..];
        let c = tail.chars().next()?;
        let mut length = c.len_utf8();
        match c {
            '#' => length = tail.find('\n').unwrap_or(tail.len()),
            '"' | '\'' => {
                let triple: String = std::iter::repeat_n(c, 3).collect();
                length = if tail.starts_with(&triple) {
                    tail[3..].find(&triple).map_or(tail.len(), |end| end + 6)
                } else {
                    string_length(tail, c)
                };
            }
            '[' | '{' => open.push((rest, c)),
            ']' | '}' => drop(open.pop()),
            _ => {}
        }
        rest += length;
    }
    let (place, bracket) = open.pop()?;
    (place < line || text[at..].trim().is_empty()).then_some((place, bracket))
}

/// Bytes of a one-line string with its quotes; it ends with its line at the latest.
fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            '\\' if quote == '"' && !escaped => escaped = true,
            c if c == quote && !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}

/// A syntax error in the user's words, with a remedy.
fn explain(text: &str, span: &std::ops::Range<usize>, message: &str) -> (String, String) {
    let under = text.get(span.clone()).unwrap_or("");
    let bare = message.split(", expected").next().unwrap_or(message);
    let (what, help) = match bare {
        "duplicate key" => (format!("`{under}` is given twice"), "keep one of the two".to_owned()),
        "string values must be quoted" if under.trim().is_empty() => {
            ("the value is missing".to_owned(), "write key = value".to_owned())
        }
        "string values must be quoted" | "invalid boolean" => (
            format!("`{under}` is not a value"),
            format!("quote text: \"{under}\"; booleans are true and false"),
        ),
        "key with no value" => ("this key has no value".to_owned(), "write key = value".to_owned()),
        "unclosed array" => ("this array is not closed".to_owned(), "close it with ]".to_owned()),
        "unclosed table" => ("this header is not closed".to_owned(), "write [name]".to_owned()),
        "unclosed array table" => ("this header is not closed".to_owned(), "write [[name]]".to_owned()),
        "unclosed inline table" => ("this table is not closed".to_owned(), "close it with }".to_owned()),
        "invalid basic string" | "invalid literal string" => (
            "this text is not closed".to_owned(),
            "close it with the quote it begins with, on the same line".to_owned(),
        ),
        "invalid multi-line basic string" | "invalid multi-line literal string" => (
            "this text of several lines is not closed".to_owned(),
            "close it with the three quotes it begins with".to_owned(),
        ),
        "missing escaped value" => (
            "a backslash in \"…\" begins an escape, and this is none".to_owned(),
            "write \\\\ for a backslash, or the text in single quotes '…'".to_owned(),
        ),
        "invalid mantissa"
        | "invalid fraction"
        | "invalid exponent"
        | "invalid float"
        | "invalid integer number"
        | "unexpected leading zero"
        | "`_` may only go between digits" => (
            "this is not how TOML writes a number".to_owned(),
            "write digits on both sides of the point and no leading zeros: 0.5, 5.0, 1e-3".to_owned(),
        ),
        "invalid unquoted key" => (
            format!("`{under}` cannot stand in a bare key"),
            "bare keys have letters, digits, - and _, and = follows; quote other keys: \"µ\" = 1".to_owned(),
        ),
        "unexpected key or value" => (
            "something is left over after the value".to_owned(),
            "one key = value a line; text with spaces is quoted".to_owned(),
        ),
        _ if bare.starts_with("cannot extend value") => {
            (bare.to_owned(), "it has a value already; make it a table, or choose another name".to_owned())
        }
        _ => (
            message.to_owned(),
            "a study is TOML: [section] headers, key = value lines, text in quotes".to_owned(),
        ),
    };
    (format!("not valid TOML: {what}"), help)
}

/// Most bytes of a key: names become those of groups in the output.
const LONGEST_KEY: usize = 200;

type Broken = Vec<(Span, String, &'static str)>;

fn own_table(table: &DeTable<'_>, source: usize, start: usize, broken: &mut Broken) -> Table {
    let shift = |range: std::ops::Range<usize>| Span::new(source, range.start + start..range.end + start);
    let entries = table
        .iter()
        .map(|(key, value)| {
            if key.get_ref().len() > LONGEST_KEY {
                let message = format!("this key has {} bytes", key.get_ref().len());
                broken.push((shift(key.span()), message, "keys and names have at most 200"));
            }
            let name = Spanned::new(key.get_ref().clone().into_owned(), shift(key.span()));
            (name, own(value.get_ref(), value.span(), source, start, broken))
        })
        .collect();
    Table { entries }
}

fn own(
    value: &DeValue<'_>,
    range: std::ops::Range<usize>,
    source: usize,
    start: usize,
    broken: &mut Broken,
) -> Node {
    let span = Span::new(source, range.start + start..range.end + start);
    let value = match value {
        DeValue::String(s) => Value::String(s.clone().into_owned()),
        DeValue::Boolean(b) => Value::Boolean(*b),
        DeValue::Datetime(d) => Value::Datetime(d.to_string()),
        DeValue::Integer(i) => {
            let whole = i64::from_str_radix(i.as_str(), i.radix());
            if whole.is_err() {
                broken.push((span, format!("{i} is too large an integer"), "integers go up to 2^63 - 1; a seed beyond is text, as in seed = \"18446744073709551615\""));
            }
            Value::Integer(whole.unwrap_or(0))
        }
        DeValue::Float(f) => match f.as_str().parse::<f64>() {
            Ok(x) if x.is_finite() || f.as_str().contains("inf") || f.as_str().contains("nan") => {
                Value::Float(x)
            }
            _ => {
                broken.push((
                    span,
                    format!("{} is too large a number", f.as_str()),
                    "numbers go up to 1.79e308",
                ));
                Value::Float(0.0)
            }
        },
        DeValue::Array(list) => {
            Value::Array(list.iter().map(|e| own(e.get_ref(), e.span(), source, start, broken)).collect())
        }
        DeValue::Table(table) => Value::Table(own_table(table, source, start, broken)),
    };
    Spanned::new(value, span)
}

//! Texts that a study comes from, and places in them.

use std::ops::Range;

use super::Diagnostic;
use super::diagnostics::bounded;

/// A place: bytes `start .. end` of one of the [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Index into [`Sources`].
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Bytes `range` of source `source`.
    pub fn new(source: usize, range: Range<usize>) -> Self {
        Self { source, start: range.start, end: range.end.max(range.start) }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value` at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A text with the name that messages show for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A file's path, or `--set K=V`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// The study file (first) and the overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    list: Vec<Source>,
    /// Where the lines of each begin: places are asked for as often as there are claims and errors.
    lines: Vec<Vec<usize>>,
}

impl Sources {
    /// Adds a text and returns its index.
    pub fn push(&mut self, name: impl Into<String>, text: impl Into<String>) -> usize {
        let text = text.into();
        let begins = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.lines.push(begins);
        self.list.push(Source { name: name.into(), text });
        self.list.len() - 1
    }

    /// Source `index`.
    pub fn get(&self, index: usize) -> Option<&Source> {
        self.list.get(index)
    }

    /// The text at a place, empty where the place is not in a text.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source).and_then(|s| s.text.get(span.start..span.end)).unwrap_or("")
    }

    /// Line of a place, from 1; 0 where there is no text.
    pub fn line(&self, span: Span) -> usize {
        self.locate(span.source, span.start).map_or(0, |place| place.0)
    }

    /// As [`locate`].
    fn locate(&self, source: usize, offset: usize) -> Option<(usize, usize, usize)> {
        let (text, begins) = (&self.get(source)?.text, self.lines.get(source)?);
        let offset = on_a_line(text, offset);
        let line = begins.partition_point(|&begin| begin <= offset).max(1);
        let begin = begins[line - 1];
        Some((line, text[begin..offset].chars().count() + 1, begin))
    }

    /// A message about a place.
    pub fn diagnostic(&self, span: Span, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        match self.get(span.source) {
            Some(source) => {
                let place = self.locate(span.source, span.start).unwrap_or((1, 1, 0));
                at_place(&source.name, &source.text, span.start..span.end, place, message, help)
            }
            None => Diagnostic::whole("", message, help),
        }
    }

    /// The key of the value at `value`, as in `key = value`; the value itself where no key stands before it.
    pub fn key_of(&self, value: Span) -> Span {
        let Some(source) = self.get(value.source) else { return value };
        let before = source.text.get(..value.start).unwrap_or("").trim_end_matches([' ', '\t']);
        let Some(before) = before.strip_suffix('=') else { return value };
        let key = before.trim_end_matches([' ', '\t']);
        let bare = key.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if bare.len() == key.len() {
            return value;
        }
        Span { source: value.source, start: bare.len(), end: key.len() }
    }

    /// The place of bytes `inside` of the *decoded* TOML string written at `span` (quotes included): escapes, line
    /// continuations and the newline after an opening `"""` are followed. A bare word (of `--set`) is its own text.
    pub fn inside(&self, span: Span, decoded: &str, inside: Range<usize>) -> Span {
        let raw = self.slice(span);
        let Some(map) = string_map(raw, decoded) else { return span };
        let start = map[inside.start.min(decoded.len())];
        let end = if inside.end > inside.start { map[inside.end.min(decoded.len())] } else { start };
        Span { source: span.source, start: span.start + start, end: span.start + end.max(start) }
    }
}

/// A message about bytes `range` of `text`, a file called `name`.
pub(crate) fn at(
    name: &str,
    text: &str,
    range: Range<usize>,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Diagnostic {
    let place = locate(text, range.start);
    at_place(name, text, range, place, message, help)
}

fn at_place(
    name: &str,
    text: &str,
    range: Range<usize>,
    (line, column, start): (usize, usize, usize),
    message: impl Into<String>,
    help: impl Into<String>,
) -> Diagnostic {
    let content = text[start..].split('\n').next().unwrap_or("");
    let content = content.strip_suffix('\r').unwrap_or(content);
    let from = floor(text, range.start).clamp(start, start + content.len());
    let to = floor(text, range.end).clamp(from, start + content.len());
    Diagnostic {
        message: bounded(message.into()),
        file: name.to_owned(),
        line,
        column,
        excerpt: Some(content.to_owned()),
        length: text[from..to].chars().count().max(1),
        help: bounded(help.into()),
    }
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Line and column (from 1, in characters) of a byte, and the byte where its line starts. The end of a text that ends
/// in a newline belongs to its last line.
pub(crate) fn locate(text: &str, offset: usize) -> (usize, usize, usize) {
    let offset = on_a_line(text, offset);
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1, start)
}

/// A byte that belongs to a line: a character's first, and none behind the last newline.
fn on_a_line(text: &str, offset: usize) -> usize {
    let mut offset = floor(text, offset);
    if offset == text.len() && text.ends_with('\n') {
        offset -= 1;
        if text[..offset].ends_with('\r') {
            offset -= 1;
        }
    }
    offset
}

/// For every byte of the decoded string (and its end), the byte of the TOML token it comes from. `None` where the token
/// does not decode to `decoded`.
fn string_map(raw: &str, decoded: &str) -> Option<Vec<usize>> {
    if raw == decoded {
        return Some((0..=decoded.len()).collect());
    }
    let (quote, literal) = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|q| raw.starts_with(q) && raw.len() >= 2 * q.len())
        .map(|q| (q, q.starts_with('\'')))?;
    let body_end = raw.len() - quote.len();
    let mut at = quote.len();
    if quote.len() == 3 {
        let rest = &raw[at..];
        at += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    let mut map = Vec::with_capacity(decoded.len() + 1);
    let mut text = String::with_capacity(decoded.len());
    while at < body_end {
        let c = raw[at..].chars().next()?;
        let (value, length) = if c == '\\' && !literal {
            let escape = raw[at + 1..].chars().next()?;
            match escape {
                'b' => (Some('\u{8}'), 2),
                't' => (Some('\t'), 2),
                'n' => (Some('\n'), 2),
                'f' => (Some('\u{c}'), 2),
                'r' => (Some('\r'), 2),
                'e' => (Some('\u{1b}'), 2),
                '"' | '\\' => (Some(escape), 2),
                'x' | 'u' | 'U' => {
                    let digits = match escape {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let hex = raw.get(at + 2..at + 2 + digits)?;
                    (Some(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?), 2 + digits)
                }
                _ => {
                    let rest = &raw[at + 1..body_end];
                    (None, 1 + rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len())
                }
            }
        } else if c == '\r' && raw[at..].starts_with("\r\n") && !decoded.contains('\r') {
            (Some('\n'), 2)
        } else {
            (Some(c), c.len_utf8())
        };
        if let Some(value) = value {
            map.extend(std::iter::repeat_n(at, value.len_utf8()));
            text.push(value);
        }
        if length == 0 {
            return None;
        }
        at += length;
    }
    map.push(body_end);
    (text == decoded).then_some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(raw: &str, decoded: &str, find: &str) -> String {
        let mut sources = Sources::default();
        sources.push("s", raw);
        let start = decoded.find(find).unwrap();
        let span = sources.inside(Span::new(0, 0..raw.len()), decoded, start..start + find.len());
        sources.slice(span).to_owned()
    }

    #[test]
    fn places_inside_strings_survive_escapes_and_continuations() {
        assert_eq!(place(r#""u*\u0077 - y""#, "u*w - y", "y"), "y");
        assert_eq!(place(r#""u*\u0077 - y""#, "u*w - y", "w"), r"\u0077");
        assert_eq!(place("'''\nh = u\nh^2'''", "h = u\nh^2", "h^2"), "h^2");
        assert_eq!(place("\"\"\"a + \\\n    b\"\"\"", "a + b", "b"), "b");
        assert_eq!(place("\"\"\"\r\na\r\nbc\"\"\"", "a\nbc", "bc"), "bc");
        assert_eq!(place("bare", "bare", "re"), "re");
    }

    #[test]
    fn keys_stand_before_their_values() {
        let text = "a = { weight_decay =1e-4 }\n\"q\" = 3";
        let mut sources = Sources::default();
        sources.push("s", text);
        let key = |value: &str| {
            let start = text.find(value).unwrap();
            sources.slice(sources.key_of(Span::new(0, start..start + value.len()))).to_owned()
        };
        assert_eq!((key("1e-4"), key("{"), key("3")), ("weight_decay".into(), "a".into(), "3".into()));
    }

    #[test]
    fn lines_are_found_as_by_counting() {
        for text in ["", "\n", "ab\ncd\n", "ab\r\n\r\nµ = x\r\n", "µ\n\nη", "no end"] {
            let mut sources = Sources::default();
            sources.push("s", text);
            for offset in 0..text.len() + 2 {
                assert_eq!(sources.locate(0, offset), Some(locate(text, offset)), "{text:?} at {offset}");
            }
        }
    }

    #[test]
    fn the_end_of_the_text_is_on_its_last_line() {
        assert_eq!(locate("ab\ncd\n", 6), (2, 3, 3));
        assert_eq!(locate("", 0), (1, 1, 0));
        assert_eq!(locate("µ = x", 3), (1, 3, 0));
        assert_eq!(locate("\n", 1), (1, 1, 0));
    }
}

//! Standard output and error: what they can show, and what happens when nobody reads.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use super::outcome::{Failure, tag};
use crate::report::Style;
use crate::study::printable::{commands, escape, printable};

/// What standard output can show. `NO_COLOR` and `TERM=dumb` switch colours off, `CLICOLOR_FORCE` switches them on
/// where there is no terminal (no-color.org, bixense.com/clicolors).
pub(super) fn style() -> Style {
    let terminal = io::stdout().is_terminal();
    let mut style = Style { colour: colours(terminal), ..Style::default() };
    if terminal && let Some((terminal_size::Width(columns), _)) = terminal_size::terminal_size() {
        style.width = usize::from(columns).clamp(40, 200);
    }
    style
}

/// Standard error shows colours.
pub(super) fn colour_on_stderr() -> bool {
    colours(io::stderr().is_terminal())
}

fn colours(terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if set("NO_COLOR") {
        return false;
    }
    set("CLICOLOR_FORCE") || terminal && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}

/// Writes data to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let text = harmless(text, style().colour);
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| failed(&error))
}

/// Writes one JSON document to standard output.
pub(super) fn print_json(document: &Value) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    write_json(&mut out, document)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .map_err(|error| failed(&error))
}

fn write_json(out: &mut impl Write, document: &Value) -> io::Result<()> {
    document.serialize(&mut Serializer::with_formatter(out, Harmless)).map_err(io::Error::from)
}

/// JSON as serde writes it, with everything escaped that a terminal would obey: serde escapes the controls of ASCII alone.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut from = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| commands(*c)) {
            CompactFormatter.write_string_fragment(writer, &fragment[from..at])?;
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            from = at + c.len_utf8();
        }
        CompactFormatter.write_string_fragment(writer, &fragment[from..])
    }
}

fn failed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
        _ => Failure::run(format!("cannot write to standard output: {error}"), ""),
    }
}

/// A message to standard error; that nobody reads it is no reason to fail.
pub(super) fn tell(text: &str) {
    let text = harmless(text, colour_on_stderr());
    io::stderr().lock().write_all(text.as_bytes()).ok();
}

/// A warning to standard error.
pub(super) fn warn(text: &str) {
    tell(&format!("{} {}\n", tag("warning:", "1;33", colour_on_stderr()), printable(text)));
}

/// The last gate before a terminal, whatever was forgotten on the way: of all that a terminal obeys, line feeds and tabs pass, and, with
/// `colours`, the sequences of our own style; the rest is escaped.
fn harmless(text: &str, colours: bool) -> Cow<'_, str> {
    let ours = |c: char| c == '\n' || c == '\t';
    if !text.contains(|c: char| commands(c) && !ours(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if colours { style_sequence(rest) } else { 0 };
        if length > 0 {
            out.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        if commands(c) && !ours(c) {
            escape(c, &mut out);
        } else {
            out.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(out)
}

/// Bytes of the sequence of our style (colours, bold, dim, underlined and their ends) that the text begins with; 0 if with none.
fn style_sequence(text: &str) -> usize {
    let Some(codes) = text.strip_prefix("\u{1b}[") else { return 0 };
    let Some(end) = codes.find(|c: char| c != ';' && !c.is_ascii_digit()) else { return 0 };
    let known = |code: &str| {
        matches!(code, "0" | "1" | "2" | "4" | "22" | "24" | "39")
            || matches!(code.as_bytes(), [b'3', b'1'..=b'6'])
    };
    if codes[end..].starts_with('m') && codes[..end].split(';').all(known) { 2 + end + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_gate_lets_our_own_style_pass_and_nothing_else() {
        let painted = "\u{1b}[32mok\u{1b}[39m\n\t\u{1b}[1;31mno\u{1b}[0m";
        assert_eq!(harmless(painted, true), painted);
        assert_eq!(harmless(painted, false), painted.replace('\u{1b}', r"\u001b"));
        for bad in [
            "\u{1b}]0;x\u{7}",
            "\u{1b}[2J",
            "\u{1b}[8m",
            "\u{1b}[m",
            "\u{1b}[1",
            "\u{9b}31m",
            "\u{202e}",
            "\r",
            "\u{8}",
        ] {
            let shown = harmless(bad, true);
            assert!(!shown.contains(commands), "{bad:?}: {shown:?}");
        }
    }

    #[test]
    fn json_keeps_its_meaning_and_gives_no_orders() {
        let document = serde_json::json!({ "a\u{1b}\"": "\u{9b}31m\u{202e}\u{e0041}\n\\ η" });
        let mut out = Vec::new();
        write_json(&mut out, &document).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains(commands) && text.contains('η'), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}

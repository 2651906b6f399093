//! What a user or a file says, as it may reach a terminal: characters that a terminal obeys, or that turn the text around them, are
//! written as escapes.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with every control character (C0, DEL, C1: ECMA-48), line separator, and control of direction or language (Unicode 16,
/// section 23.2 and UAX #9) written as TOML writes it, `\u001b`.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if commands(c) {
            escape(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// True of a character that is an order to the terminal rather than text.
pub fn commands(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends the escape of a character, as a basic string of TOML has it.
pub fn escape(c: char, out: &mut String) {
    let written = match c {
        '\n' => out.write_str("\\n"),
        '\t' => out.write_str("\\t"),
        '\r' => out.write_str("\\r"),
        c if c <= '\u{ffff}' => write!(out, "\\u{:04x}", u32::from(c)),
        c => write!(out, "\\U{:08x}", u32::from(c)),
    };
    debug_assert!(written.is_ok(), "a String takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_escaped_and_text_is_not() {
        assert_eq!(printable("η̂ = 0.1, naïve, 漢字, 👩‍🔬"), "η̂ = 0.1, naïve, 漢字, 👩‍🔬");
        assert_eq!(printable("a\u{1b}]0;b\u{7}\u{9b}31m\u{7f}"), r"a\u001b]0;b\u0007\u009b31m\u007f");
        assert_eq!(printable("a\nb\tc\rd\u{0}"), r"a\nb\tc\rd\u0000");
        assert_eq!(
            printable("\u{202e}cba\u{2066}\u{2069}\u{2028}\u{e0041}"),
            r"\u202ecba\u2066\u2069\u2028\U000e0041"
        );
    }
}

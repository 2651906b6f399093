//! Messages about a study: what is wrong, where, and how to mend it.

use owo_colors::{OwoColorize, Style};
use unicode_width::UnicodeWidthChar;

use super::printable::{commands, printable};

/// Columns of a terminal that an excerpt may take; longer lines are cut around the caret.
const EXCERPT_WIDTH: usize = 110;

/// One thing wrong with a study (or with the table it reads, or a `--set`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// The file as named on the command line, a table's path, or `--set K=V`.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The line itself; `None` where there is nothing to show (the file cannot be read).
    pub excerpt: Option<String>,
    /// Characters under the caret, at least 1.
    pub length: usize,
    /// How to mend it.
    pub help: String,
}

impl Diagnostic {
    /// A message about a file as a whole.
    pub fn whole(file: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: bounded(message.into()),
            file: file.into(),
            line: 1,
            column: 1,
            excerpt: None,
            length: 1,
            help: bounded(help.into()),
        }
    }

    /// The message as people read it, ending in a newline:
    /// ```text
    /// error: minibatch larger than the table
    ///   --> ridge.toml:14:9
    ///    |
    /// 14 | batch = 512
    ///    |         ^^^
    /// help: choose a batch of at most 256
    /// ```
    /// `styled` adds colours (ANSI); what a terminal would obey is escaped, and a mark in the excerpt.
    pub fn render(&self, styled: bool) -> String {
        let paint = |text: &str, style: Style| {
            if styled { text.style(style).to_string() } else { text.to_owned() }
        };
        let (red, blue, cyan, bold) = (
            Style::new().red().bold(),
            Style::new().blue().bold(),
            Style::new().cyan().bold(),
            Style::new().bold(),
        );
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let mut out = format!("{} {}\n", paint("error:", red), paint(&printable(&self.message), bold));
        out.push_str(&format!(
            "{gutter}{} {}:{}:{}\n",
            paint("-->", blue),
            printable(&self.file),
            self.line,
            self.column
        ));
        if let Some(excerpt) = &self.excerpt {
            let (line, before, under) = clip(excerpt, self.column - 1, self.length);
            let bar = paint("|", blue);
            out.push_str(&format!("{gutter} {bar}\n{} {bar} {line}\n", paint(&number, blue)));
            out.push_str(&format!("{gutter} {bar} {before}{}\n", paint(&"^".repeat(under), red)));
        }
        out.push_str(&format!("{} {}\n", paint("help:", cyan), printable(&self.help)));
        out
    }

    /// The members of `error` in the design's JSON: message, file, line, column, help.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "help": self.help,
        })
    }
}

impl std::fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            f.write_str(&diagnostic.render(false))?;
        }
        Ok(())
    }
}

/// Several messages, plain, with an empty line between them.
pub struct Rendered<'a>(pub &'a [Diagnostic]);

/// Most bytes of a word of a message, and of a message.
const WORD: usize = 160;
const MESSAGE: usize = 4000;

/// A message with long words, which are quotations, cut in their middle; and of a length that can be read.
pub(super) fn bounded(text: String) -> String {
    if text.len() <= WORD {
        return text;
    }
    let out = text.split(' ').map(|word| cut(word, WORD)).collect::<Vec<_>>().join(" ");
    if out.len() > MESSAGE { cut(&out, MESSAGE) } else { out }
}

/// The first and the last part of a text that is longer than so many bytes.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (head, tail) = (end(most * 3 / 4), end(text.len() - most / 8));
    format!("{} … {}", &text[..head], &text[tail..])
}

/// The part of a line that is shown, what stands before the carets (tabs kept, so that both lines align whatever a tab's
/// width), and the number of carets.
fn clip(line: &str, skip: usize, length: usize) -> (String, String, usize) {
    let shown: Vec<char> =
        line.chars().map(|c| if commands(c) && c != '\t' { '\u{fffd}' } else { c }).collect();
    let width = |c: &char| if *c == '\t' { 4 } else { c.width().unwrap_or(0) };
    let total: usize = shown.iter().map(width).sum();
    let skip = skip.min(shown.len());
    let mut first = 0;
    let mut last = shown.len();
    if total > EXCERPT_WIDTH {
        first = skip;
        let mut room = EXCERPT_WIDTH / 2;
        while first > 0 && room >= width(&shown[first - 1]) {
            first -= 1;
            room -= width(&shown[first]);
        }
        last = first;
        room = EXCERPT_WIDTH;
        while last < shown.len() && room >= width(&shown[last]) {
            room -= width(&shown[last]);
            last += 1;
        }
        // The place must stay in sight whatever the widths around it.
        last = last.max((skip + 1).min(shown.len()));
    }
    let mut text = String::new();
    let mut before = String::new();
    if first > 0 {
        text.push('…');
        before.push(' ');
    }
    text.extend(&shown[first..last]);
    if last < shown.len() {
        text.push('…');
    }
    for c in &shown[first..skip] {
        if *c == '\t' {
            before.push('\t');
        } else {
            before.push_str(&" ".repeat(width(c)));
        }
    }
    let under: usize = shown[skip..last.min(skip + length).max(skip)].iter().map(width).sum();
    (text, before, under.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(excerpt: &str, column: usize, length: usize) -> Diagnostic {
        Diagnostic {
            message: "wrong".into(),
            file: "a.toml".into(),
            line: 14,
            column,
            excerpt: Some(excerpt.into()),
            length,
            help: "mend it".into(),
        }
    }

    #[test]
    fn reads_as_the_design_says() {
        assert_eq!(
            sample("batch = 512", 9, 3).render(false),
            "error: wrong\n  --> a.toml:14:9\n   |\n14 | batch = 512\n   |         ^^^\nhelp: mend it\n"
        );
        assert_eq!(
            Diagnostic::whole("a.toml", "gone", "make it").render(false),
            "error: gone\n --> a.toml:1:1\nhelp: make it\n"
        );
    }

    #[test]
    fn what_a_message_quotes_is_bounded() {
        let long = "η".repeat(1_000_000);
        let text = bounded(format!("unknown key `{long}` in [run]"));
        assert!(
            text.len() < 400 && text.starts_with("unknown key `ηη") && text.ends_with("` in [run]"),
            "{text}"
        );
        assert!(bounded(long).len() < MESSAGE + 100);
        assert_eq!(bounded("short `x`".into()), "short `x`");
        let prose = "a sentence of words, and another; ".repeat(20);
        assert_eq!(bounded(prose.clone()), prose);
        assert!(bounded(prose.repeat(100)).len() < MESSAGE + 100);
    }

    #[test]
    fn carets_align_under_wide_characters_and_tabs() {
        let text = sample("\t漢字 = µ", 6, 1).render(false);
        assert!(text.contains("\n   | \t     ^\n") || text.contains("\n   | \t    "), "{text}");
        let caret = text.lines().find(|l| l.ends_with('^')).unwrap();
        assert_eq!(caret, "   | \t       ^".replace("       ", &" ".repeat(2 + 2 + 1 + 1)));
        assert!(sample("x = '漢字'", 6, 2).render(false).contains("|      ^^^^\n"));
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let line = format!("x = [{}oops]", "1.0, ".repeat(100));
        let column = line.find("oops").unwrap() + 1;
        let text = sample(&line, column, 4).render(false);
        let lines: Vec<&str> = text.lines().collect();
        let at = lines[4].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[3].chars().skip(at).take(4).collect::<String>(), "oops");
        assert!(lines[3].chars().count() < 130);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut one = sample("x = \u{1b}[31m\u{202e}", 5, 1);
        one.message.push_str("\u{1b}]0;a\u{7}");
        one.file.push_str("\u{9b}2J");
        one.help.push('\u{202e}');
        let text = one.render(false);
        assert!(!text.contains(|c| commands(c) && c != '\n'), "{text:?}");
        assert!(
            text.contains(r"wrong\u001b]0;a\u0007") && text.contains("x = \u{fffd}[31m\u{fffd}"),
            "{text}"
        );
    }
}

//! Standard output and error: what they can show, and what happens when nobody reads.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::outcome::{Failure, tag};
use crate::report::Style;

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
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| failed(&error))
}

/// Writes one JSON document to standard output.
pub(super) fn print_json(document: &Value) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer(&mut out, document)
        .map_err(io::Error::from)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
        .map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
        _ => Failure::run(format!("cannot write to standard output: {error}"), ""),
    }
}

/// A message to standard error; that nobody reads it is no reason to fail.
pub(super) fn tell(text: &str) {
    io::stderr().lock().write_all(text.as_bytes()).ok();
}

/// A warning to standard error.
pub(super) fn warn(text: &str) {
    tell(&format!("{} {text}\n", tag("warning:", "1;33", colour_on_stderr())));
}

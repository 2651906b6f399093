//! A run that the machine cannot hold: refused before it begins where that can be known, and told of where it cannot.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use super::outcome::Failure;
use crate::lanes::memory::{self, Refusal};
use crate::report::bytes;

static IN_JSON: AtomicBool = AtomicBool::new(false);

const HELP: &str =
    "lower `replicas`, `record`, `trajectories` or the sizes of the model, or run where there is more";

/// From now on a request for memory that cannot be granted ends the program with a message and exit code 3.
pub(super) fn watch(json: bool) {
    IN_JSON.store(json, Ordering::Relaxed);
    memory::on_refusal(refused);
}

/// Refuses what needs more bytes beside those held already.
pub(super) fn within(needed: u64) -> Result<(), Failure> {
    match memory::allowance() {
        Some(allowance) if needed.saturating_add(memory::live()) > allowance.bytes => Err(Failure::run(
            format!(
                "the run needs {} of memory, more than the {} {}",
                bytes(needed),
                bytes(allowance.bytes),
                allowance.by.words()
            ),
            HELP,
        )),
        _ => Ok(()),
    }
}

/// A text of bounded length, where nothing can be asked for.
struct Line {
    text: [u8; 1024],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.text.len() - self.len;
        let part = &text.as_bytes()[..text.len().min(room)];
        self.text[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
        Ok(())
    }
}

/// Bytes in a unit that suits them.
struct Amount(u64);

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let x = self.0 as f64;
        match self.0 {
            0..1_000_000 => write!(f, "{:.1} kB", x * 1e-3),
            1_000_000..1_000_000_000 => write!(f, "{:.1} MB", x * 1e-6),
            1_000_000_000..1_000_000_000_000 => write!(f, "{:.1} GB", x * 1e-9),
            _ => write!(f, "{:.1} TB", x * 1e-12),
        }
    }
}

/// The message, without a new piece of memory.
fn said(refusal: &Refusal, json: bool) -> Line {
    let mut line = Line { text: [0; 1024], len: 0 };
    let (before, between, after) = if json {
        (
            "{\"format\":1,\"error\":{\"message\":\"",
            "\",\"file\":null,\"line\":null,\"column\":null,\"help\":\"",
            "\"}}\n",
        )
    } else {
        ("error: ", "\nhelp: ", "\n")
    };
    let held = Amount(refusal.held);
    let asked = Amount(refusal.asked);
    // A Line takes every text.
    let _written = match refusal.allowance {
        Some(allowance) => write!(
            line,
            "{before}out of memory: {asked} asked for beside {held}, more than the {} {}{between}{HELP}{after}",
            Amount(allowance.bytes),
            allowance.by.words()
        ),
        None => write!(
            line,
            "{before}out of memory: the system does not give {asked} beside the {held} held already{between}{HELP}{after}"
        ),
    }
    .is_ok();
    line
}

/// Tells of it and ends the program, from inside the allocator: nothing may be asked for, and no lock waited for.
#[cfg(unix)]
#[allow(unsafe_code, reason = "the only way to end from inside an allocator")]
fn refused(refusal: Refusal) {
    let json = IN_JSON.load(Ordering::Relaxed);
    let line = said(&refusal, json);
    // SAFETY: writes the bytes of a line that outlives the call, and ends.
    unsafe {
        libc::write(if json { 1 } else { 2 }, line.text.as_ptr().cast(), line.len);
        libc::_exit(3);
    }
}

#[cfg(not(unix))]
fn refused(refusal: Refusal) {
    let json = IN_JSON.load(Ordering::Relaxed);
    let line = said(&refusal, json);
    super::terminal::tell(std::str::from_utf8(&line.text[..line.len]).unwrap_or("out of memory\n"));
    #[allow(clippy::exit, reason = "there is no memory to return with")]
    std::process::exit(3);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::memory::{Allowance, Bound};

    #[test]
    fn more_than_the_machine_has_is_refused() {
        assert!(within(0).is_ok());
        if memory::allowance().is_some() {
            assert_eq!(within(u64::MAX).map_err(|f| f.code()), Err(3));
        }
    }

    #[test]
    fn the_last_words_have_the_numbers_and_are_json_where_asked() {
        let refusal = |allowance| Refusal { asked: 51_200_000_000, held: 1_500_000, allowance };
        let by = refusal(Some(Allowance { bytes: 2_000_000_000, by: Bound::AddressSpace }));
        let text = |line: Line| String::from_utf8(line.text[..line.len].to_vec()).unwrap();
        let shown = text(said(&by, false));
        assert!(
            shown.starts_with("error: out of memory: 51.2 GB asked for beside 1.5 MB, more than the 2.0 GB"),
            "{shown}"
        );
        for json in [said(&by, true), said(&refusal(None), true)] {
            let json: serde_json::Value = serde_json::from_str(&text(json)).unwrap();
            assert!(
                json["error"]["message"].as_str().unwrap().contains("51.2 GB")
                    && json["error"]["help"].is_string()
            );
        }
    }
}

//! Ctrl-C (and the signals that ask a process to end): once to stop at the next safe point, twice to stop at once.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use super::terminal;

static STOP: AtomicBool = AtomicBool::new(false);
static INSTALLED: Once = Once::new();

/// Set by the first signal. Installs the handler, once; without one, a signal ends the process as it always does.
pub(super) fn watch() -> &'static AtomicBool {
    INSTALLED.call_once(install);
    &STOP
}

fn install() {
    let installed = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            end_at_once();
        }
        terminal::tell("\nstopping at the next safe point; once more to stop at once\n");
    });
    if let Err(error) = installed {
        terminal::warn(&format!("Ctrl-C will end the run without saving it: {error}"));
    }
}

#[allow(clippy::exit, reason = "the user asked twice; the file holds what was committed")]
fn end_at_once() {
    std::process::exit(130);
}

//! Ctrl-C (and the other signals that would end a process): once to stop at the next safe point, twice to stop at once.

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
    if let Err(error) = handle() {
        terminal::warn(&format!("Ctrl-C will end the run without saving it: {error}"));
    }
}

fn asked() {
    if STOP.swap(true, Ordering::SeqCst) {
        end_at_once();
    }
    terminal::tell("\nstopping at the next safe point; once more to stop at once\n");
}

/// All that would end the process without a word, but those that tell of a bug or cannot be caught (signal(7)).
#[cfg(unix)]
fn handle() -> std::io::Result<()> {
    use signal_hook::consts::signal::{
        SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
    };
    let mut wanted = vec![SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGXCPU];
    // With SIGXFSZ ignored a write that the limit forbids is an error like any other.
    wanted.extend([SIGHUP, SIGXFSZ].into_iter().filter(|&signal| !ignored(signal)));
    let mut signals = signal_hook::iterator::Signals::new(wanted)?;
    let wait = move || {
        for _ in signals.forever() {
            asked();
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Whether whoever began the process wants it to ignore a signal, as `nohup` does (Linux; elsewhere it is not known).
#[cfg(unix)]
fn ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(not(unix))]
fn handle() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(asked)
}

#[allow(clippy::exit, reason = "the user asked twice; the file holds what was committed")]
fn end_at_once() {
    std::process::exit(130);
}

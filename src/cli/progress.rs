//! The bar on standard error: how far, how fast, how long yet.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::ensemble::Progress;
use crate::report::{duration, plain};
use crate::study::printable::printable;

/// A bar a dynamics; hidden where standard error is no terminal, or on request.
#[derive(Debug)]
pub(super) struct Bar {
    quiet: bool,
    /// Stands before the name of the dynamics.
    study: String,
    current: Mutex<ProgressBar>,
}

const TEMPLATE: &str = "  {prefix:<12} {bar:32.cyan/dim} {percent:>3}%  {rate}  {left}";

impl Bar {
    pub fn new(quiet: bool) -> Self {
        Self { quiet, study: String::new(), current: Mutex::new(ProgressBar::hidden()) }
    }

    /// Of one study among several.
    pub fn of_study(quiet: bool, study: &str) -> Self {
        Self { study: format!("{study} "), ..Self::new(quiet) }
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        // A poisoned lock guards nothing but the look of the bar.
        act(&mut self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for Bar {
    fn start(&self, dynamics: &str, total: u64) {
        if self.quiet {
            return;
        }
        // Hides itself where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            let style = style
                .progress_chars("━╸─")
                .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    if state.pos() > 0 {
                        write!(out, "{} replica-steps/s", plain(state.per_sec(), 3)).ok();
                    }
                })
                .with_key("left", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    if state.pos() > 0 {
                        write!(out, "{} left", duration(state.eta().as_secs_f64())).ok();
                    }
                });
            bar.set_style(style);
        }
        bar.set_prefix(printable(&format!("{}{dynamics}", self.study)).into_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        self.with(|current| *current = bar);
    }

    fn advance(&self, replica_steps: u64) {
        self.with(|bar| bar.inc(replica_steps));
    }

    fn finish(&self) {
        self.with(|bar| bar.finish_and_clear());
    }
}

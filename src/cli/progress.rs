//! The bar on standard error: how far the whole run is, how fast, how long yet; one line, however narrow the terminal.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::ensemble::Progress;
use crate::report::{duration, plain};
use crate::study::printable::printable;

/// A bar a run, over all its dynamics; hidden where standard error is no terminal, or on request.
#[derive(Debug)]
pub(super) struct Bar {
    quiet: bool,
    /// Stands before the name of the dynamics.
    study: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bar: ProgressBar,
    /// Dynamics of the run.
    dynamics: usize,
    /// Those that have begun.
    begun: usize,
    /// Replica-steps of the run, as far as they are known.
    planned: u64,
    /// Those of the dynamics that have begun.
    given: u64,
    /// The one that began last.
    current: String,
    /// Replica-steps done of it.
    done: u64,
}

/// The bar takes what the words leave of the line.
const TEMPLATE: &str = "  {prefix:<24!} {wide_bar:.cyan/dim} {percent:>3}%  {rate}  {left}";

impl Bar {
    pub fn new(quiet: bool) -> Self {
        let state = State {
            bar: ProgressBar::hidden(),
            dynamics: 0,
            begun: 0,
            planned: 0,
            given: 0,
            current: String::new(),
            done: 0,
        };
        Self { quiet, study: String::new(), state: Mutex::new(state) }
    }

    /// Of one study among several.
    pub fn of_study(quiet: bool, study: &str) -> Self {
        Self { study: format!("{study} "), ..Self::new(quiet) }
    }

    /// Replica-steps done of the dynamics that began last.
    pub fn done(&self) -> u64 {
        self.with(|state| state.done)
    }

    /// The run is over, or was interrupted: the line is free again.
    pub fn end(&self) {
        self.with(|state| state.bar.finish_and_clear());
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        // A poisoned lock guards nothing but the look of the bar.
        act(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn show(target: ProgressDrawTarget, total: u64) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            let style = style
                .progress_chars("━╸─")
                .with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    if state.pos() > 0 {
                        write!(out, "{} steps/s", plain(state.per_sec(), 3)).ok();
                    }
                })
                .with_key("left", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    if state.pos() > 0 {
                        write!(out, "{} left", duration(state.eta().as_secs_f64())).ok();
                    }
                });
            bar.set_style(style);
        }
        bar
    }
}

impl Progress for Bar {
    fn begin(&self, dynamics: usize, total: u64) {
        self.with(|state| {
            (state.dynamics, state.planned) = (dynamics, total);
            if !self.quiet {
                // Hides itself where standard error is no terminal.
                state.bar = Self::show(ProgressDrawTarget::stderr_with_hz(8), total);
                state.bar.enable_steady_tick(Duration::from_millis(250));
            }
        });
    }

    fn start(&self, dynamics: &str, total: u64) {
        self.with(|state| {
            if state.current != dynamics || state.begun == 0 {
                state.begun += 1;
                dynamics.clone_into(&mut state.current);
                state.done = 0;
            }
            state.given += total;
            // An ensemble that grows has more to do than was known.
            state.planned = state.planned.max(state.given);
            state.bar.set_length(state.planned);
            let place = match state.dynamics {
                0 | 1 => String::new(),
                many => format!(" {}/{many}", state.begun),
            };
            state.bar.set_prefix(printable(&format!("{}{dynamics}{place}", self.study)).into_owned());
        });
    }

    fn advance(&self, replica_steps: u64) {
        self.with(|state| {
            state.done += replica_steps;
            state.bar.inc(replica_steps);
        });
    }

    fn finish(&self) {}
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    /// A terminal of eighty columns that keeps what is written.
    #[derive(Clone, Debug, Default)]
    struct Eighty(Arc<Mutex<String>>);

    impl TermLike for Eighty {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What stands on the line after `act`.
    fn line(study: &str, act: impl FnOnce(&Bar)) -> String {
        let terminal = Eighty::default();
        let bar = Bar::of_study(true, study);
        bar.begin(3, 300);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        bar.with(|state| state.bar = Bar::show(target, 300));
        act(&bar);
        bar.with(|state| state.bar.force_draw());
        let text = terminal.0.lock().unwrap().clone();
        console_free(&text)
    }

    /// Without colours.
    fn console_free(text: &str) -> String {
        let mut out = String::new();
        let mut escaped = false;
        for character in text.chars() {
            match character {
                '\u{1b}' => escaped = true,
                'm' if escaped => escaped = false,
                _ if escaped => {}
                other => out.push(other),
            }
        }
        out
    }

    #[test]
    fn one_line_of_eighty_columns_with_the_total() {
        let line = line("a-study-with-a-very-long-name", |bar| {
            bar.start("a_dynamics_with_a_long_name", 100);
            bar.advance(100);
            bar.start("sgd", 100);
            bar.advance(50);
        });
        assert!(line.contains(" 50%") && line.contains("left"), "{line:?}");
        assert!(line.trim_end().width() <= 80 && !line.contains('\n'), "{line:?}");
    }

    #[test]
    fn the_share_is_that_of_all_dynamics() {
        let text = line("", |bar| {
            bar.start("sgd", 100);
            bar.advance(100);
            bar.start("sde", 100);
            bar.advance(20);
        });
        assert!(text.contains("sde 2/3") && text.contains(" 40%"), "{text:?}");
        let grown = line("", |bar| {
            bar.start("sgd", 300);
            bar.advance(300);
            bar.start("sgd", 300);
        });
        assert!(grown.contains("sgd 1/3") && grown.contains(" 50%"), "{grown:?}");
    }
}

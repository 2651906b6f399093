//! Where a run's time goes: clocks that stand still unless somebody has asked for them.
//!
//! Each thread is in one section at a time; entering another stops the clock of the one before, leaving it starts that again.
//! Times of all threads are added up. While nobody has asked, entering costs one load and a branch.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// What a thread is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Random numbers and the drawing of samples.
    Noise,
    /// Gradients, drifts and the step itself.
    Gradient,
    /// Observables and their statistics.
    Observables,
    /// The file.
    Storage,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Noise, Self::Gradient, Self::Observables, Self::Storage];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Gradient => "gradient",
            Self::Observables => "observables",
            Self::Storage => "storage",
        }
    }
}

static WANTED: AtomicBool = AtomicBool::new(false);
static SPENT: [AtomicU64; Section::ALL.len()] = [const { AtomicU64::new(0) }; Section::ALL.len()];

thread_local! {
    static PRESENT: Cell<Option<(Section, Instant)>> = const { Cell::new(None) };
}

/// Starts the clocks, for the rest of the process.
pub fn start() {
    WANTED.store(true, Ordering::Relaxed);
}

/// True once they run.
pub fn running() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// Seconds spent in each of [`Section::ALL`] since the last call, all threads together.
pub fn take() -> [f64; Section::ALL.len()] {
    std::array::from_fn(|i| SPENT[i].swap(0, Ordering::Relaxed) as f64 * 1e-9)
}

/// In a section until it is dropped.
#[derive(Debug)]
#[must_use = "the section ends when this is dropped"]
pub struct Within(After);

/// What the end of a section does.
#[derive(Clone, Copy, Debug)]
enum After {
    /// Nothing: no clock runs.
    Nothing,
    /// Stops its clock, and starts that of the section around it, if there is one.
    Return(Option<Section>),
}

/// Enters a section.
#[inline]
pub fn enter(section: Section) -> Within {
    if !running() {
        return Within(After::Nothing);
    }
    Within(After::Return(change(Some(section))))
}

impl Drop for Within {
    #[inline]
    fn drop(&mut self) {
        if let After::Return(outer) = self.0 {
            change(outer);
        }
    }
}

/// Stops the present section's clock and starts another.
#[cold]
fn change(to: Option<Section>) -> Option<Section> {
    let now = Instant::now();
    let before = PRESENT.replace(to.map(|section| (section, now)));
    before.map(|(section, since)| {
        let spent = u64::try_from((now - since).as_nanos()).unwrap_or(u64::MAX);
        SPENT[section as usize].fetch_add(spent, Ordering::Relaxed);
        section
    })
}

/// Time that this thread has had of a processor; the wall's where the system does not say.
#[cfg(unix)]
#[allow(unsafe_code, reason = "the clock of a thread is the system's alone")]
pub fn cpu_time() -> std::time::Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the struct that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    std::time::Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Time that this thread has had of a processor; the wall's where the system does not say.
#[cfg(not(unix))]
pub fn cpu_time() -> std::time::Duration {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_inner_section_stops_the_outer_clock() {
        {
            let _nothing = enter(Section::Storage);
            std::thread::sleep(Duration::from_millis(2));
        }
        start();
        let before = take();
        assert_eq!(before[Section::Storage as usize], 0.0, "nobody had asked");
        {
            let _outer = enter(Section::Storage);
            std::thread::sleep(Duration::from_millis(20));
            let inner = enter(Section::Noise);
            std::thread::sleep(Duration::from_millis(40));
            drop(inner);
        }
        // Other tests may add to the clocks meanwhile, but take nothing away.
        let spent = take();
        assert!(
            spent[Section::Storage as usize] >= 0.02 && spent[Section::Noise as usize] >= 0.04,
            "{spent:?}"
        );
    }
}

//! What this process has asked for of the machine's memory, and how much it may.
//!
//! A program that installs [`Counted`] as its allocator is told by [`live`] and [`peak`] what it holds, and a request beyond [`allowance`], or one that
//! the system refuses, goes to the function given to [`on_refusal`]: without it, a request that the system grants and cannot keep is a kill
//! without a word (overcommitment, control groups), and one that it does not grant an abort.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to write; this one passes every call on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Requests below this are not counted.
const COUNTED: usize = 512;
/// Requests below this are always granted.
const JUDGED: usize = 1 << 16;

static LIVE: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);
/// Of [`allowance`], for the allocator.
static MOST: AtomicU64 = AtomicU64::new(u64::MAX);
static ALLOWANCE: OnceLock<Option<Allowance>> = OnceLock::new();
static REFUSAL: OnceLock<fn(Refusal)> = OnceLock::new();

/// What sets the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// What was available on the machine when the program began, swap included.
    Machine,
    /// The control group (cgroup v1 or v2) of the process.
    Group,
    /// The process's limit on its address space, `ulimit -v`.
    AddressSpace,
    /// The process's limit on its data, `ulimit -d`.
    Data,
}

impl Bound {
    /// In words, behind "of".
    pub fn words(self) -> &'static str {
        match self {
            Bound::Machine => "that this machine has free",
            Bound::Group => "that the control group of this process allows (memory.max)",
            Bound::AddressSpace => "that this process may address (ulimit -v)",
            Bound::Data => "that this process may hold (ulimit -d)",
        }
    }
}

/// How much memory the process may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes.
    pub bytes: u64,
    /// Who says so.
    pub by: Bound,
}

/// A request that was not granted.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// Bytes asked for.
    pub asked: u64,
    /// Bytes held before.
    pub held: u64,
    /// The bound, if it was that and not the system's own word.
    pub allowance: Option<Allowance>,
}

/// Bytes held now; 0 without [`Counted`].
pub fn live() -> u64 {
    LIVE.load(Ordering::Relaxed)
}

/// Bytes of this process that lie in memory now, the program itself included; what is held where the system does not say.
pub fn resident() -> u64 {
    let text = lines_of("/proc/self/status").unwrap_or_default();
    kilobytes(&text, "VmRSS:").unwrap_or(0).max(live())
}

/// Most bytes held at once since the last call of [`mark`].
pub fn peak() -> u64 {
    PEAK.load(Ordering::Relaxed)
}

/// Lets [`peak`] begin anew, and says what is held.
pub fn mark() -> u64 {
    let now = live();
    PEAK.store(now, Ordering::Relaxed);
    now
}

/// The bytes that this process may hold, as the system says; asked once. `None` where nothing is known.
pub fn allowance() -> Option<Allowance> {
    *ALLOWANCE.get_or_init(|| {
        let found = [machine(), group(), limits::address_space(), limits::data()].into_iter().flatten();
        let found = found.min_by_key(|allowance| allowance.bytes);
        MOST.store(found.map_or(u64::MAX, |a| a.bytes), Ordering::Relaxed);
        found
    })
}

/// True of so many bytes beside what is held already.
pub fn fits(bytes: u64) -> bool {
    allowance().is_none_or(|a| bytes.saturating_add(live()) <= a.bytes)
}

/// From now on no request beyond [`allowance`] is granted; `tell` is called in place of the first that is not, must not return, and may itself ask for
/// a little memory only.
pub fn on_refusal(tell: fn(Refusal)) {
    // The first one stays.
    let _first = REFUSAL.set(tell).is_ok();
    allowance();
}

fn lines_of(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The number of kilobytes behind `key` in a file such as /proc/meminfo.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// What is available, and what this process has of it already.
fn machine() -> Option<Allowance> {
    let text = lines_of("/proc/meminfo")?;
    let free = kilobytes(&text, "MemAvailable:")?;
    let swap = kilobytes(&text, "SwapFree:").unwrap_or(0);
    Some(Allowance { bytes: free.saturating_add(swap).saturating_add(live()), by: Bound::Machine })
}

/// The least of the limits of the control groups that hold this process.
fn group() -> Option<Allowance> {
    let groups = lines_of("/proc/self/cgroup")?;
    let least = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        group_limit(std::path::Path::new(root), path, file)
    });
    least.min().map(|bytes| Allowance { bytes, by: Bound::Group })
}

/// The least limit on the way from a group to the root of its hierarchy; a container may see its own group as the root.
fn group_limit(root: &std::path::Path, path: &str, file: &str) -> Option<u64> {
    let mut folder = root.join(path.trim_start_matches('/'));
    let mut least: Option<u64> = None;
    while folder.starts_with(root) {
        // "max" is no number, and no limit.
        let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        if let Ok(bytes) = text.trim().parse::<u64>() {
            least = Some(least.map_or(bytes, |l| l.min(bytes)));
        }
        if !folder.pop() {
            break;
        }
    }
    // Version 1 says "no limit" as the largest number of pages.
    least.filter(|bytes| *bytes < 1 << 60)
}

#[cfg(unix)]
mod limits {
    use super::{Allowance, Bound, lines_of, live};

    /// The limit, without what the program, its libraries and stacks have of it; `used` is in pages.
    fn of(which: Bound, limit: libc::rlim_t, used: usize) -> Option<Allowance> {
        if limit == libc::RLIM_INFINITY {
            return None;
        }
        let pages = lines_of("/proc/self/statm").unwrap_or_default();
        let pages = pages.split_whitespace().nth(used).and_then(|p| p.parse::<u64>().ok()).unwrap_or(0);
        let others = pages.saturating_mul(4096).saturating_sub(live());
        #[allow(clippy::useless_conversion, reason = "rlim_t is not u64 everywhere")]
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        Some(Allowance { bytes: limit.saturating_sub(others), by: which })
    }

    pub(super) fn address_space() -> Option<Allowance> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes the struct that it is given.
        let known = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
        known.then(|| of(Bound::AddressSpace, limit.rlim_cur, 0)).flatten()
    }

    pub(super) fn data() -> Option<Allowance> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes the struct that it is given.
        let known = unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) } == 0;
        known.then(|| of(Bound::Data, limit.rlim_cur, 5)).flatten()
    }
}

#[cfg(not(unix))]
mod limits {
    use super::Allowance;

    pub(super) fn address_space() -> Option<Allowance> {
        None
    }

    pub(super) fn data() -> Option<Allowance> {
        None
    }
}

/// The system's allocator with a count of what is held, and a word where a request is too large.
pub struct Counted;

fn counted(bytes: usize) -> u64 {
    if bytes < COUNTED { 0 } else { bytes as u64 }
}

/// Takes note of a request for `bytes` in place of `before`.
fn admit(bytes: usize, before: usize) {
    let (more, less) = (counted(bytes), counted(before));
    if more <= less {
        LIVE.fetch_sub(less - more, Ordering::Relaxed);
        return;
    }
    let held = LIVE.fetch_add(more - less, Ordering::Relaxed);
    let now = held + (more - less);
    if now > PEAK.load(Ordering::Relaxed) {
        PEAK.fetch_max(now, Ordering::Relaxed);
    }
    if bytes >= JUDGED && now > MOST.load(Ordering::Relaxed) {
        refuse(bytes, held, ALLOWANCE.get().copied().flatten());
    }
}

#[cold]
fn refuse(bytes: usize, held: u64, allowance: Option<Allowance>) {
    if let Some(tell) = REFUSAL.get() {
        tell(Refusal { asked: bytes as u64, held, allowance });
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        admit(layout.size(), 0);
        let pointer = unsafe { System.alloc(layout) };
        if pointer.is_null() {
            refuse(layout.size(), live() - counted(layout.size()), None);
        }
        pointer
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        admit(layout.size(), 0);
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if pointer.is_null() {
            refuse(layout.size(), live() - counted(layout.size()), None);
        }
        pointer
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        admit(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        admit(size, layout.size());
        let moved = unsafe { System.realloc(pointer, layout, size) };
        if moved.is_null() {
            refuse(size, live().saturating_sub(counted(size)), None);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "MemTotal:       24 kB\nMemAvailable:    3 kB\nSwapFree: 1 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(3072));
        assert_eq!(kilobytes(text, "MemFree:"), None);
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.max"), "max\n").unwrap();
        assert_eq!(group_limit(folder.path(), "/a/b", "memory.max"), None);
        std::fs::write(folder.path().join("a/memory.max"), "4096\n").unwrap();
        assert_eq!(group_limit(folder.path(), "/a/b", "memory.max"), Some(4096));
        std::fs::write(inner.join("memory.max"), "8192\n").unwrap();
        assert_eq!(group_limit(folder.path(), "/a/b", "memory.max"), Some(4096), "the least on the way");
        assert_eq!(group_limit(folder.path(), "/nowhere", "memory.max"), None);
        std::fs::write(folder.path().join("memory.limit_in_bytes"), "9223372036854771712").unwrap();
        assert_eq!(group_limit(folder.path(), "/", "memory.limit_in_bytes"), None, "no limit in version 1");
    }

    #[test]
    fn more_than_there_is_does_not_fit() {
        assert!(fits(0));
        assert!(allowance().is_none() || !fits(u64::MAX));
    }
}

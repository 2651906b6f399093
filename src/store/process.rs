//! Which process writes a file: so that a run that goes on is told from one that was killed.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The process that wrote a file, as the file says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// The machine's name; empty where it has none.
    pub host: String,
    /// When the file was begun, UTC: `2026-01-31T12:00:00Z`.
    pub started: String,
    /// The machine since it was switched on, and the process's view of process numbers; empty where the system does not say.
    machine: String,
    /// When the process began, in the system's ticks: another process may get the same number later.
    begun: Option<u64>,
}

impl Process {
    /// This one, now.
    #[allow(clippy::disallowed_methods, reason = "says when, and reaches no recorded number")]
    pub fn this() -> Self {
        let id = std::process::id();
        Self { id, host: host(), started: utc(SystemTime::now()), machine: machine(), begun: begun(id) }
    }

    /// Whether it still runs; `None` where that cannot be known from here (another machine, another container, another system).
    pub fn lives(&self) -> Option<bool> {
        if self.host != host() || self.machine.is_empty() {
            return None;
        }
        let here = machine();
        let boot = |machine: &str| machine.split(' ').next().unwrap_or_default().to_owned();
        if boot(&self.machine) != boot(&here) {
            // Switched off and on since.
            return (!here.is_empty()).then_some(false);
        }
        if self.machine != here {
            return None;
        }
        self.begun.map(|then| begun(self.id) == Some(then))
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default().trim().to_owned()
}

/// Linux's number of this boot, and the namespace of process numbers.
fn machine() -> String {
    let Ok(boot) = std::fs::read_to_string("/proc/sys/kernel/random/boot_id") else { return String::new() };
    let Ok(namespace) = std::fs::read_link("/proc/self/ns/pid") else { return String::new() };
    format!("{} {}", boot.trim(), namespace.display())
}

/// Linux's start time of a process that is there (proc(5), `/proc/pid/stat`, field 22) and is no zombie.
fn begun(id: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// ISO 8601, to the second.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0, in eras of 400 years: leap days come last then.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = 400 * era + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_lives_and_others_do_not() {
        let this = Process::this();
        assert_eq!(this.lives(), Some(true));
        assert_eq!(
            Process { begun: Some(1), ..this.clone() }.lives(),
            Some(false),
            "the number was given again"
        );
        assert_eq!(Process { id: u32::MAX, ..this.clone() }.lives(), Some(false));
        let boot =
            |boot: &str| Process { machine: this.machine.replacen(|_: char| true, boot, 1), ..this.clone() };
        assert_eq!(boot("#").lives(), Some(false), "switched off and on");
        assert_eq!(
            Process { machine: format!("{}0", this.machine), ..this.clone() }.lives(),
            None,
            "another container"
        );
        assert_eq!(Process { host: "elsewhere".into(), ..this }.lives(), None);
    }
}

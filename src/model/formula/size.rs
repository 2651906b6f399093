//! How large a formula's values may be: counted before they are made.

use crate::lanes::{LANES, Lane, memory};
use crate::model::Shape;

/// What a refusal begins with.
pub(super) const TOO_LARGE: &str = "too large: ";

/// How a formula that is too large is mended.
pub(super) const HELP: &str = "write it without the large value: norm2(outer(a, b)) is norm2(a)*norm2(b), sum(outer(a, b)) is sum(a)*sum(b), \
                               outer(a, b) @ c is a*dot(b, c); or choose smaller shapes";

/// Values beyond this are refused whatever the machine, bytes.
const MOST: u64 = 1 << 42;

/// True of so many bytes beside what is held already, on any machine and on this one.
pub(super) fn fits(bytes: u64) -> bool {
    bytes <= MOST && memory::fits(bytes)
}

/// Bytes of so many numbers a replica, in a vector of replicas.
pub(super) fn of_lanes(numbers: usize) -> u64 {
    (numbers as u64).saturating_mul(size_of::<Lane>() as u64)
}

/// Refuses a value that this process cannot hold for one vector of replicas.
pub(super) fn check(shape: Shape) -> Result<(), String> {
    let numbers = shape.rows.saturating_mul(shape.cols);
    let bytes = of_lanes(numbers);
    if fits(bytes) {
        return Ok(());
    }
    Err(format!(
        "{TOO_LARGE}a value {shape} has {numbers} numbers, {} for {LANES} replicas{}",
        amount(bytes),
        allowed()
    ))
}

/// `, more than the 2.0 GB that …`
pub(super) fn allowed() -> String {
    memory::allowance()
        .map_or_else(String::new, |a| format!(", and there are {} {}", amount(a.bytes), a.by.words()))
}

/// `25.6 GB`.
pub(super) fn amount(bytes: u64) -> String {
    let x = bytes as f64;
    match bytes {
        0..1_000_000_000 => format!("{:.1} MB", x * 1e-6),
        1_000_000_000..1_000_000_000_000 => format!("{:.1} GB", x * 1e-9),
        _ => format!("{:.1} TB", x * 1e-12),
    }
}

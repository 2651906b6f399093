//! The file: written block by block, killed, filled up, read back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

mod sample;

mod errors;
mod full_disk;
mod kill;
mod round_trip;

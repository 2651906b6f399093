//! The file: written block by block, killed, filled up, read back.

mod sample;

mod errors;
mod full_disk;
mod kill;
mod round_trip;

//! The program as its users meet it: exit code, standard output, standard error and files together.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

mod check;
mod escapes;
mod failures;
mod inspect;
mod json;
mod limits;
mod run;
mod signals;
mod symmetries;
mod tables;
mod verify;
mod workplace;

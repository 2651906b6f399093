//! Starts the command line and maps its outcome to an exit code.

use std::process::ExitCode;

use perrin::lanes::memory::Counted;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn main() -> ExitCode {
    perrin::cli::main()
}

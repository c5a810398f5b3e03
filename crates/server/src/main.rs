//! The `mailwright` program.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a program does I/O

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}

//! `card`: see, change the PIN of, and unblock a PIV card.
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

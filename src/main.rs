//! The program: arguments -> run | REPL | subcommand -> exit code.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}

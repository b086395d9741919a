//! The program: arguments -> run | REPL | subcommand -> exit code.

mod cli;

use std::process::ExitCode;

/// Bytes of the stack that the program runs on, of which the system provides what is used: scripts call each other and tensors
/// remember their computation by recursion, and what the system gives the first thread may be little.
const STACK: usize = 256 << 20;

fn main() -> ExitCode {
    let program = std::thread::Builder::new().name("main".into()).stack_size(STACK);
    match program.spawn(cli::main) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        // No threads, or no room for such a stack: on the one there is.
        Err(_) => cli::main(),
    }
}

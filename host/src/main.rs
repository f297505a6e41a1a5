//! dtr-lb: a load balancer for registries that runs as several replicas.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// A connection makes and gives up some twenty pieces of memory, three of them aligned to
/// a cache line.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let mut log = match cli::Log::new() {
        Ok(log) => log,
        Err(error) => {
            // Without standard error, the exit code alone reports the failure.
            let _ = writeln!(std::io::stderr(), "error: no thread for the log: {error}");
            return ExitCode::FAILURE;
        }
    };
    match cli.run(&mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log.fail(&failure);
            failure.exit_code()
        }
    }
}

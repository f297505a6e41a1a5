//! The command line.

mod check;
mod config_args;
mod demo;
mod envoy;
mod log;
mod run;
mod signal;

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Balances TCP connections over the replicas of a registry, and probes each
/// replica's /_ping.
#[derive(Debug, Parser)]
#[command(name = "dtr-lb", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Format of the log on standard error. The variable DTR_LB_LOG sets its level:
    /// error, warn, info or debug, or by part, as in "info,dtr_lb=debug".
    #[arg(
        long,
        value_name = "FORMAT",
        global = true,
        value_enum,
        default_value_t,
        display_order = LAST
    )]
    log_format: log::Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Balance until SIGTERM or ctrl-C, then drain.
    Run(config_args::ConfigArgs),
    /// Check a configuration; print a summary of it, or what is wrong.
    Check(check::Check),
    /// Write an Envoy bootstrap of the configuration, and the filter beside it.
    Envoy(envoy::Envoy),
    /// Balance three stand-in replicas on this machine, to try it out.
    Demo(demo::Demo),
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<(), Failure> {
        log::start(self.log_format)?;
        match self.command {
            Command::Run(config_args) => run::run(&config_args),
            Command::Check(check) => check.run(),
            Command::Envoy(envoy) => envoy.run(),
            Command::Demo(demo) => demo.run(),
        }
    }
}

/// Why a command failed, and so with which exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments or the configuration are wrong: 2, as for wrong flags.
    Usage(anyhow::Error),
    /// Something failed while running: 1.
    Runtime(anyhow::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Runtime(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Usage(error) | Failure::Runtime(error)) = self;
        f.write_str(&with_causes(error))
    }
}

/// The error and its causes. Many errors name their cause in their own message;
/// such a cause is not repeated.
fn with_causes(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// Prints a command's result on standard output.
///
/// # Errors
/// It can't be written; a closed pipe is no error.
pub(crate) fn print(text: impl fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Runtime(
            anyhow::Error::new(error).context("standard output can't be written"),
        )),
        _ => Ok(()),
    }
}

impl From<dtr_lb::config::ConfigError> for Failure {
    fn from(error: dtr_lb::config::ConfigError) -> Self {
        Failure::Usage(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Runtime(error)
    }
}

/// Where help shows an option of all commands: after each command's own.
const LAST: usize = 998;

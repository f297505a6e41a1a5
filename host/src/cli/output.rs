//! What a command prints.

use std::fmt;
use std::io::Write;

use super::failure::Failure;

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

//! What a command prints, and the files it writes.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use dtr_lb::replace_file;

use super::failure::Failure;

/// Prints a command's result on standard output.
///
/// # Errors
/// It can't be written; a closed pipe is no error.
pub(crate) fn print(text: impl fmt::Display) -> Result<(), Failure> {
    match write_line(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Runtime(
            anyhow::Error::new(error).context("standard output can't be written"),
        )),
        _ => Ok(()),
    }
}

/// Prints a part of a result that goes on, whose reader may be gone.
///
/// # Errors
/// It can't be written, to a closed pipe neither.
pub(crate) fn write_line(text: impl fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Replaces a file as a whole, so that no reader ever finds half of it.
///
/// # Errors
/// It can't be written.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), anyhow::Error> {
    replace_file(path, bytes, mode).with_context(|| {
        format!(
            "{} can't be written; check the folder's permissions",
            path.display()
        )
    })
}

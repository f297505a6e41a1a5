//! What a command prints, and the files it writes.

use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;

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

/// Replaces a file as a whole, so that no reader ever finds half of it.
///
/// # Errors
/// It can't be written.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), anyhow::Error> {
    let fresh = path.with_extension("new");
    let write = || {
        fs::remove_file(&fresh).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&fresh)?;
        file.write_all(bytes)?;
        fs::rename(&fresh, path)
    };
    write().with_context(|| {
        format!(
            "{} can't be written; check the folder's permissions",
            path.display()
        )
    })
}

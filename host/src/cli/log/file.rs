//! A file that the log is appended to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::descriptor::Descriptor;
use super::output::{Loss, Output, Stream};

/// A file that lines are appended to. Opened anew, it is the one that has its name by
/// then: who rotates logs has renamed the other.
pub(super) struct LogFile {
    path: PathBuf,
    file: Stream<Descriptor<File>>,
}

impl LogFile {
    /// # Errors
    /// When it can't be opened for writing.
    pub(super) fn open(path: PathBuf) -> io::Result<LogFile> {
        let file = open(&path)?;
        Ok(LogFile { path, file })
    }
}

impl Output for LogFile {
    fn write_lines(&mut self, lines: &[u8]) -> Result<(), Loss> {
        self.file.write_lines(lines)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = open(&self.path)?;
        Ok(())
    }
}

fn open(path: &PathBuf) -> io::Result<Stream<Descriptor<File>>> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        // A pipe without a reader is an error, and not waited for.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    Ok(Stream::new(Descriptor(file)))
}

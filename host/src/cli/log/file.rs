//! A file that the log is appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

fn open(path: &Path) -> io::Result<Stream<Descriptor<File>>> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        // A pipe without a reader is an error, and not waited for.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let is_torn = is_torn(&file, path);
    let file = Descriptor(file);
    Ok(match is_torn {
        true => Stream::within_line(file),
        false => Stream::new(file),
    })
}

/// Whether what is there ends within a line: the disk was full when it was written, say.
/// What can't be read is taken for whole.
fn is_torn(file: &File, path: &Path) -> bool {
    // Nobody but its reader may open a pipe.
    let has_lines = file.metadata().is_ok_and(|it| it.is_file() && it.len() > 0);
    has_lines && last_byte(path).is_ok_and(|byte| byte != b'\n')
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    let [byte] = byte;
    Ok(byte)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use std::fs;

    use super::*;

    #[test]
    fn a_line_without_an_end_is_ended_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let cases = [
            ("a line that is to", "a line that is to\nnext\n"),
            ("whole\n", "whole\nnext\n"),
            ("", "next\n"),
        ];
        for (before, expected) in cases {
            fs::write(&path, before).unwrap();
            let mut log = LogFile::open(path.clone()).unwrap();
            log.write_lines(b"next\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected, "opened");
            // As is one that somebody has moved here meanwhile.
            fs::write(&path, before).unwrap();
            log.reopen().unwrap();
            log.write_lines(b"next\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected, "opened anew");
        }
    }
}

//! What the log's thread writes to.

use std::io::{self, ErrorKind, Write};

/// What the log's thread writes to. It may wait; nobody else does.
pub(super) trait Output: Send {
    /// Writes whole lines.
    ///
    /// # Errors
    /// How many are lost, and why.
    fn write_lines(&mut self, lines: &[u8]) -> Result<(), Loss>;

    /// Opens anew what has a name.
    ///
    /// # Errors
    /// Why that can't be done; lines go where they went before.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines that could not be written.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) lines: u64,
    pub(super) cause: io::Error,
}

impl Loss {
    pub(super) fn of(lost: &[u8], cause: io::Error) -> Loss {
        let lines = lost.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Loss { lines, cause }
    }
}

/// Lines one after the other.
pub(super) struct Stream<W> {
    out: W,
    /// The last line has no end: the rest of it was lost.
    within_line: bool,
}

impl<W: Write> Stream<W> {
    pub(super) fn new(out: W) -> Stream<W> {
        Stream {
            out,
            within_line: false,
        }
    }

    /// Behind a line that somebody else has begun, and will not end.
    pub(super) fn within_line(out: W) -> Stream<W> {
        Stream {
            out,
            within_line: true,
        }
    }
}

impl<W: Write + Send> Output for Stream<W> {
    fn write_lines(&mut self, lines: &[u8]) -> Result<(), Loss> {
        let joined;
        let (bytes, own) = match self.within_line {
            // What ends a part of a line is none that is lost.
            true => {
                joined = [b"\n", lines].concat();
                (&joined[..], 1)
            }
            false => (lines, 0),
        };
        let (left, cause) = match write_all(&mut self.out, bytes) {
            Ok(()) => (&[][..], None),
            Err((left, cause)) => (left, Some(cause)),
        };
        let written = bytes.len() - left.len();
        if written > 0 {
            self.within_line = bytes[written - 1] != b'\n';
        }
        match cause {
            None => Ok(()),
            Some(cause) => Err(Loss::of(&bytes[written.max(own)..], cause)),
        }
    }
}

/// Writes as much as can be written.
///
/// # Errors
/// What is left, and why.
fn write_all<'a>(out: &mut impl Write, bytes: &'a [u8]) -> Result<(), (&'a [u8], io::Error)> {
    let mut left = bytes;
    while !left.is_empty() {
        match out.write(left) {
            Ok(0) => return Err((left, ErrorKind::WriteZero.into())),
            Ok(written) => left = &left[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err((left, error)),
        }
    }
    Ok(())
}

//! Standard error, or a file, as the log's thread writes to it.

use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// A file as the system sees it: without a lock, so that while one thread waits for a full
/// pipe, no other waits for that thread. An error is returned, where the standard library
/// hides some of standard error's.
pub(super) struct Descriptor<F>(pub(super) F);

impl<F: AsFd> Write for Descriptor<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::io::write(&self.0, bytes) {
            // Opened so, or another process made the file non-blocking that all share.
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None)?;
                Err(io::ErrorKind::Interrupted.into())
            }
            written => Ok(written?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Pipes for splice(2), and the one read buffer, of a worker.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What the sessions of one worker read into. Only a session that is moving
/// bytes right now uses any of it, so a quiet connection costs no buffer.
pub(crate) struct Buffers {
    /// Read into and written out of within one poll, never kept across one.
    pub(crate) chunk: RefCell<Box<[u8]>>,
    pipes: RefCell<Vec<Pipe>>,
    /// How many pipes are kept open for later.
    spare: Cell<usize>,
    budget: Arc<PipeBudget>,
    /// When the system last had no pipe that is worth having.
    refused: Cell<Option<Instant>>,
}

impl Buffers {
    pub(crate) fn new(budget: Arc<PipeBudget>) -> Buffers {
        Buffers {
            chunk: RefCell::new(vec![0; CHUNK].into_boxed_slice()),
            pipes: RefCell::new(Vec::new()),
            spare: Cell::new(SPARE_PIPES),
            budget,
            refused: Cell::new(None),
        }
    }

    /// An empty pipe, or none when there are as many as there may be, the process may
    /// open no more files, or pipes have become too small: the caller then copies.
    pub(crate) fn take_pipe(&self) -> Option<Pipe> {
        let spare = self.pipes.borrow_mut().pop();
        if spare.is_some() {
            return spare;
        }
        // To ask in vain costs five system calls.
        if let Some(refused) = self.refused.get()
            && refused.elapsed() < RETRY
        {
            return None;
        }
        let pipe = Pipe::open(self.budget.take()?, PIPE_BYTES).ok().flatten();
        let refused = pipe.is_none().then(Instant::now);
        self.refused.set(refused);
        pipe
    }

    /// Closes the spare pipes, and keeps none from now on: no more streams will come.
    pub(crate) fn shrink(&self) {
        self.pipes.borrow_mut().clear();
        self.spare.set(0);
    }

    /// Keeps a pipe for the next stream. One that still holds bytes is closed,
    /// since they belong to the stream it served.
    pub(crate) fn give_back(&self, pipe: Pipe) {
        let mut pipes = self.pipes.borrow_mut();
        if pipe.held == 0 && pipes.len() < self.spare.get() {
            pipes.push(pipe);
        }
    }
}

/// How many more pipes the workers of a process may open: the files of two would
/// connect another client to its replica.
#[derive(Debug)]
pub(crate) struct PipeBudget(AtomicUsize);

impl PipeBudget {
    pub(crate) fn new(pipes: usize) -> Arc<PipeBudget> {
        Arc::new(PipeBudget(AtomicUsize::new(pipes)))
    }

    fn take(self: &Arc<Self>) -> Option<PipeShare> {
        let less = |left: usize| left.checked_sub(1);
        let taken = self.0.fetch_update(Relaxed, Relaxed, less);
        taken.is_ok().then(|| PipeShare(Arc::clone(self)))
    }
}

/// One pipe's part of the budget, until it is closed.
#[derive(Debug)]
struct PipeShare(Arc<PipeBudget>);

impl Drop for PipeShare {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Relaxed);
    }
}

/// A pipe through which bytes go from one socket to another without being copied.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
    _share: PipeShare,
}

impl Pipe {
    /// Opens a pipe for this many bytes, or for as many as the system gives; `None`:
    /// so few that copying is cheaper.
    fn open(share: PipeShare, bytes: usize) -> io::Result<Option<Pipe>> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused when the pipes of a user without privileges have used up what
        // fs.pipe-user-pages-soft allows; new ones then have two pages.
        let given = fcntl_setpipe_size(&write, bytes).or_else(|_| fcntl_getpipe_size(&write))?;
        let pipe = Pipe {
            read,
            write,
            held: 0,
            _share: share,
        };
        Ok((given >= LEAST_PIPE_BYTES).then_some(pipe))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Moves what `from` has ready into the pipe, once it has; 0 means end of stream.
    /// Call it on an empty pipe only: then "would block" can only mean the socket.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(from.poll_read_ready(cx))?;
            let fill = || splice_some(from, &self.write, PIPE_BYTES);
            match from.try_io(Interest::READABLE, fill) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                moved => {
                    self.held += *moved.as_ref().unwrap_or(&0);
                    return Poll::Ready(moved);
                }
            }
        }
    }

    /// Moves what the pipe holds into `to`, once it takes more.
    pub(crate) fn poll_pour(
        &mut self,
        cx: &mut Context<'_>,
        to: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(to.poll_write_ready(cx))?;
            let pour = || splice_some(&self.read, to, self.held);
            match to.try_io(Interest::WRITABLE, pour) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                moved => {
                    self.held -= *moved.as_ref().unwrap_or(&0);
                    return Poll::Ready(moved);
                }
            }
        }
    }
}

fn splice_some(from: impl AsFd, to: impl AsFd, bytes: usize) -> io::Result<usize> {
    loop {
        match splice(&from, None, &to, None, bytes, FLAGS) {
            Err(Errno::INTR) => {}
            moved => return Ok(moved?),
        }
    }
}

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);
/// One read of a stream that is not worth a pipe.
const CHUNK: usize = 64 * 1024;
/// Asked of the kernel for each pipe. A slot holds one fragment of a packet, so
/// on a real network a pipe of the default 16 slots moves 23 KB a call.
const PIPE_BYTES: usize = 256 * 1024;
/// Fewer are dearer than a copy. CPU per GiB over loopback, where a page is full:
/// copy 1.03 s, 4 KiB 1.31 s, 8 KiB 0.97 s, 16 KiB 0.70 s, 64 KiB 0.57 s, 256 KiB
/// 0.41 s; a page that holds one packet of a real network moves a third of that.
const LEAST_PIPE_BYTES: usize = 32 * 1024;
/// Between two tries to get a pipe when there was none worth having.
const RETRY: Duration = Duration::from_secs(1);
/// Kept open for later by one worker.
const SPARE_PIPES: usize = 32;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_pipe_that_is_dearer_than_a_copy_is_not_used() {
        let budget = PipeBudget::new(1);
        for (bytes, used) in [(4096, false), (64 << 10, true), (4096, false)] {
            let share = budget.take().expect("a pipe not used is not counted");
            let pipe = Pipe::open(share, bytes).unwrap();
            assert_eq!(pipe.is_some(), used, "{bytes} bytes");
        }
    }
}

//! Pipes for splice(2), and the one read buffer, of a worker.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What the sessions of one worker read into. Only a session that is moving
/// bytes right now uses any of it, so a quiet connection costs no buffer.
pub(crate) struct Buffers {
    /// Read into and written out of within one poll, never kept across one.
    pub(crate) chunk: RefCell<Box<[u8]>>,
    pipes: RefCell<Vec<Pipe>>,
    budget: Arc<PipeBudget>,
}

impl Buffers {
    pub(crate) fn new(budget: Arc<PipeBudget>) -> Buffers {
        Buffers {
            chunk: RefCell::new(vec![0; CHUNK].into_boxed_slice()),
            pipes: RefCell::new(Vec::new()),
            budget,
        }
    }

    /// An empty pipe, or none when there are as many as there may be, or the process
    /// may open no more files: the caller then copies.
    pub(crate) fn take_pipe(&self) -> Option<Pipe> {
        match self.pipes.borrow_mut().pop() {
            Some(pipe) => Some(pipe),
            None => Pipe::open(self.budget.take()?).ok(),
        }
    }

    /// Keeps a pipe for the next stream. One that still holds bytes is closed,
    /// since they belong to the stream it served.
    pub(crate) fn give_back(&self, pipe: Pipe) {
        let mut pipes = self.pipes.borrow_mut();
        if pipe.held == 0 && pipes.len() < SPARE_PIPES {
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
    fn open(share: PipeShare) -> io::Result<Pipe> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused when the user's pipes have used up their share of memory; a
        // pipe of the usual size moves the same bytes in more calls.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Ok(Pipe {
            read,
            write,
            held: 0,
            _share: share,
        })
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
/// Kept open for later by one worker.
const SPARE_PIPES: usize = 32;

//! Whether a stream is spliced, and the pipe it has meanwhile.

use std::io;
use std::task::{Context, Poll};

use tokio::net::TcpStream;

use crate::net::pipe::{Buffers, Pipe};

/// Splices a stream that moves enough bytes to be worth a pipe.
#[derive(Default)]
pub(super) struct Splicer {
    /// Present while it holds bytes, or within one poll.
    pipe: Option<Pipe>,
    /// Bytes moved in the recent past; halves each time the stream runs dry.
    pace: usize,
}

impl Splicer {
    /// Sees to it that there is an empty pipe, if the stream is worth one and the
    /// system has one; otherwise it is copied.
    pub(super) fn is_ready(&mut self, buffers: &Buffers) -> bool {
        if self.pace < SPLICE_FROM {
            return false;
        }
        if self.pipe.is_none() {
            self.pipe = buffers.take_pipe();
        }
        self.pipe.is_some()
    }

    /// Whether the pipe holds bytes that are still to be sent.
    pub(super) fn holds_bytes(&self) -> bool {
        self.pipe.as_ref().is_some_and(|pipe| !pipe.is_empty())
    }

    /// Reads into the pipe; 0 means end of stream.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        match &mut self.pipe {
            Some(pipe) => pipe.poll_fill(cx, from),
            None => Poll::Pending,
        }
    }

    /// Writes what the pipe holds.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        to: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        match &mut self.pipe {
            Some(pipe) => pipe.poll_pour(cx, to),
            None => Poll::Ready(Ok(0)),
        }
    }

    /// Counts bytes read from the stream, spliced or copied.
    pub(super) fn count(&mut self, bytes: usize) {
        self.pace = (self.pace + bytes).min(MAX_PACE);
    }

    /// The stream has no more bytes now.
    pub(super) fn run_dry(&mut self, buffers: &Buffers) {
        self.pace /= 2;
        self.give_back(buffers);
    }

    /// Drops what the pipe holds.
    pub(super) fn abandon(&mut self) {
        self.pipe = None;
    }

    /// Gives an empty pipe to other streams.
    pub(super) fn give_back(&mut self, buffers: &Buffers) {
        if let Some(pipe) = self.pipe.take_if(|pipe| pipe.is_empty()) {
            buffers.give_back(pipe);
        }
    }
}

/// The pace from which a stream is spliced.
const SPLICE_FROM: usize = 128 * 1024;
/// Bounds how long a stream that has been fast is taken for fast.
const MAX_PACE: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::pipe::PipeBudget;

    #[test]
    fn a_pipe_is_given_back_when_a_stream_runs_dry() {
        let mut splicer = Splicer::default();
        let buffers = Buffers::new(PipeBudget::new(1));
        splicer.count(SPLICE_FROM - 1);
        assert!(!splicer.is_ready(&buffers), "a slow stream is copied");
        splicer.count(1);
        assert!(splicer.is_ready(&buffers), "a fast one is spliced");
        splicer.run_dry(&buffers);
        assert!(splicer.pipe.is_none(), "a quiet stream holds no pipe");
        assert!(buffers.take_pipe().is_some_and(|pipe| pipe.is_empty()));
        assert!(!splicer.is_ready(&buffers), "and counts as slow again");
    }

    #[test]
    fn a_stream_is_copied_while_there_are_as_many_pipes_as_there_may_be() {
        let buffers = Buffers::new(PipeBudget::new(1));
        let other = Buffers::new(PipeBudget::new(0));
        let mut fast = [Splicer::default(), Splicer::default()];
        for splicer in &mut fast {
            splicer.count(SPLICE_FROM);
        }
        let [first, second] = &mut fast;
        assert!(first.is_ready(&buffers));
        assert!(!second.is_ready(&buffers), "the other has the only pipe");
        assert!(!second.is_ready(&other), "there may be none");
        first.give_back(&buffers);
        assert!(second.is_ready(&buffers), "it was given back");
        drop(second.pipe.take());
        first.count(SPLICE_FROM);
        assert!(
            first.is_ready(&buffers),
            "a pipe that is closed counts no more"
        );
    }
}

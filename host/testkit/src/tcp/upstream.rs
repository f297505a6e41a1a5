//! An upstream's end of a TCP connection.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;

use proxy_wasm_engine::{Direction, End};

use crate::simulator::Simulator;

/// An upstream's end of a connection.
pub struct Upstream {
    pub(super) simulator: Rc<RefCell<Simulator>>,
    pub(super) key: usize,
    pub(super) cluster: String,
}

impl Upstream {
    /// The cluster it belongs to.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// All bytes that arrived here so far.
    pub fn received(&self) -> Bytes {
        let simulator = self.simulator.borrow();
        Bytes::copy_from_slice(&simulator.connections[self.key].down.arrived)
    }

    /// Whether the end of what the client sends arrived here.
    pub fn saw_end(&self) -> bool {
        self.simulator.borrow().connections[self.key]
            .down
            .arrived_end
    }

    /// Whether the connection is open still.
    pub fn is_open(&self) -> bool {
        self.simulator.borrow().connections[self.key]
            .closed
            .is_none()
    }

    /// Sends bytes to the client. On a closed connection they are lost.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.push(bytes.as_ref(), End::More);
    }

    /// Half-close: sends no more, but still reads.
    pub fn finish(&mut self) {
        self.push(&[], End::Last);
    }

    /// Sends the last bytes and the end of the stream at once.
    pub fn send_last(&mut self, bytes: impl AsRef<[u8]>) {
        self.push(bytes.as_ref(), End::Last);
    }

    /// Closes the connection at once, without a half-close.
    pub fn reset(&mut self) {
        let mut simulator = self.simulator.borrow_mut();
        simulator.upstream_resets(self.key);
        simulator.settle();
    }

    fn push(&mut self, bytes: &[u8], end: End) {
        let mut simulator = self.simulator.borrow_mut();
        simulator.send(self.key, Direction::Upstream, bytes, end);
        simulator.settle();
    }
}

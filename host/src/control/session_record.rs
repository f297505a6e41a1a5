//! What others may know of an open session.

use std::cell::{Cell, Ref, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::control::command::SessionControl;

/// An open session, as it is known outside of its task. The session keeps what it counts
/// here and nowhere else, so that to be known costs it nothing.
pub(crate) struct SessionRecord {
    /// The other end of its connection, or the one that a trusted proxy says is behind it.
    pub(crate) client: Cell<SocketAddr>,
    /// Where it was accepted.
    pub(crate) listener: SocketAddr,
    pub(crate) began: Instant,
    pub(crate) control: SessionControl,
    /// Bytes, as are those sent down.
    pub(crate) sent_up: Cell<u64>,
    pub(crate) sent_down: Cell<u64>,
    /// Which of several services it is for, by its place among them, once that is known.
    pub(crate) service: Cell<Option<usize>>,
    replica: RefCell<Option<Arc<str>>>,
}

impl SessionRecord {
    pub(crate) fn new(client: SocketAddr, listener: SocketAddr) -> SessionRecord {
        SessionRecord {
            client: Cell::new(client),
            listener,
            began: Instant::now(),
            control: SessionControl::default(),
            sent_up: Cell::new(0),
            sent_down: Cell::new(0),
            service: Cell::new(None),
            replica: RefCell::new(None),
        }
    }

    /// It is connected to this replica.
    pub(crate) fn landed(&self, replica: Arc<str>) {
        *self.replica.borrow_mut() = Some(replica);
    }

    /// The replica connected to last.
    pub(crate) fn replica(&self) -> Ref<'_, Option<Arc<str>>> {
        self.replica.borrow()
    }

    /// Whether that is the one of this name.
    pub(crate) fn is_with(&self, replica: &str) -> bool {
        self.replica().as_deref() == Some(replica)
    }
}

//! The open sessions of a worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::control::command::{CloseCommand, SessionControl};
use proxy_wasm_engine::Direction;

/// The open sessions of one worker, by connection id.
#[derive(Default)]
pub(crate) struct Sessions {
    open: RefCell<HashMap<u64, Rc<SessionControl>>>,
    left: Notify,
}

/// A session's place among the open ones; dropped, it has left, however it ended.
pub(crate) struct OpenSession {
    sessions: Rc<Sessions>,
    connection: u64,
    control: Rc<SessionControl>,
}

impl OpenSession {
    pub(crate) fn control(&self) -> &SessionControl {
        &self.control
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.sessions.open.borrow_mut().remove(&self.connection);
        self.sessions.left.notify_waiters();
    }
}

impl Sessions {
    /// Counts a session as open until what is returned is dropped.
    pub(crate) fn enter(self: &Rc<Self>, connection: u64) -> OpenSession {
        let control = Rc::new(SessionControl::default());
        self.open
            .borrow_mut()
            .insert(connection, Rc::clone(&control));
        OpenSession {
            sessions: Rc::clone(self),
            connection,
            control,
        }
    }

    /// How to reach a session, while it is open.
    pub(crate) fn get(&self, connection: u64) -> Option<Rc<SessionControl>> {
        self.open.borrow().get(&connection).cloned()
    }

    pub(crate) fn count(&self) -> usize {
        self.open.borrow().len()
    }

    /// Lets every session go on that the filter of this slot holds: its VM is gone.
    pub(crate) fn resume_all(&self, slot: usize) {
        for control in self.open.borrow().values() {
            control.resume(Direction::Downstream, slot);
            control.resume(Direction::Upstream, slot);
        }
    }

    pub(crate) fn order_all(&self, order: CloseCommand) {
        for control in self.open.borrow().values() {
            control.order(order);
        }
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        // On one thread no session leaves between the count and the wait.
        while self.count() > 0 {
            self.left.notified().await;
        }
    }
}

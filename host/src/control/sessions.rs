//! The open sessions of a worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::control::command::{CloseCommand, SessionControl};
use proxy_wasm_engine::Direction;

/// The open sessions of one worker, by connection id.
pub(crate) struct Sessions {
    open: RefCell<HashMap<u64, Rc<SessionControl>>>,
    limit: usize,
    left: Notify,
}

impl Sessions {
    pub(crate) fn new(limit: usize) -> Sessions {
        Sessions {
            open: RefCell::default(),
            limit,
            left: Notify::new(),
        }
    }

    pub(crate) fn enter(&self, connection: u64) -> Rc<SessionControl> {
        let control = Rc::new(SessionControl::default());
        self.open
            .borrow_mut()
            .insert(connection, Rc::clone(&control));
        control
    }

    pub(crate) fn leave(&self, connection: u64) {
        self.open.borrow_mut().remove(&connection);
        self.left.notify_waiters();
    }

    pub(crate) fn get(&self, connection: u64) -> Option<Rc<SessionControl>> {
        self.open.borrow().get(&connection).cloned()
    }

    pub(crate) fn count(&self) -> usize {
        self.open.borrow().len()
    }

    /// Lets every session go on that this filter holds: its guest is gone.
    pub(crate) fn resume_all(&self, link: usize) {
        for control in self.open.borrow().values() {
            control.resume(Direction::Downstream, link);
            control.resume(Direction::Upstream, link);
        }
    }

    pub(crate) fn order_all(&self, order: CloseCommand) {
        for control in self.open.borrow().values() {
            control.order(order);
        }
    }

    /// Waits until one more session is allowed.
    pub(crate) async fn room(&self) {
        self.until(|count| count < self.limit).await;
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        self.until(|count| count == 0).await;
    }

    async fn until(&self, enough: impl Fn(usize) -> bool) {
        // One thread: nobody leaves between the look and the wait.
        while !enough(self.count()) {
            self.left.notified().await;
        }
    }
}

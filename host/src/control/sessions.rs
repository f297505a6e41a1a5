//! The open sessions of a worker.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::control::command::CloseCommand;
use crate::control::session_record::SessionRecord;
use proxy_wasm_engine::Direction;

/// The open sessions of one worker, by connection id.
#[derive(Default)]
pub(crate) struct Sessions {
    open: RefCell<HashMap<u64, Rc<SessionRecord>, RandomState>>,
    left: Notify,
    /// How many the filters have not seen yet.
    unseen: Cell<usize>,
    all_seen: Notify,
}

/// A session's place among the open ones; dropped, it has left, however it ended.
pub(crate) struct OpenSession {
    sessions: Rc<Sessions>,
    connection: u64,
    record: Rc<SessionRecord>,
    seen: Cell<bool>,
}

impl OpenSession {
    /// The filters have been shown the session.
    pub(crate) fn seen(&self) {
        if !self.seen.replace(true) {
            let unseen = &self.sessions.unseen;
            unseen.set(unseen.get().saturating_sub(1));
            if unseen.get() == 0 {
                self.sessions.all_seen.notify_waiters();
            }
        }
    }

    pub(crate) fn connection(&self) -> u64 {
        self.connection
    }

    pub(crate) fn record(&self) -> &SessionRecord {
        &self.record
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.seen();
        self.sessions.open.borrow_mut().remove(&self.connection);
        self.sessions.left.notify_waiters();
    }
}

impl Sessions {
    /// Counts a session as open until what is returned is dropped.
    pub(crate) fn enter(self: &Rc<Self>, connection: u64, record: SessionRecord) -> OpenSession {
        let record = Rc::new(record);
        self.open
            .borrow_mut()
            .insert(connection, Rc::clone(&record));
        self.unseen.set(self.unseen.get() + 1);
        OpenSession {
            sessions: Rc::clone(self),
            connection,
            record,
            seen: Cell::new(false),
        }
    }

    /// A session, while it is open.
    pub(crate) fn get(&self, connection: u64) -> Option<Rc<SessionRecord>> {
        self.open.borrow().get(&connection).cloned()
    }

    /// The ids of those open now.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.open.borrow().keys().copied().collect()
    }

    /// Visits those of these that are still open, a few at a time: the worker's other
    /// tasks go on in between.
    pub(super) async fn visit(&self, ids: Vec<u64>, mut visit: impl FnMut(u64, &SessionRecord)) {
        for (nth, few) in ids.chunks(VISITED_AT_ONCE).enumerate() {
            // Not after the last: a retired worker ends with its last session, and who
            // ends that has still to answer.
            if nth > 0 {
                yield_now().await;
            }
            for id in few {
                if let Some(record) = self.open.borrow().get(id) {
                    visit(*id, record);
                }
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.open.borrow().len()
    }

    /// Lets every session go on that the filter of this slot holds: its VM is gone.
    pub(crate) fn resume_all(&self, slot: usize) {
        for record in self.open.borrow().values() {
            record.control.resume(Direction::Downstream, slot);
            record.control.resume(Direction::Upstream, slot);
        }
    }

    /// Has every session meet the VM that has taken the place of one that failed.
    pub(crate) fn vm_replaced(&self) {
        for record in self.open.borrow().values() {
            record.control.vm_replaced();
        }
    }

    pub(crate) fn order_all(&self, order: CloseCommand) {
        for record in self.open.borrow().values() {
            record.control.order(order);
        }
    }

    /// Has sessions know that they last: each at the second of these looks.
    pub(crate) async fn find_lasting(&self) {
        loop {
            sleep(BETWEEN_LOOKS).await;
            for record in self.open.borrow().values() {
                record.control.find_open();
            }
        }
    }

    /// Waits until every session that was entered has been shown to the filters, or
    /// has left.
    pub(crate) async fn all_seen(&self) {
        // On one thread nothing happens between the look and the wait.
        while self.unseen.get() > 0 {
            self.all_seen.notified().await;
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

/// Sessions; visiting them takes a fraction of a millisecond.
const VISITED_AT_ONCE: usize = 256;
/// Between two looks at the sessions that are open.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);
/// A session that is open for so long has been found to last.
pub(crate) const LASTS_WITHIN: Duration = Duration::from_secs(2 * BETWEEN_LOOKS.as_secs());

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::SocketAddr;
    use std::task::{Context, Poll, Waker};

    use tokio::time::{Instant, timeout};

    use super::*;

    fn record() -> SessionRecord {
        let somewhere = SocketAddr::from(([127, 0, 0, 1], 1));
        SessionRecord::new(somewhere, somewhere)
    }

    #[test]
    fn all_are_seen_when_each_was_shown_or_has_left() {
        let sessions: Rc<Sessions> = Rc::default();
        let entered: Vec<_> = (0..1000).map(|id| sessions.enter(id, record())).collect();
        let mut waiting = Box::pin(sessions.all_seen());
        let mut is_over = || {
            let mut cx = Context::from_waker(Waker::noop());
            waiting.as_mut().poll(&mut cx) == Poll::Ready(())
        };
        for (nth, session) in entered.into_iter().enumerate() {
            assert!(!is_over(), "{nth} of 1000 were shown");
            session.seen();
            session.seen();
            // Those that stay count no more than those that leave.
            if nth % 2 == 0 {
                std::mem::forget(session);
            }
        }
        assert!(is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_lasts_is_woken_once_to_take_note() {
        let sessions: Rc<Sessions> = Rc::default();
        let session = sessions.enter(1, record());
        let began = Instant::now();
        let noted = poll_fn(|cx| match session.record().control.take_lasting() {
            true => Poll::Ready(()),
            false => session.record().control.poll_order(cx).map(|_| ()),
        });
        tokio::select! {
            () = sessions.find_lasting() => {}
            () = noted => {}
        }
        assert_eq!(began.elapsed().as_secs(), 2 * BETWEEN_LOOKS.as_secs());
        let _ = timeout(BETWEEN_LOOKS * 9, sessions.find_lasting()).await;
        assert!(!session.record().control.take_lasting(), "a second time");
    }
}

//! The orders that are being carried out: a process that takes over gets each that is
//! answered.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// Counts the orders that are being carried out, and takes none while another process is
/// given what holds.
#[derive(Default)]
pub(super) struct PendingOrders {
    count: Cell<usize>,
    stopped: Cell<bool>,
    ended: Notify,
}

/// An order is being carried out until this is dropped.
pub(super) struct PendingOrder(Rc<PendingOrders>);

impl PendingOrders {
    /// `None`: no orders are taken.
    pub(super) fn begin(self: &Rc<Self>) -> Option<PendingOrder> {
        if self.stopped.get() {
            return None;
        }
        self.count.update(|count| count + 1);
        Some(PendingOrder(Rc::clone(self)))
    }

    /// Takes no more from now on; what is returned waits for those that have begun.
    pub(super) fn stop(self: &Rc<Self>) -> impl Future<Output = ()> + 'static {
        self.stopped.set(true);
        let own = Rc::clone(self);
        async move {
            while own.count.get() > 0 {
                own.ended.notified().await;
            }
        }
    }

    /// Takes orders again.
    pub(super) fn resume(&self) {
        self.stopped.set(false);
    }
}

impl Drop for PendingOrder {
    fn drop(&mut self) {
        self.0.count.update(|count| count - 1);
        self.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn those_that_have_begun_are_waited_for_and_no_others_begin() {
        let orders: Rc<PendingOrders> = Rc::default();
        let (first, second) = (orders.begin().unwrap(), orders.begin().unwrap());
        let mut stopped = pin!(orders.stop());
        let mut is_done = || {
            let mut context = Context::from_waker(Waker::noop());
            stopped.as_mut().poll(&mut context) == Poll::Ready(())
        };
        assert!(orders.begin().is_none());
        for (why, order) in [("two", first), ("one", second)] {
            assert!(!is_done(), "{why} are pending");
            drop(order);
        }
        assert!(is_done());
        orders.resume();
        assert!(orders.begin().is_some());
    }
}

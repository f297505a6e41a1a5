//! What a session is asked from outside: to close, or to go on.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use proxy_wasm_engine::Direction;

/// What a session is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseCommand {
    /// The filter closes the connection.
    Close,
    /// The drain's limit has passed.
    Cut,
}

/// A session's letter box.
#[derive(Default)]
pub(crate) struct SessionControl {
    order: Cell<Option<CloseCommand>>,
    /// Which filters of the chain let go, one bit each: of what goes up, and down.
    resumed: [Cell<u64>; 2],
    waker: RefCell<Option<Waker>>,
}

impl SessionControl {
    /// Leaves an order; the first one counts.
    pub(crate) fn order(&self, order: CloseCommand) {
        if self.order.get().is_none() {
            self.order.set(Some(order));
        }
        self.wake();
    }

    /// Lets go what the filter of this place in the chain holds one way.
    pub(crate) fn resume(&self, direction: Direction, link: usize) {
        let resumed = self.of(direction);
        resumed.set(resumed.get() | bit(link));
        self.wake();
    }

    /// Whether this filter let go since it was last asked.
    pub(crate) fn take_resumed(&self, direction: Direction, link: usize) -> bool {
        let resumed = self.of(direction);
        let before = resumed.replace(resumed.get() & !bit(link));
        before & bit(link) != 0
    }

    fn of(&self, direction: Direction) -> &Cell<u64> {
        let [up, down] = &self.resumed;
        match direction {
            Direction::Downstream => up,
            Direction::Upstream => down,
        }
    }

    /// The order, if there is one.
    pub(crate) fn ordered(&self) -> Option<CloseCommand> {
        self.order.get()
    }

    /// The order, once there is one. Wakes the task for a resume as well.
    pub(crate) fn poll_order(&self, cx: &mut Context<'_>) -> Poll<CloseCommand> {
        if let Some(order) = self.order.get() {
            return Poll::Ready(order);
        }
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits for an order.
    pub(crate) async fn next_order(&self) -> CloseCommand {
        poll_fn(|cx| self.poll_order(cx)).await
    }

    /// Waits until this filter lets go what it holds of the client, or until the
    /// session is told to end.
    pub(crate) async fn until_resumed(&self, link: usize) -> Result<(), CloseCommand> {
        poll_fn(|cx| match self.poll_order(cx) {
            Poll::Ready(order) => Poll::Ready(Err(order)),
            Poll::Pending if self.take_resumed(Direction::Downstream, link) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// A filter's bit; configurations have no more filters than that.
fn bit(link: usize) -> u64 {
    1 << (link % 64)
}

//! What a session is asked from outside: to close, or to go on.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use proxy_wasm_engine::Direction;

/// Why a session is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseCommand {
    /// The filter closes the connection.
    Close,
    /// It ends at once, whatever is under way.
    Cut(Cutter),
}

/// Who has a session cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cutter {
    /// The drain, whose limit has passed.
    Drain,
    /// The operator, who ends the sessions of a replica.
    Operator,
}

/// What others ask of a session; it looks whenever it is woken.
#[derive(Default)]
pub(crate) struct SessionControl {
    order: Cell<Option<CloseCommand>>,
    /// Whether a VM has taken the place of one that failed, since it was last asked.
    vm_replaced: Cell<bool>,
    age: Cell<Age>,
    /// Which slots of the chain let go, one bit each: of what goes up, and down.
    resumed: [Cell<u64>; 2],
    waker: RefCell<Option<Waker>>,
}

/// How long a session has been open, by how often it was found so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Age {
    #[default]
    New,
    Found,
    /// It lasts, and has not taken note of that.
    Lasting,
    /// It lasts.
    Noted,
}

impl SessionControl {
    /// Finds the session open, as at regular intervals: the second time it is one that
    /// lasts, and is woken.
    pub(super) fn find_open(&self) {
        match self.age.get() {
            Age::New => self.age.set(Age::Found),
            Age::Found => {
                self.age.set(Age::Lasting);
                self.wake();
            }
            Age::Lasting | Age::Noted => {}
        }
    }

    /// Whether the session has turned into one that lasts since it was last asked.
    pub(crate) fn take_lasting(&self) -> bool {
        let lasting = self.age.get() == Age::Lasting;
        if lasting {
            self.age.set(Age::Noted);
        }
        lasting
    }

    /// Leaves an order; the first one counts, but for a cut, which does not wait for
    /// a close.
    pub(crate) fn order(&self, order: CloseCommand) {
        match (self.order.get(), order) {
            (None, _) | (Some(CloseCommand::Close), CloseCommand::Cut(_)) => {
                self.order.set(Some(order));
            }
            _ => {}
        }
        self.wake();
    }

    /// A VM has taken the place of one that failed.
    pub(crate) fn vm_replaced(&self) {
        self.vm_replaced.set(true);
        self.wake();
    }

    /// Whether a VM was replaced since it was last asked.
    pub(crate) fn take_vm_replaced(&self) -> bool {
        self.vm_replaced.take()
    }

    /// The filter of this slot lets go what it holds of one way.
    pub(crate) fn resume(&self, direction: Direction, slot: usize) {
        let resumed = self.resumed_slots(direction);
        resumed.set(resumed.get() | bit(slot));
        self.wake();
    }

    /// Whether this filter let go since it was last asked.
    pub(crate) fn take_resumed(&self, direction: Direction, slot: usize) -> bool {
        let resumed = self.resumed_slots(direction);
        let before = resumed.replace(resumed.get() & !bit(slot));
        before & bit(slot) != 0
    }

    fn resumed_slots(&self, direction: Direction) -> &Cell<u64> {
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
        // After an order, too: a cut may follow a close.
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        match self.order.get() {
            Some(order) => Poll::Ready(order),
            None => Poll::Pending,
        }
    }

    /// Waits for an order.
    pub(crate) async fn next_order(&self) -> CloseCommand {
        poll_fn(|cx| self.poll_order(cx)).await
    }

    /// Waits until this filter lets go what it holds of the client, or until the
    /// session is ordered to end.
    pub(crate) async fn until_resumed(&self, slot: usize) -> Result<(), CloseCommand> {
        poll_fn(|cx| match self.poll_order(cx) {
            Poll::Ready(order) => Poll::Ready(Err(order)),
            Poll::Pending if self.take_resumed(Direction::Downstream, slot) => Poll::Ready(Ok(())),
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

/// A slot's bit; no chain is longer.
fn bit(slot: usize) -> u64 {
    1 << (slot % 64)
}

//! What looks on while bytes are forwarded, and what it is shown.

use std::task::{Context, Poll};

use bytes::BytesMut;

use crate::control::CloseCommand;
use proxy_wasm_engine::{Action, Direction, End};

/// Which chunks of a connection a filter is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataCallbacks {
    /// None.
    None,
    /// The client's first, from then on none; so that bytes need not pass
    /// through the process's memory. What our own filter needs.
    #[default]
    First,
    /// Every one, both ways: for filters that read or change what passes.
    All,
}

/// Looks on while bytes are forwarded.
pub(crate) trait ForwardHooks {
    /// Shows the guest what is held in one way; it may change it.
    fn data(&self, direction: Direction, held: &mut BytesMut, end: End) -> Action;
    /// Whether the guest needs to see more of one way.
    fn wants_more(&self, direction: Direction) -> bool;
    /// The sender of one way has finished, and the guest is not shown so.
    fn ended(&self, direction: Direction);
    /// Counts bytes read from one side.
    fn took(&self, direction: Direction, bytes: usize);
    /// Counts bytes handed to the other side.
    fn moved(&self, direction: Direction, bytes: usize);
    /// Whether whoever held the bytes of one way lets go, and what those that look
    /// at them next say; asked once, then forgotten.
    fn resumed(&self, direction: Direction, held: &mut BytesMut, end: End) -> Option<Action>;
    /// An order, once there is one; until then the task is woken for it.
    fn poll_order(&self, cx: &mut Context<'_>) -> Poll<CloseCommand>;
}

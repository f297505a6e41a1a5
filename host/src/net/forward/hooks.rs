//! What forwarding reports to the session whose bytes it moves.

use std::task::{Context, Poll};

use bytes::BytesMut;

use crate::control::CloseCommand;
use proxy_wasm_engine::{Action, Direction, End};

/// Which chunks of one way filters are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataCallbacks {
    /// None: no filter has a callback for them, as our own. Bytes need not pass through
    /// the process's memory.
    None,
    /// Every one, as long as any filter wants more.
    All,
}

/// A session's part in the forwarding of its bytes. Ways are named as proxy-wasm
/// names them: downstream data come from the client.
pub(crate) trait ForwardHooks {
    /// Shows the filters what is held of one way; they may change it.
    fn data(&self, direction: Direction, held: &mut BytesMut, end: End) -> Action;
    /// Whether a filter needs to see more of one way.
    fn wants_more(&self, direction: Direction) -> bool;
    /// The sender of one way has finished, and no filter is shown so by `data`.
    fn ended(&self, direction: Direction);
    /// Bytes were read from the sender.
    fn took(&self, direction: Direction, bytes: usize);
    /// Bytes were written to the receiver.
    fn moved(&self, direction: Direction, bytes: usize);
    /// What the filters after the one that holds the bytes of one way decide, if
    /// that one has resumed since the last call.
    fn resumed(&self, direction: Direction, held: &mut BytesMut, end: End) -> Option<Action>;
    /// Whether the connection has turned into one that lasts since the last call.
    fn take_lasting(&self) -> bool;
    /// The command to end the connection, once there is one; wakes the task then.
    fn poll_order(&self, cx: &mut Context<'_>) -> Poll<CloseCommand>;
}

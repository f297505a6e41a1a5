//! Why forwarding ended.

use crate::control::CloseCommand;

/// Why forwarding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Both sides finished; the client first.
    ClientClosed,
    /// The replica finished, and the client has what it sent: the replica was the
    /// first, or takes no more of what the client sends.
    ReplicaClosed,
    /// The client's connection was lost, and so the replica's was closed.
    ClientReset,
    /// The replica's connection was lost, and so the client's was reset.
    ReplicaReset,
    /// Silent both ways for longer than allowed.
    Idle,
    /// One side finished, and the other was silent for longer than allowed.
    HalfClosed,
    /// By command of a filter, the drain or the operator.
    Ordered(CloseCommand),
    /// The client sent a PROXY header, which nobody trusts it to.
    UntrustedHeader,
    /// The replica ended before its first byte, and what the client sent may be sent
    /// to another one: see `Forward::give_up_replica` and `Forward::pass_on`.
    Unserved(Asked),
}

/// Whether the client of a replica that said nothing had asked for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Yes,
    /// A server waits for more, and may lose patience.
    NotYet,
}

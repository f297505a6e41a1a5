//! A connection as the host names it, and what the host knows of its way upstream.

/// The number a host gives a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// A connection's place in the order in which this VM's were opened. It tells what
/// came first where the clock, read at ticks only, does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Opening(pub(crate) u64);

/// What the host knows of a connection's attempts to reach a replica so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamOutcome<'a> {
    /// It has not reached a replica, and no attempt has failed.
    Pending,
    /// It reached this replica, by name.
    Reached(&'a str),
    /// It reached this replica, by name, which ended it before the client got a byte.
    Unserved(&'a str),
    /// Every attempt to reach one failed.
    Failed,
}

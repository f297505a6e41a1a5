//! A connection as the host names it, and what the host knows of its way upstream.

/// The number a host gives a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// A connection's place in the order in which this VM's were opened. It tells what
/// came first where the clock, read at ticks only, does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Opening(pub(crate) u64);

/// Whether it speaks against a replica that it ended a connection before its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It did so at once.
    Yes,
    /// It had waited for its client.
    No,
}

/// What the host knows of a connection's attempts to reach a replica so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamOutcome<'a> {
    /// It has not reached a replica, and no attempt has failed.
    Pending,
    /// It is connected to this replica, by name, of which no byte has come yet.
    Connected(&'a str),
    /// It reached this replica, by name, and a byte came from there.
    Reached(&'a str),
    /// Every attempt to reach one failed.
    Failed,
}

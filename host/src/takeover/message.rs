//! What the two processes of a takeover send each other.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::control::session_list::SessionList;

/// Of the messages. A field may be added without a new one: a process that does not know
/// it ignores it.
pub(crate) const VERSION: u32 = 1;

/// What the new process sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromSuccessor {
    /// Asks for what there is.
    Hello {
        version: u32,
        /// The version of the program.
        program: String,
    },
    /// Its workers have started; they accept after [`FromPredecessor::Go`].
    Ready {
        /// The addresses of the sockets that it goes on with.
        kept: Vec<SocketAddr>,
    },
    /// It can't start.
    Failed { problem: String },
    /// It accepts.
    Running,
    /// Asks for the open sessions, of one replica or of all; after
    /// [`FromPredecessor::Retired`], as [`FromSuccessor::Kill`].
    List {
        replica: Option<String>,
        /// How long it waits. Every question is answered, in order, also a late one.
        limit_ms: Option<u64>,
    },
    /// Has those of a replica ended.
    Kill {
        replica: String,
        /// As of [`FromSuccessor::List`].
        limit_ms: Option<u64>,
    },
}

/// What the process that serves sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromPredecessor {
    Refused {
        problem: String,
    },
    /// Listening sockets, which come with the message.
    Sockets(Sockets),
    /// The addresses of a name, for a start while DNS fails.
    Name(ResolvedName),
    /// Something that its VMs share.
    Entry(Entry),
    /// That was all, until [`FromSuccessor::Ready`].
    Offered,
    /// The entries since then are what has changed. It takes no more orders.
    Go,
    /// It accepts no more.
    Retired,
    /// [`FromSuccessor::Running`] did not come in time: it serves on, and the other is to
    /// end. One that does not know this only misses [`FromPredecessor::Retired`].
    TakenBack,
    /// Those that were asked for.
    Sessions(SessionList),
    /// How many were ended.
    Killed(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Traffic,
    Admin,
}

/// Sockets of one listener on one address; the listener's own address comes first, and
/// of many sockets there are several messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sockets {
    pub(crate) role: Role,
    /// Counts the listeners.
    pub(crate) listener: usize,
    /// As configured: the port may be 0.
    pub(crate) bind: SocketAddr,
    pub(crate) address: SocketAddr,
    /// How many sockets there are with the message.
    pub(crate) count: usize,
}

/// A DNS name with its last good answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResolvedName {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
}

/// A value that VMs share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// How the filter has written it; another filter may not read it.
    pub(crate) shape: u8,
    pub(crate) key: String,
    /// In base64.
    pub(crate) value: String,
}

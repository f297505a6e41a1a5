//! Open sessions, as the admin listener lists them.

use std::cmp::Reverse;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Open sessions, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// How many there are of those asked for; at most [`SessionList::MOST`] are listed.
    pub total: usize,
    /// The oldest of them.
    pub sessions: Vec<ListedSession>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSession {
    /// Who has connected.
    pub client: SocketAddr,
    /// Where.
    pub listener: SocketAddr,
    /// Which of several services it is for; `None`: there is one registry, or the client
    /// has not asked yet.
    pub service: Option<String>,
    /// Where it is connected to; `None`: nowhere yet.
    pub replica: Option<String>,
    /// Since it was accepted.
    pub age_ms: u64,
    /// Bytes sent to the replica.
    pub up: u64,
    /// Bytes sent to the client.
    pub down: u64,
}

/// What became of a request to end the sessions of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KilledSessions {
    /// Whose.
    pub replica: String,
    /// How many.
    pub killed: usize,
}

impl SessionList {
    /// No more are listed.
    pub const MOST: usize = 10_000;

    /// Takes in what another worker lists; the oldest stay.
    pub(super) fn merge(&mut self, other: SessionList) {
        self.total += other.total;
        self.sessions.extend(other.sessions);
        self.sessions.sort_by_key(|session| Reverse(session.age_ms));
        self.sessions.truncate(SessionList::MOST);
    }
}

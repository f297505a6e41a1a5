//! Why a session ended, as metrics and the access log name it.

use crate::control::{CloseCommand, Cutter};
use crate::net::forward::Outcome;
use dtr_lb_filter::contract::{HELLO_TIMEOUT, UNTRUSTED_HEADER};

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    ClientClosed,
    ReplicaClosed,
    ClientReset,
    ReplicaReset,
    RefusedByFilter,
    ClosedByFilter,
    NoReplica,
    Drained,
    /// By the operator, with all others of its replica.
    Killed,
    Idle,
    HalfClosed,
    /// The client has not asked for one of several services in time.
    HelloTimeout,
    /// The client is no trusted proxy, and has sent a PROXY header.
    UntrustedHeader,
    /// A trusted proxy has sent no PROXY header, or what can't be read as one.
    NoHeader,
    /// It has not sent one in time.
    HeaderTimeout,
    /// This machine lacked what a connection to a replica takes.
    LocalResources,
    /// Its task panicked, or its worker.
    InternalError,
}

impl Reason {
    pub(super) const ALL: [Reason; 17] = [
        Reason::ClientClosed,
        Reason::ReplicaClosed,
        Reason::ClientReset,
        Reason::ReplicaReset,
        Reason::RefusedByFilter,
        Reason::ClosedByFilter,
        Reason::NoReplica,
        Reason::Drained,
        Reason::Killed,
        Reason::Idle,
        Reason::HalfClosed,
        Reason::HelloTimeout,
        Reason::UntrustedHeader,
        Reason::NoHeader,
        Reason::HeaderTimeout,
        Reason::LocalResources,
        Reason::InternalError,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Reason::ClientClosed => "client-closed",
            Reason::ReplicaClosed => "replica-closed",
            Reason::ClientReset => "client-reset",
            Reason::ReplicaReset => "replica-reset",
            Reason::RefusedByFilter => "refused-by-filter",
            Reason::ClosedByFilter => "closed-by-filter",
            Reason::NoReplica => "no-replica",
            Reason::Drained => "drained",
            Reason::Killed => "killed",
            Reason::Idle => "idle",
            Reason::HalfClosed => "half-closed",
            Reason::HelloTimeout => HELLO_TIMEOUT,
            Reason::UntrustedHeader => UNTRUSTED_HEADER,
            Reason::NoHeader => "no-proxy-header",
            Reason::HeaderTimeout => "proxy-header-timeout",
            Reason::LocalResources => "local-resources",
            Reason::InternalError => "internal-error",
        }
    }

    /// Of a connection that was to end before it was known where it goes.
    pub(crate) fn refused(command: CloseCommand) -> Reason {
        match command {
            CloseCommand::Close => Reason::RefusedByFilter,
            CloseCommand::Cut(cutter) => cutter.into(),
        }
    }
}

impl From<Outcome> for Reason {
    fn from(outcome: Outcome) -> Reason {
        match outcome {
            Outcome::ClientClosed => Reason::ClientClosed,
            // Unserved is no end: the session goes on.
            Outcome::ReplicaClosed | Outcome::Unserved(_) => Reason::ReplicaClosed,
            Outcome::ClientReset => Reason::ClientReset,
            Outcome::ReplicaReset => Reason::ReplicaReset,
            Outcome::UntrustedHeader => Reason::UntrustedHeader,
            Outcome::Idle => Reason::Idle,
            Outcome::HalfClosed => Reason::HalfClosed,
            Outcome::Ordered(CloseCommand::Close) => Reason::ClosedByFilter,
            Outcome::Ordered(CloseCommand::Cut(cutter)) => cutter.into(),
        }
    }
}

impl From<Cutter> for Reason {
    fn from(cutter: Cutter) -> Reason {
        match cutter {
            Cutter::Drain => Reason::Drained,
            Cutter::Operator => Reason::Killed,
        }
    }
}

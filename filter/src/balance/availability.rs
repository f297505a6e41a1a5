//! How available a replica is for new connections.

/// How much a replica may be given, from best to worst; one number orders all
/// replicas before their load does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Availability {
    /// A healthy primary.
    Primary,
    /// A healthy backup.
    Backup,
    /// Healthy but ejected for connect failures.
    Ejected,
    /// The same, of a backup.
    EjectedBackup,
    /// Unhealthy, tried because no other is left and the operator wants it so.
    Unhealthy,
    /// The same, of a backup.
    UnhealthyBackup,
    /// Healthy, but it has all the connections it may have.
    Full,
    /// Unhealthy.
    Down,
    /// In drain, in maintenance, or no longer configured.
    Away,
}

impl Availability {
    /// Whether a connection may be given to it at all.
    pub(crate) fn may_serve(self) -> bool {
        self < Availability::Full
    }

    /// Whether a connection that others did not take may try it: also one of which
    /// the last that was heard is bad. That may be seconds old, and costs a client
    /// that has no other way no more than another refusal. What the operator keeps
    /// out is not tried.
    pub(crate) fn may_be_tried(self) -> bool {
        !matches!(self, Availability::Full | Availability::Away)
    }

    /// Whether it serves for being healthy, not for want of a better one.
    pub(crate) fn is_healthy(self) -> bool {
        self <= Availability::Backup
    }
}

//! How long a connection may be silent.

use std::time::Duration;

/// How long a connection that is being closed may stand still, by default.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection may be silent; `None` is for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// Both ways.
    pub(crate) idle: Option<Duration>,
    /// Once one side has finished.
    pub(crate) half_close: Option<Duration>,
    /// While it is being closed: a side takes nothing of what is left for it, or a
    /// client goes on sending what nobody reads.
    pub(crate) close: Duration,
}

impl Timeouts {
    pub(crate) const DEFAULT: Timeouts = Timeouts {
        idle: None,
        half_close: None,
        close: CLOSE_LIMIT,
    };

    /// Once one side has finished.
    pub(crate) fn half_closed(&self) -> Option<Duration> {
        self.idle.into_iter().chain(self.half_close).min()
    }
}

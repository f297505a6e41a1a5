//! How many lines a guest may log.

use std::time::Duration;

/// Counts a guest's lines against its limit.
pub(super) struct LogLimiter {
    limit: Option<u32>,
    second: u64,
    lines: u32,
    dropped: u32,
    /// The last critical line of a callback: the message of a panic.
    pub(super) last_critical_line: Option<String>,
}

impl LogLimiter {
    pub(super) fn new(limit: Option<u32>) -> LogLimiter {
        LogLimiter {
            limit,
            second: 0,
            lines: 0,
            dropped: 0,
            last_critical_line: None,
        }
    }

    /// Whether there is a limit: without one, the time need not be known.
    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Whether one more line may pass; how many were dropped before it.
    pub(super) fn admit(&mut self, now: Duration) -> Option<u32> {
        let Some(limit) = self.limit else {
            return Some(0);
        };
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.lines = 0;
        }
        if self.lines >= limit {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

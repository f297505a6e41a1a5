//! How often the VMs show that they are alive.

use std::time::Duration;

/// How often a VM gives a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) heartbeat: Duration,
}

impl Pace {
    /// The pace where replicas are probed in this interval. Where a VM must not give
    /// more than a limit, it learns of free room at the next heartbeat.
    pub(crate) fn new(interval_ms: u64, is_limited: bool) -> Pace {
        let most = if is_limited { 50 } else { 250 };
        Pace {
            heartbeat: Duration::from_millis((interval_ms / 4).clamp(25, most)),
        }
    }

    /// After this long without a heartbeat a VM counts as ended.
    pub(crate) fn ttl(self) -> Duration {
        (self.heartbeat * 4).max(Duration::from_millis(400))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_faster_where_connections_are_limited() {
        let cases = [
            (1000, false, 250, 1000),
            (10_000, false, 250, 1000),
            (40, false, 25, 400),
            (1000, true, 50, 400),
        ];
        for (interval_ms, is_limited, heartbeat, ttl) in cases {
            let pace = Pace::new(interval_ms, is_limited);
            let expected = (Duration::from_millis(heartbeat), Duration::from_millis(ttl));
            assert_eq!((pace.heartbeat, pace.ttl()), expected, "{interval_ms} ms");
        }
    }
}

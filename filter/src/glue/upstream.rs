//! How far a connection has got upstream, and how it is closed.

use super::host;
use crate::balance::stream::{StreamId, UpstreamOutcome};
use crate::balancer::Balancer;
use crate::contract::REPLICA_PROPERTY;
use crate::effect::Fact;
use crate::time::Moment;
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;

/// Finds out where a connection went that is still open.
pub(super) fn locate(balancer: &mut Balancer, stream: StreamId, root: u32, now: Moment) {
    if hostcalls::set_effective_context(stream.0).is_err() {
        return;
    }
    observe_outcome(balancer, |outcome| Fact::Located(stream, outcome), now);
    let _ = hostcalls::set_effective_context(root);
}

/// Closes a connection from a tick.
pub(super) fn close(stream: StreamId, root: u32) {
    if hostcalls::set_effective_context(stream.0).is_err() {
        return;
    }
    if hostcalls::close_downstream().is_err() {
        let text = "a connection of an unhealthy replica could not be closed";
        host::log(LogLevel::Warn, text);
    }
    let _ = hostcalls::set_effective_context(root);
}

/// Hands the balancer how far the connection at hand got.
pub(super) fn observe_outcome(
    balancer: &mut Balancer,
    fact: impl for<'a> FnOnce(UpstreamOutcome<'a>) -> Fact<'a>,
    now: Moment,
) {
    // The marker of success: flags stay set after an attempt that failed, and the
    // replica's name is there while it is still being connected to.
    if host::property(&CONNECTED).is_none() {
        let flags = host::number(&FLAGS).unwrap_or_default();
        let outcome = if flags & CONNECT_FAILED == 0 {
            UpstreamOutcome::Pending
        } else {
            UpstreamOutcome::Failed
        };
        return balancer.observe(fact(outcome), now);
    }
    let name = host::property(&REPLICA_PROPERTY).unwrap_or_default();
    let name = std::str::from_utf8(&name).unwrap_or_default();
    balancer.observe(fact(UpstreamOutcome::Reached(name)), now);
}

const CONNECTED: [&str; 2] = ["upstream", "local_address"];
const FLAGS: [&str; 2] = ["response", "flags"];
/// UpstreamConnectionFailure (32) and UpstreamRetryLimitExceeded (32768).
const CONNECT_FAILED: u64 = 32 | 32768;

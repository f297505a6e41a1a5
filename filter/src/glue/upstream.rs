//! How far a connection has got upstream, and how it is closed.

use super::host;
use crate::balance::stream::{StreamId, UpstreamOutcome};
use crate::balancer::Balancer;
use crate::contract::REPLICA_PROPERTY;
use crate::effect::Fact;
use crate::time::Moment;
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use std::time::Duration;

/// Finds out where a connection went that is still open.
pub(super) fn locate(balancer: &mut Balancer, stream: StreamId, root: u32, now: Moment) {
    if hostcalls::set_effective_context(stream.0).is_err() {
        return;
    }
    observe_outcome(
        balancer,
        FirstEnd::None,
        |outcome| Fact::Located(stream, outcome),
        now,
    );
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

/// Which side of a connection ended first, without a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstEnd {
    /// Neither so far.
    None,
    Client,
    Replica,
}

/// Hands the balancer how far the connection at hand got.
pub(super) fn observe_outcome(
    balancer: &mut Balancer,
    first_end: FirstEnd,
    fact: impl for<'a> FnOnce(UpstreamOutcome<'a>) -> Fact<'a>,
    now: Moment,
) {
    let name = host::property(&REPLICA_PROPERTY).unwrap_or_default();
    let name = std::str::from_utf8(&name).unwrap_or_default();
    // A byte that came from a replica says as much as all that is asked for below.
    if !name.is_empty() && sent() > 0 {
        return balancer.observe(fact(UpstreamOutcome::Reached(name)), now);
    }
    // The marker of success: flags stay set after an attempt that failed, and the
    // replica's name is there while it is still being connected to.
    let is_connected = host::property(&CONNECTED).is_some();
    let flags = host::number(&FLAGS).unwrap_or_default();
    let outcome = match is_connected {
        true if flags & REMOTE_RESET != 0 || is_unserved(first_end) => {
            UpstreamOutcome::Unserved(name)
        }
        true => UpstreamOutcome::Reached(name),
        false if flags & CONNECT_FAILED != 0 => UpstreamOutcome::Failed,
        false => UpstreamOutcome::Pending,
    };
    balancer.observe(fact(outcome), now);
}

/// Whether the replica of the connection at hand, of which no byte came, ended it
/// although it had something to answer. Who has waited long for the rest of a request
/// may end without a word.
fn is_unserved(first_end: FirstEnd) -> bool {
    let began = host::number(&BEGAN).map(Duration::from_nanos);
    first_end == FirstEnd::Replica
        && host::number(&RECEIVED).unwrap_or_default() > 0
        && began
            .zip(host::now())
            .is_some_and(|(began, now)| now.saturating_sub(began) < PATIENCE)
}

/// How many bytes the client of the connection at hand has been sent.
pub(super) fn sent() -> u64 {
    host::number(&SENT).unwrap_or_default()
}

const CONNECTED: [&str; 2] = ["upstream", "local_address"];
const SENT: [&str; 2] = ["response", "size"];
const RECEIVED: [&str; 2] = ["request", "size"];
/// Nanoseconds since the Unix epoch.
const BEGAN: [&str; 2] = ["request", "time"];
const FLAGS: [&str; 2] = ["response", "flags"];
/// UpstreamRemoteReset. A replica's orderly end has no flag.
const REMOTE_RESET: u64 = 16;
/// UpstreamConnectionFailure (32) and UpstreamRetryLimitExceeded (32768).
const CONNECT_FAILED: u64 = 32 | 32768;
/// No server gives up on a client that is still sending its request so soon.
const PATIENCE: Duration = Duration::from_secs(2);

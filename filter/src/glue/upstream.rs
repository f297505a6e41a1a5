//! How far a connection has got upstream, and how it is closed.

use super::host;
use crate::balance::stream::{Blame, StreamId, UpstreamOutcome};
use crate::balancer::Balancer;
use crate::contract::{PATIENCE, REFUSAL_PROPERTY, REPLICA_PROPERTY};
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
    let sent = sent();
    observe_outcome(
        balancer,
        sent,
        |outcome| Fact::Located(stream, outcome),
        now,
    );
    let _ = hostcalls::set_effective_context(root);
}

/// Closes a connection from a tick, for a reason that the access log has.
pub(super) fn close(stream: StreamId, reason: &str, root: u32) {
    if hostcalls::set_effective_context(stream.0).is_err() {
        return;
    }
    host::set_property(REFUSAL_PROPERTY, reason);
    if hostcalls::close_downstream().is_err() {
        let text = "a connection that is to end could not be closed";
        host::log(LogLevel::Warn, text);
    }
    let _ = hostcalls::set_effective_context(root);
}

/// Whether the replica of a connection was the first to end its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplicaEnd {
    NotSeen,
    /// It has ended; the client may have done so before.
    Seen,
    First,
}

/// Hands the balancer how far the connection at hand got, whose client has been sent
/// `sent` bytes.
pub(super) fn observe_outcome(
    balancer: &mut Balancer,
    sent: u64,
    fact: impl for<'a> FnOnce(UpstreamOutcome<'a>) -> Fact<'a>,
    now: Moment,
) {
    let name = replica();
    let outcome = match name.is_empty() {
        false if sent > 0 => UpstreamOutcome::Reached(&name),
        // The marker of success: flags stay set after an attempt that failed, and the
        // replica's name is there while it is still being connected to.
        _ if host::property(CONNECTED).is_some() => UpstreamOutcome::Connected(&name),
        _ if flags() & CONNECT_FAILED != 0 => UpstreamOutcome::Failed,
        _ => UpstreamOutcome::Pending,
    };
    balancer.observe(fact(outcome), now);
}

/// Hands the balancer that the replica of the connection at hand ended it before its
/// first byte. That speaks against the replica unless it had waited for its client.
pub(super) fn left_unserved(balancer: &mut Balancer, stream: StreamId, now: Moment) {
    let began = host::number(BEGAN).map(Duration::from_nanos);
    let age = host::now()
        .zip(began)
        .map(|(now, began)| now.saturating_sub(began));
    let blame = match age.is_some_and(|age| age < PATIENCE) {
        true => Blame::Yes,
        false => Blame::No,
    };
    balancer.observe(Fact::LeftUnserved(stream, &replica(), blame), now);
}

/// Whether a replica reset the connection at hand, whose client had sent something: one
/// that came and went may be answered by a reset.
pub(super) fn was_reset() -> bool {
    flags() & REMOTE_RESET != 0 && host::number(RECEIVED).unwrap_or_default() > 0
}

/// How many bytes the client of the connection at hand has been sent.
pub(super) fn sent() -> u64 {
    host::number(SENT).unwrap_or_default()
}

/// The name of the replica of the connection at hand; empty when there is none.
pub(super) fn replica() -> String {
    let name = host::property(REPLICA_PROPERTY).unwrap_or_default();
    String::from_utf8(name).unwrap_or_default()
}

fn flags() -> u64 {
    host::number(FLAGS).unwrap_or_default()
}

const CONNECTED: &str = "upstream\0local_address";
const SENT: &str = "response\0size";
const RECEIVED: &str = "request\0size";
/// Nanoseconds since the Unix epoch.
const BEGAN: &str = "request\0time";
const FLAGS: &str = "response\0flags";
/// UpstreamRemoteReset. A replica's orderly end has no flag.
const REMOTE_RESET: u64 = 16;
/// UpstreamConnectionFailure (32) and UpstreamRetryLimitExceeded (32768).
const CONNECT_FAILED: u64 = 32 | 32768;

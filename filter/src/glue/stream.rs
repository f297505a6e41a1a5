//! Connections: each is given a route, and at the end, or at a tick when it lasts,
//! it is found out where it went.

use super::host;
use super::vm::Vm;
use crate::balance::connections::{StreamId, UpstreamOutcome};
use crate::balancer::{Admission, Balancer, Fact};
use crate::random;
use crate::shared::board::VERSION;
use crate::time::Moment;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, LogLevel};

/// A connection came in.
pub(super) fn opened(vm: &mut Vm, context: u32) -> Action {
    let now = vm.clock.now();
    // Without a configuration, or on a listener it does not name, the proxy's own
    // choice stands.
    let Some(balancer) = &mut vm.balancer else {
        return Action::Continue;
    };
    let port = host::property(&PORT).unwrap_or_default();
    let port = std::str::from_utf8(&port)
        .ok()
        .and_then(|port| port.parse().ok());
    let Some(listener) = port.and_then(|port| balancer.listener(port)) else {
        return Action::Continue;
    };
    if host::shared_data_cas(VERSION) != balancer.version() {
        balancer.refresh(&mut host::Shared, now);
    }
    balancer.agree(&mut host::Shared, now);
    let client = match balancer.asks_for_client() {
        true => client(&host::property(&["source", "address"]).unwrap_or_default()),
        false => 0,
    };
    let stream = StreamId(context);
    let steered = match balancer.admit(stream, listener, client, now) {
        Admission::Steer(_, route) => {
            host::call_foreign_function("set_envoy_filter_state", route.steering())
        }
        Admission::Refuse(_) => {
            // Closed before anything is sent; Pause keeps the proxy from connecting.
            let _ = hostcalls::close_downstream();
            return Action::Pause;
        }
    };
    if steered.is_err() {
        balancer.observe(Fact::NotSteered(stream), now);
    }
    balancer.agree(&mut host::Shared, now);
    Action::Continue
}

/// A connection is over.
pub(super) fn closed(vm: &mut Vm, context: u32) {
    let now = vm.clock.now();
    let Some(balancer) = &mut vm.balancer else {
        return;
    };
    let stream = StreamId(context);
    if balancer.is_unsettled(stream) {
        observe_outcome(balancer, |outcome| Fact::Closed(stream, outcome), now);
    } else {
        balancer.observe(Fact::Closed(stream, UpstreamOutcome::Pending), now);
    }
}

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
        host::log(
            LogLevel::Warn,
            "a connection of an unhealthy replica could not be closed",
        );
    }
    let _ = hostcalls::set_effective_context(root);
}

/// Tells the balancer how far the connection at hand got.
fn observe_outcome(
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
    let name = host::property(&REPLICA).unwrap_or_default();
    let name = std::str::from_utf8(&name).unwrap_or_default();
    balancer.observe(fact(UpstreamOutcome::Reached(name)), now);
}

/// A number for the client's address, whatever its port.
fn client(address: &[u8]) -> u64 {
    let colon = address
        .iter()
        .rposition(|byte| *byte == b':')
        .unwrap_or(address.len());
    random::hash(address.get(..colon).unwrap_or(address))
}

/// `listener_metadata` alone is not served to network filters by Envoy 1.40,
/// whatever its documentation says.
const PORT: [&str; 5] = ["xds", "listener_metadata", "filter_metadata", "dtr", "port"];
const REPLICA: [&str; 5] = [
    "xds",
    "upstream_host_metadata",
    "filter_metadata",
    "dtr",
    "name",
];
const CONNECTED: [&str; 2] = ["upstream", "local_address"];
const FLAGS: [&str; 2] = ["response", "flags"];
/// UpstreamConnectionFailure (32) and UpstreamRetryLimitExceeded (32768).
const CONNECT_FAILED: u64 = 32 | 32768;

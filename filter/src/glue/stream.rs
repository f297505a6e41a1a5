//! Connections: each is given a route, and at the end, or at a tick when it lasts,
//! it is found out where it went.

use super::host::{self, LogLevel};
use super::vm::Vm;
use crate::balancer::{Admission, Balancer, Fact};
use crate::board::VERSION;
use crate::moment::Moment;
use crate::random;
use crate::session::{Landing, StreamId};

/// What a callback on a connection answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Action {
    #[default]
    Continue = 0,
    Pause = 1,
}

/// A connection came in.
pub(super) fn opened(vm: &mut Vm, context: u32) -> Action {
    let now = vm.clock.now();
    // Without a configuration, or on a listener it does not name, the proxy's own
    // choice stands.
    let Some(balancer) = &mut vm.balancer else {
        return Action::Continue;
    };
    let read = |port: &[u8]| std::str::from_utf8(port).ok()?.parse().ok();
    let port = PORT
        .iter()
        .find_map(|path| host::property(path, read))
        .flatten();
    let Some(listener) = port.and_then(|port| balancer.listener(port)) else {
        return Action::Continue;
    };
    if host::shared_data_cas(VERSION) != balancer.version() {
        balancer.refresh(&mut host::Shared, now);
    }
    let client = match balancer.asks_for_client() {
        true => host::property("source\0address", client).unwrap_or_default(),
        false => 0,
    };
    let stream = StreamId(context);
    let steered = match balancer.admit(stream, listener, client, now) {
        Admission::Steer(_, route) => {
            host::call_foreign_function("set_envoy_filter_state", route.steering())
        }
        Admission::Refuse(_) => {
            // Closed before anything is sent; Pause keeps the proxy from connecting.
            let _ = host::close_downstream();
            return Action::Pause;
        }
    };
    if steered.is_err() {
        balancer.observe(Fact::NotSteered(stream), now);
    }
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
        observe_landing(balancer, |landing| Fact::Closed(stream, landing), now);
    } else {
        balancer.observe(Fact::Closed(stream, Landing::Pending), now);
    }
}

/// Finds out where a connection went that is still open.
pub(super) fn locate(balancer: &mut Balancer, stream: StreamId, root: u32, now: Moment) {
    if host::set_effective_context(stream.0).is_err() {
        return;
    }
    observe_landing(balancer, |landing| Fact::Landed(stream, landing), now);
    let _ = host::set_effective_context(root);
}

/// Closes a connection from a tick.
pub(super) fn close(stream: StreamId, root: u32) {
    if host::set_effective_context(stream.0).is_err() {
        return;
    }
    if host::close_downstream().is_err() {
        host::log(
            LogLevel::Warn,
            "a connection of an unhealthy replica could not be closed",
        );
    }
    let _ = host::set_effective_context(root);
}

/// Tells the balancer how far the connection at hand got.
fn observe_landing(
    balancer: &mut Balancer,
    fact: impl for<'a> FnOnce(Landing<'a>) -> Fact<'a>,
    now: Moment,
) {
    // The marker of success: flags stay set after an attempt that failed, and the
    // replica's name is there while it is still being connected to.
    if host::property(CONNECTED, |_| ()).is_none() {
        let flags = host::number(FLAGS).unwrap_or_default();
        let landing = if flags & CONNECT_FAILED == 0 {
            Landing::Pending
        } else {
            Landing::Failed
        };
        return balancer.observe(fact(landing), now);
    }
    let told = host::property(REPLICA, |name| {
        // Copied to the stack: the balancer may be called only when the host's
        // buffer is free again.
        let mut copy = [0; 64];
        let size = name.len().min(copy.len());
        for (to, from) in copy.iter_mut().zip(name) {
            *to = *from;
        }
        (copy, size)
    });
    let (copy, size) = told.unwrap_or(([0; 64], 0));
    let name = copy
        .get(..size)
        .and_then(|name| std::str::from_utf8(name).ok())
        .unwrap_or_default();
    balancer.observe(fact(Landing::Reached(name)), now);
}

/// A number for the client's address, whatever its port.
fn client(address: &[u8]) -> u64 {
    let colon = address
        .iter()
        .rposition(|byte| *byte == b':')
        .unwrap_or(address.len());
    random::hash(address.get(..colon).unwrap_or(address))
}

/// Envoy serves the first to network filters, and the second to none of them in
/// some versions, whatever its documentation says.
const PORT: [&str; 2] = [
    "xds\0listener_metadata\0filter_metadata\0dtr\0port",
    "listener_metadata\0filter_metadata\0dtr\0port",
];
const REPLICA: &str = "xds\0upstream_host_metadata\0filter_metadata\0dtr\0name";
const CONNECTED: &str = "upstream\0local_address";
const FLAGS: &str = "response\0flags";
/// UpstreamConnectionFailure (32) and UpstreamRetryLimitExceeded (32768).
const CONNECT_FAILED: u64 = 32 | 32768;

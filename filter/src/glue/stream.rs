//! Connections: each is given a route when it opens, and counted when it ends.

use super::host;
use super::upstream::{self, ReplicaEnd, observe_outcome};
use super::vm::Vm;
use crate::balance::listener::ListenerId;
use crate::balance::stream::StreamId;
use crate::balancer::{Admission, Balancer};
use crate::contract::{REFUSAL_PROPERTY, REPLICA_PROPERTY, STEERING_FUNCTION};
use crate::effect::Fact;
use crate::random;
use crate::time::Moment;
use proxy_wasm::hostcalls;
use proxy_wasm::types::Action;

/// A connection to a port of the service came in.
pub(super) fn opened(vm: &mut Vm, context: u32, port: Option<u16>) -> Action {
    forget_unannounced(vm, context);
    let now = vm.clock.now();
    // Without a configuration, or on a listener it does not name, the proxy's own
    // choice stands.
    let Some(balancer) = &mut vm.balancer else {
        return Action::Continue;
    };
    let Some(listener) = listener(balancer, port) else {
        return Action::Continue;
    };
    if balancer.is_behind(&mut vm.shared) {
        balancer.refresh(&mut vm.shared, now);
    }
    balancer.share_limits(&mut vm.shared, now);
    let client = match balancer.needs_client() {
        true => client(&host::property(SOURCE).unwrap_or_default()),
        false => 0,
    };
    let stream = StreamId(context);
    let steered = match balancer.admit(stream, listener, client, now) {
        Admission::Steer(_, route) => {
            host::call_foreign_function(STEERING_FUNCTION, route.steering())
        }
        Admission::Refuse(refusal) => {
            host::set_property(REFUSAL_PROPERTY, refusal.name());
            // Closed before anything is sent; Pause keeps the proxy from connecting.
            let _ = hostcalls::close_downstream();
            return Action::Pause;
        }
    };
    if steered.is_err() {
        balancer.observe(Fact::NotSteered(stream), now);
    }
    balancer.share_limits(&mut vm.shared, now);
    Action::Continue
}

/// A replica has ended its side of a connection, before its first byte.
pub(super) fn replica_ended(vm: &mut Vm, context: u32) {
    let now = vm.clock.now();
    if let Some(balancer) = &mut vm.balancer {
        upstream::left_unserved(balancer, StreamId(context), now);
    }
}

/// A connection is over.
pub(super) fn closed(vm: &mut Vm, context: u32, end: ReplicaEnd) {
    forget_unannounced(vm, context);
    let now = vm.clock.now();
    let Some(balancer) = &mut vm.balancer else {
        return;
    };
    let stream = StreamId(context);
    let sent = upstream::sent();
    if sent == 0 && (end == ReplicaEnd::First || upstream::was_reset()) {
        upstream::left_unserved(balancer, stream, now);
    }
    observe_outcome(balancer, sent, |outcome| Fact::Closed(stream, outcome), now);
}

/// Counts the connections that began before this VM: the standalone host opens
/// contexts for those that outlived the VM before, without announcing them as new.
pub(super) fn adopt(vm: &mut Vm, root: u32, now: Moment) {
    let Some(balancer) = &mut vm.balancer else {
        return;
    };
    if vm.unannounced.is_empty() || !balancer.may_adopt(now) {
        return;
    }
    for (context, port) in vm.unannounced.drain(..) {
        if hostcalls::set_effective_context(context).is_err() {
            continue;
        }
        if let Some(listener) = listener(balancer, port) {
            let name = host::property(REPLICA_PROPERTY).unwrap_or_default();
            let name = std::str::from_utf8(&name).unwrap_or_default();
            let fact = Fact::Adopted(StreamId(context), listener, name);
            balancer.observe(fact, now);
        }
    }
    let _ = hostcalls::set_effective_context(root);
}

fn forget_unannounced(vm: &mut Vm, context: u32) {
    // Nearly always it is the last, or there is none.
    if let Some(at) = vm.unannounced.iter().rposition(|one| one.0 == context) {
        vm.unannounced.swap_remove(at);
    }
}

/// The listener that the connection at hand is to, whose root names this port or none.
fn listener(balancer: &Balancer, port: Option<u16>) -> Option<ListenerId> {
    let arrived_at = || u16::try_from(host::number(DESTINATION)?).ok();
    balancer.listener(port.or_else(arrived_at)?)
}

/// A number for the client's address, whatever its port.
fn client(address: &[u8]) -> u64 {
    let colon = address
        .iter()
        .rposition(|byte| *byte == b':')
        .unwrap_or(address.len());
    random::hash(address.get(..colon).unwrap_or(address))
}

const DESTINATION: &str = "destination\0port";
const SOURCE: &str = "source\0address";

//! Connections: each is given a route when it opens, and counted when it ends.

use super::host;
use super::http::End;
use super::upstream::{self, ReplicaEnd, observe_outcome};
use super::vm::Vm;
use crate::balance::listener::{ListenerId, Refusal};
use crate::balance::stream::StreamId;
use crate::balancer::{Admission, Balancer};
use crate::clients::Ends;
use crate::contract::{
    HELLO_TIMEOUT, PEER_PROPERTY, REFUSAL_PROPERTY, SERVICE_PROPERTY, STEERING_FUNCTION,
};
use crate::effect::Fact;
use crate::random;
use crate::registries::{Registry, RegistryId};
use crate::requested_host::{HEAD_LIMIT, RequestedHost};
use crate::time::Moment;
use proxy_wasm::hostcalls;
use proxy_wasm::types::BufferType;

/// What became of a connection that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// It goes to this registry's replicas.
    For(RegistryId),
    /// The proxy's own choice stands.
    Unsteered,
    /// Its client has not asked for a registry yet.
    Waiting,
    /// This registry has no replica for it, and it is closed.
    Refused(RegistryId),
}

/// A connection to a port of the service came in.
pub(super) fn opened(vm: &mut Vm, context: u32, port: Option<u16>) -> Opened {
    forget_unannounced(vm, context);
    if vm.registries.is_empty() {
        return Opened::Unsteered;
    }
    let asked_for = match vm.registries.only() {
        Some(only) => Some(only),
        None => asked_before(vm),
    };
    match asked_for {
        Some(registry) => open(vm, context, port, registry),
        None => {
            let limit = vm.registries.hello_timeout().unwrap_or_default();
            let until = vm.read_clock().plus(limit);
            vm.waiting.push((context, until));
            Opened::Waiting
        }
    }
}

/// What the client of a connection has sent so far, by which it asks for a registry.
pub(super) fn asked(vm: &mut Vm, context: u32, port: Option<u16>, size: usize, end: End) -> Opened {
    let sent = host::buffer(BufferType::DownstreamData, size.min(HEAD_LIMIT));
    let asked_for = match RequestedHost::of(&sent) {
        RequestedHost::Named(host) => vm.registries.of_server_name(host),
        RequestedHost::Incomplete if end == End::More => return Opened::Waiting,
        RequestedHost::None | RequestedHost::Incomplete => vm.registries.of_server_name(""),
    };
    forget_waiting(vm, context);
    match asked_for {
        Some(registry) => open(vm, context, port, registry),
        None => Opened::Unsteered,
    }
}

/// Closes connections whose clients have not asked for a registry in time.
pub(super) fn close_late(vm: &mut Vm, root: u32, now: Moment) {
    let is_late = |(_, until): &mut (u32, Moment)| *until <= now;
    for (context, _) in vm.waiting.extract_if(.., is_late) {
        upstream::close(StreamId(context), HELLO_TIMEOUT, root);
    }
}

/// The registry that the client of the connection at hand has asked for already, in TLS or
/// before the standalone host.
fn asked_before(vm: &Vm) -> Option<RegistryId> {
    if let Some(name) = host::property(SERVER_NAME) {
        return vm
            .registries
            .of_server_name(&String::from_utf8_lossy(&name));
    }
    let service = host::property(SERVICE_PROPERTY)?;
    vm.registries.named(&String::from_utf8_lossy(&service))
}

/// Has a connection go to a registry's replicas.
fn open(vm: &mut Vm, context: u32, port: Option<u16>, id: RegistryId) -> Opened {
    let now = vm.clock.now();
    // Without a configuration, or on a listener it does not name, the proxy's own
    // choice stands.
    let Some(Registry { balancer, .. }) = vm.registries.get_mut(id) else {
        return Opened::Unsteered;
    };
    let Some(listener) = listener(balancer, port) else {
        return Opened::Unsteered;
    };
    let stream = StreamId(context);
    if vm.registries.clients.needs_client() {
        let admitted = (vm.registries.clients).admit(&mut vm.shared, stream, ends(), now);
        if let Err(refusal) = admitted {
            if let Some(registry) = vm.registries.get_mut(id) {
                registry.balancer.refused(listener, refusal);
            }
            return refuse(id, refusal);
        }
    }
    let Some(Registry { balancer, .. }) = vm.registries.get_mut(id) else {
        return Opened::Unsteered;
    };
    let store = &mut vm.shared;
    if balancer.is_behind(store) {
        balancer.refresh(store, now);
    }
    balancer.share_limits(store, now);
    let client = match balancer.needs_client() {
        true => client(&host::property(host::CLIENT).unwrap_or_default()),
        false => 0,
    };
    let steered = match balancer.admit(stream, listener, client, now) {
        Admission::Steer(_, route) => {
            host::call_foreign_function(STEERING_FUNCTION, route.steering())
        }
        Admission::Refuse(refusal) => return refuse(id, refusal),
    };
    if steered.is_err() {
        balancer.observe(Fact::NotSteered(stream), now);
    }
    balancer.share_limits(store, now);
    Opened::For(id)
}

/// Closes a connection before anything is sent; Pause keeps the proxy from connecting.
fn refuse(registry: RegistryId, refusal: Refusal) -> Opened {
    host::set_property(REFUSAL_PROPERTY, refusal.name());
    let _ = hostcalls::close_downstream();
    Opened::Refused(registry)
}

/// Who is at the other end of the connection at hand.
fn ends() -> Option<Ends> {
    let client = host::property(host::CLIENT)?;
    Ends::of(&client, host::property(PEER_PROPERTY).as_deref())
}

/// A replica has ended its side of a connection, before its first byte.
pub(super) fn replica_ended(vm: &mut Vm, context: u32, opened: Option<Opened>) {
    let now = vm.clock.now();
    if let Some(registry) = registry_of(vm, opened) {
        upstream::left_unserved(&mut registry.balancer, StreamId(context), now);
    }
}

/// A connection is over.
pub(super) fn closed(vm: &mut Vm, context: u32, opened: Option<Opened>, end: ReplicaEnd) {
    forget_unannounced(vm, context);
    if opened == Some(Opened::Waiting) {
        forget_waiting(vm, context);
    }
    let now = vm.clock.now();
    vm.registries
        .clients
        .closed(&mut vm.shared, StreamId(context));
    let Some(Registry { balancer, .. }) = registry_of(vm, opened) else {
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
    if vm.unannounced.is_empty() || !vm.registries.may_adopt(now) {
        return;
    }
    let tried = vm.unannounced.len().min(MOST_ADOPTED);
    let mut later = vm.unannounced.split_off(tried);
    for (context, port) in std::mem::take(&mut vm.unannounced) {
        if hostcalls::set_effective_context(context).is_err() {
            continue;
        }
        let name = upstream::replica();
        if name.is_empty() {
            // It has none yet, or has not been announced.
            later.push((context, port));
            continue;
        }
        let registry = vm.registries.of_replica(&name);
        let Some(registry) = registry.and_then(|id| vm.registries.get_mut(id)) else {
            continue;
        };
        if let Some(listener) = listener(&registry.balancer, port) {
            let fact = Fact::Adopted(StreamId(context), listener, &name);
            registry.balancer.observe(fact, now);
        }
        let clients = &mut vm.registries.clients;
        if clients.needs_client() {
            clients.adopt(&mut vm.shared, StreamId(context), ends());
        }
    }
    let _ = hostcalls::set_effective_context(root);
    vm.unannounced = later;
}

/// The registry of the connection at hand. One that began before this VM has none that is
/// known, but a replica.
fn registry_of(vm: &mut Vm, opened: Option<Opened>) -> Option<&mut Registry> {
    let known = match opened {
        Some(Opened::For(id) | Opened::Refused(id)) => Some(id),
        Some(Opened::Unsteered | Opened::Waiting) | None => vm.registries.only(),
    };
    let id = match known {
        Some(id) => id,
        None => vm.registries.of_replica(&upstream::replica())?,
    };
    vm.registries.get_mut(id)
}

fn forget_waiting(vm: &mut Vm, context: u32) {
    if let Some(at) = vm.waiting.iter().position(|one| one.0 == context) {
        vm.waiting.swap_remove(at);
    }
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

/// No more connections than this are looked at in one tick.
const MOST_ADOPTED: usize = 256;
const SERVER_NAME: &str = "connection\0requested_server_name";
const DESTINATION: &str = "destination\0port";

//! Root contexts: the configuration, the tick, and the answers to probes.

use super::effects::{carry_out, sync_and_carry_out};
use super::host;
use super::stream;
use super::vm::{Call, ListenerRoot, Vm};
use crate::compare::observation;
use crate::config::PluginConfig;
use crate::contract::metric_name::CHANGES_ANNOUNCED;
use crate::contract::{ADMIN_ROOT, REPLICA_ANSWERED, port_of_root};
use crate::effect::Fact;
use crate::health::probe_response::{BODY_LIMIT, ProbeResponse, ReplySource};
use crate::time::Moment;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType};
use std::rc::Rc;
use std::time::Duration;

/// What the contexts under a root are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Connections to a port of the service. `None`: to the one that they arrive at.
    Listener(Option<u16>),
    /// Requests of the admin listener.
    Admin,
}

/// The role of the root that begins.
pub(super) fn role() -> Role {
    match host::property("plugin_root_id").unwrap_or_default() {
        id if id == ADMIN_ROOT.as_bytes() => Role::Admin,
        id => Role::Listener(port_of_root(&id)),
    }
}

/// A root is given its configuration, which may name its port; `None`: it is none.
pub(super) fn configure(vm: &mut Vm, root: u32, role: Role) -> Option<Role> {
    let bytes = host::buffer(BufferType::PluginConfiguration, usize::MAX);
    let mut config = match PluginConfig::parse(&bytes) {
        Ok(config) => config,
        Err(error) => {
            host::log(
                LogLevel::Critical,
                &format!("the filter's configuration: {error}"),
            );
            return None;
        }
    };
    if vm.shared.open().is_err() {
        let text = format!("the host refuses to define the metric {CHANGES_ANNOUNCED}");
        host::log(LogLevel::Critical, &text);
        return None;
    }
    // The rest is the same for all plugins.
    let port = config.take_port();
    let role = match role {
        Role::Listener(named) => Role::Listener(named.or(port)),
        Role::Admin => Role::Admin,
    };
    let now = vm.read_clock();
    let is_admin = role == Role::Admin;
    if !is_admin {
        let known = vm.listening.iter().find(|it| *it.config == config);
        let config = known.map_or_else(|| Rc::new(config), |it| it.config.clone());
        vm.listening.push(ListenerRoot {
            root,
            config: config.clone(),
        });
        go_on_with(vm, config, now);
        vm.ticking = Some(root);
        let _ = hostcalls::set_tick_period(Duration::from_millis(TICKS.0));
    } else if vm.registries.is_empty() {
        // All plugins are given the same; the connections' counts.
        go_on_with(vm, Rc::new(config), now);
    }
    // Not more than to look: this VM may be one that the host throws away.
    for registry in vm.registries.iter_mut() {
        registry.balancer.refresh(&mut vm.shared, now);
    }
    carry_out(vm, now);
    Some(role)
}

/// A connection comes in under a root, or it is the one that ticks again: what it has been
/// configured with is in force. A host that goes back to an earlier configuration, some of
/// whose connections are still open, takes the root that it has for it, and configures
/// nothing.
pub(super) fn use_own_config(vm: &mut Vm, root: u32) {
    let listening = vm.listening.iter().find(|it| it.root == root);
    let is_in_force = |it: &ListenerRoot| {
        let in_force = vm.in_force.as_ref();
        in_force.is_some_and(|in_force| Rc::ptr_eq(in_force, &it.config))
    };
    if let Some(config) = listening
        .filter(|it| !is_in_force(it))
        .map(|it| it.config.clone())
    {
        let now = vm.read_clock();
        go_on_with(vm, config, now);
        sync_and_carry_out(vm, now);
    }
}

fn go_on_with(vm: &mut Vm, config: Rc<PluginConfig>, now: Moment) {
    // The wall clock is enough: VMs that start at the same nanosecond differ by their ids
    // from the first heartbeat on.
    let seed = host::now().unwrap_or_default().as_nanos() as u64;
    let unix_ms = vm.clock.unix_ms();
    vm.registries.configure(&config, seed, unix_ms, now);
    vm.in_force = Some(config);
}

/// Time went by.
pub(super) fn tick(vm: &mut Vm, root: u32) {
    if vm.ticking.is_some_and(|newest| newest != root) {
        // A newer root ticks; this one stays at hand, should that be taken back.
        let _ = hostcalls::set_tick_period(IDLE_TICK);
        return;
    }
    if vm.ticking.is_none() {
        // The newer one has ended.
        use_own_config(vm, root);
    }
    vm.ticking = Some(root);
    let now = vm.read_clock();
    // The lease first, since only its holder asks; then what became of that.
    sync_and_carry_out(vm, now);
    stream::adopt(vm, root, now);
    stream::close_late(vm, root, now);
    for registry in vm.registries.iter_mut() {
        registry.balancer.observe(Fact::Tick, now);
    }
    sync_and_carry_out(vm, now);
    vm.registries.clients.tick(&mut vm.shared, now);
    vm.registries.forget_removed(&mut vm.shared, now);
    rearm(vm, now);
    if vm.leaving == Some(root) && leave(vm, root, now) {
        let _ = hostcalls::done();
    }
}

/// A probe or an inspection was answered.
pub(super) fn answered(vm: &mut Vm, token: u32, headers: usize) {
    let now = vm.read_clock();
    let Some((registry, call)) = vm.calls.remove(&token) else {
        return;
    };
    let fact = match call {
        Call::Probe(probe) if headers == 0 => Fact::Answered(probe, ProbeResponse::none()),
        Call::Probe(probe) => Fact::Answered(probe, response()),
        Call::Inspection(inspection) => Fact::Inspected(inspection, inspected()),
    };
    // The lease first: the answer of one who has lost it meanwhile counts no more.
    if let Some(registry) = vm.registries.get_mut(registry) {
        registry.balancer.sync(&mut vm.shared, now);
        registry.balancer.observe(fact, now);
    }
    sync_and_carry_out(vm, now);
}

/// A root is to end; whether it may do so at once. Where others are left they go on, and
/// one of them ticks.
pub(super) fn done(vm: &mut Vm, root: u32) -> bool {
    let before = vm.listening.len();
    vm.listening.retain(|listening| listening.root != root);
    if vm.listening.len() == before || !vm.listening.is_empty() {
        return true;
    }
    let now = vm.read_clock();
    leave(vm, root, now)
}

/// Whether the last of the roots may end. While connections are open it stays, so that
/// they are counted: [`tick`] says when it may go.
fn leave(vm: &mut Vm, root: u32, now: Moment) -> bool {
    vm.registries.retire(&mut vm.shared, now);
    let is_idle = vm.registries.are_idle() && vm.unannounced.is_empty() && vm.waiting.is_empty();
    vm.leaving = (!is_idle).then_some(root);
    carry_out(vm, now);
    is_idle
}

/// A root ends.
pub(super) fn delete(vm: &mut Vm, root: u32) {
    vm.ticking.take_if(|ticking| *ticking == root);
}

fn response() -> ProbeResponse {
    let status = host::header(MapType::HttpCallResponseHeaders, ":status");
    let status = status.and_then(|status| status.parse().ok()).unwrap_or(0);
    let source = match host::header(MapType::HttpCallResponseHeaders, REPLICA_ANSWERED) {
        Some(_) => ReplySource::Replica,
        None => ReplySource::Proxy,
    };
    ProbeResponse {
        status,
        source,
        body: host::buffer(BufferType::HttpCallResponseBody, BODY_LIMIT),
    }
}

/// Headers of a replica's own answer to an inspection; none: it is not its own.
fn inspected() -> Vec<(&'static str, String)> {
    let header = |name| host::header(MapType::HttpCallResponseHeaders, name);
    if header(REPLICA_ANSWERED).is_none() {
        return Vec::new();
    }
    let headers = observation::HEADERS.into_iter();
    headers
        .filter_map(|name| Some((name, header(name)?)))
        .collect()
}

/// Has the next tick come when something is due.
fn rearm(vm: &mut Vm, now: Moment) {
    let late = vm.waiting.iter().map(|(_, until)| *until).min();
    let wake = vm.registries.next_wake().into_iter().chain(late).min();
    let (least, most) = TICKS;
    // A part of a millisecond is waited for as a whole one, or the tick comes early.
    let wait = wake.map_or(most, |wake| {
        wake.since(now).as_micros().div_ceil(1000) as u64
    });
    let _ = hostcalls::set_tick_period(Duration::from_millis(wait.clamp(least, most)));
}

/// Between two ticks, in milliseconds: at least, so that a bug can't keep a worker
/// busy, and at most, so that time is read often enough.
const TICKS: (u64, u64) = (5, 500);

/// Between two ticks of a root that has been replaced.
const IDLE_TICK: Duration = Duration::from_secs(1);

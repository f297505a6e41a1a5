//! Carries out what the balancer wants done outside.

use super::host;
use super::upstream;
use super::vm::{Call, Calls, MetricIds, Vm};
use crate::compare::InspectionRequest;
use crate::contract::REPLICA_DOWN;
use crate::effect::{Effect, Fact, Level, MetricKind, Report};
use crate::health::probe_request::ProbeRequest;
use crate::registries::Registry;
use crate::time::Moment;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{LogLevel, MetricType};

/// Meets the other VMs, then carries out all that is to be done.
pub(super) fn sync_and_carry_out(vm: &mut Vm, now: Moment) {
    for registry in vm.registries.iter_mut() {
        registry.balancer.sync(&mut vm.shared, now);
    }
    carry_out(vm, now);
}

/// Carries out all that is to be done.
pub(super) fn carry_out(vm: &mut Vm, now: Moment) {
    let root = vm.ticking.unwrap_or_default();
    let (calls, metrics) = (&mut vm.calls, &mut vm.metrics);
    for registry in vm.registries.iter_mut() {
        while let Some(effect) = registry.balancer.next_effect() {
            match effect {
                Effect::Probe(request) => probe(registry, calls, request, now),
                Effect::Inspect(request) => inspect(registry, calls, request, now),
                Effect::Locate(stream) => {
                    upstream::locate(&mut registry.balancer, stream, root, now);
                }
                Effect::Close(stream) => upstream::close(stream, REPLICA_DOWN, root),
                Effect::Log(level, text) => host::log(log_level(level), &text),
                Effect::Report(update) => report(metrics, update),
            }
        }
    }
}

fn log_level(level: Level) -> LogLevel {
    match level {
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}

fn probe(registry: &mut Registry, calls: &mut Calls, request: ProbeRequest, now: Moment) {
    match host::http_call(&request.cluster, &request.headers, request.timeout) {
        Ok(token) => {
            calls.insert(token, (registry.id(), Call::Probe(request.probe)));
        }
        Err(_) => {
            let not_sent = Fact::NotSent(request.probe);
            registry.balancer.observe(not_sent, now);
        }
    }
}

fn inspect(registry: &mut Registry, calls: &mut Calls, request: InspectionRequest, now: Moment) {
    match host::http_call(&request.cluster, &request.headers, request.timeout) {
        Ok(token) => {
            calls.insert(token, (registry.id(), Call::Inspection(request.inspection)));
        }
        Err(_) => {
            let nothing = Fact::Inspected(request.inspection, Vec::new());
            registry.balancer.observe(nothing, now);
        }
    }
}

/// Reports to the host's metrics. One that the host refuses to define is left out,
/// and costs nothing but a call now and then.
fn report(metrics: &mut MetricIds, Report { kind, name, value }: Report) {
    let id = match metrics.get(&name) {
        Some(id) => *id,
        None => {
            let kind = match kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
                MetricKind::Histogram => MetricType::Histogram,
            };
            let Ok(id) = hostcalls::define_metric(kind, &name) else {
                return;
            };
            metrics.insert(name, id);
            id
        }
    };
    let _ = match kind {
        MetricKind::Counter if value == 0 => Ok(()),
        MetricKind::Counter => {
            hostcalls::increment_metric(id, i64::try_from(value).unwrap_or(i64::MAX))
        }
        MetricKind::Gauge | MetricKind::Histogram => hostcalls::record_metric(id, value),
    };
}

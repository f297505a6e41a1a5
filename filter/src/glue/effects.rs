//! Carries out what the balancer wants done outside.

use super::host;
use super::upstream;
use super::vm::{Call, Calls, MetricIds, Vm};
use crate::compare::InspectionRequest;
use crate::effect::{Effect, Fact, Level, MetricKind, Report};
use crate::health::probe_request::ProbeRequest;
use crate::registries::Registry;
use crate::time::Moment;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{LogLevel, MetricType};

/// Meets the other VMs, then carries out all that is to be done.
pub(super) fn sync_and_carry_out(vm: &mut Vm, now: Moment) {
    for service in vm.registries.iter_mut() {
        let scope = service.balancer.scope();
        service
            .balancer
            .sync(&mut scope.within(&mut vm.shared), now);
    }
    carry_out(vm, now);
}

/// Carries out all that is to be done.
pub(super) fn carry_out(vm: &mut Vm, now: Moment) {
    let root = vm.ticking.unwrap_or_default();
    let (calls, metrics) = (&mut vm.calls, &mut vm.metrics);
    for service in vm.registries.iter_mut() {
        while let Some(effect) = service.balancer.next_effect() {
            match effect {
                Effect::Probe(request) => probe(service, calls, request, now),
                Effect::Inspect(request) => inspect(service, calls, request, now),
                Effect::Locate(stream) => {
                    upstream::locate(&mut service.balancer, stream, root, now);
                }
                Effect::Close(stream) => upstream::close(stream, "", root),
                Effect::Log(Level::Info, text) => host::log(LogLevel::Info, &text),
                Effect::Log(Level::Warn, text) => host::log(LogLevel::Warn, &text),
                Effect::Report(update) => report(metrics, update),
            }
        }
    }
}

fn probe(service: &mut Registry, calls: &mut Calls, request: ProbeRequest, now: Moment) {
    match host::http_call(&request.cluster, &request.headers, request.timeout) {
        Ok(token) => {
            calls.insert(token, (service.id(), Call::Probe(request.probe)));
        }
        Err(_) => {
            let not_sent = Fact::NotSent(request.probe);
            service.balancer.observe(not_sent, now);
        }
    }
}

fn inspect(service: &mut Registry, calls: &mut Calls, request: InspectionRequest, now: Moment) {
    match host::http_call(&request.cluster, &request.headers, request.timeout) {
        Ok(token) => {
            calls.insert(token, (service.id(), Call::Inspection(request.inspection)));
        }
        Err(_) => {
            let nothing = Fact::Inspected(request.inspection, Vec::new());
            service.balancer.observe(nothing, now);
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
        MetricKind::Gauge => hostcalls::record_metric(id, value),
    };
}

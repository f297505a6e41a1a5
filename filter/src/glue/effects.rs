//! Carries out what the balancer wants done outside.

use super::host;
use super::upstream;
use super::vm::{Call, Vm};
use crate::balancer::Balancer;
use crate::compare::InspectionRequest;
use crate::effect::{Effect, Fact, Level, MetricKind, Report};
use crate::health::probe_request::ProbeRequest;
use crate::time::Moment;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{LogLevel, MetricType};

/// Meets the other VMs, then carries out all that is to be done.
pub(super) fn sync_and_carry_out(vm: &mut Vm, now: Moment) {
    if let Some(balancer) = &mut vm.balancer {
        balancer.sync(&mut vm.shared, now);
    }
    carry_out(vm, now);
}

/// Carries out all that is to be done.
pub(super) fn carry_out(vm: &mut Vm, now: Moment) {
    let root = vm.ticking.unwrap_or_default();
    while let Some(effect) = vm.balancer.as_mut().and_then(Balancer::next_effect) {
        match effect {
            Effect::Probe(request) => probe(vm, request, now),
            Effect::Inspect(request) => inspect(vm, request, now),
            Effect::Locate(stream) => {
                if let Some(balancer) = &mut vm.balancer {
                    upstream::locate(balancer, stream, root, now);
                }
            }
            Effect::Close(stream) => upstream::close(stream, root),
            Effect::Log(Level::Info, text) => host::log(LogLevel::Info, &text),
            Effect::Log(Level::Warn, text) => host::log(LogLevel::Warn, &text),
            Effect::Report(update) => report(vm, update),
        }
    }
}

fn probe(vm: &mut Vm, request: ProbeRequest, now: Moment) {
    match host::http_call(&request.cluster, &request.headers, request.timeout) {
        Ok(token) => {
            vm.calls.insert(token, Call::Probe(request.probe));
        }
        Err(_) => {
            if let Some(balancer) = &mut vm.balancer {
                balancer.observe(Fact::NotSent(request.probe), now);
            }
        }
    }
}

fn inspect(vm: &mut Vm, request: InspectionRequest, now: Moment) {
    match host::http_call(&request.cluster, &request.headers, request.timeout) {
        Ok(token) => {
            vm.calls.insert(token, Call::Inspection(request.inspection));
        }
        Err(_) => {
            if let Some(balancer) = &mut vm.balancer {
                balancer.observe(Fact::Inspected(request.inspection, Vec::new()), now);
            }
        }
    }
}

/// Reports to the host's metrics. One that the host refuses to define is left out,
/// and costs nothing but a call now and then.
fn report(vm: &mut Vm, Report { kind, name, value }: Report) {
    let id = match vm.metrics.get(&name) {
        Some(id) => *id,
        None => {
            let kind = match kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
            };
            let Ok(id) = hostcalls::define_metric(kind, &name) else {
                return;
            };
            vm.metrics.insert(name, id);
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

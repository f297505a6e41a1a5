//! What a VM keeps between callbacks: one balancer for all its contexts.

use super::host::{self, Shared};
use super::stream;
use crate::admin::api::Request;
use crate::balancer::{Balancer, Effect, Fact, Level};
use crate::health::probe_request::ProbeRequest;
use crate::health::schedule::ProbeId;
use crate::metrics::Kind;
use crate::time::{Clock, Moment};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{LogLevel, MetricType};
use std::cell::RefCell;
use std::collections::HashMap;

/// The state of this VM.
#[derive(Default)]
pub(super) struct Vm {
    pub(super) clock: Clock,
    pub(super) balancer: Option<Balancer>,
    /// The root that ticks: the connection plugin's newest.
    pub(super) ticking: Option<u32>,
    /// The root that stays only until the last connection is closed.
    pub(super) leaving: Option<u32>,
    /// Requests of the admin listener that are not answered yet.
    pub(super) requests: HashMap<u32, Request>,
    calls: HashMap<u32, ProbeId>,
    metrics: HashMap<String, u32>,
}

thread_local! {
    static VM: RefCell<Vm> = RefCell::new(Vm::default());
}

/// Runs a callback on this VM's state. Callbacks don't nest, so the state is
/// free; were it not, the callback would do nothing.
pub(super) fn with<R>(run: impl FnOnce(&mut Vm) -> R) -> Option<R> {
    VM.with(|vm| vm.try_borrow_mut().ok().map(|mut vm| run(&mut vm)))
}

impl Vm {
    /// Reads the clock. A host without one leaves time where it was.
    pub(super) fn read_clock(&mut self) -> Moment {
        if let Some(now) = host::now() {
            self.clock.read(now);
        }
        if let Some(balancer) = &mut self.balancer {
            balancer.set_unix_ms(self.clock.unix_ms());
        }
        self.clock.now()
    }

    /// Meets the other VMs, then carries out all that is to be done.
    pub(super) fn exchange_and_carry_out(&mut self, now: Moment) {
        if let Some(balancer) = &mut self.balancer {
            balancer.exchange(&mut Shared, now);
        }
        self.carry_out(now);
    }

    /// Carries out all that is to be done.
    pub(super) fn carry_out(&mut self, now: Moment) {
        while let Some(effect) = self.balancer.as_mut().and_then(Balancer::next_effect) {
            match effect {
                Effect::Ask(request) => self.ask(request, now),
                Effect::Locate(id) => {
                    let root = self.ticking.unwrap_or_default();
                    if let Some(balancer) = &mut self.balancer {
                        stream::locate(balancer, id, root, now);
                    }
                }
                Effect::Close(id) => stream::close(id, self.ticking.unwrap_or_default()),
                Effect::Log(Level::Info, text) => host::log(LogLevel::Info, &text),
                Effect::Log(Level::Warn, text) => host::log(LogLevel::Warn, &text),
                Effect::Report(report) => self.report(report.kind, report.name, report.value),
            }
        }
    }

    /// The probe whose answer a call's is.
    pub(super) fn take_call(&mut self, token: u32) -> Option<ProbeId> {
        self.calls.remove(&token)
    }

    fn ask(&mut self, request: ProbeRequest, now: Moment) {
        match host::http_call(&request.cluster, &request.headers, request.timeout) {
            Ok(token) => {
                self.calls.insert(token, request.probe);
            }
            Err(_) => {
                if let Some(balancer) = &mut self.balancer {
                    balancer.observe(Fact::NotSent(request.probe), now);
                }
            }
        }
    }

    /// Tells a metric. One that the host won't have is not told, and costs nothing
    /// but a call now and then.
    fn report(&mut self, kind: Kind, name: String, value: u64) {
        let id = match self.metrics.get(&name) {
            Some(id) => *id,
            None => {
                let kind = match kind {
                    Kind::Counter => MetricType::Counter,
                    Kind::Gauge => MetricType::Gauge,
                };
                let Ok(id) = hostcalls::define_metric(kind, &name) else {
                    return;
                };
                self.metrics.insert(name, id);
                id
            }
        };
        let _ = match kind {
            Kind::Counter if value == 0 => Ok(()),
            Kind::Counter => {
                hostcalls::increment_metric(id, i64::try_from(value).unwrap_or(i64::MAX))
            }
            Kind::Gauge => hostcalls::record_metric(id, value),
        };
    }
}

//! Metrics.

use crate::abi::Profile;
use crate::memory::{Call, GuestSlice};
use crate::shared::{CounterRecord, MetricKind};
use crate::status::{HostcallError, HostcallResult};

pub(crate) fn define(call: &mut Call, kind: u32, name: GuestSlice, to: u32) -> HostcallResult {
    let kind = match kind {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Histogram,
        _ => return Err(HostcallError::BadArgument),
    };
    let (mut view, state) = call.split();
    let name = view.text(name)?.into_owned();
    view.get_mut(GuestSlice(to, 4))?;
    let id = state.metrics.define(state.shared.registry(), kind, &name)?;
    call.put_u32(to, id)
}

pub(crate) fn increment(call: &mut Call, id: u32, delta: i64) -> HostcallResult {
    call.state().metrics.increment(id, delta)
}

pub(crate) fn record(call: &mut Call, id: u32, value: u64) -> HostcallResult {
    let state = call.state();
    let counters = match state.profile {
        Profile::Envoy => CounterRecord::Adds,
        Profile::Spec => CounterRecord::Sets,
    };
    state.metrics.record(id, value, counters)
}

pub(crate) fn get(call: &mut Call, id: u32, to: u32) -> HostcallResult {
    let value = call.state().metrics.get(id)?;
    call.put_u64(to, value)
}

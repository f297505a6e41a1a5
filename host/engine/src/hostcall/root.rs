//! Logs, time and ticks.

use std::time::Duration;

use crate::abi::LogLevel;
use crate::effect::Effect;
use crate::log;
use crate::memory::{Call, GuestSlice, OutPtr};
use crate::status::{HostcallError, HostcallResult};

pub(crate) fn log(call: &mut Call, level: u32, at: u32, len: u32) -> HostcallResult {
    let level = LogLevel::try_from(level)?;
    let (view, state) = call.split();
    let line = view.text(GuestSlice(at, len))?;
    log::write(state, level, &line);
    Ok(())
}

pub(crate) fn log_level(call: &mut Call, to: u32) -> HostcallResult {
    let level = log::level(&*call.state().environment);
    call.put_u32(to, level as u32)
}

pub(crate) fn time(call: &mut Call, to: u32) -> HostcallResult {
    let now = nanos(call.state().environment.realtime());
    call.put_u64(to, now)
}

/// One timer per root, whichever context sets it.
pub(crate) fn tick_period(call: &mut Call, millis: u32) -> HostcallResult {
    let state = call.state();
    let root = state.acting_root();
    let period = (millis > 0).then(|| Duration::from_millis(u64::from(millis)));
    state.record(Effect::Tick { root, period }, 0)
}

pub(crate) fn status(call: &mut Call, code_to: u32, at_to: u32, len_to: u32) -> HostcallResult {
    let state = call.state();
    let root = state.acting_root();
    let (code, text) = state
        .contexts
        .root(root)
        .ok_or(HostcallError::BadArgument)?
        .status
        .clone();
    call.put_u32(code_to, code)?;
    call.give(OutPtr(at_to, len_to), text.as_bytes())
}

/// 0.1.0: the plugin's configuration while configuring, else the VM's.
pub(crate) fn configuration(call: &mut Call, at_to: u32, len_to: u32) -> HostcallResult {
    call.give_with(OutPtr(at_to, len_to), |_, state, out| {
        let configuration = match state.plugin() {
            Some(plugin) if state.scope.configuring => &plugin.configuration,
            _ => &state.vm_configuration,
        };
        out.extend_from_slice(configuration);
        Ok(())
    })
}

/// Whole nanoseconds, as far as 64 bits go (the year 2554).
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

//! Lines a guest logs.

use tracing::Level;

use super::abi::LogLevel;
use super::config::Environment;
use super::log_line::LogLine;
use super::state::VmState;

/// Logs one line of the guest, up to a length.
pub(super) fn write(state: &mut VmState, level: LogLevel, line: &str) {
    let line = &line[..line.floor_char_boundary(MAX_LINE_LEN)];
    if level == LogLevel::Critical {
        state.log.last_critical_line = Some(line.to_owned());
    }
    if state.log.is_limited() {
        let now = state.environment.monotonic();
        match state.log.admit(now) {
            Some(0) => {}
            Some(dropped) => emit(
                state,
                LogLevel::Warn,
                &format!("{dropped} lines dropped: over the log limit"),
            ),
            None => return,
        }
    }
    emit(state, level, line);
}

fn emit(state: &VmState, level: LogLevel, line: &str) {
    state.environment.log(&LogLine {
        level: traced(level),
        vm_id: &state.vm_id,
        plugin: state.plugin().map_or("", |plugin| plugin.name.as_str()),
        message: line,
    });
}

/// The lowest level that is taken.
pub(super) fn level(environment: &dyn Environment) -> LogLevel {
    let levels = [
        LogLevel::Trace,
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
    ];
    let read = levels
        .into_iter()
        .find(|level| environment.log_enabled(traced(*level)));
    read.unwrap_or(LogLevel::Critical)
}

fn traced(level: LogLevel) -> Level {
    match level {
        LogLevel::Trace => Level::TRACE,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error | LogLevel::Critical => Level::ERROR,
    }
}

/// Most bytes of a line.
const MAX_LINE_LEN: usize = 64 << 10;

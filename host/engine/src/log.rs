//! Lines a guest logs.

use std::time::Duration;

use tracing::Level;

use super::abi::LogLevel;
use super::config::Environment;
use super::log_line::LogLine;
use super::state::VmState;

/// Counts a guest's lines against its limit.
pub(super) struct LogLimiter {
    limit: Option<u32>,
    second: u64,
    lines: u32,
    dropped: u32,
    /// The last critical line of a callback: the message of a panic.
    pub(super) last_critical_line: Option<String>,
}

impl LogLimiter {
    pub(super) fn new(limit: Option<u32>) -> LogLimiter {
        LogLimiter {
            limit,
            second: 0,
            lines: 0,
            dropped: 0,
            last_critical_line: None,
        }
    }

    /// Whether one more line may pass; how many were dropped before it.
    fn admit(&mut self, now: Duration) -> Option<u32> {
        let Some(limit) = self.limit else {
            return Some(0);
        };
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            self.lines = 0;
        }
        if self.lines >= limit {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// Logs one line of the guest, up to a length.
pub(super) fn write(state: &mut VmState, level: LogLevel, line: &str) {
    let line = &line[..line.floor_char_boundary(MAX_LINE_LEN)];
    if level == LogLevel::Critical {
        state.log.last_critical_line = Some(line.to_owned());
    }
    if state.log.limit.is_some() {
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

/// The lowest level is taken.
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

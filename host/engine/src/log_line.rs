//! A line a guest logs.

use tracing::Level;

/// A line a guest logs.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// Critical lines are errors.
    pub level: Level,
    /// [`VmConfig::vm_id`](super::VmConfig::vm_id).
    pub vm_id: &'a str,
    /// [`Plugin::name`](super::Plugin::name); empty while the VM starts.
    pub plugin: &'a str,
    /// As the guest wrote it.
    pub message: &'a str,
}

impl LogLine<'_> {
    /// Makes the line an event of `tracing`: target `guest`, fields `vm` and `plugin`.
    pub fn trace(&self) {
        let (vm, plugin, message) = (self.vm_id, self.plugin, self.message);
        match self.level {
            Level::TRACE => tracing::trace!(target: "guest", vm, plugin, "{message}"),
            Level::DEBUG => tracing::debug!(target: "guest", vm, plugin, "{message}"),
            Level::INFO => tracing::info!(target: "guest", vm, plugin, "{message}"),
            Level::WARN => tracing::warn!(target: "guest", vm, plugin, "{message}"),
            Level::ERROR => tracing::error!(target: "guest", vm, plugin, "{message}"),
        }
    }

    /// Whether anybody reads what [`trace`](Self::trace) makes of lines of a level.
    pub fn trace_enabled(level: Level) -> bool {
        match level {
            Level::TRACE => tracing::enabled!(target: "guest", Level::TRACE),
            Level::DEBUG => tracing::enabled!(target: "guest", Level::DEBUG),
            Level::INFO => tracing::enabled!(target: "guest", Level::INFO),
            Level::WARN => tracing::enabled!(target: "guest", Level::WARN),
            Level::ERROR => tracing::enabled!(target: "guest", Level::ERROR),
        }
    }
}

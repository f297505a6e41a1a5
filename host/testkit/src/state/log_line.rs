//! Lines the guest logs.

use std::time::Duration;

use proxy_wasm_engine::ContextId;

/// A line the guest logged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// Time since the kit started.
    pub at: Duration,
    /// Which worker, counted from 0.
    pub worker: usize,
    /// The context it belongs to.
    pub context: ContextId,
    /// `trace`, `debug`, `info`, `warn`, `error` or `critical`.
    pub level: String,
    /// The text.
    pub message: String,
}

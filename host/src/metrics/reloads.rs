//! When the configuration was read again, and what came of it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::metrics::exposition::{Exposition, label};

/// When the configuration was read again, and what came of it. The start counts as the
/// first success, and as no reload.
#[derive(Debug)]
pub(crate) struct Reloads {
    /// Unix milliseconds.
    began: u64,
    last_succeeded: AtomicBool,
    /// Unix milliseconds.
    last_success: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
}

/// The same, to be shown. Times are Unix milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ReloadsStatus {
    now_unix_ms: u64,
    started_unix_ms: u64,
    /// When the configuration in use was put to use, or last read again and found the same.
    configured_unix_ms: u64,
    /// Whether the configuration that was read last is in use.
    last_reload_succeeded: bool,
    reloads_succeeded: u64,
    reloads_failed: u64,
}

impl Reloads {
    /// As of the start.
    pub(crate) fn new() -> Reloads {
        let now = unix_ms();
        Reloads {
            began: now,
            last_succeeded: AtomicBool::new(true),
            last_success: AtomicU64::new(now),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Takes in what a reload came to.
    pub(crate) fn count<T, E>(&self, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => {
                self.last_success.store(unix_ms(), Relaxed);
                self.succeeded.fetch_add(1, Relaxed);
            }
            Err(_) => {
                self.failed.fetch_add(1, Relaxed);
            }
        }
        self.last_succeeded.store(outcome.is_ok(), Relaxed);
    }

    /// What was to be read again is what is in use: a file that was wrong, say, is as it
    /// was before. That it was read matters to who compares with the time of the file.
    pub(crate) fn unchanged(&self) {
        self.last_success.store(unix_ms(), Relaxed);
        self.last_succeeded.store(true, Relaxed);
    }

    pub(super) fn status(&self) -> ReloadsStatus {
        ReloadsStatus {
            now_unix_ms: unix_ms(),
            started_unix_ms: self.began,
            configured_unix_ms: self.last_success.load(Relaxed),
            last_reload_succeeded: self.last_succeeded.load(Relaxed),
            reloads_succeeded: self.succeeded.load(Relaxed),
            reloads_failed: self.failed.load(Relaxed),
        }
    }

    pub(super) fn render(&self, text: &mut Exposition) {
        text.gauge(
            "dtr_lb_host_start_time_seconds",
            "When the balancer started, in Unix seconds.",
            self.began as f64 / 1e3,
        );
        text.gauge(
            "dtr_lb_host_config_last_reload_successful",
            "1 when the configuration that was read last is in use, 0 when it could not be used.",
            u8::from(self.last_succeeded.load(Relaxed)),
        );
        text.gauge(
            "dtr_lb_host_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was put to use, or read again last, in Unix seconds.",
            self.last_success.load(Relaxed) as f64 / 1e3,
        );
        let results = [("success", &self.succeeded), ("failure", &self.failed)];
        text.counters(
            "dtr_lb_host_config_reloads_total",
            "Times the configuration was to be read again, by what came of it.",
            results.map(|(result, count)| (label("result", result), count.load(Relaxed))),
        );
    }
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

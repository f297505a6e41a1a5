//! Messages to a service manager, where there is one: systemd's sd_notify(3), for
//! `Type=notify` and `Type=notify-reload`.

use std::time::Duration;

use sd_notify::NotifyState;

/// It serves, since the start or again after a reload.
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It reads its configuration again; [`ready`] is to follow, whatever comes of it.
pub(super) fn reloading() {
    // Without the time, which a system may not have, systemd 253 would end the service.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// Another process is the main one from now on: it serves in this one's place.
pub(super) fn main_process(process: i32) {
    if let Ok(process) = u32::try_from(process) {
        notify(&[NotifyState::MainPid(process)]);
    }
}

/// It drains, and needs no longer than this.
pub(super) fn stopping(limit: Duration) {
    let limit = limit.saturating_add(ENDING).as_micros();
    notify(&[
        NotifyState::Stopping,
        NotifyState::Status("drains"),
        NotifyState::ExtendTimeoutUsec(u32::try_from(limit).unwrap_or(u32::MAX)),
    ]);
}

/// Says twice in each `WatchdogSec` that the process is not stuck; never ends.
pub(super) async fn feed_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(limit / 2);
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager can't be reached");
    }
}

/// What comes after the last connection.
const ENDING: Duration = Duration::from_secs(5);

//! How a host ends: its open connections first.

use std::convert::Infallible;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Host, enter};
use crate::control::lifecycle::{Drained, Phase};
use crate::metrics::WorkerCounters;
use crate::proxy::generation::Generation;

impl Host {
    /// Has `/ready` and `/_ping` say 503 from now on, while connections are accepted
    /// as before: whatever asks there moves its clients away before the drain.
    pub fn announce_drain(&self) {
        self.current.enter(Phase::Announcing);
    }

    /// Accepts no more, waits up to `limit` for the open connections to end,
    /// and cuts the rest. The admin listener stays until then; its `/ready` and
    /// `/_ping` say 503. How many are still open is logged every 10 s.
    pub async fn drain(self, limit: Duration) -> Drained {
        self.drain_until(sleep(limit)).await
    }

    /// As [`Host::drain`], but what is left is cut once `limit` is over, whatever
    /// that is: a second signal, say.
    pub async fn drain_until(mut self, limit: impl Future<Output = ()>) -> Drained {
        // Or the kernel would go on to queue clients that nobody accepts.
        self.listeners.clear();
        enter(&self.retired, Phase::Draining);
        self.current.enter(Phase::Draining);
        let drained = self.end_sessions(None, limit).await;
        log_drained(drained);
        drained
    }

    /// Waits until `limit` is over for the sessions of all workers to end, cuts those that
    /// are left, and ends the workers. `remaining` are those of another process.
    pub(super) async fn end_sessions(
        &mut self,
        remaining: Option<JoinHandle<()>>,
        limit: impl Future<Output = ()>,
    ) -> Drained {
        let mut generations = std::mem::take(&mut self.retired);
        generations.retain(Generation::is_alive);
        generations.push(std::mem::take(&mut self.current));
        let mut reports: Vec<_> = generations
            .iter_mut()
            .flat_map(Generation::take_reports)
            .collect();
        let mut total = Drained::default();
        let all = async {
            while let Some(report) = reports.last_mut() {
                // A worker that is gone has no sessions.
                total += report.await.unwrap_or_default();
                reports.pop();
            }
            if let Some(remaining) = remaining {
                let _ = remaining.await;
            }
        };
        let finished = tokio::select! {
            () = all => true,
            () = limit => false,
            never = log_active(&self.counters) => match never {},
        };
        if !finished {
            enter(&generations, Phase::Cutting);
            let missing = reports.len();
            let cut = async {
                for report in reports {
                    total += report.await.unwrap_or_default();
                }
            };
            if timeout(CUT_LIMIT, cut).await.is_err() {
                tracing::warn!(
                    workers = missing,
                    "not all of these workers have cut their connections within {CUT_LIMIT:?}; \
                     the process ends without them"
                );
            }
        }
        enter(&generations, Phase::Over);
        total
    }
}

pub(super) fn log_drained(total: Drained) {
    if total.cut > 0 {
        tracing::warn!(
            cut = total.cut,
            finished = total.finished,
            "drained; some were cut"
        );
    } else {
        tracing::info!(finished = total.finished, "drained");
    }
}

/// Logs every so often how many connections are still open.
async fn log_active(counters: &WorkerCounters) -> Infallible {
    loop {
        sleep(LOG_INTERVAL).await;
        let active = counters.total().active();
        tracing::info!(active, "draining; waiting for connections to end");
    }
}

/// How long it may take to cut what a drain has left.
const CUT_LIMIT: Duration = Duration::from_secs(5);
/// Between two lines that say how many connections a drain still waits for.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::captured_log::CapturedLog;
    use crate::metrics::Reason;

    #[tokio::test(start_paused = true)]
    async fn a_drain_says_every_10_s_how_many_are_open() {
        let (log, _guard) = CapturedLog::start();
        let counters = WorkerCounters::default();
        let workers = counters.add(2, &Arc::default());
        let _open = [workers[0].open(), workers[1].open(), workers[1].open()];
        workers[0]
            .open()
            .close(Reason::ClientClosed, Duration::ZERO);
        let over = timeout(Duration::from_secs(25), log_active(&counters)).await;
        assert!(over.is_err(), "it never ends by itself");
        let text = log.text();
        let said = text.matches("waiting for connections to end active=3\n");
        assert_eq!(said.count(), 2, "{text}");
    }
}

//! Whether a balancer is afterwards as it was before.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::event::Wiring;
use crate::process::Holdings;
use crate::proxy::{Kind, Proxy};

/// How it began.
pub(super) struct Start {
    pub(super) holdings: Holdings,
    /// Threads it may have more of: the system's resolver blocks one for each name.
    resolving: u64,
    /// KiB that it may keep: buffers, pools and caches that grow to their size once.
    spare_memory: u64,
}

impl Start {
    /// The most it holds while nobody connects: a check opens and closes something.
    pub(super) async fn of(proxy: &Proxy, wiring: Wiring) -> Self {
        let mut most = proxy.holdings();
        for _ in 0..LOOKS {
            sleep(PAUSE).await;
            let now = proxy.holdings();
            most = Holdings {
                memory: most.memory.max(now.memory),
                descriptors: most.descriptors.max(now.descriptors),
                pipes: most.pipes.max(now.pipes),
                threads: most.threads.max(now.threads),
            };
        }
        let resolving = if wiring == Wiring::Names { 3 } else { 0 };
        let spare_memory = match proxy.kind {
            // Its allocator gives back late what thousands of connections at once took.
            Kind::Envoy => 128 * 1024,
            _ => 32 * 1024,
        };
        Self {
            holdings: most,
            resolving,
            spare_memory,
        }
    }
}

/// Waits until it holds no more than at its start: what it holds, and what of it is
/// too much when the limit is over.
pub(super) async fn settle(proxy: &mut Proxy, start: &Start) -> (Holdings, Vec<String>) {
    let started = Instant::now();
    loop {
        if let Ok(Some(status)) = proxy.process().ended() {
            return (Holdings::default(), vec![format!("it ended: {status}")]);
        }
        let now = proxy.holdings();
        let mut left = Vec::new();
        let mut compare = |what: &str, before: u64, now: u64, slack: u64| {
            if now > before + slack {
                left.push(format!("{what}: {before} before, {now} after"));
            }
        };
        let before = start.holdings;
        compare("descriptors", before.descriptors, now.descriptors, 0);
        compare("ends of pipes", before.pipes, now.pipes, SPARE_PIPES);
        compare("threads", before.threads, now.threads, start.resolving);
        compare(
            "KiB of memory",
            before.memory,
            now.memory,
            start.spare_memory,
        );
        match proxy.sessions().await {
            Ok(all) => all.iter().for_each(|(name, now)| compare(name, 0, *now, 0)),
            Err(error) => left.push(format!("its open sessions are unknown: {error:#}")),
        }
        if left.is_empty() || started.elapsed() > LIMIT {
            return (now, left);
        }
        sleep(PAUSE * 2).await;
    }
}

const LOOKS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);
/// Two workers keep 32 pipes each, of two ends, for later connections.
const SPARE_PIPES: u64 = 128;
/// Connections of clients that are gone take their time; so does an old generation.
const LIMIT: Duration = Duration::from_secs(15);

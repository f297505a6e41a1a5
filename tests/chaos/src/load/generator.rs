//! Starts clients by the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::client::{Client, Request};
use super::record::Record;

/// What clients ask for, in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mix {
    /// Small answers.
    Small,
    /// Small and middle-sized answers.
    Gets,
    /// As before, and every fourth sends a body.
    GetsAndPosts,
    /// Every fourth speaks TLS; the others get small answers.
    GetsAndTls,
    /// Answers that come before their request is read.
    Early,
}

impl Mix {
    fn request(self, number: u64) -> Request {
        let get = Request::Get(SIZES[number as usize % SIZES.len()]);
        match self {
            Self::GetsAndPosts if number % 4 == 3 => Request::Post(20_000),
            Self::Small => Request::Get(1_000),
            Self::Early => Request::Early([300_000, 3_000_000][number as usize % 2], 20_000),
            _ => get,
        }
    }
}

/// A running load, on a thread of its own.
pub(crate) struct Generator {
    ends: Arc<AtomicBool>,
    open: Arc<AtomicU64>,
    started: Arc<AtomicU64>,
    thread: JoinHandle<Result<Load>>,
}

/// What a load came to.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) records: Vec<Record>,
    /// The longest time a client started after it should have.
    pub(crate) late: Duration,
    /// Clients not started, since too many were open.
    pub(crate) withheld: u64,
}

/// How many, and what they want.
pub(crate) struct Demand {
    pub(crate) client: Client,
    /// Where those go that speak TLS.
    pub(crate) tls: Option<(std::net::SocketAddr, TlsConnector)>,
    /// New connections a second.
    pub(crate) rate: u32,
    pub(crate) mix: Mix,
}

impl Generator {
    /// Starts.
    pub(crate) fn start(demand: Demand) -> Self {
        let (ends, open) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let started = Arc::<AtomicU64>::default();
        let (end, count, begun) = (ends.clone(), open.clone(), started.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            Ok(runtime.block_on(run(demand, &end, &count, &begun)))
        });
        Self {
            ends,
            open,
            started,
            thread,
        }
    }

    /// No new clients from now on.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// How many are open.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// How many were started so far.
    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Waits for the last of them.
    ///
    /// # Errors
    /// When the thread could not run.
    pub(crate) async fn finish(self) -> Result<Load> {
        self.end();
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        joined.map_err(|_| anyhow!("the load's thread panicked"))?
    }
}

async fn run(demand: Demand, ends: &AtomicBool, open: &AtomicU64, begun: &AtomicU64) -> Load {
    let mut load = Load::default();
    let mut clients = JoinSet::new();
    let started = Instant::now();
    let apart = Duration::from_secs(1) / demand.rate;
    let client = Arc::new(demand.client);
    let secure = demand.tls.map(|(target, tls)| {
        Arc::new(Client {
            target,
            tls: Some(tls),
            ..Client::clone(&client)
        })
    });
    for number in 0_u64.. {
        let due = started + apart * u32::try_from(number).unwrap_or(u32::MAX);
        tokio::time::sleep_until(due.into()).await;
        while let Some(done) = clients.try_join_next() {
            load.records.extend(done.ok());
        }
        open.store(clients.len() as u64, Ordering::Relaxed);
        begun.store(number, Ordering::Relaxed);
        if ends.load(Ordering::Relaxed) {
            break;
        }
        load.late = load.late.max(due.elapsed());
        if clients.len() >= MOST_OPEN {
            load.withheld += 1;
            continue;
        }
        let request = demand.mix.request(number);
        let speaks_tls = matches!(demand.mix, Mix::GetsAndTls) && number % 4 == 3;
        let client = match &secure {
            Some(secure) if speaks_tls => secure.clone(),
            _ => client.clone(),
        };
        clients.spawn(async move { client.ask(request, number * 2).await });
    }
    while let Some(done) = clients.join_next().await {
        load.records.extend(done.ok());
        open.store(clients.len() as u64, Ordering::Relaxed);
    }
    load
}

/// Bytes of an answer: most are small, as a registry's manifests are.
const SIZES: [u64; 8] = [500, 4_000, 1_000, 16_000, 2_000, 100_000, 700, 30_000];
/// More clients than this at a time would say something of this machine.
const MOST_OPEN: usize = 6_000;

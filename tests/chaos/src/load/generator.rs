//! Starts clients by the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tokio::task::{JoinError, JoinSet};
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
            runtime.block_on(run(demand, &end, &count, &begun))
        });
        Self {
            ends,
            open,
            started,
            thread,
        }
    }

    /// No new clients from now on: once `open` is zero after this, it stays so.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::SeqCst);
    }

    /// How many are open.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }

    /// How many were started so far.
    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::SeqCst)
    }

    /// Waits for the last of them.
    ///
    /// # Errors
    /// When the thread could not run, or a client panicked.
    pub(crate) async fn finish(self) -> Result<Load> {
        self.end();
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        joined.map_err(|_| anyhow!("the load's thread panicked"))?
    }
}

async fn run(
    demand: Demand,
    ends: &AtomicBool,
    open: &AtomicU64,
    begun: &AtomicU64,
) -> Result<Load> {
    let mut load = Load::default();
    let mut panicked = None;
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
            load.take(done, &mut panicked);
            open.fetch_sub(1, Ordering::SeqCst);
        }
        let late = due.elapsed();
        // Counted before `ends` is read: if `ends` was set and then none was open, no
        // client is started any more.
        open.fetch_add(1, Ordering::SeqCst);
        if ends.load(Ordering::SeqCst) {
            open.fetch_sub(1, Ordering::SeqCst);
            break;
        }
        load.late = load.late.max(late);
        if clients.len() >= MOST_OPEN {
            open.fetch_sub(1, Ordering::SeqCst);
            load.withheld += 1;
            continue;
        }
        begun.fetch_add(1, Ordering::SeqCst);
        let request = demand.mix.request(number);
        let speaks_tls = matches!(demand.mix, Mix::GetsAndTls) && number % 4 == 3;
        let client = match &secure {
            Some(secure) if speaks_tls => secure.clone(),
            _ => client.clone(),
        };
        clients.spawn(async move { client.ask(request, number * 2).await });
    }
    while let Some(done) = clients.join_next().await {
        load.take(done, &mut panicked);
        open.fetch_sub(1, Ordering::SeqCst);
    }
    match panicked {
        None => Ok(load),
        Some(error) => Err(error).context("a client of the load"),
    }
}

impl Load {
    /// Takes in a client that is done. The load goes on after a panic, since others wait
    /// for its counts, and fails at its end.
    fn take(&mut self, done: Result<Record, JoinError>, panicked: &mut Option<JoinError>) {
        match done {
            Ok(record) => self.records.push(record),
            Err(error) => *panicked = panicked.take().or(Some(error)),
        }
    }
}

/// Bytes of an answer: most are small, as a registry's manifests are.
const SIZES: [u64; 8] = [500, 4_000, 1_000, 16_000, 2_000, 100_000, 700, 30_000];
/// More clients than this at a time would say something of this machine.
const MOST_OPEN: usize = 6_000;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use super::{Client, Demand, Generator, Load, Mix};

    fn start(target: SocketAddr, rate: u32) -> Generator {
        let client = Client {
            target,
            tls: None,
            patience: Duration::from_secs(1),
        };
        Generator::start(Demand {
            client,
            tls: None,
            rate,
            mix: Mix::Small,
        })
    }

    #[tokio::test]
    async fn a_client_that_was_started_is_open() {
        // Nobody answers: the client is there until its patience ends.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let load = start(listener.local_addr().unwrap(), 5);
        while load.started() == 0 {
            std::thread::yield_now();
        }
        load.end();
        assert!(load.open() > 0);
        assert!(!load.finish().await.unwrap().records.is_empty());
    }

    #[tokio::test]
    async fn none_is_started_after_the_last_was_seen_to_end() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = listener.local_addr().unwrap();
        drop(listener);
        for round in 0..40 {
            let load = start(refused, 2_000);
            while load.started() < 3 {
                std::thread::yield_now();
            }
            // At another moment between two clients each time.
            let end = Instant::now() + Duration::from_micros(25) * round;
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            load.end();
            while load.open() > 0 {
                std::thread::yield_now();
            }
            let started = load.started();
            let records = load.finish().await.unwrap().records.len();
            assert_eq!(records as u64, started, "round {round}");
        }
    }

    #[tokio::test]
    async fn a_client_that_panics_is_not_lost() {
        let panics = tokio::spawn(async { panic!("a panic of the test") });
        let (mut load, mut panicked) = (Load::default(), None);
        load.take(panics.await, &mut panicked);
        assert!(panicked.is_some_and(|error| error.is_panic()));
        assert!(load.records.is_empty());
    }
}

//! The host as its owner holds it.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::control::lifecycle::{Drained, Phase};
use crate::error::StartError;
use crate::filters::compiled_vm::Program;
use crate::metrics::Counters;
use crate::net::fd_limit;
use crate::net::forward::DataCallbacks;
use crate::plan::Plan;
use crate::proxy::accept::{self, Post};
use crate::proxy::worker::{self, Outfit};
use crate::upstream::cluster::Clusters;
use crate::upstream::resolver::{self, Lookup, Resolver};
use proxy_wasm_engine::Shared;

/// A running host. Dropping it cuts every connection; [`Host::drain`] does not.
pub struct Host {
    options: HostOptions,
    shared: Shared,
    counters: Vec<Arc<Counters>>,
    doors: Vec<Door>,
    admin: Option<Door>,
    current: Generation,
    /// Those whose sessions are not over yet.
    retired: Vec<Generation>,
}

/// Workers that run one plan.
#[derive(Default)]
struct Generation {
    workers: Vec<worker::Running>,
    phases: watch::Sender<Phase>,
}

/// An address and the sockets that listen there, one for each worker. They outlive
/// the workers, so that what the kernel has queued is not lost between two plans.
struct Door {
    bind: SocketAddr,
    address: SocketAddr,
    sockets: Vec<StdListener>,
}

/// How a host runs; what it does is the plan's.
#[derive(Clone)]
pub struct HostOptions {
    /// Threads, each with its own sockets and VM. Default: one per core.
    pub workers: NonZeroUsize,
    /// Sessions open at once; clients beyond that wait to be accepted. Fewer when
    /// the process may not open files enough.
    pub max_sessions: usize,
    /// Which chunks of a connection the balancer is shown. Filters somebody else
    /// wrote are shown all they have a callback for.
    pub data_callbacks: DataCallbacks,
    /// Before the first attempt to replace a filter that failed. Grows to 30 s.
    pub reload_backoff: Duration,
    /// How long the start waits for DNS; what takes longer is learnt later.
    pub resolve_limit: Duration,
    /// How long a client of the admin listener may take to send the head of a
    /// request, and the answer to it may take.
    pub admin_timeout: Duration,
    /// Looks up DNS names. Default: the system's resolver.
    pub lookup: Lookup,
}

impl Default for HostOptions {
    fn default() -> Self {
        HostOptions {
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_sessions: 100_000,
            data_callbacks: DataCallbacks::default(),
            reload_backoff: Duration::from_secs(1),
            resolve_limit: Duration::from_secs(2),
            admin_timeout: Duration::from_secs(10),
            lookup: resolver::system(),
        }
    }
}

/// What all workers of a host share.
pub(crate) struct Site {
    pub(crate) options: HostOptions,
    pub(crate) clusters: Arc<Clusters>,
    /// One for each VM a worker has.
    pub(crate) programs: Vec<Program>,
    /// Which chunks the filters are shown.
    pub(crate) data_callbacks: DataCallbacks,
    pub(crate) shared: Shared,
    pub(crate) phases: watch::Receiver<Phase>,
    /// One for each worker there ever was.
    pub(crate) counters: Vec<Arc<Counters>>,
}

/// Keeps DNS names up to date.
pub(crate) struct Resolving {
    pub(crate) resolver: Resolver,
    pub(crate) refresh: Duration,
}

impl Host {
    /// Binds every listener, starts a filter on every worker, and accepts.
    /// Workers log to the caller's subscriber.
    ///
    /// # Errors
    /// When an address can't be bound, the plan names what isn't there, or the
    /// filter doesn't load or refuses its configuration. A DNS name that does
    /// not resolve is no error: it is logged and looked up again.
    pub async fn start(plan: Plan, wasm: &[u8], options: HostOptions) -> Result<Host, StartError> {
        let fit = fd_limit::sessions_that_fit();
        let options = HostOptions {
            max_sessions: options.max_sessions.min(fit),
            ..options
        };
        let mut host = Host {
            options,
            shared: Shared::new(),
            counters: Vec::new(),
            doors: Vec::new(),
            admin: None,
            current: Generation::default(),
            retired: Vec::new(),
        };
        host.take_up(plan, wasm).await?;
        Ok(host)
    }

    /// Goes on with another plan, another filter, or both. New workers accept from
    /// the same sockets, so that no client is turned away; the old ones stay until
    /// their last connection is over. What VMs share, orders and verdicts among
    /// it, stays as it is.
    ///
    /// # Errors
    /// As in [`Host::start`]; the host then goes on as before.
    pub async fn reload(&mut self, plan: Plan, wasm: &[u8]) -> Result<(), StartError> {
        self.retired.retain(Generation::is_alive);
        self.take_up(plan, wasm).await
    }

    /// Where connections are accepted, in the order of the plan's listeners.
    pub fn listeners(&self) -> Vec<SocketAddr> {
        self.doors.iter().map(|door| door.address).collect()
    }

    /// Where the admin listener is.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|door| door.address)
    }

    /// Accepts no more, waits up to `limit` for the open connections to end,
    /// and cuts the rest. The admin listener stays until then; its `/ready`
    /// says 503.
    pub async fn drain(self, limit: Duration) -> Drained {
        self.drain_until(sleep(limit)).await
    }

    /// As [`Host::drain`], but what is left is cut once `limit` is over, whatever
    /// that is: a second signal, say.
    pub async fn drain_until(mut self, limit: impl Future<Output = ()>) -> Drained {
        // Or the kernel would go on to queue clients nobody accepts.
        self.doors.clear();
        let mut generations = std::mem::take(&mut self.retired);
        generations.retain(Generation::is_alive);
        generations.push(std::mem::take(&mut self.current));
        let mut waiting: Vec<_> = generations
            .iter_mut()
            .flat_map(|one| one.workers.drain(..))
            .map(|worker| worker.drained)
            .collect();
        enter(&generations, Phase::Draining);
        let mut total = Drained::default();
        let all = async {
            while let Some(worker) = waiting.last_mut() {
                // A worker that is gone has no sessions.
                total += worker.await.unwrap_or_default();
                waiting.pop();
            }
        };
        let finished = tokio::select! {
            () = all => true,
            () = limit => false,
        };
        if !finished {
            enter(&generations, Phase::Cutting);
            for worker in waiting {
                total += worker.await.unwrap_or_default();
            }
        }
        enter(&generations, Phase::Over);
        if total.cut > 0 {
            tracing::warn!(
                cut = total.cut,
                finished = total.finished,
                "drained; some were cut"
            );
        } else {
            tracing::info!(finished = total.finished, "drained");
        }
        total
    }

    /// Starts workers for a plan and has them accept instead of the current ones.
    async fn take_up(&mut self, plan: Plan, wasm: &[u8]) -> Result<(), StartError> {
        let count = self.options.workers.get();
        let mut resolver = Resolver::new(Arc::clone(&self.options.lookup));
        let clusters = Arc::new(Clusters::of(&plan, &mut resolver)?);
        let posts = posts(&plan, &clusters)?;
        let mut doors = Vec::new();
        for listener in &plan.listeners {
            doors.push(open(&self.doors, listener.bind, count)?);
        }
        let admin = match &plan.admin {
            Some(admin) => Some(open(self.admin.as_slice(), admin.bind, 1)?),
            None => None,
        };
        resolver.resolve(self.options.resolve_limit).await;

        let programs = Program::all(&plan, wasm)?;
        let (phases, watching) = watch::channel(Phase::Starting);
        let known = self.counters.len();
        let mut counters = self.counters.clone();
        counters.resize_with(known + count, Arc::default);
        let site = Arc::new(Site {
            clusters,
            programs,
            data_callbacks: match plan.filters.is_empty() {
                true => self.options.data_callbacks,
                // Who knows what they read.
                false => DataCallbacks::All,
            },
            shared: self.shared.clone(),
            phases: watching,
            counters: counters.clone(),
            options: self.options.clone(),
        });
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let mut resolving = Some(Resolving {
            resolver,
            refresh: plan.dns_refresh,
        });
        let mut sockets = Vec::new();
        for door in &doors {
            sockets.push(door.copies()?);
        }
        let mut admin_sockets = admin.as_ref().map(Door::copies).transpose()?;
        let mut next = Generation {
            workers: Vec::new(),
            phases,
        };
        for index in known..known + count {
            let of_worker = sockets.iter_mut().zip(&posts).zip(&doors);
            let outfit = Outfit {
                index,
                site: Arc::clone(&site),
                sockets: of_worker
                    .filter_map(|((sockets, post), door)| {
                        Some((
                            sockets.pop()?,
                            Post {
                                address: door.address,
                                ..post.clone()
                            },
                        ))
                    })
                    .collect(),
                admin: admin_sockets.as_mut().and_then(Vec::pop),
                resolving: resolving.take(),
            };
            next.workers.push(worker::spawn(outfit, dispatch.clone())?);
        }
        for (worker, running) in next.workers.iter_mut().enumerate() {
            let gone = |_| {
                let source = std::io::Error::other("its thread ended");
                Err(StartError::Worker { worker, source })
            };
            (&mut running.started).await.unwrap_or_else(gone)?;
        }
        // Nothing can fail any more.
        next.phases.send_replace(Phase::Running);
        let last = std::mem::replace(&mut self.current, next);
        last.phases.send_replace(Phase::Retiring);
        if !last.workers.is_empty() {
            self.retired.push(last);
        }
        (self.doors, self.admin, self.counters) = (doors, admin, counters);
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        enter(&self.retired, Phase::Over);
        self.current.phases.send_replace(Phase::Over);
    }
}

impl Generation {
    /// Whether there are threads of it; each holds a receiver.
    fn is_alive(&self) -> bool {
        self.phases.receiver_count() > 0
    }
}

impl Door {
    /// The same sockets once more, for other workers.
    fn copies(&self) -> Result<Vec<StdListener>, StartError> {
        let copies = self.sockets.iter().map(StdListener::try_clone);
        copies
            .collect::<Result<_, _>>()
            .map_err(|source| StartError::Bind {
                address: self.address,
                source,
            })
    }
}

/// A door that is open already, or a new one.
fn open(doors: &[Door], bind: SocketAddr, workers: usize) -> Result<Door, StartError> {
    if let Some(door) = doors.iter().find(|door| door.bind == bind) {
        let sockets = door.copies()?;
        return Ok(Door { sockets, ..*door });
    }
    let sockets = accept::bind(bind, workers)?;
    let address = address_of(&sockets, bind)?;
    Ok(Door {
        bind,
        address,
        sockets,
    })
}

fn enter(generations: &[Generation], phase: Phase) {
    for generation in generations {
        generation.phases.send_replace(phase);
    }
}

fn posts(plan: &Plan, clusters: &Clusters) -> Result<Vec<Post>, StartError> {
    plan.listeners
        .iter()
        .map(|listener| {
            let missing = || StartError::NoSuchName(listener.fallback.clone());
            Ok(Post {
                address: listener.bind,
                fallback: clusters.target(&listener.fallback).ok_or_else(missing)?,
                metadata: Arc::new(
                    json!({"filter_metadata": {"dtr": {"port": listener.port.to_string()}}}),
                ),
                idle_timeout: listener.idle_timeout,
            })
        })
        .collect()
}

fn address_of(sockets: &[StdListener], address: SocketAddr) -> Result<SocketAddr, StartError> {
    match sockets.first().map(StdListener::local_addr) {
        Some(Ok(bound)) => Ok(bound),
        Some(Err(source)) => Err(StartError::Bind { address, source }),
        None => Ok(address),
    }
}

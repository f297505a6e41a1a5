//! The process whose place this one takes.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm_engine::Shared;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::control::all_sessions::AllSessions;
use crate::proxy::bound_listener::BoundListener;
use crate::proxy::shared_entries::Form;
use crate::proxy::{remaining_sessions, shared_entries};
use crate::takeover::channel::Channel;
use crate::takeover::error::TakeoverError;
use crate::takeover::listener::Peer;
use crate::takeover::message::{
    Entry, FromPredecessor, FromSuccessor, ResolvedName, Role, Sockets, VERSION,
};
use crate::upstream::resolver::DnsName;

/// The process whose place this one takes. It serves on, unless this one comes to accept.
pub struct Predecessor {
    channel: Channel,
    process: Option<i32>,
    offer: Offer,
}

/// What it gives.
#[derive(Default)]
struct Offer {
    sockets: Vec<(Sockets, Vec<StdListener>)>,
    names: Vec<ResolvedName>,
    entries: Vec<Entry>,
}

impl Predecessor {
    /// Asks the process that listens there for its sockets, and what its VMs share.
    ///
    /// # Errors
    /// When there is none, it is of another user and this one not of root, it refuses, or
    /// gives no answer.
    pub async fn meet(path: &Path) -> Result<Predecessor, TakeoverError> {
        let unreachable = |source| TakeoverError::Unreachable {
            path: path.to_owned(),
            source,
        };
        let stream = UnixStream::connect(path).await.map_err(unreachable)?;
        let process = Peer::Predecessor.check(&stream)?;
        let channel = Channel::new(stream);
        let hello = FromSuccessor::Hello {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let offered = async {
            // One that refuses may have closed before it reads this; its reason is there.
            let sent = channel.send(&hello, &[]).await;
            let received = receive_until_offered(&channel).await;
            match received {
                Err(TakeoverError::Closed) => sent.and(received),
                _ => received,
            }
        };
        let offered = timeout(OFFER, offered)
            .await
            .map_err(|_| TakeoverError::Silent {
                what: "has not offered its sockets",
                limit: OFFER,
            })?;
        let offer = offered?;
        Ok(Predecessor {
            channel,
            process,
            offer,
        })
    }

    /// Its listeners for traffic, and that for the admin listener; once.
    ///
    /// # Errors
    /// When one of its sockets can't be used.
    pub(super) fn take_sockets(
        &mut self,
    ) -> Result<(Vec<BoundListener>, Option<BoundListener>), TakeoverError> {
        type Sets = Vec<(SocketAddr, Vec<StdListener>)>;
        let mut listeners: BTreeMap<usize, (Sockets, Sets)> = BTreeMap::new();
        for (about, sockets) in self.offer.sockets.drain(..) {
            let (_, sets) = listeners
                .entry(about.listener)
                .or_insert_with(|| (about, Vec::new()));
            match sets.last_mut() {
                Some((address, known)) if *address == about.address => known.extend(sockets),
                _ => sets.push((about.address, sockets)),
            }
        }
        let (mut traffic, mut admin) = (Vec::new(), None);
        for (about, sets) in listeners.into_values() {
            let bound = BoundListener::passed(about.bind, sets)?;
            match about.role {
                Role::Traffic => traffic.push(bound),
                Role::Admin => admin = Some(bound),
            }
        }
        Ok((traffic, admin))
    }

    /// What DNS has said of its names, for those that are the plan's as well; once.
    pub(super) fn take_names(&mut self) -> Vec<Arc<DnsName>> {
        let names = self.offer.names.drain(..);
        let names = names.filter(|it| !it.addresses.is_empty());
        names
            .map(|it| Arc::new(DnsName::known(it.name, it.addresses)))
            .collect()
    }

    /// Has VMs that are yet to start find what its own share.
    pub(super) fn share(&mut self, vm_data: &Shared) {
        shared_entries::share(vm_data, std::mem::take(&mut self.offer.entries));
    }

    /// Says that this process is ready, and learns what has changed meanwhile: in which form.
    ///
    /// # Errors
    /// When it ended, or did not answer. It goes on then, if it can.
    pub(super) async fn ready<'a>(
        &mut self,
        kept: impl Iterator<Item = &'a BoundListener>,
        vm_data: &Shared,
    ) -> Result<Form, TakeoverError> {
        let kept = kept.flat_map(BoundListener::by_address);
        let kept = kept.map(|(address, _)| address).collect();
        let going = async {
            let ready = FromSuccessor::Ready { kept };
            self.channel.send(&ready, &[]).await?;
            let mut entries = Vec::new();
            loop {
                match self.channel.receive().await?.0 {
                    FromPredecessor::Entry(entry) => entries.push(entry),
                    FromPredecessor::Go => return Ok(entries),
                    other => return Err(unexpected(&other)),
                }
            }
        };
        let entries = timeout(ANSWER, going)
            .await
            .map_err(|_| TakeoverError::Silent {
                what: "has not made way",
                limit: ANSWER,
            })?;
        Ok(shared_entries::share_changes(vm_data, entries?))
    }

    /// Says that this process does not start, and why.
    pub(super) async fn failed(self, problem: String) {
        let failed = FromSuccessor::Failed { problem };
        // It learns from the end of this process as well.
        let _ = timeout(ANSWER, self.channel.send(&failed, &[])).await;
    }

    /// Says that this process accepts, and waits until the other one does so no more. Until
    /// its end, for which can be waited, it is asked for the sessions that it still has, as
    /// one more worker.
    ///
    /// # Errors
    /// The other one has waited no longer, and serves on. Where what became of it is not
    /// known, this process serves.
    pub(super) async fn running(
        self,
        sessions: &AllSessions,
    ) -> Result<Option<JoinHandle<()>>, TakeoverError> {
        let retired = async {
            let sent = self.channel.send(&FromSuccessor::Running, &[]).await;
            // One that has closed may have said why before.
            match (self.channel.receive().await, sent) {
                (Ok((FromPredecessor::Retired, _)), _) => Ok(()),
                (Ok((other, _)), _) => Err(unexpected(&other)),
                (Err(_), Err(unsent)) => Err(unsent),
                (Err(error), Ok(())) => Err(error),
            }
        };
        let process = self.process.map_or_else(String::new, |it| format!(" {it}"));
        match timeout(ANSWER, retired).await {
            Ok(Ok(())) => {
                let questions = sessions.join();
                info!("this process accepts in place of process{process}");
                return Ok(Some(tokio::spawn(async move {
                    let asked = remaining_sessions::ask(&self.channel, &process, questions).await;
                    if let Err(error) = asked {
                        warn!("process{process} may have connections that are not listed: {error}");
                        remaining_sessions::closed(&self.channel).await;
                    }
                    info!("process{process} has no connections left");
                })));
            }
            Ok(Err(error @ TakeoverError::TakenBack)) => return Err(error),
            Ok(Err(error)) => warn!("whether process{process} has made way is not known: {error}"),
            Err(_) => warn!("process{process} has not said within {ANSWER:?} that it makes way"),
        }
        Ok(None)
    }
}

async fn receive_until_offered(channel: &Channel) -> Result<Offer, TakeoverError> {
    let mut offer = Offer::default();
    loop {
        let (message, files) = channel.receive().await?;
        match message {
            FromPredecessor::Sockets(about) => {
                if files.len() != about.count {
                    let problem = format!(
                        "{} of {} sockets have come; raise LimitNOFILE (ulimit -n)",
                        files.len(),
                        about.count
                    );
                    return Err(TakeoverError::Malformed(problem));
                }
                let files: Vec<OwnedFd> = files;
                (offer.sockets).push((about, files.into_iter().map(StdListener::from).collect()));
            }
            FromPredecessor::Name(name) => offer.names.push(name),
            FromPredecessor::Entry(entry) => offer.entries.push(entry),
            FromPredecessor::Offered => return Ok(offer),
            FromPredecessor::Refused { problem } => return Err(TakeoverError::Refused(problem)),
            other => return Err(unexpected(&other)),
        }
    }
}

fn unexpected(message: &FromPredecessor) -> TakeoverError {
    match message {
        FromPredecessor::Refused { problem } => TakeoverError::Refused(problem.clone()),
        FromPredecessor::TakenBack => TakeoverError::TakenBack,
        other => TakeoverError::Malformed(format!("{other:?} at this point")),
    }
}

/// How long the offer may take.
const OFFER: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

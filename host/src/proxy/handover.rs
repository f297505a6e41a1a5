//! Gives a host's place to another process.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::info;

use crate::control::all_sessions::AllSessions;
use crate::proxy::bound_listener::BoundListener;
use crate::proxy::{remaining_sessions, shared_entries};
use crate::takeover::channel::{Channel, MOST_FILES};
use crate::takeover::error::TakeoverError;
use crate::takeover::listener::Candidate;
use crate::takeover::message::{
    FromPredecessor, FromSuccessor, ResolvedName, Role, Sockets, VERSION,
};
use crate::upstream::resolver::DnsName;
use proxy_wasm_engine::Shared;

/// A process that accepts in this one's place.
pub struct Successor {
    channel: Channel,
    process: Option<i32>,
    kept: Vec<SocketAddr>,
}

/// How long a candidate may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To say what it wants, and to take what it is given.
    pub(super) answer: Duration,
    /// To start.
    pub(super) start: Duration,
}

/// What a candidate is given.
pub(super) struct Offer<'a> {
    pub(super) listeners: &'a [BoundListener],
    pub(super) admin: Option<&'a BoundListener>,
    /// What DNS has said of them.
    pub(super) names: &'a [Arc<DnsName>],
    pub(super) vm_data: &'a Shared,
    pub(super) patience: Patience,
}

impl Successor {
    /// Its number; `None`: it is in another PID namespace.
    #[must_use]
    pub fn process(&self) -> Option<i32> {
        self.process
    }

    /// Whether it goes on with the sockets of this address.
    pub(super) fn keeps(&self, address: SocketAddr) -> bool {
        self.kept.contains(&address)
    }

    /// Answers what it asks of the sessions that stay here, until `over` is dropped.
    pub(super) async fn answer(&self, sessions: &AllSessions, over: oneshot::Receiver<()>) {
        remaining_sessions::answer(&self.channel, sessions, over).await;
    }

    /// Says that this process accepts no more.
    pub(super) async fn retired(&self, limit: Duration) {
        let sent = self.channel.send(&FromPredecessor::Retired, &[]);
        // It accepts whether it reads this or not.
        let _ = timeout(limit, sent).await;
    }
}

impl Offer<'_> {
    /// Gives it all, and waits until the candidate is ready: where it goes on listening.
    ///
    /// # Errors
    /// When it ends, is silent for too long, can't start, or is of another version; or it is
    /// none.
    pub(super) async fn make(
        &self,
        candidate: &Candidate,
    ) -> Result<Vec<SocketAddr>, TakeoverError> {
        let Patience { answer, start } = self.patience;
        let channel = &candidate.channel;
        let hello = within(answer, "has not said what it wants", channel.receive()).await;
        match hello.map_err(TakeoverError::before_hello)?.0 {
            FromSuccessor::Hello {
                version: VERSION, ..
            } => {}
            FromSuccessor::Hello { version, program } => {
                let problem = format!(
                    "it speaks version {VERSION} of the takeover, and dtr-lb {program} version \
                     {version}; restart it instead"
                );
                let refused = FromPredecessor::Refused {
                    problem: problem.clone(),
                };
                within(answer, NOT_TAKEN, channel.send(&refused, &[])).await?;
                return Err(TakeoverError::Malformed(problem));
            }
            other => return Err(unexpected(&other)),
        }
        match candidate.process {
            Some(process) => info!("process {process} takes over; this one serves until then"),
            None => info!("a process of another container takes over"),
        }
        within(answer, NOT_TAKEN, self.send_all(channel)).await?;
        match within(start, "has not started", channel.receive()).await?.0 {
            FromSuccessor::Ready { kept } => Ok(kept),
            FromSuccessor::Failed { problem } => Err(TakeoverError::Failed(problem)),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives what has changed since, and waits until the candidate accepts.
    ///
    /// # Errors
    /// As before. Whether it accepts is not known then; it is told to end.
    pub(super) async fn complete(
        &self,
        candidate: Candidate,
        kept: Vec<SocketAddr>,
    ) -> Result<Successor, TakeoverError> {
        let Candidate { channel, process } = candidate;
        if let Err(error) = self.until_running(&channel).await {
            // It may accept all the same, and two processes would serve for good.
            let taken_back = channel.send(&FromPredecessor::TakenBack, &[]);
            let _ = timeout(LAST_WORD, taken_back).await;
            return Err(error);
        }
        Ok(Successor {
            channel,
            process,
            kept,
        })
    }

    async fn until_running(&self, channel: &Channel) -> Result<(), TakeoverError> {
        let answer = self.patience.answer;
        let going = async {
            self.send_entries(channel).await?;
            channel.send(&FromPredecessor::Go, &[]).await
        };
        within(answer, NOT_TAKEN, going).await?;
        match within(answer, "has not accepted", channel.receive())
            .await?
            .0
        {
            FromSuccessor::Running => Ok(()),
            FromSuccessor::Failed { problem } => Err(TakeoverError::Failed(problem)),
            other => Err(unexpected(&other)),
        }
    }

    async fn send_all(&self, channel: &Channel) -> Result<(), TakeoverError> {
        let traffic = self.listeners.iter().map(|bound| (Role::Traffic, bound));
        let all = traffic.chain(self.admin.map(|bound| (Role::Admin, bound)));
        for (listener, (role, bound)) in all.enumerate() {
            for (address, sockets) in bound.by_address() {
                for sockets in sockets.chunks(MOST_FILES) {
                    let about = Sockets {
                        role,
                        listener,
                        bind: bound.bind(),
                        address,
                        count: sockets.len(),
                    };
                    let files: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
                    channel
                        .send(&FromPredecessor::Sockets(about), &files)
                        .await?;
                }
            }
        }
        for name in self.names {
            let name = ResolvedName {
                name: name.name().to_owned(),
                addresses: name.addresses().to_vec(),
            };
            channel.send(&FromPredecessor::Name(name), &[]).await?;
        }
        self.send_entries(channel).await?;
        channel.send(&FromPredecessor::Offered, &[]).await
    }

    async fn send_entries(&self, channel: &Channel) -> Result<(), TakeoverError> {
        for entry in shared_entries::all(self.vm_data) {
            channel.send(&FromPredecessor::Entry(entry), &[]).await?;
        }
        Ok(())
    }
}

async fn within<T>(
    limit: Duration,
    what: &'static str,
    step: impl Future<Output = Result<T, TakeoverError>>,
) -> Result<T, TakeoverError> {
    let silent = TakeoverError::Silent { what, limit };
    timeout(limit, step).await.unwrap_or(Err(silent))
}

fn unexpected(message: &FromSuccessor) -> TakeoverError {
    TakeoverError::Malformed(format!("{message:?} at this point"))
}

/// How long it may take to say that this process serves on: the admin listener waits.
const LAST_WORD: Duration = Duration::from_secs(1);
const NOT_TAKEN: &str = "has not taken what it is given";

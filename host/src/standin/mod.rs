//! Stand-ins for a registry's replicas: what `dtr-lb demo` balances, and what
//! the stories put behind a balancer.
//!
//! A [`Cluster`] is one registry. Each of its [`Replica`]s serves HTTP on one port
//! and HTTPS on another, in the shapes Docker Trusted Registry has, and changes
//! its [`Mood`] while it runs.
//!
//! | path | answer |
//! |---|---|
//! | `/_ping`, `/health` | `{"Error": "", "Healthy": true}`, or what the mood says |
//! | `/v2/` | 401, as a registry answers who has not logged in |
//! | `/blob/SIZE` | so many bytes of a fixed pattern, streamed |
//! | `/echo` | the request's body, streamed back |
//! | `/api/v0/meta/cluster_status` | the health of all, to `admin:password` |
//! | any other | method, path, `Host` and SNI of the request, as JSON |
//!
//! Every answer names its replica in `x-replica`.

mod answer;
mod blob;
mod certificate;
mod control;
mod serve;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_rustls::TlsAcceptor;

use certificate::Certificate;
use serve::Serving;

pub use control::Control;

/// One registry of several replicas, under one name and one certificate.
pub struct Cluster {
    certificate: Certificate,
    members: Members,
}

/// What each replica knows of all, itself included.
type Members = Arc<Mutex<Vec<Arc<State>>>>;

impl Cluster {
    /// A registry of that name, without replicas so far.
    ///
    /// # Errors
    /// No certificate can be made for the name.
    pub fn new(fqdn: &str) -> io::Result<Self> {
        Ok(Self {
            certificate: Certificate::for_name(fqdn)?,
            members: Members::default(),
        })
    }

    /// Starts a replica on the given addresses; port 0 means any free port, which
    /// it then keeps.
    ///
    /// # Errors
    /// An address can't be bound.
    pub async fn replica(
        &self,
        name: &str,
        http: SocketAddr,
        https: SocketAddr,
    ) -> io::Result<Replica> {
        let state = Arc::new(State {
            name: name.to_owned(),
            mood: Mutex::new(Mood::Healthy),
            pings: Mutex::default(),
            members: Arc::clone(&self.members),
        });
        let acceptor = self.certificate.acceptor();
        let (http, https, serving) = serve::start(&state, http, https, &acceptor).await?;
        lock(&self.members).push(Arc::clone(&state));
        Ok(Replica {
            state,
            http,
            https,
            acceptor,
            serving: Mutex::new(Some(serving)),
        })
    }

    /// The certificate that signed the replicas' own, as PEM: a CA file to verify
    /// them with.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.certificate.ca_pem
    }
}

/// A running stand-in; dropping it ends it with all its connections.
pub struct Replica {
    state: Arc<State>,
    http: SocketAddr,
    https: SocketAddr,
    acceptor: TlsAcceptor,
    /// `None`: gone.
    serving: Mutex<Option<Serving>>,
}

impl Replica {
    /// Its name, as `x-replica` says it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Where it serves HTTP.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it serves HTTPS.
    #[must_use]
    pub fn https(&self) -> SocketAddr {
        self.https
    }

    /// Changes how it is. `Mood::Gone` closes its ports and cuts its connections,
    /// as when its process dies; any other mood opens the same ports again.
    ///
    /// # Errors
    /// A port was taken by somebody else in the meantime.
    pub async fn be(&self, mood: Mood) -> io::Result<()> {
        let gone = mood == Mood::Gone;
        *lock(&self.state.mood) = mood;
        if gone {
            let serving = lock(&self.serving).take();
            if let Some(serving) = serving {
                serving.end().await;
            }
        } else if lock(&self.serving).is_none() {
            let (_, _, serving) =
                serve::start(&self.state, self.http, self.https, &self.acceptor).await?;
            *lock(&self.serving) = Some(serving);
        }
        Ok(())
    }

    /// The last health questions it was asked, oldest first, at most a thousand.
    #[must_use]
    pub fn pings(&self) -> Vec<Ping> {
        lock(&self.state.pings).iter().cloned().collect()
    }
}

/// How a replica is. It shows in what it says of its health; other requests are
/// answered in every mood but `Gone`, so that one sees where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    /// 200 and `"Healthy": true`.
    Healthy,
    /// 503 with this `Error`.
    Failing(String),
    /// 200, but `"Healthy": false` with this `Error`.
    Disagreeing(String),
    /// Health questions are never answered.
    Hanging,
    /// Nothing listens.
    Gone,
}

/// What a mood may be called.
#[derive(Debug, thiserror::Error)]
#[error(
    "no such mood; say healthy, failing [ERROR TEXT], disagreeing [ERROR TEXT], hanging or gone"
)]
pub struct UnknownMood;

impl FromStr for Mood {
    type Err = UnknownMood;

    fn from_str(text: &str) -> Result<Self, UnknownMood> {
        let (word, error) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let error = match error.trim() {
            "" => "rethinkdb: no primary replica".to_owned(),
            error => error.to_owned(),
        };
        match word {
            "healthy" => Ok(Mood::Healthy),
            "failing" => Ok(Mood::Failing(error)),
            "disagreeing" => Ok(Mood::Disagreeing(error)),
            "hanging" => Ok(Mood::Hanging),
            "gone" => Ok(Mood::Gone),
            _ => Err(UnknownMood),
        }
    }
}

/// A health question a replica was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Path and query.
    pub path: String,
    /// The `Host` header.
    pub host: Option<String>,
    /// Over TLS: the name the client asked for.
    pub sni: Option<String>,
    /// Whether it came over TLS or in the clear.
    pub scheme: &'static str,
}

/// What a replica's tasks share.
struct State {
    name: String,
    mood: Mutex<Mood>,
    pings: Mutex<VecDeque<Ping>>,
    members: Members,
}

impl State {
    fn mood(&self) -> Mood {
        lock(&self.mood).clone()
    }

    fn asked(&self, ping: Ping) {
        let mut pings = lock(&self.pings);
        if pings.len() == PINGS_KEPT {
            pings.pop_front();
        }
        pings.push_back(ping);
    }
}

/// A panic elsewhere leaves no half-made state behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const PINGS_KEPT: usize = 1000;

#[cfg(test)]
mod tests;

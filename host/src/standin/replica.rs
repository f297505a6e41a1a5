//! One replica: its two ports, and its condition.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio_rustls::TlsAcceptor;

use super::condition::Condition;
use super::deviation::Deviation;
use super::serve::{self, Serving};
use super::state::{Members, Ping, ReplicaState, lock};

/// A running stand-in; dropping it ends it with all its connections.
pub struct Replica {
    state: Arc<ReplicaState>,
    http: SocketAddr,
    https: SocketAddr,
    acceptor: TlsAcceptor,
    /// `None`: gone.
    serving: Mutex<Option<Serving>>,
}

impl Replica {
    /// Starts it on the given addresses, as a member of its registry.
    pub(super) async fn start(
        name: &str,
        http: SocketAddr,
        https: SocketAddr,
        acceptor: TlsAcceptor,
        members: &Members,
    ) -> io::Result<Self> {
        let state = Arc::new(ReplicaState::new(name, members));
        let (http, https, serving) = serve::start(&state, http, https, &acceptor).await?;
        lock(members).push(Arc::clone(&state));
        Ok(Replica {
            state,
            http,
            https,
            acceptor,
            serving: Mutex::new(Some(serving)),
        })
    }

    /// Its name, as `x-replica` carries it.
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

    /// Changes its condition. `Condition::Gone` closes its ports and cuts its
    /// connections, as when its process dies; any other opens the same ports again.
    ///
    /// # Errors
    /// Another process took a port in the meantime.
    pub async fn set_condition(&self, condition: Condition) -> io::Result<()> {
        let gone = condition == Condition::Gone;
        *lock(&self.state.condition) = condition;
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

    /// Sets it apart from the others from now on.
    pub fn set_deviation(&self, deviation: Deviation) {
        *lock(&self.state.deviation) = deviation;
    }

    /// How many uploads have begun here and are not deleted.
    #[must_use]
    pub fn open_uploads(&self) -> usize {
        lock(&self.state.uploads.begun).len()
    }

    /// The last health requests it received, oldest first, at most a thousand.
    #[must_use]
    pub fn pings(&self) -> Vec<Ping> {
        lock(&self.state.pings).iter().cloned().collect()
    }
}

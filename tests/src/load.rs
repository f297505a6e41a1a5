//! Clients that come and go all the time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::eventually::{LIMIT, eventually};
use crate::proxy::Proxy;

/// Clients that connect, ask and go, one connection after the other.
pub struct Load {
    /// What happened to the connections that were not answered.
    clients: JoinSet<Vec<String>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    answered: AtomicUsize,
    is_over: AtomicBool,
}

impl Proxy {
    /// Starts this many clients at the first listener.
    pub fn load(&self, clients: usize) -> Load {
        let address = self.addresses().listeners[0];
        let shared = Arc::<Shared>::default();
        let mut running = JoinSet::new();
        for _ in 0..clients {
            running.spawn(client(address, shared.clone()));
        }
        Load {
            clients: running,
            shared,
        }
    }
}

impl Load {
    /// Waits until `more` connections are answered.
    ///
    /// # Panics
    /// When they are not.
    pub async fn is_answered(&self, more: usize) {
        let answered = || self.shared.answered.load(Ordering::Relaxed);
        let wanted = answered() + more;
        eventually(LIMIT, format!("{wanted} answers"), async || {
            let answered = answered();
            if answered >= wanted {
                Ok(())
            } else {
                Err(answered.to_string())
            }
        })
        .await;
    }

    /// Lets each client have its last answer; what happened to those connections that
    /// were not answered.
    pub async fn ends(self) -> Vec<String> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.clients.join_all().await.concat()
    }
}

async fn client(address: SocketAddr, shared: Arc<Shared>) -> Vec<String> {
    let mut failed = Vec::new();
    while !shared.is_over.load(Ordering::Relaxed) {
        let answer = match Connection::try_open(address).await {
            Ok(mut connection) => connection.try_who().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(_) => {
                shared.answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => failed.push(error.to_string()),
        }
    }
    failed
}

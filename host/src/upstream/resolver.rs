//! DNS names of replicas, resolved for the whole process.
//!
//! Each name is looked up at the start and then periodically; while DNS fails, the
//! last good answer stands.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

/// Looks up the addresses of a name. The host uses the system's resolver unless
/// it is given another.
pub type Lookup = Arc<dyn Fn(String) -> LookupFuture + Send + Sync>;

/// A look-up under way.
pub type LookupFuture = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The system's resolver: `/etc/hosts`, DNS, and what else `nsswitch.conf` names.
pub(crate) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let mut addresses = Vec::new();
            for found in tokio::net::lookup_host((name.as_str(), 0)).await? {
                if !addresses.contains(&found.ip()) {
                    addresses.push(found.ip());
                }
            }
            Ok(addresses)
        })
    })
}

/// A name and its last good answer.
pub(crate) struct DnsName {
    name: String,
    resolution: RwLock<Resolution>,
}

struct Resolution {
    addresses: Arc<[IpAddr]>,
    state: LookupState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LookupState {
    /// Not looked up yet.
    Pending,
    Good,
    Failing,
}

impl DnsName {
    fn new(name: &str) -> DnsName {
        let resolution = Resolution {
            addresses: Arc::new([]),
            state: LookupState::Pending,
        };
        DnsName {
            name: name.to_owned(),
            resolution: RwLock::new(resolution),
        }
    }

    /// One that another process has looked up.
    pub(crate) fn known(name: String, addresses: Vec<IpAddr>) -> DnsName {
        let resolution = Resolution {
            addresses: addresses.into(),
            state: LookupState::Good,
        };
        DnsName {
            name,
            resolution: RwLock::new(resolution),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The last good answer; empty when there has been none.
    pub(crate) fn addresses(&self) -> Arc<[IpAddr]> {
        Arc::clone(
            &self
                .resolution
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .addresses,
        )
    }

    /// Takes in the outcome of a look-up, and logs what changed.
    fn take_in(&self, outcome: io::Result<Vec<IpAddr>>) {
        let mut resolution = self
            .resolution
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let name = &self.name;
        match outcome {
            Ok(found) if !found.is_empty() => {
                let found_set = sorted(&found);
                if sorted(&resolution.addresses) != found_set {
                    info!(name, addresses = ?found_set, "name resolved");
                    resolution.addresses = found.into();
                } else if resolution.state == LookupState::Failing {
                    info!(name, "name resolves again");
                }
                resolution.state = LookupState::Good;
            }
            bad => {
                let error = match bad {
                    Ok(_) => "no address".to_owned(),
                    Err(error) => error.to_string(),
                };
                let kept = resolution.addresses.len();
                match kept {
                    // It has been said.
                    _ if resolution.state == LookupState::Failing => {}
                    0 => warn!(
                        name,
                        error,
                        "name does not resolve, and never has: what it stands for can't be \
                         reached until it does"
                    ),
                    _ => warn!(
                        name,
                        error, kept, "name does not resolve; the last good answer stands"
                    ),
                }
                resolution.state = LookupState::Failing;
            }
        }
    }
}

/// Every name of a plan.
pub(crate) struct Resolver {
    names: Vec<Arc<DnsName>>,
    /// Those of the plan before.
    earlier: Vec<Arc<DnsName>>,
    lookup: Lookup,
}

impl Resolver {
    pub(crate) fn new(lookup: Lookup) -> Resolver {
        Resolver {
            names: Vec::new(),
            earlier: Vec::new(),
            lookup,
        }
    }

    /// Goes on with what is known of the names of an earlier plan.
    pub(crate) fn after(self, earlier: &[Arc<DnsName>]) -> Resolver {
        let earlier = earlier.to_vec();
        Resolver { earlier, ..self }
    }

    pub(crate) fn names(&self) -> &[Arc<DnsName>] {
        &self.names
    }

    /// The entry of a name, made at the first call.
    pub(crate) fn name(&mut self, name: &str) -> Arc<DnsName> {
        if let Some(known) = self.names.iter().find(|known| known.name == name) {
            return Arc::clone(known);
        }
        let earlier = self.earlier.iter().find(|known| known.name == name);
        let entry = match earlier {
            Some(known) => Arc::clone(known),
            None => Arc::new(DnsName::new(name)),
        };
        self.names.push(Arc::clone(&entry));
        entry
    }

    /// Looks up the names that have no address, all at once; what takes longer than
    /// `limit` counts as failed. [`Resolver::run`] looks up the others.
    pub(crate) async fn resolve(&self, limit: Duration) {
        let unknown = |name: &&Arc<DnsName>| name.addresses().is_empty();
        let unknown = self.names.iter().filter(unknown);
        self.look_up(unknown, limit).await;
    }

    async fn look_up(&self, names: impl Iterator<Item = &Arc<DnsName>>, limit: Duration) {
        let mut lookups = tokio::task::JoinSet::new();
        for name in names {
            let name = Arc::clone(name);
            let lookup = (self.lookup)(name.name.clone());
            lookups.spawn(async move {
                let late = || Err(io::Error::other(format!("no answer within {limit:?}")));
                let outcome = timeout(limit, lookup).await.unwrap_or_else(|_| late());
                (name, outcome)
            });
        }
        while let Some(done) = lookups.join_next().await {
            match done {
                Ok((name, outcome)) => name.take_in(outcome),
                Err(error) => error!(%error, "a look-up panicked; its name stays as it was"),
            }
        }
    }

    /// Looks up what an earlier plan knew already, then all of it again every `refresh`,
    /// and sooner while a name has no address.
    pub(crate) async fn run(&self, refresh: Duration) {
        if self.names.is_empty() {
            return std::future::pending().await;
        }
        let known = |name: &&Arc<DnsName>| self.earlier.iter().any(|it| Arc::ptr_eq(it, name));
        let known: Vec<_> = self.names.iter().filter(known).cloned().collect();
        self.look_up(known.iter(), LIMIT).await;
        loop {
            sleep(self.pause(refresh)).await;
            self.look_up(self.names.iter(), LIMIT).await;
        }
    }

    fn pause(&self, refresh: Duration) -> Duration {
        let unknown = self.names.iter().any(|name| name.addresses().is_empty());
        if unknown {
            refresh.min(UNKNOWN_REFRESH)
        } else {
            refresh
        }
    }
}

fn sorted(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut addresses = addresses.to_vec();
    addresses.sort_unstable();
    addresses
}

/// How soon a name that has no address at all is looked up again.
const UNKNOWN_REFRESH: Duration = Duration::from_secs(1);
/// How long one look-up may take.
const LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;

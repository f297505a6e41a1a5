//! The proxy of a story.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Result;
use dtr_lb::plan::Plan;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::envoy::Envoy;
use crate::eventually::{LIMIT, eventually};
use crate::host::Host;
use crate::log::Log;
use crate::standin::Standin;
use crate::world::Kind;

/// A running proxy; it ends with this value.
pub struct Proxy {
    process: Process,
    log: Log,
}

/// Where a proxy listens.
pub(crate) struct Addresses {
    /// For clients, in the order of the plan.
    pub(crate) listeners: Vec<SocketAddr>,
    /// For `/status` and the like; not Envoy's own admin pages.
    pub(crate) admin: SocketAddr,
    /// Where the Prometheus text is.
    pub(crate) metrics: (SocketAddr, &'static str),
}

enum Process {
    Envoy(Box<Envoy>),
    Host(Box<Host>),
}

impl Proxy {
    pub(crate) async fn start(
        kind: Kind,
        plan: Plan,
        filter: &[u8],
        folder: &Path,
    ) -> Result<Self> {
        let log = Log::default();
        let process = match kind {
            Kind::Envoy => {
                let envoy = Envoy::start(&plan, filter, folder, &log).await?;
                Process::Envoy(Box::new(envoy))
            }
            Kind::Host => Process::Host(Box::new(Host::start(plan, filter, &log).await?)),
        };
        Ok(Self { process, log })
    }

    /// Starts one that can be given another plan.
    pub(crate) async fn start_to_follow(
        kind: Kind,
        plan: Plan,
        filter: &[u8],
        folder: &Path,
    ) -> Result<Self> {
        match kind {
            Kind::Envoy => {
                let log = Log::default();
                let envoy = Envoy::start_to_follow(&plan, filter, folder, &log).await?;
                let process = Process::Envoy(Box::new(envoy));
                Ok(Self { process, log })
            }
            Kind::Host => Self::start(kind, plan, filter, folder).await,
        }
    }

    /// Starts an Envoy from a bootstrap that somebody has edited.
    pub(crate) async fn start_edited(
        plan: &Plan,
        filter: &[u8],
        edit: impl FnOnce(String) -> String,
        folder: &Path,
    ) -> Result<Self> {
        let log = Log::default();
        let envoy = Envoy::start_edited(plan, filter, edit, folder, &log).await?;
        let process = Process::Envoy(Box::new(envoy));
        Ok(Self { process, log })
    }

    /// Starts one more Envoy that watches what [`Proxy::start_to_follow`] has written.
    pub(crate) async fn start_beside(plan: &Plan, folder: &Path) -> Result<Self> {
        let log = Log::default();
        let envoy = Envoy::start_beside(plan, folder, &log).await?;
        let process = Process::Envoy(Box::new(envoy));
        Ok(Self { process, log })
    }

    /// Whether Envoy has a cluster of this name.
    ///
    /// # Panics
    /// When it does not say, or is none.
    pub async fn has_cluster(&self, name: &str) -> bool {
        let has = self.envoy().has_cluster(name).await;
        has.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn removes_leftovers(&mut self, plan: &Plan) {
        let Process::Envoy(envoy) = &mut self.process else {
            panic!("{NO_ENVOY}");
        };
        let removed = envoy.removes_leftovers(plan).await;
        removed.unwrap_or_else(|error| panic!("{error:?}"));
    }

    fn envoy(&self) -> &Envoy {
        match &self.process {
            Process::Envoy(envoy) => envoy,
            Process::Host(_) => panic!("{NO_ENVOY}"),
        }
    }

    /// Has it say that a drain follows.
    ///
    /// # Panics
    /// When it is an Envoy.
    pub fn announce_drain(&self) {
        match &self.process {
            Process::Host(host) => host.announce_drain(),
            Process::Envoy(_) => panic!("an Envoy says nothing of its drain on the page"),
        }
    }

    pub(crate) async fn reload(&mut self, plan: Plan, filter: &[u8]) {
        let reloaded = match &mut self.process {
            Process::Host(host) => host.reload(plan, filter, &self.log).await,
            Process::Envoy(envoy) => envoy.reload(&plan, filter).await,
        };
        reloaded.unwrap_or_else(|error| panic!("the proxy refuses: {error:?}"));
    }

    /// Connects as a client.
    ///
    /// # Panics
    /// When the proxy does not listen.
    pub async fn connect(&self) -> Connection {
        self.connect_to(0).await
    }

    /// Where it listens for clients first.
    pub fn address(&self) -> SocketAddr {
        self.addresses().listeners[0]
    }

    /// Where its status and its page are.
    pub fn admin_address(&self) -> SocketAddr {
        self.addresses().admin
    }

    /// Connects from another of this machine's addresses, such as 127.0.0.7.
    ///
    /// # Panics
    /// When the proxy does not listen.
    pub async fn connect_from(&self, client: Ipv4Addr) -> Connection {
        Connection::open_from(client, self.addresses().listeners[0]).await
    }

    /// Connects to one of the listeners, in the order of the configuration.
    ///
    /// # Panics
    /// When the proxy does not listen there.
    pub async fn connect_to(&self, listener: usize) -> Connection {
        Connection::open(self.addresses().listeners[listener]).await
    }

    /// Connects to any address the proxy may listen on.
    ///
    /// # Errors
    /// When it does not.
    pub async fn try_connect_at(&self, address: SocketAddr) -> io::Result<Connection> {
        Connection::try_open(address).await
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        match &self.process {
            Process::Envoy(envoy) => &envoy.addresses,
            Process::Host(host) => &host.addresses,
        }
    }

    /// Opens `connections` connections one after the other, each closed before the
    /// next: how many each replica answered.
    ///
    /// # Panics
    /// When one is not answered.
    pub async fn answers(&self, connections: usize) -> BTreeMap<String, usize> {
        let answers = self.try_answers(connections).await;
        answers.unwrap_or_else(|error| panic!("no answer through the proxy: {error}"))
    }

    /// As [`Proxy::answers`], while it may be that nobody answers.
    ///
    /// # Errors
    /// When one is not answered.
    pub async fn try_answers(&self, connections: usize) -> Result<BTreeMap<String, usize>, String> {
        let mut answers = BTreeMap::new();
        for _ in 0..connections {
            let who = self.connect().await.try_who().await;
            let who = who.map_err(|error| error.to_string())?;
            *answers.entry(who).or_default() += 1;
        }
        Ok(answers)
    }

    /// As [`Proxy::answers`], with `clients` clients at the same time.
    ///
    /// # Panics
    /// When a connection is not answered.
    pub async fn crowd(&self, clients: usize, each: usize) -> BTreeMap<String, usize> {
        let address = self.addresses().listeners[0];
        let mut crowd = JoinSet::new();
        for _ in 0..clients {
            crowd.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..each {
                    answers.push(Connection::open(address).await.who().await);
                }
                answers
            });
        }
        let mut answers = BTreeMap::new();
        for who in crowd.join_all().await.into_iter().flatten() {
            *answers.entry(who).or_default() += 1;
        }
        answers
    }

    /// Connects again and again until this replica answers.
    ///
    /// # Panics
    /// When it never does, or nobody does.
    pub async fn reaches(&self, replica: &Standin) {
        let what = format!("{} to be given a connection", replica.name());
        eventually(LIMIT, what, async || {
            let who = self.connect().await.who().await;
            if who == replica.name() {
                Ok(())
            } else {
                Err(format!("{who} answered"))
            }
        })
        .await;
    }

    /// Waits until the log holds this text.
    ///
    /// # Panics
    /// When it does not get it.
    pub async fn logs(&self, wanted: &str) {
        eventually(LIMIT, format!("{wanted:?} in the log"), async || {
            let text = self.log.text();
            if text.contains(wanted) {
                Ok(())
            } else {
                Err(text)
            }
        })
        .await;
    }

    /// Waits for a line of the access log that has all of this.
    ///
    /// # Panics
    /// When there is none.
    pub async fn logs_a_connection(&self, fields: &[&str]) {
        let what = format!("a connection's line with {fields:?}");
        eventually(LIMIT, what, async || {
            let lines = self.logged("access: connection ");
            let has_all = |line: &&String| fields.iter().all(|field| line.contains(field));
            match lines.iter().find(has_all) {
                Some(_) => Ok(()),
                None => Err(format!("{lines:#?}")),
            }
        })
        .await;
    }

    /// Waits until `times` lines of the log hold this text.
    ///
    /// # Panics
    /// When fewer do.
    pub async fn logs_times(&self, wanted: &str, times: usize) {
        eventually(
            LIMIT,
            format!("{wanted:?} {times} times in the log"),
            async || {
                let lines = self.logged(wanted);
                if lines.len() >= times {
                    Ok(())
                } else {
                    Err(format!("{lines:#?}"))
                }
            },
        )
        .await;
    }

    /// Lines of the log with this text.
    pub fn logged(&self, wanted: &str) -> Vec<String> {
        let text = self.log.text();
        text.lines()
            .filter(|line| line.contains(wanted))
            .map(str::to_owned)
            .collect()
    }
}

const NO_ENVOY: &str = "this can be asked of an Envoy only";

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the proxy's log ---\n{}", self.log.text());
        }
    }
}

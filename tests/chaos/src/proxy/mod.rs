//! The balancers under test, each a process of its own.

mod binary;
mod config;
mod envoy;
mod haproxy;
mod host;
mod http;
mod metrics;
mod nginx;
mod reload;
mod status;
mod upgrade;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::event::Sight;
use crate::load::{Client, Outcome, Request};
use crate::network::free_port;
use crate::process::{Holdings, LIMIT, Process, family};
use crate::stopped_thread::worker_of;

pub(crate) use binary::{EARLIER, version};
pub(crate) use config::{Check, Endpoint, Site};
use metrics::Metrics;
use reload::Reload;
use status::ReplicaStatus;
use upgrade::Upgrades;

/// Which balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// `dtr-lb run`.
    Host,
    /// Envoy with what `dtr-lb envoy` writes.
    Envoy,
    /// HAProxy with `option redispatch` and checks.
    Haproxy,
    /// NGINX's stream module.
    Nginx,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Host, Self::Envoy, Self::Haproxy, Self::Nginx];

    /// Whether it carries the filter, and something is expected of it.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Host | Self::Envoy)
    }

    /// As tables and arguments say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }
}

/// Where a balancer writes its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Log {
    /// A file.
    #[default]
    File,
    /// A pipe that nobody reads.
    UnreadPipe,
    /// A disk without room.
    FullDisk,
}

/// A running balancer; it ends with this value.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    process: Process,
    places: Places,
    upgrades: Upgrades,
    log: PathBuf,
    log_to: Log,
    /// The unread end of the log's pipe.
    unread: Option<OwnedFd>,
}

/// Where a balancer listens, and keeps its files.
#[derive(Clone)]
pub(crate) struct Places {
    pub(crate) folder: PathBuf,
    pub(crate) traffic: SocketAddr,
    /// To the replicas' TLS ports.
    pub(crate) tls: SocketAddr,
    /// A listener that comes and goes.
    pub(crate) extra: SocketAddr,
    /// The filter's pages; HAProxy's and NGINX's have none.
    pub(crate) admin: SocketAddr,
    /// Envoy's own pages.
    pub(crate) envoy: SocketAddr,
}

impl Places {
    /// Free ports.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let free = || {
            anyhow::Ok(SocketAddr::from((
                Ipv4Addr::LOCALHOST,
                free_port(Ipv4Addr::LOCALHOST)?,
            )))
        };
        Ok(Self {
            folder: folder.to_owned(),
            traffic: free()?,
            tls: free()?,
            extra: free()?,
            admin: free()?,
            envoy: free()?,
        })
    }
}

impl Proxy {
    /// Starts one and waits until clients are served.
    ///
    /// # Errors
    /// When it can't be had, or does not serve; with its log.
    pub(crate) async fn start(
        kind: Kind,
        site: &Site,
        places: Places,
        log_to: Log,
        descriptors: Option<u64>,
    ) -> Result<Self> {
        let mut command = match kind {
            Kind::Host => host::command(site, &places)?,
            Kind::Envoy => envoy::command(site, &places).await?,
            Kind::Haproxy => haproxy::command(site, &places)?,
            Kind::Nginx => nginx::command(site, &places)?,
        };
        let log = places.folder.join("log");
        let mut unread = None;
        let output: Stdio = match log_to {
            Log::File => File::create(&log)?.into(),
            Log::FullDisk => OpenOptions::new().write(true).open("/dev/full")?.into(),
            Log::UnreadPipe => {
                let (from, to) = io::pipe()?;
                unread = Some(from.into());
                to.into()
            }
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output);
        if let Some(limit) = descriptors {
            limit_descriptors(&mut command, limit);
        }
        let process = Process::start(kind.name(), command)?;
        let mut proxy = Self {
            kind,
            process,
            places,
            upgrades: Upgrades::default(),
            log,
            log_to,
            unread,
        };
        proxy.serves().await?;
        Ok(proxy)
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub(crate) fn id(&self) -> i32 {
        self.process.id()
    }

    /// Goes on with another configuration: the host does when this returns, the
    /// others when they have come to it.
    ///
    /// # Errors
    /// When this kind can't, or the host refuses it.
    pub(crate) async fn reload(&self, site: &Site) -> Result<()> {
        match self.kind {
            Kind::Host => {
                let seen = Reload::before(self)?;
                host::write(site, &self.places)?;
                self.process.signal(libc::SIGHUP)?;
                seen.done(self).await
            }
            Kind::Envoy => bail!("envoy takes its configuration in another way"),
            Kind::Haproxy => {
                haproxy::write(site, &self.places)?;
                self.process.signal(libc::SIGUSR2)
            }
            Kind::Nginx => {
                nginx::write(site, &self.places)?;
                self.process.signal(libc::SIGHUP)
            }
        }
    }

    /// Fills the pipe of its log.
    ///
    /// # Errors
    /// When its log is no pipe.
    pub(crate) fn fill_log(&self) -> Result<()> {
        fill(self.unread.as_ref().context("the log is no pipe")?)
    }

    /// Gives a replica `drain` or `ready`.
    ///
    /// # Errors
    /// When this kind can't, or refuses.
    pub(crate) async fn order(&self, replica: &str, state: &str) -> Result<()> {
        match self.kind {
            Kind::Host | Kind::Envoy => http::order(self.places.admin, replica, state).await,
            Kind::Haproxy => haproxy::order(&self.places, replica, state).await,
            Kind::Nginx => bail!("nginx has no such order"),
        }
    }

    /// Waits until the balancer says this of a replica. HAProxy and NGINX are not asked.
    ///
    /// # Errors
    /// When it does not in time, with what it said last.
    pub(crate) async fn sees(&self, replica: &str, sight: Sight) -> Result<()> {
        if !self.kind.is_ours() {
            return Ok(());
        }
        let started = Instant::now();
        loop {
            let status = ReplicaStatus::of(self.places.admin, replica).await;
            if status.as_ref().is_ok_and(|status| status.shows(sight)) {
                return Ok(());
            }
            if started.elapsed() > SIGHT_LIMIT {
                let status = status?;
                bail!("after {SIGHT_LIMIT:?}, {replica} is not {sight:?} but {status:?}");
            }
            sleep(LOOK).await;
        }
    }

    /// The signal after which an operator expects open connections to end in peace.
    pub(crate) fn ends_gracefully_at(&self) -> i32 {
        match self.kind {
            Kind::Host | Kind::Envoy => libc::SIGTERM,
            Kind::Haproxy => libc::SIGUSR1,
            Kind::Nginx => libc::SIGQUIT,
        }
    }

    /// The worker to stop: a thread, or a process of its own.
    ///
    /// # Errors
    /// When none can be found.
    pub(crate) fn worker(&self) -> Result<i32> {
        let name = match self.kind {
            Kind::Host => "worker",
            Kind::Envoy => "wrk:",
            Kind::Haproxy => "haproxy",
            Kind::Nginx => "nginx",
        };
        // HAProxy and NGINX have a master, whose children do the work.
        let process = family(self.id()).pop().context("no process")?;
        worker_of(process, name)
    }

    /// Sends a signal to all its processes.
    pub(crate) fn signal_all(&self, signal: i32) {
        for one in family(self.id()) {
            // SAFETY: a system call that takes no memory; a process of ours.
            unsafe { libc::kill(one, signal) };
        }
    }

    /// What it says is open, by the names of its metrics; HAProxy and NGINX say nothing.
    ///
    /// # Errors
    /// When it does not answer, or a metric is not there.
    pub(crate) async fn sessions(&self) -> Result<Vec<(&'static str, u64)>> {
        let clients = match self.kind {
            Kind::Host => "dtr_lb_host_connections_active",
            Kind::Envoy => "envoy_listener_downstream_cx_active",
            Kind::Haproxy | Kind::Nginx => return Ok(Vec::new()),
        };
        let metrics = Metrics::of(self.kind, &self.places).await?;
        let sum = |name| anyhow::Ok((name, metrics.sum(name)?));
        Ok(vec![sum(clients)?, sum("dtr_lb_replica_active")?])
    }

    /// Demands that a metric of it is above zero.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) async fn has_counted(&self, metric: &str) -> Result<()> {
        let sum = Metrics::of(self.kind, &self.places).await?.sum(metric)?;
        ensure!(sum > 0, "{metric} is 0");
        Ok(())
    }

    /// What it holds now.
    pub(crate) fn holdings(&self) -> Holdings {
        Holdings::of(self.id())
    }

    /// Its log's last lines, without those of single connections.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let all: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains(" access: "))
            .collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    async fn serves(&mut self) -> Result<()> {
        let client = Client {
            target: self.places.traffic,
            tls: None,
            patience: Duration::from_secs(5),
        };
        let started = Instant::now();
        let mut in_a_row = 0;
        while in_a_row < 30 {
            let outcome = client.ask(Request::Get(1000), 1).await.outcome;
            in_a_row = if outcome == Outcome::Ok {
                in_a_row + 1
            } else {
                0
            };
            if let Some(status) = self.process.ended()? {
                bail!(
                    "{} ended ({status}):\n{}",
                    self.kind.name(),
                    self.log_tail(20)
                );
            }
            if started.elapsed() > LIMIT * 2 {
                let name = self.kind.name();
                bail!(
                    "{name} does not serve ({}):\n{}",
                    outcome.name(),
                    self.log_tail(20)
                );
            }
            if outcome != Outcome::Ok {
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }
}

fn limit_descriptors(command: &mut Command, limit: u64) {
    // SAFETY: between fork and exec only setrlimit is called, a bare system call that
    // reads a value of this closure.
    unsafe {
        command.pre_exec(move || {
            let both = libc::rlimit {
                rlim_cur: limit,
                rlim_max: limit,
            };
            match libc::setrlimit(libc::RLIMIT_NOFILE, &both) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
}

/// Fills a pipe, so that who writes to it waits, for ever.
fn fill(unread: &OwnedFd) -> Result<()> {
    // Opened once more: whether writes may wait is a property of what was opened, and
    // those of the balancer must.
    let mut writer = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(format!("/proc/self/fd/{}", unread.as_raw_fd()))?;
    for size in [4096, 1] {
        while writer.write(&vec![b'.'; size]).is_ok() {}
    }
    Ok(())
}

/// Three probes of a second each, the first a second after the last; and as long again.
const SIGHT_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

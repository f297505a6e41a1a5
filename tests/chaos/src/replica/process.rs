//! The harness's side of a stand-in.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::fault::Fault;
use crate::network::free_port;
use crate::process::{self, LIMIT, Process};

/// A replica: its place, which it keeps, and its process, which may die.
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    certificate: PathBuf,
    running: Option<Running>,
}

/// The ports of every replica.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    plain: u16,
    tls: u16,
}

impl Ports {
    /// Free ones.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            plain: free_port(address(1))?,
            tls: free_port(address(1))?,
        })
    }
}

/// Where the replica of that number is.
pub(crate) fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 10 + number)
}

struct Running {
    process: Process,
    commands: OwnedWriteHalf,
    answers: Lines<BufReader<OwnedReadHalf>>,
}

impl Replica {
    /// A place for the replica of that number, without a process. All have the same
    /// ports, so that a name can lead from one to another.
    pub(crate) fn place(number: u8, ports: Ports, certificate: PathBuf) -> Self {
        Self {
            name: format!("r{number}"),
            address: address(number),
            plain: ports.plain,
            tls: ports.tls,
            certificate,
            running: None,
        }
    }

    /// Starts its process and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let at = |port| SocketAddr::from((self.address, port)).to_string();
        let mut command = process::this_program()?;
        command.args(["replica", "--name", &self.name]);
        command.args(["--plain", &at(self.plain), "--tls", &at(self.tls)]);
        command.arg("--certificate").arg(&self.certificate);
        let (ours, its) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        command.stdin(Stdio::from(OwnedFd::from(its)));
        let process = Process::start(&self.name, command)?;
        let (answers, commands) = UnixStream::from_std(ours)?.into_split();
        let answers = BufReader::new(answers).lines();
        let mut running = Running {
            process,
            commands,
            answers,
        };
        let said = running.answer().await?;
        if said != "ready" {
            bail!("{} does not start: {said}", self.name);
        }
        self.running = Some(running);
        Ok(())
    }

    /// Kills its process, with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When it has none.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.running
            .take()
            .context("no process")?
            .process
            .kill()
            .await
    }

    /// Ends its process with SIGTERM: it stops to listen, serves those that are
    /// open, and is gone.
    ///
    /// # Errors
    /// When it has none, or it does not end.
    pub(crate) async fn terminate(&mut self) -> Result<()> {
        let mut running = self.running.take().context("no process")?;
        running.process.signal(libc::SIGTERM)?;
        running.process.ends().await.map(|_| ())
    }

    /// Stops its process, or lets it go on.
    ///
    /// # Errors
    /// When it has none.
    pub(crate) fn signal(&self, signal: i32) -> Result<()> {
        self.running
            .as_ref()
            .context("no process")?
            .process
            .signal(signal)
    }

    /// From now on this is wrong with it.
    ///
    /// # Errors
    /// When it has no process, or that can't be.
    pub(crate) async fn fault(&mut self, fault: Fault) -> Result<()> {
        self.tell(&format!("fault {fault}")).await.map(|_| ())
    }

    /// From now on it has this certificate.
    ///
    /// # Errors
    /// When it has no process, or the file is wrong.
    pub(crate) async fn certificate(&mut self, pem: &Path) -> Result<()> {
        self.tell(&format!("certificate {}", pem.display()))
            .await
            .map(|_| ())
    }

    /// How many requests of clients it is answering. A connection whose request has not
    /// been read is none of them.
    ///
    /// # Errors
    /// When it has no process.
    pub(crate) async fn open(&mut self) -> Result<u64> {
        Ok(self.tell("open").await?.parse()?)
    }

    async fn tell(&mut self, command: &str) -> Result<String> {
        let running = self.running.as_mut().context("no process")?;
        running
            .commands
            .write_all(format!("{command}\n").as_bytes())
            .await?;
        let answer = running.answer().await?;
        match answer.strip_prefix("done") {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => bail!("{}: {command}: {answer}", self.name),
        }
    }
}

impl Running {
    async fn answer(&mut self) -> Result<String> {
        let line = timeout(LIMIT, self.answers.next_line()).await;
        line.context("a stand-in says nothing")??
            .context("a stand-in ended")
    }
}

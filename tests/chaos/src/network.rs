//! Where it all happens: a network namespace of its own, or this machine's loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result, bail};
use dtr_lb_tests::namespace::{self, ip};

use crate::process::this_program;

/// The network of one case. Replicas and clients have addresses of 127.0.0.0/8 in
/// either, so that nothing else depends on which it is.
pub(crate) enum Network {
    /// A namespace that nobody else is in and that ends with this process.
    Private,
    /// The machine's own loopback, and why.
    Loopback(String),
}

impl Network {
    /// Moves this process, and all that it starts, into a namespace of its own. With
    /// `resolv_conf`, names are resolved as that file says. It goes on as the first
    /// process there, at whose end the system kills all others.
    ///
    /// To be called while the process has one thread: a namespace belongs to threads.
    ///
    /// # Errors
    /// When the namespace was made and can't be furnished.
    pub(crate) fn enter(resolv_conf: &Path) -> Result<Self> {
        if let Err(error) = ip(&["-V"]) {
            return Ok(Self::Loopback(format!("no `ip` here: {error}")));
        }
        if let Err(error) = namespace::unshare() {
            return Ok(Self::Loopback(format!("no namespaces here: {error}")));
        }
        namespace::go_on_as_first().context("the first process of the namespace")?;
        ip(&["link", "set", "lo", "up"])?;
        // A rule before the one for this machine's own addresses can then drop
        // what one of them sends.
        ip(&["rule", "add", "pref", "1000", "lookup", "local"])?;
        ip(&["rule", "del", "pref", "0", "lookup", "local"])?;
        let place = Path::new("/etc/resolv.conf");
        namespace::bind(resolv_conf, place).context("mounting resolv.conf")?;
        Ok(Self::Private)
    }

    /// Drops every packet this address sends, from now on.
    ///
    /// # Errors
    /// Outside a namespace of our own.
    pub(crate) fn black_hole(&self, address: Ipv4Addr) -> Result<()> {
        self.rule("add", address)
    }

    /// Lets the packets of this address pass again.
    ///
    /// # Errors
    /// When they were not dropped.
    pub(crate) fn heal(&self, address: Ipv4Addr) -> Result<()> {
        self.rule("del", address)
    }

    /// As the table says it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Private => "a network namespace of its own".to_owned(),
            Self::Loopback(why) => format!("the machine's loopback ({why})"),
        }
    }

    fn rule(&self, what: &str, from: Ipv4Addr) -> Result<()> {
        if let Self::Loopback(why) = self {
            bail!("packets can't be dropped on the machine's own loopback ({why})");
        }
        let from = from.to_string();
        ip(&[
            "rule",
            what,
            "pref",
            "10",
            "from",
            &from,
            "type",
            "blackhole",
        ])
    }
}

/// The network that a case has here.
///
/// # Errors
/// When that can't be found out.
pub(crate) async fn of_cases() -> Result<Network> {
    let mut probe = this_program()?;
    let output = probe.arg("network").output().await?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let why = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(if why.is_empty() {
        Network::Private
    } else {
        Network::Loopback(why)
    })
}

/// A port nobody listens on. Below those the kernel gives to clients, so that it
/// stays free until it is used, and again while a replica is restarted.
///
/// # Errors
/// When all are taken.
pub(crate) fn free_port(on: Ipv4Addr) -> Result<u16> {
    let start = u64::from(std::process::id()) * 61;
    for step in 0..PORTS {
        let port = FIRST_PORT + ((start + step) % PORTS) as u16;
        if !taken(port) && TcpListener::bind(SocketAddr::new(IpAddr::V4(on), port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port from {FIRST_PORT} on is free on {on}")
}

/// Notes a port as given away, and says whether it was already.
fn taken(port: u16) -> bool {
    static GIVEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
    let mut given = GIVEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = given.contains(&port);
    given.push(port);
    known
}

const FIRST_PORT: u16 = 10_000;
const PORTS: u64 = 10_000;

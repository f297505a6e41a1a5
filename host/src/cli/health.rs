//! `dtr-lb health`: what a running balancer says of itself, for a container's health
//! check and for scripts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use dtr_lb::config::ConfigFile;
use dtr_lb::http_get;
use http::StatusCode;

use super::config_args::read_file;
use super::failure::Failure;
use super::output::print;

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Health {
    /// The configuration of the running balancer, or - for standard input: its admin
    /// listener is asked.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address of its admin listener.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

impl Health {
    /// Asks `/_ping`, or `/ready` where no balancer is configured; fails unless it
    /// answers 200.
    pub(super) fn run(self) -> Result<(), Failure> {
        let (admin, path) = match (self.admin, &self.config) {
            (Some(admin), _) => (admin, BALANCER),
            (None, Some(file)) => configured(file)?,
            (None, None) => return Err(Failure::Usage(anyhow!("give --config or --admin"))),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        let (status, body) = runtime
            .block_on(http_get(admin, path))
            .with_context(|| format!("http://{admin}{path}"))?;
        let body = dtr_lb_filter::printable::printable(body.trim());
        match status {
            StatusCode::OK => print(body),
            _ => Err(Failure::Runtime(anyhow!("{status}: {body}"))),
        }
    }
}

/// The admin listener of a configuration, and what to ask there.
fn configured(file: &Path) -> Result<(SocketAddr, &'static str), Failure> {
    let (admin, path) = match read_file(file)? {
        ConfigFile::Chain(chain) => (chain.admin.map(|admin| admin.bind), "/ready"),
        file => {
            let admin = file.registries().first().and_then(|one| one.admin.clone());
            (admin.map(|admin| admin.bind), BALANCER)
        }
    };
    let usage = |problem: &str| Failure::Usage(anyhow!("{}: {problem}", file.display()));
    let admin = admin.ok_or_else(|| {
        usage(r#"no "admin" is configured, so that nobody can be asked; add one, such as {"bind": "127.0.0.1:8181"}"#)
    })?;
    if admin.port() == 0 {
        return Err(usage(
            "admin.bind has port 0, any free one; say which with --admin",
        ));
    }
    Ok((reachable(admin), path))
}

/// Where to connect to what is bound there.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

/// The balancer's own health, in the registry's form.
const BALANCER: &str = "/_ping";

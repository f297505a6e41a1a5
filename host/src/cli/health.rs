//! `dtr-lb health`: what a running balancer says of itself, for a container's health
//! check and for scripts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args;
use dtr_lb::config::ConfigFile;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

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
        let asked = runtime.block_on(async { timeout(LIMIT, ask(admin, path)).await });
        let (status, body) = asked
            .unwrap_or_else(|_| Err(anyhow!("no answer within {} s", LIMIT.as_secs())))
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
        ConfigFile::Balancer(config) => (config.admin.map(|admin| admin.bind), BALANCER),
        ConfigFile::Chain(chain) => (chain.admin, "/ready"),
        _ => (None, BALANCER),
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

/// Status and body of an answer.
async fn ask(admin: SocketAddr, path: &str) -> Result<(StatusCode, String), anyhow::Error> {
    let socket = TcpStream::connect(admin).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let request = Request::get(path)
        .header(http::header::HOST, admin.to_string())
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_BODY).collect();
        let body = body.await.map_err(|error| anyhow!("{error}"))?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    // The answer is what matters; the connection ends when it likes.
    tokio::select! {
        answer = exchange => answer,
        Err(error) = connection => Err(error.into()),
    }
}

/// The balancer's own health, in the registry's form.
const BALANCER: &str = "/_ping";

const LIMIT: Duration = Duration::from_secs(5);

/// In bytes.
const LONGEST_BODY: usize = 64 * 1024;

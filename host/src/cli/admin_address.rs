//! Where a running balancer's admin listener is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use dtr_lb::HttpServer;
use dtr_lb::config::{FileAdmin, Needed, Serves};

use super::config_args::read_admin;
use super::failure::Failure;

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct AdminAddress {
    /// The configuration of the running balancer, or - for standard input: its admin
    /// listener is asked.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address of its admin listener.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

/// An admin listener, and what is known of it.
pub(super) struct AdminListener {
    pub(super) server: HttpServer,
    pub(super) serves: Serves,
    pub(super) source: Source,
}

/// Who says where it is.
pub(super) enum Source {
    /// An argument, and so nothing else.
    Flag,
    /// The configuration, where the token stands, too.
    Config { token: Option<String> },
}

impl AdminAddress {
    /// Reads the configuration where it is needed, and no more of it than that.
    ///
    /// # Errors
    /// The configuration can't be read, or does not say where the listener is.
    pub(super) fn resolve(&self, needed: Needed) -> Result<AdminListener, Failure> {
        match (self.admin, &self.config) {
            (Some(address), _) => Ok(AdminListener {
                server: HttpServer::in_clear(address),
                serves: Serves::Replicas,
                source: Source::Flag,
            }),
            (None, Some(file)) => {
                AdminListener::of(read_admin(file, needed)?).map_err(|not_known| {
                    let remedy = match not_known {
                        NotKnown::NoListener => "",
                        NotKnown::AnyPort => "; say which with --admin",
                    };
                    Failure::Usage(anyhow!("{}: {not_known}{remedy}", file.display()))
                })
            }
            (None, None) => Err(Failure::Usage(anyhow!("give --config or --admin"))),
        }
    }
}

/// Why a configuration does not say where its admin listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotKnown {
    #[error(r#"no "admin" is configured, so that nobody can be asked; add one, such as {{"bind": "127.0.0.1:8181"}}"#)]
    NoListener,
    #[error("admin.bind has port 0, any free one")]
    AnyPort,
}

impl AdminListener {
    /// That of a configuration.
    ///
    /// # Errors
    /// The configuration does not say where it is.
    pub(super) fn of(file: FileAdmin) -> Result<AdminListener, NotKnown> {
        let admin = file.admin.ok_or(NotKnown::NoListener)?;
        if admin.bind.port() == 0 {
            return Err(NotKnown::AnyPort);
        }
        Ok(AdminListener {
            server: HttpServer {
                address: reachable(admin.bind),
                transport: admin.transport,
            },
            serves: file.serves,
            source: Source::Config { token: admin.token },
        })
    }
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

//! Why a host did not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::net::fd_limit::FilesLacking;
use crate::net::local_resources;
use crate::takeover::error::TakeoverError;

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {source}; {}", bind_remedy(source))]
    Bind {
        /// The address of the listener.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A socket that the service manager passed can't be used.
    #[error("a socket that the service manager passed can't be used: {0}")]
    PassedSocket(#[source] io::Error),
    /// A socket that the service manager passed does not listen.
    #[error(
        "the service manager passed a socket on {address} that does not listen; let it be one of \
         ListenStream= in a unit with Accept=no"
    )]
    PassedAndSilent {
        /// The socket's address.
        address: SocketAddr,
    },
    /// A socket that the service manager passed is on an address where nothing listens.
    #[error(
        "the service manager passed a socket on {address}, which is the \"bind\" of no listener; \
         give one this address, or take ListenStream={address} out of the socket unit"
    )]
    PassedInVain {
        /// The socket's address.
        address: SocketAddr,
    },
    /// Two clusters, routes or pools of one name.
    #[error("plan: {0:?} names two things; clusters, routes and pools need names of their own")]
    NameTwice(String),
    /// A route, a pool or a listener names something that isn't there.
    #[error("plan: {0:?} is named but not defined")]
    NoSuchName(String),
    /// A replica is where the host itself listens.
    #[error(
        "{replica:?} is at {address}, where this host itself listens ({listener}), so that it \
         would connect to itself; give another address or port, or bind to another"
    )]
    Loop {
        /// The replica's name.
        replica: String,
        /// Its address.
        address: SocketAddr,
        /// The listener's.
        listener: SocketAddr,
    },
    /// A CA file can't be used.
    #[error("{path:?}: not usable as CA certificates: {reason}; give a PEM file")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refused its own defaults.
    #[error("TLS can't be set up: {0}")]
    Tls(#[source] rustls::Error),
    /// The module is not a proxy-wasm filter, or does not compile.
    #[error("the filter can't be loaded: {0}")]
    Filter(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A filter of the chain is not a proxy-wasm filter, does not compile, or does
    /// not start.
    #[error("filter {name:?} ({file}): {source}")]
    NetworkFilter {
        /// Its name.
        name: String,
        /// Where its module came from.
        file: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another set of workers would need more files than the process may open.
    #[error(transparent)]
    Files(#[from] FilesLacking),
    /// The process whose place this one was to take does not make way.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    /// A worker's thread or runtime can't be made.
    #[error("worker {worker} can't be started: {source}{}", worker_remedy(source))]
    Worker {
        /// Which one, from 0.
        worker: usize,
        /// What the system said.
        source: io::Error,
    },
}

fn bind_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => "choose an address this machine has",
        _ if local_resources::are_lacking(error) => local_resources::remedy(error),
        _ => "choose a free address, or stop what holds it",
    }
}

fn worker_remedy(error: &io::Error) -> String {
    match local_resources::are_lacking(error) {
        true => format!("; {}", local_resources::remedy(error)),
        false => String::new(),
    }
}

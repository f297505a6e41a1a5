//! A reload that is asked for over the admin listener.

use std::net::SocketAddr;

use tokio::sync::{mpsc, oneshot};

/// A reload that is asked for over the admin listener: of what the host's owner has
/// configured it with, which the host does not know.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Who asks.
    pub client: SocketAddr,
    /// Takes what became of it.
    pub answer: oneshot::Sender<Result<Reloaded, NotReloaded>>,
}

/// Takes the requests for a reload.
pub type ReloadSender = mpsc::Sender<ReloadRequest>;

/// What a reload has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// In one line.
    pub changes: String,
    /// What is right and probably not meant.
    pub warnings: Vec<String>,
}

/// Why all is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReloaded {
    /// The configuration can't be used: each error.
    Configuration(Vec<String>),
    /// It is right, and can't be run here.
    Start(String),
    /// The process is ending.
    Draining,
}

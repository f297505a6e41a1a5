//! An admin listener, for who asks it.

use std::net::SocketAddr;

use crate::transport::Transport;

/// An admin listener, for who asks it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AdminContact {
    /// Where it listens; port 0 is any.
    pub bind: SocketAddr,
    /// How it speaks, and who it has to be.
    pub transport: Transport,
    /// What is to be sent; `None`: there is none, or it is not needed.
    pub token: Option<String>,
}

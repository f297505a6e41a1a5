//! Sockets that a service manager has bound: sd_listen_fds(3).

use std::net::TcpListener;

use anyhow::Context;
use dtr_lb::PassedSockets;
use listenfd::ListenFd;

use super::failure::Failure;

/// The sockets that the process was started with, if any; a process that this one starts
/// does not take them for its own.
pub(super) fn passed_sockets() -> Result<PassedSockets, Failure> {
    let mut passed = ListenFd::from_env();
    let mut sockets: Vec<TcpListener> = Vec::new();
    for index in 0..passed.len() {
        let socket = passed.take_tcp_listener(index).context(
            "a socket that the service manager passed is none of TCP; let the socket unit have \
             ListenStream= with an address and a port, and nothing else",
        )?;
        sockets.extend(socket);
    }
    let passed = PassedSockets::new(sockets);
    Ok(passed.map_err(anyhow::Error::from)?)
}

//! What this process or machine lacks, so that nobody else is to blame.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tracing::warn;

/// Whether an error says that files, buffers or memory are used up.
pub(crate) fn are_lacking(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// Whether a connect failed for what is used up here: files, buffers, memory, or
/// ports towards this address.
pub(crate) fn are_lacking_towards(address: SocketAddr, error: &io::Error) -> bool {
    are_lacking(error)
        || Errno::from_io_error(error) == Some(Errno::ADDRNOTAVAIL) && has_source(address)
}

/// Whether this machine has an address to reach another from. With none, as without
/// IPv6, waiting for a port does not help. Sends nothing.
fn has_source(address: SocketAddr) -> bool {
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    };
    match socket.and_then(|socket| socket.connect(address)) {
        Ok(()) => true,
        Err(error) => are_lacking(&error),
    }
}

/// What an operator can do about what is lacking.
pub(crate) fn remedy(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "raise LimitNOFILE (ulimit -n), or lower max_connections",
        Some(Errno::NFILE) => "raise fs.file-max",
        Some(Errno::ADDRNOTAVAIL) => "widen net.ipv4.ip_local_port_range, or lower max_connections",
        _ => "give the machine more memory, or lower max_connections",
    }
}

/// Warns of a lack, every now and then.
pub(crate) fn warn_of(address: SocketAddr, error: &io::Error) {
    static WARNED: Mutex<Option<Instant>> = Mutex::new(None);
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if warned.is_some_and(|warned| warned.elapsed() < BETWEEN_WARNINGS) {
        return;
    }
    *warned = Some(Instant::now());
    warn!(
        %error,
        %address,
        "can't connect to a replica for want of resources of this machine, which is no fault \
         of the replica's; {}",
        remedy(error)
    );
}

const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_used_up_here_is_our_own() {
        let here = SocketAddr::from(([127, 0, 0, 1], 443));
        let cases = [
            (Errno::MFILE, true, "files of the process"),
            (Errno::NFILE, true, "files of the system"),
            (Errno::NOBUFS, true, "buffers"),
            (Errno::NOMEM, true, "memory"),
            (Errno::ADDRNOTAVAIL, true, "ports"),
            (Errno::CONNREFUSED, false, "a refusal"),
            (Errno::NETUNREACH, false, "no route"),
            (Errno::TIMEDOUT, false, "silence"),
        ];
        for (errno, expected, what) in cases {
            assert_eq!(are_lacking_towards(here, &errno.into()), expected, "{what}");
        }
    }

    #[test]
    fn each_lack_has_its_remedy() {
        let cases = [
            (Errno::MFILE, "LimitNOFILE"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::ADDRNOTAVAIL, "ip_local_port_range"),
            (Errno::NOMEM, "memory"),
        ];
        for (errno, expected) in cases {
            let remedy = remedy(&errno.into());
            assert!(remedy.contains(expected), "{errno}: {remedy}");
        }
    }
}

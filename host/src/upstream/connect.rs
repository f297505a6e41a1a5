//! Connects to an address, and to an endpoint for a call, over TLS where its
//! cluster says so.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::net::local_resources::{self, are_lacking_towards};
use crate::net::proxy_header::send_header;
use crate::net::socket::keep_alive;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::tls;
use proxy_wasm_engine::envoy::reset_reason::{CONNECTION_TIMEOUT, OVERFLOW};
use proxy_wasm_engine::envoy::{not_connected, reset_before_headers};

/// A connection to an endpoint, in the clear or over TLS.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One small request and its answer, within less time than after which the kernel
    /// asks whether a silent peer is still there.
    ShortExchange,
    /// Anything else.
    Any,
}

/// A connection for a call, and whom it leads to.
pub(crate) struct Connected {
    pub(crate) stream: Box<dyn Connection>,
    /// What the other end showed in the TLS handshake; `None`: it is in the clear.
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

/// Why there is no connection.
pub(crate) enum ConnectError {
    /// Not connected within the cluster's connect timeout.
    TimedOut,
    /// Envoy's transport failure reason.
    Failed(String),
    /// This machine lacked what a connection takes.
    Lacking,
}

impl ConnectError {
    /// What Envoy says of it: the body of a made-up reply to an HTTP call, the
    /// message of a gRPC call's status.
    pub(crate) fn message(&self) -> String {
        match self {
            ConnectError::TimedOut => reset_before_headers(CONNECTION_TIMEOUT),
            ConnectError::Failed(reason) => not_connected(reason),
            ConnectError::Lacking => reset_before_headers(OVERFLOW),
        }
    }
}

/// Connects to an endpoint for a call to this authority.
pub(crate) async fn connect(
    to: &Endpoint,
    authority: &str,
    purpose: Purpose,
) -> Result<Connected, ConnectError> {
    let socket = connect_tcp(to, purpose).await?;
    let Some(config) = &to.tls else {
        return Ok(Connected {
            stream: Box::new(socket),
            certificate: None,
        });
    };
    let failed = |error| ConnectError::Failed(tls::failure_reason(&error));
    let name = tls::server_name(authority).map_err(failed)?;
    let connecting = TlsConnector::from(config.clone()).connect(name, socket);
    let stream = connecting.await.map_err(failed)?;
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates().unwrap_or_default();
    let certificate = chain.first().map(|own| own.clone().into_owned());
    Ok(Connected {
        stream: Box::new(stream),
        certificate,
    })
}

/// Connects to the first of an endpoint's addresses that accepts; of failures, the
/// last one counts.
async fn connect_tcp(to: &Endpoint, purpose: Purpose) -> Result<TcpStream, ConnectError> {
    let mut failure = ConnectError::Failed("no address".to_owned());
    for address in to.addresses() {
        match timeout(to.connect_timeout, open(to, address)).await {
            Ok(Ok(socket)) => match prepare(&socket, to, purpose) {
                Ok(()) => return Ok(socket),
                Err(error) => failure = ConnectError::Failed(failure_reason(&error)),
            },
            Ok(Err(error)) if are_lacking_towards(address, &error) => {
                local_resources::warn_of(address, &error);
                failure = ConnectError::Lacking;
            }
            Ok(Err(error)) => failure = ConnectError::Failed(failure_reason(&error)),
            Err(_) => failure = ConnectError::TimedOut,
        }
    }
    Err(failure)
}

/// Connects to one of an endpoint's addresses. Where a PROXY header is due, it says that
/// there is no client: the request is our own.
async fn open(to: &Endpoint, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = connect_address(address).await?;
    match to.proxy_protocol {
        None => Ok(socket),
        Some(version) => send_header(socket, version, None).await,
    }
}

/// Sets the options that matter to a connection. A request in the clear is written at
/// once, so that nothing is held back while an acknowledgement is due.
fn prepare(socket: &TcpStream, to: &Endpoint, purpose: Purpose) -> io::Result<()> {
    if purpose == Purpose::ShortExchange && to.tls.is_none() {
        return Ok(());
    }
    socket.set_nodelay(true)?;
    keep_alive(socket)
}

/// Connects to one address. Options that matter only to a connection that goes on for a
/// while are left to whom it is for.
pub(crate) async fn connect_address(address: SocketAddr) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let socket = TcpStream::from_std(socket.into())?;
    let ready = socket.ready(Interest::WRITABLE | Interest::ERROR).await?;
    // The socket is asked only when the event says that there is an error.
    if (ready.is_error() || ready.is_write_closed())
        && let Some(error) = socket.take_error()?
    {
        return Err(error);
    }
    Ok(socket)
}

/// How a connect ended.
pub(crate) enum Connect<T> {
    Connected(T),
    Failed(io::Error),
    TimedOut,
    /// This machine lacked what a connect takes; the address is not to blame.
    Lacking(io::Error),
}

/// Connects, each attempt within `limit`. While this machine lacks what a connect
/// takes, it is tried again until `deadline`.
pub(crate) async fn connect_patiently<T>(
    address: SocketAddr,
    limit: Duration,
    deadline: Instant,
    mut connect: impl AsyncFnMut() -> io::Result<T>,
) -> Connect<T> {
    loop {
        let end = deadline.min(Instant::now() + limit);
        let error = match timeout_at(end, connect()).await {
            Ok(Ok(connected)) => return Connect::Connected(connected),
            Ok(Err(error)) if are_lacking_towards(address, &error) => error,
            Ok(Err(error)) => return Connect::Failed(error),
            Err(_) => return Connect::TimedOut,
        };
        local_resources::warn_of(address, &error);
        let again = Instant::now() + LACKING_PAUSE;
        if again >= deadline {
            return Connect::Lacking(error);
        }
        sleep_until(again).await;
    }
}

/// Envoy's transport failure reason for a failed connect, such as
/// `delayed connect error: Connection refused`: for filters, which know it from
/// Envoy. The log shows the system's error.
pub(crate) fn failure_reason(error: &io::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or(&text);
    let when = match error.kind() {
        // Without a route or a local address the kernel refuses before it sends.
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => "immediate",
        _ => "delayed",
    };
    format!("{when} connect error: {reason}")
}

/// Drives a connection until an exchange on it is over; then it is gone, too.
pub(crate) async fn drive<T>(connection: impl Future, exchange: impl Future<Output = T>) -> T {
    let mut connection = pin!(connection);
    let mut exchange = pin!(exchange);
    tokio::select! {
        biased;
        outcome = &mut exchange => outcome,
        _ = &mut connection => exchange.await,
    }
}

/// Before another try while this machine lacks something.
const LACKING_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What comes of connecting while the first attempts fail with an error.
    async fn outcome(error: Errno, failures: u32) -> (&'static str, u32, u128) {
        let began = Instant::now();
        let attempts = Cell::new(0);
        let connect = async || {
            attempts.set(attempts.get() + 1);
            match attempts.get() <= failures {
                true => Err(io::Error::from(error)),
                false => Ok(()),
            }
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 443));
        let (limit, deadline) = (Duration::from_secs(1), began + Duration::from_secs(3));
        let outcome = match connect_patiently(address, limit, deadline, connect).await {
            Connect::Connected(()) => "connected",
            Connect::Failed(_) => "failed",
            Connect::TimedOut => "timed out",
            Connect::Lacking(_) => "lacking",
        };
        (outcome, attempts.get(), began.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lacking_here_is_waited_for_and_no_failure_of_the_other_side() {
        for lacking in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(outcome(lacking, 5).await, ("connected", 6, 100));
            let (found, attempts, waited) = outcome(lacking, u32::MAX).await;
            assert_eq!(found, "lacking", "after {attempts} attempts");
            assert!((2900..3000).contains(&waited), "for {waited} ms of 3000");
        }
        assert_eq!(outcome(Errno::ADDRNOTAVAIL, 2).await, ("connected", 3, 40));
        assert_eq!(outcome(Errno::CONNREFUSED, 5).await, ("failed", 1, 0));
    }
}

//! Clients that connect through other proxies, and who those say that they are.

use bytes::Buf;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::net::forward::Early;
use crate::net::proxy_header::{ConnectionAddresses, ReceivedHeader};
use crate::net::socket::read_some;
use crate::plan::TrustedProxies;

/// Why it is not known who a proxy's client is.
pub(super) enum NotSaid {
    /// It has taken too long to say so.
    TimedOut,
    /// What it sent is no header.
    NoHeader,
    /// It has closed without sending a byte.
    Closed,
    Reset,
}

/// Reads what a trusted proxy says of its client, and leaves all that follows; `None`: it
/// speaks for itself.
pub(super) async fn ask(
    proxies: &TrustedProxies,
    client: &TcpStream,
    early: &mut Early,
) -> Result<Option<ConnectionAddresses>, NotSaid> {
    let asking = async {
        loop {
            match ReceivedHeader::of(&early.bytes) {
                ReceivedHeader::Whole(length, addresses) => {
                    early.bytes.advance(length);
                    return Ok(addresses);
                }
                ReceivedHeader::None => return Err(NotSaid::NoHeader),
                ReceivedHeader::Incomplete => {}
            }
            early.bytes.reserve(USUAL_HEADER);
            match read_some(client, &mut early.bytes).await {
                Ok(0) if early.bytes.is_empty() => return Err(NotSaid::Closed),
                Ok(0) => return Err(NotSaid::NoHeader),
                Ok(_) => {}
                Err(_) => return Err(NotSaid::Reset),
            }
        }
    };
    let asked = timeout(proxies.timeout, asking).await;
    asked.map_err(|_| NotSaid::TimedOut)?
}

/// In bytes, with what usually follows at once.
const USUAL_HEADER: usize = 1024;

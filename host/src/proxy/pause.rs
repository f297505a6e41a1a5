//! A connection that a filter pauses before a replica is chosen.

use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::filters::chain_state::Step;
use crate::filters::connection_info::ConnectionInfo;
use crate::metrics::Reason;
use crate::net::forward::{Early, ForwardHooks, MOST_HELD};
use crate::net::socket::read_some;
use crate::proxy::connection::Connection;
use proxy_wasm_engine::{Direction, End};

/// Waits while a filter holds the connection. As in Envoy the client is read
/// meanwhile, and filters that see what it sends may let it pass.
pub(super) async fn wait(
    connection: &Connection,
    client: &TcpStream,
    mut step: Step,
    mut early: Early,
) -> Result<(Step, Early), Reason> {
    let chain_state = &connection.chain_state;
    let timeouts = &connection.listener.timeouts;
    while let Step::Held(at) = step {
        let Early { bytes, end } = &mut early;
        let more = *end == End::More && bytes.len() < MOST_HELD;
        let (limit, reason) = match end {
            End::More => (timeouts.idle, Reason::Idle),
            End::Last => (timeouts.half_closed(), Reason::HalfClosed),
        };
        step = tokio::select! {
            biased;
            resumed = connection.control().until_resumed(at) => {
                resumed.map_err(Reason::refused)?;
                chain_state.resume_down(connection, at, bytes, *end)
            }
            read = read_some(client, bytes), if more => {
                match read {
                    Ok(0) => *end = End::Last,
                    Ok(read) => connection.took(Direction::Downstream, read),
                    Err(_) => return Err(Reason::ClientReset),
                }
                chain_state.down(connection, 0, bytes, *end)
            }
            // Nobody reads what would tell.
            _ = client.ready(Interest::ERROR), if !more => {
                return Err(Reason::ClientReset);
            }
            () = silence(limit) => return Err(reason),
        };
    }
    Ok((step, early))
}

/// Over after this long; `None`: never.
async fn silence(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

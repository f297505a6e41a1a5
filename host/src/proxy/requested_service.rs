//! Which of several services a client wants.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::net::forward::Early;
use crate::net::requested_name::RequestedName;
use crate::net::socket::read_some;
use crate::plan;
use proxy_wasm_engine::End;

/// The services of a listener.
pub(crate) struct ServiceSelector {
    plan: plan::Services,
}

/// Which of them a client wants.
pub(super) struct RequestedService {
    /// Its place among them.
    pub(super) place: usize,
    /// What it was asked for by, in TLS.
    pub(super) server_name: Option<Arc<str>>,
}

/// Why a client gets none of them.
pub(super) enum NotRequested {
    /// It has taken too long.
    TimedOut,
    /// It has closed without sending a byte.
    Closed,
    Reset,
}

impl ServiceSelector {
    pub(crate) fn new(plan: plan::Services) -> ServiceSelector {
        ServiceSelector { plan }
    }

    /// The name of the service of this place.
    pub(super) fn name(&self, place: usize) -> Option<&str> {
        self.plan.names.get(place).map(String::as_str)
    }

    /// `None`: that is not known yet.
    fn asked(&self, sent: &[u8], end: End) -> Option<RequestedService> {
        let of = |name: &str| *self.plan.by_name.find(name).unwrap_or(&self.plan.default);
        let (place, server_name) = match RequestedName::of(sent) {
            RequestedName::InTls(name) => (of(&name), Some(name.into())),
            RequestedName::AsHost(name) => (of(&name), None),
            RequestedName::Unknown if end == End::More => return None,
            RequestedName::Nothing | RequestedName::Unknown => (self.plan.default, None),
        };
        Some(RequestedService { place, server_name })
    }

    /// Reads what a client sends until it has asked for one; all that was read goes to its
    /// replica. `took` is called with the size of each part.
    pub(super) async fn ask(
        &self,
        client: &TcpStream,
        early: &mut Early,
        took: impl Fn(usize),
    ) -> Result<RequestedService, NotRequested> {
        let asking = async {
            loop {
                if let Some(asked) = self.asked(&early.bytes, early.end) {
                    return Ok(asked);
                }
                early.bytes.reserve(USUAL_HELLO);
                match read_some(client, &mut early.bytes).await {
                    Ok(0) if early.bytes.is_empty() => return Err(NotRequested::Closed),
                    Ok(0) => early.end = End::Last,
                    Ok(read) => took(read),
                    Err(_) => return Err(NotRequested::Reset),
                }
            }
        };
        let asked = timeout(self.plan.hello_timeout, asking).await;
        asked.map_err(|_| NotRequested::TimedOut)?
    }
}

/// In bytes: with a key for today's hybrid exchange.
const USUAL_HELLO: usize = 2048;

//! Which of several services a client wants.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::net::asked_name::AskedName;
use crate::net::forward::Early;
use crate::net::socket::read_some;
use crate::plan;
use proxy_wasm_engine::End;

/// The services of a listener.
pub(crate) struct Services {
    plan: plan::Services,
}

/// Which of them a client wants.
pub(super) struct AskedService {
    /// Its place among them.
    pub(super) place: usize,
    /// What it was asked for by, in TLS.
    pub(super) server_name: Option<Arc<str>>,
}

/// Why a client gets none of them.
pub(super) enum NotAsked {
    /// It has taken too long.
    Late,
    /// It has left without a word.
    Left,
    /// It was reset.
    Gone,
}

impl Services {
    pub(crate) fn new(plan: plan::Services) -> Services {
        Services { plan }
    }

    /// The name of the service of this place.
    pub(super) fn name(&self, place: usize) -> Option<&str> {
        self.plan.names.get(place).map(String::as_str)
    }

    /// `None`: that is not known yet.
    fn asked(&self, sent: &[u8], end: End) -> Option<AskedService> {
        let of = |name: &str| *self.plan.asked_for.find(name).unwrap_or(&self.plan.default);
        let (place, server_name) = match AskedName::of(sent) {
            AskedName::InTls(name) => (of(&name), Some(name.into())),
            AskedName::AsHost(name) => (of(&name), None),
            AskedName::Unknown if end == End::More => return None,
            AskedName::Nothing | AskedName::Unknown => (self.plan.default, None),
        };
        Some(AskedService { place, server_name })
    }

    /// Reads what a client sends until it has said which it wants; all that was read goes
    /// to its replica. `took` is called with the size of each part.
    pub(super) async fn ask(
        &self,
        client: &TcpStream,
        early: &mut Early,
        took: impl Fn(usize),
    ) -> Result<AskedService, NotAsked> {
        let asking = async {
            loop {
                if let Some(asked) = self.asked(&early.bytes, early.end) {
                    return Ok(asked);
                }
                early.bytes.reserve(USUAL_HELLO);
                match read_some(client, &mut early.bytes).await {
                    Ok(0) if early.bytes.is_empty() => return Err(NotAsked::Left),
                    Ok(0) => early.end = End::Last,
                    Ok(read) => took(read),
                    Err(_) => return Err(NotAsked::Gone),
                }
            }
        };
        let asked = timeout(self.plan.hello_timeout, asking).await;
        asked.map_err(|_| NotAsked::Late)?
    }
}

/// In bytes: with a key for today's hybrid exchange.
const USUAL_HELLO: usize = 2048;

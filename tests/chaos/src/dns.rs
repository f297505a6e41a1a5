//! A name server: `rN.lab` is the N-th replica's address.

use std::cell::Cell;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::event::Dns;
use crate::replica::address;

/// A running name server; it ends with this value.
pub(crate) struct NameServer {
    state: Rc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    says: Cell<Dns>,
    /// Queries since the last `says` for an address that it concerns.
    asked: Cell<u64>,
}

impl NameServer {
    /// Starts it where `resolv.conf` looks for it. To be called within a `LocalSet`.
    ///
    /// # Errors
    /// When the address is taken: this is no network of our own.
    pub(crate) async fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((ADDRESS, 53)).await?;
        let state = Rc::<State>::default();
        let now = state.clone();
        let task = tokio::task::spawn_local(async move {
            let mut query = [0; 512];
            loop {
                let Ok((length, client)) = socket.recv_from(&mut query).await else {
                    continue;
                };
                if let Some(answer) = now.reply(&query[..length]) {
                    let _ = socket.send_to(&answer, client).await;
                }
            }
        });
        Ok(Self { state, task })
    }

    /// What it says from now on.
    pub(crate) fn says(&self, what: Dns) {
        self.state.says(what);
    }

    /// How often it was asked since the last `says` for an address that this concerns,
    /// answered or not: while a name is moved, for that name.
    pub(crate) fn asked(&self) -> u64 {
        self.state.asked.get()
    }
}

impl State {
    fn says(&self, what: Dns) {
        self.says.set(what);
        self.asked.set(0);
    }

    /// Counts a query, and says what to send back.
    fn reply(&self, query: &[u8]) -> Option<Vec<u8>> {
        let says = self.says.get();
        let concerned = concerns(query, says).unwrap_or(false);
        self.asked.set(self.asked.get() + u64::from(concerned));
        answer(query, says)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The name of a replica.
pub(crate) fn name_of(number: u8) -> String {
    format!("r{number}.lab")
}

/// Where it answers.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);

/// RFC 1035, as much of it as one question needs; `None`: silence.
fn answer(query: &[u8], says: Dns) -> Option<Vec<u8>> {
    if matches!(says, Dns::Silent) {
        return None;
    }
    let (name, end) = question(query)?;
    let kind = query.get(end..end + 2)?;
    let number = number(&name)?;
    let number = match (says, number) {
        (Dns::NxDomain, _) => None,
        (Dns::Moved(to), Some(1)) => Some(to),
        (_, number) => number,
    };
    let found = number.filter(|_| kind == A);
    let code = if number.is_some() { 0 } else { NXDOMAIN };
    let mut reply = query.get(..2)?.to_vec();
    // An answer with authority, recursion wanted and had.
    reply.extend([
        0x85,
        0x80 | code,
        0,
        1,
        0,
        u8::from(found.is_some()),
        0,
        0,
        0,
        0,
    ]);
    reply.extend(query.get(HEADER..end + 4)?);
    if let Some(number) = found {
        // The name of the question; A, IN; one second.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        reply.extend(address(number).octets());
    }
    Some(reply)
}

/// Whether a query asks for an address that may be another by what is said.
fn concerns(query: &[u8], says: Dns) -> Option<bool> {
    let (name, end) = question(query)?;
    let number = number(&name)??;
    let is_address = query.get(end..end + 2)? == A;
    Some(is_address && (number == 1 || !matches!(says, Dns::Moved(_))))
}

/// The number of the replica of that name, of a name that may be one.
fn number(name: &str) -> Option<Option<u8>> {
    let number = name.strip_suffix(".lab")?.strip_prefix('r')?;
    Some(number.parse().ok())
}

/// The name asked for, in lower case, and where it ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = query.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += length;
    }
}

const HEADER: usize = 12;
const A: [u8; 2] = [0, 1];
const NXDOMAIN: u8 = 3;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Dns, State, answer};

    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02r2\x03lab\x00\x00\x01\x00\x01";

    #[test]
    fn a_name_leads_to_its_replica() {
        let reply = answer(QUERY, Dns::Right).unwrap();
        assert_eq!(reply[..2], QUERY[..2]);
        assert_eq!(reply[reply.len() - 4..], [127, 0, 0, 12]);
    }

    #[test]
    fn there_may_be_no_such_name_or_no_answer() {
        assert_eq!(answer(QUERY, Dns::NxDomain).unwrap()[3] & 15, 3);
        assert_eq!(answer(QUERY, Dns::Silent), None);
        assert_eq!(answer(b"no query", Dns::Right), None);
    }

    #[test]
    fn queries_are_counted_in_each_state_answered_or_not() {
        let state = State::default();
        let ask = |query: &[u8]| {
            let before = state.asked.get();
            let _ = state.reply(query);
            state.asked.get() - before
        };
        let (mut first, mut of_another_kind) = (QUERY.to_vec(), QUERY.to_vec());
        first[14] = b'1';
        of_another_kind[21] = 28;
        let cases = [
            (Dns::Right, 1),
            (Dns::NxDomain, 1),
            (Dns::Silent, 1),
            (Dns::Moved(4), 0),
        ];
        for (says, of_the_second) in cases {
            state.says(says);
            assert_eq!(state.asked.get(), 0, "{says:?}");
            assert_eq!(ask(QUERY), of_the_second, "{says:?}");
            assert_eq!(ask(&first), 1, "{says:?}");
            assert_eq!(ask(&of_another_kind), 0, "{says:?}");
            assert_eq!(ask(b"no query"), 0, "{says:?}");
        }
    }
}

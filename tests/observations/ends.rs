//! Both ends of a real connection through a proxy, and what is behind it.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use dtr_lb_tests::LIMIT;
use tokio::runtime::Builder;

use super::scene::{Act, Behaviour, Protocol, Setting};
use super::upstream::Upstream;

pub(crate) struct Ends {
    pub(crate) upstreams: HashMap<&'static str, Upstream>,
    client: Option<TcpStream>,
    replica: Option<TcpStream>,
    /// What the replica has been sent so far.
    arrived: Vec<u8>,
}

impl Ends {
    pub(crate) fn of(setting: Setting) -> Ends {
        let mut behaviours = HashMap::from([("default", Behaviour::Answers(200, "hi"))]);
        behaviours.extend(setting.clusters.iter().copied());
        let upstreams = behaviours.into_iter().map(|(name, behaviour)| {
            // What the guest itself asks is HTTP on a TCP listener, too.
            let answers = setting.protocol == Protocol::Http || name == "gate";
            (name, Upstream::open(behaviour, answers))
        });
        Ends {
            upstreams: upstreams.collect(),
            client: None,
            replica: None,
            arrived: Vec::new(),
        }
    }

    /// A client connects.
    pub(crate) fn connect(&mut self, address: SocketAddr) {
        let client = TcpStream::connect(address).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        (self.client, self.replica) = (Some(client), None);
        self.arrived.clear();
    }

    /// The client's end.
    pub(crate) fn client(&mut self) -> &mut TcpStream {
        self.client.as_mut().unwrap()
    }

    /// The client writes.
    pub(crate) fn write(&mut self, bytes: &str) {
        self.client().write_all(bytes.as_bytes()).unwrap();
    }

    /// Plays an act of a TCP scene.
    pub(crate) fn play(&mut self, address: SocketAddr, act: Act) {
        match act {
            Act::Connects => self.connect(address),
            Act::Sends(bytes) => self.write(bytes),
            Act::Ends => self.client().shutdown(Shutdown::Write).unwrap(),
            Act::Gives(bytes) => self.replica().write_all(bytes.as_bytes()).unwrap(),
            Act::Closes => self.replica().shutdown(Shutdown::Write).unwrap(),
            Act::UpstreamHas(bytes) => {
                let missing = bytes.len().saturating_sub(self.arrived.len());
                let mut more = vec![0; missing];
                self.replica().read_exact(&mut more).unwrap();
                self.arrived.append(&mut more);
                assert_eq!(self.arrived, bytes.as_bytes());
                let replica = self.replica();
                replica.set_nonblocking(true).unwrap();
                let next = replica.read(&mut [0]).map_err(|error| error.kind());
                assert_eq!(next, Err(ErrorKind::WouldBlock), "something, or the end");
                replica.set_nonblocking(false).unwrap();
            }
            Act::UpstreamEnds(bytes) => {
                let more = to_the_end(self.replica());
                self.arrived.extend(more);
                assert_eq!(self.arrived, bytes.as_bytes());
            }
            Act::ClientEnds(bytes) => {
                assert_eq!(to_the_end(self.client()), bytes.as_bytes());
            }
            _ => panic!("{act:?} is no act of a TCP scene"),
        }
    }

    /// The upstream's end.
    fn replica(&mut self) -> &mut TcpStream {
        if self.replica.is_none() {
            // Whichever cluster the filter chose.
            let upstreams = &self.upstreams;
            let accepted = || {
                upstreams
                    .values()
                    .find_map(|one| one.accepted.try_recv().ok())
            };
            let accepted = eventually("a connection to an upstream", accepted);
            accepted.set_read_timeout(Some(LIMIT)).unwrap();
            self.replica = Some(accepted);
        }
        self.replica.as_mut().unwrap()
    }
}

/// What comes until the end, or until a reset: a proxy that closes with something
/// unread sends one.
fn to_the_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    bytes
}

/// Waits until there is one; sockets and files have no event for it.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let found = dtr_lb_tests::eventually(LIMIT, what, async || {
        look().ok_or_else(|| "nothing".to_owned())
    });
    runtime.block_on(found)
}

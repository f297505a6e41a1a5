//! Both ends of a real connection through a proxy, and what is behind it.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};

use dtr_lb_tests::LIMIT;
use tokio::runtime::Builder;

use super::scene::{Act, Behaviour, Protocol, Setting};
use super::upstream::Upstream;

pub(crate) struct Ends {
    pub(crate) upstreams: HashMap<&'static str, Upstream>,
    client: Option<TcpStream>,
    replica: Option<TcpStream>,
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
        }
    }

    /// A client connects.
    pub(crate) fn connect(&mut self, address: SocketAddr) {
        let client = TcpStream::connect(address).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        (self.client, self.replica) = (Some(client), None);
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
            self.replica = Some(eventually("a connection to an upstream", accepted));
        }
        self.replica.as_mut().unwrap()
    }
}

/// Waits until there is one; sockets and files have no event for it.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let found = dtr_lb_tests::eventually(LIMIT, what, async || {
        look().ok_or_else(|| "nothing".to_owned())
    });
    runtime.block_on(found)
}

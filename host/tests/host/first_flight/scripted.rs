//! A replica whose connections follow a script.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::eventually::within;

/// What a replica does with one connection.
pub(super) struct Act {
    /// Bytes to be read before anything else is done.
    after: usize,
    /// And the FIN after them.
    pub(super) until_fin: bool,
    pub(super) pause: Duration,
    pub(super) says: &'static [u8],
    /// `None`: it goes on until the client ends.
    end: Option<End>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Close,
    Reset,
}

impl Act {
    pub(super) fn end_after(bytes: usize, end: End) -> Act {
        Act {
            after: bytes,
            until_fin: false,
            pause: Duration::ZERO,
            says: b"",
            end: Some(end),
        }
    }

    pub(super) fn answer_after(bytes: usize) -> Act {
        Act {
            says: b"answer",
            end: None,
            ..Act::end_after(bytes, End::Close)
        }
    }
}

/// A replica that does one act with each connection.
pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    acts: Arc<Mutex<VecDeque<Act>>>,
    connections: Arc<Mutex<usize>>,
    /// Those that came when there was no act left.
    unexpected: Arc<Mutex<usize>>,
    /// What each connection brought, once it is over.
    got: tokio::sync::Mutex<mpsc::UnboundedReceiver<Vec<u8>>>,
}

impl Scripted {
    pub(super) async fn start() -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sender, got) = mpsc::unbounded_channel();
        let scripted = Scripted {
            address: listener.local_addr().unwrap(),
            acts: Arc::default(),
            connections: Arc::default(),
            unexpected: Arc::default(),
            got: got.into(),
        };
        let acts = Arc::clone(&scripted.acts);
        let connections = Arc::clone(&scripted.connections);
        let unexpected = Arc::clone(&scripted.unexpected);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                *connections.lock().unwrap() += 1;
                let Some(act) = acts.lock().unwrap().pop_front() else {
                    *unexpected.lock().unwrap() += 1;
                    continue;
                };
                let sender = sender.clone();
                tokio::spawn(async move { sender.send(play(socket, act).await) });
            }
        });
        scripted
    }

    pub(super) fn will(&self, act: Act) {
        self.acts.lock().unwrap().push_back(act);
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// What the next connection brought, once it is over.
    pub(super) async fn got(&self) -> Vec<u8> {
        let mut got = self.got.lock().await;
        within("a connection's end", got.recv()).await.unwrap()
    }
}

/// A panic in its own task would fail no test.
impl Drop for Scripted {
    fn drop(&mut self) {
        let unexpected = *self.unexpected.lock().unwrap();
        if !std::thread::panicking() {
            assert_eq!(unexpected, 0, "connections that the test does not expect");
        }
    }
}

/// Plays a replica's part; what it got.
async fn play(mut socket: TcpStream, act: Act) -> Vec<u8> {
    let mut got = Vec::new();
    let mut is_open = true;
    while is_open && (got.len() < act.after || act.until_fin) {
        is_open = socket.read_buf(&mut got).await.unwrap_or(0) > 0;
    }
    sleep(act.pause).await;
    socket.write_all(act.says).await.unwrap();
    match act.end {
        Some(End::Close) => {}
        Some(End::Reset) => {
            let linger = Some(Duration::ZERO);
            SockRef::from(&socket).set_linger(linger).unwrap();
        }
        None => {
            let _ = socket.read_to_end(&mut got).await;
        }
    }
    got
}

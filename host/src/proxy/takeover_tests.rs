//! What the two processes of a takeover make of each other's delays and failures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proxy_wasm_engine::Shared;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::FILTER;
use crate::config::Config;
use crate::control::all_sessions::AllSessions;
use crate::error::StartError;
use crate::plan::Plan;
use crate::proxy::handover::{Offer, Patience};
use crate::proxy::host::Host;
use crate::proxy::options::HostOptions;
use crate::proxy::predecessor::Predecessor;
use crate::takeover::channel::Channel;
use crate::takeover::error::TakeoverError;
use crate::takeover::listener::TakeoverListener;
use crate::takeover::message::{FromPredecessor, FromSuccessor, Role, Sockets};

#[tokio::test]
async fn a_successor_that_accepts_too_late_is_told_that_the_other_serves_on() {
    let stage = Stage::new().await;
    let vm_data = Shared::new();
    let offer = |answer| Offer {
        listeners: &[],
        admin: None,
        names: &[],
        vm_data: &vm_data,
        patience: Patience {
            answer,
            start: LIMIT,
        },
    };
    let offering = async {
        let candidate = stage.listener.next().await;
        let kept = offer(LIMIT).make(&candidate).await.unwrap();
        let soon = Duration::from_millis(100);
        offer(soon).complete(candidate, kept).await.err().unwrap()
    };
    let late = async {
        let mut predecessor = Predecessor::meet(stage.socket()).await.unwrap();
        let kept = std::iter::empty();
        predecessor.ready(kept, &Shared::new()).await.unwrap();
        predecessor
    };
    let (given_up, late) = tokio::join!(offering, late);
    let expected = "the other process has not accepted within 100ms";
    assert_eq!(given_up.to_string(), expected);

    // The channel is closed by now.
    let told = late.running(&AllSessions::default()).await.err().unwrap();
    assert!(matches!(told, TakeoverError::TakenBack), "{told}");
}

#[tokio::test]
async fn a_host_whose_place_is_taken_back_ends_and_one_that_is_left_alone_serves() {
    for last_word in [Some(FromPredecessor::TakenBack), None] {
        let stage = Stage::new().await;
        let before = async {
            let channel = stage.offer().await;
            let ready = channel.receive().await.unwrap().0;
            assert!(matches!(ready, FromSuccessor::Ready { .. }), "{ready:?}");
            channel.send(&FromPredecessor::Go, &[]).await.unwrap();
            if let Some(last_word) = &last_word {
                channel.send(last_word, &[]).await.unwrap();
            }
        };
        let ((), started) = tokio::join!(before, stage.take_over());
        match last_word {
            Some(_) => {
                let error = started.err().unwrap().to_string();
                let expected = "the other process waited no longer, and serves on";
                assert_eq!(error, expected);
            }
            None => assert_eq!(started.unwrap().listeners().len(), 1),
        }
    }
}

#[tokio::test]
async fn a_predecessor_learns_that_its_sockets_can_not_be_used() {
    let stage = Stage::new().await;
    let before = async {
        let channel = stage.greet().await;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let about = FromPredecessor::Sockets(Sockets {
            role: Role::Traffic,
            listener: 0,
            bind: nowhere,
            address: nowhere,
            count: 1,
        });
        // Which knows no option of TCP.
        let (socket, _) = UnixStream::pair().unwrap();
        channel.send(&about, &[socket.as_fd()]).await.unwrap();
        channel.send(&FromPredecessor::Offered, &[]).await.unwrap();
        channel.receive().await
    };
    let (told, started) = tokio::join!(before, stage.take_over());
    let error = started.err().unwrap().to_string();
    match told.map(|(message, _)| message) {
        Ok(FromSuccessor::Failed { problem }) => assert_eq!(problem, error),
        other => panic!("{other:?} instead of {error:?}"),
    }
}

/// Where a predecessor is met.
struct Stage {
    listener: TakeoverListener,
    _folder: TempDir,
}

impl Stage {
    async fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let socket: PathBuf = folder.path().join("takeover.sock");
        Stage {
            listener: TakeoverListener::bind(&socket).await.unwrap(),
            _folder: folder,
        }
    }

    fn socket(&self) -> &Path {
        self.listener.path()
    }

    /// A predecessor that has not offered anything yet.
    async fn greet(&self) -> Channel {
        let channel = self.listener.next().await.channel;
        let hello = channel.receive().await.unwrap().0;
        assert!(matches!(hello, FromSuccessor::Hello { .. }), "{hello:?}");
        channel
    }

    /// A predecessor that has nothing to offer.
    async fn offer(&self) -> Channel {
        let channel = self.greet().await;
        channel.send(&FromPredecessor::Offered, &[]).await.unwrap();
        channel
    }

    async fn take_over(&self) -> Result<Host, StartError> {
        let predecessor = Predecessor::meet(self.socket()).await?;
        let options = HostOptions {
            workers: NonZeroUsize::MIN,
            ..HostOptions::default()
        };
        let starting = Host::take_over(predecessor, plan(), FILTER, options);
        timeout(LIMIT, starting).await.unwrap()
    }
}

/// Without a VM, which takes a while to compile.
fn plan() -> Plan {
    let text = r#"{ "fqdn": "dtr.example.com",
        "replicas": [{ "address": "127.0.0.1", "ports": { "80": 1 } }],
        "listeners": [{ "bind": "127.0.0.1:0", "port": 80 }] }"#;
    Plan {
        balancer: None,
        ..Plan::of(&Config::parse(text, "lb.json").unwrap())
    }
}

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(10);

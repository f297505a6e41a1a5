//! A host in the place of another.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dtr_lb::plan::Plan;
use dtr_lb::{
    Drained, Host, HostOptions, Predecessor, StartError, TakeoverError, TakeoverListener,
};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

use crate::eventually::{eventually, within};
use crate::guest::Guest;
use crate::plan::{plan, plan_of};
use crate::replica::Replica;
use crate::running::{admin_at, connect, connect_to, echoes, get, options};

#[tokio::test]
async fn a_host_with_other_workers_takes_over_while_clients_come() {
    for (before, after) in [(3, 1), (1, 3), (2, 2)] {
        let r0 = Replica::start("r0").await;
        let stage = Stage::new();
        let old = start_with(workers(before), &r0).await;
        let (address, admin) = (old.listeners()[0], old.admin().unwrap());
        let (mut open, _) = connect(&old).await;
        let clients = Clients::start(address);
        let retiring = stage.give_up(old, Duration::from_secs(60)).await;
        let new = stage.take_over(plan(&[&r0]), workers(after)).await.unwrap();

        assert_eq!(new.listeners(), [address], "{before} to {after}");
        assert_eq!(new.admin(), Some(admin), "{before} to {after}");
        echoes(&mut open, "who came before goes on").await;
        let ready = admin_at(admin, &get("/ready")).await;
        assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
        assert!(!retiring.is_finished(), "it has a connection");
        drop(open);
        let drained = within("the end of the old", retiring).await.unwrap();
        assert_eq!(drained.cut, 0, "{before} to {after}");
        clients
            .none_failed(&format!("{before} workers to {after}"))
            .await;
        drop(new);
    }
}

#[tokio::test]
async fn a_listener_that_is_given_up_is_served_to_its_last_client() {
    let r0 = Replica::start("r0").await;
    let stage = Stage::new();
    let mut two = plan(&[&r0]);
    let mut more = two.listeners[0].clone();
    more.bind = SocketAddr::from(([127, 0, 0, 3], 0));
    two.listeners.push(more.clone());
    let wasm = Guest::PLAIN.wat();
    let old = Host::start(two, wasm.as_bytes(), workers(2)).await.unwrap();
    let (kept, left) = (old.listeners()[0], old.listeners()[1]);
    let retiring = stage.give_up(old, Duration::from_secs(60)).await;

    let mut other = plan(&[&r0]);
    more.bind = SocketAddr::from(([127, 0, 0, 4], 0));
    other.listeners.push(more);
    let new = stage.take_over(other, workers(2)).await.unwrap();
    assert_eq!(new.listeners()[0], kept);
    let (mut client, name) = connect_to(new.listeners()[1]).await;
    assert_eq!(name, "r0", "what is new is bound");
    echoes(&mut client, "the client of the new listener").await;
    within("the end of the old", retiring).await.unwrap();
    eventually(
        "a listener that is closed",
        async || match TcpStream::connect(left).await {
            Ok(_) => Err("a client gets through".to_owned()),
            Err(_) => Ok(()),
        },
    )
    .await;
}

#[tokio::test]
async fn what_dns_has_said_holds_for_the_next_process_while_dns_fails() {
    let r0 = Replica::start("r0").await;
    let stage = Stage::new();
    let named = || {
        let port = r0.address.port();
        let replica = json!({ "name": "r0", "address": "r0.test", "ports": { "443": port } });
        plan_of(json!({ "replicas": [replica] }))
    };
    let ip = r0.address.ip();
    let mut options = workers(1);
    options.lookup = Arc::new(move |_| Box::pin(async move { Ok(vec![ip]) }));
    let wasm = Guest::PLAIN.wat();
    let old = Host::start(named(), wasm.as_bytes(), options.clone())
        .await
        .unwrap();
    let retiring = stage.give_up(old, Duration::from_secs(60)).await;

    options.lookup = Arc::new(|_| Box::pin(async { Err(io::Error::other("no DNS")) }));
    let new = stage.take_over(named(), options).await.unwrap();
    within("the end of the old", retiring).await.unwrap();
    let (mut client, name) = connect(&new).await;
    assert_eq!(name, "r0");
    echoes(&mut client, "a client of the new one").await;
}

#[tokio::test]
async fn a_host_that_does_not_start_changes_nothing() {
    let r0 = Replica::start("r0").await;
    let stage = Stage::new();
    let old = start_with(workers(2), &r0).await;
    let (address, admin) = (old.listeners()[0], old.admin().unwrap());
    let listener = TakeoverListener::bind(&stage.socket).await.unwrap();
    let refusing = Guest {
        configure: "(i32.const 0)",
        ..Guest::PLAIN
    };
    let offering = async {
        let offered = old.offer(listener.next().await).await;
        offered.err().unwrap().to_string()
    };
    let wasm = refusing.wat();
    let starting = async {
        let predecessor = Predecessor::meet(&stage.socket).await.unwrap();
        let plan = plan(&[&r0]);
        Host::take_over(predecessor, plan, wasm.as_bytes(), workers(2)).await
    };
    let (offered, started) = tokio::join!(offering, starting);
    let error = started.err().unwrap();
    assert!(matches!(error, StartError::Filter(_)), "{error}");
    let expected = format!("the new process does not start: {error}");
    assert_eq!(offered, expected);
    let (mut client, _) = connect_to(address).await;
    echoes(&mut client, "who comes afterwards").await;
    let ready = admin_at(admin, &get("/ready")).await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
}

#[tokio::test]
async fn a_candidate_that_hangs_is_given_up() {
    let r0 = Replica::start("r0").await;
    let stage = Stage::new();
    let options = HostOptions {
        takeover_limit: Duration::from_millis(50),
        ..workers(1)
    };
    let old = start_with(options, &r0).await;
    let listener = TakeoverListener::bind(&stage.socket).await.unwrap();
    let candidate = async {
        // It takes everything, and says nothing more.
        let predecessor = Predecessor::meet(&stage.socket).await.unwrap();
        std::future::pending::<()>().await;
        drop(predecessor);
    };
    let offering = async { old.offer(listener.next().await).await };
    let error = tokio::select! {
        offered = within("the limit", offering) => offered.err().unwrap(),
        () = candidate => unreachable!("it hangs"),
    };
    let text = error.to_string();
    assert!(matches!(error, TakeoverError::Silent { .. }), "{text}");
    assert_eq!(text, "the other process has not started within 50ms");
    let (mut client, _) = connect(&old).await;
    echoes(&mut client, "who comes afterwards").await;
}

#[tokio::test]
async fn a_candidate_that_ends_once_it_may_accept_leaves_the_admin_listener_served() {
    let r0 = Replica::start("r0").await;
    let stage = Stage::new();
    let mut old = start_with(workers(1), &r0).await;
    let admin = old.admin().unwrap();
    let listener = TakeoverListener::bind(&stage.socket).await.unwrap();
    let candidate = async {
        let mut stream = UnixStream::connect(&stage.socket).await.unwrap();
        for message in [
            r#"{"hello":{"version":1,"program":"0"}}"#,
            r#"{"ready":{"kept":[]}}"#,
        ] {
            send(&mut stream, message).await;
        }
        // Until it may accept.
        let mut seen = Vec::new();
        while !seen.ends_with(b"\"go\"") {
            // Not `read`: it takes a short read for the last, and a message that comes with
            // sockets ends one.
            stream.readable().await.unwrap();
            let mut bytes = [0; 4096];
            if let Ok(count) = stream.try_read(&mut bytes) {
                assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
                seen.extend(&bytes[..count]);
            }
        }
    };
    let handing_over = async {
        let ready = old.offer(listener.next().await).await.unwrap();
        old.hand_over(ready).await.err().unwrap().to_string()
    };
    let ((), error) = tokio::join!(candidate, handing_over);
    assert_eq!(error, "the other process ended, or closed the socket");
    let ready = admin_at(admin, &get("/ready")).await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    let (mut client, _) = connect(&old).await;
    echoes(&mut client, "who comes afterwards").await;
}

#[tokio::test]
async fn what_is_no_candidate_is_refused_with_a_reason() {
    let r0 = Replica::start("r0").await;
    let stage = Stage::new();
    let old = start_with(workers(1), &r0).await;
    let listener = TakeoverListener::bind(&stage.socket).await.unwrap();
    let cases = [
        (
            r#"{"hello":{"version":2,"program":"9"}}"#,
            "dtr-lb 9 version 2; restart it instead",
        ),
        (r#""running""#, "no message here: Running at this point"),
        ("hello", "no message here: "),
    ];
    for (message, expected) in cases {
        let candidate = async {
            let mut stream = UnixStream::connect(&stage.socket).await.unwrap();
            send(&mut stream, message).await;
            let mut answer = Vec::new();
            // A reset, where there is something that was not read.
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        };
        let offering = async { old.offer(listener.next().await).await };
        let (answer, offered) = tokio::join!(candidate, offering);
        let error = offered.err().unwrap().to_string();
        assert!(error.contains(expected), "{message}: {error}");
        let is_version = message.contains("hello\":");
        assert_eq!(
            answer.contains("refused"),
            is_version,
            "{message}: {answer}"
        );
    }
}

async fn send(stream: &mut UnixStream, message: &str) {
    use tokio::io::AsyncWriteExt;

    let length = u32::try_from(message.len()).unwrap();
    stream.write_all(&length.to_be_bytes()).await.unwrap();
    stream.write_all(message.as_bytes()).await.unwrap();
}

/// Where two hosts meet.
struct Stage {
    _folder: tempfile::TempDir,
    socket: PathBuf,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        Stage {
            socket: folder.path().join("takeover.sock"),
            _folder: folder,
        }
    }

    /// Gives a host's place to the first that comes.
    async fn give_up(&self, mut host: Host, limit: Duration) -> JoinHandle<Drained> {
        let listener = TakeoverListener::bind(&self.socket).await.unwrap();
        tokio::spawn(async move {
            let ready = host.offer(listener.next().await).await.unwrap();
            let successor = host.hand_over(ready).await.unwrap();
            assert_eq!(successor.process(), i32::try_from(std::process::id()).ok());
            host.retire(successor, tokio::time::sleep(limit)).await
        })
    }

    async fn take_over(&self, plan: Plan, options: HostOptions) -> Result<Host, StartError> {
        let predecessor = Predecessor::meet(&self.socket).await?;
        Host::take_over(predecessor, plan, Guest::PLAIN.wat().as_bytes(), options).await
    }
}

/// Clients that come one after the other, until they are counted.
struct Clients {
    end: tokio::sync::watch::Sender<bool>,
    all: Vec<JoinHandle<usize>>,
}

impl Clients {
    fn start(address: SocketAddr) -> Clients {
        let (end, ended) = tokio::sync::watch::channel(false);
        let all = (0..4).map(|_| {
            let ended = ended.clone();
            tokio::spawn(async move {
                let mut served = 0;
                while !*ended.borrow() {
                    let (mut client, _) = connect_to(address).await;
                    echoes(&mut client, "a client meanwhile").await;
                    served += 1;
                }
                served
            })
        });
        Clients {
            all: all.collect(),
            end,
        }
    }

    /// Each of them was served, and some came.
    async fn none_failed(self, why: &str) {
        self.end.send_replace(true);
        for clients in self.all {
            let served = within("the last client", clients).await;
            let served = served.unwrap_or_else(|failed| panic!("{why}: {failed}"));
            assert!(served > 0, "{why}");
        }
    }
}

async fn start_with(options: HostOptions, replica: &Replica) -> Host {
    let wat = Guest::PLAIN.wat();
    let started = Host::start(plan(&[replica]), wat.as_bytes(), options);
    within("the start", started).await.unwrap()
}

fn workers(count: usize) -> HostOptions {
    HostOptions {
        workers: NonZeroUsize::new(count).unwrap(),
        ..options()
    }
}

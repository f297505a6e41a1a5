//! A host that runs, and what a client asks of it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use dtr_lb::{Host, HostOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::guest::Guest;
use crate::log::log;
use crate::plan::plan;
use crate::replica::Replica;

pub(crate) fn options() -> HostOptions {
    log();
    HostOptions {
        workers: NonZeroUsize::MIN,
        reload_backoff: Duration::from_millis(20),
        ..HostOptions::default()
    }
}

pub(crate) async fn start(guest: Guest, replicas: &[&Replica]) -> Host {
    Host::start(plan(replicas), guest.wat().as_bytes(), options())
        .await
        .unwrap()
}

/// Connects, and reads the name of the replica that answers.
pub(crate) async fn connect(host: &Host) -> (TcpStream, String) {
    let mut client = TcpStream::connect(host.listeners()[0]).await.unwrap();
    let mut name = [0; 2];
    client.read_exact(&mut name).await.unwrap();
    (client, String::from_utf8(name.to_vec()).unwrap())
}

pub(crate) async fn admin(host: &Host, request: &str) -> String {
    admin_at(host.admin().unwrap(), request).await
}

pub(crate) async fn admin_at(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A refused body may cost the connection after the answer.
    let _ = socket.read_to_string(&mut answer).await;
    answer
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

pub(crate) fn post(path: &str, length: usize) -> String {
    let body = "x".repeat(length);
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Asks the admin listener until the answer has a line; fails with the last answer.
pub(crate) async fn admin_says(host: &Host, path: &str, line: &str) {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = admin(host, &get(path)).await;
        if answer.lines().any(|said| said == line) {
            return;
        }
        assert!(
            Instant::now() < limit,
            "{path} never said {line:?}; at last it said:\n{answer}"
        );
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn echoes(client: &mut TcpStream, why: &str) {
    client.write_all(b"still there?").await.unwrap();
    let mut answer = [0; 12];
    client
        .read_exact(&mut answer)
        .await
        .unwrap_or_else(|error| panic!("{why}: {error}"));
    assert_eq!(&answer, b"still there?", "{why}");
}

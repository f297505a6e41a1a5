//! A host that runs, and what a client asks of it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use dtr_lb::{Host, HostOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::eventually::{START_LIMIT, eventually, within};
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
    let wat = guest.wat();
    let started = Host::start(plan(replicas), wat.as_bytes(), options());
    timeout(START_LIMIT, started).await.unwrap().unwrap()
}

/// Connects, and reads the name of the replica that answers.
pub(crate) async fn connect(host: &Host) -> (TcpStream, String) {
    connect_to(host.listeners()[0]).await
}

pub(crate) async fn connect_to(address: SocketAddr) -> (TcpStream, String) {
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut name = [0; 2];
    within("a replica's name", client.read_exact(&mut name))
        .await
        .unwrap();
    (client, String::from_utf8(name.to_vec()).unwrap())
}

/// Wants the connection to end without another byte.
pub(crate) async fn is_closed(client: &mut TcpStream, why: &str) {
    let read = within(why, client.read(&mut [0; 8])).await;
    assert_eq!(read.unwrap_or(0), 0, "{why}: there was an answer");
}

pub(crate) async fn admin(host: &Host, request: &str) -> String {
    admin_at(host.admin().unwrap(), request).await
}

pub(crate) async fn admin_at(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let mut answer = String::new();
    let exchange = async {
        // A refused body may cost the connection before all of it is sent, or
        // after the answer.
        let _ = socket.write_all(request.as_bytes()).await;
        let _ = socket.read_to_string(&mut answer).await;
    };
    within("an answer of the admin listener", exchange).await;
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
    eventually(&format!("{line:?} in {path}"), async || {
        let answer = admin(host, &get(path)).await;
        match answer.lines().any(|known| known == line) {
            true => Ok(()),
            false => Err(answer),
        }
    })
    .await;
}

/// The value of a metric without labels.
pub(crate) async fn metric(host: &Host, name: &str) -> Option<i64> {
    let text = admin(host, &get("/metrics")).await;
    let prefix = format!("{name} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&prefix))?;
    Some(value.parse().unwrap())
}

pub(crate) async fn echoes(client: &mut TcpStream, why: &str) {
    client.write_all(b"still there?").await.unwrap();
    let mut answer = [0; 12];
    within(why, client.read_exact(&mut answer))
        .await
        .unwrap_or_else(|error| panic!("{why}: {error}"));
    assert_eq!(&answer, b"still there?", "{why}");
}

//! The admin listener.

use std::time::Duration;

use dtr_lb::Host;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::eventually::within;
use crate::guest::{Guest, PAUSE};
use crate::plan::plan;
use crate::replica::Replica;
use crate::running::{admin, connect, get, is_closed, options, post, start};

#[tokio::test]
async fn the_admin_listener_answers_itself_or_asks_the_guest() {
    let r0 = Replica::start("r0").await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    let _open = connect(&host).await;
    let cases = [
        (get("/ready"), "HTTP/1.1 200 OK\r\n", "{\"ready\":true}"),
        (
            get("/metrics"),
            "HTTP/1.1 200 OK\r\n",
            "\ndtr_lb_host_connections_active 1\n",
        ),
        (
            get("/metrics"),
            "HTTP/1.1 200 OK\r\n",
            "content-type: text/plain; version=0.0.4",
        ),
        (
            get("/anything"),
            "HTTP/1.1 200 OK\r\n",
            "hello from the guest",
        ),
        (
            post("/anything", 10),
            "HTTP/1.1 404 Not Found\r\n",
            "\"error\"",
        ),
    ];
    for (request, status, part) in cases {
        let answer = admin(&host, &request).await;
        let asked = request.lines().next().unwrap();
        assert!(answer.starts_with(status), "{asked}: {answer}");
        assert!(
            answer.contains(part),
            "{asked}: {part:?} is missing in {answer}"
        );
    }
}

#[tokio::test]
async fn what_the_host_answers_itself_is_read_only() {
    let r0 = Replica::start("r0").await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    for path in ["/ready", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let refused = admin(&host, &request(method, path)).await;
            assert!(refused.starts_with("HTTP/1.1 405 "), "{method}: {refused}");
            assert!(refused.contains("\r\nallow: GET, HEAD\r\n"), "{refused}");
        }
        let head = admin(&host, &request("HEAD", path)).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
        assert!(head.ends_with("\r\n\r\n"), "{path} has a body: {head}");
    }
}

#[tokio::test]
async fn a_body_may_have_64_kib() {
    let r0 = Replica::start("r0").await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    for (length, status) in [(65_536, "404"), (65_537, "413"), (1 << 20, "413")] {
        let answer = admin(&host, &post("/anything", length)).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{length} bytes: {answer}");
    }
    // Without a length of its own, it is counted.
    let head =
        "POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = format!("10001\r\n{}\r\n0\r\n\r\n", "x".repeat(0x10001));
    let answer = admin(&host, &format!("{head}{chunks}")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_let_go() {
    let r0 = Replica::start("r0").await;
    let host = impatient(Guest::PLAIN, &r0).await;
    for begun in ["GET /ready HTTP/1.1\r\nhost: x", ""] {
        let mut client = TcpStream::connect(host.admin().unwrap()).await.unwrap();
        client.write_all(begun.as_bytes()).await.unwrap();
        is_closed(&mut client, "a head that never ends").await;
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_a_504() {
    let r0 = Replica::start("r0").await;
    let silent = Guest {
        request_body: PAUSE,
        ..Guest::PLAIN
    };
    let host = impatient(silent, &r0).await;
    let answer = admin(&host, &post("/anything", 3)).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(answer.contains("no answer in time"), "{answer}");
    let (_, name) = connect(&host).await;
    assert_eq!(name, "r0", "connections are served all the same");
}

#[tokio::test]
async fn a_body_that_never_comes_is_a_408_that_says_so() {
    let r0 = Replica::start("r0").await;
    let host = impatient(Guest::PLAIN, &r0).await;
    let begun = post("/anything", 10);
    let answer = admin(&host, begun.strip_suffix('x').unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(
        answer.contains("the body did not arrive within 200ms"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_what_it_asks_for_is_let_go() {
    let r0 = Replica::start("r0").await;
    let host = impatient(Guest::PLAIN, &r0).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(host.admin().unwrap()).await.unwrap();
    let ask = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    // Its answers fill all buffers; then it is not read from either, until it is reset.
    let write = async { while client.write_all(ask.as_bytes()).await.is_ok() {} };
    within("the reset", write).await;
}

/// A host whose admin listener waits for nobody.
async fn impatient(guest: Guest, replica: &Replica) -> Host {
    let mut options = options();
    options.admin_timeout = Duration::from_millis(200);
    Host::start(plan(&[replica]), guest.wat().as_bytes(), options)
        .await
        .unwrap()
}

fn request(method: &str, path: &str) -> String {
    get(path).replacen("GET", method, 1)
}

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use dtr_lb_filter::compare::Certificate;
use dtr_lb_filter::contract::PEER_CERTIFICATE;
use proxy_wasm_engine::envoy::SERVICE_TIME;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::plan::Verify;
use crate::plan::fixture::plan;
use crate::upstream::cluster::Clusters;
use crate::upstream::resolver::{self, Resolver};
use crate::upstream::unreachable::{BlackHole, refusing};

fn clusters(port: u16, tls: Option<Verify>, check: Option<&str>) -> Clusters {
    let mut plan = plan(&[("ping/r1", ([127, 0, 0, 1], port).into())]);
    plan.clusters[0].tls = tls;
    plan.clusters[0].check = check.map(str::to_owned);
    Clusters::of(&plan, &mut Resolver::new(resolver::system())).unwrap()
}

async fn reply(clusters: &Clusters, limit: Duration) -> CallReply {
    let pair = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let call = Call {
        headers: vec![
            pair(":method", "GET"),
            pair(":path", "/_ping?deep"),
            pair(":authority", "dtr.example.com"),
            pair("x-probe", "1"),
        ],
        body: Vec::new(),
        timeout: Some(limit),
    };
    let turns = clusters.turns();
    call.make(clusters.endpoint("ping/r1", &turns).unwrap())
        .await
}

/// What a filter sees: the status, the body, and whether a replica sent it.
async fn ask(port: u16, tls: Option<Verify>, limit: Duration) -> (String, String, bool) {
    let reply = reply(&clusters(port, tls, None), limit).await;
    let from_replica = reply.headers.iter().any(|(name, _)| name == SERVICE_TIME);
    let status = match reply.headers.first() {
        Some((name, value)) if name == ":status" => String::from_utf8(value.clone()).unwrap(),
        Some((name, _)) => panic!("the first header is {name}"),
        None => "none".to_owned(),
    };
    (status, String::from_utf8(reply.body).unwrap(), from_replica)
}

/// A server that reads a request, answers with these bytes and closes.
async fn canned(answer: Vec<u8>) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let request = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let request = read_head(&mut socket).await;
        socket.write_all(&answer).await.unwrap();
        socket.shutdown().await.unwrap();
        request
    });
    (port, request)
}

async fn read_head(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_reply_reaches_the_filter_with_the_header_of_a_real_one() {
    let answer = b"HTTP/1.1 503 Oh\r\nX-Reason: Garant\r\ncontent-length: 5\r\n\r\nsorry";
    let (port, request) = canned(answer.to_vec()).await;
    let seen = ask(port, None, LONG).await;
    assert_eq!(seen, ("503".to_owned(), "sorry".to_owned(), true));
    let request = timeout(LONG, request).await.unwrap().unwrap();
    assert!(
        request.starts_with("GET /_ping?deep HTTP/1.1\r\n"),
        "{request}"
    );
    for line in [
        "host: dtr.example.com\r\n",
        "x-probe: 1\r\n",
        "connection: close\r\n",
    ] {
        assert!(request.contains(line), "{line} is missing in {request}");
    }
}

#[tokio::test]
async fn without_a_reply_the_filter_gets_the_one_envoy_would_make_up() {
    const LED_BY: &str =
        "upstream connect error or disconnect/reset before headers. reset reason: ";
    let closing = canned(Vec::new()).await.0;
    let mut huge = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    huge.resize(crate::upstream::reply::MAX_BODY + 100, b'x');
    let mut header_bomb = b"HTTP/1.1 200 OK\r\n".to_vec();
    header_bomb.extend(b"x: y\r\n".repeat(1000));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (refused_at, _bound) = refusing();
    let refused = format!(
        "{LED_BY}remote connection failure, transport failure reason: \
         delayed connect error: Connection refused"
    );
    let cases = [
        (refused_at.port(), LONG, "503", refused, "refused"),
        (
            closing,
            LONG,
            "503",
            format!("{LED_BY}connection termination"),
            "closed",
        ),
        (
            canned(b"* OK IMAP4 ready\r\n".to_vec()).await.0,
            LONG,
            "503",
            format!("{LED_BY}protocol error"),
            "another protocol",
        ),
        (
            canned(header_bomb).await.0,
            LONG,
            "503",
            format!("{LED_BY}protocol error"),
            "more headers than are read",
        ),
        (
            silent.local_addr().unwrap().port(),
            Duration::from_millis(50),
            "504",
            "upstream request timeout".to_owned(),
            "hung",
        ),
        (
            canned(huge).await.0,
            LONG,
            "none",
            String::new(),
            "a body too long",
        ),
        (
            canned(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec())
                .await
                .0,
            LONG,
            "none",
            String::new(),
            "a body cut short",
        ),
    ];
    for (port, limit, status, body, why) in cases {
        let seen = ask(port, None, limit).await;
        assert_eq!(seen, (status.to_owned(), body, false), "{why}");
    }
}

#[tokio::test]
async fn a_replica_that_swallows_connections_times_out() {
    let hole = BlackHole::open();
    let (status, body, real) = ask(hole.address.port(), None, LONG).await;
    assert_eq!((status.as_str(), real), ("503", false));
    assert!(body.ends_with("reset reason: connection timeout"), "{body}");
}

/// A server with a certificate of its own making for `name`.
async fn secure(name: &str) -> (u16, String, tokio::task::JoinHandle<Option<String>>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sni = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = TlsAcceptor::from(Arc::new(config))
            .accept(socket)
            .await
            .ok()?;
        let sni = socket.get_ref().1.server_name().map(str::to_owned);
        read_head(&mut socket).await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        socket.write_all(answer).await.unwrap();
        socket.shutdown().await.unwrap();
        sni
    });
    (port, made.cert.pem(), sni)
}

#[tokio::test]
async fn certificates_are_checked_as_the_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    let ok = ("200".to_owned(), "ok".to_owned(), true);
    let ca_file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        Some(Verify::CaFile(path))
    };

    let (port, _, sni) = secure("dtr.example.com").await;
    assert_eq!(
        ask(port, Some(Verify::None), LONG).await,
        ok,
        "none accepts any"
    );
    assert_eq!(
        timeout(LONG, sni).await.unwrap().unwrap().as_deref(),
        Some("dtr.example.com"),
        "SNI is the authority"
    );

    let (port, pem, _) = secure("dtr.example.com").await;
    assert_eq!(
        ask(port, ca_file("right.pem", &pem), LONG).await,
        ok,
        "the right CA"
    );

    let other = secure("dtr.example.com").await.1;
    let wrong_name = secure("other.example.com").await;
    let cases = [
        (
            secure("dtr.example.com").await.0,
            Some(Verify::System),
            "an unknown CA",
        ),
        (
            secure("dtr.example.com").await.0,
            ca_file("other.pem", &other),
            "another CA",
        ),
        (
            wrong_name.0,
            ca_file("name.pem", &wrong_name.1),
            "another name",
        ),
    ];
    for (port, verify, why) in cases {
        let (status, body, real) = ask(port, verify, LONG).await;
        assert_eq!((status.as_str(), real), ("503", false), "{why}");
        assert!(
            body.contains("TLS_error:CERTIFICATE_VERIFY_FAILED: "),
            "{why}: {body}"
        );
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    });
    let (status, body, _) = ask(port, Some(Verify::None), LONG).await;
    assert_eq!(status, "503", "TLS to a plain port");
    assert!(body.contains("TLS_error: "), "{body}");
}

#[tokio::test]
async fn the_certificate_is_announced_to_probes_alone_and_cannot_be_forged() {
    let announced = async |port, tls, check| {
        let clusters = clusters(port, tls, check);
        let headers = reply(&clusters, LONG).await.headers;
        let value = headers
            .into_iter()
            .find(|(name, _)| name == PEER_CERTIFICATE);
        let expiry = clusters.certificate_expiries().next();
        let not_after = expiry.map(|expiry| expiry.not_after);
        (
            value.map(|(_, value)| String::from_utf8(value).unwrap()),
            not_after,
        )
    };
    let port = secure("dtr.example.com").await.0;
    let (value, not_after) = announced(port, Some(Verify::None), Some("ping")).await;
    let certificate = Certificate::from_header(&value.unwrap()).unwrap();
    assert_eq!(certificate.names, ["dtr.example.com"]);
    assert_eq!(not_after, Some(certificate.not_after));

    let port = secure("dtr.example.com").await.0;
    let filters = announced(port, Some(Verify::None), None).await;
    assert_eq!(filters, (None, None), "a filter's own call");
    let port = secure("dtr.example.com").await.0;
    let refused = announced(port, Some(Verify::System), Some("ping")).await;
    assert_eq!(refused, (None, None), "one that is not trusted");

    let forged = format!("HTTP/1.1 200 OK\r\n{PEER_CERTIFICATE}: x\r\ncontent-length: 0\r\n\r\n");
    let port = canned(forged.into()).await.0;
    let forged = announced(port, None, Some("ping")).await;
    assert_eq!(forged, (None, None), "the replica's own word");
}

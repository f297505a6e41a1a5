#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::net::Ipv4Addr;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::*;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn replica(registry: &Registry, name: &str) -> Replica {
    registry.replica(name, ANY, ANY).await.unwrap()
}

/// Sends a request and gives the whole answer, head and body.
async fn send(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str) -> String {
    let request = format!("{head}\r\nHost: dtr.example.com\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(replica: &Replica, path: &str) -> String {
    let stream = TcpStream::connect(replica.http()).await.unwrap();
    send(stream, &format!("GET {path} HTTP/1.1")).await
}

#[tokio::test]
async fn a_ping_reports_the_condition_in_the_registrys_form() {
    let registry = Registry::new("dtr.example.com").unwrap();
    let replica = replica(&registry, "r1").await;
    let cases = [
        ("healthy", "HTTP/1.1 200 ", r#"{"Error":"","Healthy":true}"#),
        (
            "failing garant: no signing key",
            "HTTP/1.1 503 ",
            r#"{"Error":"garant: no signing key","Healthy":false}"#,
        ),
        (
            "disagreeing notary: down",
            "HTTP/1.1 200 ",
            r#"{"Error":"notary: down","Healthy":false}"#,
        ),
    ];
    for (condition, status, body) in cases {
        replica
            .set_condition(condition.parse().unwrap())
            .await
            .unwrap();
        let answer = get(&replica, "/_ping").await;
        assert!(answer.starts_with(status), "{condition}: {answer}");
        assert!(answer.trim_end().ends_with(body), "{condition}: {answer}");
        assert!(answer.contains("x-replica: r1"), "{condition}: {answer}");
    }
    assert!("sick".parse::<Condition>().is_err());
}

#[tokio::test]
async fn a_replica_that_is_gone_refuses_and_comes_back_on_the_same_port() {
    let registry = Registry::new("dtr.example.com").unwrap();
    let replica = replica(&registry, "r1").await;
    let mut open = TcpStream::connect(replica.http()).await.unwrap();
    open.write_all(b"GET /echo HTTP/1.1\r\n").await.unwrap();

    replica.set_condition(Condition::Gone).await.unwrap();
    let refused = TcpStream::connect(replica.http()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let mut rest = Vec::new();
    let cut = open.read_to_end(&mut rest).await;
    assert!(
        cut.is_err() || rest.is_empty(),
        "the open connection was not cut: {rest:?}"
    );

    replica.set_condition(Condition::Healthy).await.unwrap();
    assert!(get(&replica, "/_ping").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn https_is_verified_by_the_registrys_own_authority_and_sees_the_name() {
    let registry = Registry::new("dtr.example.com").unwrap();
    let replica = replica(&registry, "r1").await;
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(registry.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(replica.https()).await.unwrap();
    let name = ServerName::try_from("dtr.example.com").unwrap();
    let stream = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
        .unwrap();

    let answer = send(stream, "GET /_ping HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let expected = Ping {
        path: "/_ping".into(),
        host: Some("dtr.example.com".into()),
        sni: Some("dtr.example.com".into()),
        scheme: "https",
    };
    assert_eq!(replica.pings(), [expected]);
}

#[tokio::test]
async fn a_blob_has_its_size_and_its_pattern() {
    let registry = Registry::new("dtr.example.com").unwrap();
    let replica = replica(&registry, "r1").await;
    let mut stream = TcpStream::connect(replica.http()).await.unwrap();
    let request = "GET /blob/200000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let body = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert!(String::from_utf8_lossy(&answer[..body]).contains("content-length: 200000"));
    assert_eq!(answer.len() - body, 200_000);
    let wrong = answer[body..]
        .iter()
        .enumerate()
        .find(|(index, byte)| usize::from(**byte) != index % 251);
    assert_eq!(wrong, None);
}

#[tokio::test]
async fn the_cluster_status_needs_a_login_and_shows_all() {
    let registry = Registry::new("dtr.example.com").unwrap();
    let one = replica(&registry, "r1").await;
    let two = replica(&registry, "r2").await;
    two.set_condition(Condition::Failing("registry: disk full".into()))
        .await
        .unwrap();

    let path = "/api/v0/meta/cluster_status";
    let refused = get(&one, path).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let stream = TcpStream::connect(one.http()).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nAuthorization: Basic YWRtaW46cGFzc3dvcmQ=");
    let answer = send(stream, &head).await;
    assert!(
        answer.contains(r#""replica_health":{"r1":"OK","r2":"registry: disk full"}"#),
        "{answer}"
    );
}

#[tokio::test]
async fn control_changes_conditions_and_names_what_it_knows() {
    let registry = Registry::new("dtr.example.com").unwrap();
    let replicas: Arc<[Replica]> = vec![replica(&registry, "r1").await].into();
    let control = Control::start(ANY, Arc::clone(&replicas)).await.unwrap();
    let change = async |name: &str, text: &str| {
        let mut stream = TcpStream::connect(control.address()).await.unwrap();
        let request = format!(
            "POST /{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };

    assert!(change("r1", "failing").await.starts_with("HTTP/1.1 200 "));
    assert!(
        get(&replicas[0], "/_ping")
            .await
            .starts_with("HTTP/1.1 503 ")
    );
    let unknown = change("r9", "failing").await;
    assert!(
        unknown.contains(r#"no replica "r9"; known: r1"#),
        "{unknown}"
    );
    let condition = change("r1", "sick").await;
    assert!(
        condition.contains("no such condition; expected healthy, failing"),
        "{condition}"
    );
}

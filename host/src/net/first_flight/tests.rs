#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;
use crate::net::client_hello::fixture::{extension, in_records_of, message, record};

/// What rustls sends first, in one record.
fn client_hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = "dtr.example.com".try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut sent = Vec::new();
    connection.write_tls(&mut sent).unwrap();
    sent
}

/// A ClientHello with these extensions, without the record.
fn hello_with(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let extensions = extensions.iter();
    let extensions = extensions.map(|(kind, content)| extension(*kind, content));
    message(&extensions.collect::<Vec<_>>())
}

fn open(sent: &[u8]) -> Resend {
    judge(sent, End::More)
}

#[test]
fn a_client_hello_may_be_sent_again_wherever_it_is_cut() {
    let hello = client_hello();
    assert!(hello.len() > 150, "{}", hello.len());
    let message = &hello[5..];
    for (why, sent) in [
        ("in one record", hello.clone()),
        ("in records of 1 byte", in_records_of(1, message)),
        ("in records of 64 bytes", in_records_of(64, message)),
        ("without extensions", {
            let mut short = hello_with(&[]);
            short.truncate(short.len() - 2);
            short[3] -= 2;
            record(22, &short)
        }),
    ] {
        for length in 0..=sent.len() {
            let part = &sent[..length];
            let expected = match length < sent.len() {
                true => Resend::Part,
                false => Resend::Whole,
            };
            assert_eq!(open(part), expected, "{why}, {length} of {}", sent.len());
            assert_eq!(
                judge(part, End::Last),
                Resend::Never,
                "{why}, {length} bytes, and the client has left"
            );
        }
        for more in [0, 20, 22, 23, b'G'] {
            let sent = [&sent[..], &[more]].concat();
            assert_eq!(open(&sent), Resend::Never, "{why}, then {more}");
        }
    }
}

#[test]
fn early_data_is_never_sent_twice() {
    let announced: &[(u16, &[u8])] = &[(0, b"name"), (42, b""), (41, b"ticket")];
    let hello = record(22, &hello_with(announced));
    // As far as the number of its extension is not there.
    let number = hello.windows(4).rposition(|four| four == [0, 42, 0, 0]);
    let announced_at = number.unwrap() + 2;
    for length in 0..=hello.len() {
        let expected = match length < announced_at {
            true => Resend::Part,
            false => Resend::Never,
        };
        assert_eq!(open(&hello[..length]), expected, "{length} bytes");
    }
    let with_data = [hello, record(23, b"GET /")].concat();
    assert_eq!(open(&with_data), Resend::Never);
    let not_announced = record(22, &hello_with(&[(0, b"name"), (41, &[0, 42])]));
    assert_eq!(
        open(&not_announced),
        Resend::Whole,
        "42 within an extension is no early data"
    );
    for next in [record(20, &[1]), record(23, b"x"), not_announced.clone()] {
        let sent = [&not_announced[..], &next].concat();
        assert_eq!(open(&sent), Resend::Never, "something after the hello");
    }
}

#[test]
fn what_is_no_client_hello_is_not_sent_again() {
    let hello = hello_with(&[(0, b"name")]);
    let changed = |at: usize, byte: u8| {
        let mut hello = hello.clone();
        hello[at] = byte;
        record(22, &hello)
    };
    let cases = [
        ("another handshake message", changed(0, 2)),
        ("longer than what is kept", changed(1, 1)),
        ("shorter than its record", changed(3, hello[3] - 1)),
        ("lists that end elsewhere", changed(38, 200)),
        ("a record of SSL 2", vec![22, 2]),
        ("an empty record", record(22, &[])),
        ("a record that is too long", vec![22, 3, 1, 0x40, 1]),
        ("an alert", record(21, &[1, 0])),
        ("application data", record(23, b"x")),
        ("two hellos in one record", record(22, &hello.repeat(2))),
    ];
    for (why, sent) in cases {
        assert_eq!(open(&sent), Resend::Never, "{why}: {sent:?}");
    }
}

#[test]
fn a_whole_request_of_a_safe_method_may_be_sent_again() {
    let safe = [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.0\n\n",
        "HEAD /v2/a/blobs/b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/b?c=d HTTP/1.1\r\nHost: a\r\nCookie: POST=1\r\n\r\n",
    ];
    for sent in safe {
        for end in [End::More, End::Last] {
            assert_eq!(judge(sent.as_bytes(), end), Resend::Whole, "{sent:?}");
        }
        let line = sent.find('\n').unwrap() + 1;
        for length in 1..sent.len() {
            let part = &sent[..length];
            let expected = match length < line {
                true => Resend::Never,
                false => Resend::Part,
            };
            assert_eq!(open(part.as_bytes()), expected, "{part:?}");
            assert_eq!(
                judge(part.as_bytes(), End::Last),
                Resend::Never,
                "{part:?}, and no more comes"
            );
        }
        let again = sent.repeat(2);
        for length in sent.len() + 1..=again.len() {
            let more = &again[..length];
            assert_eq!(open(more.as_bytes()), Resend::Never, "{more:?}");
        }
    }
}

#[test]
fn every_other_request_is_not_sent_again() {
    let cases = [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1",
        "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n",
        "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "Get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GETS / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 0, 0\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nEXPECT: 100-continue\r\n\r\n",
        "GET / HTTP/1.1\r\nExpect: 100-continue\r\nHost: a",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nP",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET /\r\n",
        "GET key\r\n",
        "OPTIONS sip:a@b SIP/2.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "H",
    ];
    for sent in cases {
        let bytes = sent.as_bytes();
        let mut flight = FirstFlight::new();
        flight.keep(bytes);
        assert_eq!(flight.resend(End::More), Resend::Never, "{sent:?}");
        assert_eq!(judge(bytes, End::Last), Resend::Never, "{sent:?}");
    }
    let headers = "a: b\r\n".repeat(200);
    let sent = format!("GET / HTTP/1.1\r\n{headers}\r\n");
    assert_eq!(open(sent.as_bytes()), Resend::Never, "200 headers");
}

#[test]
fn only_what_may_be_sent_again_is_kept() {
    let mut flight = FirstFlight::new();
    assert_eq!(flight.resend(End::More), Resend::Part, "nothing was sent");
    assert_eq!(flight.resend(End::Last), Resend::Never, "nothing is wanted");
    for part in ["GET / HT", "TP/1.1\r\nHost: a\r\n", "\r\n"] {
        flight.keep(part.as_bytes());
    }
    let whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(flight, FirstFlight::Kept(whole.to_vec()));
    flight.keep(b"");
    assert_eq!(flight.resend(End::Last), Resend::Whole);

    let path = "x".repeat(MOST_KEPT - whole.len());
    let longest = format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut flight = FirstFlight::new();
    for part in longest.as_bytes().chunks(1000) {
        flight.keep(part);
    }
    assert_eq!(flight.resend(End::More), Resend::Whole, "as long as may be");
    flight.keep(b"x");
    assert_eq!(flight, FirstFlight::Over, "and one more");
    flight.keep(whole);
    assert_eq!(flight, FirstFlight::Over, "and that's it");

    for first in 0..=u8::MAX {
        let mut flight = FirstFlight::new();
        flight.keep(&[first]);
        let kept = matches!(flight, FirstFlight::Kept(_));
        assert_eq!(kept, b"\x16GHO".contains(&first), "{first}");
    }
}

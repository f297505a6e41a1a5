//! How a client begins TLS.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// What rustls sends first.
pub(super) fn client_hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("dtr.example.com").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut sent = Vec::new();
    connection.write_tls(&mut sent).unwrap();
    sent
}

/// A ClientHello that announces early data, and some.
pub(super) fn early_data() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend([0, 4, 0, 42, 0, 0]);
    let mut sent = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    sent.extend(body);
    sent.extend(b"\x17\x03\x03\x00\x05early");
    sent
}

//! Certificates of an admin listener.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Writes a new certificate and its key, in place of those of this name: the `tls` that
/// names them.
pub(crate) fn renew(folder: &Path, name: &str) -> Value {
    let made = rcgen::generate_simple_self_signed(["lb.example.com".to_owned()]).unwrap();
    let certificate = folder.join(format!("{name}.pem"));
    let key = folder.join(format!("{name}.key"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    json!({ "certificate": certificate, "key": key })
}

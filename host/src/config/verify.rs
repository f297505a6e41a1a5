//! How a certificate is verified.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::json;
use super::problems::Problems;

/// How the certificate of a TLS endpoint is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Against the system's roots.
    System,
    /// Against the certificates of a PEM file.
    CaFile(PathBuf),
    /// Not at all.
    None,
}

impl Verify {
    /// Reads the field `verify` inside `field`; a relative path starts at the
    /// configuration's folder.
    pub(super) fn read(verify: Option<&str>, field: &str, problems: &mut Problems) -> Verify {
        let text = match verify {
            None | Some("system") => return Verify::System,
            Some("none") => return Verify::None,
            Some(text) => text,
        };
        let path = problems.source().folder().join(text);
        if let Err(reason) = read_certificates(&path) {
            let remedy = match json::nearest(text, &["system", "none"]) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "correct it".to_owned(),
            };
            let problem = format!(
                r#"neither "system" nor "none", and as a file of CA certificates (PEM) it {reason}; {remedy}"#
            );
            problems.refuse(&format!("{field}.verify"), text, problem);
        }
        Verify::CaFile(path)
    }
}

/// The certificates of a file, at least one; what is wrong with it.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read_pem(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("holds no certificate".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("can't be decoded ({error})")),
    }
}

/// What is in a file; why it can't be read.
pub(super) fn read_pem(path: &Path) -> Result<Vec<u8>, String> {
    let unread = |error| format!("can't be read: {}: {error}", path.display());
    // A pipe may never end, and a reload must not wait for it.
    if !path.metadata().map_err(unread)?.is_file() {
        return Err(format!("is no file: {}", path.display()));
    }
    std::fs::read(path).map_err(unread)
}

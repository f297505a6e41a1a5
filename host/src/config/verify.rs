//! How a certificate is verified.

use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::ConfigError;
use super::source::Source;

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
    pub(super) fn read(
        verify: Option<&str>,
        field: &str,
        source: &Source,
    ) -> Result<Verify, ConfigError> {
        let text = match verify {
            None | Some("system") => return Ok(Verify::System),
            Some("none") => return Ok(Verify::None),
            Some(text) => text,
        };
        let path = source.folder().join(text);
        let refuse = |reason: String| {
            let problem = format!(
                r#"neither "system" nor "none", and as a file of CA certificates (PEM) it {reason}; correct it"#
            );
            source.refuse(&format!("{field}.verify"), text, problem)
        };
        let pem = std::fs::read(&path)
            .map_err(|error| refuse(format!("can't be read: {}: {error}", path.display())))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match certificates {
            Ok(certificates) if certificates.is_empty() => {
                Err(refuse("holds no certificate".to_owned()))
            }
            Ok(_) => Ok(Verify::CaFile(path)),
            Err(error) => Err(refuse(format!("can't be decoded ({error})"))),
        }
    }
}

//! TLS towards the replicas, for probes only: traffic is never touched.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use http::uri::Authority;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::error::StartError;
use crate::plan::{Protocol, Verify};
use crate::upstream::self_signed::{SelfSigned, is_own_authority};
use crate::upstream::system_roots::SystemRoots;
use crate::upstream::without_authority::WithoutAuthority;

/// One client configuration for each way of checking certificates, and for each
/// version of HTTP that is asked for.
#[derive(Default)]
pub(crate) struct Configs {
    made: Vec<(Verify, Protocol, Arc<ClientConfig>)>,
}

impl Configs {
    /// # Errors
    /// A CA file that can't be read or holds no certificate.
    pub(crate) fn config(
        &mut self,
        verify: &Verify,
        protocol: Protocol,
    ) -> Result<Arc<ClientConfig>, StartError> {
        let known = |one: &&(Verify, Protocol, _)| one.0 == *verify && one.1 == protocol;
        if let Some((_, _, made)) = self.made.iter().find(known) {
            return Ok(Arc::clone(made));
        }
        let mut made = client_config(verify)?;
        if protocol == Protocol::Http2 {
            made.alpn_protocols = vec![b"h2".to_vec()];
        }
        let made = Arc::new(made);
        self.made
            .push((verify.clone(), protocol, Arc::clone(&made)));
        Ok(made)
    }
}

fn client_config(verify: &Verify) -> Result<ClientConfig, StartError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(StartError::Tls)?;
    let config = match verify {
        Verify::System => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(SystemRoots::new(provider))),
        Verify::CaFile(path) => {
            let verifier = self_signed(path, provider).map_err(|reason| StartError::CaFile {
                path: path.clone(),
                reason,
            })?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
        Verify::None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(WithoutAuthority::any(provider))),
    };
    Ok(config.with_no_client_auth())
}

/// Trusts the certificates of a PEM file.
fn self_signed(path: &Path, provider: Arc<CryptoProvider>) -> Result<SelfSigned, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    let authorities = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(SelfSigned {
        authorities,
        certificates,
    })
}

/// The name a certificate must be for: the host of an `:authority`.
///
/// # Errors
/// Neither a DNS name nor an address.
pub(crate) fn server_name(authority: &str) -> io::Result<ServerName<'static>> {
    let refused = |name: &str, error: &dyn Error| {
        io::Error::other(format!("{name:?} is no server name: {error}"))
    };
    let parsed: Authority = authority
        .parse()
        .map_err(|error| refused(authority, &error))?;
    let host = parsed.host();
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    ServerName::try_from(host.to_owned()).map_err(|error| refused(host, &error))
}

/// Envoy's transport failure reason for a handshake that failed.
pub(crate) fn failure_reason(error: &io::Error) -> String {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(error) if is_own_authority(error) => {
            "TLS_error:CERTIFICATE_VERIFY_FAILED: it signed itself; to trust it, \
             give its file as \"verify\" (--verify)"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => format!(
            "TLS_error:CERTIFICATE_VERIFY_FAILED: {error}; to trust it, give the certificate of \
             the authority that signed it as \"verify\" (--verify)"
        ),
        Some(rustls::Error::InvalidCertificate(_)) => {
            format!("TLS_error:CERTIFICATE_VERIFY_FAILED: {error}")
        }
        _ => format!("TLS_error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untrusted_certificate_names_the_field_that_would_trust_it() {
        let reason = |error| failure_reason(&io::Error::other(rustls::Error::from(error)));
        let untrusted = reason(CertificateError::UnknownIssuer);
        let remedy = "; to trust it, give the certificate of the authority that signed it as \
                      \"verify\" (--verify)";
        assert!(untrusted.ends_with(remedy), "{untrusted}");
        // No other authority would help.
        let expired = reason(CertificateError::Expired);
        assert!(!expired.contains("verify\""), "{expired}");
        for reason in [untrusted, expired] {
            let start = "TLS_error:CERTIFICATE_VERIFY_FAILED: ";
            assert!(reason.starts_with(start), "{reason}");
        }
    }

    #[test]
    fn the_server_name_is_the_host_of_the_authority() {
        let cases = [
            ("dtr.example.com", "dtr.example.com"),
            ("dtr.example.com:8443", "dtr.example.com"),
            ("10.0.0.1:443", "10.0.0.1"),
            ("[::1]:443", "::1"),
            ("[::1]", "::1"),
        ];
        for (authority, expected) in cases {
            let name = server_name(authority).map(|name| name.to_str().into_owned());
            assert_eq!(name.ok().as_deref(), Some(expected), "{authority}");
        }
        for authority in ["no name", "", "a..b:443"] {
            assert!(server_name(authority).is_err(), "{authority:?}");
        }
    }
}

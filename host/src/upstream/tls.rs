//! TLS towards the replicas, for probes only: traffic is never touched.

use std::error::Error;
use std::io;
use std::sync::Arc;

use http::uri::Authority;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tracing::warn;

use crate::error::StartError;
use crate::plan::{Protocol, Verify};
use crate::upstream::self_signed::{SelfSigned, is_own_authority};

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
        Verify::System => builder.with_root_certificates(system_roots()),
        Verify::CaFile(path) => {
            let unusable = |reason: String| StartError::CaFile {
                path: path.clone(),
                reason,
            };
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| unusable(error.to_string()))?;
            let mut roots = RootCertStore::empty();
            for certificate in &certificates {
                roots
                    .add(certificate.clone())
                    .map_err(|error| unusable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable("no certificate in it".to_owned()));
            }
            let authorities = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(|error| unusable(error.to_string()))?;
            let pinned = SelfSigned {
                authorities,
                certificates,
            };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(pinned))
        }
        Verify::None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAll(provider))),
    };
    Ok(config.with_no_client_auth())
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_, _unusable) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        warn!(
            errors = errors.join("; "),
            "the system has no CA certificates: every probe over https will fail; install \
             ca-certificates, or set health.verify to a CA file or \"none\""
        );
    }
    roots
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
             give its file as \"verify\""
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(_)) => {
            format!("TLS_error:CERTIFICATE_VERIFY_FAILED: {error}")
        }
        _ => format!("TLS_error: {error}"),
    }
}

/// Accepts every certificate, as `verify: none` asks. The handshake's signatures
/// are still checked, so that a broken peer is not taken for an unknown one.
#[derive(Debug)]
struct AcceptAll(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

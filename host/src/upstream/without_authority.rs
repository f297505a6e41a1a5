//! Certificates that no authority has to vouch for, because the operator says so.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_rustls::TlsConnector;

/// Accepts every certificate, as `verify: none` asks, or exactly one. The handshake's
/// signatures are still checked, so that a broken peer is not taken for an unknown one.
#[derive(Debug)]
pub(crate) struct WithoutAuthority {
    provider: Arc<CryptoProvider>,
    /// `None`: any will do.
    expected: Option<CertificateDer<'static>>,
}

impl WithoutAuthority {
    pub(crate) fn any(provider: Arc<CryptoProvider>) -> WithoutAuthority {
        WithoutAuthority {
            provider,
            expected: None,
        }
    }
}

/// Connects to a server with this certificate, whatever name it is for: it is known from
/// the server's own configuration. `None`: any will do.
///
/// # Errors
/// TLS can't be spoken.
pub(crate) fn connector(expected: Option<CertificateDer<'static>>) -> Result<TlsConnector, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WithoutAuthority {
        provider: Arc::clone(&provider),
        expected,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl ServerCertVerifier for WithoutAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.expected {
            Some(expected) if expected != end_entity => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

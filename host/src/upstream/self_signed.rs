//! Certificates that are trusted because the operator's file holds them, not for
//! who signed them.
//!
//! A certificate made with `openssl req -x509` signs itself and is its own
//! authority. Given as the CA file it is as good as can be, and Envoy accepts it;
//! the path rules rustls follows don't let an authority be a server as well.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

/// Checks a server's certificate against authorities, or finds it among them.
#[derive(Debug)]
pub(crate) struct SelfSigned {
    pub(crate) authorities: Arc<WebPkiServerVerifier>,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for SelfSigned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = self.authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match checked {
            // Only this: an expired one, or one for another name, stays refused.
            Err(error)
                if is_own_authority(&error)
                    && self.certificates.iter().any(|one| one == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Whether a certificate was refused for being an authority itself.
pub(crate) fn is_own_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => {
            why.to_string().contains(OWN_AUTHORITY)
        }
        _ => false,
    }
}

/// As webpki names it; it is not among the errors rustls has a variant for.
const OWN_AUTHORITY: &str = "CaUsedAsEndEntity";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    use rustls::RootCertStore;
    use rustls::crypto::ring;

    use super::*;

    /// A certificate that signs itself and is its own authority.
    fn own_authority(last_year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["dtr.example.com".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    fn accepts(trusted: &CertificateDer<'static>, shown: &CertificateDer<'_>, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let pinned = SelfSigned {
            authorities: WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .unwrap(),
            certificates: vec![trusted.clone()],
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::now();
        pinned
            .verify_server_cert(shown, &[], &name, &[], now)
            .is_ok()
    }

    #[test]
    fn a_certificate_that_is_its_own_authority_is_accepted_when_it_is_in_the_file() {
        let (ours, other) = (own_authority(4000), own_authority(4000));
        assert!(accepts(&ours, &ours, "dtr.example.com"));
        assert!(!accepts(&ours, &ours, "evil.example.com"), "another name");
        assert!(
            !accepts(&ours, &other, "dtr.example.com"),
            "not in the file"
        );
        let expired = own_authority(2000);
        assert!(!accepts(&expired, &expired, "dtr.example.com"), "expired");
    }
}

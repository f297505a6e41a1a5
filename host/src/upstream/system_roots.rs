//! The certificates of authorities that the system trusts.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tracing::warn;

/// Checks a server's certificate against the system's authorities. Reading them, often
/// from more than a hundred files, is not waited for before they are needed.
#[derive(Clone)]
pub(crate) struct SystemRoots(Arc<Roots>);

struct Roots {
    provider: Arc<CryptoProvider>,
    read: fn() -> RootCertStore,
    /// In it `None`: the system has none.
    authorities: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
}

impl SystemRoots {
    /// Begins to read them.
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> SystemRoots {
        SystemRoots::read_by(provider, system_roots)
    }

    fn read_by(provider: Arc<CryptoProvider>, read: fn() -> RootCertStore) -> SystemRoots {
        let roots = SystemRoots(Arc::new(Roots {
            provider,
            read,
            authorities: OnceLock::new(),
        }));
        let reader = roots.clone();
        let thread = std::thread::Builder::new().name("system-roots".to_owned());
        // Without a thread, they are read when they are needed.
        let _ = thread.spawn(move || drop(reader.authorities()));
        roots
    }

    /// Waits until they are read.
    fn authorities(&self) -> Result<&WebPkiServerVerifier, Error> {
        let roots = &self.0;
        let authorities = roots.authorities.get_or_init(|| {
            let provider = Arc::clone(&roots.provider);
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new((roots.read)()), provider);
            builder.build().ok()
        });
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        authorities.as_deref().ok_or(unknown)
    }
}

impl ServerCertVerifier for SystemRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.authorities()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities()?
            .verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities()?
            .verify_tls13_signature(message, cert, dss)
    }

    /// Asked for before a server has shown its certificate.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.0.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

impl fmt::Debug for SystemRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemRoots")
    }
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::LazyLock;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::crypto::ring;

    use super::*;

    static AUTHORITY: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(|| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    });

    fn authority_alone() -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(AUTHORITY.der().clone()).unwrap();
        roots
    }

    fn check(read: fn() -> RootCertStore, name: &str) -> Result<ServerCertVerified, Error> {
        let params = CertificateParams::new(vec!["dtr.example.com".to_owned()]).unwrap();
        let signed = params.signed_by(&KeyPair::generate().unwrap(), &AUTHORITY);
        let roots = SystemRoots::read_by(Arc::new(ring::default_provider()), read);
        assert!(!roots.supported_verify_schemes().is_empty());
        let name = ServerName::try_from(name.to_owned()).unwrap();
        roots.verify_server_cert(signed.unwrap().der(), &[], &name, &[], UnixTime::now())
    }

    #[test]
    fn what_an_authority_of_the_system_has_signed_is_accepted() {
        check(authority_alone, "dtr.example.com").unwrap();
        let error = check(authority_alone, "evil.example.com").unwrap_err();
        assert!(matches!(error, Error::InvalidCertificate(_)), "{error}");
    }

    #[test]
    fn without_authorities_every_issuer_is_unknown() {
        let error = check(RootCertStore::empty, "dtr.example.com").unwrap_err();
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert_eq!(error, unknown);
    }
}

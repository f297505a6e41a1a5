//! How a server of ours is spoken to.

use rustls::pki_types::CertificateDer;

/// How a server is spoken to, and who it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Without TLS.
    Clear,
    /// TLS, whatever certificate it shows: for what is no secret.
    TlsWithAnybody,
    /// TLS with the server of this certificate, DER, and no other.
    TlsWith(CertificateDer<'static>),
}

impl Transport {
    /// With a server that has this certificate, or none.
    pub(crate) fn of(certificate: Option<CertificateDer<'static>>) -> Transport {
        certificate.map_or(Transport::Clear, Transport::TlsWith)
    }
}

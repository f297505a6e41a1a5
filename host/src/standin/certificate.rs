//! The stand-ins' certificate, made anew at each start.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

/// A certificate for the registry's name, and the authority that signed it.
pub(super) struct Certificate {
    pub(super) ca_pem: String,
    server: Arc<ServerConfig>,
}

impl Certificate {
    pub(super) fn for_name(fqdn: &str) -> io::Result<Self> {
        let params = CertificateParams::new(vec![fqdn.to_owned()]);
        Self::of(fqdn, params.map_err(io::Error::other)?)
    }

    /// As before, of a time that is over.
    pub(super) fn expired(fqdn: &str) -> io::Result<Self> {
        let params = CertificateParams::new(vec![fqdn.to_owned()]);
        let mut params = params.map_err(io::Error::other)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        Self::of(fqdn, params)
    }

    fn of(fqdn: &str, params: CertificateParams) -> io::Result<Self> {
        let (ca_pem, certificate, key) = signed(fqdn, params).map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|server| {
                server
                    .with_no_client_auth()
                    .with_single_cert(vec![certificate.der().clone()], key)
            })
            .map_err(io::Error::other)?;
        Ok(Self {
            ca_pem,
            server: Arc::new(server),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }
}

fn signed(
    fqdn: &str,
    mut own: CertificateParams,
) -> Result<(String, rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(DnType::CommonName, "dtr-lb stand-in authority");
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    own.distinguished_name.push(DnType::CommonName, fqdn);
    let own_key = KeyPair::generate()?;
    let own = own.signed_by(&own_key, &issuer)?;
    Ok((ca_pem, own, own_key))
}

//! One registry of several replicas.

use std::io;
use std::net::SocketAddr;

use super::certificate::Certificate;
use super::replica::Replica;
use super::state::Members;

/// One registry of several replicas, under one name and one certificate.
pub struct Registry {
    certificate: Certificate,
    members: Members,
}

impl Registry {
    /// A registry of that name, without replicas so far.
    ///
    /// # Errors
    /// No certificate can be made for the name.
    pub fn new(fqdn: &str) -> io::Result<Self> {
        Ok(Self {
            certificate: Certificate::for_name(fqdn)?,
            members: Members::default(),
        })
    }

    /// As [`Registry::new`], with a certificate that is over.
    ///
    /// # Errors
    /// No certificate can be made for the name.
    pub fn expired(fqdn: &str) -> io::Result<Self> {
        Ok(Self {
            certificate: Certificate::expired(fqdn)?,
            members: Members::default(),
        })
    }

    /// Starts a replica on the given addresses; port 0 means any free port, which
    /// it then keeps.
    ///
    /// # Errors
    /// An address can't be bound.
    pub async fn replica(
        &self,
        name: &str,
        http: SocketAddr,
        https: SocketAddr,
    ) -> io::Result<Replica> {
        let acceptor = self.certificate.acceptor();
        Replica::start(name, http, https, acceptor, &self.members).await
    }

    /// The certificate that signed the replicas' own, as PEM: a CA file to verify
    /// them with.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.certificate.ca_pem
    }
}

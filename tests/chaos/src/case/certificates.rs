//! Certificates of replicas, right and wrong.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dtr_lb_tests::{Authority, FQDN};

use crate::event::Certificate;

/// The files of a case.
pub(super) struct Certificates(PathBuf);

impl Certificates {
    /// Writes all of them.
    ///
    /// # Errors
    /// When a file can't be written.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let all = Self(folder.to_owned());
        authority.write(&all.authority());
        std::fs::write(all.path(Certificate::Right), authority.certificate(FQDN))?;
        let wrong = authority.certificate("another.example.com");
        std::fs::write(all.path(Certificate::WrongName), wrong)?;
        std::fs::write(
            all.path(Certificate::Expired),
            authority.expired_certificate(FQDN),
        )?;
        // An authority nobody trusts is as good as none.
        std::fs::write(
            all.path(Certificate::SelfSigned),
            stranger.certificate(FQDN),
        )?;
        Ok(all)
    }

    /// The certificate that signed the others.
    pub(super) fn authority(&self) -> PathBuf {
        self.0.join("authority.pem")
    }

    /// The one a replica starts with.
    pub(super) fn right(&self) -> PathBuf {
        self.path(Certificate::Right)
    }

    /// Where one is.
    pub(super) fn path(&self, which: Certificate) -> PathBuf {
        self.0.join(match which {
            Certificate::Right => "right.pem",
            Certificate::WrongName => "wrong-name.pem",
            Certificate::Expired => "expired.pem",
            Certificate::SelfSigned => "self-signed.pem",
        })
    }
}

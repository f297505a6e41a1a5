//! The certificate that a replica last showed to a check's probes, and how the filter
//! hears of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dtr_lb_filter::compare::Certificate;
use dtr_lb_filter::contract::PEER_CERTIFICATE;
use proxy_wasm_engine::Headers;
use rustls::pki_types::CertificateDer;

use crate::upstream::certificate;

/// What a replica last showed to a check's probes.
pub(crate) struct ShownCertificate {
    /// The name of the check.
    pub(crate) check: Arc<str>,
    last: Mutex<Option<Arc<Shown>>>,
}

/// One certificate: read once, however often it is shown.
struct Shown {
    der: CertificateDer<'static>,
    /// `None`: it can't be read.
    read: Option<Read>,
}

struct Read {
    header: Vec<u8>,
    /// Unix seconds.
    not_after: i64,
}

/// Until when a replica's certificate is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateExpiry {
    pub(crate) replica: Arc<str>,
    pub(crate) check: Arc<str>,
    /// Unix seconds.
    pub(crate) not_after: i64,
}

impl ShownCertificate {
    /// None has been shown yet.
    pub(super) fn new(check: &str) -> ShownCertificate {
        ShownCertificate {
            check: check.into(),
            last: Mutex::default(),
        }
    }

    /// Puts what the connection showed among the headers of the reply that came over it.
    /// A header of that name that the replica itself sent is taken out.
    pub(super) fn announce(&self, shown: Option<CertificateDer<'static>>, headers: &mut Headers) {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(PEER_CERTIFICATE));
        let Some(der) = shown else {
            return;
        };
        if let Some(read) = &self.take_in(der).read {
            headers.push((PEER_CERTIFICATE.to_owned(), read.header.clone()));
        }
    }

    /// Goes on with what the same replica showed before a reload.
    pub(super) fn take_over(&self, earlier: &ShownCertificate) {
        let known = earlier.lock().clone();
        let mut last = self.lock();
        if last.is_none() {
            *last = known;
        }
    }

    /// Until when the last one is valid, in Unix seconds; `None`: it is not known.
    pub(super) fn not_after(&self) -> Option<i64> {
        let last = self.lock();
        Some(last.as_ref()?.read.as_ref()?.not_after)
    }

    fn take_in(&self, der: CertificateDer<'static>) -> Arc<Shown> {
        let mut last = self.lock();
        if let Some(known) = last.as_ref().filter(|known| known.der == der) {
            return Arc::clone(known);
        }
        let shown = Arc::new(Shown::of(der));
        *last = Some(Arc::clone(&shown));
        shown
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Shown>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn of(der: CertificateDer<'static>) -> Shown {
        let read = certificate::read(&der).map(|(certificate, _)| Read {
            header: header(&certificate),
            not_after: certificate.not_after,
        });
        Shown { der, read }
    }
}

fn header(certificate: &Certificate) -> Vec<u8> {
    certificate.to_header().into_bytes()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn made(name: &str) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        made.cert.der().clone()
    }

    /// The certificate in the headers of a reply over such a connection, when the
    /// replica sends a header of its own.
    fn announced(shown: &ShownCertificate, der: Option<CertificateDer<'static>>) -> Vec<String> {
        let mut headers = vec![
            (":status".to_owned(), b"200".to_vec()),
            (PEER_CERTIFICATE.to_owned(), b"forged".to_vec()),
        ];
        shown.announce(der, &mut headers);
        assert_eq!(headers[0].0, ":status", "others stay");
        let values = headers.into_iter().skip(1);
        values
            .map(|(_, value)| String::from_utf8(value).unwrap())
            .collect()
    }

    #[test]
    fn what_was_shown_replaces_what_the_replica_says_of_itself() {
        let shown = ShownCertificate::new("ping");
        assert_eq!(announced(&shown, None), [""; 0], "in the clear");
        assert_eq!(shown.not_after(), None);
        let garbage = CertificateDer::from(b"garbage".to_vec());
        assert_eq!(announced(&shown, Some(garbage)), [""; 0]);
        assert_eq!(shown.not_after(), None, "it can't be read");

        let values = announced(&shown, Some(made("dtr.example.com")));
        let [value] = &values[..] else {
            panic!("{values:?}");
        };
        let certificate = Certificate::from_header(value).unwrap();
        assert_eq!(certificate.names, ["dtr.example.com"]);
        assert_eq!(shown.not_after(), Some(certificate.not_after));
    }

    #[test]
    fn a_certificate_is_read_once_and_kept_over_a_reload() {
        let shown = ShownCertificate::new("ping");
        let (one, other) = (made("a.example.com"), made("b.example.com"));
        let first = shown.take_in(one.clone());
        assert!(Arc::ptr_eq(&first, &shown.take_in(one.clone())));
        let next = ShownCertificate::new("ping");
        next.take_over(&shown);
        assert!(Arc::ptr_eq(&first, &next.take_in(one)), "kept");
        assert!(!Arc::ptr_eq(&first, &next.take_in(other)), "renewed");
    }
}

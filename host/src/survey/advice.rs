//! What a check's failure means, and what to do.

use std::time::Duration;

use dtr_lb_filter::compare::Certificate;
use dtr_lb_filter::config::CheckKind;
use dtr_lb_filter::health::probe_failure::ProbeFailure;
use dtr_lb_filter::health::reason::Reason;

use super::cross_check::CrossCheck;
use super::day::day;
use crate::config::{Check, Verify};
use crate::upstream::certificate::Signer;

/// Where a check failed, and what else was seen there.
pub(super) struct Failed<'a> {
    pub(super) failure: &'a ProbeFailure,
    pub(super) cross_check: &'a CrossCheck,
    /// The status of the replica's own answer.
    pub(super) status: Option<u16>,
    pub(super) check: &'a Check,
    /// The replica's own.
    pub(super) port: u16,
    pub(super) fqdn: &'a str,
    /// The probe's.
    pub(super) timeout: Duration,
    /// Why the replica's name has no address.
    pub(super) unresolved: Option<&'a str>,
    pub(super) unix_seconds: i64,
}

impl Failed<'_> {
    /// In one sentence or two.
    pub(super) fn advice(&self) -> String {
        let Failed { port, failure, .. } = self;
        // Envoy's mark of an error of TLS says nothing to people.
        let text = failure.text.trim_start_matches("TLS_error: ");
        let asked = self.asked();
        match (failure.reason, self.cross_check) {
            (_, CrossCheck::SpeaksTls(_)) => format!(
                "port {port} speaks TLS, and was asked in the clear; set the target of \"health\" \
                 to {}",
                target("https", self.check)
            ),
            (_, CrossCheck::SpeaksHttp) => format!(
                "port {port} speaks HTTP in the clear, and was asked over TLS; set the target of \
                 \"health\" to {}, or have the replica serve TLS there",
                target("http", self.check)
            ),
            (Reason::Certificate, CrossCheck::Refused(certificate, signer)) => {
                self.refused(certificate, *signer)
            }
            (Reason::Certificate, _) => format!(
                "its certificate is refused ({text}); correct the certificate, or \"verify\""
            ),
            (Reason::Refused | Reason::ConnectFailed, _) => format!(
                "nothing is reached on port {port} ({text}); start the replica, or correct its \
                 \"address\" or \"ports\""
            ),
            (Reason::ConnectTimeout, _) => format!(
                "port {port} does not take connections and does not refuse them; look whether its \
                 machine runs, and whether a firewall drops what is sent there"
            ),
            (Reason::Timeout, _) => format!(
                "it takes connections and gives no answer to {asked} within {}; look into its own \
                 log, or raise \"timeout\"",
                humantime::format_duration(self.timeout)
            ),
            (Reason::Tls, _) => format!(
                "the TLS handshake fails ({text}); look what serves port {port}, and whether it \
                 speaks TLS 1.2 or later"
            ),
            (Reason::Reset, _) => format!(
                "it ends the connection before it has answered {asked}; look into its own log"
            ),
            (Reason::NoAddress, _) => {
                let why = self.unresolved.unwrap_or(text);
                format!("its name has no address ({why}); correct \"address\", or DNS")
            }
            (Reason::NotHttp, _) => format!(
                "what answers on port {port} is not HTTP; correct \"ports\", or the target of \
                 \"health\""
            ),
            (Reason::ProxyError, _) => format!("this machine could not ask it: {text}; try again"),
            (Reason::Status, _) => self.wrong_status(),
            (Reason::SaysUnhealthy, _) => {
                format!(
                    "its answer to {asked} says: {text}; look into {}",
                    self.log()
                )
            }
            (Reason::BadBody, _) => format!(
                "its answer to {asked} does not say what \"health\" asks for: {text}; correct \
                 \"body\", or \"preset\""
            ),
            (_, _) => format!("{asked}: {}", failure.in_one_line()),
        }
    }

    fn wrong_status(&self) -> String {
        let status = self.status.unwrap_or_default();
        let usual = format!("status {status}");
        let text = match &self.failure.text {
            text if text.is_empty() || *text == usual => String::new(),
            text => format!(": {text}"),
        };
        let remedy = match status {
            300..=399 => {
                "redirects are not followed: set the target of \"health\" to where it leads"
                    .to_owned()
            }
            401 | 403 => {
                "the check needs a login: list the status in \"statuses\", or ask another path"
                    .to_owned()
            }
            404 => "correct \"preset\", or the path in the target of \"health\"".to_owned(),
            _ => format!("look into {}", self.log()),
        };
        format!("it answers {} with {status}{text}; {remedy}", self.asked())
    }

    /// Why its certificate is not trusted: what is wrong with it comes before who signed
    /// it.
    fn refused(&self, certificate: &Certificate, signer: Signer) -> String {
        let Certificate { issuer, .. } = certificate;
        let ago = self.unix_seconds.saturating_sub(certificate.not_after);
        if ago >= 0 {
            return format!(
                "its certificate expired on {}, and clients refuse it; renew it (\"verify\": \
                 \"none\" would only have the check accept it)",
                day(certificate.not_after)
            );
        }
        if !certificate.covers(self.fqdn) {
            return format!(
                "its certificate is for {}, and not for {}, so that clients refuse it; issue one \
                 for that name (\"verify\": \"none\" would only have the check accept it)",
                certificate.names_in_short(),
                self.fqdn
            );
        }
        let verify = match &self.check.tls {
            Some(Verify::CaFile(path)) => format!("{}", path.display()),
            _ => "system".to_owned(),
        };
        match signer {
            Signer::Itself => format!(
                "its certificate signed itself ({issuer}), and \"verify\" ({verify}) does not \
                 trust it; give the certificate's own file as \"verify\", if it is the right one"
            ),
            Signer::Authority => format!(
                "its certificate is signed by {issuer}, whom \"verify\" ({verify}) does not \
                 trust, or a certificate between them is missing; give that authority's file as \
                 \"verify\", or have the replica send the whole chain"
            ),
        }
    }

    fn asked(&self) -> String {
        match &self.check.kind {
            CheckKind::Http { path, .. } => format!("GET {path}"),
            CheckKind::Tcp => "a connection".to_owned(),
        }
    }

    fn log(&self) -> String {
        match self.failure.component {
            Some(component) => format!("the log of its {}", component.name()),
            None => "its own log".to_owned(),
        }
    }
}

/// A check's target with another scheme.
fn target(scheme: &str, check: &Check) -> String {
    match &check.kind {
        CheckKind::Http { path, .. } => format!("\"{scheme}:{}{path}\"", check.port),
        CheckKind::Tcp => format!("\"tcp:{}\"", check.port),
    }
}

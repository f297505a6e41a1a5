//! The replicas' certificates: for the registry's name, still valid, and the same.

use super::Observed;
use super::alike;
use super::disagreement::{Disagreement, Subject};
use serde::{Deserialize, Serialize};

/// What a replica showed in the TLS handshake. A host that sees it hands it over with
/// the answer, in the header [`PEER_CERTIFICATE`](crate::contract::PEER_CERTIFICATE).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 of its DER form, in hexadecimal.
    pub sha256: String,
    /// Who signed it, such as `CN=DTR CA`.
    pub issuer: String,
    /// The DNS names and IP addresses it is for.
    pub names: Vec<String>,
    /// Unix seconds until which it is valid.
    pub not_after: i64,
}

impl Certificate {
    /// The header's value, in visible ASCII.
    pub fn to_header(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let ascii = |letter: char| match letter {
            ' '..='~' => letter.to_string(),
            _ => letter
                .encode_utf16(&mut [0; 2])
                .iter()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect(),
        };
        json.chars().map(ascii).collect()
    }

    /// What [`Certificate::to_header`] wrote; `None`: it is something else.
    pub fn from_header(value: &str) -> Option<Certificate> {
        let is_short = value.len() <= LONGEST_HEADER;
        is_short.then(|| serde_json::from_str(value).ok()).flatten()
    }

    fn covers(&self, fqdn: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            // A wildcard stands for one label (RFC 6125, 6.4.3).
            Some(parent) => {
                let rest = fqdn.split_once('.').map(|(_, rest)| rest);
                rest.is_some_and(|rest| rest.eq_ignore_ascii_case(parent))
            }
            None => name.eq_ignore_ascii_case(fqdn),
        })
    }
}

pub(super) fn compare(fqdn: &str, replicas: &[Observed<'_>], unix_ms: u64) -> Vec<Disagreement> {
    let now = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for (name, observation) in replicas {
        let Some(certificate) = &observation.certificate else {
            continue;
        };
        let mut add = |text: String| {
            found.push(Disagreement {
                subject: Subject::Certificate,
                replicas: vec![(*name).to_owned()],
                text,
            });
        };
        let days = certificate.not_after.saturating_sub(now) / DAY;
        if certificate.not_after <= now {
            add(format!(
                "its certificate expired {} days ago; renew it",
                -days
            ));
        } else if days < RENEWAL_DAYS {
            add(format!("its certificate expires in {days} days; renew it"));
        }
        if !certificate.covers(fqdn) {
            let names = match certificate.names.is_empty() {
                true => "no name".to_owned(),
                false => certificate.names.join(", "),
            };
            add(format!(
                "its certificate is for {names}, and not for {fqdn}; issue one for that name"
            ));
        }
    }
    let fingerprint = |observation: &super::Observation| {
        let certificate = observation.certificate.as_ref()?;
        let start = certificate.sha256.get(..16).unwrap_or(&certificate.sha256);
        Some(format!("{start}... issued by {}", certificate.issuer))
    };
    found.extend(alike::compare(replicas, Subject::Certificate, fingerprint, |value, others| {
        let remedy = "clients that trust one of them may not trust the other: give all replicas the \
                      same, or have one authority sign all";
        match others {
            Some(others) => format!("its certificate is {value}, the others' {others}; {remedy}"),
            None => format!("its certificate is {value}, others have another; {remedy}"),
        }
    }));
    found
}

const DAY: i64 = 24 * 60 * 60;

/// Authorities that renew by themselves do so earlier.
const RENEWAL_DAYS: i64 = 14;

/// In bytes.
const LONGEST_HEADER: usize = 16 * 1024;

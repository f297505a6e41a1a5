//! The replicas' certificates: for the registry's name, still valid, and the same.

use super::alike;
use super::disagreement::{Disagreement, Subject};
use super::observation::{Observation, Observed};

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
    let fingerprint = |observation: &Observation| {
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

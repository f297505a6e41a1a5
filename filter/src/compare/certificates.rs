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
            let names = certificate.names_in_short();
            add(format!(
                "its certificate is for {names}, and not for {fqdn}; issue one for that name"
            ));
        }
    }
    found.extend(different(replicas));
    found
}

/// Certificates that are not the same. Where none is usual, one line names all.
fn different(replicas: &[Observed<'_>]) -> Vec<Disagreement> {
    let remedy = remedy(replicas);
    let disagreement = |replicas, text| Disagreement {
        subject: Subject::Certificate,
        replicas,
        text,
    };
    let alike::Groups { usual, odd } = alike::groups(replicas, fingerprint);
    if let Some(usual) = usual {
        let odd = odd.into_iter().map(|(one, replicas)| {
            let text = format!("its certificate is {one}, the others' {usual}; {remedy}");
            disagreement(replicas, text)
        });
        return odd.collect();
    }
    if odd.is_empty() {
        return Vec::new();
    }
    let shown = odd.iter().take(MOST_SHOWN).map(|(one, _)| one.as_str());
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = match odd.len().saturating_sub(MOST_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let text = format!("their certificates differ: {shown}{more}; {remedy}");
    let all = odd.into_iter().flat_map(|(_, replicas)| replicas);
    vec![disagreement(all.collect(), text)]
}

/// What to do about certificates that differ.
fn remedy(replicas: &[Observed<'_>]) -> &'static str {
    let certificates = replicas
        .iter()
        .filter_map(|(_, it)| it.certificate.as_ref());
    let mut issuers = certificates.map(|one| &one.issuer);
    let first = issuers.next();
    match issuers.all(|issuer| Some(issuer) == first) {
        true => {
            "fine if one and the same authority signed them; otherwise clients that trust one \
             refuse the other: give all replicas the same"
        }
        false => {
            "clients that trust one of them may not trust the other: give all replicas the same, \
             or have one authority sign all"
        }
    }
}

/// What tells certificates apart.
fn fingerprint(observation: &Observation) -> Option<String> {
    let certificate = observation.certificate.as_ref()?;
    let start = certificate.sha256.get(..16).unwrap_or(&certificate.sha256);
    Some(format!("{start}... issued by {}", certificate.issuer))
}

/// So many certificates stand in a sentence.
const MOST_SHOWN: usize = 3;

const DAY: i64 = 24 * 60 * 60;

/// Authorities that renew by themselves do so earlier.
const RENEWAL_DAYS: i64 = 14;

//! The replicas' certificates: for the registry's name, still valid, and the same.

use super::alike;
use super::certificate::Certificate;
use super::disagreement::{Disagreement, Fault, Subject};
use super::observation::{Observation, Observed};

pub(super) fn compare(fqdn: &str, replicas: &[Observed<'_>], unix_ms: u64) -> Vec<Disagreement> {
    let now = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for Shown {
        certificate,
        replicas,
    } in shown(replicas)
    {
        let whose = match replicas.len() {
            1 => "its",
            _ => "their",
        };
        let mut add = |fault, text: String| {
            found.push(Disagreement {
                subject: Subject::Certificate,
                fault,
                replicas: replicas.clone(),
                text: format!("{whose} certificate {text}"),
            });
        };
        let seconds = certificate.not_after.saturating_sub(now);
        let span = match seconds.saturating_abs() / DAY {
            0 => "less than a day".to_owned(),
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        if seconds <= 0 {
            add(Fault::Expired, format!("expired {span} ago; renew it"));
        } else if seconds / DAY < RENEWAL_DAYS {
            add(Fault::Expiring, format!("expires in {span}; renew it"));
        }
        if !certificate.covers(fqdn) {
            let names = certificate.names_in_short();
            let text = format!("is for {names}, and not for {fqdn}; issue one for that name");
            add(Fault::Misnamed, text);
        }
    }
    found.extend(different(replicas));
    found
}

/// A certificate, and who shows it.
struct Shown<'a> {
    certificate: &'a Certificate,
    replicas: Vec<String>,
}

/// Each certificate once, in the order of the replicas.
fn shown<'a>(replicas: &[Observed<'a>]) -> Vec<Shown<'a>> {
    let mut all: Vec<Shown<'a>> = Vec::new();
    for (name, observation) in replicas {
        let Some(certificate) = &observation.certificate else {
            continue;
        };
        let mut known = all.iter_mut();
        match known.find(|known| known.certificate.sha256 == certificate.sha256) {
            Some(known) => known.replicas.push((*name).to_owned()),
            None => all.push(Shown {
                certificate,
                replicas: vec![(*name).to_owned()],
            }),
        }
    }
    all
}

/// Certificates that are not the same. Where none is usual, one line names all.
fn different(replicas: &[Observed<'_>]) -> Vec<Disagreement> {
    let remedy = remedy(replicas);
    let disagreement = |replicas, text| Disagreement {
        subject: Subject::Certificate,
        fault: Fault::Unlike,
        replicas,
        text,
    };
    let alike::Groups { usual, odd } = alike::groups(replicas, &fingerprint);
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

/// What identifies a certificate.
fn fingerprint(observation: &Observation) -> Option<String> {
    let certificate = observation.certificate.as_ref()?;
    let start = certificate.sha256.get(..16).unwrap_or(&certificate.sha256);
    Some(format!("{start}... issued by {}", certificate.issuer))
}

/// Certificates listed in a sentence.
const MOST_SHOWN: usize = 3;

const DAY: i64 = 24 * 60 * 60;

/// Authorities that renew by themselves do so earlier.
const RENEWAL_DAYS: i64 = 14;

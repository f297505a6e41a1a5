//! What is right in a balancer's file and still probably not meant.

use super::check_builder::ports_are_known;
use super::file::File;
use super::{Check, Config};
use crate::config::problems::Problems;
use crate::config::verify::Verify;
use crate::config::warnings;

/// Notes all of it.
pub(super) fn warn(file: &File, config: &Config, problems: &mut Problems) {
    warnings::of_idle_timeout(config.idle_timeout, problems);
    if let Some(admin) = &config.admin
        && admin.token.is_none()
        && !problems.is_refused_in_part("admin")
    {
        warnings::of_open_admin(admin.bind, problems);
    }
    if !config.replicas.is_empty() && config.replicas.iter().all(|replica| replica.backup) {
        let problem = "every replica is a backup, so that none comes first; leave it out for \
                       those that are to serve";
        problems.warn("replicas[0].backup", true, problem);
    }
    let mut seen = Vec::new();
    for used in checks(file, config) {
        let field = used.verify_field();
        let is_unverified = used.check.tls == Some(Verify::None);
        if is_unverified && !seen.contains(&field) {
            warnings::of_no_verification(&field, problems);
            seen.push(field);
        }
        let field = format!("{}.target", used.field);
        if used.target == Origin::Default && !seen.contains(&field) {
            warn_of_port(&used, &field, config, problems);
            seen.push(field);
        }
    }
}

/// A check that probes a port which nobody is led to.
fn warn_of_port(used: &UsedCheck, field: &str, config: &Config, problems: &mut Problems) {
    let probed = used.check.port;
    let leads_there = config.listeners.iter().any(|one| one.port == probed);
    let named = |replica: &super::Replica| replica.ports.contains_key(&probed);
    if leads_there
        || config.replicas.iter().all(named)
        || !ports_are_known(&config.listeners, problems)
    {
        return;
    }
    let own = used.check.target();
    let elsewhere = own.replacen(&format!(":{probed}"), &format!(":{}", used.port), 1);
    let other = match elsewhere.split_once(':') {
        Some(("https", rest)) => format!("http:{rest}"),
        Some((_, rest)) => format!("https:{rest}"),
        None => elsewhere.clone(),
    };
    let problem = format!(
        "that is the default, and no listener leads to port {probed}: where nothing answers \
         there, all replicas are down for ever; give {elsewhere:?}, {other:?} or what answers"
    );
    problems.warn(field, own, problem);
}

/// A listener's check, and where it is configured.
struct UsedCheck<'a> {
    check: &'a Check,
    /// `health`, or the listener's own.
    field: String,
    /// The port of the service that the listener leads to.
    port: u16,
    target: Origin,
    verify: Origin,
}

/// Whether a field is given where the check is configured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Given,
    Default,
}

impl UsedCheck<'_> {
    /// Where `verify` stands: a listener's check falls back to the general one.
    fn verify_field(&self) -> String {
        match self.verify {
            Origin::Given => format!("{}.verify", self.field),
            Origin::Default => "health.verify".to_owned(),
        }
    }
}

fn checks<'a>(file: &File, config: &'a Config) -> Vec<UsedCheck<'a>> {
    let general = file.health.check();
    let origin = |is_given: bool| match is_given {
        true => Origin::Given,
        false => Origin::Default,
    };
    let listeners = config.listeners.iter().enumerate();
    let used = listeners.filter_map(|(index, listener)| {
        let listed = file.listeners.as_ref().and_then(|all| all.get(index));
        let own = listed.and_then(|listener| listener.health.as_ref());
        let spec = own.unwrap_or(&general);
        Some(UsedCheck {
            check: config
                .checks
                .iter()
                .find(|one| one.name == listener.check)?,
            field: match own {
                Some(_) => format!("listeners[{index}].health"),
                None => "health".to_owned(),
            },
            port: listener.port,
            target: origin(spec.target.is_some()),
            verify: origin(spec.verify.is_some()),
        })
    });
    used.collect()
}

//! What a running balancer says, and whether it is what the configuration and the replicas
//! say.

mod status;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use dtr_lb::config::{ConfigFile, FileAdmin, Serves};
use dtr_lb::survey::Survey;
use dtr_lb::{HttpError, HttpServer};
use dtr_lb_filter::balance::order::Order;

use super::finding::{Finding, Severity};
use crate::cli::admin_address::{AdminListener, NotKnown};
use crate::cli::admin_client::{AdminClient, block_on};
use crate::cli::balancer_status::BalancerStatus;
use crate::cli::failure::{Failure, with_causes};

/// What is known of a balancer that may run.
pub(super) enum Balancer {
    /// There is nobody to ask, and why; or there is no use in it.
    Unknown(Finding),
    /// Somebody is there, and does not say how it is.
    Silent(Finding),
    /// One of replicas.
    Answers(Answers),
}

/// What a running balancer of replicas said.
pub(super) struct Answers {
    server: HttpServer,
    status: BalancerStatus,
    reloads: Option<Reloads>,
}

/// What became of the configuration that it read last; an Envoy does not say.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reloads {
    last: LastReload,
    /// When the one in use was put to use, or read again last, in Unix seconds.
    in_use_since: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastReload {
    Succeeded,
    Failed,
}

impl Balancer {
    /// Asks the admin listener of the configuration.
    ///
    /// # Errors
    /// No runtime.
    pub(super) fn look(admin: FileAdmin) -> Result<Balancer, Failure> {
        let listener = match AdminListener::of(admin) {
            Ok(listener) => listener,
            Err(not_known) => {
                let remedy = match not_known {
                    NotKnown::NoListener => "",
                    NotKnown::AnyPort => ", so that nobody knows whom to ask; give it a port",
                };
                let text = format!("{not_known}{remedy}");
                return Ok(Balancer::unknown(text));
            }
        };
        if listener.serves == Serves::Chain {
            let text = "a balancer of a chain of filters has no replicas to say anything of; \
                        dtr-lb health asks whether it is ready";
            return Ok(Balancer::unknown(text.to_owned()));
        }
        let client = AdminClient::of(listener)?;
        let server = client.server().clone();
        block_on(async {
            let status = match BalancerStatus::ask(&client).await {
                Ok(status) => status,
                Err(error) => return Ok::<_, anyhow::Error>(no_answer(&server, &error)),
            };
            // An Envoy has other metrics, and none of reloads.
            let metrics = client.get("/metrics").await.and_then(|it| it.into_body());
            let reloads = metrics.ok().and_then(|text| Reloads::read(&text));
            Ok(Balancer::Answers(Answers {
                server,
                status,
                reloads,
            }))
        })
    }

    /// Where it answers.
    ///
    /// # Errors
    /// Why it was not looked at.
    pub(super) fn server(&self) -> Result<&HttpServer, &'static str> {
        match self {
            Balancer::Answers(answers) => Ok(&answers.server),
            Balancer::Unknown(_) => Err("none answers"),
            Balancer::Silent(_) => Err("it can't be asked"),
        }
    }

    /// The replicas that an operator has taken out.
    pub(super) fn taken_out(&self) -> BTreeSet<&str> {
        let Balancer::Answers(answers) = self else {
            return BTreeSet::new();
        };
        let registries = answers.status.registries.iter();
        let replicas = registries.flat_map(|registry| &registry.replicas);
        let out = replicas.filter(|replica| replica.order != Order::Ready);
        out.map(|replica| &*replica.name).collect()
    }

    /// What it says itself; `file` is what it was started with.
    pub(super) fn findings(&self, file: Option<&Path>) -> Vec<Finding> {
        let answers = match self {
            Balancer::Unknown(finding) | Balancer::Silent(finding) => return vec![finding.clone()],
            Balancer::Answers(answers) => answers,
        };
        let mut found = status::findings(&answers.status);
        let reloads = answers.reloads.zip(file);
        found.extend(reloads.and_then(|(reloads, file)| reloads.finding(file)));
        found
    }

    /// What it says otherwise than the configuration, and than the replicas do here. Of what
    /// the entries stand for that are `incomplete` it may know more.
    pub(super) fn differences(
        &self,
        file: &ConfigFile,
        incomplete: &[String],
        survey: &Survey,
    ) -> Vec<Finding> {
        match self {
            Balancer::Unknown(_) | Balancer::Silent(_) => Vec::new(),
            Balancer::Answers(answers) => {
                status::differences(&answers.status, file, incomplete, survey)
            }
        }
    }

    fn unknown(text: String) -> Balancer {
        Balancer::Unknown(Finding::of_balancer(Severity::Note, &[], text))
    }
}

impl Reloads {
    /// From the metrics.
    fn read(metrics: &str) -> Option<Reloads> {
        let value = |name: &str| -> Option<f64> {
            let mut lines = metrics.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            value.trim().parse().ok()
        };
        let last = match value("dtr_lb_host_config_last_reload_successful")? {
            0.0 => LastReload::Failed,
            _ => LastReload::Succeeded,
        };
        let in_use_since = value("dtr_lb_host_config_last_reload_success_timestamp_seconds")?;
        Some(Reloads { last, in_use_since })
    }

    fn finding(self, file: &Path) -> Option<Finding> {
        let changed = file.metadata().and_then(|it| it.modified()).ok()?;
        self.judge(&file.display().to_string(), changed)
    }

    /// Whether the file is what runs; it was changed then.
    fn judge(self, file: &str, changed: SystemTime) -> Option<Finding> {
        let changed = changed.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        let text = match self.last {
            LastReload::Failed => format!(
                "the balancer could not use the configuration that it read last, and goes on with \
                 the one before; correct {file} (its log says what is wrong), and reload it: \
                 systemctl reload dtr-lb, or SIGHUP"
            ),
            LastReload::Succeeded if changed > self.in_use_since => format!(
                "{file} was changed after the balancer had read it, so that what runs may be \
                 another; reload it: systemctl reload dtr-lb, or SIGHUP"
            ),
            LastReload::Succeeded => return None,
        };
        Some(Finding::of_balancer(Severity::Warning, &[], text))
    }
}

fn no_answer(server: &HttpServer, error: &anyhow::Error) -> Balancer {
    match error.downcast_ref::<HttpError>() {
        Some(HttpError::Connect(why)) => {
            let text = format!(
                "no balancer runs at {server} ({why}); dtr-lb run starts one, and one that runs \
                 elsewhere is asked from there"
            );
            Balancer::unknown(text)
        }
        _ => {
            let why = with_causes(error);
            let text = format!("the balancer at {server} does not say how it is: {why}");
            Balancer::Silent(Finding::of_balancer(Severity::Warning, &[], text))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_file_is_compared_with_what_runs() {
        let metrics = |successful: u8| {
            format!(
                "# TYPE dtr_lb_host_config_last_reload_successful gauge\n\
                 dtr_lb_host_config_last_reload_successful {successful}\n\
                 dtr_lb_host_config_last_reload_success_timestamp_seconds 1700000000.25\n"
            )
        };
        let cases = [
            ("read after the change", 1, 1_700_000_000, None),
            (
                "changed since",
                1,
                1_700_000_001,
                Some("lb.json was changed after"),
            ),
            (
                "wrong when it was read",
                0,
                0,
                Some("the balancer could not use"),
            ),
        ];
        for (why, successful, changed, expected) in cases {
            let reloads = Reloads::read(&metrics(successful)).unwrap_or_else(|| panic!("{why}"));
            let changed = UNIX_EPOCH + Duration::from_secs(changed);
            let found = reloads.judge("lb.json", changed).map(|found| found.text);
            match (&found, expected) {
                (None, None) => {}
                (Some(text), Some(begin)) => assert!(text.starts_with(begin), "{why}: {text}"),
                _ => panic!("{why}: {found:?}"),
            }
        }
        assert_eq!(Reloads::read("envoy_cluster_membership 3\n"), None);
    }
}

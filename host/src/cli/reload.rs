//! When a running balancer reads its configuration again, and what becomes of it.

use std::fmt;
use std::time::Duration;

use dtr_lb::config::{Changes, ConfigFile};
use dtr_lb::plan::Plan;
use dtr_lb::{Discovery, FILTER, Host, NotReloaded, ReloadRequest, ReloadSender, Reloaded};
use tokio::sync::mpsc;

use super::config_args::ConfigArgs;
use super::failure::Failure;
use super::start::{log_addresses, with_remedy};
use super::watch::Watch;

/// Why the configuration is read again.
pub(super) enum Cause {
    Signal,
    /// The file has changed.
    Change,
    /// DNS has other replicas for the names that stand for many.
    Dns,
    Request(ReloadRequest),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Signal => f.write_str("SIGHUP"),
            Cause::Change => f.write_str("the file has changed"),
            Cause::Dns => f.write_str("DNS has changed"),
            Cause::Request(request) => write!(f, "PUT /reload from {}", request.client),
        }
    }
}

/// What has the configuration read again, signals aside.
pub(super) struct Causes<'a> {
    config_args: &'a ConfigArgs,
    requests: mpsc::Receiver<ReloadRequest>,
    watch: Option<Watch>,
}

impl<'a> Causes<'a> {
    pub(super) fn new(config_args: &'a ConfigArgs) -> (ReloadSender, Causes<'a>) {
        let (sender, requests) = mpsc::channel(MOST_WAITING);
        let causes = Causes {
            config_args,
            requests,
            watch: None,
        };
        (sender, causes)
    }

    /// Watches the file from now on, or no longer, as its configuration has it.
    ///
    /// # Errors
    /// It is to be watched, and there is none that could be.
    pub(super) fn follow(&mut self, config: &ConfigFile) -> Result<(), Failure> {
        if !config.is_watched() {
            self.watch = None;
        } else if self.watch.is_none() {
            let file = self.config_args.file().ok_or_else(|| {
                let name = self.config_args.name();
                Failure::Usage(anyhow::anyhow!(
                    "{name}: \"watch\" needs a file that can be read again; give one, or leave \
                     it out"
                ))
            })?;
            self.watch = Some(Watch::since(config, file)?);
        }
        Ok(())
    }

    /// Waits for the next one. Who stops to wait, and waits again, misses nothing.
    pub(super) async fn next(&mut self) -> Cause {
        let changed = async {
            match &mut self.watch {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The host holds a sender for as long as it runs.
            Some(request) = self.requests.recv() => Cause::Request(request),
            () = changed => Cause::Change,
        }
    }
}

/// A balancer that runs, and the configuration that it runs with.
pub(super) struct Running<'a> {
    pub(super) host: Host,
    pub(super) config_args: &'a ConfigArgs,
    /// As the operator wrote it.
    pub(super) config: ConfigFile,
    pub(super) discovery: Discovery,
    /// With the replicas that DNS has; the one in use.
    pub(super) expanded: ConfigFile,
    pub(super) plan: Plan,
    /// Of the last answer of DNS, and why; `None`: it is in use. It is tried again at each
    /// look-up, and stands in the log once.
    pub(super) refusal: Option<String>,
}

/// What a balancer may go on with.
struct Next {
    config: ConfigFile,
    discovery: Discovery,
    expanded: ConfigFile,
}

impl Running<'_> {
    /// Waits until DNS has other replicas than those in use.
    pub(super) async fn rediscovered(&mut self) {
        loop {
            self.discovery.looked_up().await;
            let now = self.discovery.expand(&self.config);
            if !now.changes_of(&self.expanded).is_empty() {
                return;
            }
            self.refusal = None;
        }
    }

    /// Reads the configuration again, unless DNS alone has changed, and goes on with it; when
    /// it can't be used, as before. The log says which, and who asked is answered.
    pub(super) async fn reload(&mut self, cause: Cause, causes: &mut Causes<'_>) {
        let config = match cause {
            Cause::Dns => Ok(self.config.clone()),
            Cause::Signal | Cause::Change | Cause::Request(_) => self.config_args.read_again(),
        };
        let reloaded = match config {
            Ok(config) => {
                // What is known of the names in use stays, should this one be refused.
                let mut discovery = self.discovery.clone();
                discovery.follow(&config, DNS_LIMIT).await;
                let next = Next {
                    expanded: discovery.expand(&config),
                    config,
                    discovery,
                };
                let changes = next.expanded.changes_of(&self.expanded);
                // After a signal for the same change, say.
                if matches!(cause, Cause::Change) && changes.is_empty() {
                    self.host.note_unchanged_configuration();
                    tracing::info!("{cause}, and means the same");
                    return;
                }
                let reloaded = self.go_on_with(next, (&cause, &changes), causes).await;
                let refusal = reloaded.as_ref().err();
                let refusal = refusal.map(|failure| format!("{changes}: {failure}"));
                if matches!(cause, Cause::Dns) && refusal.is_some() && refusal == self.refusal {
                    return;
                }
                self.refusal = refusal;
                reloaded
            }
            Err(failure) => {
                self.host.note_failed_reload();
                Err(failure)
            }
        };
        match &reloaded {
            Ok(Reloaded { changes, warnings }) => {
                if matches!(cause, Cause::Dns) {
                    tracing::info!("{cause}: {changes}; open connections go on");
                } else {
                    tracing::info!(
                        "{cause}: the configuration was read again, which {changes}; open \
                         connections go on"
                    );
                    for warning in warnings {
                        tracing::warn!("{warning}");
                    }
                }
                log_addresses(&self.host, &self.plan);
            }
            Err(failure) => tracing::error!("{cause}: {failure}; the balancer goes on as before"),
        }
        if let Cause::Request(request) = cause {
            // Who asks may have gone.
            let _ = request.answer.send(reloaded.map_err(not_reloaded));
        }
    }

    async fn go_on_with(
        &mut self,
        next: Next,
        (cause, changes): (&Cause, &Changes),
        causes: &mut Causes<'_>,
    ) -> Result<Reloaded, Failure> {
        let plan = Plan::of_file(&next.expanded);
        let reloaded = match cause {
            Cause::Dns => self.host.rediscover(plan.clone(), FILTER).await,
            Cause::Signal | Cause::Change | Cause::Request(_) => {
                self.host.reload(plan.clone(), FILTER).await
            }
        };
        reloaded.map_err(with_remedy)?;
        let reloaded = Reloaded {
            changes: changes.to_string(),
            warnings: (next.config.warnings().iter())
                .map(ToString::to_string)
                .collect(),
        };
        self.plan = plan;
        self.config = next.config;
        self.discovery = next.discovery;
        self.expanded = next.expanded;
        if let Err(failure) = causes.follow(&self.config) {
            tracing::error!("{failure}; changes of it are not seen");
        }
        Ok(reloaded)
    }
}

fn not_reloaded(failure: Failure) -> NotReloaded {
    match failure {
        Failure::Config(errors) => {
            NotReloaded::Configuration(errors.iter().map(ToString::to_string).collect())
        }
        Failure::Usage(_) | Failure::Reported => {
            NotReloaded::Configuration(vec![failure.to_string()])
        }
        Failure::Runtime(_) | Failure::Found => NotReloaded::Start(failure.to_string()),
    }
}

/// How long a reload waits for DNS to say which replicas a new name stands for; what takes
/// longer is learnt later.
const DNS_LIMIT: Duration = Duration::from_secs(2);

/// Requests for a reload that may wait for their turn.
const MOST_WAITING: usize = 8;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use clap::Parser;
    use tokio::time::timeout;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        config_args: ConfigArgs,
    }

    fn write(file: &Path, address: &str) {
        let text = format!(
            r#"{{"fqdn": "dtr.example.com", "replicas": [{{"address": "{address}"}}], "watch": true}}"#
        );
        fs::write(file, text).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_between_reading_the_file_and_watching_it_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lb.json");
        write(&file, "10.0.0.11");
        let arguments = ["dtr-lb".as_ref(), "--config".as_ref(), file.as_os_str()];
        let command = Command::parse_from(arguments);
        let config = command.config_args.read().unwrap();
        let limit = Duration::from_secs(60);

        let (_requests, mut causes) = Causes::new(&command.config_args);
        causes.follow(&config).unwrap();
        let cause = timeout(limit, causes.next()).await;
        assert!(cause.is_err(), "the file is as it was read");

        let (_requests, mut causes) = Causes::new(&command.config_args);
        write(&file, "10.0.0.12");
        causes.follow(&config).unwrap();
        let cause = timeout(limit, causes.next()).await;
        assert!(matches!(cause, Ok(Cause::Change)), "it has changed since");
    }
}

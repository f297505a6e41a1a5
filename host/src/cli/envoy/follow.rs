//! Writes the folder that Envoys watch, as often as the configuration changes.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use dtr_lb::config::ConfigFile;
use dtr_lb::envoy::{Applied, Change, Confirmed, Folder, FolderError};
use dtr_lb::plan::Plan;
use dtr_lb::{Discovery, filter_for_envoy};
use tokio::sync::Notify;

use super::super::config_args::ConfigArgs;
use super::super::failure::Failure;
use super::super::output::print;
use super::super::signal::{SignalAction, Signals};
use super::super::watch::Watch;
use super::config::only_balancer;

/// Has Envoys follow a configuration.
pub(super) struct Follower<'a> {
    pub(super) config_args: &'a ConfigArgs,
    pub(super) folder: Folder,
    /// As the operator wrote it.
    pub(super) config: ConfigFile,
    pub(super) discovery: Discovery,
    /// With the replicas that DNS has; the one in use.
    pub(super) expanded: ConfigFile,
}

impl Follower<'_> {
    /// Has Envoys go on with the configuration as it is, and ends when what an earlier one
    /// left is gone.
    pub(super) async fn once(&mut self) -> Result<(), Failure> {
        self.discover().await;
        match self.apply().await.map_err(anyhow::Error::from)? {
            Applied::First => self.print_first()?,
            Applied::Unchanged => print("nothing has changed")?,
            Applied::Changed(change) => print(self.describe(&change))?,
        }
        if let Some(last) = self.folder.leftovers_last() {
            print(format_args!(
                "clusters that only the old configuration names go in {}",
                humantime::format_duration(Duration::from_secs(last.as_secs()))
            ))?;
        }
        while self.folder.leftovers_last().is_some() {
            self.folder.leftovers().await;
            let removed = self.remove_leftovers().await;
            removed.map_err(anyhow::Error::from)?;
        }
        Ok(())
    }

    /// Has Envoys go on with the configuration whenever it changes, until a signal.
    pub(super) async fn watch(&mut self, file: &Path) -> Result<(), Failure> {
        let mut signals = Signals::new().context("signals can't be awaited")?;
        let watch = self.start(file).await?;
        let reload = Notify::new();
        let follow = self.follow(file, watch, &reload);
        let mut follow = std::pin::pin!(follow);
        loop {
            tokio::select! {
                action = signals.next() => match action {
                    SignalAction::Reload => reload.notify_one(),
                    SignalAction::Upgrade => action.log_ignored(),
                    SignalAction::End(signal) => {
                        tracing::info!("{signal}: Envoy goes on with what it has");
                        return Ok(());
                    }
                },
                () = &mut follow => {}
            }
        }
    }

    /// Has Envoys go on with the configuration as it was read, and watches the file.
    async fn start(&mut self, file: &Path) -> Result<Watch, Failure> {
        let watch = Watch::since(&self.config, file)?;
        log_warnings(&self.config);
        self.discover().await;
        match self.apply().await.map_err(anyhow::Error::from)? {
            Applied::First => self.print_first()?,
            Applied::Unchanged => tracing::info!("{}: in force already", file.display()),
            Applied::Changed(change) => {
                tracing::info!("{}: {}", file.display(), self.describe(&change));
            }
        }
        Ok(watch)
    }

    async fn follow(&mut self, file: &Path, mut watch: Watch, reload: &Notify) {
        let file = file.display();
        loop {
            let is_read_again = tokio::select! {
                () = watch.changed() => true,
                () = reload.notified() => true,
                () = self.discovery.looked_up() => false,
                () = self.folder.leftovers() => {
                    match self.remove_leftovers().await {
                        Ok(0) => {}
                        Ok(gone) => tracing::info!(
                            "clusters that only an older configuration names: {gone} are gone"
                        ),
                        Err(error) => tracing::error!("{error}"),
                    }
                    continue;
                }
            };
            let config = match is_read_again {
                true => self.read_again(),
                false => Ok(self.config.clone()),
            };
            let config = match config {
                Ok(config) => config,
                Err(error) => {
                    tracing::error!("{error}; Envoy goes on as before");
                    continue;
                }
            };
            match self.go_on_with(config).await {
                Ok(None) if !is_read_again => {}
                Ok(None) => tracing::info!("{file}: in force already"),
                Ok(Some(line)) => tracing::info!("{file}: {line}"),
                Err(error) => {
                    tracing::error!("{file}: {error}");
                    // It may pass.
                    if matches!(error, FolderError::File { .. }) {
                        watch.forget();
                    }
                }
            }
        }
    }

    /// The configuration as it is now.
    fn read_again(&self) -> Result<ConfigFile, Failure> {
        let config = only_balancer(self.config_args.read_again()?)?;
        log_warnings(&config);
        Ok(config)
    }

    /// Has Envoys go on with another configuration; what that changes.
    async fn go_on_with(&mut self, config: ConfigFile) -> Result<Option<String>, FolderError> {
        let config_before = std::mem::replace(&mut self.config, config);
        let discovery_before = self.discovery.clone();
        let before = self.discover().await;
        let changes = self.expanded.changes_of(&before);
        match self.apply().await {
            Ok(Applied::Changed(change)) => {
                Ok(Some(format!("{changes}; {}", self.describe(&change))))
            }
            Ok(Applied::First | Applied::Unchanged) => Ok(None),
            Err(error) => {
                (self.config, self.expanded) = (config_before, before);
                self.discovery = discovery_before;
                Err(error)
            }
        }
    }

    /// Has the replicas that DNS has now; those before.
    async fn discover(&mut self) -> ConfigFile {
        self.discovery.follow(&self.config, DNS_LIMIT).await;
        let expanded = self.discovery.expand(&self.config);
        std::mem::replace(&mut self.expanded, expanded)
    }

    async fn apply(&mut self) -> Result<Applied, FolderError> {
        let plan = Plan::of_file(&self.expanded);
        self.folder.apply(&plan, &filter_for_envoy(&plan)).await
    }

    async fn remove_leftovers(&mut self) -> Result<usize, FolderError> {
        let plan = Plan::of_file(&self.expanded);
        let filter = filter_for_envoy(&plan);
        self.folder.remove_leftovers(&plan, &filter).await
    }

    fn print_first(&self) -> Result<(), Failure> {
        let bootstrap = self.folder.bootstrap_file();
        print(format_args!(
            "wrote {}, what it watches, and the filter\n{}",
            bootstrap.display(),
            start_with(&bootstrap)
        ))
    }

    /// What a change comes to in Envoy.
    fn describe(&self, change: &Change) -> String {
        let admin = self.folder.envoy_admin();
        let mut line = match change.confirmed {
            Confirmed::ByEnvoy => format!("in force in the Envoy at {admin}"),
            Confirmed::ByWaiting => {
                format!("written; the Envoy at {admin} has not said that it has it")
            }
        };
        if !change.drained.is_empty() {
            line += &format!(
                "; Envoy closes what these accepted after its drain time (--drain-time-s): {}",
                change.drained.join(", ")
            );
        }
        if change.needs_restart {
            line += "; envoy.yaml is another, which counts when Envoy is started again";
        }
        line
    }
}

fn log_warnings(config: &ConfigFile) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}

/// How Envoy is started with a bootstrap.
pub(super) fn start_with(bootstrap: &Path) -> String {
    format!(
        "start it with: envoy -c {} --drain-time-s 600",
        bootstrap.display()
    )
}

/// How long DNS is waited for; what takes longer is learnt later.
const DNS_LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use clap::Parser;
    use dtr_lb::envoy::BootstrapOptions;
    use tokio::time::timeout;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        config_args: ConfigArgs,
    }

    #[tokio::test]
    async fn a_change_between_reading_the_file_and_watching_it_is_seen() {
        let temporary = tempfile::tempdir().unwrap();
        let (file, out) = (temporary.path().join("lb.json"), temporary.path());
        let write = |address: &str| {
            let text = format!(
                r#"{{"fqdn": "dtr.example.com", "replicas": [{{"address": "{address}"}}]}}"#
            );
            std::fs::write(&file, text).unwrap();
        };
        write("10.0.0.11");
        let arguments = ["dtr-lb".as_ref(), "--config".as_ref(), file.as_os_str()];
        let Command { config_args } = Command::parse_from(arguments);
        let config = config_args.read().unwrap();
        write("10.0.0.12");
        let options = BootstrapOptions {
            watched: Some(out.to_owned()),
            ..BootstrapOptions::with_wasm("dtr_lb_filter.wasm")
        };
        let mut follower = Follower {
            config_args: &config_args,
            folder: Folder::open(out, options, Duration::ZERO).unwrap(),
            expanded: config.clone(),
            config,
            discovery: Discovery::default(),
        };
        let mut watch = follower.start(&file).await.unwrap();
        let changed = timeout(Duration::from_secs(30), watch.changed()).await;
        assert!(changed.is_ok(), "it has changed since");
    }
}

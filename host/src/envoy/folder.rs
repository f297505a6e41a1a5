//! The folder that Envoys watch, and how it goes from one plan to the next.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::bootstrap::bootstrap;
use super::change::{Applied, Change, Confirmed, FolderError};
use super::discovery::{
    CLUSTERS_FILE, LISTENERS_FILE, PluginFile, Resources, cluster_resources, fingerprint,
    listener_resources, name, plugin_files,
};
use super::options::BootstrapOptions;
use super::plugin::{Plugin, Revision};
use super::running::{Acceptance, Expected, Running};
use super::watched_clusters::WatchedClusters;
use crate::plan::Plan;
use crate::replace_file::replace_file;

/// A folder with a bootstrap, the files that Envoys watch, and the filter.
///
/// What is in it always fits together: when the plan changes, the clusters of the old
/// and the new one are there before the filter has the new configuration, and the old ones
/// stay until no connection can name them any more. A listener that looks which of several
/// services a client wants is there before the filter asks for that, and goes after it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Where Envoys see it.
    watched: PathBuf,
    options: BootstrapOptions,
    wait: Duration,
    clusters: WatchedClusters,
}

impl Folder {
    /// The folder at `path`, which is made when missing. `options.watched` is where Envoys
    /// see it, when that is another path; `options.wasm` counts for nothing, since the
    /// filter is in the folder. At `options.envoy_admin` an Envoy is asked whether it has
    /// what was written; one that does not answer is given `wait`.
    ///
    /// # Errors
    /// The folder can't be made, or what is in it can't be read.
    pub fn open(
        path: impl Into<PathBuf>,
        options: BootstrapOptions,
        wait: Duration,
    ) -> Result<Self, FolderError> {
        let path = path.into();
        let watched = options.watched.clone().unwrap_or_else(|| path.clone());
        fs::create_dir_all(&path).map_err(|source| FolderError::File {
            path: path.clone(),
            source,
        })?;
        let mut folder = Folder {
            path,
            watched,
            options,
            wait,
            clusters: WatchedClusters::default(),
        };
        if let Some(text) = folder.read(CLUSTERS_FILE)? {
            let known = Resources::read(&text);
            let known = known.ok_or_else(|| FolderError::Foreign(folder.file(CLUSTERS_FILE)))?;
            folder.clusters = WatchedClusters::new(known);
        }
        Ok(folder)
    }

    /// Has Envoys go on with this plan and this filter.
    ///
    /// # Errors
    /// A file can't be written, or Envoy refuses it. What has been written by then fits
    /// together, and Envoy goes on.
    pub async fn apply(&mut self, plan: &Plan, filter: &[u8]) -> Result<Applied, FolderError> {
        let module = module_name(filter);
        let options = BootstrapOptions {
            wasm: self.watched.join(&module),
            watched: Some(self.watched.clone()),
            ..self.options.clone()
        };
        let revision = self.revision(plan)?;
        let mut plugins = plugin_files(plan, &options, revision);
        if !self.has_plugins(&plugins)? {
            plugins = plugin_files(plan, &options, revision.next());
        }
        let listeners = listener_resources(plan, &options);
        let is_first = self.read(CLUSTERS_FILE)?.is_none();
        if !self.file(&module).exists() {
            self.write(&module, filter, EVERYBODY)?;
        }
        let drained = self.drained(&listeners)?;
        let who = match plan.has_token() {
            true => OWNER,
            false => EVERYBODY,
        };
        let steps = self.steps(plan, &plugins, &listeners, who)?;
        let bootstrap = bootstrap(plan, &options);

        self.clusters.replace(cluster_resources(plan, &options));
        let clusters = [self.clusters_file()];
        if is_first {
            for file in clusters.iter().chain(steps.iter().flatten()) {
                self.write(&file.name, file.resources.text.as_bytes(), file.mode)?;
            }
            self.write(BOOTSTRAP_FILE, bootstrap.as_bytes(), EVERYBODY)?;
            return Ok(Applied::First);
        }
        // An Envoy that is started meanwhile is to have the new one.
        let needs_restart = self.read(BOOTSTRAP_FILE)?.as_ref() != Some(&bootstrap);
        if needs_restart {
            self.write(BOOTSTRAP_FILE, bootstrap.as_bytes(), EVERYBODY)?;
        }
        let mut confirmed = None;
        let [first, second] = &steps;
        let mut left: VecDeque<&[WatchedFile]> = [&clusters[..], first, second].into();
        while let Some(files) = left.pop_front() {
            // Nobody answers, and nothing comes after it that has to wait.
            let is_last = !self.are_others(left.iter().copied().flatten())?;
            let wait = match confirmed {
                Some(Confirmed::ByWaiting) if is_last => Duration::ZERO,
                _ => self.wait,
            };
            confirmed = match (confirmed, self.put(files, wait).await?) {
                (before, None) => before,
                (Some(Confirmed::ByWaiting), _) => confirmed,
                (_, now) => now,
            };
        }
        if confirmed.is_none() && !needs_restart {
            return Ok(Applied::Unchanged);
        }
        Ok(Applied::Changed(Change {
            confirmed: confirmed.unwrap_or(Confirmed::ByEnvoy),
            drained,
            needs_restart,
        }))
    }

    /// Waits until some of what an earlier plan has left is of no use any more; for ever
    /// when there is none.
    pub async fn leftovers(&self) {
        match self.clusters.first_leaves() {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// How long what an earlier plan has left is still of use; `None`: there is nothing.
    #[must_use]
    pub fn leftovers_last(&self) -> Option<Duration> {
        let last = self.clusters.last_leaves();
        last.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Removes what an earlier plan has left and nothing can name any more: clusters,
    /// files of plugins, filters. How many clusters went.
    ///
    /// # Errors
    /// A file can't be written or removed, or Envoy refuses it.
    pub async fn remove_leftovers(
        &mut self,
        plan: &Plan,
        filter: &[u8],
    ) -> Result<usize, FolderError> {
        let gone = self.clusters.remove_leftovers(Instant::now());
        self.put(&[self.clusters_file()], self.wait).await?;
        if self.clusters.first_leaves().is_none() {
            let plugins = Plugin::all(plan).into_iter().map(|plugin| plugin.file());
            let used: Vec<String> = plugins.chain([module_name(filter)]).collect();
            self.remove_others(&used)?;
        }
        Ok(gone)
    }

    /// What Envoy is to find after the clusters, in two steps.
    ///
    /// A plugin of several services needs a listener that looks which one a client wants,
    /// and so goes after it; a plugin of one registry goes before, since the one it
    /// replaces may need the listener that there is.
    fn steps(
        &self,
        plan: &Plan,
        plugins: &[PluginFile],
        listeners: &[Value],
        who: u32,
    ) -> Result<[Vec<WatchedFile>; 2], FolderError> {
        let in_force = self.read(LISTENERS_FILE)?.unwrap_or_default();
        // What no listener refers to yet, Envoy has only once one does.
        let (known, new): (Vec<_>, Vec<_>) = plugins
            .iter()
            .partition(|plugin| in_force.contains(&plugin.name));
        let file = |plugin: &PluginFile| WatchedFile {
            name: plugin.name.clone(),
            resources: Resources::new([&plugin.resource]),
            subject: format!(".{}", name(&plugin.resource)),
            mode: who,
        };
        let listeners = WatchedFile {
            name: LISTENERS_FILE.to_owned(),
            resources: Resources::new(listeners),
            subject: "listener_manager.lds".to_owned(),
            mode: EVERYBODY,
        };
        let plugins: Vec<WatchedFile> = known.into_iter().map(file).collect();
        let listeners: Vec<WatchedFile> = new.into_iter().map(file).chain([listeners]).collect();
        Ok(match plan.services {
            None => [plugins, listeners],
            Some(_) => [listeners, plugins],
        })
    }

    /// The revision of the plugins that are written.
    fn revision(&self, plan: &Plan) -> Result<Revision, FolderError> {
        let mut newest = Revision::default();
        for plugin in Plugin::all(plan) {
            let text = self.read(&plugin.file())?;
            let written = text.and_then(|text| Resources::read(&text));
            let written = written.unwrap_or_default();
            newest = written.iter().map(Revision::of).fold(newest, Ord::max);
        }
        Ok(newest)
    }

    /// Whether the plugins' files are these.
    fn has_plugins(&self, plugins: &[PluginFile]) -> Result<bool, FolderError> {
        for plugin in plugins {
            let text = Resources::new([&plugin.resource]).text;
            if self.read(&plugin.name)?.as_ref() != Some(&text) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn clusters_file(&self) -> WatchedFile {
        WatchedFile {
            name: CLUSTERS_FILE.to_owned(),
            resources: Resources::new(self.clusters.all()),
            subject: "cluster_manager.cds".to_owned(),
            mode: EVERYBODY,
        }
    }

    /// Writes those files that are others, and waits until Envoy has them; `None`: none
    /// is.
    async fn put(
        &self,
        files: &[WatchedFile],
        wait: Duration,
    ) -> Result<Option<Confirmed>, FolderError> {
        let mut others = Vec::new();
        for file in files {
            if self.is_other(file)? {
                others.push(file);
            }
        }
        let [first, ..] = others.as_slice() else {
            return Ok(None);
        };
        let running = Running(self.options.envoy_admin);
        let before = running.rejections().await;
        for file in &others {
            self.write(&file.name, file.resources.text.as_bytes(), file.mode)?;
        }
        let expected: Vec<Expected> = others
            .iter()
            .map(|file| Expected {
                subject: &file.subject,
                version: &file.resources.version,
            })
            .collect();
        match running.accepts(&expected, before.as_ref(), wait).await {
            Acceptance::Accepted => Ok(Some(Confirmed::ByEnvoy)),
            Acceptance::Unknown => Ok(Some(Confirmed::ByWaiting)),
            Acceptance::Rejected(counter) => {
                let mut refused = others.iter();
                let refused = refused.find(|file| counter.contains(&file.subject));
                Err(FolderError::Rejected {
                    path: self.file(&refused.unwrap_or(first).name),
                    admin: self.options.envoy_admin,
                })
            }
        }
    }

    /// Whether any of these is another than what is written.
    fn are_others<'a>(
        &self,
        files: impl IntoIterator<Item = &'a WatchedFile>,
    ) -> Result<bool, FolderError> {
        for file in files {
            if self.is_other(file)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_other(&self, file: &WatchedFile) -> Result<bool, FolderError> {
        Ok(self.read(&file.name)?.as_ref() != Some(&file.resources.text))
    }

    /// The listeners there are that will be others, or gone.
    fn drained(&self, new: &[Value]) -> Result<Vec<String>, FolderError> {
        let Some(text) = self.read(LISTENERS_FILE)? else {
            return Ok(Vec::new());
        };
        let old = Resources::read(&text);
        let old = old.ok_or_else(|| FolderError::Foreign(self.file(LISTENERS_FILE)))?;
        let old = old.iter().filter(|listener| !new.contains(listener));
        Ok(old.map(|listener| name(listener).to_owned()).collect())
    }

    /// Removes the files of plugins and filters that are not among these.
    fn remove_others(&self, used: &[String]) -> Result<(), FolderError> {
        let failed = |source| FolderError::File {
            path: self.path.clone(),
            source,
        };
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_ours =
                Plugin::is_file(name) || (name.starts_with(MODULE) && name.ends_with(".wasm"));
            if is_ours && used.iter().all(|used| used != name) {
                let path = self.file(name);
                fs::remove_file(&path).map_err(|source| FolderError::File { path, source })?;
            }
        }
        Ok(())
    }

    fn read(&self, name: &str) -> Result<Option<String>, FolderError> {
        let path = self.file(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(FolderError::Foreign(path))
            }
            Err(source) => Err(FolderError::File { path, source }),
        }
    }

    fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), FolderError> {
        let path = self.file(name);
        replace_file(&path, bytes, mode).map_err(|source| FolderError::File { path, source })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the Envoy is asked that it was opened for.
    #[must_use]
    pub fn envoy_admin(&self) -> SocketAddr {
        self.options.envoy_admin
    }

    /// The bootstrap, to start Envoy with.
    #[must_use]
    pub fn bootstrap_file(&self) -> PathBuf {
        self.file(BOOTSTRAP_FILE)
    }
}

/// One of the files that Envoys watch.
struct WatchedFile {
    name: String,
    resources: Resources,
    /// What Envoy calls it in its statistics; they begin or end so.
    subject: String,
    mode: u32,
}

/// The file of a filter, which has another name when it is another filter: Envoy would
/// take no notice of a file that only changes its contents.
fn module_name(filter: &[u8]) -> String {
    format!("{MODULE}{}.wasm", fingerprint(filter))
}

const BOOTSTRAP_FILE: &str = "envoy.yaml";
/// Files of filters begin so.
const MODULE: &str = "dtr_lb_filter-";
/// Who may read a file.
const EVERYBODY: u32 = 0o644;
/// A file with the token, which allows changes.
const OWNER: u32 = 0o600;

#[cfg(test)]
mod tests;

//! The folder that Envoys watch, and how it goes from one plan to the next.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::bootstrap::bootstrap;
use super::discovery::{
    CLUSTERS_FILE, Discovery, LISTENERS_FILE, PluginFile, Resources, fingerprint, name,
};
use super::listener::longest_dial;
use super::options::BootstrapOptions;
use super::plugin::{Plugin, Revision};
use super::running::{Acceptance, Expected, Running};
use crate::plan::Plan;
use crate::replace_file::replace_file;

/// A folder with a bootstrap, the files that Envoys watch, and the filter.
///
/// What is in it always fits together: when the plan changes, the clusters of the old
/// and the new one are there before the filter is told of the new ones, and the old ones
/// stay until no connection can name them any more.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    options: BootstrapOptions,
    wait: Duration,
    /// The clusters of the plan in force, by name.
    clusters: BTreeMap<String, Value>,
    /// Those of plans before it.
    leaving: BTreeMap<String, Leaving>,
}

/// A cluster that no filter names any more.
#[derive(Debug)]
struct Leaving {
    cluster: Value,
    /// Until then a connection may name it.
    until: Instant,
}

/// What became of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The folder was empty: Envoy can be started.
    First,
    /// The folder had it already.
    Unchanged,
    /// It has replaced another.
    Changed(Change),
}

/// How one plan replaced another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// How it is known that Envoy has it.
    pub confirmed: Confirmed,
    /// The listeners that are others now, or gone, by name: Envoy closes connections
    /// that they accepted after its drain time.
    pub drained: Vec<String>,
    /// Whether the bootstrap is another: that counts when Envoy is started again.
    pub needs_restart: bool,
}

/// How it is known that Envoy has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// It says so.
    ByEnvoy,
    /// It did not answer, and was given time.
    ByWaiting,
}

/// Why a plan is not in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file can't be written, read or removed.
    #[error("{}: {source}; check the folder's permissions and the space on it", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of this name is there that was not written by a folder of ours.
    #[error("{} holds no list of resources; remove it, or give another folder", .0.display())]
    Foreign(PathBuf),
    /// Envoy has not taken what was written.
    #[error(
        "the Envoy at {admin} refuses {} and goes on with what it had of it; its log says why",
        path.display()
    )]
    Rejected {
        /// Which file.
        path: PathBuf,
        /// Envoy's admin address.
        admin: SocketAddr,
    },
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
            options: BootstrapOptions {
                watched: Some(watched),
                ..options
            },
            wait,
            clusters: BTreeMap::new(),
            leaving: BTreeMap::new(),
        };
        if let Some(text) = folder.read(CLUSTERS_FILE)? {
            let known = Resources::read(&text);
            let known = known.ok_or_else(|| FolderError::Foreign(folder.file(CLUSTERS_FILE)))?;
            folder.clusters = by_name(known);
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
            wasm: self
                .options
                .watched
                .iter()
                .map(|it| it.join(&module))
                .collect(),
            ..self.options.clone()
        };
        let revision = self.revision(plan)?;
        let mut new = Discovery::of(plan, &options, revision);
        if !self.has_plugins(&new.plugins)? {
            new = Discovery::of(plan, &options, revision.next());
        }
        let is_first = self.read(CLUSTERS_FILE)?.is_none();
        if !self.file(&module).exists() {
            self.write(&module, filter, EVERYBODY)?;
        }
        let drained = self.drained(&new.listeners)?;
        let who = match plan.has_token() {
            true => OWNER,
            false => EVERYBODY,
        };
        let plugins = new.plugins.iter().map(|plugin| WatchedFile {
            name: plugin.name.clone(),
            resources: Resources::new([&plugin.resource]),
            subject: format!(".{}", name(&plugin.resource)),
            mode: who,
        });
        let listeners = WatchedFile {
            name: LISTENERS_FILE.to_owned(),
            resources: Resources::new(&new.listeners),
            subject: "listener_manager.lds".to_owned(),
            mode: EVERYBODY,
        };
        let rest: Vec<WatchedFile> = plugins.chain([listeners]).collect();
        let bootstrap = bootstrap(plan, &options);

        // Those of the plan before stay, but for those that have another of their name.
        self.replace_clusters(by_name(new.clusters));
        let clusters = [self.clusters_file()];
        if is_first {
            for file in clusters.iter().chain(&rest) {
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
        let clusters = self.put(&clusters, self.wait).await?;
        // Whoever has waited once knows that nobody answers.
        let wait = match clusters {
            Some(Confirmed::ByWaiting) => Duration::ZERO,
            Some(Confirmed::ByEnvoy) | None => self.wait,
        };
        let rest = self.put(&rest, wait).await?;
        let confirmed = match (clusters, rest) {
            (None, None) if !needs_restart => return Ok(Applied::Unchanged),
            (Some(Confirmed::ByWaiting), _) | (_, Some(Confirmed::ByWaiting)) => {
                Confirmed::ByWaiting
            }
            _ => Confirmed::ByEnvoy,
        };
        Ok(Applied::Changed(Change {
            confirmed,
            drained,
            needs_restart,
        }))
    }

    /// Waits until some of what an earlier plan has left is of no use any more; for ever
    /// when there is none.
    pub async fn leftovers(&self) {
        match self.leaving.values().map(|one| one.until).min() {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// How long what an earlier plan has left is still of use; `None`: there is nothing.
    #[must_use]
    pub fn leftovers_last(&self) -> Option<Duration> {
        let last = self.leaving.values().map(|one| one.until).max();
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
        let before = self.leaving.len();
        let now = Instant::now();
        self.leaving.retain(|_, one| one.until > now);
        self.put(&[self.clusters_file()], self.wait).await?;
        if self.leaving.is_empty() {
            let plugins = Plugin::all(plan).into_iter().map(|plugin| plugin.file());
            let used: Vec<String> = plugins.chain([module_name(filter)]).collect();
            self.remove_others(&used)?;
        }
        Ok(before - self.leaving.len())
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

    /// Takes these clusters for those in force.
    fn replace_clusters(&mut self, new: BTreeMap<String, Value>) {
        let old = std::mem::replace(&mut self.clusters, new);
        let old = old
            .into_iter()
            .filter(|(name, _)| !self.clusters.contains_key(name));
        let old: Vec<(String, Value)> = old.collect();
        let longest = old
            .iter()
            .map(|(_, cluster)| connect_timeout(cluster))
            .max();
        let now = Instant::now();
        let until = now + longest_dial(longest.unwrap_or_default());
        let clusters = &self.clusters;
        self.leaving
            .retain(|name, one| !clusters.contains_key(name) && one.until > now);
        let old = old.into_iter();
        self.leaving
            .extend(old.map(|(name, cluster)| (name, Leaving { cluster, until })));
    }

    fn clusters_file(&self) -> WatchedFile {
        let leaving = self.leaving.values().map(|one| &one.cluster);
        WatchedFile {
            name: CLUSTERS_FILE.to_owned(),
            resources: Resources::new(self.clusters.values().chain(leaving)),
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
            if self.read(&file.name)?.as_ref() != Some(&file.resources.text) {
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

fn by_name(resources: Vec<Value>) -> BTreeMap<String, Value> {
    let named = resources.into_iter();
    named.map(|one| (name(&one).to_owned(), one)).collect()
}

/// How long an attempt to connect a client to a cluster may take: as it is written, such
/// as `1s` or `0.500s`. No client is connected to a cluster for probes, and a route has no
/// time of its own.
fn connect_timeout(cluster: &Value) -> Duration {
    let text = match cluster.get("outlier_detection") {
        Some(_) => cluster["connect_timeout"].as_str().unwrap_or_default(),
        None => "",
    };
    let seconds = text.trim_end_matches('s').parse().unwrap_or_default();
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

const BOOTSTRAP_FILE: &str = "envoy.yaml";
/// Files of filters begin so.
const MODULE: &str = "dtr_lb_filter-";
/// Who may read a file.
const EVERYBODY: u32 = 0o644;
/// A file with the token, which allows changes.
const OWNER: u32 = 0o600;

//! Waits for a file to change.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use dtr_lb::config::ConfigFile;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::config_args::read_file;

/// Waits for a file to have other contents, however they come there: it is written, it is
/// replaced, or a link on the way to it leads elsewhere, as Kubernetes does it with a
/// mounted `ConfigMap`.
pub(super) struct Watch {
    file: PathBuf,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    steps: Steps,
    events: mpsc::Receiver<()>,
    /// Held so that without a watcher there is no event, rather than their end.
    _sender: mpsc::Sender<()>,
    /// Whether there is an event after which the file has not been read yet.
    unread: bool,
    contents: Option<Vec<u8>>,
}

/// The file, and the links on the way to it. Nothing else in their folders matters: a log
/// that is written there would wake the process that writes it.
type Steps = Arc<Mutex<BTreeSet<PathBuf>>>;

/// Who is told of each event.
type Told = Box<dyn FnMut(notify::Result<Event>) + Send>;

impl Watch {
    /// Of the file that this configuration was read from. That it has changed since is a
    /// change as any other.
    pub(super) fn since(config: &ConfigFile, file: &Path) -> anyhow::Result<Watch> {
        let mut watch = Watch::new(file).with_context(|| file.display().to_string())?;
        // The watch knows it as it is now.
        let is_same = |now: ConfigFile| now.changes_of(config).is_empty();
        if !read_file(file).is_ok_and(is_same) {
            watch.forget();
            watch.unread = true;
        }
        Ok(watch)
    }

    /// Of this file, as it is now. Where the system does not say that something has
    /// changed, the file is looked at now and then.
    fn new(file: &Path) -> io::Result<Watch> {
        Watch::told_by(file, notify::recommended_watcher)
    }

    fn told_by(
        file: &Path,
        watcher: impl FnOnce(Told) -> notify::Result<RecommendedWatcher>,
    ) -> io::Result<Watch> {
        let (sender, events) = mpsc::channel(1);
        let steps = Steps::default();
        let (of_steps, of_events) = (steps.clone(), sender.clone());
        let told = move |event| {
            if may_change(
                &event,
                &of_steps.lock().unwrap_or_else(PoisonError::into_inner),
            ) {
                // One that waits already stands for all.
                let _ = of_events.try_send(());
            }
        };
        let watcher = watcher(Box::new(told)).inspect_err(|error| {
            tracing::warn!(
                "{}: the system can't say when it changes ({error}); it is looked at every {}",
                file.display(),
                humantime::format_duration(BETWEEN_LOOKS)
            );
        });
        let mut watch = Watch {
            file: std::path::absolute(file)?,
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
            steps,
            events,
            _sender: sender,
            unread: false,
            contents: None,
        };
        watch.follow_links();
        watch.contents = watch.read();
        Ok(watch)
    }

    /// Waits until the contents are others, and have stayed so for a moment. A file that
    /// is gone is waited for. Who stops to wait, and waits again, misses nothing.
    pub(super) async fn changed(&mut self) {
        loop {
            if !self.unread {
                let _ = timeout(BETWEEN_LOOKS, self.events.recv()).await;
            }
            self.unread = true;
            self.until_quiet().await;
            self.unread = false;
            self.follow_links();
            let contents = self.read();
            if contents.is_some() && contents != self.contents {
                self.contents = contents;
                return;
            }
        }
    }

    /// Has the next look find other contents, whatever they are.
    pub(super) fn forget(&mut self) {
        self.contents = None;
    }

    /// Who writes a file does so in several steps.
    async fn until_quiet(&mut self) {
        let limit = Instant::now() + LONGEST_UNREST;
        while Instant::now() < limit {
            let quiet = limit.min(Instant::now() + QUIET);
            if timeout_at(quiet, self.events.recv()).await.is_err() {
                return;
            }
        }
    }

    fn read(&self) -> Option<Vec<u8>> {
        fs::read(&self.file).ok()
    }

    /// Watches the folders in which something can happen to the file.
    fn follow_links(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let steps = steps_to(&self.file);
        let folders = steps.iter().filter_map(|step| step.parent());
        let folders: BTreeSet<PathBuf> = folders.map(Path::to_owned).collect();
        for gone in self.folders.difference(&folders) {
            let _ = watcher.unwatch(gone);
        }
        for folder in &folders {
            // Also one that is watched: it may be another one of that name by now.
            let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
        }
        self.folders = folders;
        *self.steps.lock().unwrap_or_else(PoisonError::into_inner) = steps;
    }
}

/// Whether one of these may be another after this. That a file was read is an event as
/// well: each look would be followed by the next.
fn may_change(event: &notify::Result<Event>, steps: &BTreeSet<PathBuf>) -> bool {
    match event {
        Ok(event) if event.kind.is_access() => false,
        // One that was lost stands for anything.
        Ok(event) if event.paths.is_empty() => true,
        Ok(event) => event.paths.iter().any(|path| steps.contains(path)),
        Err(_) => true,
    }
}

/// The links on the way to a file, and where they lead in the end.
fn steps_to(file: &Path) -> BTreeSet<PathBuf> {
    let mut steps = BTreeSet::new();
    let mut path = PathBuf::new();
    let mut ahead: VecDeque<OsString> = parts(file);
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                path.pop();
                continue;
            }
            Some(Component::RootDir) => {
                path = part.into();
                continue;
            }
            _ => path.push(part),
        }
        if let Ok(target) = fs::read_link(&path)
            && links < MOST_LINKS
        {
            links += 1;
            steps.insert(path.clone());
            path.pop();
            let mut parts = parts(&target);
            parts.extend(ahead);
            ahead = parts;
        } else if ahead.is_empty() {
            steps.insert(path.clone());
        }
    }
    steps
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

/// Where nothing says that the file has changed: on network file systems, or without a watcher.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);
/// Between two events of one change.
const QUIET: Duration = Duration::from_millis(100);
/// After this long a file is read though it still changes.
const LONGEST_UNREST: Duration = Duration::from_secs(1);
/// As Linux has it.
const MOST_LINKS: u32 = 40;

#[cfg(test)]
mod tests;

//! Waits for a file to change.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Waits for a file to have other contents, however they come there: it is written, it is
/// replaced, or a link on the way to it leads elsewhere, as Kubernetes does it with a
/// mounted `ConfigMap`.
pub(super) struct Watch {
    file: PathBuf,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    steps: Steps,
    events: mpsc::Receiver<()>,
    /// Whether there is an event after which the file has not been read yet.
    unread: bool,
    contents: Option<Vec<u8>>,
}

/// The file, and the links on the way to it. Nothing else in their folders matters: a log
/// that is written there would wake the process that writes it.
type Steps = Arc<Mutex<BTreeSet<PathBuf>>>;

impl Watch {
    /// Of this file, as it is now. Where the system does not say that something has
    /// changed, the file is looked at now and then.
    pub(super) fn new(file: &Path) -> io::Result<Watch> {
        let (sender, events) = mpsc::channel(1);
        let steps = Steps::default();
        let of_steps = steps.clone();
        let watcher = notify::recommended_watcher(move |event| {
            if may_change(
                &event,
                &of_steps.lock().unwrap_or_else(PoisonError::into_inner),
            ) {
                // One that waits already stands for all.
                let _ = sender.try_send(());
            }
        });
        let mut watch = Watch {
            file: std::path::absolute(file)?,
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
            steps,
            events,
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
            if !self.unread && timeout(BETWEEN_LOOKS, self.events.recv()).await == Ok(None) {
                sleep(BETWEEN_LOOKS).await;
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

/// Where nothing says that the file has changed, as on network file systems.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);
/// Between two events of one change.
const QUIET: Duration = Duration::from_millis(100);
/// After this long a file is read though it still changes.
const LONGEST_UNREST: Duration = Duration::from_secs(1);
/// As Linux has it.
const MOST_LINKS: u32 = 40;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;
    use std::os::unix::fs::symlink;

    /// Fails instead of waiting for ever; and before the file would be looked at anyway.
    async fn changes(watch: &mut Watch, why: &str) {
        let changed = timeout(BETWEEN_LOOKS / 2, watch.changed()).await;
        assert!(changed.is_ok(), "{why}");
    }

    #[tokio::test]
    async fn a_file_that_is_written_or_replaced_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, new) = (folder.path().join("lb.json"), folder.path().join("new"));
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(&file).unwrap();
        fs::write(&file, "2").unwrap();
        changes(&mut watch, "it is written").await;
        fs::write(&new, "3").unwrap();
        fs::rename(&new, &file).unwrap();
        changes(&mut watch, "it is replaced").await;
        fs::remove_file(&file).unwrap();
        fs::write(&file, "4").unwrap();
        changes(&mut watch, "it is removed and made again").await;
    }

    #[tokio::test]
    async fn a_link_on_the_way_may_lead_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for number in ["1", "2", "3"] {
            fs::create_dir(at(number)).unwrap();
            fs::write(at(number).join("lb.json"), number).unwrap();
        }
        // As a mounted ConfigMap: lb.json -> ..data/lb.json, ..data -> 1.
        let lead = |to: &str| {
            symlink(to, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
        };
        lead("1");
        symlink("..data/lb.json", at("lb.json")).unwrap();
        let mut watch = Watch::new(&at("lb.json")).unwrap();
        lead("2");
        changes(&mut watch, "the link leads to another folder").await;
        fs::write(at("2/lb.json"), "in place").unwrap();
        changes(&mut watch, "the file there is written").await;
        // A link to the folder itself.
        let mut watch = Watch::new(&at("..data/lb.json")).unwrap();
        lead("3");
        changes(&mut watch, "the folder is another").await;
    }

    #[tokio::test]
    async fn who_stops_to_wait_misses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lb.json");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(&file).unwrap();
        fs::write(&file, "2").unwrap();
        // Before the event has come, and after it, while the file is not quiet yet.
        for _ in 0..20 {
            let stopped = timeout(Duration::ZERO, watch.changed()).await;
            assert!(stopped.is_err(), "it did not wait for the file to be quiet");
            sleep(QUIET / 40).await;
        }
        changes(&mut watch, "it is written").await;
    }

    #[tokio::test]
    async fn neither_a_look_nor_another_file_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (file, log) = (at("lb.json"), at("log"));
        fs::write(&file, "1").unwrap();
        let steps = steps_to(&file);
        let (sender, mut events) = mpsc::unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let change = may_change(&event, &steps);
            let _ = sender.send((event.unwrap().paths, change));
        });
        let watcher = watcher.as_mut().unwrap();
        let alone = RecursiveMode::NonRecursive;
        watcher.watch(folder.path(), alone).unwrap();
        fs::read(&file).unwrap();
        fs::write(&log, "2").unwrap();
        fs::write(at("last"), "3").unwrap();
        // Events come in order.
        let mut seen = Vec::new();
        while seen
            .last()
            .is_none_or(|(paths, _): &(Vec<PathBuf>, bool)| *paths != [at("last")])
        {
            let event = timeout(BETWEEN_LOOKS, events.recv()).await;
            seen.push(event.unwrap().unwrap());
        }
        let of = |path: &Path| seen.iter().filter(|(paths, _)| *paths == [path]).count();
        assert!(
            of(&file) > 0 && of(&log) > 0,
            "nothing is seen of them: {seen:?}"
        );
        assert!(seen.iter().all(|(_, change)| !change), "{seen:?}");
    }

    #[tokio::test]
    async fn what_stays_the_same_has_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("lb.json"), folder.path().join("other"));
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(&file).unwrap();
        fs::write(&file, "1").unwrap();
        fs::write(&other, "2").unwrap();
        let changed = timeout(QUIET * 5, watch.changed()).await;
        assert!(changed.is_err(), "same contents, and another file");
        watch.forget();
        fs::write(&file, "1").unwrap();
        changes(&mut watch, "it is to be read again").await;
    }
}

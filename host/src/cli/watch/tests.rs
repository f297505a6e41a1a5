#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use super::*;
use std::future::poll_fn;
use std::os::unix::fs::symlink;
use std::pin::pin;
use tokio::time::sleep;

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

#[tokio::test(start_paused = true)]
async fn without_a_watcher_the_file_is_looked_at_now_and_then_and_nothing_spins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lb.json");
    fs::write(&file, "1").unwrap();
    let none = |_| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch));
    let mut watch = Watch::told_by(&file, none).unwrap();
    let mut changed = pin!(watch.changed());
    let mut polls = 0;
    let counted = poll_fn(|context| {
        polls += 1;
        assert!(polls < 1000, "it spins");
        changed.as_mut().poll(context)
    });
    let early = timeout(BETWEEN_LOOKS * 10, counted).await;
    assert!(early.is_err(), "nothing has changed");
    fs::write(&file, "2").unwrap();
    let looked = timeout(BETWEEN_LOOKS * 2, changed).await;
    assert!(looked.is_ok(), "it is written");
}

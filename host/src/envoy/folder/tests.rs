#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;

use tempfile::TempDir;

use super::*;
use crate::config::ConfigFile;
use crate::filter_for_envoy;

fn plan(text: &str) -> Plan {
    Plan::of_file(&ConfigFile::parse(text, "lb.json").unwrap())
}

/// What is new of the listeners and of a plugin, each time that it changes while another
/// plan is applied, and since when.
async fn seen(folder: &mut Folder, next: &Plan, files: [&str; 2]) -> Vec<([bool; 2], Instant)> {
    let path = folder.path.clone();
    let read = || files.map(|file| fs::read_to_string(path.join(file)).unwrap());
    let before = read();
    let mut seen = vec![([false, false], Instant::now())];
    let filter = filter_for_envoy(next);
    let mut applied = std::pin::pin!(folder.apply(next, &filter));
    let watched = poll_fn(|context| {
        let polled = applied.as_mut().poll(context);
        let now = read();
        seen.push(([0, 1].map(|at| now[at] != before[at]), Instant::now()));
        polled
    });
    watched.await.unwrap();
    seen.dedup_by_key(|(new, _)| *new);
    seen
}

#[tokio::test(start_paused = true)]
async fn where_nobody_answers_a_listener_that_looks_for_names_is_there_for_its_plugin() {
    let directory = TempDir::new().unwrap();
    let one = r#""fqdn": "dtr.example.com", "replicas": [{"address": "10.0.0.1"}]"#;
    let shared = r#""listeners": [{"bind": "0.0.0.0:443"}]"#;
    let several = plan(&format!(r#"{{"services": [{{{one}}}], {shared}}}"#));
    let one = plan(&format!("{{{one}, {shared}}}"));
    let options = BootstrapOptions {
        // A port that nobody is given.
        envoy_admin: ([127, 0, 0, 1], 1).into(),
        ..BootstrapOptions::with_wasm("")
    };
    let wait = Duration::from_millis(100);
    let mut folder = Folder::open(directory.path(), options, wait).unwrap();
    folder.apply(&one, &filter_for_envoy(&one)).await.unwrap();

    let files = [LISTENERS_FILE, "ecds-dtr-lb-443.json"];
    let there = seen(&mut folder, &several, files).await;
    let back = seen(&mut folder, &one, files).await;
    for (seen, half) in [(there, [true, false]), (back, [false, true])] {
        let order: Vec<_> = seen.iter().map(|(new, _)| *new).collect();
        assert_eq!(order, [[false, false], half, [true, true]]);
        let had = seen[2].1 - seen[1].1;
        assert!(had >= wait, "Envoy had {had:?} for {half:?}");
    }
}

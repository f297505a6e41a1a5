//! What guests read and write: properties, shared data, queues, metrics.

use proxy_wasm_testkit::cas_lost;

use crate::{load, logs};

#[test]
fn properties_come_from_the_request_the_kit_and_the_guest() {
    let mut kit = load("properties")
        .property("xds.made_up", "everywhere")
        .start()
        .unwrap();
    let mut read = |path: &str| {
        let request = kit
            .http()
            .get("/p?q=1")
            .from("10.0.0.7:4000")
            .header("x-read", path);
        let mut exchange = request.property("of.this.request", "mine").send();
        exchange.header("x-value").unwrap().to_owned()
    };
    assert_eq!(read("source.address"), "10.0.0.7:4000");
    assert_eq!(read("request.path"), "/p?q=1");
    assert_eq!(read("request.method"), "GET");
    assert_eq!(
        read("source.port"),
        "\\xa0\\x0f\\x00\\x00\\x00\\x00\\x00\\x00"
    );
    assert_eq!(read("of.this.request"), "mine");
    assert_eq!(read("xds.made_up"), "everywhere");
    assert_eq!(read("nowhere"), "nothing");
    kit.set_property("nowhere", "somewhere");
    let mut exchange = kit.http().header("x-read", "nowhere").send();
    assert_eq!(exchange.header("x-value"), Some("somewhere"));
    let mut exchange = kit
        .http()
        .header("x-read", "own")
        .header("x-write", "set")
        .send();
    assert_eq!(exchange.header("x-value"), Some("set"));
}

#[test]
fn workers_count_together() {
    let mut kit = load("shared_data").workers(3).start().unwrap();
    let mut numbers = Vec::new();
    for worker in [0, 1, 2, 1] {
        let exchange = kit.http().on_worker(worker).send();
        let request = exchange.upstream_request().unwrap();
        numbers.push(request.header("x-number").unwrap().to_owned());
    }
    assert_eq!(numbers, ["1", "2", "3", "4"]);
    assert_eq!(kit.shared_data("count").as_deref(), Some(&b"4"[..]));

    kit.set_shared_data("count", "100");
    kit.fault(cas_lost().times(2));
    assert_eq!(kit.http().send().status(), Some(200), "the third try wins");
    assert_eq!(kit.shared_data("count").as_deref(), Some(&b"101"[..]));
    kit.fault(cas_lost().times(3));
    assert_eq!(kit.http().send().status(), Some(503));
}

#[test]
fn queues_reach_the_worker_that_registered_last() {
    let mut kit = load("queues").workers(2).start().unwrap();
    kit.http().get("/a").on_worker(0).send();
    kit.http().get("/b").on_worker(1).send();
    kit.enqueue("paths", "/from-the-test");
    let lines = kit
        .logs()
        .into_iter()
        .map(|line| (line.worker, line.message));
    let expected = ["item /a", "item /b", "item /from-the-test"].map(|item| (1, item.to_owned()));
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn metrics_can_be_read() {
    let mut kit = load("metrics").start().unwrap();
    kit.http().post("/").open().send_last("12345");
    let open = kit.http().post("/").open();
    assert_eq!(kit.metric("guest.requests"), Some(2));
    assert_eq!(kit.metric("guest.active"), Some(1), "one is under way");
    assert_eq!(kit.metric("guest.unknown"), None);
    assert!(open.status().is_none());
    let metrics = kit.metrics();
    let bytes = metrics
        .iter()
        .find(|metric| metric.name == "guest.bytes")
        .unwrap();
    assert_eq!((bytes.value, bytes.sum), (1, 5));
    assert!(
        kit.logged("Ok(()) Ok(()) Err(BadArgument)"),
        "{:?}",
        logs(&kit)
    );
}

#[test]
fn foreign_functions_work_and_unknown_ones_say_so() {
    let mut kit = load("foreign").start().unwrap();
    kit.http().get(&format!("/{}", "a".repeat(1000))).send();
    assert!(kit.logged("and the same again: true"), "{:?}", logs(&kit));
    assert!(kit.logged("Err(NotFound)"), "{:?}", logs(&kit));
}

//! A process that may open few files.

use std::net::TcpStream;
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use crate::ask;
use crate::balancer::{Balancer, Config, greeting, is_greeted};
use crate::running::{Forever, connect, eventually};

/// With a filter, which probes its replica all the time.
fn balancing(files: Files) -> Balancer {
    let health = json!({ "preset": "tcp", "interval": "50ms", "fall": 1 });
    let config = Config::balancing(greeting(), json!({ "health": health }));
    let program = Balancer::logging(&mut limited(files), config);
    probes_go_on(&program);
    program
}

/// Without a filter, which takes a while to compile.
fn forwarding(files: Files) -> Balancer {
    let config = Config::forwarding(greeting(), json!({}));
    Balancer::logging(&mut limited(files), config)
}

/// The program, to which arguments are to be added.
fn limited(Files(files): Files) -> Command {
    let mut program = Command::new("sh");
    let script = r#"ulimit -n "$1"; shift; exec "$@""#;
    let files = files.to_string();
    program.args(["-c", script, "sh", &files, env!("CARGO_BIN_EXE_dtr-lb")]);
    program
}

fn probes_go_on(program: &Balancer) {
    let probes = || program.metric("dtr_lb_replica_probes_ok_total{replica=\"r1\"}");
    // Unknown until the filter has started.
    let before = eventually("probes to be counted", probes);
    eventually("probes to go on", || (probes()? > before + 2).then_some(()));
}

/// No connection to a replica failed.
fn all_connected(program: &Balancer) {
    let failures = program.metric("dtr_lb_host_connect_failures_total");
    assert_eq!(failures, Some(0), "connect failures");
}

/// Its filter blames its replica for nothing.
fn blames_nobody(program: &Balancer) {
    all_connected(program);
    for name in ["connect_failures_total", "changes_total"] {
        let name = format!("dtr_lb_replica_{name}{{replica=\"r1\"}}");
        assert_eq!(program.metric(&name), Some(0), "{name}");
    }
    let text = ask(&program.admin, "GET /metrics", "");
    let failed =
        |line: &&str| line.starts_with("dtr_lb_replica_probes_failed_total{replica=\"r1\"");
    let failed: Vec<&str> = text.lines().filter(failed).collect();
    assert!(!failed.is_empty(), "no failed probes in {text}");
    for line in failed {
        assert!(line.ends_with(" 0"), "{line}");
    }
}

/// How many files a program may open.
struct Files(u64);

#[test]
fn idle_clients_of_the_admin_listener_take_no_files_from_others() {
    let program = balancing(Files(256));
    // More than there are files.
    let idle: Vec<TcpStream> = (0..400).map(|_| connect(&program.admin)).collect();
    for index in 0..40 {
        is_greeted(&mut program.connect(), &format!("client {index}"));
    }
    probes_go_on(&program);
    blames_nobody(&program);
    drop(idle);
}

#[test]
fn reloads_with_open_connections_leave_files_for_everything_else() {
    let program = forwarding(Files(300));
    let mut held = Vec::new();
    for round in 0..10 {
        for _ in 0..5 {
            let mut client = program.connect();
            is_greeted(&mut client, &format!("a client of round {round}"));
            held.push(client);
        }
        program.program.signal(Signal::HUP);
        // Also where there are no files left for more workers.
        program.program.until("SIGHUP: ");
    }
    let waiting: Vec<TcpStream> = (0..200).map(|_| program.connect()).collect();
    eventually("the limit to be reached", || {
        (program.metric("dtr_lb_host_connections_limit_reached_total")? > 0).then_some(())
    });
    drop(held);
    // All at once: each worker has a queue of its own, and who is served early in one must
    // not hold a place until who is late in the other has gone.
    thread::scope(|scope| {
        for (index, mut client) in waiting.into_iter().enumerate() {
            scope.spawn(move || {
                is_greeted(&mut client, &format!("client {index} of those who wait"));
            });
        }
    });
    all_connected(&program);
}

#[test]
fn a_reload_without_files_for_its_workers_says_so_and_changes_nothing() {
    let program = forwarding(Files(256));
    is_greeted(&mut program.connect(), "before");
    // Enough for a client and its replica.
    program.program.may_open_more(4, Forever::Yes);
    program.program.signal(Signal::HUP);
    let line = program.program.until("SIGHUP: ");
    assert!(line.contains("the balancer goes on as before"), "{line}");
    assert!(line.contains("raise LimitNOFILE (ulimit -n)"), "{line}");
    is_greeted(&mut program.connect(), "after");
}

#[test]
fn a_connection_without_a_file_for_its_replica_waits_for_one() {
    let program = forwarding(Files(256));
    // The client's socket is the last one.
    program.program.may_open_more(1, Forever::No);
    let mut client = program.connect();
    program.program.until("can't connect to a replica");
    program.program.may_open_more(100, Forever::No);
    is_greeted(&mut client, "there are files again");
    all_connected(&program);
}

#[test]
fn everything_goes_on_after_the_process_could_open_no_more_files() {
    let program = balancing(Files(1024));
    is_greeted(&mut program.connect(), "before");

    // As many as standard streams.
    program.program.may_open(Some(3));
    // Its probes have none.
    program.program.until("can't connect to a replica");
    let mut waits = program.connect();
    program.program.until("can't accept");
    program.program.may_open(None);

    is_greeted(&mut waits, "who came meanwhile");
    for _ in 0..20 {
        is_greeted(&mut program.connect(), "who comes after");
    }
    probes_go_on(&program);
    blames_nobody(&program);
    let errors = program.metric("dtr_lb_host_accept_errors_total");
    assert!(errors > Some(0), "none is counted: {errors:?}");
}

#[test]
fn reloads_leave_nothing_behind_but_the_worker_of_an_open_session() {
    let program = forwarding(Files(1024));
    let settles = |threads: usize, files: std::ops::RangeInclusive<usize>, when: &str| {
        eventually(
            &format!("{threads} threads and {files:?} files {when}"),
            || {
                let costs = program.program.costs();
                (costs.0 == threads && files.contains(&costs.1)).then_some(costs.1)
            },
        )
    };
    let reload = || {
        program.program.signal(Signal::HUP);
        program
            .program
            .until("SIGHUP: the configuration was read again");
    };
    // Until the first has been accepted, not all may be there.
    is_greeted(&mut program.connect(), "before");
    let mut before = None;
    let (threads, files) = eventually("a quiet program", || {
        // Not while the answer below is still under way.
        let costs = program.program.costs();
        let is_same = before.replace(costs) == Some(costs);
        let active = program.metric("dtr_lb_host_connections_active");
        (is_same && active == Some(0)).then_some(costs)
    });
    let mut held = program.connect();
    is_greeted(&mut held, "the one that stays");
    reload();
    // Its two sockets, and the event loop of its worker.
    let one = settles(threads + 1, files + 2..=files + 2 + 4, "after a reload");
    for _ in 0..10 {
        reload();
    }
    settles(threads + 1, one..=one, "after ten more");
    drop(held);
    settles(threads, files - 2..=files, "when the session is over");
}

//! Start, reload and drain.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use dtr_lb::{Host, HostOptions, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::eventually::{eventually, within};
use crate::guest::Guest;
use crate::plan::plan;
use crate::replica::Replica;
use crate::running::{
    admin, admin_at, admin_says, connect, echoes, get, is_closed, options, start,
};

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let r0 = Replica::start("r0").await;
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = held.local_addr().unwrap();
    let mut taken = plan(&[&r0]);
    taken.listeners[0].bind = address;
    let refusing = Guest {
        configure: "(i32.const 0)",
        ..Guest::PLAIN
    };
    let wats = [Guest::PLAIN.wat(), refusing.wat()];
    let cases = [
        (
            taken,
            wats[0].as_str(),
            address.to_string(),
            "an address somebody holds",
        ),
        (
            plan(&[&r0]),
            wats[1].as_str(),
            "proxy_on_configure".to_owned(),
            "a refused configuration",
        ),
        (
            plan(&[&r0]),
            "(module)",
            "proxy_abi_version".to_owned(),
            "a module that is no filter",
        ),
    ];
    for (plan, wat, part, why) in cases {
        let error = match Host::start(plan, wat.as_bytes(), options()).await {
            Ok(_) => panic!("{why} was accepted"),
            Err(error) => error,
        };
        assert!(error.to_string().contains(&part), "{why}: {error}");
        assert!(
            matches!(error, StartError::Bind { .. } | StartError::Filter(_)),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_drain_waits_up_to_its_limit_and_counts() {
    let r0 = Replica::start("r0").await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    let (address, admin_address) = (host.listeners()[0], host.admin().unwrap());
    let (mut leaves, _) = connect(&host).await;
    let (mut stays, _) = connect(&host).await;

    let drain = tokio::spawn(host.drain(Duration::from_secs(2)));
    refuses_clients(address).await;
    let ready = admin_at(admin_address, &get("/ready")).await;
    assert!(
        ready.starts_with("HTTP/1.1 503 ") && ready.contains("draining"),
        "{ready}"
    );
    echoes(&mut leaves, "open connections go on").await;
    leaves.shutdown().await.unwrap();
    is_closed(&mut leaves, "the replica ends as well").await;

    let drained = within("the drain", drain).await.unwrap();
    assert_eq!(drained.cut, 1, "the one that stayed");
    assert!(drained.finished >= 1, "the one that left: {drained:?}");
    let cut = within("the cut", stays.read(&mut [0; 8])).await;
    assert!(cut.is_err(), "a cut is a reset");
}

#[tokio::test]
async fn an_announced_drain_accepts_while_ready_and_ping_say_503() {
    let r0 = Replica::start("r0").await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    let (address, admin_address) = (host.listeners()[0], host.admin().unwrap());
    let says_draining = async |when: &str| {
        let ready = admin_at(admin_address, &get("/ready")).await;
        assert!(ready.starts_with("HTTP/1.1 503 "), "{when}: {ready}");
        assert!(ready.contains("draining"), "{when}: {ready}");
        let ping = admin_at(admin_address, &get("/_ping")).await;
        assert!(ping.starts_with("HTTP/1.1 503 "), "{when}: {ping}");
        let body = r#"{"Error":"draining","Healthy":false}"#;
        assert!(ping.ends_with(body), "{when}: {ping}");
    };
    let ping = admin(&host, &get("/_ping")).await;
    assert!(ping.contains("hello from the guest"), "before: {ping}");

    host.announce_drain();
    says_draining("announced").await;
    let (mut open, name) = connect(&host).await;
    assert_eq!(name, "r0", "who comes meanwhile is served");

    let drain = tokio::spawn(host.drain(Duration::from_secs(60)));
    refuses_clients(address).await;
    says_draining("draining").await;
    echoes(&mut open, "open connections go on").await;
    drop(open);
    let drained = within("the drain", drain).await.unwrap();
    assert_eq!(drained.cut, 0);
}

async fn refuses_clients(address: SocketAddr) {
    eventually(
        "new clients to be refused",
        async || match TcpStream::connect(address).await {
            Ok(_) => Err("accepted".to_owned()),
            Err(_) => Ok(()),
        },
    )
    .await;
}

#[tokio::test]
async fn ready_never_says_503_while_the_host_reloads() {
    let r0 = Replica::start("r0").await;
    let wat = Guest::PLAIN.wat();
    let options = HostOptions {
        workers: NonZeroUsize::new(4).unwrap(),
        ..options()
    };
    let started = Host::start(plan(&[&r0]), wat.as_bytes(), options).await;
    let mut host = started.unwrap();
    let admin_address = host.admin().unwrap();
    let ready_answers = std::cell::Cell::new(0);
    let asking = async {
        loop {
            let ready = admin_at(admin_address, &get("/ready")).await;
            if ready.starts_with("HTTP/1.1 200 ") {
                ready_answers.set(ready_answers.get() + 1);
            } else if !ready.is_empty() {
                // A worker that goes away as it answers answers nothing.
                return ready;
            }
        }
    };
    let reloads = async {
        for _ in 0..10 {
            let before = ready_answers.get();
            host.reload(plan(&[&r0]), wat.as_bytes()).await.unwrap();
            eventually("a 200 since the reload began", async || {
                match ready_answers.get() > before {
                    true => Ok(()),
                    false => Err(format!("{before} before it")),
                }
            })
            .await;
        }
    };
    tokio::select! {
        ready = asking => panic!("during a reload: {ready}"),
        () = reloads => {}
    }
}

#[tokio::test]
async fn a_reload_cuts_nobody_and_new_connections_follow_the_new_plan() {
    let (r0, r1) = (Replica::start("r0").await, Replica::start("r1").await);
    let mut host = start(Guest::PLAIN, &[&r0]).await;
    let (address, admin_address) = (host.listeners()[0], host.admin().unwrap());
    let (mut old, name) = connect(&host).await;
    assert_eq!(name, "r0");

    let steering = Guest::steering_to("443/r1");
    host.reload(plan(&[&r0, &r1]), steering.wat().as_bytes())
        .await
        .unwrap();
    assert_eq!(host.listeners(), [address], "the port stays");
    assert_eq!(host.admin(), Some(admin_address));
    for _ in 0..5 {
        assert_eq!(connect(&host).await.1, "r1", "as the new filter steers");
    }
    echoes(&mut old, "open connections go on").await;
    admin_says(&host, "/metrics", "dtr_lb_host_workers 2").await;

    drop(old);
    admin_says(&host, "/metrics", "dtr_lb_host_workers 1").await;
    admin_says(&host, "/metrics", "dtr_lb_host_vm_running 1").await;
}

#[tokio::test]
async fn an_admin_connection_goes_to_the_new_workers() {
    let r0 = Replica::start("r0").await;
    let mut host = start(Guest::PLAIN, &[&r0]).await;
    let (_old, _) = connect(&host).await;
    let mut open = TcpStream::connect(host.admin().unwrap()).await.unwrap();
    for round in 0..3 {
        for (path, part) in [
            ("/ready", "\"ready\":true".to_owned()),
            ("/status", "hello from the guest".to_owned()),
            // The first have a session, those between have none.
            (
                "/metrics",
                format!("dtr_lb_host_workers {}\n", 1 + usize::from(round > 0)),
            ),
        ] {
            // Those that have nothing to do end in a moment.
            eventually(&format!("{part:?} in {path}, round {round}"), async || {
                let answer = kept(&mut open, path).await;
                assert!(
                    answer.starts_with("HTTP/1.1 200 "),
                    "{path}, {round}: {answer}"
                );
                match answer.contains(&part) {
                    true => Ok(()),
                    false => Err(answer),
                }
            })
            .await;
        }
        let wat = Guest::PLAIN.wat();
        host.reload(plan(&[&r0]), wat.as_bytes()).await.unwrap();
    }
}

/// Asks on a connection that is kept.
async fn kept(socket: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("an answer", socket.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length = length.lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    within("a body", socket.read_exact(&mut body))
        .await
        .unwrap();
    head + &String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn a_listener_moves_to_all_addresses_and_back_and_refuses_nobody() {
    let r0 = Replica::start("r0").await;
    let mut host = start(Guest::PLAIN, &[&r0]).await;
    let address = host.listeners()[0];
    let asking = async |served: &std::cell::Cell<usize>| -> std::convert::Infallible {
        loop {
            let mut client = TcpStream::connect(address)
                .await
                .expect("nobody is refused");
            let mut name = [0; 2];
            let read = within("a replica's name", client.read_exact(&mut name)).await;
            read.expect("nobody is cut");
            served.set(served.get() + 1);
        }
    };
    let served = std::cell::Cell::new(0);
    let reloads = async {
        let wat = Guest::PLAIN.wat();
        for ip in [[0, 0, 0, 0], [127, 0, 0, 1], [0, 0, 0, 0], [127, 0, 0, 1]] {
            let mut moved = plan(&[&r0]);
            moved.listeners[0].bind = (ip, address.port()).into();
            host.reload(moved, wat.as_bytes()).await.unwrap();
            let before = served.get();
            eventually("more clients to be served", async || {
                match served.get() > before + 20 {
                    true => Ok(()),
                    false => Err(served.get().to_string()),
                }
            })
            .await;
        }
    };
    tokio::select! {
        never = asking(&served) => match never {},
        never = asking(&served) => match never {},
        () = reloads => {}
    }
}

#[tokio::test]
async fn the_admin_listener_moves_to_all_addresses_and_back() {
    let r0 = Replica::start("r0").await;
    let mut host = start(Guest::PLAIN, &[&r0]).await;
    let address = host.admin().unwrap();
    let wat = Guest::PLAIN.wat();
    for ip in [[0, 0, 0, 0], [127, 0, 0, 1]] {
        let mut moved = plan(&[&r0]);
        moved.admin.as_mut().unwrap().bind = (ip, address.port()).into();
        host.reload(moved, wat.as_bytes()).await.unwrap();
        let ready = admin_at(address, &get("/ready")).await;
        assert!(ready.starts_with("HTTP/1.1 200 "), "on {ip:?}: {ready:?}");
    }
}

#[tokio::test]
async fn a_reload_that_cannot_work_changes_nothing() {
    let r0 = Replica::start("r0").await;
    let mut host = start(Guest::PLAIN, &[&r0]).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wanted = plan(&[&r0]);
    wanted.listeners[0].bind = taken.local_addr().unwrap();

    let refused = host.reload(wanted, Guest::PLAIN.wat().as_bytes()).await;
    assert!(refused.unwrap_err().to_string().contains("in use"));
    let refused = host.reload(plan(&[&r0]), b"no module").await;
    assert!(refused.is_err());
    let itself = Replica {
        address: host.listeners()[0],
        _bound: None,
    };
    let wat = Guest::PLAIN.wat();
    let refused = host.reload(plan(&[&itself]), wat.as_bytes()).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("would connect to itself"), "{error}");
    for _ in 0..5 {
        assert_eq!(connect(&host).await.1, "r0");
    }
}

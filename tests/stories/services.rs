//! Several registries behind one address: each client gets the one that it asks for.

use dtr_lb_tests::{
    Arg, ClientHello, Connection, FILTER, Healthy, LIMIT, Ping, Proxy, Replica, Standin, Traffic,
    Unhealthy, World, eventually, on_each_proxy, on_host, service, trap_when,
};
use serde_json::{Value, json};

/// Two services, `dtr` with two replicas and `quay` with one, whose replicas name
/// themselves: `quay` is asked for by other names as well.
async fn two_services(world: &World) -> ([Standin; 3], Value) {
    let replica = || Replica::serves(Traffic::NamesItself);
    let replicas = [
        world.replica(replica()).await,
        world.replica(replica()).await,
        world.replica(replica()).await,
    ];
    let [one, two, other] = &replicas;
    let more = json!({ "names": ["*.quay.example.com", "quay.example.org"] });
    let services = json!({ "services": [
        service("dtr", &[one, two], json!({})),
        service("quay", &[other], more),
    ] });
    (replicas, services)
}

/// The service whose replica gets what a client sends in these pieces, each of which comes
/// back as it was sent.
async fn service_of(proxy: &Proxy, why: &str, pieces: &[&[u8]]) -> &'static str {
    let mut connection = proxy.connect().await;
    for piece in pieces {
        connection.send(piece).await;
        // Or the kernel would make one segment of several.
        tokio::task::yield_now().await;
    }
    let name = connection.line().await;
    connection.receives(&pieces.concat()).await;
    connection.echoes(b"and more").await;
    match name.as_str() {
        "r1" | "r2" => "dtr",
        "r3" => "quay",
        other => panic!("{why}: {other} answers"),
    }
}

on_each_proxy!(a_client_gets_the_registry_it_asks_for_in_tls, |world| {
    let (_replicas, services) = two_services(world).await;
    let proxy = world.proxy_with(services).await;
    let quay = || ClientHello::for_name("quay.example.com");
    let named = ClientHello::for_name;
    let cases = [
        ("its fqdn", "dtr", named("dtr.example.com")),
        ("another's", "quay", quay()),
        ("in capitals", "quay", named("QUAY.Example.COM")),
        ("another name", "quay", named("quay.example.org")),
        ("a wildcard", "quay", named("mirror.quay.example.com")),
        ("deeper", "quay", named("a.b.quay.example.com")),
        ("a name of nobody", "dtr", named("harbor.example.com")),
        ("no name", "dtr", ClientHello::new()),
        (
            "a certificate's challenge",
            "quay",
            quay().alpn("acme-tls/1"),
        ),
        (
            "an encrypted ClientHello's outer name",
            "quay",
            quay().encrypted(),
        ),
        (
            "after much else",
            "quay",
            ClientHello::new()
                .padding(12_000)
                .and_name("quay.example.com"),
        ),
        ("over many records", "quay", quay().in_records_of(7)),
    ];
    for (why, expected, hello) in &cases {
        let sent = hello.bytes();
        let found = service_of(&proxy, why, &[&sent]).await;
        assert_eq!(found, *expected, "{why}");
    }

    let sent = quay().bytes();
    let (begin, rest) = sent.split_at(4);
    let (middle, end) = rest.split_at(rest.len() / 2);
    let found = service_of(&proxy, "in segments", &[begin, middle, end]).await;
    assert_eq!(found, "quay", "in segments");
    let early = vec![0x17; 100_000];
    let found = service_of(&proxy, "with early data", &[&sent, &early]).await;
    assert_eq!(found, "quay", "with early data");
});

on_each_proxy!(a_client_gets_the_registry_it_asks_for_as_host, |world| {
    let (_replicas, services) = two_services(world).await;
    let proxy = world.proxy_with(services).await;
    let cases: [(&str, &str, &[&[u8]]); 9] = [
        (
            "its fqdn",
            "dtr",
            &[b"GET / HTTP/1.1\r\nHost: dtr.example.com\r\n\r\n"],
        ),
        (
            "another's",
            "quay",
            &[b"GET / HTTP/1.1\r\nHost: quay.example.com\r\n\r\n"],
        ),
        (
            "with a port",
            "quay",
            &[b"GET / HTTP/1.1\r\nhost:QUAY.example.com:80\r\n\r\n"],
        ),
        (
            "a wildcard",
            "quay",
            &[b"PUT /x HTTP/1.1\r\nA: b\r\nHost: a.quay.example.com\r\n\r\n"],
        ),
        (
            "a name of nobody",
            "dtr",
            &[b"GET / HTTP/1.1\r\nHost: harbor\r\n\r\n"],
        ),
        ("no Host", "dtr", &[b"GET / HTTP/1.0\r\n\r\n"]),
        ("another protocol", "dtr", &[b"SSH-2.0-OpenSSH_9.2\r\n"]),
        ("no ClientHello", "dtr", &[b"\x16\x03\x01\x00\x04what"]),
        (
            "in segments",
            "quay",
            &[
                b"GET / HTTP/1.1\r\nHo",
                b"st: quay.examp",
                b"le.com\r\n\r\n",
            ],
        ),
    ];
    for (why, expected, pieces) in cases {
        let found = service_of(&proxy, why, pieces).await;
        assert_eq!(found, expected, "{why}");
    }

    let head = b"PUT /x HTTP/1.1\r\nHost: quay.example.com\r\nContent-Length: 300000\r\n\r\n";
    let body = vec![b'x'; 300_000];
    let found = service_of(&proxy, "with a body", &[head, &body]).await;
    assert_eq!(found, "quay", "with a body");
});

on_each_proxy!(who_asks_for_nothing_gets_the_default, |world| {
    let (_replicas, mut services) = two_services(world).await;
    services["default"] = "quay".into();
    let proxy = world.proxy_with(services).await;
    let cases = [
        ("no name", ClientHello::new().bytes(), "quay"),
        (
            "a name of nobody",
            ClientHello::for_name("x.example").bytes(),
            "quay",
        ),
        ("another protocol", b"hello, world".to_vec(), "quay"),
        (
            "the other's name",
            ClientHello::for_name("dtr.example.com").bytes(),
            "dtr",
        ),
    ];
    for (why, sent, expected) in cases {
        assert_eq!(service_of(&proxy, why, &[&sent]).await, expected, "{why}");
    }
});

on_each_proxy!(who_does_not_ask_in_time_is_closed, |world| {
    let (replicas, mut services) = two_services(world).await;
    services["hello_timeout"] = "300ms".into();
    let proxy = world.proxy_with(services).await;
    let hello = ClientHello::for_name("quay.example.com").bytes();
    let cases: [&[u8]; 3] = [b"", &hello[..40], b"GET / HTTP/1.1\r\nHost: quay"];
    for begun in cases {
        let mut connection = proxy.connect().await;
        connection.send(begun).await;
        connection.is_refused().await;
    }
    let mut in_time = proxy.connect().await;
    in_time.send(&hello).await;
    assert_eq!(in_time.line().await, "r3");
    let reached: usize = replicas.iter().map(Standin::connections).sum();
    assert_eq!(reached, 1, "no replica is troubled with the others");
});

on_each_proxy!(one_registry_that_is_down_leaves_the_others_alone, |world| {
    let (replicas, services) = two_services(world).await;
    let [one, two, other] = &replicas;
    let proxy = world.proxy_with(services).await;
    for replica in &replicas {
        proxy.sees(replica, Healthy).await;
    }
    proxy.measures(r#"dtr_lb_usable{service="dtr"}"#, 2.0).await;
    proxy
        .measures(r#"dtr_lb_usable{service="quay"}"#, 1.0)
        .await;

    other.now_pings(Ping::fails("rethinkdb: down"));
    proxy.sees(other, Unhealthy).await;
    proxy
        .measures(r#"dtr_lb_usable{service="quay"}"#, 0.0)
        .await;
    let ask = |name: &str| format!("GET / HTTP/1.1\r\nHost: {name}.example.com\r\n\r\n");
    let mut refused = proxy.connect().await;
    refused.send(ask("quay").as_bytes()).await;
    refused.is_refused().await;
    let mut refused = proxy.connect().await;
    refused
        .send(&ClientHello::for_name("quay.example.com").bytes())
        .await;
    refused.is_refused().await;
    assert_eq!(
        service_of(&proxy, "the other", &[ask("dtr").as_bytes()]).await,
        "dtr"
    );
    let (status, ping) = proxy.ping().await;
    assert_eq!(
        (status, &ping["Healthy"]),
        (200, &json!(true)),
        "one can be reached"
    );

    proxy.order(one, "drain").await;
    proxy.is_in_state(one, "drain").await;
    for _ in 0..4 {
        let mut connection = proxy.connect().await;
        connection.send(ask("dtr").as_bytes()).await;
        assert_eq!(connection.line().await, two.name());
    }
    proxy.order(two, "maintenance").await;
    let (status, ping) = proxy.ping().await;
    assert_eq!(status, 503, "none can be reached: {ping}");
    let error = ping["Error"].as_str().unwrap();
    assert!(
        error.contains("dtr: ") && error.contains("quay: "),
        "{error}"
    );

    other.now_pings(Ping::healthy());
    proxy.sees(other, Healthy).await;
    assert_eq!(
        service_of(&proxy, "again", &[ask("quay").as_bytes()]).await,
        "quay"
    );
});

on_each_proxy!(
    a_replica_that_breaks_leaves_its_clients_to_its_service,
    |world| {
        let (replicas, services) = two_services(world).await;
        let [one, two, _] = &replicas;
        let proxy = world.proxy_with(services).await;
        proxy.sees(one, Healthy).await;
        one.refuses_clients().await;
        for _ in 0..6 {
            let mut connection = proxy.connect().await;
            connection
                .send(&ClientHello::for_name("dtr.example.com").bytes())
                .await;
            assert_eq!(connection.line().await, two.name());
        }
        proxy.failed_to_reach(one).await;
    }
);

on_each_proxy!(the_status_has_each_service, |world| {
    let (replicas, services) = two_services(world).await;
    let proxy = world.proxy_with(services).await;
    proxy.lists(&["dtr/r1", "dtr/r2", "quay/r3"]).await;
    proxy.sees(&replicas[2], Healthy).await;
    let mut held = proxy.connect().await;
    held.send(&ClientHello::for_name("quay.example.com").bytes())
        .await;
    assert_eq!(held.line().await, "r3");
    // Each worker learns what the others count.
    let status = eventually(LIMIT, "one connection in /status", async || {
        let answer = proxy.try_admin("/status").await?;
        let status: Value = serde_json::from_slice(&answer.body).map_err(|it| it.to_string())?;
        match (
            &status["connections"]["active"],
            &status["services"][1]["connections"]["active"],
        ) {
            (all, quay) if *all == 1 && *quay == 1 => Ok(status),
            _ => Err(status.to_string()),
        }
    })
    .await;

    assert_eq!(
        (&status["version"], &status["healthy"]),
        (&json!(1), &json!(true)),
        "{status}"
    );
    let services = status["services"].as_array().unwrap();
    let named: Vec<&Value> = services.iter().map(|one| &one["service"]).collect();
    let quay = ["quay.example.com", "*.quay.example.com", "quay.example.org"];
    let expected = [
        json!({ "name": "dtr", "names": ["dtr.example.com"] }),
        json!({ "name": "quay", "names": quay }),
    ];
    assert_eq!(named, expected.iter().collect::<Vec<_>>());
    let unknown = proxy.put_replica("r3", &[], r#"{"state": "drain"}"#).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
});

/// Asks for a service, and who answers.
async fn who_answers(proxy: &Proxy, service: &str) -> (String, Connection) {
    let mut connection = proxy.connect().await;
    let request = format!("GET /who HTTP/1.1\r\nHost: {service}.example.com\r\n\r\n");
    let answer = connection.request(request.as_bytes()).await;
    let who = answer.header("x-replica").unwrap_or("nobody").to_owned();
    (who, connection)
}

on_each_proxy!(services_come_and_go_and_nobody_notices, |world| {
    let dtr = world.replica(Replica::healthy()).await;
    let quay = world.replica(Replica::healthy()).await;
    let harbor = world.replica(Replica::healthy()).await;
    let alone = json!({ "replicas": [dtr.config()] });
    let with = |others: &[(&str, &Standin)], default: &str| {
        let mut services = vec![service("dtr", &[&dtr], json!({}))];
        let others = others.iter();
        services.extend(others.map(|(name, replica)| service(name, &[replica], json!({}))));
        json!({ "services": services, "default": default })
    };
    let mut proxy = world.following_proxy(with(&[("quay", &quay)], "dtr")).await;
    proxy.sees(&quay, Healthy).await;
    let (who, mut held) = who_answers(&proxy, "quay").await;
    assert_eq!(who, quay.name());
    proxy.order(&dtr, "drain").await;
    proxy.is_in_state(&dtr, "drain").await;
    proxy.order(&dtr, "ready").await;
    proxy.is_in_state(&dtr, "healthy").await;
    // They ask for dtr.
    let load = proxy.load(4);

    let changes = [
        (
            "one is added",
            with(&[("quay", &quay), ("harbor", &harbor)], "dtr"),
            Some("harbor"),
        ),
        (
            "one is removed",
            with(&[("harbor", &harbor)], "dtr"),
            Some("harbor"),
        ),
        ("one is all there is", alone.clone(), None),
        (
            "it is one of several again",
            with(&[("quay", &quay)], "quay"),
            Some("quay"),
        ),
        (
            "the default is another",
            with(&[("quay", &quay)], "dtr"),
            Some("quay"),
        ),
    ];
    for (why, change, asked) in changes.iter().cycle().take(15) {
        world.reload(&mut proxy, change.clone()).await;
        load.is_answered(20).await;
        if let Some(asked) = asked {
            let expected = if *asked == "quay" { &quay } else { &harbor };
            proxy.sees(expected, Healthy).await;
            assert_eq!(who_answers(&proxy, asked).await.0, expected.name(), "{why}");
        }
    }

    let failed = load.ends().await;
    assert!(failed.is_empty(), "{failed:#?}");
    let answer = held
        .request(b"GET /who HTTP/1.1\r\nHost: quay.example.com\r\n\r\n")
        .await;
    assert_eq!(
        answer.header("x-replica"),
        Some(quay.name()),
        "it is not cut"
    );
});

on_each_proxy!(the_log_says_what_was_asked_for_and_what_was_not, |world| {
    let (_replicas, mut services) = two_services(world).await;
    services["hello_timeout"] = "300ms".into();
    let proxy = world.proxy_with(services).await;
    let hello = ClientHello::for_name("quay.example.com").bytes();
    service_of(&proxy, "in TLS", &[&hello]).await;
    proxy.logs(r#"replica="quay/r3""#).await;
    let line = proxy.logged(r#"replica="quay/r3""#).remove(0);
    let named = [r#"service="quay""#, r#"server_name="quay.example.com""#];
    assert!(named.iter().any(|one| line.contains(one)), "{line}");

    let mut late = proxy.connect().await;
    late.send(b"GET / HTTP/1.1\r\n").await;
    late.is_refused().await;
    proxy.logs(r#"reason="hello-timeout""#).await;
});

on_host!(a_client_that_has_not_asked_holds_nothing_up, |world| {
    let ([one, two, other], mut services) = two_services(world).await;
    services["hello_timeout"] = "1h".into();
    let mut proxy = world.following_proxy(services.clone()).await;
    proxy.sees(&other, Healthy).await;
    let silent = proxy.connect().await;
    let mut begun = proxy.connect().await;
    let hello = ClientHello::for_name("dtr.example.com").bytes();
    let (first, rest) = hello.split_at(50);
    begun.send(first).await;
    proxy.measures("dtr_lb_host_connections_active", 2.0).await;
    one.now_pings(Ping::fails("garant: down"));
    proxy.sees(&one, Unhealthy).await;
    let sick = world
        .replica(Replica::pings(Ping::fails("registry: gone")))
        .await;

    let mut next = services.clone();
    next["services"][1] = service("quay", &[&sick], json!({}));
    world.reload(&mut proxy, next).await;
    proxy.sees(&sick, Unhealthy).await;

    begun.send(rest).await;
    assert_eq!(
        begun.line().await,
        two.name(),
        "what is known of the replicas holds"
    );
    begun.receives(&hello).await;
    drop(silent);
    proxy.counts(&two, "active", 1).await;
    drop(begun);
    proxy.counts(&two, "active", 0).await;
});

on_host!(
    without_the_filter_each_service_falls_back_on_its_own,
    |world| {
        let (replicas, services) = two_services(world).await;
        // The first root, which is the one that ticks.
        let dies_at_each_tick = trap_when(FILTER, "proxy_on_tick", Arg(0), 1);
        let proxy = world.proxy_of(&dies_at_each_tick, services).await;
        proxy.logs("unreachable").await;
        for _ in 0..8 {
            let quay = ClientHello::for_name("quay.example.com").bytes();
            assert_eq!(service_of(&proxy, "in TLS", &[&quay]).await, "quay");
            let dtr: &[u8] = b"GET / HTTP/1.1\r\nHost: dtr.example.com\r\n\r\n";
            assert_eq!(service_of(&proxy, "as Host", &[dtr]).await, "dtr");
        }
        drop(replicas);
    }
);

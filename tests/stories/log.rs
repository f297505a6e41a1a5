//! What the balancer's log says of replicas.

use dtr_lb_tests::{Healthy, Ping, Replica, Unhealthy, on_each_proxy, patient_probes};

on_each_proxy!(a_change_of_a_replica_is_logged_with_fields, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy_with(patient_probes()).await;
    proxy.sees(&replica, Healthy).await;
    replica.now_pings(Ping::fails("rethinkdb: down\nreplica=\"r9\""));
    proxy.sees(&replica, Unhealthy).await;
    proxy.logs("replica \"r1\" is unhealthy (ping): ").await;
    let [line] = &proxy.logged("is unhealthy (ping): ")[..] else {
        panic!("{:#?}", proxy.logged("r1"));
    };
    let (_, fields) = line.split_once("r9\"").unwrap();
    let begin = "replica=\"r1\" address=\"127.0.0.1\" check=\"ping\" reason=\"";
    assert!(fields.trim_start().starts_with(begin), "{line}");
    let end = "component=\"rethinkdb\" error=\"rethinkdb: down\\\\u{a}replica=\\\"r9\\\"\"";
    assert!(fields.ends_with(end), "{line}");

    replica.now_pings(Ping::healthy());
    proxy.logs("replica \"r1\" is healthy (ping), after ").await;
    proxy.order(&replica, "drain").await;
    let order = "replica \"r1\": drain, by order of the operator";
    proxy.logs(order).await;
    assert!(
        proxy.logged(order)[0].contains("client=\"127.0.0.1:"),
        "who gave it"
    );
    let drain = r#"{"state": "drain"}"#;
    assert_eq!(proxy.put_replica("r9", &[], drain).await.status, 404);
    proxy
        .logs("PUT /replicas/r9 is refused: 404, not-found")
        .await;
    let refused = &proxy.logged("is refused: 404")[0];
    assert!(
        refused.contains("reason=\"not-found\" client=\"127.0.0.1:"),
        "{refused}"
    );
    for line in proxy
        .logged("is healthy (ping)")
        .iter()
        .chain(&proxy.logged(order))
    {
        assert!(
            line.contains("replica=\"r1\" address=\"127.0.0.1\""),
            "{line}"
        );
    }
});

on_each_proxy!(
    one_error_says_that_no_replica_is_left_and_one_line_that_one_is_back,
    |world| {
        let one = world.replica(Replica::healthy()).await;
        let two = world.replica(Replica::healthy()).await;
        let proxy = world.proxy().await;
        proxy.sees(&one, Healthy).await;
        proxy.sees(&two, Healthy).await;
        proxy.order(&one, "drain").await;
        two.now_pings(Ping::fails("garant: down"));
        let begun = "no replica is left for port 443: 1 unhealthy, 1 in drain; clients are refused";
        proxy.logs(begun).await;
        two.now_pings(Ping::healthy());
        let over = "a replica serves port 443 again, after ";
        proxy.logs(over).await;
        proxy.sees(&two, Healthy).await;
        for (text, level) in [(begun, "error"), (over, "info")] {
            let lines = proxy.logged(text);
            assert_eq!(lines.len(), 1, "over all workers: {lines:#?}");
            let line = lines[0].to_lowercase();
            assert!(line.contains(level), "{line}");
        }
        let line = &proxy.logged(begun)[0];
        assert!(line.ends_with("reason=\"all-down\""), "{line}");
    }
);

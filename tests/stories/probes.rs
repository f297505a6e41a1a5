//! What a replica sees of its probes.

use std::time::{Duration, Instant};

use dtr_lb_tests::{Authority, FQDN, Healthy, Replica, Unhealthy, on_each_proxy};
use serde_json::json;

on_each_proxy!(probes_carry_the_registrys_name_as_host_and_sni, |world| {
    let authority = Authority::new();
    let replica = world.replica(Replica::healthy().https(&authority)).await;
    let proxy = world
        .proxy_with(json!({ "health": { "target": "https:8080/_ping", "verify": "none" } }))
        .await;

    proxy.sees(&replica, Healthy).await;
    replica.is_probed(2).await;

    for probe in replica.probes() {
        assert_eq!(probe.method, "GET");
        assert_eq!(probe.path, "/_ping");
        assert_eq!(probe.header("host"), Some(FQDN), "{probe:?}");
        assert_eq!(probe.sni.as_deref(), Some(FQDN), "{probe:?}");
    }
});

on_each_proxy!(a_certificate_nobody_vouches_for_fails_the_probe, |world| {
    let authority = Authority::new();
    let replica = world.replica(Replica::healthy().https(&authority)).await;
    let proxy = world
        .proxy_with(json!({ "health": { "target": "https:8080/_ping", "verify": "system" } }))
        .await;

    proxy.sees(&replica, Unhealthy).await;
    proxy
        .gives_reason(&replica, "certificate", "certificate")
        .await;
    assert_eq!(
        replica.probes().len(),
        0,
        "a request was sent to an unknown server"
    );
});

on_each_proxy!(a_certificate_of_the_named_authority_passes, |world| {
    let authority = Authority::new();
    authority.write(&world.folder().join("ca.pem"));
    let replica = world.replica(Replica::healthy().https(&authority)).await;
    let stranger = world
        .replica(Replica::healthy().https(&Authority::new()))
        .await;
    let proxy = world
        .proxy_with(json!({ "health": { "target": "https:8080/_ping", "verify": "ca.pem" } }))
        .await;

    proxy.sees(&stranger, Unhealthy).await;
    replica.is_probed(3).await;
    proxy.sees(&replica, Healthy).await;
    proxy.connect().await.answered_by(&replica).await;
});

on_each_proxy!(one_vm_probes_for_all, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;

    let started = Instant::now();
    replica.is_probed(12).await;

    // With 250 ms between two probes, less a tenth for jitter, twelve take 2.7 s;
    // two VMs that both probe are through in half of it.
    let took = started.elapsed();
    assert!(took > Duration::from_millis(1800), "12 probes in {took:?}");
});

on_each_proxy!(a_replica_may_be_a_name, |world| {
    let replica = world
        .replica(Replica::healthy().with("address", "localhost"))
        .await;
    let proxy = world.proxy().await;

    proxy.sees(&replica, Healthy).await;
    proxy.connect().await.answered_by(&replica).await;
});

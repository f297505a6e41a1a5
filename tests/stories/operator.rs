//! The commands of an operator, which are the same for both proxies.

use dtr_lb_tests::{Healthy, Replica, Traffic, on_each_proxy, on_envoy, on_host};

on_each_proxy!(orders_and_the_status_are_given_from_a_shell, |world| {
    let stays = world.replica(Replica::healthy()).await;
    let rests = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&stays, Healthy).await;
    proxy.sees(&rests, Healthy).await;

    let ran = proxy
        .operator(&["drain", "r2", "--comment", "a new disk"])
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    proxy.is_in_state(&rests, "drain").await;
    proxy.connect().await.answered_by(&stays).await;

    let ran = proxy.operator(&["status"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.printed.contains("1 of 2 replicas usable"), "{ran:?}");
    let row = ran.printed.lines().find(|line| line.starts_with("r2 "));
    let row = row.unwrap_or_else(|| panic!("no row of r2: {ran:?}"));
    assert!(
        row.contains(" drain ") && row.ends_with("a new disk"),
        "{row}"
    );

    let ran = proxy.operator(&["maintenance", "r1"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.error.contains("the last usable replica"), "{ran:?}");
    proxy.is_in_state(&stays, "healthy").await;

    let ran = proxy.operator(&["drain", "r1", "--force"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = proxy.operator(&["status"]).await;
    assert_eq!(ran.code, Some(1), "no client is served: {ran:?}");
    let ran = proxy.operator(&["ready", "r2"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    proxy.connect().await.answered_by(&rests).await;
});

on_host!(connections_are_listed_and_ended_from_a_shell, |world| {
    let replica = world.replica(Replica::serves(Traffic::Echoes)).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    let mut held = proxy.connect().await;
    held.echoes(b"before").await;

    let ran = proxy.operator(&["sessions", "--replica", "r1"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.printed.ends_with("\n1 connection\n"), "{ran:?}");
    let ran = proxy.operator(&["sessions", "--kill", "r1"]).await;
    assert_eq!(ran.printed, "r1: 1 connection was ended\n", "{ran:?}");
    held.is_cut().await;
    proxy.logs("killed").await;
});

on_envoy!(envoy_does_not_tell_its_connections, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    proxy.sees(&replica, Healthy).await;
    for arguments in [&["sessions"][..], &["sessions", "--kill", "r1"]] {
        let ran = proxy.operator(arguments).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let error = "Envoy does not tell its connections";
        assert!(ran.error.contains(error), "{ran:?}");
    }
});

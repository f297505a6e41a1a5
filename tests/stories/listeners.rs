//! What a listener accepts, and how long it lets a connection be silent.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use dtr_lb_tests::{Healthy, Replica, ReservedPort, Traffic, on_each_proxy};
use serde_json::json;

on_each_proxy!(a_listener_on_ipv6_refuses_clients_of_ipv4, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let port = ReservedPort::new();
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port.number()));
    let bind = format!("[::]:{}", port.number());
    let proxy = world
        .proxy_with(json!({ "listeners": [{ "bind": bind, "port": 443 }] }))
        .await;
    proxy.sees(&replica, Healthy).await;

    let mut through_v6 = proxy.try_connect_at(v6).await.unwrap();
    through_v6.answered_by(&replica).await;
    let through_v4 = proxy.try_connect_at(v4).await;

    let error = through_v4.err().map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::ConnectionRefused));
});

on_each_proxy!(both_families_are_two_listeners_on_one_port, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let port = ReservedPort::new();
    let addresses = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port.number())),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port.number())),
    ];
    let listener = |ip: &str| json!({ "bind": format!("{ip}:{}", port.number()), "port": 443 });
    let proxy = world
        .proxy_with(json!({ "listeners": [listener("0.0.0.0"), listener("[::]")] }))
        .await;
    proxy.sees(&replica, Healthy).await;

    for address in addresses {
        let mut connection = proxy.try_connect_at(address).await.unwrap();
        connection.answered_by(&replica).await;
    }
});

on_each_proxy!(a_silent_connection_is_closed_at_its_idle_timeout, |world| {
    let replica = world.replica(Replica::serves(Traffic::Echoes)).await;
    let proxy = world.proxy_with(json!({ "idle_timeout": "2s" })).await;
    proxy.sees(&replica, Healthy).await;
    let mut talks = proxy.connect().await;
    talks.echoes(b"hello").await;
    let mut silent = proxy.connect().await;
    silent.echoes(b"hello").await;

    let closed = Cell::new(false);
    let closes = async {
        silent.is_cut().await;
        closed.set(true);
    };
    let goes_on = async {
        while !closed.get() {
            talks.echoes(b"still there?").await;
        }
    };
    tokio::join!(closes, goes_on);

    // It is the older of the two.
    talks.echoes(b"after").await;
    proxy.counts(&replica, "active", 1).await;
});

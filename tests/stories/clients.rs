//! Which clients may connect, and how often.

use dtr_lb_tests::{Connection, Healthy, LIMIT, Proxy, Replica, eventually, on_each_proxy};
use serde_json::json;
use std::net::Ipv4Addr;

fn client(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// Waits until the listener has refused clients for this reason this many times.
async fn refused(proxy: &Proxy, reason: &str, times: f64) {
    let name = format!(r#"dtr_lb_listener_refused_total{{listener="443",reason="{reason}"}}"#);
    proxy.measures(&name, times).await;
}

/// Connections of a client that are served, until `refusals` in a row were not.
async fn fill(proxy: &Proxy, client: Ipv4Addr, refusals: usize) -> Vec<Connection> {
    let mut held = Vec::new();
    let mut in_a_row = 0;
    while in_a_row < refusals {
        let mut connection = proxy.connect_from(client).await;
        match connection.try_who().await {
            Ok(_) => {
                held.push(connection);
                in_a_row = 0;
            }
            Err(_) => in_a_row += 1,
        }
        assert!(held.len() < 50, "there is no limit");
    }
    held
}

/// Waits until a client is served.
async fn is_served(proxy: &Proxy, client: Ipv4Addr) -> Connection {
    eventually(LIMIT, format!("{client} to be served"), async || {
        let mut connection = proxy.connect_from(client).await;
        let who = connection.try_who().await;
        who.map(|_| connection).map_err(|error| error.to_string())
    })
    .await
}

on_each_proxy!(
    who_is_denied_or_not_allowed_is_refused_and_counted,
    |world| {
        let replica = world.replica(Replica::healthy()).await;
        let proxy = world
            .proxy_with(json!({ "allow": ["127.0.0.0/28", "::1"], "deny": ["127.0.0.7"] }))
            .await;
        proxy.sees(&replica, Healthy).await;
        proxy
            .connect_from(client(6))
            .await
            .answered_by(&replica)
            .await;
        proxy.connect_from(client(7)).await.is_refused().await;
        proxy.connect_from(client(16)).await.is_refused().await;
        refused(&proxy, "denied", 2.0).await;
        proxy.logs("reason=\"denied\"").await;
        assert_eq!(replica.connections(), 1, "nobody else gets to it");
    }
);

on_each_proxy!(a_client_has_no_more_connections_than_it_may, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world
        .proxy_with(json!({ "per_client_max_connections": 3 }))
        .await;
    proxy.sees(&replica, Healthy).await;

    // Twenty in a row: whichever worker they come to, it knows.
    let mut held = fill(&proxy, client(7), 20).await;
    assert_eq!(held.len(), 3, "over all workers");
    proxy.logs("reason=\"client-limit\"").await;
    refused(&proxy, "client-limit", 20.0).await;
    let others = fill(&proxy, client(8), 5).await;
    assert_eq!(others.len(), 3, "another client has its own");

    held.pop();
    held.push(is_served(&proxy, client(7)).await);
    assert_eq!(fill(&proxy, client(7), 20).await.len(), 0, "and no more");
    for connection in &mut held {
        connection.answered_by(&replica).await;
    }
});

on_each_proxy!(a_reload_changes_who_may_connect_and_cuts_nobody, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let limit = json!({ "per_client_max_connections": 1 });
    let mut proxy = world.following_proxy(limit.clone()).await;
    proxy.sees(&replica, Healthy).await;
    let mut held = proxy.connect_from(client(7)).await;
    held.answered_by(&replica).await;

    world
        .reload(&mut proxy, json!({ "deny": ["127.0.0.0/29"] }))
        .await;
    eventually(LIMIT, "the client to be denied", async || {
        let mut connection = proxy.connect_from(client(7)).await;
        match connection.try_who().await {
            Err(_) => Ok(()),
            Ok(who) => Err(format!("{who} answered")),
        }
    })
    .await;
    held.answered_by(&replica).await;
    is_served(&proxy, client(8)).await;

    world.reload(&mut proxy, limit).await;
    proxy.logs("reason=\"denied\"").await;
    let mut again = is_served(&proxy, client(6)).await;
    held.answered_by(&replica).await;
    again.answered_by(&replica).await;
    let one_more = proxy.connect_from(client(6)).await.try_who().await;
    assert!(one_more.is_err(), "{one_more:?}");
});

on_each_proxy!(
    behind_a_trusted_proxy_each_client_counts_for_itself,
    |world| {
        let replica = world.replica(Replica::healthy()).await;
        let proxy = world
            .proxy_with(json!({
                "accept_proxy_from": ["127.0.0.7"],
                "per_client_max_connections": 1,
                "deny": ["192.0.2.66"],
            }))
            .await;
        proxy.sees(&replica, Healthy).await;
        let connect = async |real: &str| {
            let mut connection = proxy.connect_from(client(7)).await;
            let header = format!("PROXY TCP4 {real} 198.51.100.1 1234 443\r\n");
            connection.send(header.as_bytes()).await;
            connection
        };
        let mut held = Vec::new();
        for real in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            let mut connection = connect(real).await;
            connection.answered_by(&replica).await;
            held.push(connection);
        }
        for refused in ["192.0.2.1", "192.0.2.66"] {
            let served = connect(refused).await.try_who().await;
            assert!(served.is_err(), "{refused}: {served:?}");
        }
        refused(&proxy, "client-limit", 1.0).await;
        refused(&proxy, "denied", 1.0).await;
    }
);

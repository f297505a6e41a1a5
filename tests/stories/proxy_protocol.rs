//! The PROXY protocol: the header that replicas are sent, and the one that is accepted.

use dtr_lb_tests::{
    Connection, FQDN, Healthy, Proxy, Replica, Response, Standin, Traffic, World, on_each_proxy,
    on_envoy, on_host,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

const TRUSTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
const CLIENT: &str = "PROXY TCP4 192.0.2.9 198.51.100.1 1234 443\r\n";

fn request() -> String {
    format!("GET /who HTTP/1.1\r\nHost: {FQDN}\r\n\r\n")
}

/// Believes what comes from 127.0.0.7.
fn believing(more: Value) -> Value {
    let mut config = json!({ "accept_proxy_from": ["127.0.0.7"] });
    let fields = config.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    config
}

/// A replica behind a proxy that believes what comes from 127.0.0.7.
async fn with_trust(world: &World, traffic: Traffic, more: Value) -> (Standin, Proxy) {
    let replica = world.replica(Replica::serves(traffic)).await;
    let proxy = world.proxy_with(believing(more)).await;
    proxy.sees(&replica, Healthy).await;
    (replica, proxy)
}

/// Asks who is there after sending this, and wants to be answered.
async fn answered(connection: &mut Connection, first: &str) -> Response {
    let answer = connection
        .request(format!("{first}{}", request()).as_bytes())
        .await;
    assert_eq!(answer.header("x-replica"), Some("r1"));
    answer
}

async fn is_sent_a_header(world: &World, version: &str) {
    let replica = Replica::serves(Traffic::AnswersAfterHeader).probed_where_it_serves();
    let replica = world.replica(replica).await;
    let config = json!({
        "listeners": [{ "bind": "127.0.0.1:0", "port": 443, "proxy_protocol": version }],
        "health": { "target": "http:443/_ping", "body": null, "preset": "http" },
    });
    let proxy = world.proxy_with(config).await;
    // Its probes begin with a header, too, or it would not answer them.
    proxy.sees(&replica, Healthy).await;
    let mut connection = proxy.connect_from(TRUSTED).await;
    let answer = answered(&mut connection, "").await;
    let header = answer.header("x-proxy-header").unwrap().to_owned();
    let port = proxy.address().port();
    assert!(
        header.starts_with("TCP4 127.0.0.7 127.0.0.1 ") && header.ends_with(&format!(" {port}")),
        "{header}"
    );
}

on_each_proxy!(a_replica_is_sent_a_header_in_text, |world| {
    is_sent_a_header(world, "v1").await;
});

on_each_proxy!(a_replica_is_sent_a_header_in_binary, |world| {
    is_sent_a_header(world, "v2").await;
});

on_each_proxy!(what_a_trusted_proxy_says_goes_on_to_the_replica, |world| {
    let listeners = json!([{ "bind": "127.0.0.1:0", "port": 443, "proxy_protocol": "v2" }]);
    let more = json!({ "listeners": listeners });
    let (_replica, proxy) = with_trust(world, Traffic::AnswersAfterHeader, more).await;
    let mut connection = proxy.connect_from(TRUSTED).await;
    let answer = answered(&mut connection, CLIENT).await;
    let header = answer.header("x-proxy-header");
    assert_eq!(header, Some("TCP4 192.0.2.9 198.51.100.1 1234 443"));
    drop(connection);
    proxy.logs_a_connection(&["client=192.0.2.9:1234 "]).await;
});

on_each_proxy!(a_header_may_come_in_pieces, |world| {
    let (_replica, proxy) = with_trust(world, Traffic::Answers, json!({})).await;
    let mut connection = proxy.connect_from(TRUSTED).await;
    for byte in CLIENT.as_bytes() {
        connection.send(&[*byte]).await;
    }
    answered(&mut connection, "").await;
    drop(connection);
    proxy.logs_a_connection(&["client=192.0.2.9:1234 "]).await;
});

on_each_proxy!(a_trusted_proxy_may_speak_for_itself, |world| {
    let (_replica, proxy) = with_trust(world, Traffic::Answers, json!({})).await;
    for own in ["PROXY UNKNOWN\r\n", "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut connection = proxy.connect_from(TRUSTED).await;
        answered(&mut connection, own).await;
    }
    proxy.logs_a_connection(&["client=127.0.0.7:"]).await;
});

on_each_proxy!(the_policy_goes_by_the_real_client, |world| {
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(world.replica(Replica::healthy()).await);
    }
    let proxy = world
        .proxy_with(believing(json!({ "policy": "source-hash" })))
        .await;
    for replica in &replicas {
        proxy.sees(replica, Healthy).await;
    }
    let mut answers = BTreeSet::new();
    for last in 0..30 {
        let first = format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 1234 443\r\n");
        let mut same = Vec::new();
        for _ in 0..2 {
            let mut connection = proxy.connect_from(TRUSTED).await;
            connection.send(first.as_bytes()).await;
            same.push(connection.who().await);
        }
        assert_eq!(same[0], same[1], "one client goes to one replica");
        answers.extend(same);
    }
    assert_eq!(answers.len(), 3, "all come from one proxy: {answers:?}");
});

on_each_proxy!(nobody_else_is_believed, |world| {
    let (_replica, proxy) = with_trust(world, Traffic::Answers, json!({})).await;
    let mut plain = proxy.connect_from(OTHER).await;
    answered(&mut plain, "").await;
    let mut liar = proxy.connect_from(OTHER).await;
    liar.send(format!("{CLIENT}{}", request()).as_bytes()).await;
    liar.is_refused().await;
    let reason = "reason=\"untrusted-proxy-header\"";
    proxy.logs_a_connection(&[reason]).await;
    answered(&mut plain, "").await;
});

on_host!(nobody_else_is_believed_byte_by_byte, |world| {
    let (_replica, proxy) = with_trust(world, Traffic::Swallows, json!({})).await;
    for signature in ["PROXY ", "\r\n\r\n\0\r\nQUIT\n"] {
        let mut liar = proxy.connect_from(OTHER).await;
        for byte in signature.as_bytes() {
            liar.send(&[*byte]).await;
        }
        liar.is_refused().await;
    }
    let reason = r#"dtr_lb_host_connections_closed_total{reason="untrusted-proxy-header"}"#;
    proxy.measures(reason, 2.0).await;
    let reason = r#"dtr_lb_listener_refused_total{listener="443",reason="untrusted-proxy-header"}"#;
    proxy.measures(reason, 2.0).await;
});

on_host!(who_is_not_trusted_need_not_speak_first, |world| {
    let (_replica, proxy) = with_trust(world, Traffic::EndsFirst, json!({})).await;
    let mut connection = proxy.connect_from(OTHER).await;
    connection.receives(b"bye").await;
});

on_host!(a_trusted_proxy_that_does_not_say_is_closed, |world| {
    let more = json!({ "proxy_protocol_timeout": "300ms" });
    let (replica, proxy) = with_trust(world, Traffic::Answers, more).await;
    let mut silent = proxy.connect_from(TRUSTED).await;
    silent.send(b"PROXY TCP4 ").await;
    silent.is_refused().await;
    proxy
        .logs_a_connection(&["client=127.0.0.7:", "proxy-header-timeout"])
        .await;
    for wrong in [request().as_str(), "PROXY TCP4 192.0.2.9 nowhere 1 2\r\n"] {
        let mut connection = proxy.connect_from(TRUSTED).await;
        connection.send(wrong.as_bytes()).await;
        connection.is_refused().await;
    }
    let reason = r#"dtr_lb_host_connections_closed_total{reason="no-proxy-header"}"#;
    proxy.measures(reason, 2.0).await;
    assert_eq!(replica.connections(), 0, "no replica is troubled with them");
});

on_envoy!(
    a_trusted_proxy_without_a_header_is_its_own_client,
    |world| {
        let (_replica, proxy) = with_trust(world, Traffic::Answers, json!({})).await;
        let mut connection = proxy.connect_from(TRUSTED).await;
        answered(&mut connection, "").await;
        drop(connection);
        proxy.logs_a_connection(&["client=127.0.0.7:"]).await;
    }
);

on_envoy!(the_log_says_who_sent_a_header, |world| {
    let (_replica, proxy) = with_trust(world, Traffic::Answers, json!({})).await;
    let mut liar = proxy.connect_from(OTHER).await;
    liar.send(CLIENT.as_bytes()).await;
    liar.is_refused().await;
    let fields = ["client=192.0.2.9:1234 ", " peer=127.0.0.8:"];
    proxy.logs_a_connection(&fields).await;
});

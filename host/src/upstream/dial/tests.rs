#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;
use crate::plan::fixture::plan;
use crate::plan::{Address, ProxyProtocol};
use crate::upstream::cluster::Clusters;
use crate::upstream::resolver::{Lookup, Resolver};
use crate::upstream::unreachable::{BlackHole, refusing};

const CLIENT: ConnectionAddresses = ConnectionAddresses {
    source: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 5000),
    destination: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 443),
};

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn the_first_that_accepts_serves_and_attempts_before_it_are_counted() {
    let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let healthy = listening.local_addr().unwrap();
    let (refused, _bound) = refusing();
    let black_hole = BlackHole::open();
    let hole = black_hole.address;
    let reason = Some("delayed connect error: Connection refused");
    let cases = [
        (
            vec![("a", healthy), ("b", refused)],
            Some("a"),
            1,
            0,
            None,
            "the first accepts",
        ),
        (
            vec![("a", refused), ("b", healthy)],
            Some("b"),
            2,
            32,
            reason,
            "refused, then another",
        ),
        (
            vec![("a", hole), ("b", healthy)],
            Some("b"),
            2,
            32,
            None,
            "swallowed, then another",
        ),
        (
            vec![("a", hole), ("b", refused), ("c", healthy)],
            Some("c"),
            3,
            32,
            reason,
            "the first failure that has a reason",
        ),
        (
            vec![("a", refused), ("b", refused)],
            None,
            2,
            32800,
            reason,
            "all refused",
        ),
        (vec![("a", hole)], None, 1, 32800, None, "all swallowed"),
    ];
    for (endpoints, expected, count, flags, failure, why) in cases {
        let plan = plan(&endpoints);
        let lookup: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
        let clusters = Clusters::of(&plan, &mut Resolver::new(lookup)).unwrap();
        let turns = clusters.turns();
        let order = clusters.in_order(clusters.target("all").unwrap(), &turns);
        let mut attempts = Attempts::default();
        let dialed = dial(order, CLIENT, deadline(), &mut attempts).await;
        assert_eq!(
            dialed.map(|dialed| &*dialed.endpoint.replica),
            expected,
            "{why}"
        );
        assert_eq!((attempts.count, attempts.flags), (count, flags), "{why}");
        assert_eq!(attempts.failure.as_deref(), failure, "{why}");
    }
}

#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    let healthy = TcpListener::bind("127.0.0.3:0").await.unwrap();
    let mut plan = plan(&[("a", healthy.local_addr().unwrap())]);
    plan.clusters[0].host = Address::Name("dtr.internal".to_owned());
    let lookup: Lookup = Arc::new(|_| {
        let found = [[127, 0, 0, 2], [127, 0, 0, 3]].map(Into::into).to_vec();
        Box::pin(std::future::ready(Ok(found)))
    });
    let mut resolver = Resolver::new(lookup);
    let clusters = Clusters::of(&plan, &mut resolver).unwrap();
    let turns = clusters.turns();
    let target = clusters.target("a").unwrap();

    let mut attempts = Attempts::default();
    let dialed = dial(
        clusters.in_order(target, &turns),
        CLIENT,
        deadline(),
        &mut attempts,
    )
    .await;
    assert!(dialed.is_none(), "the name has not been looked up yet");
    assert_eq!((attempts.count, attempts.flags), (0, NO_HEALTHY_UPSTREAM));

    resolver.resolve(Duration::from_secs(1)).await;
    let mut attempts = Attempts::default();
    let dialed = dial(
        clusters.in_order(target, &turns),
        CLIENT,
        deadline(),
        &mut attempts,
    )
    .await;
    assert_eq!(
        dialed.map(|dialed| dialed.address),
        Some(healthy.local_addr().unwrap())
    );
    assert_eq!(attempts.count, 2);
}

#[tokio::test]
async fn the_deadline_bounds_all_attempts_together() {
    let black_hole = BlackHole::open();
    let hole = black_hole.address;
    let mut plan = plan(&[("a", hole), ("b", hole), ("c", hole)]);
    plan.clusters
        .iter_mut()
        .for_each(|c| c.connect_timeout = Duration::from_secs(60));
    let lookup: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let clusters = Clusters::of(&plan, &mut Resolver::new(lookup)).unwrap();
    let turns = clusters.turns();
    let order = clusters.in_order(clusters.target("all").unwrap(), &turns);
    let mut attempts = Attempts::default();
    let deadline = Instant::now() + Duration::from_millis(50);
    assert!(dial(order, CLIENT, deadline, &mut attempts).await.is_none());
    assert_eq!(attempts.count, 1, "after the deadline no other is tried");
}

#[tokio::test]
async fn a_name_that_leads_to_the_host_itself_is_not_connected_to() {
    let own = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = own.local_addr().unwrap().port();
    let mut plan = plan(&[("a", own.local_addr().unwrap())]);
    plan.clusters[0].host = Address::Name("dtr.internal".to_owned());
    let lookup: Lookup = Arc::new(|_| {
        let found = [[127, 0, 0, 1], [127, 0, 0, 2]].map(Into::into).to_vec();
        Box::pin(std::future::ready(Ok(found)))
    });
    let mut resolver = Resolver::new(lookup);
    let clusters = Clusters::of(&plan, &mut resolver).unwrap();
    resolver.resolve(Duration::from_secs(1)).await;
    let cases = [
        (([127, 0, 0, 1], port), 1, "its address is left out"),
        (([0, 0, 0, 0], port), 0, "all of them are its own"),
        (([0, 0, 0, 0], port ^ 1), 2, "it listens on another port"),
    ];
    for (listener, left, why) in cases {
        let clusters = Clusters::of(&plan, &mut resolver).unwrap();
        clusters.refuse_loops(vec![listener.into()]).unwrap();
        let turns = clusters.turns();
        let mut order = clusters.in_order(clusters.target("a").unwrap(), &turns);
        let endpoint = order.next().unwrap();
        for _ in 0..2 {
            assert_eq!(endpoint.addresses().count(), left, "{why}");
        }
    }
    // Until it is known where the host listens, none is left out.
    let turns = clusters.turns();
    let mut order = clusters.in_order(clusters.target("a").unwrap(), &turns);
    assert_eq!(order.next().unwrap().addresses().count(), 2);
}

#[test]
fn a_replica_at_the_hosts_own_address_is_refused() {
    let at = |address: &str| plan(&[("r1", address.parse().unwrap())]);
    let refused = |address: &str, listener: &str| {
        let lookup: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
        let clusters = Clusters::of(&at(address), &mut Resolver::new(lookup)).unwrap();
        clusters.refuse_loops(vec![listener.parse().unwrap()])
    };
    let error = refused("127.0.0.1:443", "0.0.0.0:443")
        .unwrap_err()
        .to_string();
    let expected = r#""r1" is at 127.0.0.1:443, where this host itself listens (0.0.0.0:443)"#;
    assert!(error.starts_with(expected), "{error}");
    assert!(refused("127.0.0.1:443", "127.0.0.1:444").is_ok());
}

#[tokio::test]
async fn each_endpoint_that_expects_a_proxy_header_is_sent_one() {
    let expecting = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let names = ["a", "b"];
    let listeners = [&expecting, &other];
    let endpoints = names.into_iter().zip(listeners);
    let endpoints = endpoints.map(|(name, socket)| (name, socket.local_addr().unwrap()));
    let mut plan = plan(&endpoints.collect::<Vec<_>>());
    plan.clusters[0].proxy_protocol = Some(ProxyProtocol::V1);
    let lookup: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let mut resolver = Resolver::new(lookup);
    let clusters = Clusters::of(&plan, &mut resolver).unwrap();
    let turns = clusters.turns();
    let mut attempts = Attempts::default();
    let mut received = Vec::new();
    for listener in listeners {
        let target = clusters.target("all").unwrap();
        let order = clusters.in_order(target, &turns);
        let dialed = dial(order, CLIENT, deadline(), &mut attempts)
            .await
            .unwrap();
        attempts.unserved(&dialed.endpoint.replica);
        drop(dialed);
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        received.push(text);
    }
    assert_eq!(received, ["PROXY TCP4 192.0.2.7 10.0.0.1 5000 443\r\n", ""]);
}

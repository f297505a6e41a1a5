//! Connects to the first endpoint of an order that lets itself be connected to.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use proxy_wasm_engine::envoy::response_flag::{
    NO_HEALTHY_UPSTREAM, UPSTREAM_CONNECTION_FAILURE, UPSTREAM_RETRY_LIMIT_EXCEEDED,
};
use rustix::net::sockopt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::upstream::cluster::Endpoint;

/// A connected endpoint.
pub(crate) struct Dialed<'a> {
    pub(crate) socket: TcpStream,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) address: SocketAddr,
}

/// What connecting took so far.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// How many addresses were tried.
    pub(crate) count: u32,
    /// Envoy's response flags.
    pub(crate) flags: u64,
    /// Why the first that failed for a reason failed, in Envoy's words.
    pub(crate) failure: Option<String>,
}

/// Tries each endpoint once, each of its addresses in turn, until `deadline`.
pub(crate) async fn dial<'a>(
    order: impl Iterator<Item = &'a Endpoint>,
    deadline: Instant,
    attempts: &mut Attempts,
) -> Option<Dialed<'a>> {
    for endpoint in order {
        for address in endpoint.addresses() {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            attempts.count += 1;
            let limit = deadline.min(now + endpoint.connect_timeout);
            match timeout_at(limit, connect(address)).await {
                Ok(Ok(socket)) => {
                    return Some(Dialed {
                        socket,
                        endpoint,
                        address,
                    });
                }
                Ok(Err(error)) => {
                    debug!(cluster = &*endpoint.cluster, %address, %error, "connect failed");
                    attempts
                        .failure
                        .get_or_insert_with(|| in_envoys_words(&error));
                }
                Err(_) => debug!(cluster = &*endpoint.cluster, %address, "connect timed out"),
            }
            attempts.flags |= UPSTREAM_CONNECTION_FAILURE;
        }
    }
    attempts.flags |= match attempts.count {
        0 => NO_HEALTHY_UPSTREAM,
        _ => UPSTREAM_RETRY_LIMIT_EXCEEDED,
    };
    None
}

/// Connects to one address, with keepalive on.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    keep_alive(&socket)?;
    socket.connect(address).await
}

/// Lets the kernel notice a peer that vanished on a connection without traffic.
/// Set on a listening socket, it holds for what is accepted there.
pub(crate) fn keep_alive(socket: impl std::os::fd::AsFd) -> io::Result<()> {
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, KEEPALIVE_IDLE)?;
    Ok(sockopt::set_tcp_keepintvl(&socket, KEEPALIVE_INTERVAL)?)
}

/// `delayed connect error: Connection refused`, as the filter knows it from Envoy.
pub(crate) fn in_envoys_words(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let when = match error.kind() {
        // Without a route or a local address the kernel refuses before it sends.
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => "immediate",
        _ => "delayed",
    };
    format!("{when} connect error: {words}")
}

const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;
    use crate::plan::{Cluster, Filter, Host, Plan, Pool, Protocol};
    use crate::upstream::cluster::Clusters;
    use crate::upstream::resolver::{Lookup, Resolver};

    /// An address where connections are neither accepted nor refused: a
    /// listening socket whose queue is full. It stays so while the second lives.
    pub(crate) async fn black_hole() -> (SocketAddr, Vec<std::net::TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        // Never accepted from; lives as long as the test's process.
        let listener = socket.listen(0).unwrap().into_std().unwrap();
        let address = listener.local_addr().unwrap();
        std::mem::forget(listener);
        let limit = Duration::from_millis(200);
        let mut waiting = Vec::new();
        while let Ok(socket) = std::net::TcpStream::connect_timeout(&address, limit) {
            waiting.push(socket);
        }
        (address, waiting)
    }

    /// An address that refuses connections: bound, so that nobody else gets the
    /// port while the socket lives, but not listening.
    pub(crate) fn refusing() -> (SocketAddr, TcpSocket) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        (socket.local_addr().unwrap(), socket)
    }

    fn plan(endpoints: &[(&str, SocketAddr)]) -> Plan {
        let cluster = |&(name, address): &(&str, SocketAddr)| Cluster {
            name: name.to_owned(),
            part_of: None,
            replica: name.to_owned(),
            host: Host::Ip(address.ip()),
            port: address.port(),
            tls: None,
            protocol: Protocol::Http1,
            connect_timeout: Duration::from_millis(50),
        };
        let clusters: Vec<_> = endpoints.iter().map(cluster).collect();
        let names = clusters
            .iter()
            .map(|cluster| cluster.name.clone())
            .collect();
        Plan {
            listeners: Vec::new(),
            clusters,
            routes: Vec::new(),
            pools: vec![Pool {
                name: "pool".to_owned(),
                clusters: names,
            }],
            filters: Vec::new(),
            filter: Some(Filter {
                vm_id: String::new(),
                configuration: serde_json::Value::Null,
            }),
            admin: None,
            drain_timeout: Duration::ZERO,
            dns_refresh: Duration::from_secs(1),
        }
    }

    fn deadline() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn the_first_that_can_be_reached_serves_and_what_came_before_is_known() {
        let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let well = listening.local_addr().unwrap();
        let (refused, _bound) = refusing();
        let (hole, _kept) = black_hole().await;
        let words = Some("delayed connect error: Connection refused");
        let cases = [
            (
                vec![("a", well), ("b", refused)],
                Some("a"),
                1,
                0,
                None,
                "the first is well",
            ),
            (
                vec![("a", refused), ("b", well)],
                Some("b"),
                2,
                32,
                words,
                "refused, then another",
            ),
            (
                vec![("a", hole), ("b", well)],
                Some("b"),
                2,
                32,
                None,
                "swallowed, then another",
            ),
            (
                vec![("a", hole), ("b", refused), ("c", well)],
                Some("c"),
                3,
                32,
                words,
                "the first failure with words",
            ),
            (
                vec![("a", refused), ("b", refused)],
                None,
                2,
                32800,
                words,
                "all refused",
            ),
            (vec![("a", hole)], None, 1, 32800, None, "all swallowed"),
        ];
        for (endpoints, expected, count, flags, failure, why) in cases {
            let plan = plan(&endpoints);
            let lookup: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
            let clusters = Clusters::of(&plan, &mut Resolver::new(lookup)).unwrap();
            let turns = clusters.turns();
            let order = clusters.in_order(clusters.target("pool").unwrap(), &turns);
            let mut attempts = Attempts::default();
            let dialed = dial(order, deadline(), &mut attempts).await;
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
        let well = TcpListener::bind("127.0.0.3:0").await.unwrap();
        let mut plan = plan(&[("a", well.local_addr().unwrap())]);
        plan.clusters[0].host = Host::Name("dtr.internal".to_owned());
        let lookup: Lookup = Arc::new(|_| {
            let found = [[127, 0, 0, 2], [127, 0, 0, 3]].map(Into::into).to_vec();
            Box::pin(std::future::ready(Ok(found)))
        });
        let mut resolver = Resolver::new(lookup);
        let clusters = Clusters::of(&plan, &mut resolver).unwrap();
        let turns = clusters.turns();
        let target = clusters.target("a").unwrap();

        let mut attempts = Attempts::default();
        let dialed = dial(clusters.in_order(target, &turns), deadline(), &mut attempts).await;
        assert!(dialed.is_none(), "the name has not been looked up yet");
        assert_eq!((attempts.count, attempts.flags), (0, NO_HEALTHY_UPSTREAM));

        resolver.resolve(Duration::from_secs(1)).await;
        let mut attempts = Attempts::default();
        let dialed = dial(clusters.in_order(target, &turns), deadline(), &mut attempts).await;
        assert_eq!(
            dialed.map(|dialed| dialed.address),
            Some(well.local_addr().unwrap())
        );
        assert_eq!(attempts.count, 2);
    }

    #[tokio::test]
    async fn the_deadline_bounds_all_attempts_together() {
        let (hole, _kept) = black_hole().await;
        let mut plan = plan(&[("a", hole), ("b", hole), ("c", hole)]);
        plan.clusters
            .iter_mut()
            .for_each(|c| c.connect_timeout = Duration::from_secs(60));
        let lookup: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
        let clusters = Clusters::of(&plan, &mut Resolver::new(lookup)).unwrap();
        let turns = clusters.turns();
        let order = clusters.in_order(clusters.target("pool").unwrap(), &turns);
        let mut attempts = Attempts::default();
        let deadline = Instant::now() + Duration::from_millis(50);
        assert!(dial(order, deadline, &mut attempts).await.is_none());
        assert_eq!(attempts.count, 1, "after the deadline nobody else is tried");
    }
}

//! Routes: `443/r1>r3` is r1, and r3 when r1 does not answer.

use super::cluster_name::replica_cluster;
use super::key::STEERING_KEY;

/// One route, ready to be handed to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    name: String,
    first: usize,
    runner_up: Option<usize>,
    steering: Box<[u8]>,
}

impl Route {
    fn over(port: u16, replicas: &[&str], first: usize, runner_up: Option<usize>) -> Route {
        let named = |number: usize| replicas.get(number).copied().unwrap_or_default();
        let mut name = replica_cluster(port, named(first));
        if let Some(runner_up) = runner_up {
            name.push('>');
            name.push_str(named(runner_up));
        }
        Route {
            steering: steering(&name),
            name,
            first,
            runner_up,
        }
    }

    /// Such as `443/r1>r3`; without a runner-up the cluster's own, `443/r1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the replica that is tried first, in the configuration's list.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The number of the replica that is tried second; `None`: a route that is a
    /// cluster.
    pub fn runner_up(&self) -> Option<usize> {
        self.runner_up
    }

    /// The argument of [`STEERING_FUNCTION`](super::key::STEERING_FUNCTION) that sends a
    /// connection there.
    pub fn steering(&self) -> &[u8] {
        &self.steering
    }
}

/// The routes of one port, from each replica.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// By number of the first replica: the route without a runner-up, then those
    /// with the first, second ... replica that follows in the ring.
    by_first: Vec<Vec<Route>>,
}

impl Routes {
    fn over(port: u16, replicas: &[&str], runners_up: usize) -> Routes {
        let size = replicas.len();
        let reach = runners_up.min(size.saturating_sub(1));
        let from = |first: usize| {
            let followers = (0..size).cycle().skip(first + 1).take(reach);
            let runners_up = std::iter::once(None).chain(followers.map(Some));
            let route = |runner_up| Route::over(port, replicas, first, runner_up);
            runners_up.map(route).collect()
        };
        Routes {
            by_first: (0..size).map(from).collect(),
        }
    }

    /// The route from a replica, with the `ahead`-th that follows as runner-up; 0 is
    /// the route without one.
    pub fn get(&self, first: usize, ahead: usize) -> Option<&Route> {
        self.by_first.get(first)?.get(ahead)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.by_first.iter().flatten()
    }

    /// How many replicas of the ring follow as possible runners-up.
    pub fn reach(&self) -> usize {
        let first = self.by_first.first();
        first.map_or(0, |routes| routes.len().saturating_sub(1))
    }
}

/// The routes of one port: those the filter may name, and no others, whatever the
/// replicas' health, weights and limits. From each replica there is one without a
/// runner-up, and one with each of the `runners_up` replicas that follow in the
/// list, which is a ring. Backups have theirs like all others, though the filter
/// never names one from a backup to a primary: the primary would come first.
///
/// ```
/// use dtr_lb_filter::contract::{Route, routes};
///
/// let routes = routes(443, &["r1", "r2", "r3"], 1);
/// let names: Vec<&str> = routes.iter().map(Route::name).collect();
/// assert_eq!(
///     names,
///     ["443/r1", "443/r1>r2", "443/r2", "443/r2>r3", "443/r3", "443/r3>r1"]
/// );
/// ```
pub fn routes(port: u16, replicas: &[&str], runners_up: usize) -> Routes {
    Routes::over(port, replicas, runners_up)
}

/// Protobuf `{path = 1, value = 2, span = 3}`, see Envoy's `SetEnvoyFilterStateArguments`.
fn steering(cluster: &str) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(STEERING_KEY.len() + cluster.len() + 8);
    for (field, text) in [(1_u8, STEERING_KEY), (2, cluster)] {
        bytes.push(field << 3 | 2);
        // Lengths as varints.
        let mut rest = text.len();
        while rest >= 0x80 {
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(&[3 << 3, SPAN_CONNECTION]);
    bytes.into_boxed_slice()
}

/// The state lives as long as the downstream connection.
const SPAN_CONNECTION: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn routes_follow_the_ring() {
        let routes = Routes::over(443, &["r1", "r2", "r3", "r4"], 2);
        let cases = [
            ("alone", 0, 0, Some("443/r1")),
            ("with the next", 0, 1, Some("443/r1>r2")),
            ("with the one after it", 0, 2, Some("443/r1>r3")),
            ("no further than configured", 0, 3, None),
            ("the list is a ring", 3, 1, Some("443/r4>r1")),
            ("no such replica", 4, 0, None),
        ];
        for (why, first, ahead, expected) in cases {
            assert_eq!(routes.get(first, ahead).map(Route::name), expected, "{why}");
        }
        let alone = Routes::over(443, &["r1"], 5);
        assert_eq!(alone.reach(), 0, "a replica is not its own runner-up");
    }

    #[test]
    fn for_any_number_of_replicas_each_route_is_there_once() {
        for replicas in 0..=40_usize {
            let names: Vec<String> = (1..=replicas).map(|number| format!("r{number}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            for runners_up in [0, 1, 3, 7, 40] {
                let routes = Routes::over(80, &names, runners_up);
                let distinct: HashSet<&str> = routes.iter().map(Route::name).collect();
                let each = 1 + runners_up.min(replicas.saturating_sub(1));
                let why = format!("{replicas} replicas with {runners_up} runners-up");
                assert_eq!(routes.iter().count(), replicas * each, "{why}");
                assert_eq!(distinct.len(), replicas * each, "{why}");
                for route in routes.iter() {
                    let first = names[route.first()];
                    let expected = match route.runner_up() {
                        Some(second) => format!("80/{first}>{}", names[second]),
                        None => format!("80/{first}"),
                    };
                    assert_eq!(route.name(), expected, "{why}");
                    assert_ne!(Some(route.first()), route.runner_up(), "{why}");
                }
            }
        }
    }

    #[test]
    fn steering_is_protobuf() {
        let short = Routes::over(80, &["a"], 0);
        let mut expected = vec![0x0a, 23];
        expected.extend_from_slice(b"envoy.tcp_proxy.cluster");
        expected.extend_from_slice(&[0x12, 4]);
        expected.extend_from_slice(b"80/a");
        expected.extend_from_slice(&[0x18, 2]);
        assert_eq!(short.get(0, 0).unwrap().steering(), expected);

        let name = "x".repeat(200);
        let long = Routes::over(80, &[&name], 0);
        let steering = long.get(0, 0).unwrap().steering();
        assert_eq!(steering[25..28], [0x12, 0xcb, 0x01], "203 as a varint");
    }
}

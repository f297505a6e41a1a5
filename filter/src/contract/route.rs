//! Routes: `443/r1>r3` is r1, and r3 when r1 does not answer; `443/r1>r3>*` goes on
//! with all the others.

use super::cluster_name::ClusterNames;
use super::key::STEERING_KEY;

/// One route, ready to be handed to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    name: String,
    first: usize,
    runner_up: Option<usize>,
    others: Others,
    steering: Box<[u8]>,
}

/// What a route does when neither its first replica nor the runner-up answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// It ends.
    Spared,
    /// It goes on with all the other replicas of the port.
    Tried,
}

impl Route {
    fn over(
        names: &ClusterNames,
        port: u16,
        replicas: &[&str],
        first: usize,
        then: Option<(usize, Others)>,
    ) -> Route {
        let named = |number: usize| replicas.get(number).copied().unwrap_or_default();
        let mut name = names.replica(port, named(first));
        if let Some((runner_up, others)) = then {
            name.push('>');
            name.push_str(named(runner_up));
            if others == Others::Tried {
                name.push_str(">*");
            }
        }
        Route {
            steering: steering(&name),
            name,
            first,
            runner_up: then.map(|(runner_up, _)| runner_up),
            others: then.map_or(Others::Spared, |(_, others)| others),
        }
    }

    /// Such as `443/r1>r3>*`; without a runner-up the cluster's own, `443/r1`.
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

    /// Whether it goes on after the runner-up.
    pub fn others(&self) -> Others {
        self.others
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
    /// By number of the first replica: its route without a runner-up, then those
    /// with the first, second ... replica that follows in the ring.
    by_first: Vec<Vec<Ways>>,
}

/// The routes with one first replica and one runner-up.
#[derive(Clone, Debug)]
struct Ways {
    ending: Route,
    /// `None`: there are no others.
    going_on: Option<Route>,
}

impl Routes {
    fn over(names: &ClusterNames, port: u16, replicas: &[&str], runners_up: usize) -> Routes {
        let size = replicas.len();
        let reach = runners_up.min(size.saturating_sub(1));
        let from = |first: usize| {
            let followers = (0..size).cycle().skip(first + 1).take(reach);
            let runners_up = std::iter::once(None).chain(followers.map(Some));
            let route = |then| Route::over(names, port, replicas, first, then);
            let ways = |runner_up: Option<usize>| Ways {
                ending: route(runner_up.map(|it| (it, Others::Spared))),
                going_on: (runner_up.filter(|_| size > 2))
                    .map(|it| route(Some((it, Others::Tried)))),
            };
            runners_up.map(ways).collect()
        };
        Routes {
            by_first: (0..size).map(from).collect(),
        }
    }

    /// The route from a replica, with the `ahead`-th that follows as runner-up; 0 is
    /// the route without one. Where there are no others, none are tried.
    pub fn get(&self, first: usize, ahead: usize, others: Others) -> Option<&Route> {
        let ways = self.by_first.get(first)?.get(ahead)?;
        match others {
            Others::Tried => ways.going_on.as_ref().or(Some(&ways.ending)),
            Others::Spared => Some(&ways.ending),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        let ways = self.by_first.iter().flatten();
        ways.flat_map(|ways| std::iter::once(&ways.ending).chain(&ways.going_on))
    }

    /// How many replicas of the ring follow as possible runners-up.
    pub fn reach(&self) -> usize {
        let first = self.by_first.first();
        first.map_or(0, |routes| routes.len().saturating_sub(1))
    }
}

/// The routes of one port: those the filter may name, and no others, whatever the
/// replicas' health, weights and limits. From each replica there is one without a
/// runner-up, and with each of the `runners_up` replicas that follow in the list,
/// which is a ring, there are two: one that ends there, for when a replica must not
/// be tried (it is in drain, in maintenance or full), and one that goes on with all
/// the others, if there are any.
///
/// ```
/// use dtr_lb_filter::contract::{ClusterNames, routes};
///
/// let names = |replicas| -> Vec<String> {
///     let routes = routes(&ClusterNames::default(), 443, replicas, 1);
///     routes.iter().map(|route| route.name().to_owned()).collect()
/// };
/// assert_eq!(names(&["r1", "r2"]), ["443/r1", "443/r1>r2", "443/r2", "443/r2>r1"]);
/// assert_eq!(
///     names(&["r1", "r2", "r3"])[..3],
///     ["443/r1", "443/r1>r2", "443/r1>r2>*"]
/// );
/// ```
pub fn routes(names: &ClusterNames, port: u16, replicas: &[&str], runners_up: usize) -> Routes {
    Routes::over(names, port, replicas, runners_up)
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

    fn over(port: u16, replicas: &[&str], runners_up: usize) -> Routes {
        Routes::over(&ClusterNames::default(), port, replicas, runners_up)
    }

    #[test]
    fn routes_follow_the_ring() {
        let routes = over(443, &["r1", "r2", "r3", "r4"], 2);
        use Others::{Spared, Tried};
        let cases = [
            ("alone", 0, 0, Spared, Some("443/r1")),
            ("with the next", 0, 1, Spared, Some("443/r1>r2")),
            ("and all others", 0, 1, Tried, Some("443/r1>r2>*")),
            ("with the one after it", 0, 2, Spared, Some("443/r1>r3")),
            ("no further than configured", 0, 3, Spared, None),
            ("the list is a ring", 3, 1, Tried, Some("443/r4>r1>*")),
            ("no runner-up, no others", 1, 0, Tried, Some("443/r2")),
            ("no such replica", 4, 0, Spared, None),
        ];
        for (why, first, ahead, others, expected) in cases {
            let route = routes.get(first, ahead, others);
            assert_eq!(route.map(Route::name), expected, "{why}");
        }
        let alone = over(443, &["r1"], 5);
        assert_eq!(alone.reach(), 0, "a replica is not its own runner-up");
        let two = over(443, &["r1", "r2"], 1);
        let route = two.get(0, 1, Tried).map(Route::name);
        assert_eq!(route, Some("443/r1>r2"), "of two there are no others");
    }

    #[test]
    fn for_any_number_of_replicas_each_route_is_there_once() {
        for replicas in 0..=40_usize {
            let names: Vec<String> = (1..=replicas).map(|number| format!("r{number}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            for runners_up in [0, 1, 3, 7, 40] {
                let routes = over(80, &names, runners_up);
                let distinct: HashSet<&str> = routes.iter().map(Route::name).collect();
                let ways = if replicas > 2 { 2 } else { 1 };
                let each = 1 + ways * runners_up.min(replicas.saturating_sub(1));
                let why = format!("{replicas} replicas with {runners_up} runners-up");
                assert_eq!(routes.iter().count(), replicas * each, "{why}");
                assert_eq!(distinct.len(), replicas * each, "{why}");
                for route in routes.iter() {
                    let first = names[route.first()];
                    let others = match route.others() {
                        Others::Tried => ">*",
                        Others::Spared => "",
                    };
                    let expected = match route.runner_up() {
                        Some(second) => format!("80/{first}>{}{others}", names[second]),
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
        let short = over(80, &["a"], 0);
        let mut expected = vec![0x0a, 23];
        expected.extend_from_slice(b"envoy.tcp_proxy.cluster");
        expected.extend_from_slice(&[0x12, 4]);
        expected.extend_from_slice(b"80/a");
        expected.extend_from_slice(&[0x18, 2]);
        assert_eq!(
            short.get(0, 0, Others::Spared).unwrap().steering(),
            expected
        );

        let name = "x".repeat(200);
        let long = over(80, &[&name], 0);
        let steering = long.get(0, 0, Others::Spared).unwrap().steering();
        assert_eq!(steering[25..28], [0x12, 0xcb, 0x01], "203 as a varint");
    }
}

//! Names of routes, made once: `443/r1>r3` is r1, and r3 when r1 does not answer.

/// One route, ready to be handed to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    name: String,
    steering: Box<[u8]>,
}

impl Route {
    /// `PORT/FIRST`, or `PORT/FIRST>SECOND`.
    pub fn new(port: u16, first: &str, second: Option<&str>) -> Route {
        let name = match second {
            Some(second) => format!("{port}/{first}>{second}"),
            None => format!("{port}/{first}"),
        };
        let steering = steering(&name);
        Route { name, steering }
    }

    /// Such as `443/r1>r3`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The argument of `set_envoy_filter_state` that sends a connection there.
    pub fn steering(&self) -> &[u8] {
        &self.steering
    }
}

/// The routes of one listener: from each replica, alone and with each runner-up.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// By place in the ring: the route without a runner-up, then those with the
    /// first, second ... replica that follows.
    by_place: Vec<Vec<Route>>,
}

impl Routes {
    /// The routes over a ring of replicas, each with so many runners-up.
    pub fn over(port: u16, ring: &[&str], runners_up: usize) -> Routes {
        let reach = runners_up.min(ring.len().saturating_sub(1));
        let from = |(place, first): (usize, &&str)| {
            let mut routes = vec![Route::new(port, first, None)];
            let followers = ring.iter().cycle().skip(place + 1).take(reach);
            routes.extend(followers.map(|second| Route::new(port, first, Some(second))));
            routes
        };
        Routes {
            by_place: ring.iter().enumerate().map(from).collect(),
        }
    }

    /// The route from the replica at a place, with the `ahead`-th that follows as
    /// runner-up; 0 is the route without one.
    pub fn get(&self, place: usize, ahead: usize) -> Option<&Route> {
        self.by_place.get(place)?.get(ahead)
    }

    /// How many replicas of the ring follow as possible runners-up.
    pub fn reach(&self) -> usize {
        self.by_place
            .first()
            .map_or(0, |routes| routes.len().saturating_sub(1))
    }
}

/// Protobuf `{path = 1, value = 2, span = 3}`, see Envoy's `SetEnvoyFilterStateArguments`.
fn steering(cluster: &str) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(PATH.len() + cluster.len() + 8);
    for (field, text) in [(1_u8, PATH), (2, cluster)] {
        bytes.push(field << 3 | 2);
        // Lengths as varints; a name has less than 2^14 bytes.
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

const PATH: &str = "envoy.tcp_proxy.cluster";
/// The state lives as long as the downstream connection.
const SPAN_CONNECTION: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

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
        for (why, place, ahead, expected) in cases {
            assert_eq!(routes.get(place, ahead).map(Route::name), expected, "{why}");
        }
        let alone = Routes::over(443, &["r1"], 5);
        assert_eq!(alone.reach(), 0, "a replica is not its own runner-up");
    }

    #[test]
    fn steering_is_protobuf() {
        let route = Route::new(80, "a", None);
        let mut expected = vec![0x0a, 23];
        expected.extend_from_slice(b"envoy.tcp_proxy.cluster");
        expected.extend_from_slice(&[0x12, 4]);
        expected.extend_from_slice(b"80/a");
        expected.extend_from_slice(&[0x18, 2]);
        assert_eq!(route.steering(), expected);

        let long = "x".repeat(200);
        let steering = Route::new(80, &long, None).steering().to_vec();
        assert_eq!(steering[25..28], [0x12, 0xcb, 0x01], "203 as a varint");
    }
}

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::plan::{self, fixture};
use crate::upstream::resolver;

fn plan() -> Plan {
    let route = |name: &str, clusters: &[&str], then: Option<&str>| plan::Route {
        name: name.to_owned(),
        clusters: clusters.iter().map(|&name| name.to_owned()).collect(),
        then: then.map(str::to_owned),
    };
    let anywhere = ([127, 0, 0, 1], 1).into();
    Plan {
        routes: vec![
            route("b>a", &["b", "a"], Some("all")),
            route("only c", &["c"], None),
        ],
        ..fixture::plan(&["a", "b", "c"].map(|name| (name, anywhere)))
    }
}

fn clusters(plan: &Plan) -> Result<Clusters, StartError> {
    Clusters::of(plan, &mut Resolver::new(resolver::system()))
}

#[test]
fn a_target_is_tried_in_order_and_no_cluster_twice() {
    let clusters = clusters(&plan()).unwrap();
    let turns = clusters.turns();
    let cases = [
        ("c", "c", "a cluster is itself"),
        (
            "only c",
            "c",
            "a route without a pool ends with its last cluster",
        ),
        ("all", "a b c", "a pool begins with the first"),
        ("all", "b c a", "then with the next"),
        (
            "b>a",
            "b a c",
            "what the route named is left out of its pool",
        ),
        (
            "all",
            "a b c",
            "a route that reached the pool has taken a turn",
        ),
    ];
    for (name, expected, why) in cases {
        let target = clusters.target(name).unwrap();
        let order: Vec<_> = clusters
            .in_order(target, &turns)
            .map(|to| &*to.cluster)
            .collect();
        assert_eq!(order.join(" "), expected, "{why}");
    }
    let route = clusters.target("b>a").unwrap();
    assert_eq!(
        &*clusters.in_order(route, &turns).next().unwrap().cluster,
        "b"
    );
    let all = clusters.target("all").unwrap();
    let first = clusters.in_order(all, &turns).next().unwrap();
    assert_eq!(
        &*first.cluster, "b",
        "a route that did not reach the pool takes no turn"
    );
}

#[test]
fn a_name_that_stands_for_nothing_or_two_things_is_refused() {
    let mut dangling = plan();
    dangling.pools[0].clusters.push("d".to_owned());
    let error = clusters(&dangling).err().map(|error| error.to_string());
    assert!(
        error.as_ref().is_some_and(|text| text.contains("\"d\"")),
        "{error:?}"
    );
    let mut twice = plan();
    twice.pools[0].name = "a".to_owned();
    let error = clusters(&twice).err().map(|error| error.to_string());
    assert!(
        error.as_ref().is_some_and(|text| text.contains("\"a\"")),
        "{error:?}"
    );
}

//! What failures of connections lead to.

use crate::world::connections::End;
use crate::world::{Does, World, sample_config};
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::balance::stream::{StreamId, UpstreamOutcome};
use dtr_lb_filter::effect::Fact;

#[test]
fn a_failure_goes_to_the_runner_up_that_is_well() {
    let mut config = sample_config(3);
    // Only what connections see counts here.
    config.health.fall = 1000;
    let mut world = World::settled(config, 1);
    world.does[2] = Does::Sick;
    world.pass(20);
    for _ in 0..30 {
        world.does = vec![Does::Refuse, Does::Well, Does::Well];
        assert!(matches!(world.visit(0), End::Served(1 | 2)));
    }
    let mut world = World::settled(sample_config(3), 1);
    world.does = vec![Does::Well, Does::Well, Does::Sick];
    world.pass(2000);
    // r1 goes away between two probes; r3 is sick: all must go to r2, never r3.
    world.does[0] = Does::Refuse;
    assert_eq!(world.visits(0, 20), [0, 20, 0]);
}

#[test]
fn failures_of_connections_take_a_replica_out_before_a_probe_does() {
    let mut world = World::settled(sample_config(3), 2);
    world.does[0] = Does::Refuse;
    let mut chosen_first = 0;
    for _ in 0..60 {
        let (stream, route) = world.route(0, 443, 0).unwrap();
        chosen_first += u32::from(route[0] == 0);
        let end = if route[0] == 0 {
            "r2"
        } else {
            world.config.replicas[route[0]].name.as_str()
        };
        let end = end.to_owned();
        let now = world.now(0);
        let outcome = UpstreamOutcome::Reached(&end);
        world.vms[0]
            .balancer
            .observe(Fact::Closed(stream, outcome), now);
    }
    assert_eq!(
        chosen_first, 2,
        "after two failures it is not chosen any more"
    );
    assert_eq!(world.state(0, 0), "held");

    world.pass(400);
    let routes: Vec<usize> = (0..20)
        .map(|_| world.route(1, 443, 0).unwrap().1[0])
        .collect();
    assert!(
        !routes.contains(&0),
        "the other VM learned of it: {routes:?}"
    );
}

#[test]
fn a_connection_that_is_tried_again_is_counted_where_it_ends_up() {
    let mut world = World::settled(sample_config(2), 1);
    let (stream, route) = world.route(0, 443, 0).unwrap();
    let (first, second) = (route[0], route[1]);
    let now = world.now(0);
    let name = world.config.replicas[second].name.clone();
    let balancer = &mut world.vms[0].balancer;
    // The first attempt failed and the second is under way when the tick asks.
    balancer.observe(Fact::Located(stream, UpstreamOutcome::Failed), now);
    balancer.observe(Fact::Located(stream, UpstreamOutcome::Reached(&name)), now);
    assert_eq!((world.active(0, first), world.active(0, second)), (0, 1));
    let shown = world.status(0);
    assert_eq!(shown["replicas"][first]["connections"]["failures"], 1);
    assert_eq!(shown["replicas"][second]["connections"]["total"], 1);
    let balancer = &mut world.vms[0].balancer;
    balancer.observe(Fact::Closed(stream, UpstreamOutcome::Reached(&name)), now);
    balancer.observe(Fact::Closed(stream, UpstreamOutcome::Reached(&name)), now);
    assert_eq!(
        world.active(0, second),
        0,
        "closed once, however often it is reported"
    );
}

#[test]
fn a_blip_of_all_replicas_lasts_no_longer_than_the_blip() {
    let mut world = World::settled(sample_config(3), 1);
    world.does = vec![Does::Refuse; 3];
    for _ in 0..12 {
        assert_eq!(world.visit(0), End::Failed);
    }
    world.does = vec![Does::Well; 3];
    for _ in 0..12 {
        assert!(
            matches!(world.visit(0), End::Served(_)),
            "held back only, so tried"
        );
    }
}

#[test]
fn a_late_report_of_an_old_connection_does_not_lift_a_fresh_hold() {
    let mut world = World::settled(sample_config(3), 1);
    let mut open = || {
        let mut opened = (0..ATTEMPTS).map(|_| world.open(0));
        let served = opened.find(|(_, end)| *end == End::Served(0));
        let (stream, _) = served.expect("r1 gets one of many connections");
        stream.unwrap()
    };
    let (closed, located) = (open(), open());
    world.does[0] = Does::Refuse;
    until_held(&mut world, 0, |world| {
        let (stream, route) = world.route(0, 443, 0).unwrap();
        let reached = match route[0] {
            0 => route[1],
            first => first,
        };
        reach(world, stream, reached);
    });

    world.close(0, closed);
    assert_eq!(world.state(0, 0), "held", "it was served before");
    let now = world.now(0);
    let reached = UpstreamOutcome::Reached("r1");
    let balancer = &mut world.vms[0].balancer;
    balancer.observe(Fact::Located(located, reached), now);
    assert_eq!(world.state(0, 0), "held", "so was one that is still open");

    let (stream, _) = world.route(0, 443, 0).unwrap();
    reach(&mut world, stream, 0);
    assert_eq!(
        world.state(0, 0),
        "healthy",
        "one that came later proves it"
    );
}

/// A connection reached a replica, and is over.
fn reach(world: &mut World, stream: StreamId, replica: usize) {
    let name = world.config.replicas[replica].name.clone();
    let outcome = UpstreamOutcome::Reached(&name);
    let now = world.now(0);
    let balancer = &mut world.vms[0].balancer;
    balancer.observe(Fact::Closed(stream, outcome), now);
}

#[test]
fn while_replicas_restart_one_after_the_other_nobody_fails() {
    for replicas in [2, 3, 9] {
        let mut world = World::settled(sample_config(replicas), 1);
        for restarted in (0..replicas).cycle().take(3 * replicas) {
            world.does[restarted] = Does::Refuse;
            for _ in 0..30 {
                let end = world.visit(0);
                assert!(
                    matches!(end, End::Served(_)),
                    "of {replicas} only {restarted} is away, the others at most held: {end:?}"
                );
            }
            // It is back before probes notice, and while it is still held.
            world.does[restarted] = Does::Well;
            world.pass(100);
        }
    }
}

#[test]
fn a_connection_goes_on_with_whatever_may_be_tried() {
    type Prepare = fn(&mut World);
    let cases: [(&str, usize, Prepare, &[usize]); 5] = [
        ("one that is well", 2, |_| (), &[0, 1]),
        (
            "a held one after those that are well",
            3,
            |world| fail(world, 1),
            &[0, 2, 1],
        ),
        (
            "and before one that is sick",
            3,
            |world| {
                sicken(world, 1);
                fail(world, 2);
            },
            &[0, 2, 1],
        ),
        (
            "a sick one rather than none",
            2,
            |world| sicken(world, 1),
            &[0, 1],
        ),
        (
            "never one in drain",
            3,
            |world| {
                world.order(0, 1, Order::Drain).unwrap();
                fail(world, 2);
            },
            &[0, 2],
        ),
    ];
    for (why, replicas, prepare, expected) in cases {
        let mut config = sample_config(replicas);
        config.passive.fails = 1;
        let mut world = World::settled(config, 1);
        prepare(&mut world);
        let mut routes = (0..replicas).map(|_| world.route(0, 443, 0).unwrap().1);
        let route = routes.find(|route| route[0] == 0);
        assert_eq!(route.as_deref(), Some(expected), "{why}");
    }
    let mut world = World::settled(sample_config(3), 1);
    for away in [1, 2] {
        world.order(0, away, Order::Maintenance).unwrap();
    }
    assert_eq!(world.route(0, 443, 0).unwrap().1, [0], "both are worked on");
}

/// A replica is sick, and all know.
fn sicken(world: &mut World, replica: usize) {
    world.does[replica] = Does::Sick;
    world.pass(2000);
    assert_eq!(world.state(0, replica), "unhealthy");
}

/// A connection to a replica failed, and it is held.
fn fail(world: &mut World, replica: usize) {
    let before = std::mem::replace(&mut world.does[replica], Does::Refuse);
    until_held(world, replica, |world| {
        world.visit(0);
    });
    world.does[replica] = before;
}

/// Has connections attempted until a replica is held.
fn until_held(world: &mut World, replica: usize, mut attempt: impl FnMut(&mut World)) {
    for _ in 0..ATTEMPTS {
        if world.state(0, replica) == "held" {
            return;
        }
        attempt(world);
    }
    let state = world.state(0, replica);
    let name = &world.config.replicas[replica].name;
    panic!("{name} is {state} after {ATTEMPTS} connections, not held");
}

/// More connections than it takes to come by each replica.
const ATTEMPTS: usize = 100;

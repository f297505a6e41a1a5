//! Which replica a connection is given.

use crate::with_policy;
use crate::world::config::check;
use crate::world::connections::End;
use crate::world::{Does, World, sample_config};
use dtr_lb_filter::admin::readiness;
use dtr_lb_filter::balance::listener::Refusal;
use dtr_lb_filter::config::{Listener, Policy, WhenAllDown};
use dtr_lb_filter::random;

#[test]
fn connections_spread_over_healthy_replicas() {
    for policy in [Policy::LeastConnections, Policy::RoundRobin] {
        let mut world = World::settled(with_policy(3, policy), 1);
        assert_eq!(world.visits(0, 30), [10, 10, 10], "{policy:?}");
    }
    let mut world = World::settled(with_policy(3, Policy::RandomTwo), 1);
    let served = world.visits(0, 3000);
    assert!(
        served.iter().all(|times| (800..1200).contains(times)),
        "random-two: {served:?}"
    );
}

#[test]
fn weights_are_kept() {
    for policy in [Policy::LeastConnections, Policy::RoundRobin] {
        let mut config = with_policy(3, policy);
        config.replicas[1].weight = 3;
        let mut world = World::settled(config.clone(), 1);
        assert_eq!(
            world.visits(0, 50),
            [10, 30, 10],
            "{policy:?}: connections that end"
        );

        let mut world = World::settled(config, 1);
        for _ in 0..50 {
            assert!(matches!(world.open(0).1, End::Served(_)));
        }
        let open: Vec<u32> = (0..3).map(|replica| world.truly_active(replica)).collect();
        assert_eq!(open, [10, 30, 10], "{policy:?}: connections that stay");
    }
    for policy in [Policy::RandomTwo, Policy::SourceHash] {
        let mut config = with_policy(3, policy);
        config.replicas[1].weight = 3;
        let mut world = World::settled(config, 1);
        let mut served = [0; 3];
        for client in 0..5000_u64 {
            let (_, end) = world.open_from(0, 443, random::hash(&client.to_le_bytes()));
            if let End::Served(replica) = end {
                served[replica] += 1;
            }
        }
        let share = f64::from(served[1]) / 5000.0;
        assert!((0.55..0.65).contains(&share), "{policy:?}: {served:?}");
    }
}

#[test]
fn the_heavy_one_is_not_served_in_a_row() {
    let mut config = with_policy(3, Policy::RoundRobin);
    config.replicas[0].weight = 4;
    let mut world = World::settled(config, 1);
    let order: Vec<End> = (0..12).map(|_| world.visit(0)).collect();
    let longest = order
        .split(|end| *end != End::Served(0))
        .map(<[End]>::len)
        .max();
    assert_eq!(
        longest,
        Some(4),
        "never more in a row than its weight: {order:?}"
    );
}

#[test]
fn when_all_are_down_the_operators_choice_holds() {
    let mut world = World::settled(sample_config(2), 1);
    world.does = vec![Does::Sick; 2];
    world.pass(2000);
    assert_eq!(world.visit(0), End::Refused(Refusal::AllDown));
    let health = readiness::check(&world.vms[0].balancer).unwrap_err();
    assert!(
        health.contains("port 443") && health.contains("garant: no answer"),
        "{health}"
    );
    world.pass(300);
    assert_eq!(
        world.metrics["dtr_lb.listener.443.refused_total.all-down"],
        1
    );

    let mut config = sample_config(2);
    config.when_all_down = WhenAllDown::TryAll;
    let mut world = World::settled(config, 1);
    world.does = vec![Does::Sick; 2];
    world.pass(2000);
    assert!(
        matches!(world.visit(0), End::Served(_)),
        "tried all the same"
    );
    assert!(
        readiness::check(&world.vms[0].balancer).is_err(),
        "but it does not count as healthy"
    );
}

#[test]
fn backups_serve_only_when_no_primary_can() {
    let mut config = sample_config(3);
    config.replicas[0].backup = true;
    let mut world = World::settled(config, 1);
    assert_eq!(world.visits(0, 20), [0, 10, 10]);
    world.does[1] = Does::Sick;
    world.pass(2000);
    assert_eq!(world.visits(0, 20), [0, 0, 20], "one primary is enough");
    world.does[2] = Does::Sick;
    world.pass(2000);
    assert_eq!(world.visits(0, 20), [20, 0, 0]);
    world.does[2] = Does::Well;
    world.pass(2000);
    assert_eq!(world.visits(0, 20), [0, 0, 20]);
}

#[test]
fn a_full_replica_is_passed_over_and_all_full_is_its_own_reason() {
    let mut config = sample_config(2);
    config.replicas[0].max_connections = Some(3);
    config.replicas[1].max_connections = Some(5);
    let mut world = World::settled(config, 1);
    let mut streams = Vec::new();
    for _ in 0..8 {
        let (stream, end) = world.open(0);
        assert!(matches!(end, End::Served(_)));
        streams.extend(stream);
    }
    assert_eq!((world.truly_active(0), world.truly_active(1)), (3, 5));
    assert_eq!(world.open(0).1, End::Refused(Refusal::AllFull));
    assert!(
        readiness::check(&world.vms[0].balancer).is_ok(),
        "full is not sick"
    );
    assert_eq!(world.state(0, 0), "full");
    world.close(0, streams[0]);
    assert!(
        matches!(world.open(0).1, End::Served(_)),
        "one ended, so there is room"
    );
}

#[test]
fn clients_stay_with_their_replica_and_few_move() {
    let mut world = World::settled(with_policy(5, Policy::SourceHash), 2);
    let clients: Vec<u64> = (0..2000_u64)
        .map(|client| random::hash(&client.to_le_bytes()))
        .collect();
    let owners = |vm: usize, world: &mut World| -> Vec<usize> {
        clients
            .iter()
            .map(|client| world.route(vm, 443, *client).unwrap().1[0])
            .collect()
    };
    let before = owners(0, &mut world);
    assert_eq!(before, owners(1, &mut world), "all VMs agree");
    world.does[2] = Does::Sick;
    world.pass(2000);
    let during = owners(0, &mut world);
    for (client, (was, is)) in before.iter().zip(&during).enumerate() {
        assert!(
            was == is || *was == 2,
            "client {client} moved from {was} to {is} for nothing"
        );
    }
    world.does[2] = Does::Well;
    world.pass(2000);
    assert_eq!(before, owners(0, &mut world), "they return");
}

#[test]
fn a_recovered_replica_gets_its_share_bit_by_bit() {
    for policy in [Policy::LeastConnections, Policy::RoundRobin] {
        let mut config = with_policy(2, policy);
        config.slow_start_ms = 10_000;
        let mut world = World::settled(config, 1);
        world.does[0] = Does::Sick;
        world.pass(2000);
        world.does[0] = Does::Well;
        while world.state(0, 0) != "healthy" {
            world.pass(25);
        }
        let early = world.visits(0, 110)[0];
        world.pass(5000);
        let half = world.visits(0, 120)[0];
        world.pass(6000);
        let late = world.visits(0, 100)[0];
        assert!(early <= 20, "{policy:?}: a tenth at first: {early} of 110");
        assert!(
            (30..=50).contains(&half),
            "{policy:?}: a third half-way: {half} of 120"
        );
        assert!(
            (49..=51).contains(&late),
            "{policy:?}: its share in the end: {late}"
        );
    }
}

#[test]
fn a_port_is_served_by_those_who_pass_its_checks() {
    let mut config = sample_config(2);
    config.checks.push(check("plain"));
    config.listeners.push(Listener {
        port: 80,
        checks: vec!["plain".to_owned()],
    });
    let mut world = World::settled(config, 1);
    // Both checks ask the same stand-in here; the verdicts differ by what is asked.
    world.does[0] = Does::Sick;
    world.pass(3000);
    assert_eq!(world.visits(0, 10), [0, 10]);
    let (_, end) = world.open_from(0, 80, 0);
    assert_eq!(end, End::Served(1));
    let shown = world.status(0);
    assert_eq!(shown["listeners"][1]["port"], 80);
    assert_eq!(
        shown["replicas"][0]["checks"].as_array().map(Vec::len),
        Some(2)
    );
}

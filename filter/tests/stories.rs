//! What the balancer does, with time that moves by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use dtr_lb_filter::admin::readiness;
use dtr_lb_filter::balance::listener::Refusal;
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::balance::stream::UpstreamOutcome;
use dtr_lb_filter::config::{Listener, OnDown, Policy, Start, WhenAllDown};
use dtr_lb_filter::effect::{Fact, Level};
use dtr_lb_filter::random;
use world::{Does, End, World, check, sample_config};

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
fn a_sick_replica_gets_no_new_connection_and_comes_back_after_rise_answers() {
    let mut world = World::settled(sample_config(3), 2);
    world.does[1] = Does::Sick;
    world.pass(2000);
    assert_eq!(world.state(0, 1), "unhealthy");
    for vm in 0..2 {
        assert_eq!(world.visits(vm, 20), [10, 0, 10], "VM {vm}");
    }
    let logged: Vec<&(Level, String)> = world
        .log
        .iter()
        .filter(|(_, text)| text.contains("\"r2\""))
        .collect();
    assert_eq!(
        logged.len(),
        1,
        "the change is logged once, by one VM: {logged:?}"
    );
    assert_eq!(logged[0].0, Level::Warn);
    assert!(
        logged[0].1.contains("garant: no answer"),
        "with its own text: {logged:?}"
    );

    let shown = world.status(1)["replicas"][1].clone();
    assert_eq!(shown["reason"], "status");
    assert_eq!(shown["component"], "garant");
    assert_eq!(
        shown["error"], "garant: no answer",
        "also by the VM that does not probe"
    );

    world.does[1] = Does::Well;
    world.pass(2000);
    assert_eq!(world.state(0, 1), "healthy");
    let served = world.visits(0, 30);
    assert!((9..=11).contains(&served[1]), "its share again: {served:?}");
    assert_eq!(
        world.log.last().map(|(level, _)| *level),
        Some(Level::Info),
        "{:?}",
        world.log
    );
}

#[test]
fn a_hung_replica_is_out_although_answers_get_lost() {
    let mut world = World::settled(sample_config(3), 1);
    world.does[2] = Does::Hang;
    world.pass(6000);
    assert_eq!(world.state(0, 2), "unhealthy");
    let reason = world.status(0)["replicas"][2]["reason"].clone();
    assert_eq!(reason, "timeout");
    world.does[2] = Does::Well;
    world.pass(4000);
    assert_eq!(world.state(0, 2), "healthy", "no lost answer wedged it");
}

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
    assert_eq!(world.metrics["dtr_lb.listener.443.refused.all-down"], 1);

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
fn a_limit_holds_over_all_vms_at_once() {
    let mut config = sample_config(1);
    config.replicas[0].max_connections = Some(4);
    let mut world = World::settled(config, 2);
    for _ in 0..3 {
        world.open(0);
    }
    assert!(matches!(world.open(1).1, End::Served(0)));
    assert_eq!(world.open(1).1, End::Refused(Refusal::AllFull));
    assert_eq!(world.open(0).1, End::Refused(Refusal::AllFull));
}

#[test]
fn orders_reach_every_vm_and_survive_its_reload_and_a_new_configuration() {
    let mut world = World::settled(sample_config(3), 2);
    let (stream, _) = world.open(1);
    world.order(0, 0, Order::Drain).unwrap();
    assert_eq!(
        world.visits(1, 20)[0],
        0,
        "before the next connection, without a tick"
    );
    assert!(
        world.vms[1].connections.contains_key(&stream.unwrap()),
        "open ones go on"
    );
    world.close(1, stream.unwrap());

    world.crash(0);
    assert_eq!(world.visits(0, 20)[0], 0, "a VM that starts anew reads it");
    let mut config = sample_config(4);
    config.health.fall = 5;
    world.configure(config);
    world.pass(1000);
    assert_eq!(
        world.visits(1, 20)[0],
        0,
        "and so does one with another configuration"
    );
    assert_eq!(world.state(1, 0), "drain");

    let before = world.asked[0];
    world.order(1, 0, Order::Maintenance).unwrap();
    world.pass(100);
    let at_rest = world.asked[0];
    world.pass(5000);
    assert_eq!(
        world.asked[0], at_rest,
        "a replica in maintenance is not probed"
    );
    assert!(before > 0);

    world.order(1, 0, Order::Ready).unwrap();
    world.pass(2000);
    assert!(world.visits(0, 20)[0] > 0);
}

#[test]
fn all_away_is_its_own_reason() {
    let mut world = World::settled(sample_config(2), 1);
    for replica in 0..2 {
        world.order(0, replica, Order::Drain).unwrap();
    }
    assert_eq!(world.visit(0), End::Refused(Refusal::AllAway));
    let health = readiness::check(&world.vms[0].balancer).unwrap_err();
    assert!(health.contains("r1: drain"), "{health}");
}

#[test]
fn a_retired_vm_leaves_probing_to_the_others_and_counts_what_it_has_open() {
    let mut world = World::settled(sample_config(3), 2);
    let holder = (0..2)
        .find(|vm| world.vms[*vm].balancer.is_holder())
        .unwrap();
    let other = 1 - holder;
    let (stream, served) = world.open(holder);
    let End::Served(replica) = served else {
        panic!("{served:?}");
    };

    world.retire(holder);
    world.pass(300);
    assert!(
        world.vms[other].balancer.is_holder(),
        "at the next heartbeat, not when the lease has expired"
    );
    world.pass(10_000);
    assert!(!world.vms[holder].balancer.is_holder());
    assert_eq!(world.active(other, replica), 1);
    assert!(!world.vms[holder].balancer.is_idle());

    world.close(holder, stream.unwrap());
    world.pass(1000);
    assert_eq!(world.active(other, replica), 0);
    assert!(world.vms[holder].balancer.is_idle());
}

#[test]
fn the_lease_passes_on_when_its_holder_dies() {
    let mut world = World::settled(sample_config(3), 3);
    assert_eq!(world.holders(), 1);
    world.does[1] = Does::Sick;
    world.pass(2000);
    let holder = world
        .vms
        .iter()
        .position(|vm| vm.balancer.is_holder())
        .unwrap();
    let logged = world.log.len();
    let since = world.status(0)["replicas"][1]["since_unix_ms"].clone();
    world.crash(holder);
    assert_eq!(
        world.visits(holder, 20)[1],
        0,
        "the verdict is on the board"
    );
    world.pass(3000);
    assert_eq!(world.holders(), 1);
    assert_eq!(
        world.log.len(),
        logged,
        "nothing changed, nothing is logged: {:?}",
        world.log
    );
    assert_eq!(
        world.status(0)["replicas"][1]["since_unix_ms"],
        since,
        "it goes on where the last stopped"
    );
    world.does[1] = Does::Well;
    world.pass(2000);
    assert_eq!(world.state(0, 1), "healthy", "and probes");
}

#[test]
fn one_vm_probes_for_all() {
    let mut world = World::settled(sample_config(2), 4);
    world.asked = vec![0; 2];
    world.pass(20_000);
    for asked in &world.asked {
        assert!(
            (18..=23).contains(asked),
            "once a second each, not once for each VM: {:?}",
            world.asked
        );
    }
}

#[test]
fn probes_of_many_replicas_are_spread_and_bounded() {
    let mut config = sample_config(1000);
    config.health.interval_ms = 2000;
    let mut world = World::new(config, 1);
    let mut asked_before = 0;
    let mut most = 0;
    for _ in 0..80 {
        world.pass(25);
        let asked: u64 = world.asked.iter().sum();
        most = most.max(asked - asked_before);
        asked_before = asked;
        assert!(world.vms[0].balancer.under_way() <= 128);
    }
    assert!(most < 40, "at most {most} in a tick");
    world.does = vec![Does::Hang; 1000];
    for _ in 0..160 {
        world.pass(25);
        assert!(world.vms[0].balancer.under_way() <= 128);
    }
    assert!(
        world.asked.iter().all(|asked| *asked > 0),
        "no replica is forgotten"
    );
    world.does = vec![Does::Well; 1000];
    world.pass(8000);
    assert!(readiness::check(&world.vms[0].balancer).is_ok());
}

#[test]
fn a_replica_starts_as_configured() {
    let mut config = sample_config(2);
    config.health.start = Start::Down;
    let mut world = World::new(config, 1);
    assert_eq!(
        world.visit(0),
        End::Refused(Refusal::AllDown),
        "not before the first answer"
    );
    world.pass(300);
    assert!(
        matches!(world.visit(0), End::Served(_)),
        "one good answer brings it in"
    );

    let mut world = World::new(sample_config(2), 1);
    assert!(
        matches!(world.visit(0), End::Served(_)),
        "up until proven sick"
    );
    world.does[0] = Does::Sick;
    world.pass(150);
    assert_eq!(world.visits(0, 10), [0, 10], "one bad answer takes it out");
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

#[test]
fn connections_of_a_sick_replica_are_closed_when_the_operator_wants_it() {
    for (on_down, expected) in [(OnDown::Keep, 2), (OnDown::Close, 0)] {
        let mut config = sample_config(2);
        config.on_down = on_down;
        let mut world = World::settled(config, 2);
        for vm in [0, 0, 1, 1] {
            world.open(vm);
        }
        world.pass(500);
        assert_eq!(world.truly_active(0), 2);
        world.does[0] = Does::Sick;
        world.pass(2000);
        assert_eq!(world.truly_active(0), expected, "{on_down:?}, in both VMs");
        assert_eq!(world.truly_active(1), 2, "the other's go on");
        world.pass(1000);
        assert_eq!(world.active(1, 0), expected, "and the counts follow");
    }
}

#[test]
fn a_crashed_vms_connections_are_forgotten_and_totals_kept() {
    let mut world = World::settled(sample_config(1), 3);
    for vm in [0, 0, 1, 2] {
        world.open(vm);
    }
    world.pass(1000);
    assert_eq!(world.active(1, 0), 4);
    let total = |world: &mut World, vm: usize| {
        world.status(vm)["replicas"][0]["connections"]["total"].as_u64()
    };
    assert_eq!(total(&mut world, 1), Some(4));
    world.crash(0);
    world.pass(3000);
    for vm in 0..3 {
        assert_eq!(world.active(vm, 0), 2, "as VM {vm} counts");
        assert_eq!(
            total(&mut world, vm),
            Some(4),
            "totals never go down, VM {vm}"
        );
    }
    assert_eq!(
        world.metrics["dtr_lb.replica.r1.active"], 2,
        "nor is the gauge stuck"
    );
}

#[test]
fn a_vm_taken_for_dead_counts_right_when_it_comes_back() {
    let mut world = World::settled(sample_config(1), 2);
    for vm in [0, 1, 1] {
        world.open(vm);
    }
    world.pass(1000);
    // VM 1 stalls: only VM 0 ticks.
    for _ in 0..200 {
        world.ms += 25;
        world.tick(0);
    }
    assert_eq!(world.active(0, 0), 1, "taken for dead");
    world.pass(2000);
    for vm in 0..2 {
        assert_eq!(world.active(vm, 0), 3, "VM {vm}");
        let total = world.status(vm)["replicas"][0]["connections"]["total"].clone();
        assert_eq!(total, 3, "VM {vm}");
    }
}

#[test]
fn a_replica_that_left_the_configuration_keeps_its_connections_and_gets_no_more() {
    let mut world = World::settled(sample_config(3), 1);
    let streams: Vec<_> = (0..6).filter_map(|_| world.open(0).0).collect();
    let mut config = sample_config(3);
    config.replicas.remove(0);
    // The world numbers replicas by the list, so its truth is read before.
    let of_first: Vec<_> = streams
        .iter()
        .filter(|id| world.vms[0].connections[*id].at == Some(0))
        .copied()
        .collect();
    assert_eq!(of_first.len(), 2);
    let now = world.now(0);
    world.vms[0].balancer.configure(config, now);
    let gone = world.vms[0].balancer.replica("r1").unwrap();
    assert_eq!(world.vms[0].balancer.active(gone), 2);
    assert_eq!(world.visits(0, 10)[0], 0);
    for stream in of_first {
        world.close(0, stream);
    }
    assert_eq!(world.vms[0].balancer.active(gone), 0);
}

fn with_policy(replicas: usize, policy: Policy) -> dtr_lb_filter::config::Config {
    let mut config = sample_config(replicas);
    config.policy = policy;
    config
}

//! What the operator orders, and other configurations.

use crate::world::connections::End;
use crate::world::{Does, World, sample_config};
use dtr_lb_filter::admin::readiness;
use dtr_lb_filter::balance::listener::Refusal;
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::config::Config;

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
fn the_first_answer_after_maintenance_decides() {
    fn patient() -> Config {
        let mut config = sample_config(2);
        config.health.fall = 1000;
        config
    }
    fn by_order(world: &mut World, order: Order) {
        world.order(1, 0, order).unwrap();
    }
    fn by_file(world: &mut World, order: Order) {
        let mut config = patient();
        config.replicas[0].state = order;
        world.configure(config);
    }
    type Rest = fn(&mut World, Order);
    for rest in [by_order as Rest, by_file] {
        let mut world = World::settled(patient(), 2);
        assert!(world.visits(0, 10)[0] > 0);

        rest(&mut world, Order::Maintenance);
        world.pass(3000);
        world.does[0] = Does::Sick;
        rest(&mut world, Order::Ready);
        world.pass(1000);
        for vm in [0, 1] {
            assert_eq!(world.visits(vm, 10), [0, 10], "one bad answer is enough");
        }

        rest(&mut world, Order::Maintenance);
        world.pass(3000);
        world.does[0] = Does::Well;
        rest(&mut world, Order::Ready);
        world.pass(1000);
        assert!(world.visits(1, 10)[0] > 0, "and so is a good one");
    }
}

#[test]
fn of_the_configuration_and_an_order_the_later_counts() {
    let file = |state: Order| {
        let mut config = sample_config(2);
        config.replicas[0].state = state;
        config
    };
    let mut world = World::settled(file(Order::Maintenance), 2);
    assert_eq!(world.state(1, 0), "maintenance");
    assert_eq!(world.asked[0], 0, "it is not probed, from the start");
    assert_eq!(world.visits(1, 20)[0], 0);
    let since = |world: &mut World| world.status(1)["replicas"][0]["since_unix_ms"].clone();
    assert!(since(&mut world).is_null(), "the file does not say");

    world.order(0, 0, Order::Ready).unwrap();
    world.pass(2000);
    assert_eq!(
        world.state(1, 0),
        "healthy",
        "though the file says otherwise"
    );
    world.crash(1);
    assert!(world.visits(1, 20)[0] > 0, "also in a VM that starts anew");

    world.order(1, 0, Order::Drain).unwrap();
    assert!(since(&mut world).is_u64());
    world.configure(file(Order::Ready));
    world.pass(1000);
    assert_eq!(
        world.state(0, 0),
        "healthy",
        "the file was changed after it"
    );
    // The order is forgotten, and not only passed over.
    world.configure(file(Order::Maintenance));
    world.pass(1000);
    assert_eq!(world.state(0, 0), "maintenance");
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

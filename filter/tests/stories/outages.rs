//! What is logged when no replica is left, and when one is back.

use crate::world::{Does, World, sample_config};
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::config::{Config, Service, Start, WhenAllDown};
use dtr_lb_filter::contract::{LogField, LogFields};
use dtr_lb_filter::effect::Level;

/// The errors, and what is logged of their end.
fn outages(world: &World) -> Vec<(Level, &str)> {
    let lines = world.log.iter();
    let lines = lines.map(|(level, line)| (*level, LogFields::split(line).0));
    lines
        .filter(|(level, text)| *level == Level::Error || text.contains(" again, after "))
        .collect()
}

fn all(world: &mut World, does: Does) {
    for replica in &mut world.does {
        *replica = does;
    }
}

#[test]
fn one_error_for_all_vms_when_the_last_replica_goes_and_one_line_when_it_is_back() {
    let mut world = World::settled(sample_config(2), 3);
    world.does[0] = Does::Sick;
    world.pass(5000);
    assert_eq!(outages(&world), [], "one is left");
    world.does[1] = Does::Sick;
    world.pass(20_000);
    let begun = "no replica is left for port 443: 2 unhealthy; clients are refused";
    assert_eq!(outages(&world), [(Level::Error, begun)]);
    let line = world.log.iter().find(|(level, _)| *level == Level::Error);
    let (_, fields) = LogFields::split(&line.unwrap().1);
    assert_eq!(fields.get(LogField::Reason), Some("all-down"));

    all(&mut world, Does::Well);
    world.pass(5000);
    let [_, (Level::Info, over)] = outages(&world)[..] else {
        panic!("{:#?}", world.log);
    };
    let seconds = over
        .strip_prefix("a replica serves port 443 again, after ")
        .and_then(|rest| rest.strip_suffix(" s without any"));
    let seconds: u64 = seconds.expect(over).parse().unwrap();
    assert!((18..=24).contains(&seconds), "{over}");
}

#[test]
fn the_error_says_what_orders_have_to_do_with_it() {
    let drain = (Order::Drain, Order::Drain);
    let cases = [
        (
            drain,
            WhenAllDown::Refuse,
            "all-away",
            "2 in drain; clients are refused",
        ),
        (
            drain,
            WhenAllDown::TryAll,
            "all-away",
            "2 in drain; clients are refused",
        ),
        (
            (Order::Ready, Order::Maintenance),
            WhenAllDown::Refuse,
            "all-down",
            "1 unhealthy, 1 in maintenance; clients are refused",
        ),
        (
            (Order::Ready, Order::Maintenance),
            WhenAllDown::TryAll,
            "all-down",
            "1 unhealthy, 1 in maintenance; clients are led to unhealthy ones",
        ),
    ];
    for (orders, when_all_down, reason, expected) in cases {
        let config = Config {
            when_all_down,
            ..sample_config(2)
        };
        let mut world = World::settled(config, 2);
        if orders.0 == Order::Ready {
            world.does[0] = Does::Sick;
        }
        // By the VM that does not probe as well.
        for vm in 0..2 {
            let (replica, order) = [(0, orders.0), (1, orders.1)][vm];
            world.order(vm, replica, order).unwrap();
        }
        world.pass(4000);
        let expected = format!("no replica is left for port 443: {expected}");
        assert_eq!(outages(&world), [(Level::Error, &*expected)]);
        let line = world.log.iter().find(|(level, _)| *level == Level::Error);
        let (_, fields) = LogFields::split(&line.unwrap().1);
        assert_eq!(fields.get(LogField::Reason), Some(reason), "{expected}");
    }
}

#[test]
fn the_next_vm_that_probes_does_not_say_it_again() {
    let mut world = World::settled(sample_config(2), 2);
    all(&mut world, Does::Sick);
    world.pass(5000);
    assert_eq!(outages(&world).len(), 1, "{:#?}", world.log);
    let holder = (0..2).find(|vm| world.vms[*vm].balancer.is_holder());
    world.crash(holder.unwrap());
    world.pass(20_000);
    assert_eq!(outages(&world).len(), 1, "{:#?}", world.log);
    all(&mut world, Does::Well);
    world.pass(5000);
    let [_, (Level::Info, over)] = outages(&world)[..] else {
        panic!("{:#?}", world.log);
    };
    assert!(!over.contains("after 0 s"), "{over}");
}

#[test]
fn nothing_is_said_before_each_replica_has_been_asked() {
    let mut config = sample_config(2);
    config.health.start = Start::Down;
    let mut world = World::settled(config.clone(), 2);
    assert_eq!(outages(&world), [], "they are well");

    world = World::new(config, 2);
    all(&mut world, Does::Sick);
    world.pass(5000);
    assert_eq!(outages(&world).len(), 1, "now they have been");

    let mut config = sample_config(3);
    config.replicas.remove(0);
    world.configure(config);
    assert_eq!(
        outages(&world).len(),
        1,
        "a new replica's health is assumed"
    );
}

#[test]
fn a_port_is_out_on_its_own_and_a_service_is_named() {
    let mut config = sample_config(2);
    config.service = Some(Service {
        name: "quay".to_owned(),
        names: Vec::new(),
    });
    let mut other = config.listeners[0].clone();
    other.port = 80;
    config.listeners.push(other);
    let mut world = World::settled(config.clone(), 1);
    all(&mut world, Does::Sick);
    world.pass(5000);
    let both = "service \"quay\": no replica is left for ports 443, 80: 2 unhealthy; \
                clients are refused";
    assert_eq!(outages(&world), [(Level::Error, both)]);
    let line = world.log.iter().find(|(level, _)| *level == Level::Error);
    let (_, fields) = LogFields::split(&line.unwrap().1);
    assert_eq!(fields.get(LogField::Service), Some("quay"));

    config.listeners.remove(0);
    world.configure(config);
    all(&mut world, Does::Well);
    world.pass(5000);
    let (_, over) = outages(&world)[1];
    let begin = "service \"quay\": a replica serves port 80 again, after ";
    assert!(over.starts_with(begin), "{over}");
}

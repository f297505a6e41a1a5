//! What the status has of the past: the last events, most connections, downtime.

use crate::world::{Does, World, sample_config};
use dtr_lb_filter::balance::order::Order;
use serde_json::Value;

/// The texts of the last events, as a VM shows them.
fn events(world: &mut World, vm: usize) -> Vec<String> {
    let status = world.status(vm);
    let events = status["events"].as_array().unwrap().iter();
    events
        .map(|event| event["text"].as_str().unwrap().to_owned())
        .collect()
}

fn replica(world: &mut World, vm: usize, replica: usize) -> Value {
    world.status(vm)["replicas"][replica].take()
}

#[test]
fn every_vm_shows_the_same_last_events() {
    let mut world = World::settled(sample_config(2), 3);
    assert_eq!(events(&mut world, 0), [""; 0]);
    world.does[0] = Does::Sick;
    world.pass(3000);
    world.order(1, 1, Order::Drain).unwrap();
    world.pass(1000);
    let expected = [
        "replica \"r1\" is unhealthy (ping): status [garant]: garant: no answer",
        "replica \"r2\": drain, by order of the operator",
        "no replica is left for port 443: 1 unhealthy, 1 in drain; clients are refused",
    ];
    for vm in 0..3 {
        assert_eq!(events(&mut world, vm), expected, "VM {vm}");
    }
    let status = world.status(2);
    assert_eq!(status["events"][0]["level"], "warn");
    assert_eq!(status["events"][2]["level"], "error");
}

#[test]
fn the_last_fifty_events_outlive_the_vm_that_saw_them() {
    let mut world = World::settled(sample_config(2), 2);
    for number in 0..60 {
        let order = [Order::Drain, Order::Ready][number % 2];
        world.order(number % 2, 0, order).unwrap();
    }
    let before = events(&mut world, 0);
    assert_eq!(before.len(), 50);
    for vm in 0..2 {
        world.crash(vm);
        world.pass(3000);
    }
    assert_eq!(events(&mut world, 0), before);
}

#[test]
fn a_refused_change_is_no_event() {
    let mut world = World::settled(sample_config(1), 1);
    let mut refused = dtr_lb_filter::admin::http::Request {
        method: "PUT".to_owned(),
        path: "/replicas/r1?state=drain".to_owned(),
        ..Default::default()
    };
    assert_eq!(world.answer(0, &refused).status, 403);
    assert_eq!(events(&mut world, 0), [""; 0], "anybody could fill them");
    refused
        .headers
        .push((":authority".to_owned(), "localhost".to_owned()));
    assert_eq!(world.answer(0, &refused).status, 200);
    assert_eq!(events(&mut world, 0).len(), 1);
}

#[test]
fn the_most_connections_at_once_are_those_of_all_vms() {
    let mut world = World::settled(sample_config(1), 2);
    let open = [0, 0, 1].map(|vm| (vm, world.open(vm).0.unwrap()));
    world.pass(3000);
    for (vm, stream) in open {
        world.close(vm, stream);
    }
    world.pass(3000);
    for vm in 0..2 {
        let connections = replica(&mut world, vm, 0)["connections"].take();
        assert_eq!(connections["active"], 0, "VM {vm}");
        assert_eq!(connections["most"], 3, "VM {vm}");
    }
}

#[test]
fn downtime_adds_up_over_outages_and_vms() {
    let mut world = World::settled(sample_config(2), 2);
    let down_s = |world: &mut World, vm| {
        let down_ms = replica(world, vm, 0)["downtime_ms"].as_u64().unwrap();
        (down_ms + 500) / 1000
    };
    assert_eq!(down_s(&mut world, 0), 0);
    for (until, why) in [(10, "one outage"), (20, "two")] {
        world.does[0] = Does::Sick;
        world.pass(11_000);
        world.does[0] = Does::Well;
        world.pass(5000);
        for vm in 0..2 {
            let down = down_s(&mut world, vm);
            assert!((until..=until + 4).contains(&down), "{why}: {down} s");
        }
    }
    let before = down_s(&mut world, 0);
    world.does[0] = Does::Sick;
    world.order(0, 0, Order::Maintenance).unwrap();
    world.pass(10_000);
    assert_eq!(down_s(&mut world, 0), before, "nothing is asked");
    world.crash(0);
    world.crash(1);
    world.pass(5000);
    let after = down_s(&mut world, 0);
    assert!((before..=before + 1).contains(&after), "{before}, {after}");
    assert_eq!(replica(&mut world, 0, 1)["downtime_ms"], 0);
}

//! When a replica is out, and when it is back.

use crate::world::connections::End;
use crate::world::{Does, World, sample_config};
use dtr_lb_filter::admin::readiness;
use dtr_lb_filter::balance::listener::Refusal;
use dtr_lb_filter::config::{OnDown, Start};
use dtr_lb_filter::effect::Level;

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

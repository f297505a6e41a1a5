//! What the VMs of a process do together.

use crate::world::connections::End;
use crate::world::{Does, World, sample_config};
use dtr_lb_filter::balance::listener::Refusal;

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
fn a_vm_that_is_configured_later_learns_what_the_others_counted_before() {
    let mut world = World::settled(sample_config(1), 2);
    world.configure_one(0, sample_config(2));
    for _ in 0..4 {
        world.open(0);
    }
    world.pass(1000);
    let new = world.active(0, 1);
    assert!(new > 0, "it is given connections");
    world.configure_one(1, sample_config(2));
    world.pass(1000);
    assert_eq!(world.active(1, 1), new);
}

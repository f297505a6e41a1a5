//! Thousands of random facts, and what must hold after each.
//!
//! `DTR_LB_SEED` and `DTR_LB_STEPS` choose another run; a failure names both the
//! seed and the step.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::balance::stream::StreamId;
use dtr_lb_filter::config::{Listener, OnDown, Policy, WhenAllDown};
use dtr_lb_filter::random::Random;
use world::config::check;
use world::connections::End;
use world::{Does, World, sample_config};

const MOST_UNDER_WAY: usize = 128;
const HEARTBEAT_MS: u64 = 250;

#[test]
fn whatever_happens_the_invariants_hold() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|value| value.parse::<u64>().unwrap())
    };
    let steps = number("DTR_LB_STEPS").unwrap_or(1500);
    let seeds = match number("DTR_LB_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=8,
    };
    for seed in seeds {
        run(seed, steps);
    }
}

fn run(seed: u64, steps: u64) {
    let mut random = Random::seeded(seed);
    let mut world = random_world(&mut random, seed);
    world.pass(3000);
    let mut orders = vec![Order::Ready; world.does.len()];
    for step in 0..steps {
        let at = format!("seed {seed}, step {step}");
        let what = happen(&mut world, &mut orders, &mut random, &at);
        let at = format!("{at}, after {what}");
        let under_way: Vec<usize> = world.vms.iter().map(|vm| vm.balancer.under_way()).collect();
        assert!(
            under_way.iter().all(|it| *it <= MOST_UNDER_WAY),
            "{at}: {under_way:?} probes"
        );
        if random.below(40) == 0 {
            settle(&mut world, &at);
        }
    }
    end(&mut world, seed);
}

fn random_world(random: &mut Random, seed: u64) -> World {
    let replicas = 1 + random.below(6) as usize;
    let mut config = sample_config(replicas);
    config.policy = [
        Policy::LeastConnections,
        Policy::RoundRobin,
        Policy::RandomTwo,
        Policy::SourceHash,
    ][random.below(4) as usize];
    config.when_all_down = [WhenAllDown::Refuse, WhenAllDown::TryAll][random.below(2) as usize];
    config.on_down = [OnDown::Keep, OnDown::Close][random.below(2) as usize];
    config.slow_start_ms = random.below(2) * 3000;
    config.runners_up = random.below(4) as usize;
    for replica in &mut config.replicas {
        replica.weight = 1 + random.below(4) as u32;
        replica.backup = random.below(4) == 0;
        replica.max_connections = (random.below(4) == 0).then(|| 3 + random.below(20) as u32);
    }
    if random.below(2) == 0 {
        config.checks.push(check("plain"));
        config.listeners.push(Listener {
            port: 80,
            checks: vec!["plain".to_owned()],
        });
    }
    let mut world = World::seeded(config, 1 + random.below(4) as usize, seed);
    world.board.unlucky = [0, 20, 3][random.below(3) as usize];
    world
}

/// One thing happens, and what must hold of it is checked.
fn happen(world: &mut World, orders: &mut [Order], random: &mut Random, at: &str) -> String {
    let vm = random.below(world.vms.len() as u64) as usize;
    let replica = random.below(world.does.len() as u64) as usize;
    match random.below(100) {
        0..=44 => {
            let port = world.config.listeners
                [random.below(world.config.listeners.len() as u64) as usize]
                .port;
            let client = random.bits();
            let states = states(world, vm, port);
            let (stream, end) = world.open_from(vm, port, client);
            let chosen = match end {
                End::Served(replica) => replica,
                _ => replica,
            };
            // The world's proxy falls back like the real one; only what the filter
            // chose first can be held against it.
            let accepts = world.does[chosen].accepts();
            if stream.is_some() && accepts && world.does.iter().all(|does| does.accepts()) {
                assert!(
                    states[chosen] || !states.contains(&true),
                    "{at}: replica {chosen} was chosen on port {port} though {states:?} were usable"
                );
                assert_eq!(
                    orders[chosen],
                    Order::Ready,
                    "{at}: an order was not heeded for {chosen}"
                );
            }
            if let (Some(stream), 0) = (stream, random.below(2)) {
                world.close(vm, stream);
            }
            format!("a connection to VM {vm} ended as {end:?}")
        }
        45..=69 => {
            let streams: Vec<StreamId> = world.vms[vm].connections.keys().copied().collect();
            if let Some(stream) = streams.get(random.below(streams.len() as u64) as usize) {
                world.close(vm, *stream);
            }
            format!("a connection of VM {vm} closed")
        }
        70..=84 => {
            let ms = 25 * (1 + random.below(20));
            world.pass(ms);
            format!("{ms} ms passed")
        }
        85..=92 => {
            let does = [
                Does::Well,
                Does::Well,
                Does::Sick,
                Does::Refuse,
                Does::Hang,
                Does::BlackHole,
            ];
            world.does[replica] = does[random.below(6) as usize];
            format!("replica {replica} is {:?}", world.does[replica])
        }
        93 => {
            // The wall clock is set, an hour ahead or back.
            let hour = 3_600_000;
            let wall = &mut world.vms[vm].wall_ms;
            *wall = if random.below(2) == 0 {
                *wall + hour
            } else {
                *wall - hour
            };
            format!("the clock of VM {vm} was set")
        }
        94..=95 => {
            let order = [Order::Ready, Order::Drain, Order::Maintenance][random.below(3) as usize];
            if world.order(vm, replica, order).is_ok() {
                orders[replica] = order;
            }
            format!("replica {replica} was ordered to {order:?}")
        }
        96..=97 => {
            world.crash(vm);
            format!("VM {vm} crashed")
        }
        98 => {
            let mut config = world.config.clone();
            config.health.fall = 1 + random.below(4) as u32;
            config.policy =
                [Policy::LeastConnections, Policy::RoundRobin][random.below(2) as usize];
            world.configure(config);
            "a new configuration".to_owned()
        }
        _ => {
            let ms = stall(world, vm, orders, random, at);
            format!("VM {vm} stalled for {ms} ms")
        }
    }
}

/// One VM stands still while the others go on, for how many milliseconds; then it
/// thinks as they do, before it has even looked at the clock.
fn stall(world: &mut World, vm: usize, orders: &mut [Order], random: &mut Random, at: &str) -> u64 {
    let at = format!("{at}, VM {vm} stalled");
    let began = world.ms;
    world.stalled = Some(vm);
    for _ in 0..random.below(8) {
        world.pass(25 * (1 + random.below(20)));
        let replica = random.below(world.does.len() as u64) as usize;
        let other = random.below(world.vms.len() as u64) as usize;
        match random.below(3) {
            0 => world.does[replica] = [Does::Well, Does::Sick][random.below(2) as usize],
            1 if other != vm => {
                let order = [Order::Ready, Order::Drain][random.below(2) as usize];
                if world.order(other, replica, order).is_ok() {
                    orders[replica] = order;
                }
            }
            _ => {}
        }
    }
    // Whatever was lost on the board is written again at the next heartbeat.
    let unlucky = std::mem::replace(&mut world.board.unlucky, 0);
    world.pass(2 * HEARTBEAT_MS);
    agree(world, orders, &at);
    let ms = world.ms - began;
    world.stalled = None;
    world.pass(2 * HEARTBEAT_MS);
    agree(world, orders, &format!("{at} and went on"));
    world.board.unlucky = unlucky;
    ms
}

/// All VMs know the same verdicts, and the orders given.
fn agree(world: &mut World, orders: &[Order], at: &str) {
    let known = |world: &mut World, vm: usize| -> Vec<(serde_json::Value, bool)> {
        world.refresh(vm);
        let status = world.status(vm);
        let replicas = status["replicas"].as_array().unwrap();
        let known = |it: &serde_json::Value| (it["order"].clone(), it["state"] == "unhealthy");
        replicas.iter().map(known).collect()
    };
    let first = known(world, 0);
    let given: Vec<serde_json::Value> = orders
        .iter()
        .map(|order| serde_json::to_value(order).unwrap())
        .collect();
    let heeded: Vec<serde_json::Value> = first.iter().map(|(order, _)| order.clone()).collect();
    assert_eq!(heeded, given, "{at}: orders that VM 0 knows");
    for vm in 1..world.vms.len() {
        assert_eq!(
            known(world, vm),
            first,
            "{at}: what VM {vm} knows, and VM 0"
        );
    }
}

/// Which replicas a VM says it may give connections on a port, best ones only.
fn states(world: &mut World, vm: usize, port: u16) -> Vec<bool> {
    // News are read before the next connection, as the glue does.
    world.refresh(vm);
    // So are the counts that limits depend on; unlucky, it learns of them later.
    let unlucky = std::mem::replace(&mut world.board.unlucky, 0);
    let now = world.now(vm);
    world.vms[vm].balancer.share_limits(&mut world.board, now);
    world.board.unlucky = unlucky;
    let balancer = &world.vms[vm].balancer;
    let listener = balancer.listener(port).unwrap();
    world
        .config
        .replicas
        .iter()
        .map(|it| {
            balancer
                .replica(&it.name)
                .is_some_and(|id| balancer.serves(listener, id))
        })
        .collect()
}

/// After a quiet while all VMs agree with the truth.
fn settle(world: &mut World, at: &str) {
    let unlucky = std::mem::replace(&mut world.board.unlucky, 0);
    world.pass(3000);
    let truths = |world: &World| -> Vec<u32> {
        (0..world.does.len())
            .map(|replica| world.truly_active(replica))
            .collect()
    };
    // A replica that turned sick a moment ago may just have had its connections closed.
    let mut before = truths(world);
    loop {
        world.pass(600);
        let now = truths(world);
        if now == before {
            break;
        }
        before = now;
    }
    for replica in 0..world.does.len() {
        let truth = world.truly_active(replica);
        for vm in 0..world.vms.len() {
            assert_eq!(
                world.active(vm, replica),
                truth,
                "{at}: replica {replica} as VM {vm} counts"
            );
        }
        let name = &world.config.replicas[replica].name;
        let gauge = world
            .metrics
            .get(&format!("dtr_lb.replica.{name}.active"))
            .copied()
            .unwrap_or(0);
        assert_eq!(
            gauge,
            u64::from(truth),
            "{at}: the gauge of replica {replica}"
        );
    }
    assert_eq!(world.holders(), 1, "{at}: one VM probes");
    world.board.unlucky = unlucky;
}

/// Once all is well again, everything serves and everything returns to zero.
fn end(world: &mut World, seed: u64) {
    world.board.unlucky = 0;
    world.does.fill(Does::Well);
    for replica in 0..world.does.len() {
        world.order(0, replica, Order::Ready).unwrap();
    }
    for vm in 0..world.vms.len() {
        let streams: Vec<StreamId> = world.vms[vm].connections.keys().copied().collect();
        for stream in streams {
            world.close(vm, stream);
        }
    }
    world.pass(30_000);
    for vm in 0..world.vms.len() {
        for replica in 0..world.does.len() {
            assert_eq!(
                world.active(vm, replica),
                0,
                "seed {seed}, the end: replica {replica}, VM {vm}"
            );
            assert_eq!(
                world.state(vm, replica),
                "healthy",
                "seed {seed}, the end: replica {replica}, VM {vm}"
            );
        }
        assert!(
            matches!(world.visit(vm), End::Served(_)),
            "seed {seed}, the end: VM {vm}"
        );
    }
}

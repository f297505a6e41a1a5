//! One VM stops at any moment while the others go on: at every access to the board,
//! one after the other, something happens between it and the last.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use dtr_lb_filter::admin::replica_status::ReplicaState;
use dtr_lb_filter::admin::status::Status;
use dtr_lb_filter::balance::order::Order;
use dtr_lb_filter::balance::stream::StreamId;
use dtr_lb_filter::balancer::{Admission, Balancer};
use dtr_lb_filter::effect::{Effect, Fact};
use dtr_lb_filter::health::probe_response::ProbeResponse;
use dtr_lb_filter::random::Random;
use dtr_lb_filter::shared::board::Store;
use dtr_lb_filter::time::Moment;
use std::time::Duration;
use world::board::Interrupted;
use world::{Board, Does, sample_config};

const REPLICAS: usize = 3;
const TICK_MS: u64 = 50;
/// How long a VM stands still: longer than a lease lives.
const STALL_MS: u64 = 3000;
/// Within this time after it goes on all VMs agree.
const HEARTBEATS_MS: u64 = 2 * 250;

struct Vm {
    balancer: Balancer,
    ms: u64,
    streams: u32,
}

impl Vm {
    fn new(seed: u64) -> Vm {
        Vm {
            balancer: Balancer::new(sample_config(REPLICAS), seed, 0),
            ms: 0,
            streams: 0,
        }
    }

    fn now(&self) -> Moment {
        Moment::at(Duration::from_millis(self.ms))
    }

    /// One tick, as the glue does it; replicas answer at once.
    fn tick(&mut self, store: &mut impl Store, ms: u64, does: &[Does]) {
        self.ms = ms;
        self.balancer.set_unix_ms(ms);
        self.sync(store, does);
        self.balancer.observe(Fact::Tick, self.now());
        self.sync(store, does);
    }

    fn sync(&mut self, store: &mut impl Store, does: &[Does]) {
        let now = self.now();
        self.balancer.sync(store, now);
        while let Some(effect) = self.balancer.next_effect() {
            let Effect::Probe(request) = effect else {
                continue;
            };
            let replica: usize = request.cluster["ping/r".len()..].parse().unwrap();
            let mut random = Random::seeded(1);
            let answer: ProbeResponse = does[replica - 1].answer(&mut random).1.unwrap();
            self.balancer.sync(store, now);
            self.balancer
                .observe(Fact::Answered(request.probe, answer), now);
            self.balancer.sync(store, now);
        }
    }

    /// The replicas that the next connections are given.
    fn chosen(&mut self, store: &mut impl Store) -> Vec<String> {
        let now = self.now();
        let mut chosen = Vec::new();
        for _ in 0..3 * REPLICAS {
            self.streams += 1;
            if self.balancer.is_behind(store) {
                self.balancer.refresh(store, now);
            }
            let listener = self.balancer.listener(443).unwrap();
            let stream = StreamId(self.streams);
            let route = match self.balancer.admit(stream, listener, 0, now) {
                Admission::Steer(_, route) => route.name().to_owned(),
                Admission::Refuse(refusal) => panic!("refused: {refusal:?}"),
            };
            let name = route.trim_start_matches("443/").split('>').next().unwrap();
            chosen.push(name.to_owned());
        }
        chosen.sort();
        chosen.dedup();
        chosen
    }

    fn order(&mut self, store: &mut impl Store, replica: &str, order: Order) {
        let id = self.balancer.replica(replica).unwrap();
        let now = self.now();
        self.balancer.order(store, id, order.into(), now).unwrap();
    }
}

fn pass(vms: &mut [&mut Vm], store: &mut Board, from_ms: u64, ms: u64, does: &[Does]) {
    for tick in 1..=ms / TICK_MS {
        for vm in &mut *vms {
            vm.tick(store, from_ms + tick * TICK_MS, does);
        }
    }
}

/// Three VMs, of which the first probes, after some seconds, and that many ticks after
/// the second replica turned sick.
fn vms(ticks_sick: u64) -> (Vec<Vm>, Board, u64) {
    let mut board = Board::new(Random::seeded(1));
    let mut vms: Vec<Vm> = (1..=3).map(Vm::new).collect();
    let mut all: Vec<&mut Vm> = vms.iter_mut().collect();
    pass(&mut all, &mut board, 0, 3000, &[Does::Well; REPLICAS]);
    let sick = [Does::Well, Does::Sick, Does::Well];
    pass(&mut all, &mut board, 3000, ticks_sick * TICK_MS, &sick);
    assert!(vms[0].balancer.is_holder(), "the first VM probes");
    (vms, board, 3000 + ticks_sick * TICK_MS)
}

/// Calls `run` for each access to the board of one tick, for each tick of the time in
/// which the first VM finds out that a replica is sick, and says so.
fn at_every_access(run: impl Fn(u64, usize) -> usize) {
    for ticks in 0..30 {
        let mut access = 0;
        // Returns how many there were.
        while run(ticks, access) > access {
            access += 1;
        }
        assert!(access > 0, "tick {ticks} reads the board");
    }
}

#[test]
fn a_vm_that_stalls_anywhere_heeds_the_next_holder_at_once() {
    at_every_access(|ticks, access| {
        let at = format!("stalled at access {access} of tick {ticks}");
        let (mut vms, mut board, ms) = vms(ticks);
        let (stalls, others) = vms.split_first_mut().unwrap();
        let before = [Does::Well, Does::Sick, Does::Well];
        let after = [Does::Sick, Does::Well, Does::Well];
        let mut store = Interrupted::new(&mut board, access, |board| {
            let mut others: Vec<&mut Vm> = others.iter_mut().collect();
            pass(&mut others, board, ms, STALL_MS, &after);
        });
        stalls.tick(&mut store, ms + TICK_MS, &before);
        let accesses = store.accesses();

        if accesses > access {
            assert_eq!(stalls.chosen(&mut board), ["r2", "r3"], "{at}: at once");
        }
        let mut all: Vec<&mut Vm> = vms.iter_mut().collect();
        let rest = STALL_MS * u64::from(accesses <= access);
        pass(
            &mut all,
            &mut board,
            ms + STALL_MS,
            HEARTBEATS_MS + rest,
            &after,
        );
        for (number, vm) in vms.iter_mut().enumerate() {
            assert_eq!(vm.chosen(&mut board), ["r2", "r3"], "{at}: VM {number}");
            let now = vm.now();
            let status = Status::of(&mut vm.balancer, &mut board, now);
            let reasons = status.replicas.iter().map(|it| it.reason.is_some());
            let reasons: Vec<bool> = reasons.collect();
            assert_eq!(reasons, [true, false, false], "{at}: VM {number} says why");
        }
        accesses
    });
}

#[test]
fn an_order_given_at_any_moment_is_heeded_at_once() {
    at_every_access(|ticks, access| {
        let at = format!("ordered at access {access} of tick {ticks}");
        let (mut vms, mut board, ms) = vms(ticks);
        let (holder, others) = vms.split_first_mut().unwrap();
        let does = [Does::Well, Does::Sick, Does::Well];
        let mut store = Interrupted::new(&mut board, access, |board| {
            others[0].order(board, "r1", Order::Drain);
        });
        holder.tick(&mut store, ms + TICK_MS, &does);
        let accesses = store.accesses();
        if accesses > access {
            for (number, vm) in vms.iter_mut().enumerate() {
                let chosen = vm.chosen(&mut board);
                assert!(!chosen.contains(&"r1".to_owned()), "{at}: VM {number}");
            }
        }
        accesses
    });
}

#[test]
fn a_vm_that_sees_a_replica_down_knows_why_at_any_moment() {
    at_every_access(|ticks, access| {
        let at = format!("looked at access {access} of tick {ticks}");
        let (mut vms, mut board, ms) = vms(ticks);
        let (holder, others) = vms.split_first_mut().unwrap();
        let does = [Does::Well, Does::Sick, Does::Well];
        let mut store = Interrupted::new(&mut board, access, |board| {
            let now = others[0].now();
            let looks = &mut others[0].balancer;
            if looks.is_behind(board) {
                looks.refresh(board, now);
            }
            let sick = &Status::of(looks, board, now).replicas[1];
            let is_down = sick.state == ReplicaState::Unhealthy;
            assert!(!is_down || sick.reason.is_some(), "{at}");
        });
        holder.tick(&mut store, ms + TICK_MS, &does);
        store.accesses()
    });
}

//! A process with several VMs, replicas that can be well or sick, and a board,
//! all made of plain values: time goes on when a test says so.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod board;
pub mod config;
pub mod connections;
mod stand_in;

pub use board::Board;
pub use config::sample_config;
pub use stand_in::Does;

use connections::Connection;
use dtr_lb_filter::admin::api;
use dtr_lb_filter::admin::status::Status;
use dtr_lb_filter::balance::stream::{StreamId, UpstreamOutcome};
use dtr_lb_filter::balancer::Balancer;
use dtr_lb_filter::config::Config;
use dtr_lb_filter::effect::{Effect, Fact, Level, MetricKind};
use dtr_lb_filter::health::probe_request::ProbeId;
use dtr_lb_filter::health::probe_response::ProbeResponse;
use dtr_lb_filter::random::Random;
use dtr_lb_filter::shared::board::Lost;
use dtr_lb_filter::time::{Clock, Moment};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, UNIX_EPOCH};

pub struct Vm {
    pub balancer: Balancer,
    pub connections: BTreeMap<StreamId, Connection>,
    clock: Clock,
    /// What the VM's wall clock shows besides the world's time.
    pub wall_ms: u64,
}

impl Vm {
    /// As the glue does: the clock is read at ticks and answers only.
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn read_clock(&mut self, world_ms: u64) -> Moment {
        self.balancer.set_unix_ms(world_ms);
        self.clock
            .read(Duration::from_millis(self.wall_ms + world_ms))
    }
}

struct UnderWay {
    vm: usize,
    /// VMs that start anew in the same place have another number.
    life: u64,
    probe: ProbeId,
    due: u64,
    response: Option<ProbeResponse>,
}

pub struct World {
    pub config: Config,
    pub board: Board,
    pub vms: Vec<Vm>,
    pub does: Vec<Does>,
    pub log: Vec<(Level, String)>,
    pub metrics: HashMap<String, u64>,
    pub ms: u64,
    pub asked: Vec<u64>,
    /// How far each replica's clock is ahead, in milliseconds.
    pub ahead_ms: Vec<i64>,
    /// What each replica's answers to inspections carry besides a date; `:status` too.
    pub shows: Vec<Vec<(&'static str, &'static str)>>,
    /// How often each replica was inspected.
    pub inspected: Vec<u64>,
    pub random: Random,
    /// The VM whose thread stands still: it is given no ticks and no answers.
    pub stalled: Option<usize>,
    lives: Vec<u64>,
    under_way: Vec<UnderWay>,
    streams: u32,
}

impl World {
    pub fn new(config: Config, vms: usize) -> World {
        World::seeded(config, vms, 1)
    }

    pub fn seeded(config: Config, vms: usize, seed: u64) -> World {
        let mut random = Random::seeded(seed);
        let board = Board::new(Random::seeded(random.bits()));
        let does = vec![Does::Well; config.replicas.len()];
        let mut world = World {
            board,
            vms: Vec::new(),
            does,
            log: Vec::new(),
            metrics: HashMap::new(),
            ms: 10,
            asked: vec![0; config.replicas.len()],
            ahead_ms: vec![0; config.replicas.len()],
            shows: vec![Vec::new(); config.replicas.len()],
            inspected: vec![0; config.replicas.len()],
            random,
            stalled: None,
            lives: vec![0; vms],
            under_way: Vec::new(),
            streams: 0,
            config,
        };
        for _ in 0..vms {
            let vm = world.fresh_vm();
            world.vms.push(vm);
        }
        world
    }

    /// What a VM's clock says.
    pub fn now(&self, vm: usize) -> Moment {
        self.vms[vm].now()
    }

    /// A world in which everything has been probed.
    pub fn settled(config: Config, vms: usize) -> World {
        let mut world = World::new(config, vms);
        world.pass(3000);
        world
    }

    fn fresh_vm(&mut self) -> Vm {
        let mut balancer = Balancer::new(self.config.clone(), self.random.bits(), self.ms);
        let now = Moment::START;
        balancer.refresh(&mut self.board, now);
        {
            let (connections, clock) = Default::default();
            let mut vm = Vm {
                balancer,
                connections,
                clock,
                wall_ms: 1_700_000_000_000,
            };
            vm.read_clock(self.ms);
            vm
        }
    }

    /// The VM traps: its connections are gone, no other VM is notified, and it starts anew.
    pub fn crash(&mut self, vm: usize) {
        self.vms[vm] = self.fresh_vm();
        self.lives[vm] += 1;
    }

    /// Another VM takes the place of this one, which lives on for its connections.
    pub fn retire(&mut self, vm: usize) {
        let now = self.now(vm);
        self.vms[vm].balancer.retire(&mut self.board, now);
    }

    /// Lets time go on in steps of the usual tick.
    pub fn pass(&mut self, ms: u64) {
        let end = self.ms + ms;
        while self.ms < end {
            self.ms = (self.ms + 25).min(end);
            self.deliver();
            for vm in 0..self.vms.len() {
                if self.stalled != Some(vm) {
                    self.tick(vm);
                }
            }
        }
    }

    pub fn tick(&mut self, vm: usize) {
        let now = self.vms[vm].read_clock(self.ms);
        self.vms[vm].balancer.sync(&mut self.board, now);
        self.carry_out(vm);
        self.vms[vm].balancer.observe(Fact::Tick, now);
        self.vms[vm].balancer.sync(&mut self.board, now);
        self.carry_out(vm);
    }

    fn carry_out(&mut self, vm: usize) {
        let now = self.vms[vm].now();
        while let Some(effect) = self.vms[vm].balancer.next_effect() {
            match effect {
                Effect::Probe(request) => {
                    let name = request.cluster.split_once('/').expect("CHECK/REPLICA").1;
                    let replica = self.config.replicas.iter().position(|it| it.name == name);
                    let Some(replica) = replica else { continue };
                    self.asked[replica] += 1;
                    let (after, response) = self.does[replica].answer(&mut self.random);
                    let life = self.lives[vm];
                    let due = self.ms + after;
                    self.under_way.push(UnderWay {
                        vm,
                        life,
                        probe: request.probe,
                        due,
                        response,
                    });
                }
                Effect::Inspect(request) => {
                    let name = request.cluster.split_once('/').expect("CHECK/REPLICA").1;
                    let replica = self.config.replicas.iter().position(|it| it.name == name);
                    let Some(replica) = replica else { continue };
                    self.inspected[replica] += 1;
                    let headers = match self.does[replica] {
                        Does::Well => {
                            let shown = self.shows[replica].iter();
                            let shown = shown.map(|(name, value)| (*name, (*value).to_owned()));
                            shown.chain([("date", self.date(replica))]).collect()
                        }
                        Does::Hang => continue,
                        _ => Vec::new(),
                    };
                    let fact = Fact::Inspected(request.inspection, headers);
                    self.vms[vm].balancer.observe(fact, now);
                }
                Effect::Locate(stream) => {
                    let at = self.vms[vm].connections.get(&stream).and_then(|it| it.at);
                    let name = at.map(|at| self.config.replicas[at].name.clone());
                    let outcome = name
                        .as_deref()
                        .map_or(UpstreamOutcome::Pending, UpstreamOutcome::Reached);
                    self.vms[vm]
                        .balancer
                        .observe(Fact::Located(stream, outcome), now);
                }
                Effect::Close(stream) => self.close(vm, stream),
                Effect::Log(level, text) => self.log.push((level, text)),
                Effect::Report(report) => {
                    let slot = self.metrics.entry(report.name).or_default();
                    match report.kind {
                        MetricKind::Counter => *slot += report.value,
                        MetricKind::Gauge => *slot = report.value,
                        // How many values it has counted.
                        MetricKind::Histogram => *slot += 1,
                    }
                }
            }
        }
    }

    /// What a replica's clock shows.
    fn date(&self, replica: usize) -> String {
        let unix_ms = self.ms.saturating_add_signed(self.ahead_ms[replica]);
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(unix_ms))
    }

    fn deliver(&mut self) {
        let (ms, stalled) = (self.ms, self.stalled);
        let is_due = |it: &UnderWay| it.due <= ms && stalled != Some(it.vm);
        let (due, rest): (Vec<_>, Vec<_>) = self.under_way.drain(..).partition(is_due);
        self.under_way = rest;
        for UnderWay {
            vm,
            life,
            probe,
            response,
            ..
        } in due
        {
            if self.lives[vm] != life {
                continue;
            }
            let now = self.vms[vm].read_clock(self.ms);
            if let Some(response) = response {
                self.vms[vm].balancer.sync(&mut self.board, now);
                self.vms[vm]
                    .balancer
                    .observe(Fact::Answered(probe, response), now);
                self.vms[vm].balancer.sync(&mut self.board, now);
                self.carry_out(vm);
            }
        }
    }

    /// Gives new orders, as the admin listener of a VM does.
    pub fn order(
        &mut self,
        vm: usize,
        replica: usize,
        order: dtr_lb_filter::balance::order::Order,
    ) -> Result<(), Lost> {
        let now = self.vms[vm].now();
        let name = self.config.replicas[replica].name.clone();
        let balancer = &mut self.vms[vm].balancer;
        let id = balancer.replica(&name).expect("a configured replica");
        let result = balancer.order(&mut self.board, id, order.into(), now);
        self.carry_out(vm);
        result
    }

    pub fn status(&mut self, vm: usize) -> serde_json::Value {
        let now = self.vms[vm].now();
        self.vms[vm].balancer.set_unix_ms(self.ms);
        let status = Status::of(&mut self.vms[vm].balancer, &mut self.board, now);
        serde_json::to_value(status).expect("a status is JSON")
    }

    /// What the admin listener answers, in one VM.
    pub fn answer(
        &mut self,
        vm: usize,
        request: &dtr_lb_filter::admin::http::Request,
    ) -> dtr_lb_filter::admin::http::Response {
        let now = self.vms[vm].read_clock(self.ms);
        let response = api::answer(
            &mut [&mut self.vms[vm].balancer],
            request,
            &mut self.board,
            now,
        );
        self.carry_out(vm);
        response
    }

    /// Has a VM read the news, as the glue does before each connection.
    pub fn refresh(&mut self, vm: usize) {
        let now = self.now(vm);
        let balancer = &mut self.vms[vm].balancer;
        if balancer.is_behind(&mut self.board) {
            balancer.refresh(&mut self.board, now);
        }
    }

    pub fn state(&mut self, vm: usize, replica: usize) -> String {
        self.status(vm)["replicas"][replica]["state"]
            .as_str()
            .expect("a state")
            .to_owned()
    }

    pub fn holders(&self) -> usize {
        self.vms.iter().filter(|vm| vm.balancer.is_holder()).count()
    }

    /// A new configuration reaches all VMs.
    pub fn configure(&mut self, config: Config) {
        for vm in 0..self.vms.len() {
            self.configure_one(vm, config.clone());
        }
    }

    /// A new configuration reaches one VM.
    pub fn configure_one(&mut self, vm: usize, config: Config) {
        self.does.resize(config.replicas.len(), Does::Well);
        self.asked.resize(config.replicas.len(), 0);
        self.config = config;
        let now = self.vms[vm].now();
        let config = self.config.clone();
        self.vms[vm].balancer.configure(config, now);
        self.carry_out(vm);
    }
}

//! What a connection costs inside the VM: the filter's callbacks, with the engine that
//! calls them, in the order in which the standalone host does, and no socket.
//!
//! Prints one line of JSON. `bench/instructions` counts the instructions of the same.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use dtr_lb::config::Config;
use dtr_lb::plan::{Plan, listener_root};
use dtr_lb_filter::contract::{ClusterNames, METADATA, METADATA_REPLICA};
use proxy_wasm_engine::envoy::STEERING_KEY;
use proxy_wasm_engine::{
    Action, ContextId, Engine, Module, Plugin, Shared, TcpInfo, Upstream, Vm, VmConfig,
};
use serde_json::{Value, json};

/// What a connection costs inside the VM.
#[derive(Parser)]
struct Options {
    /// How many replicas the filter chooses from.
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    /// How many connections are made in each of several rounds, of which the median counts.
    #[arg(long, default_value_t = 20_000)]
    connections: usize,
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// A module in place of the built-in filter.
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let module = match &options.module {
        Some(file) => std::fs::read(file).with_context(|| file.display().to_string())?,
        None => dtr_lb::FILTER.to_vec(),
    };
    let mut world = World::start(&module, options.replicas)?;
    // The first connections grow tables.
    lives(&mut world, options.connections)?;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds.max(1) {
        let began = Instant::now();
        lives(&mut world, options.connections)?;
        rounds.push(began.elapsed().as_nanos() / options.connections.max(1) as u128);
    }
    rounds.sort_unstable();
    let median = rounds.get(rounds.len() / 2).copied().unwrap_or_default();
    let report = json!({
        "replicas": options.replicas,
        "ns_per_connection": u64::try_from(median)?,
        "module_bytes": module.len(),
    });
    println!("{report}");
    Ok(())
}

/// As many connections, one after another, each among some that are open. What is counted
/// begins and ends here.
#[inline(never)]
fn lives(world: &mut World, connections: usize) -> Result<()> {
    let mut open = VecDeque::new();
    for _ in 0..connections {
        open.push_back(world.open()?);
        if open.len() == OPEN
            && let Some(oldest) = open.pop_front()
        {
            world.close(oldest)?;
        }
    }
    open.into_iter().try_for_each(|one| world.close(one))
}

/// A VM with the filter, and what a host knows of its connections.
struct World {
    vm: Vm,
    root: ContextId,
    /// What a connection shows that has arrived at a replica, by the replica's cluster.
    upstreams: HashMap<String, Arc<Upstream>>,
    next: u64,
}

impl World {
    fn start(module: &[u8], replicas: usize) -> Result<World> {
        let config = Config::parse(&configuration(replicas).to_string(), "bench")?;
        let plan = Plan::of(&config);
        let balancer = plan.balancer.context("the plan has a balancer")?;
        let root_id = listener_root(PORT);
        let config = VmConfig {
            vm_id: balancer.vm_id,
            plugins: vec![Plugin {
                name: root_id.clone(),
                root_id,
                configuration: balancer.configuration.to_string().into_bytes(),
            }],
            ..VmConfig::default()
        };
        let module = Module::compile(&Engine::new()?, module)?;
        let everything = Arc::new(|_: &str| true);
        let mut vm = Vm::start(&module, &config, &Shared::new(), everything)?;
        let root = vm.roots().first().copied().context("a root context")?;
        // Replicas count as healthy from the start: nobody answers probes here.
        vm.tick(root)?;
        while vm.next_effect().is_some() {}
        let upstream = |name: String| {
            let cluster = ClusterNames::default().replica(PORT, &name);
            let filter_metadata = json!({METADATA: {METADATA_REPLICA: name}});
            let upstream = Arc::new(Upstream {
                cluster: cluster.as_str().into(),
                metadata: Arc::new(json!({"filter_metadata": filter_metadata})),
                address: ([10, 1, 0, 1], PORT).into(),
                local_address: ([10, 0, 1, 1], 40_000).into(),
            });
            (cluster, upstream)
        };
        Ok(World {
            vm,
            root,
            upstreams: (0..replicas).map(|number| upstream(name(number))).collect(),
            next: 1,
        })
    }

    /// A connection that arrives at the replica that the filter chooses.
    fn open(&mut self) -> Result<ContextId> {
        let source = ([192, 0, 2, 1], 50_000).into();
        let info = TcpInfo::new(self.next, source, ([10, 0, 1, 1], PORT).into());
        self.next += 1;
        let context = self.vm.open_tcp(self.root, info)?;
        let action = self.vm.new_connection(context)?;
        ensure!(
            action == Action::Continue,
            "the filter refuses a connection"
        );
        while self.vm.next_effect().is_some() {}
        let route = self.vm.filter_state(context, STEERING_KEY);
        let route = route.context("the filter steers each connection")?;
        let first = route.split('>').next().unwrap_or(route);
        let upstream = self.upstreams.get(first).context("a route of the plan")?;
        let upstream = Arc::clone(upstream);
        if let Some(info) = self.vm.tcp_mut(context) {
            info.attempts = 1;
            info.upstream = Some(upstream);
        }
        Ok(context)
    }

    fn close(&mut self, context: ContextId) -> Result<()> {
        if let Some(info) = self.vm.tcp_mut(context) {
            (info.received, info.sent) = (100, 1000);
        }
        self.vm.finish(context)?;
        while self.vm.next_effect().is_some() {}
        Ok(())
    }
}

fn configuration(replicas: usize) -> Value {
    let replica = |number: usize| {
        let [.., high, low] = number.to_be_bytes();
        json!({"name": name(number), "address": format!("10.1.{high}.{low}")})
    };
    json!({
        "fqdn": "dtr.example.com",
        "replicas": (0..replicas).map(replica).collect::<Vec<_>>(),
        "listeners": [{"bind": format!("0.0.0.0:{PORT}")}],
        "health": {"start": "up"},
    })
}

fn name(replica: usize) -> String {
    format!("r{replica}")
}

const PORT: u16 = 443;
/// Connections open at once.
const OPEN: usize = 16;

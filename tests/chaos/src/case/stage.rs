//! Replicas, a balancer before them, and what happens to them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::certificates::Certificates;
use super::crowd;
use super::tally::{Mark, Marks};
use crate::dns::{NameServer, name_of};
use crate::event::{Act, Change, Event, Wiring};
use crate::load::{Client, Generator, Load, Record};
use crate::network::Network;
use crate::process::LIMIT;
use crate::proxy::{Check, Endpoint, Kind, Places, Proxy, Site};
use crate::replica::{Ports, Replica};
use crate::stopped_thread::StoppedThread;

/// All there is of one case.
pub(super) struct Stage {
    network: Network,
    certificates: Certificates,
    replicas: Vec<Replica>,
    names: Option<NameServer>,
    /// What the balancer is configured with.
    site: Site,
    /// Every replica it may be configured with.
    endpoints: Vec<Endpoint>,
    pub(super) proxy: Proxy,
    pub(super) load: Option<Generator>,
    /// Clients beside the load.
    clients: JoinSet<Record>,
    /// Those of them that are done.
    served: Vec<Record>,
    idle: Vec<TcpStream>,
    floods: Vec<crowd::Flood>,
    stopped: Option<StoppedThread>,
    marks: Marks,
    load_ended: bool,
    /// What was wrong with the balancer's end, where the script wanted it to end.
    ended: Option<Vec<String>>,
}

impl Stage {
    /// Starts the replicas and the balancer.
    pub(super) async fn set(
        event: &Event,
        kind: Kind,
        network: Network,
        folder: &Path,
    ) -> Result<Self> {
        let certificates = Certificates::make(folder)?;
        std::fs::write(folder.join("crash.wasm"), wat::parse_str(CRASHES)?)?;
        let ports = Ports::new()?;
        let mut replicas = Vec::new();
        for number in 1..=event.replicas {
            let mut replica = Replica::place(number, ports, certificates.right());
            replica.start().await?;
            replicas.push(replica);
        }
        let by_name = event.wiring == Wiring::Names;
        let names = match (by_name, &network) {
            (false, _) => None,
            (true, Network::Private) => Some(NameServer::start().await?),
            (true, Network::Loopback(why)) => bail!("a name server needs a network: {why}"),
        };
        // The fourth replica is where a name moves to.
        let endpoints: Vec<Endpoint> = (1_u8..)
            .zip(&replicas)
            .take(3)
            .map(|(number, replica)| Endpoint {
                name: replica.name.clone(),
                host: if by_name {
                    name_of(number)
                } else {
                    replica.address.to_string()
                },
                plain: replica.plain,
                tls: replica.tls,
            })
            .collect();
        let site = Site {
            replicas: endpoints.clone(),
            check: match event.wiring {
                Wiring::Plain | Wiring::Names => Check::Plain,
                Wiring::Certificates => Check::Tls(certificates.authority()),
            },
            extra_listener: false,
            fields: fields(event, kind).context("the event's fields")?,
        };
        let places = Places::new(folder)?;
        let proxy = Proxy::start(kind, &site, places, event.log, event.descriptors).await?;
        Ok(Self {
            network,
            certificates,
            replicas,
            names,
            site,
            endpoints,
            proxy,
            load: None,
            clients: JoinSet::new(),
            served: Vec::new(),
            idle: Vec::new(),
            floods: Vec::new(),
            stopped: None,
            marks: Marks::default(),
            load_ended: false,
            ended: None,
        })
    }

    /// The certificate that signed the replicas' own.
    pub(super) fn authority(&self) -> PathBuf {
        self.certificates.authority()
    }

    /// Does it all, in its order.
    pub(super) async fn perform(&mut self, script: &[Act], pace: f64) -> Result<()> {
        let start = Instant::now();
        self.acts(script, pace).await?;
        // Of pauses alone: what happens does so throughout.
        self.marks.began.get_or_insert(start);
        Ok(())
    }

    async fn acts(&mut self, script: &[Act], pace: f64) -> Result<()> {
        for act in script {
            if let Act::Repeat(times, script) = act {
                for _ in 0..*times {
                    Box::pin(self.acts(script, pace)).await?;
                }
                continue;
            }
            let before = Instant::now();
            self.act(*act, pace)
                .await
                .with_context(|| format!("{act:?}"))?;
            if !matches!(act, Act::Pause(_) | Act::Wait(_)) {
                self.marks.began.get_or_insert(before);
            }
            // What is cut is cut at some moment of the act.
            if act.severs() {
                self.marks.put(Mark::Severed(before, Instant::now()));
            }
        }
        Ok(())
    }

    /// Waits for the last client: all records, and the marks among them.
    pub(super) async fn finish(&mut self) -> Result<(Load, Marks)> {
        self.stopped = None;
        self.release()?;
        let mut load = self.load.take().context("no load")?.finish().await?;
        self.clients_served().await?;
        load.records.append(&mut self.served);
        Ok((load, std::mem::take(&mut self.marks)))
    }

    /// Whether the script has ended the load.
    pub(super) fn load_ended(&self) -> bool {
        self.load_ended
    }

    /// What was wrong with the balancer's end, where the script wanted it to end.
    pub(super) fn balancer_ended(&self) -> Option<Vec<String>> {
        self.ended.clone()
    }

    async fn act(&mut self, act: Act, pace: f64) -> Result<()> {
        match act {
            Act::Pause(ms) => sleep(Duration::from_millis(ms).mul_f64(pace)).await,
            Act::Wait(ms) => sleep(Duration::from_millis(ms)).await,
            Act::Repeat(..) => {}
            Act::Kill(number) => self.replica(number)?.kill().await?,
            Act::Terminate(number) => self.replica(number)?.terminate().await?,
            Act::Start(number) => self.replica(number)?.start().await?,
            Act::Stop(number) => self.replica(number)?.signal(libc::SIGSTOP)?,
            Act::Continue(number) => self.replica(number)?.signal(libc::SIGCONT)?,
            Act::BlackHole(number) => {
                let address = self.replica(number)?.address;
                self.network.black_hole(address)?;
            }
            Act::Heal(number) => {
                let address = self.replica(number)?.address;
                self.network.heal(address)?;
            }
            Act::Fault(number, fault) => self.replica(number)?.fault(fault).await?,
            Act::Certificate(number, which) => {
                let pem = self.certificates.path(which);
                self.replica(number)?.certificate(&pem).await?;
            }
            Act::Emptied(number) => self.emptied(number).await?,
            Act::Dns(says) => self.names.as_ref().context("no name server")?.says(says),
            Act::Asked => self.asked().await?,
            Act::Sees(number, sight) => {
                let name = self.replica(number)?.name.clone();
                self.proxy.sees(&name, sight).await?;
            }
            Act::Order(number, state) => {
                let name = self.replica(number)?.name.clone();
                self.proxy.order(&name, state).await?;
            }
            Act::Reload(change) => {
                self.change(change);
                self.proxy.reload(&self.site).await?;
            }
            Act::Upgrade => self.proxy.upgrade().await?,
            Act::RetiredEnded => self.proxy.retired_have_ended().await?,
            Act::StopBalancer => self.proxy.signal_all(libc::SIGSTOP),
            Act::ContinueBalancer => self.proxy.signal_all(libc::SIGCONT),
            Act::StopWorker => self.stopped = Some(StoppedThread::stop(self.proxy.worker()?)?),
            Act::ContinueWorker => self.stopped = None,
            Act::EndBalancer => {
                let signal = self.proxy.ends_gracefully_at();
                self.proxy.process().signal(signal)?;
            }
            Act::FillLog => self.proxy.fill_log()?,
            Act::BalancerEnded => {
                let wrong = match self.proxy.process().ends().await {
                    Ok(status) if status.success() => Vec::new(),
                    Ok(status) => vec![format!("it ended with {status}")],
                    Err(error) => vec![format!("asked to end, {error:#}")],
                };
                self.ended = Some(wrong);
            }
            Act::Counted(metric) => self.proxy.has_counted(metric).await?,
            Act::EndLoad => self.end_load().await?,
            Act::Clients(count, request) => {
                let client = self.client(Duration::from_secs(60));
                for number in 0..count as u64 {
                    let client = client.clone();
                    let seed = 1_000_000 + number * 2;
                    self.clients
                        .spawn(async move { client.ask(request, seed).await });
                }
            }
            Act::ClientsServed => self.clients_served().await?,
            Act::Idle(count) => {
                let target = self.proxy.places().traffic;
                self.idle.extend(crowd::connect(target, count).await?);
            }
            Act::IdleOnAdmin(count) => {
                let target = self.proxy.places().admin;
                self.idle.extend(crowd::connect(target, count).await?);
            }
            Act::FloodAdmin(count) => {
                let flood = crowd::Flood::start(self.proxy.places().admin, count);
                self.floods.push(flood);
            }
            Act::Vanish(count) => {
                let target = self.proxy.places().traffic;
                let gone = crowd::half_closed(target, VANISHES, count).await?;
                self.network.black_hole(VANISHES)?;
                drop(gone);
            }
            Act::Release => self.release()?,
            Act::AllDown => self.marks.put(Mark::AllDown(Instant::now())),
            Act::Up => self.marks.put(Mark::Up(Instant::now())),
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Nothing => {}
            Change::Without(number) => {
                let index = usize::from(number) - 1;
                let rest = self
                    .endpoints
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| *at != index);
                self.site.replicas = rest.map(|(_, one)| one.clone()).collect();
            }
            Change::All => self.site.replicas = self.endpoints.clone(),
            Change::OneMoreListener => self.site.extra_listener = true,
            Change::OneListenerLess => self.site.extra_listener = false,
        }
    }

    async fn end_load(&mut self) -> Result<()> {
        let load = self.load.as_ref().context("no load")?;
        load.end();
        self.load_ended = true;
        let last = async {
            while load.open() > 0 {
                sleep(LOOK).await;
            }
        };
        timeout(LIMIT, last).await.context("clients go on")
    }

    async fn emptied(&mut self, number: u8) -> Result<()> {
        let replica = self.replica(number)?;
        let empty = async {
            // Twice: a client may just have been sent there.
            let mut looks = 0;
            while looks < 2 {
                looks = if replica.open().await? == 0 {
                    looks + 1
                } else {
                    0
                };
                sleep(LOOK).await;
            }
            Ok(())
        };
        timeout(LIMIT, empty)
            .await
            .context("clients are still served there")?
    }

    async fn asked(&self) -> Result<()> {
        let names = self.names.as_ref().context("no name server")?;
        let asked = async {
            while names.asked() == 0 {
                sleep(LOOK).await;
            }
        };
        timeout(LIMIT, asked)
            .await
            .context("nobody asks the name server")
    }

    async fn clients_served(&mut self) -> Result<()> {
        while let Some(record) = self.clients.join_next().await {
            self.served.push(record?);
        }
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        self.idle.clear();
        for flood in self.floods.drain(..) {
            flood.end()?;
        }
        Ok(())
    }

    fn client(&self, patience: Duration) -> Client {
        Client {
            target: self.proxy.places().traffic,
            tls: None,
            patience,
        }
    }

    fn replica(&mut self, number: u8) -> Result<&mut Replica> {
        let index = usize::from(number).checked_sub(1);
        let replica = index.and_then(|index| self.replicas.get_mut(index));
        replica.context("no such replica")
    }
}

fn fields(event: &Event, kind: Kind) -> Result<Map<String, Value>> {
    let mut fields: Map<String, Value> = serde_json::from_str(event.fields)?;
    if kind == Kind::Envoy {
        let more: Map<String, Value> = serde_json::from_str(event.envoy_fields)?;
        fields.extend(more);
    }
    Ok(fields)
}

/// The address of clients that vanish.
const VANISHES: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// A filter that crashes at each new connection.
const CRASHES: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_new_connection") (param i32) (result i32) (unreachable)))
"#;

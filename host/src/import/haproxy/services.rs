//! Services from frontends and the backends they lead to.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::bind::{self, Binds};
use super::check;
use super::global::Global;
use super::ledger::Ledger;
use super::page;
use super::policy;
use super::proxy::{Proxies, Proxy};
use super::server::{self, MOST_SERVERS, Server};
use super::settings::Mode;
use super::source::Source;
use super::target::{self, Target};
use super::timeouts;
use crate::import::error::ImportError;
use crate::import::found::{At, Found, Service};
use crate::import::note::Place;
use crate::import::proxy_protocol::ProxyProtocol;

/// What is made of the proxies, and why some are left out.
pub(super) struct Services<'p, 'a> {
    source: &'p Source<'p>,
    proxies: &'p Proxies<'a>,
    global: &'p Global,
    found: Found,
    /// By the proxies' places in `proxies`.
    servers: BTreeMap<usize, Rc<Known<'a>>>,
    /// Servers of all services.
    server_count: usize,
}

/// The servers of a section, and further lines that say something of them.
struct Known<'a> {
    servers: Vec<Server<'a>>,
    parts: Vec<Place>,
}

impl<'p, 'a> Services<'p, 'a> {
    /// Everything that passes TCP through, and the page.
    ///
    /// # Errors
    /// A line that has a part in it can't be read, or leads nowhere.
    pub(super) fn found(
        source: &'p Source<'p>,
        proxies: &'p Proxies<'a>,
        global: &'p Global,
        ledger: &mut Ledger,
    ) -> Result<Found, ImportError> {
        let mut services = Services {
            source,
            proxies,
            global,
            found: Found::default(),
            servers: BTreeMap::new(),
            server_count: 0,
        };
        for (index, front) in proxies.all.iter().enumerate() {
            if proxies.shares_its_name(front) {
                ledger.advice(
                    &front.section.head,
                    "a frontend and a backend of one name are refused by HAProxy 3.3 and later",
                );
            }
            if front.section.kind.accepts() {
                services.add(index, front, ledger)?;
            }
        }
        services
            .found
            .max_connections
            .clone_from(&global.max_connections);
        Ok(services.found)
    }

    fn add(
        &mut self,
        index: usize,
        front: &'p Proxy<'a>,
        ledger: &mut Ledger,
    ) -> Result<(), ImportError> {
        let head = &front.section.head;
        let title = format!("{} {}", head.text(0), front.name());
        target::exists(self.source, self.proxies, front)?;
        let left_out = match front.settings.mode() {
            _ if front.settings.is_disabled() => "is disabled",
            Mode::Http => match page::of(front, self.proxies) {
                Some(back) => {
                    return page::set(self.source, (front, back), &mut self.found, ledger);
                }
                None => "speaks HTTP itself (mode http), and dtr-lb passes TCP through as it is",
            },
            Mode::Other => "does not pass TCP through",
            Mode::Tcp => {
                let binds = bind::binds(self.source, front.section, ledger)?;
                let proxies = self.proxies;
                let all = target::targets(self.source, proxies, index, ledger)?;
                let (disabled, targets): (Vec<_>, Vec<_>) = all
                    .into_iter()
                    .partition(|target| proxies.is_disabled(target.backend));
                self.note_disabled(&disabled, ledger);
                match (binds.plain.is_empty(), targets.is_empty()) {
                    (true, _) if !binds.tls.is_empty() => {
                        "ends TLS (ssl on its bind), and dtr-lb passes it through as it is"
                    }
                    (true, _) => "has no address where clients connect",
                    (false, true) if !disabled.is_empty() => "leads to a backend that is disabled",
                    (false, true) => "leads to no servers",
                    (false, false) => {
                        bind::note(&binds, ledger);
                        ledger.taken(head, format!("{title}: passes TCP through"));
                        return self.add_targets((front, &binds), targets, ledger);
                    }
                }
            }
        };
        ledger.not_taken(head, format!("{title}: {left_out}"));
        Ok(())
    }

    fn note_disabled(&self, targets: &[Target<'_>], ledger: &mut Ledger) {
        for target in targets {
            let Some(back) = self.proxies.all.get(target.backend) else {
                continue;
            };
            let title = format!("backend {}", back.name());
            let key = target.line.text(0);
            ledger.not_taken(target.line, format!("{key}: {title} is disabled"));
            ledger.not_taken(&back.section.head, format!("{title}: is disabled"));
        }
    }

    fn add_targets(
        &mut self,
        (front, binds): (&'p Proxy<'a>, &Binds<'_>),
        targets: Vec<Target<'_>>,
        ledger: &mut Ledger,
    ) -> Result<(), ImportError> {
        for target in targets {
            let Some(back) = self.proxies.all.get(target.backend) else {
                continue;
            };
            if back.settings.mode() != Mode::Tcp {
                let problem = format!(
                    "{:?} does not pass TCP through (mode), but {:?} does; HAProxy refuses that as well",
                    back.name(),
                    front.name()
                );
                return Err(self.source.wrong(target.line, 1, problem));
            }
            self.add_target((front, binds), &target, back, ledger)?;
        }
        Ok(())
    }

    fn add_target(
        &mut self,
        (front, binds): (&'p Proxy<'a>, &Binds<'_>),
        target: &Target<'_>,
        back: &'p Proxy<'a>,
        ledger: &mut Ledger,
    ) -> Result<(), ImportError> {
        drop(ledger.take_recent());
        let known = match self.servers.get(&target.backend) {
            Some(known) => Rc::clone(known),
            None => {
                let servers = server::servers(self.source, back, ledger)?;
                let parts = ledger.take_recent();
                server::note(&servers, ledger);
                let known = Rc::new(Known { servers, parts });
                self.servers.insert(target.backend, Rc::clone(&known));
                known
            }
        };
        let servers = &known.servers;
        target.note(back.name(), ledger);
        let in_turn = match back.settings.line("balance") {
            Some(_) => "",
            None => ", in turn, as HAProxy did before 3.3 without \"balance\"",
        };
        let text = format!(
            "backend {}: its servers are the replicas{in_turn}",
            back.name()
        );
        ledger.taken(&back.section.head, text);
        for mode in [front, back]
            .iter()
            .filter_map(|proxy| proxy.settings.line("mode"))
        {
            ledger.taken(mode, "mode tcp: TCP is passed through, the only mode");
        }
        let name = match target.names.is_empty() {
            true => front.name(),
            false => back.name(),
        };
        let mut service = Service::new(name, front.section.head.place.clone());
        let settings = (&front.settings, &back.settings);
        timeouts::set(self.source, &mut service, settings, ledger)?;
        service.policy = policy::policy(back, ledger);
        let checks = &self.global.checks;
        let probed = check::check(self.source, (&back.settings, servers), checks, ledger)?;
        service.check = probed.check;
        service.fqdn = target.fqdn.clone().or(probed.host);
        service.names.clone_from(&target.names);
        service.max_connections = self.max_connections(front, binds, ledger)?;
        let slowest = servers.iter().max_by_key(|server| server.params.slow_start);
        service.slow_start = slowest.and_then(|server| {
            let value = server.params.slow_start?;
            let place = server.line.place.clone();
            Some(At { value, place })
        });
        let mut closing = servers.iter().filter(|server| server.params.closes_on_down);
        if let Some(server) = closing.next() {
            service.closes_on_down = Some(server.line.place.clone());
            if servers.iter().any(|other| !other.params.closes_on_down) {
                let text = "\"on_down\": \"close\" is for all replicas, and not all servers said \
                            on-marked-down shutdown-sessions";
                ledger.advice(server.line, text);
            }
        }
        service.proxy_protocol = proxy_protocol(servers, ledger);
        service.refused = servers
            .iter()
            .find_map(|server| server.refused(self.source));
        service.parts = ledger.take_recent();
        service.parts.extend(known.parts.iter().cloned());
        self.push(service, binds, servers)
    }

    /// Adds the service; where servers are reached on the port that clients connect
    /// to, one for each such port.
    fn push(
        &mut self,
        service: Service,
        binds: &Binds<'_>,
        servers: &[Server<'_>],
    ) -> Result<(), ImportError> {
        let is_relative = servers.iter().any(Server::is_relative);
        let mut by_port: BTreeMap<u16, Vec<_>> = BTreeMap::new();
        for (bind, _) in &binds.plain {
            let port = if is_relative { bind.value.port() } else { 0 };
            by_port.entry(port).or_default().push(bind.clone());
        }
        for (port, binds) in by_port {
            self.server_count += servers.len();
            if self.server_count > MOST_SERVERS {
                let problem =
                    format!("more than {MOST_SERVERS} servers, counted for each frontend");
                return Err(ImportError::of_file(self.source.name, problem));
            }
            let found = servers.iter().map(|server| server.found(self.source, port));
            self.found.services.push(Service {
                binds,
                servers: found.collect::<Result<_, _>>()?,
                ..service.clone()
            });
        }
        Ok(())
    }

    fn max_connections(
        &self,
        front: &Proxy<'_>,
        binds: &Binds<'_>,
        ledger: &mut Ledger,
    ) -> Result<Option<At<u64>>, ImportError> {
        let set = front.settings.max_connections(self.source)?;
        if let Some(line) = front.settings.line("maxconn") {
            let limit = line.text(1);
            ledger.taken(
                line,
                format!("maxconn: \"max_connections\" of the listener is {limit}"),
            );
            if binds.plain.len() > 1 && set.is_some() {
                let text =
                    "the limit was one for all of a frontend's addresses; each listener has it now";
                ledger.advice(line, text);
            }
        }
        let own = binds.max_connections.clone();
        Ok(own.or(set.map(|(limit, _)| limit)))
    }
}

/// In which version the servers are sent a PROXY header, if all are sent the same.
fn proxy_protocol(servers: &[Server<'_>], ledger: &mut Ledger) -> Option<ProxyProtocol> {
    let first = servers.first()?.params.proxy_protocol;
    let mut others = servers
        .iter()
        .filter(|one| one.params.proxy_protocol != first);
    let Some(other) = others.next() else {
        return first;
    };
    let text = "the servers differ in send-proxy, and all replicas of a port are sent the same: no \
                header; have all of them expect the PROXY protocol's, and give the listeners \
                \"proxy_protocol\", or none";
    ledger.advice(other.line, text);
    None
}

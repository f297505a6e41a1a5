//! The stream block: its upstreams, maps and servers, as services.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::advice;
use super::directive::Directive;
use super::files::Files;
use super::main_context::StreamBlocks;
use super::map::{Map, Target};
use super::server::{self, Server};
use super::settings::Settings;
use super::token::Word;
use super::upstream::Upstream;
use super::upstream_server;
use crate::import::error::ImportError;
use crate::import::found::{At, Service};
use crate::import::note::{Notes, Place};

/// Reads what stands in stream blocks.
pub(super) struct Stream<'a, 'b> {
    files: &'b mut Files<'a>,
    notes: &'b mut Notes,
    settings: Settings,
    upstreams: BTreeMap<String, Group>,
    /// By the variable that they set.
    maps: BTreeMap<String, (Map, Use)>,
    server_blocks: Vec<Directive>,
    servers: usize,
}

/// An upstream, read when a server leads to it.
enum Group {
    Block(Directive),
    Read(Upstream),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Chooses,
    Nothing,
}

/// Makes services of the directives in the file's stream blocks.
///
/// # Errors
/// One can't be read.
pub(super) fn services(
    blocks: StreamBlocks,
    files: &mut Files<'_>,
    notes: &mut Notes,
) -> Result<Vec<Service>, ImportError> {
    let mut stream = Stream {
        files,
        notes,
        settings: Settings::default(),
        upstreams: BTreeMap::new(),
        maps: BTreeMap::new(),
        server_blocks: Vec::new(),
        servers: 0,
    };
    for directive in stream.files.expand(blocks.directives, stream.notes)? {
        stream.directive(directive)?;
    }
    let mut services = Vec::new();
    let mut own_settings = Vec::new();
    for block in std::mem::take(&mut stream.server_blocks) {
        let server = server::read(block, &stream.settings, stream.files, stream.notes)?;
        let Some(server) = server else { continue };
        own_settings.push(server.settings.clone());
        let found = stream.services_of(server)?;
        services.extend(found);
    }
    stream.settings.note_inherited(&own_settings, stream.notes);
    stream.note_unused();
    if let Some(place) = blocks.place {
        let upstreams = stream.upstreams.values().filter_map(|group| match group {
            Group::Read(upstream) => Some(upstream),
            Group::Block(_) => None,
        });
        advice::on_defaults(&services, upstreams, &place, stream.notes);
    }
    Ok(services)
}

impl Stream<'_, '_> {
    fn directive(&mut self, directive: Directive) -> Result<(), ImportError> {
        let name = directive.argument(0).map(str::to_owned);
        match (directive.name.text.as_str(), name) {
            ("server", _) => self.server_blocks.push(directive),
            ("upstream", Some(name)) => {
                if self.upstreams.contains_key(&name) {
                    let problem = format!("the upstream {name:?} is there twice; take one out");
                    return Err(self.files.error(&directive.name, problem));
                }
                self.upstreams.insert(name, Group::Block(directive));
            }
            ("map", Some(key)) => {
                let variable = directive.argument(1).unwrap_or_default();
                let variable = bare_variable(variable).to_owned();
                let block = directive;
                let replaced = self
                    .maps
                    .insert(variable, (Map { block, key }, Use::Nothing));
                if let Some((earlier, _)) = replaced {
                    let place = self.files.place_of(&earlier.block);
                    let text = format!("{}: a later map sets the same", earlier.block.shown());
                    self.notes.not_taken(&place, text);
                }
            }
            _ => {
                let taken = self.settings.take(&directive, self.files, self.notes)?;
                if taken.is_none() {
                    server::note_other(&directive, self.files, self.notes);
                }
            }
        }
        Ok(())
    }

    /// One service, or one for each place that its map leads to.
    fn services_of(&mut self, server: Server) -> Result<Vec<Service>, ImportError> {
        let target = &server.proxy_pass;
        if !target.text.contains('$') {
            let service = self.service(&server, target)?;
            return Ok(vec![service]);
        }
        let chosen = self.maps.get_mut(bare_variable(&target.text));
        let Some((map, used)) = chosen.filter(|(map, _)| map.is_by_server_name()) else {
            let reason = format!(
                "its server passes clients to {}, whose value is known for each connection only; a \
                 map of $ssl_preread_server_name could be read",
                target.text
            );
            let parts: BTreeSet<Place> = server.parts.iter().cloned().collect();
            self.notes.leave_out(&parts, &reason);
            return Ok(Vec::new());
        };
        *used = Use::Chooses;
        let map = map.clone();
        let targets = map.targets(self.files, self.notes)?;
        let place = self.files.place_of(&map.block);
        let shown = map.block.shown();
        self.notes.taken(
            &place,
            format!("{shown}: it says where clients are passed to"),
        );
        if targets.len() > 1 {
            self.notes.advice(
                &place,
                format!(
                    "{shown}: clients were passed on by the name they ask for; in this configuration \
                     all that connect are given to the same replicas: where they are several \
                     registries, write \"services\""
                ),
            );
        }
        let mut services = Vec::new();
        for target in targets {
            services.extend(self.service_of(&server, &target)?);
        }
        Ok(services)
    }

    /// The service for some names of a map.
    fn service_of(
        &mut self,
        server: &Server,
        target: &Target,
    ) -> Result<Option<Service>, ImportError> {
        let places = target
            .entries
            .iter()
            .map(|entry| self.files.place_of(entry));
        let places: Vec<_> = places.collect();
        if target.value.text.is_empty() {
            for (entry, place) in target.entries.iter().zip(&places) {
                let text = format!("{}: no client is turned away by its name", entry.name.text);
                self.notes.not_taken(place, text);
            }
            return Ok(None);
        }
        let mut service = self.service(server, &target.value)?;
        let hostname = target.hostname();
        for (entry, place) in target.entries.iter().zip(&places) {
            if hostname == Some(entry) {
                let name = &entry.name.text;
                self.notes.taken_as(place, "fqdn", &entry.shown(), name);
                service.fqdn = Some(At {
                    value: entry.name.text.clone(),
                    place: place.clone(),
                });
            } else {
                let text = format!(
                    "{}: whatever clients ask for, they are served",
                    entry.shown()
                );
                self.notes.taken(place, text);
            }
        }
        service.names = target.names();
        service.parts.extend(places);
        Ok(Some(service))
    }

    /// The service that passes a server's clients on to a target.
    fn service(&mut self, server: &Server, target: &Word) -> Result<Service, ImportError> {
        let upstream = self.upstream(target)?;
        self.servers += upstream.servers.len();
        if self.servers > MOST_SERVERS {
            let problem = format!("more than {MOST_SERVERS} servers in all; import a part of them");
            return Err(self.files.error(target, problem));
        }
        let (own, general) = (&server.settings, &self.settings);
        let connect = own
            .connect_timeout
            .as_ref()
            .or(general.connect_timeout.as_ref());
        let idle = own.idle_timeout.as_ref().or(general.idle_timeout.as_ref());
        let proxy_protocol = own
            .proxy_protocol
            .as_ref()
            .or(general.proxy_protocol.as_ref());
        Ok(Service {
            proxy_protocol: proxy_protocol.and_then(|one| one.value),
            fqdn: server.fqdn.clone(),
            names: server.fqdn.iter().map(|one| one.value.clone()).collect(),
            binds: server.binds.clone(),
            servers: upstream.servers,
            policy: upstream.policy,
            passive: upstream.passive,
            connect_timeout: connect.map(|one| one.time.clone()),
            idle_timeout: idle.map(|one| one.time.clone()),
            implied_idle_timeout: Some(PROXY_TIMEOUT),
            slow_start: upstream.slow_start,
            parts: server.parts.iter().cloned().chain(upstream.parts).collect(),
            ..Service::new(target.text.clone(), server.place.clone())
        })
    }

    fn upstream(&mut self, target: &Word) -> Result<Upstream, ImportError> {
        let upstream = match self.upstreams.remove(&target.text) {
            Some(Group::Read(upstream)) => upstream,
            Some(Group::Block(block)) => Upstream::read(block, self.files, self.notes)?,
            None => {
                let (host, port) = upstream_server::endpoint(target).map_err(|problem| {
                    let problem = match target.text.contains([':', '<', '$', '{']) {
                        true => problem,
                        false => format!("there is no upstream {:?} in this file", target.text),
                    };
                    self.files.error(target, problem)
                })?;
                let place = self.files.place(target.start);
                return Ok(Upstream::of_address(host, port, &place));
            }
        };
        let read = Group::Read(upstream.clone());
        self.upstreams.insert(target.text.clone(), read);
        Ok(upstream)
    }

    fn note_unused(&mut self) {
        for group in self.upstreams.values() {
            if let Group::Block(block) = group {
                let text = format!(
                    "{}: no server that is taken over leads to it",
                    block.shown()
                );
                self.notes.not_taken(&self.files.place_of(block), text);
            }
        }
        for (map, used) in self.maps.values() {
            if *used == Use::Nothing {
                let reason = match map.is_by_server_name() {
                    true => "it does not choose an upstream",
                    false => "only a map of $ssl_preread_server_name is read",
                };
                let text = format!("{}: {reason}", map.block.shown());
                self.notes.not_taken(&self.files.place_of(&map.block), text);
            }
        }
        if let Some(place) = &self.settings.proxy_ssl {
            let text = "proxy_ssl on: it encrypts what clients send; connections are passed through \
                        here as they are";
            self.notes.not_taken(place, text);
        }
    }
}

/// Without `$` and braces.
fn bare_variable(text: &str) -> &str {
    let text = text.strip_prefix('$').unwrap_or(text);
    let inside = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    inside.unwrap_or(text)
}

/// NGINX's default.
const PROXY_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Over all services: an upstream counts for each that leads to it.
const MOST_SERVERS: usize = 100_000;

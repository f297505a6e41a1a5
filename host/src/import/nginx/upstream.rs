//! Groups of servers.

use std::time::Duration;

use super::directive::Directive;
use super::files::Files;
use super::method;
use super::names;
use super::upstream_server::{self, UpstreamServer};
use crate::import::error::ImportError;
use crate::import::found::{At, Passive, Policy, Server};
use crate::import::note::{Notes, Place};

/// What a service needs to know of its upstream.
#[derive(Clone, Debug, Default)]
pub(super) struct Upstream {
    pub(super) servers: Vec<Server>,
    pub(super) policy: Option<At<Policy>>,
    pub(super) passive: Option<At<Passive>>,
    pub(super) slow_start: Option<At<Duration>>,
    /// All its lines.
    pub(super) parts: Vec<Place>,
    pub(super) zone: Zone,
}

/// Whether NGINX's workers share what they know of the servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Zone {
    Shared,
    #[default]
    OfEachWorker,
}

impl Upstream {
    /// The one server that `proxy_pass` names itself.
    pub(super) fn of_address(host: String, port: u16, place: &Place) -> Self {
        Upstream {
            servers: vec![Server {
                name: None,
                place: place.clone(),
                host,
                port,
                weight: 1,
                backup: false,
                in_maintenance: false,
                max_connections: None,
            }],
            parts: vec![place.clone()],
            // There is nothing to share.
            zone: Zone::Shared,
            ..Upstream::default()
        }
    }

    /// Reads an `upstream` block.
    pub(super) fn read(
        block: Directive,
        files: &mut Files<'_>,
        notes: &mut Notes,
    ) -> Result<Self, ImportError> {
        let place = files.place_of(&block);
        let text = format!("{}: its servers are replicas", block.shown());
        notes.taken(&place, text);
        let directives = files.expand(block.block.unwrap_or_default(), notes)?;
        let mut upstream = Upstream {
            parts: vec![place.clone()],
            ..Upstream::default()
        };
        for directive in directives {
            upstream.parts.push(files.place_of(&directive));
            match directive.name.text.as_str() {
                "server" => upstream.add(upstream_server::read(&directive, files)?, notes),
                "zone" => {
                    upstream.zone = Zone::Shared;
                    let text = "all workers share what they know of the replicas";
                    let place = files.place_of(&directive);
                    notes.taken(&place, format!("{}: {text}", directive.shown()));
                }
                "least_conn" | "least_time" | "random" | "hash" => {
                    upstream.policy = method::read(&directive, files, notes);
                }
                name => {
                    let reason = names::reason(name).unwrap_or("not known here");
                    let place = files.place_of(&directive);
                    notes.not_taken(&place, format!("{}: {reason}", directive.shown()));
                }
            }
        }
        Ok(upstream)
    }

    /// Takes a server in, and notes what of its parameters can't be.
    fn add(&mut self, read: UpstreamServer, notes: &mut Notes) {
        let place = &read.server.place;
        let port = read.server.port;
        notes.taken(
            place,
            format!("{}: a replica, reached on port {port}", read.shown),
        );
        for (parameter, reason) in &read.not_taken {
            notes.not_taken(place, format!("{parameter}: {reason}"));
        }
        if let Some(passive) = read.passive {
            match &self.passive {
                None => {
                    let value = passive;
                    let place = place.clone();
                    self.passive = Some(At { value, place });
                }
                Some(first) if first.value != passive => {
                    let text = format!(
                        "max_fails and fail_timeout: there is one \"passive\" for all replicas, and \
                         that of {} is taken",
                        first.place
                    );
                    notes.not_taken(place, text);
                }
                Some(_) => {}
            }
        }
        if let Some(value) = read.slow_start
            && self
                .slow_start
                .as_ref()
                .is_none_or(|first| first.value < value)
        {
            let place = place.clone();
            self.slow_start = Some(At { value, place });
        }
        self.servers.push(read.server);
    }
}

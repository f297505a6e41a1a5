//! What a stream says for all its servers, and each of them for itself.

use std::time::Duration;

use super::directive::Directive;
use super::files::Files;
use super::value::{self, Finest};
use crate::import::endpoint::template;
use crate::import::error::ImportError;
use crate::import::found::At;
use crate::import::note::{Notes, Place};
use crate::import::proxy_protocol::ProxyProtocol;
use crate::import::written;

/// Settings of one level.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) connect_timeout: Option<Setting>,
    pub(super) idle_timeout: Option<Setting>,
    /// Where it says that connections to servers are encrypted.
    pub(super) proxy_ssl: Option<Place>,
    /// In which version servers are sent a PROXY header, if at all; `None`: it does not say.
    pub(super) proxy_protocol: Option<At<Option<ProxyProtocol>>>,
}

/// A time, and how it is written.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) time: At<Duration>,
    shown: String,
}

impl Setting {
    fn note_taken(&self, field: &'static str, notes: &mut Notes) {
        let value = written::time(self.time.value);
        notes.taken_as(&self.time.place, field, &self.shown, &value);
    }
}

fn proxy_protocol_text(sent: Option<ProxyProtocol>) -> &'static str {
    match sent {
        Some(_) => "proxy_protocol on: \"proxy_protocol\" of the listeners is \"v1\"",
        None => "proxy_protocol off: that is the behaviour here",
    }
}

impl Settings {
    /// Takes in a directive that is one of them; one that can't be had is noted.
    /// `None`: it is another one.
    ///
    /// # Errors
    /// Its value can't be read, or it is there twice.
    pub(super) fn take(
        &mut self,
        directive: &Directive,
        files: &Files<'_>,
        notes: &mut Notes,
    ) -> Result<Option<()>, ImportError> {
        let setting = match directive.name.text.as_str() {
            "proxy_connect_timeout" => &mut self.connect_timeout,
            "proxy_timeout" => &mut self.idle_timeout,
            "proxy_protocol" => {
                let place = files.place_of(directive);
                let is_on = directive.argument(0) == Some("on");
                let value = is_on.then_some(ProxyProtocol::V1);
                self.proxy_protocol = Some(At { value, place });
                return Ok(Some(()));
            }
            "proxy_ssl" if directive.argument(0) == Some("on") => {
                self.proxy_ssl = Some(files.place_of(directive));
                return Ok(Some(()));
            }
            _ => return Ok(None),
        };
        let [word] = directive.arguments.as_slice() else {
            let problem = format!("{:?} takes one time, such as 30s", directive.name.text);
            return Err(files.error(&directive.name, problem));
        };
        if setting.is_some() {
            let problem = format!("{:?} is there twice; take one out", directive.name.text);
            return Err(files.error(&directive.name, problem));
        }
        let time = match template(&word.text) {
            Some(problem) => Err(problem),
            None => value::time(&word.text, Finest::Milliseconds),
        };
        let value = time.map_err(|problem| files.error(word, problem))?;
        let place = files.place_of(directive);
        if value.is_zero() {
            let text = format!(
                "{}: a time of 0 is not taken over, and the default is",
                directive.shown()
            );
            notes.not_taken(&place, text);
        } else {
            *setting = Some(Setting {
                time: At { value, place },
                shown: directive.shown(),
            });
        }
        Ok(Some(()))
    }

    /// Notes the times as taken over.
    pub(super) fn note_taken(&self, notes: &mut Notes) {
        for (setting, field) in self.times() {
            setting.note_taken(field, notes);
        }
        if let Some(At { value, place }) = &self.proxy_protocol {
            notes.taken(place, proxy_protocol_text(*value));
        }
    }

    /// Notes those times of the level above as taken over that a server has none of
    /// its own for, and the others as not.
    pub(super) fn note_inherited(&self, servers: &[Settings], notes: &mut Notes) {
        for (setting, field) in self.times() {
            let is_inherited = servers.iter().any(|server| {
                let own = server.times();
                own.into_iter().all(|(_, own_field)| own_field != field)
            });
            if is_inherited {
                setting.note_taken(field, notes);
            } else {
                let text = format!("{}: no server goes by it", setting.shown);
                notes.not_taken(&setting.time.place, text);
            }
        }
        if let Some(At { value, place }) = &self.proxy_protocol {
            let goes_by_it = |server: &Settings| server.proxy_protocol.is_none();
            match servers.iter().any(goes_by_it) {
                true => notes.taken(place, proxy_protocol_text(*value)),
                false => notes.not_taken(place, "proxy_protocol: no server goes by it"),
            }
        }
    }

    fn times(&self) -> Vec<(&Setting, &'static str)> {
        let connect = self
            .connect_timeout
            .iter()
            .map(|one| (one, "connect_timeout"));
        let idle = self.idle_timeout.iter().map(|one| (one, "idle_timeout"));
        connect.chain(idle).collect()
    }
}

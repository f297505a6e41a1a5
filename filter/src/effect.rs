//! What goes into the balancer, and what comes out of it.

use crate::balance::listener::ListenerId;
use crate::balance::stream::{Blame, StreamId, UpstreamOutcome};
use crate::compare::{InspectionId, InspectionRequest};
use crate::contract::LogLine;
use crate::health::probe_request::{ProbeId, ProbeRequest};
use crate::health::probe_response::ProbeResponse;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<'a> {
    /// Time went by.
    Tick,
    /// A probe was answered, by the replica or in its stead.
    Answered(ProbeId, ProbeResponse),
    /// A probe could not even be sent.
    NotSent(ProbeId),
    /// A replica answered an inspection with these headers, in lower case; none: it did
    /// not, or could not even be asked.
    Inspected(InspectionId, Vec<(&'static str, String)>),
    /// A connection of a listener is open at this replica, by name, since before this
    /// VM started: the one before it failed.
    Adopted(StreamId, ListenerId, &'a str),
    /// How far a connection has got upstream.
    Located(StreamId, UpstreamOutcome<'a>),
    /// This replica, by name, ended a connection before its first byte. The host may
    /// take it to another.
    LeftUnserved(StreamId, &'a str, Blame),
    /// The route a connection was given could not be set: the proxy chooses.
    NotSteered(StreamId),
    /// A connection is over; how far it got in the end.
    Closed(StreamId, UpstreamOutcome<'a>),
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a probe.
    Probe(ProbeRequest),
    /// Ask a replica for what is compared.
    Inspect(InspectionRequest),
    /// Find out how far a connection has got upstream.
    Locate(StreamId),
    /// Close a connection: its replica turned unhealthy.
    Close(StreamId),
    /// Write to the log, perhaps with fields: see [`LogLine`].
    Log(Level, String),
    /// Report to the host's metrics.
    Report(Report),
}

/// How much the operator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warn,
    /// Clients are turned away.
    Error,
}

/// A change of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How `value` is meant.
    pub kind: MetricKind,
    /// The metric's name.
    pub name: String,
    /// What to add to a counter (0: only make it known), to set a gauge to, or to count
    /// in a histogram.
    pub value: u64,
}

/// The kinds of metrics there are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only ever grows.
    Counter,
    /// Shows what is now.
    Gauge,
    /// Counts values by size.
    Histogram,
}

/// Something that is in the log, and to be shown; it has no time yet.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub(crate) level: Level,
    pub(crate) text: String,
    /// Who asked for it; empty: nobody did.
    pub(crate) client: String,
}

/// Effects that wait to be carried out, in order.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    waiting: VecDeque<Effect>,
    /// Lines of the log that are to be shown as well, until they are left for all VMs: at the next
    /// tick at the latest.
    events: Vec<NewEvent>,
}

impl Effects {
    pub(crate) fn push(&mut self, effect: Effect) {
        self.waiting.push_back(effect);
    }

    pub(crate) fn pop(&mut self) -> Option<Effect> {
        self.waiting.pop_front()
    }

    pub(crate) fn log(&mut self, level: Level, text: String) {
        self.push(Effect::Log(level, text));
    }

    pub(crate) fn log_line(&mut self, level: Level, line: LogLine) {
        self.log(level, line.into_string());
    }

    /// Logs a line that is also one of the last events, see [`Effects::take_events`].
    pub(crate) fn log_event(&mut self, level: Level, line: LogLine) {
        self.events.push(NewEvent {
            level,
            text: line.text().to_owned(),
            client: line.client().to_owned(),
        });
        self.log_line(level, line);
    }

    /// What has happened since this was last called.
    pub(crate) fn take_events(&mut self) -> Vec<NewEvent> {
        std::mem::take(&mut self.events)
    }

    /// Makes a counter known, so that it shows as 0 before anything happened.
    pub(crate) fn declare(&mut self, name: String) {
        self.report(MetricKind::Counter, name, 0);
    }

    /// Adds to a counter; nothing when there is nothing to add.
    pub(crate) fn count(&mut self, name: String, value: u64) {
        if value > 0 {
            self.report(MetricKind::Counter, name, value);
        }
    }

    pub(crate) fn gauge(&mut self, name: String, value: u64) {
        self.report(MetricKind::Gauge, name, value);
    }

    pub(crate) fn record(&mut self, name: String, value: u64) {
        self.report(MetricKind::Histogram, name, value);
    }

    fn report(&mut self, kind: MetricKind, name: String, value: u64) {
        self.push(Effect::Report(Report { kind, name, value }));
    }
}

//! The record of all callbacks and host function calls.

mod argument;
pub(crate) mod callback;
pub(crate) mod decode;
pub(crate) mod explain;
mod parameters;

use std::fmt;
use std::time::Duration;

use proxy_wasm_engine::ContextId;

use proxy_wasm_engine::Status;

pub use argument::Argument;

/// All callbacks and host function calls, oldest first, with arguments as text.
///
/// It prints one line per host function and callback, and is what a failed
/// assertion shows.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    entries: Vec<Entry>,
    forgotten: usize,
}

impl Transcript {
    /// Everything in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Calls the guest made of one host function, such as `proxy_http_call`.
    pub fn hostcalls<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a HostcallRecord> + 'a {
        self.entries
            .iter()
            .filter_map(move |entry| match &entry.kind {
                EntryKind::Hostcall(call) if call.name == name => Some(call),
                _ => None,
            })
    }

    /// Names of the callbacks that ran, in order, allocators left out.
    pub fn callbacks(&self) -> Vec<&str> {
        let names = self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::Callback { name, .. } => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// Names of the callbacks that ran for one context, in order.
    pub fn callbacks_of(&self, wanted: ContextId) -> Vec<&str> {
        let names = self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::Callback { name, context, .. } if *context == wanted => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// The last `lines` lines.
    pub fn last(&self, lines: usize) -> Transcript {
        let from = self.entries.len().saturating_sub(lines);
        Transcript {
            entries: self.entries[from..].to_vec(),
            forgotten: self.forgotten + from,
        }
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        if self.entries.len() == MOST {
            self.entries.drain(..MOST / 2);
            self.forgotten += MOST / 2;
        }
        self.entries.push(entry);
    }
}

/// One line of a [`Transcript`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Time since the kit started.
    pub at: Duration,
    /// Which worker, counted from 0.
    pub worker: usize,
    /// What happened.
    pub kind: EntryKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EntryKind {
    /// The host called the guest.
    Callback {
        /// Such as `proxy_on_tick`.
        name: String,
        /// For which context.
        context: ContextId,
        /// Its further arguments.
        arguments: Vec<Argument>,
    },
    /// A callback ended.
    Returned {
        /// Such as `proxy_on_tick`.
        name: String,
        /// As text, `None` if it returns nothing; or why it trapped.
        outcome: Result<Option<String>, String>,
    },
    /// The guest called the host.
    Hostcall(HostcallRecord),
    /// The kit did something: moved time, opened a connection, answered a call.
    Kit(String),
}

/// A call of a host function.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HostcallRecord {
    /// Such as `proxy_http_call`.
    pub name: String,
    /// The context it belongs to.
    pub context: ContextId,
    /// What the guest gave.
    pub arguments: Vec<Argument>,
    /// What the guest got beside the status.
    pub results: Vec<Argument>,
    /// `None`: it returns nothing, or ended the VM.
    pub status: Option<Status>,
    /// Whether a [`Fault`](crate::Fault) answered instead of the host.
    pub fault: bool,
}

impl HostcallRecord {
    /// The argument of this name, as text.
    pub fn argument(&self, name: &str) -> Option<&str> {
        let found = self.arguments.iter().find(|argument| argument.name == name);
        found.map(|argument| argument.value.as_str())
    }
}

impl fmt::Display for HostcallRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, List(&self.arguments))?;
        match self.status {
            Some(status) => write!(f, " -> {status}")?,
            None => write!(f, " -> nothing")?,
        }
        if !self.results.is_empty() {
            write!(f, " {}", List(&self.results))?;
        }
        if self.fault {
            write!(f, "   (fault injected by the test)")?;
        }
        Ok(())
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.forgotten > 0 {
            writeln!(f, "({} earlier lines left out)", self.forgotten)?;
        }
        let several = self.entries.iter().any(|entry| entry.worker > 0);
        let mut inside = false;
        for entry in &self.entries {
            write!(f, "{:>9.3}s ", entry.at.as_secs_f64())?;
            if several {
                write!(f, "worker {} ", entry.worker)?;
            }
            match &entry.kind {
                EntryKind::Kit(note) => writeln!(f, "· {note}")?,
                EntryKind::Callback {
                    name,
                    context,
                    arguments,
                } => {
                    inside = true;
                    writeln!(f, "#{} {name}({})", context.0, List(arguments))?;
                }
                EntryKind::Returned { outcome, .. } => {
                    inside = false;
                    match outcome {
                        Ok(Some(value)) => writeln!(f, "     = {value}")?,
                        Ok(None) => writeln!(f, "     .")?,
                        Err(why) => writeln!(f, "     ! {why}")?,
                    }
                }
                EntryKind::Hostcall(call) => {
                    let indent = if inside { "    " } else { "" };
                    writeln!(f, "{indent}#{} {call}", call.context.0)?;
                }
            }
        }
        Ok(())
    }
}

struct List<'a>(&'a [Argument]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, argument) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            argument.fmt(f)?;
        }
        Ok(())
    }
}

/// More lines than this are not kept: a test that needs them would be unreadable.
const MOST: usize = 20_000;

//! Clients: new connections at a given rate, started by the clock and not by the
//! end of others, every byte of theirs compared.

mod client;
mod generator;
mod record;

pub(crate) use client::{Client, Request, tls_trusting};
pub(crate) use generator::{Demand, Generator, Load, Mix};
pub(crate) use record::{Outcome, Record};

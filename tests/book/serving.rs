//! What the machine's balancer does for its clients, as a client on the machine sees it.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::machine::Machine;
use crate::running::until;

/// Waits until a client of the balancer is answered by a replica.
///
/// # Errors
/// When none is.
pub(crate) fn serves(machine: &Machine) -> Result<()> {
    until("a replica's response through the balancer", || {
        let response = machine.script(ASK)?;
        let is_of_replica = response.contains("\nx-replica: r");
        is_of_replica.then_some(()).context(response)
    })
}

/// Waits until the balancer has found out of each replica how it is.
///
/// # Errors
/// When it does not, or sees another number of them gone.
pub(crate) fn sees_replicas(machine: &Machine, gone: usize) -> Result<()> {
    until("what the balancer sees of its replicas", || {
        let status: Value = serde_json::from_str(&machine.script(STATUS)?)?;
        let replicas = status["replicas"].as_array().context("no replicas")?;
        let are = |state: &str| replicas.iter().filter(|it| it["state"] == state).count();
        let is_so = are("unhealthy") == gone && are("healthy") == replicas.len() - gone;
        is_so.then_some(()).with_context(|| status.to_string())
    })
}

/// The second is where `dtr-lb demo` listens.
const ASK: &str = "curl -sSi --max-time 2 https://dtr.example.com/_ping \
     || curl -sSik --max-time 2 https://127.0.0.1:8443/_ping";
const STATUS: &str = "curl -sS --max-time 2 http://127.0.0.1:8181/status";

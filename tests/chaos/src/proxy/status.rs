//! What `/status` says of a replica.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;

use super::http;
use crate::event::Sight;

/// What the balancer knows of one replica.
#[derive(Debug)]
pub(super) struct ReplicaStatus {
    state: String,
    /// Of all its checks, ever.
    failed_probes: u64,
}

impl ReplicaStatus {
    /// As the balancer's pages have it.
    ///
    /// # Errors
    /// When they are not answered, or don't name it.
    pub(super) async fn of(admin: SocketAddr, replica: &str) -> Result<Self> {
        let answer = http::get(admin, "/status").await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
        let status: Value = serde_json::from_str(body).context("no JSON")?;
        let all = status["replicas"].as_array();
        let one = all.and_then(|all| all.iter().find(|one| one["name"] == replica));
        let one = one.with_context(|| format!("no {replica} in /status"))?;
        let checks = one["checks"].as_array().into_iter().flatten();
        Ok(Self {
            state: one["state"].as_str().context("no state")?.to_owned(),
            failed_probes: checks.filter_map(|check| check["bad"].as_u64()).sum(),
        })
    }

    pub(super) fn shows(&self, sight: Sight) -> bool {
        match sight {
            Sight::Healthy => self.state == "healthy",
            Sight::Unhealthy => self.state == "unhealthy",
            Sight::FailedProbe => self.failed_probes > 0,
        }
    }
}

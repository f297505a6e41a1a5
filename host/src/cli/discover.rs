//! Which replicas DNS has, for commands that ask once.

use std::time::Duration;

use anyhow::Context;
use dtr_lb::config::{ConfigFile, ConfigWarning};

use super::failure::Failure;

/// The configuration with the replicas that its names stand for now, and a warning for each
/// name without an answer.
///
/// # Errors
/// The system gives no runtime.
pub(super) fn once(file: ConfigFile) -> Result<(ConfigFile, Vec<ConfigWarning>), Failure> {
    if !file.discovers() {
        return Ok((file, Vec::new()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    Ok(runtime.block_on(dtr_lb::discover(&file, LIMIT)))
}

const LIMIT: Duration = Duration::from_secs(5);

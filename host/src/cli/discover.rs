//! Which replicas DNS has, for commands that ask once.

use std::time::Duration;

use anyhow::Context;
use dtr_lb::Discovered;
use dtr_lb::config::ConfigFile;

use super::failure::Failure;

/// The configuration with the replicas that its names stand for now.
///
/// # Errors
/// The system gives no runtime.
pub(super) fn once(file: ConfigFile) -> Result<Discovered, Failure> {
    if !file.discovers() {
        return Ok(Discovered {
            file,
            unanswered: Vec::new(),
            warnings: Vec::new(),
            incomplete: Vec::new(),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    Ok(runtime.block_on(dtr_lb::discover(&file, LIMIT)))
}

const LIMIT: Duration = Duration::from_secs(5);

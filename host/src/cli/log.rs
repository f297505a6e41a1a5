//! The log on standard error.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::failure::Failure;

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// Starts the log.
pub(super) fn start(format: Format) -> Result<(), Failure> {
    let level = std::env::var(LEVEL).unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(&level).map_err(|_| {
        Failure::Usage(anyhow::anyhow!(
            r#"{LEVEL} is {level:?}; expected error, warn, info or debug, or by part, as in "info,dtr_lb=debug""#
        ))
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        Format::Text => log.init(),
        Format::Json => log.json().init(),
    }
    Ok(())
}

const LEVEL: &str = "DTR_LB_LOG";

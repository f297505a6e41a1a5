//! The log on standard error.

mod access_line;
mod level;
mod standard_error;
mod writer;

use std::env::VarError;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::ValueEnum;
use tracing::warn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use super::failure::Failure;
use super::panic_hook;
use access_line::AccessLines;
use standard_error::StandardError;
use writer::LogWriter;

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// The log of the process. Dropped, it waits a short while for its last lines to be
/// written.
pub(crate) struct Log(LogWriter);

impl Log {
    /// What is printed can be written from now on; nothing is logged yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn new() -> io::Result<Log> {
        let say_dropped = |lines| {
            warn!("{lines} log lines were dropped: standard error took no more");
        };
        LogWriter::start(StandardError, QUEUE, say_dropped).map(Log)
    }

    /// Has everything logged that `DTR_LB_LOG` asks for, panics included.
    ///
    /// # Errors
    /// When the variable is wrong.
    pub(super) fn start(&self, format: Format) -> Result<(), Failure> {
        let asked = match std::env::var(LEVEL) {
            Err(VarError::NotPresent) => Ok(String::new()),
            Ok(text) => Ok(text),
            Err(VarError::NotUnicode(text)) => Err(text),
        };
        let wrong = |is: &dyn std::fmt::Debug, problem: &str| {
            let forms = level::FORMS;
            Failure::Usage(anyhow::anyhow!(
                "{LEVEL} is {is:?}: {problem}; expected {forms}"
            ))
        };
        let asked = asked.map_err(|text| wrong(&text, "it is not text"))?;
        let targets = level::parse(&asked).map_err(|problem| wrong(&asked, &problem))?;
        let writer = self.0.clone();
        let lines = fmt::layer()
            .with_writer(move || writer.clone())
            .with_ansi(io::stderr().is_terminal())
            // They would be printed, which may block and panic.
            .log_internal_errors(false);
        let lines = match format {
            Format::Text => lines.map_event_format(AccessLines).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        registry().with(lines).with(targets).init();
        panic_hook::install();
        Ok(())
    }

    /// Writes a line as it stands.
    pub(crate) fn print(&self, line: &str) {
        // It takes everything.
        let _ = self.0.clone().write_all(format!("{line}\n").as_bytes());
    }

    /// How many lines were dropped so far.
    pub(super) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(self.0.dropped())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush(LAST_LINES);
    }
}

const LEVEL: &str = "DTR_LB_LOG";
/// Bytes that may wait to be written: about 20,000 lines of the access log.
const QUEUE: usize = 4 << 20;
/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

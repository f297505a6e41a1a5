//! The log of the process.

mod access_line;
mod datagrams;
mod descriptor;
mod destination;
mod file;
mod journald;
mod level;
mod line_format;
mod output;
mod syslog;
mod writer;

use std::env::VarError;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use clap::{Args, ValueHint};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Metadata, error, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::OptionalWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use super::failure::Failure;
use super::panic_hook;
use descriptor::Descriptor;
use destination::Destination;
use level::Part;
use line_format::{FormatName, LineFormat, LineFormats};
use output::Stream;
use writer::{LogWriter, Report};

/// What is logged where.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Format of the log. The variable DTR_LB_LOG sets its level: off, error, warn, info,
    /// debug or trace, or by part, as in "info,dtr_lb=debug".
    #[arg(
        long,
        value_name = "FORMAT",
        global = true,
        value_enum,
        default_value_t,
        display_order = LAST
    )]
    log_format: FormatName,
    /// Where the log goes: stderr, syslog, journald, off, or a file, which SIGHUP has
    /// `dtr-lb run` open anew.
    #[arg(
        long,
        value_name = "WHERE",
        global = true,
        default_value = "stderr",
        value_hint = ValueHint::FilePath,
        display_order = LAST
    )]
    log_to: Destination,
    /// Where the access log goes, a line for each connection [default: where the log goes].
    #[arg(
        long,
        value_name = "WHERE",
        global = true,
        value_hint = ValueHint::FilePath,
        display_order = LAST
    )]
    access_log_to: Option<Destination>,
}

/// The log of the process. Dropped, it waits a short while for its last lines to be
/// written.
pub(crate) struct Log {
    stderr: LogWriter,
    dropped: Arc<AtomicU64>,
    /// `None`: there is none, or not yet.
    log: Option<LogWriter>,
    access: Option<LogWriter>,
}

impl Log {
    /// What is printed can be written from now on; nothing is logged yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn new() -> io::Result<Log> {
        let dropped = Arc::default();
        let report = |report| {
            if let Report::Dropped(lines) = report {
                warn!("{lines} log lines were dropped: standard error took no more");
            }
        };
        let stderr = Box::new(Stream::new(Descriptor(io::stderr())));
        Ok(Log {
            stderr: LogWriter::start(stderr, QUEUE, Arc::clone(&dropped), report)?,
            dropped,
            log: None,
            access: None,
        })
    }

    /// Has everything logged that `DTR_LB_LOG` asks for, panics included.
    ///
    /// # Errors
    /// When the variable is wrong, or a file can't be opened.
    pub(super) fn start(&mut self, args: &LogArgs) -> Result<(), Failure> {
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
        let (log_to, access_to) = (&args.log_to, args.access_log_to.as_ref());
        self.log = self.open(log_to)?;
        self.access = match access_to {
            Some(other) if other != log_to => self.open(other)?,
            _ => self.log.clone(),
        };
        let format = |to| LineFormat::of(args.log_format, to);
        let lines = fmt::layer()
            .with_writer(Writers {
                log: self.log.clone(),
                access: self.access.clone(),
            })
            .with_ansi(io::stderr().is_terminal())
            // They would be printed, which may block and panic.
            .log_internal_errors(false)
            .event_format(LineFormats {
                log: format(log_to),
                access: format(access_to.unwrap_or(log_to)),
            });
        let targets = match (&self.log, &self.access) {
            (Some(_), Some(_)) => targets,
            (Some(_), None) => level::only(&targets, Part::Log),
            (None, Some(_)) => level::only(&targets, Part::Access),
            (None, None) => Targets::new(),
        };
        registry().with(lines).with(targets).init();
        panic_hook::install();
        Ok(())
    }

    /// Writes a line as it stands to standard error.
    pub(crate) fn print(&self, line: &str) {
        self.stderr.print(line);
    }

    /// Says why the command failed: on standard error, and in a log that is elsewhere.
    pub(crate) fn fail(&self, failure: &Failure) {
        let lines = failure.lines();
        for line in &lines {
            self.print(line);
        }
        let is_elsewhere = self.log.as_ref().is_some_and(|log| !log.is(&self.stderr));
        if is_elsewhere && !lines.is_empty() {
            error!("{failure}");
        }
    }

    /// How many lines were dropped so far.
    pub(super) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Has files opened anew at each SIGHUP, whatever else comes of it.
    ///
    /// # Errors
    /// When the signal can't be awaited.
    pub(super) fn reopen_on_hang_up(&self) -> io::Result<impl Future<Output = ()> + 'static> {
        let mut hang_up = signal(SignalKind::hangup())?;
        let writers = [self.log.clone(), self.access.clone()];
        Ok(async move {
            while hang_up.recv().await.is_some() {
                for writer in writers.iter().flatten() {
                    writer.reopen();
                }
            }
        })
    }

    fn open(&self, to: &Destination) -> Result<Option<LogWriter>, Failure> {
        if *to == Destination::StandardError {
            return Ok(Some(self.stderr.clone()));
        }
        let out = to.open().map_err(|error| {
            Failure::Usage(anyhow::anyhow!(
                "the log can't be written to {to}: {error}; name a file that this user may \
                 write, in a folder that is there"
            ))
        })?;
        let Some(out) = out else {
            return Ok(None);
        };
        let (stderr, to) = (self.stderr.clone(), to.clone());
        let report = move |report| match report {
            Report::Dropped(lines) => warn!("{lines} log lines were dropped: {to} took no more"),
            Report::Failing(error) => stderr.print(&format!(
                "error: {to} takes no log lines: {error}; they are dropped until it does"
            )),
            Report::NotReopened(error) => {
                let text = format!(
                    "the log's file {to} can't be opened anew: {error}; the log goes on in \
                     the one before it"
                );
                stderr.print(&format!("error: {text}"));
                error!("{text}");
            }
        };
        let started = LogWriter::start(out, QUEUE, self.dropped(), report);
        let no_thread = |error| anyhow::anyhow!("no thread for the log: {error}");
        Ok(Some(started.map_err(no_thread)?))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let end = Instant::now() + LAST_LINES;
        let others = [&self.log, &self.access].into_iter().flatten();
        for writer in others.chain([&self.stderr]) {
            writer.flush(end.saturating_duration_since(Instant::now()));
        }
    }
}

/// Writes an event to the log, or to the access log.
struct Writers {
    log: Option<LogWriter>,
    access: Option<LogWriter>,
}

impl<'a> MakeWriter<'a> for Writers {
    type Writer = OptionalWriter<LogWriter>;

    fn make_writer(&'a self) -> Self::Writer {
        optional(self.log.as_ref())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        match metadata.target() {
            access_line::TARGET => optional(self.access.as_ref()),
            _ => self.make_writer(),
        }
    }
}

fn optional(writer: Option<&LogWriter>) -> OptionalWriter<LogWriter> {
    writer.map_or_else(OptionalWriter::none, |it| OptionalWriter::some(it.clone()))
}

/// Where help shows an option of all commands: after each command's own.
const LAST: usize = 998;
const LEVEL: &str = "DTR_LB_LOG";
/// Bytes that may wait to be written: about 20,000 lines of the access log.
const QUEUE: usize = 4 << 20;
/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

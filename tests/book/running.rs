//! A command that goes on, and waiting for what it does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{Command, Kind};

/// A command that goes on.
pub(crate) struct Running {
    text: String,
    kind: Kind,
    process: Child,
    output: PathBuf,
}

impl Running {
    /// Starts the program of a command, which prints to a file.
    ///
    /// # Errors
    /// When it can't be run.
    pub(crate) fn start(mut program: Process, command: &Command, output: &Path) -> Result<Self> {
        Ok(Self {
            text: command.text.clone(),
            kind: command.kind(),
            process: program.spawn()?,
            output: output.to_owned(),
        })
    }

    /// Whether it has clients.
    pub(crate) fn is_balancer(&self) -> bool {
        self.kind == Kind::Serves
    }

    /// Ends it, as a supervisor does or who has seen enough.
    ///
    /// # Errors
    /// When it does not end well, or has ended before.
    pub(crate) fn end(mut self) -> Result<()> {
        let signal = if self.is_balancer() {
            libc::SIGTERM
        } else {
            libc::SIGINT
        };
        let before = self.process.try_wait()?;
        // SAFETY: a bare system call that takes no memory; nobody has waited for the child.
        if before.is_none() && unsafe { libc::kill(self.process.id().try_into()?, signal) } != 0 {
            return Err(io::Error::last_os_error()).context("its end");
        }
        let ended = until("its end", || self.process.try_wait()?.context("it goes on"));
        let printed = fs::read_to_string(&self.output).unwrap_or_default();
        println!("{}, until its end:\n{printed}", self.text);
        let status = ended.with_context(|| self.text.clone())?;
        if before.is_some() || !status.success() {
            bail!("{}: {status}", self.text);
        }
        Ok(())
    }
}

/// Looks again and again until there is what is waited for.
///
/// # Errors
/// When it does not come, with what was there instead.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(last) if began.elapsed() > LIMIT => {
                return Err(last.context(format!("waited {LIMIT:?} for {what}")));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Generous: only a page that is wrong waits so long.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

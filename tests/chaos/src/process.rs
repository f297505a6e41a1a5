//! Processes, and what they hold of the machine.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A child that ends with this value, its own children with it.
pub(crate) struct Process {
    name: String,
    child: Child,
    id: i32,
}

impl Process {
    /// Starts one.
    ///
    /// # Errors
    /// When it can't be run.
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Self> {
        // SAFETY: between fork and exec only prctl is called, a bare system call
        // that takes no memory and no lock.
        unsafe {
            command.pre_exec(|| {
                // A parent that is killed runs no destructor.
                match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            });
        }
        let child = command
            .spawn()
            .with_context(|| format!("can't run {name}: {command:?}"))?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .context("ended at once")?;
        Ok(Self {
            name: name.to_owned(),
            child,
            id,
        })
    }

    /// Its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its number.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn signal(&self, signal: i32) -> Result<()> {
        // SAFETY: a system call that takes no memory; the process is our own child,
        // not waited for yet, so its number is still its own.
        match unsafe { libc::kill(self.id, signal) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error())
                .with_context(|| format!("signal {signal} to {}", self.name)),
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it goes on.
    pub(crate) async fn ends(&mut self) -> Result<ExitStatus> {
        let ended = timeout(LIMIT, self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} goes on", self.name))??)
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// When the system does not let it.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            for one in family(self.id) {
                // SAFETY: a system call that takes no memory; a process of ours.
                unsafe { libc::kill(one, libc::SIGKILL) };
            }
            let _ = self.child.start_kill();
        }
    }
}

/// What a process and its children hold.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// Resident memory, in KiB.
    pub(crate) memory: u64,
    /// But pipes.
    pub(crate) descriptors: u64,
    /// Ends of pipes, which may be kept for the next connection.
    pub(crate) pipes: u64,
    pub(crate) threads: u64,
}

impl Holdings {
    /// Of this process now; nothing when it has ended.
    pub(crate) fn of(process: i32) -> Self {
        let mut whole = Self::default();
        for one in family(process) {
            let folder = Path::new("/proc").join(one.to_string());
            let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
                number.unwrap_or(0)
            };
            whole.memory += field("VmRSS:");
            whole.threads += field("Threads:");
            for one in fs::read_dir(folder.join("fd"))
                .into_iter()
                .flatten()
                .flatten()
            {
                let is = fs::read_link(one.path()).unwrap_or_default();
                if is.as_os_str().as_encoded_bytes().starts_with(b"pipe:") {
                    whole.pipes += 1;
                } else {
                    whole.descriptors += 1;
                }
            }
        }
        whole
    }
}

/// A process and all below it.
pub(crate) fn family(process: i32) -> Vec<i32> {
    let mut all = vec![process];
    let mut next = 0;
    while let Some(one) = all.get(next) {
        let tasks = fs::read_dir(format!("/proc/{one}/task"))
            .into_iter()
            .flatten()
            .flatten();
        let mut below = Vec::new();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            below.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<i32>().ok()),
            );
        }
        all.extend(below);
        next += 1;
    }
    all
}

/// This program, to be started once more.
pub(crate) fn this_program() -> Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

/// How long anything may take that should happen by itself.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

//! A new process goes on in the place of this one: the binary is upgraded.

mod family;
mod program;
mod started;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dtr_lb::config::ConfigFile;
use dtr_lb::{Candidate, TakeoverListener};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config_args::ConfigArgs;
pub(super) use family::Family;
use family::{is_init, is_member};
use program::Program;
use started::Started;

/// What waits for the process that takes this one's place, and may start it.
pub(super) struct Upgrade {
    program: Program,
    listener: Option<TakeoverListener>,
    started: Option<Started>,
    child_ends: Signal,
}

impl Upgrade {
    pub(super) fn new() -> Result<Upgrade, anyhow::Error> {
        Ok(Upgrade {
            program: Program::this()?,
            listener: None,
            started: None,
            child_ends: signal(SignalKind::child())?,
        })
    }

    /// Waits from now on where the configuration has it.
    ///
    /// # Errors
    /// When that can't be. What waited before goes on.
    pub(super) async fn listen(&mut self, config: &ConfigFile) -> Result<(), anyhow::Error> {
        let path = socket_of(config);
        if path.as_deref() != self.listener.as_ref().map(TakeoverListener::path) {
            self.listener = match path {
                Some(path) => Some(TakeoverListener::bind(&path).await?),
                None => None,
            };
        }
        Ok(())
    }

    /// Starts the program that is on disk now, to take this process's place.
    pub(super) fn start(&mut self, config_args: &ConfigArgs) {
        let Some(listener) = &self.listener else {
            tracing::error!(
                "SIGUSR2: no process can take over: there is no socket for it; give a \
                 \"takeover_socket\", or set RUNTIME_DIRECTORY"
            );
            return;
        };
        if config_args.is_standard_input() {
            tracing::error!(
                "SIGUSR2: no process can take over: a configuration from standard input can't \
                 be read again; give a file"
            );
            return;
        }
        if self.started.is_some() {
            tracing::warn!("SIGUSR2: a new process is being started already; nothing is done");
            return;
        }
        let program = &self.program;
        match program.start(listener.path()) {
            Ok(child) => {
                tracing::info!(
                    "SIGUSR2: process {} ({program}) is to take over",
                    child.id()
                );
                self.started = Some(Started::new(child));
            }
            Err(error) => {
                tracing::error!(
                    "SIGUSR2: {program} can't be started: {error}; this process goes on"
                );
            }
        }
    }

    /// The next process that wants to take over. One that was started and ended, or hangs,
    /// is logged.
    pub(super) async fn next(&mut self) -> Candidate {
        loop {
            let (listener, started) = (&self.listener, &mut self.started);
            let candidate = async {
                match listener {
                    Some(listener) => listener.next().await,
                    None => std::future::pending().await,
                }
            };
            let gone = async {
                match started {
                    Some(started) => started.gone(&mut self.child_ends).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                candidate = candidate => return candidate,
                () = gone => self.started = None,
            }
        }
    }

    /// Why a candidate can't take over, whatever it is.
    pub(super) fn objection(&self, candidate: &Candidate) -> Option<&'static str> {
        let process = candidate.process()?;
        let is_child = self.started.as_ref().is_some_and(|it| it.is(process));
        (is_member() && !is_child).then_some(
            "the container ends with process 1, which would not wait for another's process; \
             send process 1 SIGUSR2, or take over from another container",
        )
    }

    /// Refuses every process that comes while another takes over.
    pub(super) async fn refuse_others(&self) {
        match &self.listener {
            Some(listener) => match listener.refuse_all("another process is taking over").await {},
            None => std::future::pending().await,
        }
    }

    /// A candidate did not come to accept: if it was started here it is ended.
    pub(super) fn failed(&mut self, process: Option<i32>) {
        let started = self.started.as_mut();
        if let Some(started) = started.filter(|it| process.is_some_and(|one| it.is(one))) {
            started.end();
        }
    }

    /// What this process has to care for once it has been taken over.
    pub(super) fn finish(self) -> Option<Family> {
        // The file is the other's by now.
        drop(self.listener);
        let started = self.started.filter(|_| is_init())?;
        Some(Family::of(started.process()?, self.child_ends))
    }
}

/// Where a configuration has a process wait for the one that takes its place.
pub(super) fn socket_of(config: &ConfigFile) -> Option<PathBuf> {
    let configured = config.takeover_socket().map(Path::to_owned);
    configured.or_else(|| in_runtime_directory(std::env::var_os("RUNTIME_DIRECTORY")))
}

/// systemd sets it; of several folders the first is taken.
fn in_runtime_directory(folders: Option<OsString>) -> Option<PathBuf> {
    let folder = std::env::split_paths(&folders?).next()?;
    (!folder.as_os_str().is_empty()).then(|| folder.join("takeover.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_runtime_directory_has_the_socket() {
        let cases = [
            (None, None),
            (Some(""), None),
            (Some("/run/dtr-lb"), Some("/run/dtr-lb/takeover.sock")),
            (Some("/run/a:/run/b"), Some("/run/a/takeover.sock")),
        ];
        for (folders, expected) in cases {
            let path = in_runtime_directory(folders.map(Into::into));
            assert_eq!(path, expected.map(PathBuf::from), "{folders:?}");
        }
    }
}

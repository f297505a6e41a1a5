//! A process that takes the place of the balancer's.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use super::binary::{binary, earlier_binary};
use super::{Kind, Proxy, host};
use crate::process::Process;

/// Those that were taken over, and what takes over next.
#[derive(Default)]
pub(super) struct Upgrades {
    retired: Vec<Process>,
    count: usize,
}

impl Proxy {
    /// Has a new process take over, and waits until it has: of the other binary, where
    /// there are two.
    ///
    /// # Errors
    /// When this kind can't, or the new one ends.
    pub(crate) async fn upgrade(&mut self) -> Result<()> {
        ensure!(
            self.kind == Kind::Host,
            "{} upgrades in another way",
            self.kind.name()
        );
        self.upgrades.count += 1;
        let other = earlier_binary().filter(|_| self.upgrades.count.is_multiple_of(2));
        let program = match other {
            Some(earlier) => earlier,
            None => binary(Kind::Host)?,
        };
        let mut command = host::run(&program, &self.places);
        let log = self
            .places
            .folder
            .join(format!("log-{}", self.upgrades.count));
        command
            .arg("--takeover")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let mut process = Process::start("the next host", command)?;
        let started = Instant::now();
        loop {
            let text = fs::read_to_string(&log)?;
            if text.contains(ACCEPTS) {
                break;
            }
            if let Some(status) = process.ended()? {
                bail!("the next host ended ({status}):\n{text}");
            }
            ensure!(
                started.elapsed() < LIMIT,
                "nobody has taken over in {LIMIT:?}:\n{text}"
            );
            sleep(LOOK).await;
        }
        self.log = log;
        let retired = std::mem::replace(&mut self.process, process);
        self.upgrades.retired.push(retired);
        Ok(())
    }

    /// Waits until those that were taken over have ended.
    ///
    /// # Errors
    /// When one goes on, or does not end well.
    pub(crate) async fn retired_have_ended(&mut self) -> Result<()> {
        for mut process in self.upgrades.retired.drain(..) {
            let status = process.ends().await.context("taken over")?;
            ensure!(status.success(), "taken over, it ended with {status}");
        }
        Ok(())
    }
}

/// The new one's line in the log, once it accepts.
const ACCEPTS: &str = "this process accepts in place of";
const LIMIT: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

//! Whether the host has done what a signal asked it to.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use super::{Log, Proxy};

/// How it was before the signal.
pub(super) enum Reload {
    /// Its log had this many bytes.
    Log(u64),
    /// Its log can't be read; these were its threads. A reload starts others.
    Threads(BTreeSet<String>),
}

impl Reload {
    /// To be called before the signal is sent.
    ///
    /// # Errors
    /// When the log is not there.
    pub(super) fn before(proxy: &Proxy) -> Result<Self> {
        Ok(match proxy.log_to {
            Log::File => Self::Log(fs::metadata(&proxy.log)?.len()),
            Log::UnreadPipe | Log::FullDisk => Self::Threads(workers(proxy)),
        })
    }

    /// Waits until the reload is done.
    ///
    /// # Errors
    /// When it was refused, or is not done in time.
    pub(super) async fn done(self, proxy: &Proxy) -> Result<()> {
        let started = Instant::now();
        while !self.is_done(proxy)? {
            if started.elapsed() > LIMIT {
                bail!("no reload in {LIMIT:?}");
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn is_done(&self, proxy: &Proxy) -> Result<bool> {
        let start = match self {
            Self::Log(start) => start,
            Self::Threads(before) => return Ok(!workers(proxy).is_subset(before)),
        };
        let mut log = File::open(&proxy.log)?;
        log.seek(SeekFrom::Start(*start))?;
        let mut text = Vec::new();
        log.read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let mut whole = text.split_inclusive('\n').filter(|it| it.ends_with('\n'));
        match whole.find(|line| line.contains(ANSWER)) {
            Some(line) if line.contains(DONE) => Ok(true),
            Some(line) => bail!("the reload was refused: {}", line.trim()),
            None => Ok(false),
        }
    }
}

/// The threads that carry its clients, by number.
fn workers(proxy: &Proxy) -> BTreeSet<String> {
    let threads = fs::read_dir(format!("/proc/{}/task", proxy.id()));
    let threads = threads.into_iter().flatten().flatten();
    let is_worker = |name: String| name.starts_with("worker");
    threads
        .filter(|thread| fs::read_to_string(thread.path().join("comm")).is_ok_and(is_worker))
        .map(|thread| thread.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Every answer to a SIGHUP begins so.
const ANSWER: &str = "SIGHUP: ";
const DONE: &str = "the configuration was read again";
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

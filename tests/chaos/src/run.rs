//! Runs cases, each in a process of its own.

use std::collections::VecDeque;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::case::{self, Played};
use crate::command::How;
use crate::event::{Event, Excuse};
use crate::network::{self, Network};
use crate::process::{Process, this_program};
use crate::proxy::{EARLIER, Kind, version};
use crate::report;

/// One event on one balancer.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) event: &'static Event,
    pub(crate) kind: Kind,
}

/// A case, and how it ended.
pub(crate) struct Ended {
    /// Its place in the table.
    number: usize,
    pub(crate) case: Case,
    pub(crate) end: End,
}

/// How a case ended.
pub(crate) enum End {
    Played(Box<Played>),
    /// This balancer can't play it, and why.
    Absent(String),
    /// It could not be played to its end, and why.
    Broken(String),
}

impl Ended {
    /// Whether it is no reason to be worried: peers are only shown.
    pub(crate) fn is_as_expected(&self) -> bool {
        match &self.end {
            End::Played(played) => {
                !self.case.kind.is_ours()
                    || played.holds()
                    || self
                        .excuse()
                        .is_some_and(|excuse| played.is_covered_by(excuse))
            }
            End::Absent(_) => true,
            End::Broken(_) => false,
        }
    }

    fn excuse(&self) -> Option<&'static Excuse> {
        self.case.event.excused(self.case.kind)
    }

    /// Whether it was played, as a case must be whose expectation is asserted.
    pub(crate) fn is_played(&self) -> bool {
        matches!(self.end, End::Played(_))
    }
}

/// All pairs, in the order of the table.
pub(crate) fn cases(events: &[&'static Event], kinds: &[Kind]) -> Vec<Case> {
    let each = |event| kinds.iter().map(move |kind| Case { event, kind: *kind });
    events.iter().copied().flat_map(each).collect()
}

/// Runs them, some at the same time, says how each ended, and shows all that have so
/// far, in the order of the table.
///
/// # Errors
/// When this program can't be started again.
pub(crate) fn run(
    cases: Vec<Case>,
    how: impl Fn(Kind) -> How,
    jobs: usize,
    mut show: impl FnMut(&[Ended]) -> Result<()>,
) -> Result<Vec<Ended>> {
    // One thread: a child ends with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let missing: Vec<(Kind, String)> = Kind::ALL
            .into_iter()
            .filter(|kind| cases.iter().any(|case| case.kind == *kind))
            .filter_map(|kind| Some((kind, version(kind).err()?.to_string())))
            .collect();
        // All would use the same addresses and the same name server.
        let jobs = match network::of_cases().await? {
            Network::Private => jobs.max(1),
            Network::Loopback(_) => 1,
        };
        let mut waiting: VecDeque<(usize, Case)> = cases.into_iter().enumerate().collect();
        let mut running = JoinSet::new();
        let mut ended: Vec<Ended> = Vec::new();
        while !waiting.is_empty() || !running.is_empty() {
            while running.len() < jobs {
                let Some((number, case)) = waiting.pop_front() else {
                    break;
                };
                let missing = missing.iter().find(|(kind, _)| *kind == case.kind);
                let missing = missing.map(|(_, why)| why.clone());
                let how = how(case.kind);
                running.spawn(async move { one(number, case, missing, &how).await });
            }
            if let Some(done) = running.join_next().await {
                let one = done?;
                let number = one.number;
                report::progress(&one);
                let place = ended.partition_point(|earlier| earlier.number < number);
                ended.insert(place, one);
                show(&ended)?;
            }
        }
        Ok(ended)
    })
}

async fn one(number: usize, case: Case, missing: Option<String>, how: &How) -> Ended {
    let end = match (case.event.absent(case.kind), missing) {
        (Some(why), _) => End::Absent(why.to_owned()),
        // Nothing would be known of a balancer of ours that is not there.
        (None, Some(why)) if case.kind.is_ours() => End::Broken(why),
        (None, Some(why)) => End::Absent(why),
        (None, None) => match play(case, how).await {
            Ok(case::Case::Played(played)) => End::Played(played),
            Ok(case::Case::NotHere(why)) => End::Absent(why),
            Err(error) => End::Broken(format!("{error:#}")),
        },
    };
    Ended { number, case, end }
}

async fn play(case: Case, how: &How) -> Result<case::Case> {
    let mut command = this_program()?;
    command.args([
        "case",
        "--event",
        case.event.name,
        "--proxy",
        case.kind.name(),
    ]);
    command.args(how.arguments());
    if let Some(from) = &how.from {
        command.env(EARLIER, from);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if how.soak.is_some() {
            Stdio::inherit()
        } else {
            Stdio::piped()
        });
    let mut process = Process::start("a case", command)?;
    let mut out = process.child().stdout.take().context("no output")?;
    let mut errors = process.child().stderr.take();
    let (mut text, mut complaint) = (String::new(), String::new());
    let reads = async {
        let complains = async {
            match &mut errors {
                Some(errors) => errors.read_to_string(&mut complaint).await,
                None => Ok(0),
            }
        };
        let both = tokio::join!(out.read_to_string(&mut text), complains);
        both.0.and(both.1)
    };
    let limit = if how.soak.is_some() {
        SOAK_LIMIT
    } else {
        LIMIT + how.manner().rest + case.event.length()
    };
    timeout(limit, reads)
        .await
        .with_context(|| format!("goes on after {limit:?}"))??;
    if !process.ends().await?.success() {
        bail!("{}", complaint.trim());
    }
    serde_json::from_str(&text).with_context(|| complaint.trim().to_owned())
}

/// Longest time of a case beside what its event takes.
const LIMIT: Duration = Duration::from_secs(240);
/// Longest time of a soak.
const SOAK_LIMIT: Duration = Duration::from_secs(3600);

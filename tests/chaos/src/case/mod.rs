//! One event on one balancer: the load runs, things happen, and what is left is
//! compared with how it began.

mod aftermath;
mod certificates;
mod crowd;
mod stage;
mod tally;

use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::event::{Event, Excuse};
use crate::load::{Client, Demand, Generator, tls_trusting};
use crate::network::Network;
use crate::process::Holdings;
use crate::proxy::Kind;

use aftermath::Start;
use stage::Stage;
pub(crate) use tally::Tally;

/// How an event is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// New connections a second.
    pub(crate) rate: u32,
    /// How long the load goes on after the last act.
    pub(crate) rest: Duration,
    /// Part of each pause that is kept.
    pub(crate) pace: f64,
    /// This many connections instead of a script, with a look at memory now and then.
    pub(crate) soak: Option<u64>,
}

/// What an event came to on one balancer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Played {
    pub(crate) network: String,
    pub(crate) tally: Tally,
    pub(crate) before: Holdings,
    pub(crate) after: Holdings,
    /// What did not go back to its start.
    pub(crate) left: Vec<String>,
    /// The last lines of its log, where something is wrong.
    pub(crate) log: String,
}

impl Played {
    /// Whether it is as it should be.
    pub(crate) fn holds(&self) -> bool {
        self.tally.unexcused() == 0 && self.left.is_empty() && self.tally.is_sound()
    }

    /// Whether all that is wrong is what this balancer can't help.
    pub(crate) fn is_covered_by(&self, excuse: &Excuse) -> bool {
        let tally = &self.tally;
        let mut kinds = tally.errors.keys();
        let may_be_left = |left: &String| excuse.left.iter().any(|known| left.starts_with(known));
        tally.is_sound()
            && kinds.all(|kind| excuse.errors.contains(kind))
            && tally.unexcused() * excuse.one_in <= tally.connections
            && self.left.iter().all(may_be_left)
    }
}

/// What became of a case.
#[derive(Serialize, Deserialize)]
pub(crate) enum Case {
    /// It was played.
    Played(Box<Played>),
    /// This machine has not what it needs, and what that is.
    NotHere(String),
}

/// Plays an event.
///
/// # Errors
/// When something could not be done that the event needs.
pub(crate) fn play(event: &Event, kind: Kind, manner: Manner) -> Result<Case> {
    let folder = tempfile::tempdir()?;
    let resolv_conf = folder.path().join("resolv.conf");
    std::fs::write(
        &resolv_conf,
        "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n",
    )?;
    // Before the first thread.
    let network = Network::enter(&resolv_conf)?;
    if let Network::Loopback(why) = &network
        && event.needs_network()
    {
        return Ok(Case::NotHere(format!("needs a network namespace: {why}")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    let case = perform(event, kind, manner, network, folder.path());
    let played = runtime.block_on(local.run_until(case));
    // What still waits for something must not keep the process.
    runtime.shutdown_background();
    Ok(Case::Played(Box::new(played?)))
}

async fn perform(
    event: &Event,
    kind: Kind,
    manner: Manner,
    network: Network,
    folder: &std::path::Path,
) -> Result<Played> {
    let network_name = network.describe();
    let mut stage = Stage::set(event, kind, network, folder).await?;
    let start = Start::of(&stage.proxy, event.wiring).await;
    let places = stage.proxy.places();
    let authority = stage.authority().to_owned();
    stage.load = Some(Generator::start(Demand {
        client: Client {
            target: places.traffic,
            tls: None,
            patience: PATIENCE,
        },
        tls: Some((places.tls, tls_trusting(&authority)?)),
        rate: manner.rate.min(event.most),
        mix: event.mix,
    }));
    sleep(WARM_UP.mul_f64(manner.pace)).await;
    let performed = stage.perform(event.script, manner.pace).await;
    if let Err(error) = performed {
        return Err(anyhow!("{error:#}\n{}", stage.proxy.log_tail(20)));
    }
    match manner.soak {
        Some(count) => soak(&stage, count).await,
        None if stage.load_ended() => {}
        None => sleep(manner.rest).await,
    }
    let (load, marks) = stage.finish().await?;
    let tally = Tally::of(&load, &marks, event.expected);
    let (after, left) = match stage.balancer_ended() {
        Some(wrong) => (start.holdings, wrong),
        None => aftermath::settle(&mut stage.proxy, &start).await,
    };
    let mut played = Played {
        network: network_name,
        tally,
        before: start.holdings,
        after,
        left,
        log: String::new(),
    };
    if !played.holds() {
        played.log = stage.proxy.log_tail(12);
    }
    Ok(played)
}

/// Waits for this many connections, and says what the balancer holds meanwhile.
async fn soak(stage: &Stage, count: u64) {
    for step in 1..=SOAK_STEPS {
        let until = count * step / SOAK_STEPS;
        while stage
            .load
            .as_ref()
            .is_some_and(|load| load.started() < until)
        {
            sleep(Duration::from_millis(100)).await;
        }
        let holds = stage.proxy.holdings();
        eprintln!(
            "{until:>9} connections: {} KiB, {} descriptors, {} threads",
            holds.memory, holds.descriptors, holds.threads
        );
    }
}

/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// Looks at what a soaked balancer holds.
const SOAK_STEPS: u64 = 20;
/// Load before the first act, so that there are connections it may meet.
const WARM_UP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Excuse, Holdings, Played, Tally};
    use crate::load::Outcome::{self, Reset, ResetUnserved, WrongBytes};
    use crate::proxy::Kind;

    const EXCUSE: Excuse = Excuse {
        kind: Kind::Envoy,
        why: "",
        errors: &[ResetUnserved],
        one_in: 100,
        left: &["asked to end, "],
    };

    fn played(errors: &[(Outcome, u64)], left: &[&str]) -> Played {
        Played {
            network: String::new(),
            tally: Tally {
                connections: 300,
                served_since: 100,
                errors: errors.iter().copied().collect::<BTreeMap<_, _>>(),
                ..Tally::default()
            },
            before: Holdings::default(),
            after: Holdings::default(),
            left: left.iter().map(|one| (*one).to_owned()).collect(),
            log: String::new(),
        }
    }

    #[test]
    fn an_excuse_covers_the_errors_and_remains_it_names() {
        let cases = [
            ("few of its kind", played(&[(ResetUnserved, 3)], &[]), true),
            ("too many", played(&[(ResetUnserved, 4)], &[]), false),
            ("another kind", played(&[(Reset, 1)], &[]), false),
            ("wrong bytes", played(&[(WrongBytes, 1)], &[]), false),
            ("its end", played(&[], &["asked to end, it goes on"]), true),
            (
                "a thread",
                played(&[], &["threads: 3 before, 4 after"]),
                false,
            ),
        ];
        for (why, played, expected) in cases {
            assert_eq!(played.is_covered_by(&EXCUSE), expected, "{why}");
        }
    }

    #[test]
    fn what_says_nothing_of_the_balancer_does_not_hold() {
        let sound = played(&[], &[]);
        assert!(sound.holds());
        let spoilt: [fn(&mut Tally); 3] = [
            |tally| tally.harness = 1,
            |tally| tally.withheld = 1,
            |tally| tally.served_since = 0,
        ];
        for spoil in spoilt {
            let mut played = sound.clone();
            spoil(&mut played.tally);
            assert!(!played.holds(), "{:?}", played.tally);
            assert!(!played.is_covered_by(&EXCUSE), "{:?}", played.tally);
        }
    }
}

//! Replicas that DNS names stand for: they come and go with the answers.

mod discovered;
mod expand;
mod lookup;
mod own_address;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use crate::config::ConfigFile;
use expand::Expanded;
use lookup::{Answer, LookedUp, NameServers, look_up};
use own_address::{Machine, OwnAddress};

pub use discovered::{Discovered, discover};

/// What DNS says of the names that stand for many replicas.
///
/// A name that DNS says nothing of, or not yet, is one replica that has no address; one
/// that had addresses keeps the last ones.
#[derive(Clone, Default)]
pub struct Discovery {
    servers: NameServers,
    names: Vec<Name>,
    refresh: Duration,
    machine: Machine,
    /// What the log has of the balancer's own addresses.
    left_out: BTreeSet<OwnAddress>,
}

/// A name that stands for many replicas.
#[derive(Clone)]
struct Name {
    name: String,
    /// The last; `None`: there has been none.
    answer: Option<Answer>,
    /// When it is asked for again.
    due: Instant,
    /// `None`: the last look-up found everything.
    problem: Option<Problem>,
    /// What the log has of it.
    logged: Option<Failing>,
}

/// Why a look-up did not find everything.
#[derive(Clone)]
struct Problem {
    failing: Failing,
    reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Failing {
    Name,
    /// One that the name's records lead to.
    Target,
}

impl Discovery {
    /// For a balancer on this machine, whose addresses are left out where it listens on all.
    #[must_use]
    pub fn on_this_machine() -> Discovery {
        Discovery {
            machine: Machine::This,
            ..Discovery::default()
        }
    }

    /// Goes on with the names of a configuration. Those it does not know yet are asked for,
    /// for at most `limit`; what takes longer is learnt later.
    pub async fn follow(&mut self, file: &ConfigFile, limit: Duration) {
        self.take_names(file);
        self.ask_within(limit).await;
        self.log();
    }

    /// The configuration with a replica for each that its names stand for. One where the
    /// balancer itself listens is left out, and the log says so when that is new.
    #[must_use]
    pub fn expand(&mut self, file: &ConfigFile) -> ConfigFile {
        let Expanded { file, left_out } = self.expanded(file);
        for own in left_out.difference(&self.left_out) {
            warn!("{}: {own}", own.name);
        }
        self.left_out = left_out;
        file
    }

    fn expanded(&self, file: &ConfigFile) -> Expanded {
        expand::expand(file, self.machine, |name| self.named(name)?.answer.as_ref())
    }

    /// The first name of which not everything is found, and why.
    #[must_use]
    pub fn shortfall(&self) -> Option<String> {
        let mut names = self.names.iter();
        names.find_map(|name| Some(format!("{}: {}", name.name, name.shortfall()?)))
    }

    /// Waits until names were looked up again: each as its answer is over. For ever where
    /// there is no name. Who stops to wait, and waits again, misses nothing.
    pub async fn looked_up(&mut self) {
        match self.names.iter().map(|name| name.due).min() {
            None => std::future::pending().await,
            Some(due) => {
                sleep_until(due).await;
                self.ask().await;
                self.log();
            }
        }
    }

    fn take_names(&mut self, file: &ConfigFile) {
        let mut last = std::mem::take(&mut self.names);
        let Some(first) = file.registries().first() else {
            return;
        };
        self.refresh = first.dns_refresh;
        for name in file.discovered_names() {
            if self.named(name.name()).is_some() {
                continue;
            }
            let known = last.iter().position(|known| known.name == name.name());
            self.names.push(match known {
                Some(at) => last.swap_remove(at),
                None => Name::new(name.name()),
            });
        }
        if !self.names.is_empty() {
            self.servers.follow(&first.nameservers);
        }
    }

    fn named(&self, name: &str) -> Option<&Name> {
        self.names.iter().find(|known| known.name == name)
    }

    /// Asks for all that are due; what takes longer than `limit` is so still.
    async fn ask_within(&mut self, limit: Duration) {
        if timeout(limit, self.ask()).await.is_ok() {
            return;
        }
        let known_nothing = |name: &&mut Name| name.answer.is_none() && name.problem.is_none();
        for name in self.names.iter_mut().filter(known_nothing) {
            name.problem = Some(Problem {
                failing: Failing::Name,
                reason: format!("DNS has not answered within {limit:?}"),
            });
        }
    }

    /// Asks for all that are due at once.
    async fn ask(&mut self) {
        let now = Instant::now();
        let mut asked = JoinSet::new();
        let due = self.names.iter().enumerate();
        for (index, name) in due.filter(|(_, name)| name.due <= now) {
            let (resolver, last) = (self.servers.resolver(), name.answer.clone());
            let (name, last) = (name.name.clone(), last.unwrap_or_default());
            asked.spawn(async move {
                let looked_up = async { look_up(&resolver?, &name, &last).await };
                (index, looked_up.await)
            });
        }
        while let Some(looked_up) = asked.join_next().await {
            let Ok((index, looked_up)) = looked_up else {
                continue;
            };
            if let Some(name) = self.names.get_mut(index) {
                let good_for = name.learn(looked_up);
                name.due = Instant::now() + until_next_look(good_for, self.refresh);
            }
        }
    }

    fn log(&mut self) {
        self.names.iter_mut().for_each(Name::log);
    }
}

impl Name {
    fn new(name: &str) -> Name {
        Name {
            name: name.to_owned(),
            answer: None,
            due: Instant::now(),
            problem: None,
            logged: None,
        }
    }

    /// How long what was learnt is good for; `None`: not everything was found.
    fn learn(&mut self, looked_up: Result<LookedUp, String>) -> Option<Duration> {
        let (failing, reason) = match looked_up {
            Ok(found) => {
                self.answer = Some(found.answer);
                match found.unanswered {
                    None => {
                        self.problem = None;
                        return Some(found.good_for);
                    }
                    Some(reason) => (Failing::Target, reason),
                }
            }
            Err(reason) => (Failing::Name, reason),
        };
        self.problem = Some(Problem { failing, reason });
        None
    }

    /// That not everything is found, and why; `None`: it is.
    fn shortfall(&self) -> Option<String> {
        let reason = self.problem.as_ref().map(|problem| problem.reason.as_str());
        let (found, reason) = match (&self.answer, reason) {
            (Some(_), reason) => ("not all replicas are", reason?),
            (None, reason) => ("no replica is", reason.unwrap_or("DNS has not answered")),
        };
        Some(format!("{found} found by it now ({reason})"))
    }

    fn log(&mut self) {
        let failing = self.problem.as_ref().map(|problem| problem.failing);
        match &self.problem {
            Some(problem) if failing != self.logged => {
                let until_then = match (problem.failing, &self.answer) {
                    (Failing::Target, _) => "the others count, and its own last replicas stay",
                    (Failing::Name, Some(_)) => "its last replicas stay",
                    (Failing::Name, None) => "it has no replica until it has an address",
                };
                let Problem { reason, .. } = problem;
                warn!("{}: no address in DNS: {reason}; {until_then}", self.name);
            }
            None if self.logged.is_some() => info!("{}: DNS has addresses again", self.name),
            Some(_) | None => {}
        }
        self.logged = failing;
    }
}

/// An answer is good for as long as it says, within limits; `None`: there is none.
fn until_next_look(good_for: Option<Duration>, refresh: Duration) -> Duration {
    good_for.map_or(refresh, |good_for| {
        good_for.clamp(refresh, LONGEST.max(refresh))
    })
}

/// How long an answer is good for at most, whatever it says of itself: Docker's own DNS
/// says ten minutes of tasks that come and go.
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;

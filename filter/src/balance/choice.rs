//! Which of the usable replicas gets a connection.

use crate::balance::replica::Class;
use crate::balance::tournament_tree::Contest;
use crate::config::Policy;
use crate::random::{self, Random};

/// What orders replicas: how well they are, then how busy, then whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) class: Class,
    /// Open connections by weight; always 0 where the policy does not look at it.
    load: u64,
    /// Grows with each connection given, the slower the more weight it has: where
    /// loads are equal, shares follow the weights, and evenly in time.
    turn: u64,
}

/// The order of one listener's replicas, kept while it changes.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    policy: Policy,
    seed: u64,
    contest: Contest<Key>,
    entrants: Vec<Entrant>,
    /// The turn of the replica given the last connection: nobody starts behind it.
    clock: u64,
    field: Field,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entrant {
    /// Weight in thousandths.
    share: u64,
    turn: u64,
    /// What stands for its name where clients are spread by hash.
    key: u64,
}

/// What a choice must know of a replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) class: Class,
    pub(crate) active: u32,
    /// Weight in thousandths.
    pub(crate) share: u64,
}

impl Choice {
    /// A choice among replicas with these keys, none of them usable yet. The seed
    /// says who of equals comes first.
    pub(crate) fn among(policy: Policy, seed: u64, keys: impl IntoIterator<Item = u64>) -> Choice {
        let entrant = |key| Entrant {
            share: 0,
            turn: 0,
            key,
        };
        let entrants: Vec<Entrant> = keys.into_iter().map(entrant).collect();
        let away = Key {
            class: Class::Away,
            load: 0,
            turn: 0,
        };
        let contest = Contest::new(entrants.len(), away);
        Choice {
            policy,
            seed,
            contest,
            entrants,
            clock: 0,
            field: Field::default(),
        }
    }

    /// Takes in what changed of a replica.
    pub(crate) fn mark(&mut self, replica: usize, mark: Mark) {
        let Some(entrant) = self.entrants.get_mut(replica) else {
            return;
        };
        let share = mark.share.max(1);
        let before = self.contest.key(replica).map(|key| key.class);
        let returns = mark.class.may_serve() && before.is_none_or(|class| !class.may_serve());
        if entrant.share == 0 || returns {
            // Who comes or comes back starts where the others are, half a step ahead:
            // so the heavier come first, but not in a row. Equals come in another
            // order in each VM, or the first connections of all VMs met.
            let half = (STEP / share / 2) as f64;
            let ahead = half + half / 100.0 * random::unit(random::mix(self.seed ^ entrant.key));
            entrant.turn = entrant.turn.max(self.clock.saturating_add(ahead as u64));
        }
        if before != Some(mark.class) || entrant.share != share {
            self.field.stale = true;
        }
        entrant.share = share;
        let load = match self.policy {
            Policy::RoundRobin => 0,
            _ => u64::from(mark.active).saturating_mul(STEP) / share,
        };
        self.contest.set(
            replica,
            Key {
                class: mark.class,
                load,
                turn: entrant.turn,
            },
        );
    }

    /// How well the best of them is; `None` when there are none.
    pub(crate) fn best(&self) -> Option<Class> {
        self.key(self.contest.winner()?).map(|key| key.class)
    }

    /// A replica's place in the order.
    pub(crate) fn key(&self, replica: usize) -> Option<Key> {
        self.contest.key(replica)
    }

    /// Chooses a replica and counts its turn; `None` when none may serve.
    pub(crate) fn choose(&mut self, client: u64, random: &mut Random) -> Option<usize> {
        let first = self.contest.winner()?;
        let class = self.key(first)?.class;
        if !class.may_serve() {
            return None;
        }
        let chosen = match self.policy {
            Policy::LeastConnections | Policy::RoundRobin => first,
            Policy::RandomTwo => {
                self.gather(class);
                let (one, other) = self.field.two(random).unwrap_or((first, first));
                if self.key(other) < self.key(one) {
                    other
                } else {
                    one
                }
            }
            Policy::SourceHash => {
                self.gather(class);
                return self
                    .field
                    .owner(client, self.entrants.len())
                    .or(Some(first));
            }
        };
        let entrant = self.entrants.get_mut(chosen)?;
        self.clock = self.clock.max(entrant.turn);
        entrant.turn = self.clock.saturating_add(STEP / entrant.share.max(1));
        let (turn, key) = (entrant.turn, self.contest.key(chosen)?);
        self.contest.set(chosen, Key { turn, ..key });
        Some(chosen)
    }

    /// Gathers those of the best class anew, when something changed.
    fn gather(&mut self, class: Class) {
        if !self.field.stale {
            return;
        }
        let contest = &self.contest;
        let entrants = self.entrants.iter().enumerate();
        let best = entrants
            .filter(|(replica, _)| contest.key(*replica).is_some_and(|key| key.class == class));
        self.field = Field::of(best.map(|(replica, entrant)| (replica, *entrant)));
    }
}

/// The replicas of the best class, for policies that need all of them.
#[derive(Clone, Debug, Default)]
struct Field {
    stale: bool,
    /// Each with the sum of the shares up to and including its own.
    runners: Vec<(u64, usize, Entrant)>,
    /// Clients' owners, found out when first asked for; `NOBODY`: not yet.
    owners: Vec<u32>,
}

impl Field {
    fn of(members: impl Iterator<Item = (usize, Entrant)>) -> Field {
        let mut sum = 0_u64;
        let runners = members.map(|(replica, entrant)| {
            sum = sum.saturating_add(entrant.share);
            (sum, replica, entrant)
        });
        Field {
            stale: false,
            runners: runners.collect(),
            owners: Vec::new(),
        }
    }

    /// Two of them at random by weight, different ones if there are two.
    fn two(&self, random: &mut Random) -> Option<(usize, usize)> {
        let sum = self.runners.last()?.0;
        let one = self.at(random.below(sum))?;
        let (_, first, entrant) = *self.runners.get(one)?;
        let others = sum.saturating_sub(entrant.share);
        if others == 0 {
            return Some((first, first));
        }
        // A point on the line without the first one's part.
        let point = random.below(others);
        let start = self.runners.get(one)?.0.saturating_sub(entrant.share);
        let point = if point < start {
            point
        } else {
            point.saturating_add(entrant.share)
        };
        let (_, second, _) = *self.runners.get(self.at(point)?)?;
        Some((first, second))
    }

    fn at(&self, point: u64) -> Option<usize> {
        let place = self.runners.partition_point(|(sum, _, _)| *sum <= point);
        (place < self.runners.len()).then_some(place)
    }

    /// The replica that a client belongs to: rendezvous hashing, so that with a
    /// replica only its clients come and go. Clients fall into buckets, and who
    /// owns a bucket is found out once.
    fn owner(&mut self, client: u64, replicas: usize) -> Option<usize> {
        if self.owners.is_empty() {
            // Enough buckets that shares come out even. How many must not depend
            // on who is usable, or all clients would move.
            let buckets = replicas.saturating_mul(64).next_power_of_two();
            self.owners = vec![NOBODY; buckets.clamp(4096, 65536)];
        }
        let bucket = client & (self.owners.len() as u64).saturating_sub(1);
        let known = self.owners.get(bucket as usize).copied()?;
        if known != NOBODY {
            return Some(known as usize);
        }
        let score = |entrant: &Entrant| {
            let even = random::unit(random::mix(bucket ^ entrant.key)).max(f64::MIN_POSITIVE);
            -(entrant.share as f64) / even.ln()
        };
        let scored = self
            .runners
            .iter()
            .map(|(_, replica, entrant)| (score(entrant), *replica));
        let (_, owner) = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        if let Some(slot) = self.owners.get_mut(bucket as usize) {
            *slot = owner as u32;
        }
        Some(owner)
    }
}

/// One connection of a replica with a share of one thousandth.
const STEP: u64 = 1 << 32;
const NOBODY: u32 = u32::MAX;

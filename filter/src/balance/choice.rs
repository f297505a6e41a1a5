//! Which of the usable replicas gets a connection.

use super::availability::Availability;
use super::best_candidates::{BestCandidates, Candidate};
use super::tournament_tree::TournamentTree;
use crate::config::Policy;
use crate::random::{self, Random};

/// What orders replicas: how available they are, then how busy, then their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) availability: Availability,
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
    tree: TournamentTree<Key>,
    candidates: Vec<Candidate>,
    /// The turn of the replica given the last connection: none starts behind it.
    clock: u64,
    best: BestCandidates,
    /// Whether `best` is out of date.
    is_stale: bool,
}

/// What a choice must know of a replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) availability: Availability,
    pub(crate) active: u32,
    /// Weight in thousandths.
    pub(crate) share: u64,
}

impl Choice {
    /// A choice among replicas with these keys, none of them usable yet. The seed
    /// says which of equals comes first.
    pub(crate) fn among(policy: Policy, seed: u64, keys: impl IntoIterator<Item = u64>) -> Choice {
        let candidates: Vec<Candidate> = keys.into_iter().map(Candidate::new).collect();
        let away = Key {
            availability: Availability::Away,
            load: 0,
            turn: 0,
        };
        Choice {
            policy,
            seed,
            tree: TournamentTree::new(candidates.len(), away),
            candidates,
            clock: 0,
            best: BestCandidates::default(),
            is_stale: true,
        }
    }

    /// Takes in what changed of a replica.
    pub(crate) fn set(&mut self, replica: usize, load: Load) {
        let Some(candidate) = self.candidates.get_mut(replica) else {
            return;
        };
        let share = load.share.max(1);
        let before = self.tree.key(replica).map(|key| key.availability);
        let returns = load.availability.may_serve()
            && before.is_none_or(|availability| !availability.may_serve());
        if candidate.share == 0 || returns {
            // A replica that comes or comes back starts where the others are, half
            // a step ahead: so the heavier come first, but not in a row. Equals come
            // in another order in each VM, or the first connections of all VMs met.
            let half = (STEP / share / 2) as f64;
            let ahead = half + half / 100.0 * random::unit(random::mix(self.seed ^ candidate.key));
            candidate.turn = candidate.turn.max(self.clock.saturating_add(ahead as u64));
        }
        if before != Some(load.availability) || candidate.share != share {
            self.is_stale = true;
        }
        candidate.share = share;
        let turn = candidate.turn;
        self.tree.set(
            replica,
            Key {
                availability: load.availability,
                load: self.policy.load(load.active, share),
                turn,
            },
        );
    }

    /// Takes in how many connections a replica has open, of which nothing else changed.
    pub(crate) fn set_active(&mut self, replica: usize, active: u32) {
        let share = self
            .candidates
            .get(replica)
            .map(|candidate| candidate.share);
        if let (Some(share), Some(key)) = (share, self.tree.key(replica)) {
            let load = self.policy.load(active, share.max(1));
            self.tree.set(replica, Key { load, ..key });
        }
    }

    /// How available the best of them is; `None` when there are none.
    pub(crate) fn best(&self) -> Option<Availability> {
        self.key(self.tree.winner()?).map(|key| key.availability)
    }

    /// A replica's position in the order.
    pub(crate) fn key(&self, replica: usize) -> Option<Key> {
        self.tree.key(replica)
    }

    /// Chooses a replica and counts its turn; `None` when none may serve.
    pub(crate) fn choose(&mut self, client: u64, random: &mut Random) -> Option<usize> {
        let first = self.tree.winner()?;
        let availability = self.key(first)?.availability;
        if !availability.may_serve() {
            return None;
        }
        let chosen = match self.policy {
            Policy::LeastConnections | Policy::RoundRobin => first,
            Policy::RandomTwo => {
                self.gather(availability);
                let (one, other) = self.best.two(random).unwrap_or((first, first));
                if self.key(other) < self.key(one) {
                    other
                } else {
                    one
                }
            }
            Policy::SourceHash => {
                self.gather(availability);
                return self.best.owner(client).or(Some(first));
            }
        };
        let candidate = self.candidates.get_mut(chosen)?;
        self.clock = self.clock.max(candidate.turn);
        candidate.turn = self.clock.saturating_add(STEP / candidate.share.max(1));
        let (turn, key) = (candidate.turn, self.tree.key(chosen)?);
        self.tree.set(chosen, Key { turn, ..key });
        Some(chosen)
    }

    /// Gathers the most available anew, when something changed.
    fn gather(&mut self, availability: Availability) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        let tree = &self.tree;
        let candidates = self.candidates.iter().enumerate();
        let best = candidates.filter(|(replica, _)| {
            tree.key(*replica)
                .is_some_and(|key| key.availability == availability)
        });
        self.best = BestCandidates::of(best.map(|(replica, candidate)| (replica, *candidate)));
    }
}

impl Policy {
    /// How busy a replica counts as: its open connections by its share.
    fn load(self, active: u32, share: u64) -> u64 {
        match self {
            Policy::RoundRobin => 0,
            _ => u64::from(active).saturating_mul(STEP) / share,
        }
    }
}

/// One connection of a replica with a share of one thousandth.
const STEP: u64 = 1 << 32;

#[cfg(test)]
mod tests;

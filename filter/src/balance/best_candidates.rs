//! The most available replicas, for policies that need all of them.

use crate::random::{self, Random};

/// What is known of one replica besides its position in the order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Weight in thousandths; 0: not known yet.
    pub(crate) share: u64,
    pub(crate) turn: u64,
    /// Stands for its name where clients are spread by hash.
    pub(crate) key: u64,
}

impl Candidate {
    /// A candidate that has not been given anything yet.
    pub(crate) fn new(key: u64) -> Candidate {
        Candidate {
            share: 0,
            turn: 0,
            key,
        }
    }

    /// How strongly a bucket of clients is drawn to it: the highest score of a
    /// weighted rendezvous hash owns the bucket.
    fn score(&self, bucket: u64) -> f64 {
        let even = random::unit(random::mix(bucket ^ self.key)).max(f64::MIN_POSITIVE);
        -(self.share as f64) / even.ln()
    }
}

/// The most available replicas at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct BestCandidates {
    /// Each with the sum of the shares up to and including its own.
    members: Vec<(u64, usize, Candidate)>,
    /// The replica that owns each bucket of clients; [`NOT_YET`]: not computed.
    owners: Vec<u32>,
}

impl BestCandidates {
    pub(crate) fn of(members: impl Iterator<Item = (usize, Candidate)>) -> BestCandidates {
        let mut sum = 0_u64;
        let members = members.map(|(replica, candidate)| {
            sum = sum.saturating_add(candidate.share);
            (sum, replica, candidate)
        });
        BestCandidates {
            members: members.collect(),
            owners: Vec::new(),
        }
    }

    /// Two of them at random by weight, different ones if there are two.
    pub(crate) fn two(&self, random: &mut Random) -> Option<(usize, usize)> {
        let sum = self.members.last()?.0;
        let one = self.at(random.below(sum))?;
        let (end, first, candidate) = *self.members.get(one)?;
        let others = sum.saturating_sub(candidate.share);
        if others == 0 {
            return Some((first, first));
        }
        // A point on the line without the first one's part.
        let point = random.below(others);
        let start = end.saturating_sub(candidate.share);
        let point = if point < start {
            point
        } else {
            point.saturating_add(candidate.share)
        };
        let (_, second, _) = *self.members.get(self.at(point)?)?;
        Some((first, second))
    }

    /// The replica that a client belongs to: rendezvous hashing, so that with a
    /// replica only its clients come and go. Clients fall into buckets, and the
    /// owner of a bucket is computed once.
    pub(crate) fn owner(&mut self, client: u64) -> Option<usize> {
        if self.owners.is_empty() {
            self.owners = vec![NOT_YET; BUCKETS];
        }
        let bucket = client % BUCKETS as u64;
        let known = self.owners.get(bucket as usize).copied()?;
        if known != NOT_YET {
            return Some(known as usize);
        }
        let scored = self
            .members
            .iter()
            .map(|(_, replica, candidate)| (candidate.score(bucket), *replica));
        let (_, owner) = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        if let Some(slot) = self.owners.get_mut(bucket as usize) {
            *slot = owner as u32;
        }
        Some(owner)
    }

    fn at(&self, point: u64) -> Option<usize> {
        let place = self.members.partition_point(|(sum, _, _)| *sum <= point);
        (place < self.members.len()).then_some(place)
    }
}

const NOT_YET: u32 = u32::MAX;

/// Enough that the shares of 1000 replicas come out even. The number must not depend
/// on the replicas: with another one most clients would move.
const BUCKETS: usize = 1 << 16;

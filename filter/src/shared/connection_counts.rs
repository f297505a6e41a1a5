//! The census: each VM's connections, added up over all of them.

use crate::balance::replica::Tally;
use crate::shared::board::{self, COUNTS, Lost, Store};
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// What one VM knows of the others.
#[derive(Clone, Debug)]
pub(crate) struct Census {
    me: u64,
    beat: u64,
    /// When each VM's row last changed.
    seen: HashMap<u64, (u64, Moment)>,
    /// What this VM wrote last, and what of it now stands in the row of the dead,
    /// because the others took it for dead.
    written: HashMap<u64, Tally>,
    buried: HashMap<u64, Tally>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    vm: u64,
    beat: u64,
    /// By replica; those without any connection are left out.
    counts: Vec<(u64, Tally)>,
}

/// The number of the row that keeps the totals of VMs that are no more.
const DEAD: u64 = 0;

impl Census {
    pub(crate) fn new(me: u64) -> Census {
        let (seen, written, buried) = Default::default();
        Census {
            me,
            beat: 0,
            seen,
            written,
            buried,
        }
    }

    /// Writes this VM's counts and returns the sums of all others', by replica.
    ///
    /// # Errors
    ///
    /// [`Lost`] when others were faster again and again; the next beat will do.
    pub(crate) fn beat(
        &mut self,
        store: &mut impl Store,
        now: Moment,
        ttl: Duration,
        mine: &[(u64, Tally)],
    ) -> Result<HashMap<u64, Tally>, Lost> {
        self.beat = self.beat.wrapping_add(1);
        let (me, beat) = (self.me, self.beat);
        let (seen, written) = (&mut self.seen, &self.written);
        let buried_before = &self.buried;
        let mut buried = HashMap::new();
        let mut elsewhere = HashMap::new();
        board::update(store, COUNTS, |rows: &mut Vec<Row>| {
            buried = buried_before.clone();
            if !written.is_empty() && !rows.iter().any(|row| row.vm == me) {
                // Taken for dead; the totals written so far are kept among the dead.
                buried = written.clone();
            }
            let is_alive = |row: &Row| {
                let (last, at) = seen.entry(row.vm).or_insert((row.beat, now));
                if *last != row.beat {
                    (*last, *at) = (row.beat, now);
                }
                now.since(*at) < ttl
            };
            bury(rows, me, is_alive);
            seen.retain(|vm, _| rows.iter().any(|row| row.vm == *vm));
            let counts = mine
                .iter()
                .map(|(key, tally)| (*key, without(tally, buried.get(key))));
            let row = Row {
                vm: me,
                beat,
                counts: counts.collect(),
            };
            elsewhere.clear();
            for (key, tally) in rows.iter().flat_map(|row| &row.counts) {
                add(elsewhere.entry(*key).or_default(), tally);
            }
            // What stands among the dead but is ours is counted here already.
            for (key, tally) in &buried {
                let sum: &mut Tally = elsewhere.entry(*key).or_default();
                *sum = without(sum, Some(tally));
            }
            rows.push(row);
        })?;
        self.buried = buried;
        self.written = mine.iter().copied().collect();
        Ok(elsewhere)
    }
}

/// Takes out this VM's row, and moves the totals of dead VMs to the row for them.
fn bury(rows: &mut Vec<Row>, me: u64, mut is_alive: impl FnMut(&Row) -> bool) {
    let mut dead: HashMap<u64, Tally> = HashMap::new();
    rows.retain(|row| {
        if row.vm == me {
            return false;
        }
        if row.vm != DEAD && is_alive(row) {
            return true;
        }
        for (key, tally) in &row.counts {
            let ended = Tally {
                active: 0,
                ..*tally
            };
            add(dead.entry(*key).or_default(), &ended);
        }
        false
    });
    if !dead.is_empty() {
        let mut counts: Vec<(u64, Tally)> = dead.into_iter().collect();
        counts.sort_unstable_by_key(|(key, _)| *key);
        rows.push(Row {
            vm: DEAD,
            beat: 0,
            counts,
        });
    }
}

fn add(sum: &mut Tally, tally: &Tally) {
    sum.active = sum.active.saturating_add(tally.active);
    sum.connections = sum.connections.saturating_add(tally.connections);
    sum.failures = sum.failures.saturating_add(tally.failures);
}

/// A tally less the totals of another; what is open stays.
fn without(tally: &Tally, other: Option<&Tally>) -> Tally {
    let other = other.copied().unwrap_or_default();
    Tally {
        active: tally.active,
        connections: tally.connections.saturating_sub(other.connections),
        failures: tally.failures.saturating_sub(other.failures),
    }
}

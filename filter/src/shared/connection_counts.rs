//! Each VM's connections, added up over all of them.

use crate::balance::tally::Tally;
use crate::shared::board::{self, COUNTS, Lost, Store};
use crate::time::Moment;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What one VM knows of the others' counts.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionCounts {
    vm_id: u64,
    beat: u64,
    /// When each VM's row last changed.
    seen: HashMap<u64, (u64, Moment)>,
    /// What this VM wrote last.
    written: HashMap<u64, Tally>,
    /// What of it stands in the row of ended VMs, because the others took this one
    /// for ended.
    folded: HashMap<u64, Tally>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    vm: u64,
    beat: u64,
    /// By replica; those without any connection are left out.
    counts: Vec<(u64, Tally)>,
}

impl ConnectionCounts {
    pub(crate) fn new(vm_id: u64) -> ConnectionCounts {
        ConnectionCounts {
            vm_id,
            beat: 0,
            seen: HashMap::new(),
            written: HashMap::new(),
            folded: HashMap::new(),
        }
    }

    /// Writes this VM's counts and returns the sums of all others', by replica. A
    /// VM whose row has not changed for `ttl` counts as ended.
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
        let (vm_id, beat) = (self.vm_id, self.beat);
        let (seen, written) = (&mut self.seen, &self.written);
        let folded_before = &self.folded;
        let mut folded = HashMap::new();
        let mut elsewhere = HashMap::new();
        board::update(store, COUNTS, |rows: &mut Vec<Row>| {
            folded = folded_before.clone();
            if !written.is_empty() && !rows.iter().any(|row| row.vm == vm_id) {
                // Taken for ended: the totals written so far were folded in.
                folded = written.clone();
            }
            let is_alive = |row: &Row| {
                let (last, at) = seen.entry(row.vm).or_insert((row.beat, now));
                if *last != row.beat {
                    (*last, *at) = (row.beat, now);
                }
                now.since(*at) < ttl
            };
            fold_in_ended(rows, vm_id, is_alive);
            let alive: HashSet<u64> = rows.iter().map(|row| row.vm).collect();
            seen.retain(|vm, _| alive.contains(vm));
            elsewhere.clear();
            for (key, tally) in rows.iter().flat_map(|row| &row.counts) {
                let sum: &mut Tally = elsewhere.entry(*key).or_default();
                sum.add(tally);
            }
            // What was folded in but is ours is counted here already.
            for (key, tally) in &folded {
                let sum: &mut Tally = elsewhere.entry(*key).or_default();
                *sum = sum.without_totals(tally);
            }
            rows.push(Row {
                vm: vm_id,
                beat,
                counts: unfolded(mine, &folded),
            });
        })?;
        self.folded = folded;
        self.written = mine.iter().copied().collect();
        Ok(elsewhere)
    }
}

impl ConnectionCounts {
    /// Leaves the totals to the others, and nothing that is open: this VM ends. Should
    /// it go on after all, its next beat makes up for it.
    ///
    /// # Errors
    ///
    /// [`Lost`] when others were faster again and again; it is taken for ended later.
    pub(crate) fn end(
        &mut self,
        store: &mut impl Store,
        mine: &[(u64, Tally)],
    ) -> Result<(), Lost> {
        let (vm_id, folded) = (self.vm_id, &self.folded);
        board::update(store, COUNTS, |rows: &mut Vec<Row>| {
            for row in rows.iter_mut().filter(|row| row.vm == vm_id) {
                row.counts = unfolded(mine, folded);
            }
            fold(rows, |row| row.vm == vm_id);
        })?;
        self.written = mine.iter().copied().collect();
        Ok(())
    }
}

/// What of a VM's counts is not in the row of ended VMs yet.
fn unfolded(mine: &[(u64, Tally)], folded: &HashMap<u64, Tally>) -> Vec<(u64, Tally)> {
    let unfolded = |(key, tally): &(u64, Tally)| match folded.get(key) {
        Some(folded) => (*key, tally.without_totals(folded)),
        None => (*key, *tally),
    };
    mine.iter().map(unfolded).collect()
}

/// Takes out this VM's row, and folds the totals of ended VMs into the row
/// [`ENDED`].
fn fold_in_ended(rows: &mut Vec<Row>, vm_id: u64, mut is_alive: impl FnMut(&Row) -> bool) {
    rows.retain(|row| row.vm != vm_id);
    fold(rows, |row| row.vm != ENDED && !is_alive(row));
}

/// Folds the totals of some rows into the row [`ENDED`].
fn fold(rows: &mut Vec<Row>, mut is_over: impl FnMut(&Row) -> bool) {
    // In the order of the keys.
    let mut totals: Vec<(u64, Tally)> = Vec::new();
    rows.retain(|row| {
        if row.vm != ENDED && !is_over(row) {
            return true;
        }
        for (key, tally) in &row.counts {
            match totals.binary_search_by_key(key, |(known, _)| *known) {
                Ok(at) => {
                    if let Some((_, sum)) = totals.get_mut(at) {
                        sum.add(&tally.totals());
                    }
                }
                Err(at) => totals.insert(at, (*key, tally.totals())),
            }
        }
        false
    });
    if !totals.is_empty() {
        rows.push(Row {
            vm: ENDED,
            beat: 0,
            counts: totals,
        });
    }
}

/// The number of the row that keeps the totals of VMs that have ended.
const ENDED: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::memory_store::MemoryStore;

    const TTL: Duration = Duration::from_secs(1);
    const REPLICA: u64 = 7;

    fn tally(active: u32, connections: u64) -> Tally {
        Tally {
            active,
            connections,
            failures: 0,
            unserved: 0,
        }
    }

    fn at(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    #[test]
    fn each_vm_learns_the_sum_of_the_others() {
        let mut store = MemoryStore::default();
        let mut vms: Vec<ConnectionCounts> = (1..=3).map(ConnectionCounts::new).collect();
        for (vm, counts) in vms.iter_mut().enumerate() {
            let mine = [(REPLICA, tally(1, 10 + vm as u64))];
            counts.beat(&mut store, at(0), TTL, &mine).unwrap();
        }
        let mine = [(REPLICA, tally(1, 10))];
        let elsewhere = vms[0].beat(&mut store, at(10), TTL, &mine).unwrap();
        assert_eq!(elsewhere[&REPLICA], tally(2, 11 + 12));
    }

    #[test]
    fn of_an_ended_vm_the_totals_stay() {
        let mut store = MemoryStore::default();
        let (mut ends, mut stays) = (ConnectionCounts::new(1), ConnectionCounts::new(2));
        let mine = [(REPLICA, tally(3, 5))];
        ends.beat(&mut store, at(0), TTL, &mine).unwrap();
        let none: [(u64, Tally); 0] = [];
        let cases = [
            ("while its row is fresh", 0, tally(3, 5)),
            ("until the limit", 999, tally(3, 5)),
            ("then nothing of it is open", 1000, tally(0, 5)),
            ("and the totals are folded in once", 5000, tally(0, 5)),
        ];
        for (why, ms, expected) in cases {
            let elsewhere = stays.beat(&mut store, at(ms), TTL, &none).unwrap();
            assert_eq!(elsewhere[&REPLICA], expected, "{why}");
        }
    }

    #[test]
    fn one_that_ends_leaves_its_totals_at_once_and_may_go_on() {
        let mut store = MemoryStore::default();
        let (mut ends, mut stays) = (ConnectionCounts::new(1), ConnectionCounts::new(2));
        let none: [(u64, Tally); 0] = [];
        ends.beat(&mut store, at(0), TTL, &[(REPLICA, tally(1, 5))])
            .unwrap();
        ends.end(&mut store, &[(REPLICA, tally(0, 6))]).unwrap();
        let elsewhere = stays.beat(&mut store, at(0), TTL, &none).unwrap();
        assert_eq!(elsewhere[&REPLICA], tally(0, 6));
        for connections in [7, 8] {
            let mine = [(REPLICA, tally(1, connections))];
            let elsewhere = ends.beat(&mut store, at(0), TTL, &mine).unwrap();
            assert_eq!(elsewhere[&REPLICA], tally(0, 0), "its own are not others'");
            let elsewhere = stays.beat(&mut store, at(0), TTL, &none).unwrap();
            assert_eq!(elsewhere[&REPLICA], tally(1, connections));
        }
    }

    #[test]
    fn a_vm_taken_for_ended_is_counted_once_when_it_returns() {
        let mut store = MemoryStore::default();
        let (mut stalls, mut other) = (ConnectionCounts::new(1), ConnectionCounts::new(2));
        let none: [(u64, Tally); 0] = [];
        let mine = [(REPLICA, tally(3, 5))];
        stalls.beat(&mut store, at(0), TTL, &mine).unwrap();
        other.beat(&mut store, at(0), TTL, &none).unwrap();
        other.beat(&mut store, at(2000), TTL, &none).unwrap();

        let mine = [(REPLICA, tally(3, 6))];
        let elsewhere = stalls.beat(&mut store, at(2100), TTL, &mine).unwrap();
        assert_eq!(
            elsewhere[&REPLICA],
            tally(0, 0),
            "its own totals are not others'"
        );
        let elsewhere = other.beat(&mut store, at(2200), TTL, &none).unwrap();
        assert_eq!(elsewhere[&REPLICA], tally(3, 6));
    }

    #[test]
    fn a_beat_that_is_never_first_gives_up() {
        let mut store = MemoryStore::default();
        store.refuses = true;
        let mine = [(REPLICA, tally(1, 1))];
        let result = ConnectionCounts::new(1).beat(&mut store, at(0), TTL, &mine);
        assert_eq!(result, Err(Lost));
    }
}

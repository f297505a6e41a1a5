//! Which VMs of the process are there: what others have counted and then ended is void.

use crate::shared::board::{self, CLIENT_VMS, Store};
use crate::time::Moment;
use std::collections::HashMap;
use std::time::Duration;

/// The VMs that count clients.
#[derive(Debug, Default)]
pub(super) struct Vms {
    /// This one's number; `None`: it has not met the others.
    own: Option<u64>,
    beat: u64,
    /// When each of the others last beat.
    seen: HashMap<u64, (u64, Moment)>,
    /// The newest that was known at the last beat: later ones may be there.
    newest: u64,
    due: Moment,
}

/// What the list of VMs is.
type Rows = (u64, Vec<(u64, u64)>);

/// Whether the others took this VM for one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Known,
    TakenForEnded,
}

impl Vms {
    /// This VM's number, once it has met the others.
    pub(super) fn own(&self) -> Option<u64> {
        self.own
    }

    pub(super) fn is_due(&self, now: Moment) -> bool {
        now >= self.due || self.own.is_none()
    }

    /// Says that this VM is there, and learns which others are. Lost to others, the next
    /// time will do.
    pub(super) fn beat(&mut self, store: &mut impl Store, now: Moment) -> Standing {
        self.due = now.plus(INTERVAL);
        self.beat = self.beat.wrapping_add(1);
        let (own, beat, seen, known) = (self.own, self.beat, &mut self.seen, self.newest);
        let met = board::update(store, CLIENT_VMS, |(newest, rows): &mut Rows| {
            // In a list that knows of fewer than there have been, another may have its number.
            let was_listed = *newest >= known && rows.iter().any(|(vm, _)| Some(*vm) == own);
            rows.retain(|(vm, beat)| {
                let (last, at) = seen.entry(*vm).or_insert((*beat, now));
                if *last != *beat {
                    (*last, *at) = (*beat, now);
                }
                Some(*vm) != own && now.since(*at) < TTL
            });
            // One that was taken for ended is a new one: nobody takes its rows for void, who
            // does not know that it is back.
            let own = own.filter(|_| was_listed);
            let own = own.unwrap_or_else(|| known.max(*newest).wrapping_add(1));
            *newest = own.max(*newest);
            rows.push((own, beat));
            (own, *newest, rows.clone())
        });
        let Ok((met, newest, rows)) = met else {
            return Standing::Known;
        };
        self.seen
            .retain(|vm, _| rows.iter().any(|(row, _)| row == vm));
        self.newest = newest;
        match self.own.replace(met) {
            Some(before) if before != met => Standing::TakenForEnded,
            _ => Standing::Known,
        }
    }

    /// Whether what a VM has counted holds.
    pub(super) fn is_there(&self, vm: u64) -> bool {
        vm > self.newest || self.seen.contains_key(&vm)
    }
}

/// Between two beats.
const INTERVAL: Duration = Duration::from_secs(1);
/// So long a VM that does not beat is taken for one that stands still.
const TTL: Duration = Duration::from_secs(5);

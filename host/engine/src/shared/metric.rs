//! Counters, gauges and histograms.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use super::{read, write};
use crate::status::{HostcallError, HostcallResult};

/// Metrics are counters, gauges or histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKind {
    /// Only grows.
    Counter = 0,
    /// Goes up and down.
    Gauge = 1,
    /// Counts values by size.
    Histogram = 2,
}

/// A metric as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What it is.
    pub kind: MetricKind,
    /// As the guest named it, without Envoy's prefix `wasmcustom.`.
    pub name: String,
    /// Of a counter or gauge (one below zero wraps around, as in Envoy); of a
    /// histogram how many values it counted.
    pub value: u64,
    /// Of a histogram: sum of all values.
    pub sum: u64,
    /// Of a histogram: upper bounds and how many values are at most that.
    pub buckets: Vec<(u64, u64)>,
}

/// All metrics of a process.
#[derive(Default)]
pub(crate) struct MetricRegistry(RwLock<BTreeMap<(String, MetricKind), Arc<MetricCell>>>);

#[derive(Debug)]
struct MetricCell {
    kind: MetricKind,
    value: AtomicU64,
    sum: AtomicU64,
    /// Values above the bound before and at most this one.
    buckets: Box<[AtomicU64]>,
}

/// The metrics one VM defined, by the id it knows them by.
#[derive(Default)]
pub(crate) struct MetricTable {
    /// By kind, each with ids of its own.
    cells: [Vec<Arc<MetricCell>>; 3],
    ids: HashMap<(String, MetricKind), u32>,
}

impl MetricRegistry {
    pub(super) fn snapshot(&self) -> Vec<Metric> {
        read(&self.0)
            .iter()
            .map(|((name, _), cell)| cell.snapshot(name))
            .collect()
    }

    pub(super) fn value(&self, name: &str) -> Option<u64> {
        let metrics = read(&self.0);
        [MetricKind::Counter, MetricKind::Gauge]
            .into_iter()
            .find_map(|kind| metrics.get(&(name.to_owned(), kind)))
            .map(|cell| cell.value.load(Ordering::Relaxed))
    }

    pub(super) fn count_up(&self, name: &str) -> HostcallResult {
        let cell = self.cell(name, MetricKind::Counter)?;
        cell.value.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn cell(&self, name: &str, kind: MetricKind) -> Result<Arc<MetricCell>, HostcallError> {
        let key = (name.to_owned(), kind);
        if let Some(cell) = read(&self.0).get(&key) {
            return Ok(cell.clone());
        }
        let mut metrics = write(&self.0);
        if metrics.len() >= MAX_METRICS {
            return Err(HostcallError::Internal);
        }
        Ok(metrics
            .entry(key)
            .or_insert_with(|| Arc::new(MetricCell::new(kind)))
            .clone())
    }
}

impl MetricTable {
    /// The id of the metric of this name; the same name has the same id.
    pub(crate) fn define(
        &mut self,
        registry: &MetricRegistry,
        kind: MetricKind,
        name: &str,
    ) -> Result<u32, HostcallError> {
        if name.len() > MAX_NAME_LEN {
            return Err(HostcallError::BadArgument);
        }
        let key = (name.to_owned(), kind);
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        let cells = &mut self.cells[kind as usize];
        cells.push(registry.cell(name, kind)?);
        // Envoy's scheme: the two low bits are the kind, and no id is 0.
        let id = (cells.len() as u32) << 2 | kind as u32;
        self.ids.insert(key, id);
        Ok(id)
    }

    pub(crate) fn increment(&self, id: u32, delta: i64) -> HostcallResult {
        let cell = self.cell(id, HostcallError::BadArgument)?;
        match cell.kind {
            MetricKind::Counter if delta <= 0 => return Err(HostcallError::BadArgument),
            MetricKind::Counter | MetricKind::Gauge => {
                // As in Envoy, who sees the new value sees what was done before: guests
                // announce by a metric what they have written to shared data.
                cell.value.fetch_add(delta as u64, Ordering::AcqRel);
            }
            MetricKind::Histogram => return Err(HostcallError::BadArgument),
        }
        Ok(())
    }

    pub(crate) fn record(&self, id: u32, value: u64, counters: CounterRecord) -> HostcallResult {
        let cell = self.cell(id, HostcallError::NotFound)?;
        match (cell.kind, counters) {
            (MetricKind::Counter, CounterRecord::Adds) => {
                cell.value.fetch_add(value, Ordering::Relaxed);
            }
            (MetricKind::Counter, CounterRecord::Sets) | (MetricKind::Gauge, _) => {
                cell.value.store(value, Ordering::Relaxed);
            }
            (MetricKind::Histogram, _) => cell.count(value),
        }
        Ok(())
    }

    pub(crate) fn get(&self, id: u32) -> Result<u64, HostcallError> {
        let cell = self.cell(id, HostcallError::BadArgument)?;
        match cell.kind {
            MetricKind::Counter | MetricKind::Gauge => Ok(cell.value.load(Ordering::Acquire)),
            MetricKind::Histogram => Err(HostcallError::BadArgument),
        }
    }

    /// The metric of this id. An id whose low bits name no counter and no gauge
    /// is refused with `odd` where Envoy does not look any further.
    fn cell(&self, id: u32, odd: HostcallError) -> Result<&MetricCell, HostcallError> {
        let index = (id >> 2).checked_sub(1);
        let cells = self.cells.get((id & 3) as usize);
        let cell = index.and_then(|index| cells?.get(index as usize));
        match cell {
            Some(cell) => Ok(cell),
            None if id & 3 >= 2 => Err(odd),
            None => Err(HostcallError::NotFound),
        }
    }
}

/// What recording a value on a counter does.
#[derive(Clone, Copy)]
pub(crate) enum CounterRecord {
    /// Envoy adds it.
    Adds,
    /// The specification sets it.
    Sets,
}

impl MetricCell {
    fn new(kind: MetricKind) -> MetricCell {
        let buckets = match kind {
            MetricKind::Histogram => BOUNDS.iter().map(|_| AtomicU64::new(0)).collect(),
            MetricKind::Counter | MetricKind::Gauge => Box::default(),
        };
        MetricCell {
            kind,
            value: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            buckets,
        }
    }

    fn count(&self, value: u64) {
        self.value.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
        let bucket = BOUNDS.iter().position(|bound| value <= *bound);
        if let Some(bucket) = bucket.and_then(|index| self.buckets.get(index)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn snapshot(&self, name: &str) -> Metric {
        let mut below = 0;
        let buckets = BOUNDS.iter().zip(&self.buckets).map(|(bound, count)| {
            below += count.load(Ordering::Relaxed);
            (*bound, below)
        });
        Metric {
            kind: self.kind,
            name: name.to_owned(),
            value: self.value.load(Ordering::Relaxed),
            sum: self.sum.load(Ordering::Relaxed),
            buckets: buckets.collect(),
        }
    }
}

/// Upper bounds of a histogram's buckets: Envoy's, in whole numbers.
const BOUNDS: [u64; 18] = [
    1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000,
    1_800_000, 3_600_000,
];
/// Most metrics of a process; a guest that makes more leaks names.
const MAX_METRICS: usize = 100_000;
/// Longest name of a metric, bytes.
const MAX_NAME_LEN: usize = 1024;

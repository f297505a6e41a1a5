//! What the VMs of a process share.

/// What VMs of a process share: data and queues (by VM id) and metrics. Cheap to clone.
///
/// It outlives the VMs, so that a VM that is rebuilt finds what it left.
#[derive(Clone, Default)]
pub struct Shared {}

/// Metrics are counters, gauges or histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Of a counter or gauge; of a histogram how many values it counted.
    pub value: u64,
    /// Of a histogram: sum of all values.
    pub sum: u64,
    /// Of a histogram: upper bounds and how many values are at most that.
    pub buckets: Vec<(u64, u64)>,
}

impl Shared {
    /// An empty store.
    pub fn new() -> Shared {
        Shared::default()
    }

    /// All metrics, by name.
    pub fn metrics(&self) -> Vec<Metric> {
        unimplemented!()
    }

    /// Value of the counter or gauge of this name.
    pub fn metric(&self, _name: &str) -> Option<u64> {
        unimplemented!()
    }
}

//! How long something took, by buckets.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::metrics::exposition::Distribution;

/// Upper bounds of the buckets, in microseconds, smallest first.
pub(super) type Bounds = [u64; 14];

/// How often something took how long: two cache lines, shared with nothing else.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Histogram {
    /// Values above the bound before and at most this one; then those above all.
    counts: [AtomicU64; 15],
    sum_us: AtomicU64,
}

impl Histogram {
    pub(super) fn count(&self, bounds: &Bounds, value: Duration) {
        let value = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let bucket = bounds.iter().take_while(|bound| value > **bound).count();
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(value, Relaxed);
    }

    /// Adds what another has counted.
    pub(super) fn add(&self, other: &Histogram) {
        for (own, other) in self.counts.iter().zip(&other.counts) {
            own.fetch_add(other.load(Relaxed), Relaxed);
        }
        self.sum_us.fetch_add(other.sum_us.load(Relaxed), Relaxed);
    }

    /// In seconds.
    pub(super) fn distribution(&self, bounds: &Bounds) -> Distribution {
        let mut below = 0;
        let mut up_to = |count: &AtomicU64| {
            below += count.load(Relaxed);
            below
        };
        let buckets = bounds.iter().zip(&self.counts);
        let buckets = buckets.map(|(bound, count)| (seconds(*bound), up_to(count)));
        let buckets = buckets.collect();
        Distribution {
            buckets,
            count: self.counts.last().map_or(0, up_to),
            sum: seconds(self.sum_us.load(Relaxed)),
        }
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = [
        10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 300, 400, 500_000,
    ];

    #[test]
    fn a_value_is_in_the_bucket_of_its_bound_and_in_all_above() {
        let cases = [(0, 14), (10, 14), (11, 13), (500_000, 1), (500_001, 0)];
        for (us, buckets) in cases {
            let histogram = Histogram::default();
            histogram.count(&BOUNDS, Duration::from_micros(us));
            let found = histogram.distribution(&BOUNDS);
            let holding = found.buckets.iter().filter(|(_, below)| *below == 1);
            assert_eq!(holding.count(), buckets, "{us} µs: {found:?}");
            assert_eq!(found.count, 1, "{us} µs");
        }
    }

    #[test]
    fn sums_are_in_seconds_and_add_up() {
        let (one, all) = (Histogram::default(), Histogram::default());
        one.count(&BOUNDS, Duration::from_millis(250));
        for _ in 0..2 {
            all.add(&one);
        }
        let all = all.distribution(&BOUNDS);
        assert_eq!((all.count, all.sum), (2, 0.5));
        assert_eq!(all.buckets.last(), Some(&(0.5, 2)));
    }
}

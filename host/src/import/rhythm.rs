//! When replicas are probed, and how many answers settle their state.

use std::time::Duration;

use super::found::{self, At, Service};
use super::note::Notes;
use super::output::{Check, Health};
use super::written::time;

/// When replicas are probed: one rhythm for all listeners, of the check `asked`, which
/// became `check`. `None`: the old balancer asked nothing.
pub(super) fn rhythm(
    services: &[Service],
    asked: Option<&At<found::Check>>,
    check: Check,
    notes: &mut Notes,
) -> Health {
    let Some(At {
        value: first,
        place,
    }) = asked
    else {
        return Health {
            check,
            ..Health::default()
        };
    };
    for other in services.iter().filter_map(|service| service.check.as_ref()) {
        if rhythm_of(first) != rhythm_of(&other.value) {
            let text = format!(
                "when replicas are probed is one thing for all listeners, and that of {place} is taken"
            );
            notes.not_taken(&other.place, text);
        }
    }
    // What is given alone is measured by the default of the other.
    let implied = first.timeout.or(first.fast_interval);
    let interval = first
        .interval
        .or(implied.map(|implied| implied.max(INTERVAL)));
    if let (None, Some(interval)) = (first.interval, interval.filter(|one| *one > INTERVAL)) {
        let text = format!(
            "replicas are probed every {} now, and were every {}: a timeout can't be longer than the \
             interval; to find a sick one sooner, shorten both",
            time(interval),
            time(INTERVAL)
        );
        notes.advice(place, text);
    }
    let mut at_most_interval = |value: Option<Duration>, what: &str| {
        let (value, interval) = (value?, interval?);
        if value > interval {
            let text = format!(
                "{what} ({}) is longer than the interval ({}), and is cut to it",
                time(value),
                time(interval)
            );
            notes.not_taken(place, text);
        }
        Some(time(value.min(interval)))
    };
    let timeout = at_most_interval(first.timeout, "the timeout");
    let fast_interval = at_most_interval(
        first.fast_interval,
        "the interval while a change is pending",
    );
    Health {
        check,
        interval: interval.map(time),
        fast_interval,
        down_interval: first.down_interval.map(time),
        timeout,
        rise: first.rise.map(|count| count.clamp(1, 1000)),
        fall: first.fall.map(|count| count.clamp(1, 1000)),
    }
}

fn rhythm_of(check: &found::Check) -> impl PartialEq {
    (
        [check.interval, check.fast_interval],
        [check.down_interval, check.timeout],
        [check.rise, check.fall],
    )
}

/// The default of all, in HAProxy too.
const INTERVAL: Duration = Duration::from_secs(2);

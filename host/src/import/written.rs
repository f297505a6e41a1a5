//! Values as the configuration has them.

use std::time::Duration;

use super::found::{At, Server};

/// A time with its unit, in whole milliseconds, at least one and at most a year.
pub(super) fn time(time: Duration) -> String {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    let longest = Duration::from_secs(365 * 24 * 60 * 60);
    let whole = u64::try_from(milliseconds.max(1)).map_or(longest, Duration::from_millis);
    humantime::format_duration(whole.min(longest)).to_string()
}

/// A limit of connections, within what can be configured.
pub(super) fn connections(limit: &At<u64>) -> u64 {
    limit.value.clamp(1, MOST_CONNECTIONS)
}

/// Inclusive statuses.
pub(super) fn range((first, last): &(u16, u16)) -> String {
    match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    }
}

/// The weights of the replicas' first servers, as small as their proportions allow
/// and at most 1000; `None`: 1, the default.
pub(super) fn weights(servers: &[Vec<&Server>]) -> Vec<Option<u64>> {
    let first = servers
        .iter()
        .map(|same| same.first().map_or(1, |one| one.weight.max(1)));
    let weights: Vec<u64> = first.collect();
    let common = weights
        .iter()
        .copied()
        .reduce(greatest_divisor)
        .unwrap_or(1)
        .max(1);
    let largest = weights.iter().max().map_or(1, |largest| largest / common);
    let smaller = |weight: u64| match largest > MOST_WEIGHT {
        true => {
            (u128::from(weight / common) * u128::from(MOST_WEIGHT) / u128::from(largest)) as u64
        }
        false => weight / common,
    };
    let smaller = weights.into_iter().map(|weight| smaller(weight).max(1));
    smaller
        .map(|weight| (weight != 1).then_some(weight))
        .collect()
}

fn greatest_divisor(one: u64, other: u64) -> u64 {
    match other {
        0 => one,
        _ => greatest_divisor(other, one % other),
    }
}

/// Names in a row, the first twenty.
pub(super) fn list(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    names.truncate(MOST_NAMES);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// The most that `max_connections` may say.
pub(super) const MOST_CONNECTIONS: u64 = 1_000_000;
const MOST_WEIGHT: u64 = 1000;
const MOST_NAMES: usize = 20;

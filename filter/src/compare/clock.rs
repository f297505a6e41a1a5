//! The replicas' clocks, against each other's and our own.

use super::disagreement::{Disagreement, Fault, Subject};
use super::observation::Observed;

/// How far each replica's clock is ahead of what most clocks show, in milliseconds, in
/// the order of the replicas; `None`: not known.
pub fn skews_ms(replicas: &[Observed<'_>]) -> Vec<Option<i64>> {
    let usual = usual_ms(replicas);
    let offsets = replicas.iter().map(|(_, it)| it.clock_offset_ms);
    offsets
        .map(|offset| Some(offset?.saturating_sub(usual)))
        .collect()
}

pub(super) fn compare(replicas: &[Observed<'_>]) -> Vec<Disagreement> {
    beyond(TOLERANCE_MS, replicas)
}

/// Clocks that were known to be off, and are not found to be, but are not yet right
/// again: one that is off by about the tolerance does not come and go with the
/// resolution of `Date`.
pub(super) fn not_yet_right(
    replicas: &[Observed<'_>],
    known: &[Disagreement],
    found: &[Disagreement],
) -> Vec<Disagreement> {
    let mut off = beyond(TOLERANCE_MS - DATE_RESOLUTION_MS, replicas);
    let is_in =
        |list: &[Disagreement], clock: &Disagreement| list.iter().any(|one| one.is_same(clock));
    off.retain(|clock| is_in(known, clock) && !is_in(found, clock));
    off
}

/// Clocks that are off by this much or more.
fn beyond(tolerance_ms: u64, replicas: &[Observed<'_>]) -> Vec<Disagreement> {
    let is_off = |skew_ms: i64| skew_ms.unsigned_abs() >= tolerance_ms;
    let mut found: Vec<Disagreement> = (replicas.iter().zip(skews_ms(replicas)))
        .filter_map(|((name, _), skew)| Some((*name, skew.filter(|skew| is_off(*skew))?)))
        .map(|(name, skew)| Disagreement {
            subject: Subject::Clock,
            fault: Fault::Unlike,
            replicas: vec![name.to_owned()],
            text: format!(
                "its clock is {} the others'; tokens that one replica issues are \"not valid yet\" or over for \
                 another: synchronise it (NTP)",
                direction(skew)
            ),
        })
        .collect();
    let ours = usual_ms(replicas).saturating_neg();
    if is_off(ours) {
        found.push(Disagreement {
            subject: Subject::Clock,
            fault: Fault::Unlike,
            replicas: Vec::new(),
            text: format!(
                "its clock is {} the replicas'; synchronise it (NTP)",
                direction(ours)
            ),
        });
    }
    found
}

/// How far most clocks are ahead of ours: the median of theirs and our own. Of two in
/// the middle it is the one nearer to us.
fn usual_ms(replicas: &[Observed<'_>]) -> i64 {
    let offsets = replicas.iter().filter_map(|(_, it)| it.clock_offset_ms);
    let offsets = in_order(offsets.chain([0]));
    let upper = offsets.len() / 2;
    let lower = offsets.len().saturating_sub(1) / 2;
    let middle = [offsets.get(lower), offsets.get(upper)];
    let nearest = middle
        .into_iter()
        .flatten()
        .min_by_key(|offset| offset.unsigned_abs());
    nearest.copied().unwrap_or_default()
}

/// There are as few as there are replicas: a sort of the library is more code than this
/// whole comparison.
fn in_order(offsets: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut in_order = Vec::new();
    for offset in offsets {
        in_order.insert(in_order.partition_point(|one| *one <= offset), offset);
    }
    in_order
}

/// How far off that is, ahead or behind, to the nearest second.
pub(crate) fn whole_seconds(skew_ms: i64) -> u64 {
    skew_ms.unsigned_abs().saturating_add(500) / 1000
}

fn direction(skew_ms: i64) -> String {
    let seconds = whole_seconds(skew_ms);
    let span = match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7200..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    };
    let side = if skew_ms > 0 { "ahead of" } else { "behind" };
    format!("{span} {side}")
}

/// Clocks that are kept differ by less, and `Date` itself is right to a second only.
const TOLERANCE_MS: u64 = 5000;

/// `Date` has whole seconds.
const DATE_RESOLUTION_MS: u64 = 1000;

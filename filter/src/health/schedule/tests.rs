use super::*;
use crate::config::Start;

const HEALTH: Health = Health {
    interval_ms: 2000,
    fast_interval_ms: 500,
    down_interval_ms: 1000,
    timeout_ms: 1000,
    rise: 2,
    fall: 3,
    jitter: 0.0,
    start: Start::Up,
};

fn at(ms: u64) -> Moment {
    Moment::at(Duration::from_millis(ms))
}

fn started(size: usize) -> Schedule {
    let mut schedule = Schedule::new(HEALTH, size);
    schedule.start(at(0));
    schedule
}

fn due(schedule: &mut Schedule, ms: u64) -> Vec<(ProbeId, usize)> {
    schedule.take_due(at(ms), &mut Random::seeded(1), |_| false)
}

#[test]
fn few_are_due_at_once_and_many_are_spread() {
    assert_eq!(due(&mut started(3), 0).len(), 3);
    let mut many = started(100);
    assert_eq!(due(&mut many, 0).len(), 1, "one in 20 ms");
    assert_eq!(due(&mut many, 1000).len(), 50);
}

#[test]
fn the_next_is_an_interval_after_the_last_was_sent() {
    let mut schedule = started(1);
    let (probe, number) = due(&mut schedule, 100)[0];
    let finished = schedule.finish(probe, at(900)).unwrap();
    assert_eq!(
        (finished.number, finished.latency),
        (number, Duration::from_millis(800))
    );
    schedule.plan_next(finished, Duration::from_millis(2000));
    assert_eq!(schedule.next_wake(|_| false), Some(at(2100)));
    assert_eq!(due(&mut schedule, 2099), []);
    assert_eq!(due(&mut schedule, 2100).len(), 1);
}

#[test]
fn jitter_stays_within_its_fraction() {
    let jittered = Health {
        jitter: 0.25,
        ..HEALTH
    };
    let mut random = Random::seeded(1);
    let mut waits = Vec::new();
    for _ in 0..200 {
        let mut schedule = Schedule::new(jittered, 1);
        schedule.start(at(0));
        let (probe, _) = schedule.take_due(at(0), &mut random, |_| false)[0];
        let finished = schedule.finish(probe, at(0)).unwrap();
        schedule.plan_next(finished, Duration::from_millis(1000));
        waits.extend(schedule.next_wake(|_| false).map(Moment::age));
    }
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*least >= Duration::from_millis(750) && *least < Duration::from_millis(800));
    assert!(*most <= Duration::from_millis(1250) && *most > Duration::from_millis(1200));
}

#[test]
fn a_probe_is_over_once_and_an_unknown_one_is_ignored() {
    let mut schedule = started(1);
    let (probe, _) = due(&mut schedule, 0)[0];
    assert!(schedule.finish(ProbeId(99), at(1)).is_none(), "unknown");
    assert!(schedule.finish(probe, at(1)).is_some());
    assert!(schedule.finish(probe, at(2)).is_none(), "over already");
    let (probe, _) = {
        let mut again = started(1);
        due(&mut again, 0)[0]
    };
    schedule.stop();
    assert!(schedule.finish(probe, at(3)).is_none(), "given up");
}

#[test]
fn a_lost_answer_is_given_up_after_the_hosts_own_timeout() {
    let mut schedule = started(1);
    let (probe, _) = due(&mut schedule, 0)[0];
    let cases = [
        ("fresh", 700, false, false),
        ("about the time it may take", 750, true, false),
        ("the host's own timeout comes first", 1249, true, false),
        ("then it is lost", 1250, true, true),
    ];
    for (why, ms, is_late, is_lost) in cases {
        assert_eq!(schedule.is_late(probe, at(ms)), is_late, "{why}");
        assert_eq!(!schedule.lost(at(ms)).is_empty(), is_lost, "{why}");
    }
    assert_eq!(schedule.next_wake(|_| false), Some(at(1250)));
}

#[test]
fn what_is_skipped_is_not_due_and_needs_no_wake() {
    let mut schedule = started(2);
    let probes = schedule.take_due(at(0), &mut Random::seeded(1), |number| number == 0);
    assert_eq!(probes.len(), 1);
    assert_eq!(probes[0].1, 1);
    schedule.stop();
    assert_eq!(schedule.next_wake(|_| true), None);
}

#[test]
fn no_more_are_under_way_than_the_bound() {
    let mut schedule = started(1000);
    assert_eq!(due(&mut schedule, 5000).len(), MOST_UNDER_WAY);
    assert_eq!(due(&mut schedule, 5000), []);
    assert_eq!(schedule.under_way(), MOST_UNDER_WAY);
}

#[test]
fn many_that_are_due_at_about_the_same_time_are_left_to_one_wake() {
    assert_eq!(started(ALL_AT_ONCE).next_wake(|_| false), Some(at(0)));
    let mut many = started(1000);
    let wake = many.next_wake(|_| false).unwrap();
    assert_eq!(wake.age(), Duration::from_millis(2000) / PATIENCE);
    let together = many.take_due(wake, &mut Random::seeded(1), |_| false);
    assert_eq!(together.len(), 8, "one in 2 ms");
}

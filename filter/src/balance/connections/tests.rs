use super::*;
use std::time::Duration;

const NAMES: [&str; 3] = ["r1", "r2", "r3"];
const LISTENER: ListenerId = ListenerId(0);
const STREAM: StreamId = StreamId(7);

struct Names;

impl ReplicaNames for Names {
    fn id(&self, name: &str) -> Option<ReplicaId> {
        let number = NAMES.iter().position(|known| *known == name)?;
        Some(ReplicaId(number as u32))
    }

    fn is_named(&self, id: ReplicaId, name: &str) -> bool {
        NAMES.get(id.index()) == Some(&name)
    }
}

fn active(connections: &Connections) -> [u32; 3] {
    [0, 1, 2].map(|number| connections.counts().here(ReplicaId(number)).active)
}

fn totals(connections: &Connections) -> [(u64, u64); 3] {
    [0, 1, 2].map(|number| {
        let tally = connections.counts().here(ReplicaId(number));
        (tally.connections, tally.failures)
    })
}

#[test]
fn a_connection_counts_where_it_ends_up() {
    let (first, second) = (ReplicaId(0), ReplicaId(1));
    let cases = [
        (
            "it reached the chosen one",
            UpstreamOutcome::Reached("r1"),
            [1, 0, 0],
            [(1, 0), (0, 0), (0, 0)],
            None,
        ),
        (
            "the runner-up took over",
            UpstreamOutcome::Reached("r2"),
            [0, 1, 0],
            [(0, 1), (1, 0), (0, 0)],
            Some(first),
        ),
        (
            "not connected yet",
            UpstreamOutcome::Pending,
            [1, 0, 0],
            [(0, 0), (0, 0), (0, 0)],
            None,
        ),
        (
            "a failed attempt while open: the next may be under way",
            UpstreamOutcome::Failed,
            [1, 0, 0],
            [(0, 0), (0, 0), (0, 0)],
            None,
        ),
        (
            "an unknown replica",
            UpstreamOutcome::Reached("r9"),
            [0, 0, 0],
            [(0, 1), (0, 0), (0, 0)],
            Some(first),
        ),
    ];
    for (why, outcome, open, expected, failed) in cases {
        let mut connections = Connections::default();
        connections.opened(STREAM, LISTENER, first);
        let progress = connections.located(STREAM, outcome, &Names);
        assert_eq!(active(&connections), open, "{why}");
        assert_eq!(totals(&connections), expected, "{why}");
        assert_eq!(progress.failed, failed, "{why}");

        connections.closed(STREAM, outcome, &Names);
        assert_eq!(active(&connections), [0, 0, 0], "{why}, then closed");
        assert!(connections.is_empty(), "{why}, then closed");
    }
    let mut connections = Connections::default();
    connections.opened(STREAM, LISTENER, first);
    let progress = connections.closed(STREAM, UpstreamOutcome::Reached("r2"), &Names);
    assert_eq!(progress.changed, [Some(first), Some(second)]);
    assert_eq!(
        (progress.failed, progress.reached),
        (Some(first), Some(second))
    );
}

#[test]
fn an_end_before_the_first_byte_is_charged_to_the_replica_reached() {
    let (first, second) = (ReplicaId(0), ReplicaId(1));
    let cases = [
        ("by the chosen one", None, "r1", None, first),
        ("by the runner-up", None, "r2", Some(first), second),
        ("known to be there", Some("r2"), "r2", None, second),
    ];
    for (why, before, by, failed, expected) in cases {
        let mut connections = Connections::default();
        connections.opened(STREAM, LISTENER, first);
        if let Some(name) = before {
            connections.located(STREAM, UpstreamOutcome::Connected(name), &Names);
        }
        let progress = connections.left_unserved(STREAM, by, Blame::Yes, &Names);
        assert_eq!(progress.reached, None, "{why}: that would end a hold");
        assert_eq!(
            (progress.failed, progress.unserved),
            (failed, Some(expected)),
            "{why}"
        );
        let again = connections.left_unserved(STREAM, by, Blame::Yes, &Names);
        assert_eq!(again.unserved, None, "{why}: once for a connection");
        connections.closed(STREAM, UpstreamOutcome::Connected(by), &Names);
        let here = connections.counts().here(expected);
        assert_eq!((here.connections, here.unserved), (1, 1), "{why}");
        assert_eq!(active(&connections), [0, 0, 0], "{why}");
    }
}

#[test]
fn who_gave_the_replica_nothing_to_answer_is_not_charged_to_it() {
    let mut connections = Connections::default();
    connections.opened(STREAM, LISTENER, ReplicaId(0));
    let progress = connections.left_unserved(STREAM, "r1", Blame::No, &Names);
    assert_eq!((progress.failed, progress.unserved), (None, None));
    let moved = connections.closed(STREAM, UpstreamOutcome::Reached("r2"), &Names);
    assert_eq!((moved.failed, moved.reached), (None, Some(ReplicaId(1))));
    assert_eq!(totals(&connections), [(1, 0), (1, 0), (0, 0)]);
}

#[test]
fn closed_twice_or_never_opened_changes_nothing() {
    let mut connections = Connections::default();
    connections.opened(STREAM, LISTENER, ReplicaId(0));
    connections.closed(STREAM, UpstreamOutcome::Failed, &Names);
    let before = totals(&connections);
    for stream in [STREAM, StreamId(99)] {
        let progress = connections.closed(stream, UpstreamOutcome::Failed, &Names);
        assert_eq!(progress, Progress::default(), "{stream:?}");
    }
    assert_eq!(totals(&connections), before);
    assert_eq!(before[0], (0, 1), "the failure at its end counts once");
}

#[test]
fn a_number_used_twice_closes_the_first() {
    let mut connections = Connections::default();
    assert_eq!(connections.opened(STREAM, LISTENER, ReplicaId(0)), None);
    let before = connections.opened(STREAM, LISTENER, ReplicaId(1));
    assert_eq!(before, Some(ReplicaId(0)));
    assert_eq!(active(&connections), [0, 1, 0]);
}

#[test]
fn what_the_proxy_chose_counts_once_it_is_known() {
    let mut connections = Connections::default();
    connections.opened(STREAM, LISTENER, ReplicaId(0));
    assert_eq!(connections.not_steered(STREAM), Some(ReplicaId(0)));
    assert_eq!(active(&connections), [0, 0, 0]);
    let progress = connections.located(STREAM, UpstreamOutcome::Reached("r3"), &Names);
    assert_eq!(active(&connections), [0, 0, 1]);
    assert_eq!(progress.failed, None, "none failed: none was chosen");
}

#[test]
fn the_unsettled_are_named_oldest_first_and_once() {
    let mut connections = Connections::default();
    for stream in 0..5 {
        connections.opened(StreamId(stream), LISTENER, ReplicaId(0));
    }
    connections.closed(StreamId(1), UpstreamOutcome::Pending, &Names);
    let named = connections.take_unsettled(3, Moment::START);
    assert_eq!(named, [StreamId(0), StreamId(2), StreamId(3)]);
    connections.located(StreamId(0), UpstreamOutcome::Pending, &Names);
    connections.located(StreamId(2), UpstreamOutcome::Reached("r1"), &Names);
    let named = connections.take_unsettled(9, Moment::START);
    assert_eq!(named, [StreamId(4), StreamId(0)], "asked again at the end");
}

#[test]
fn one_that_moves_after_it_was_found_is_found_again() {
    let mut connections = Connections::default();
    let take = |connections: &mut Connections, ms| {
        connections.take_unsettled(9, Moment::at(Duration::from_millis(ms)))
    };
    connections.opened(STREAM, LISTENER, ReplicaId(0));
    assert_eq!(take(&mut connections, 0), [STREAM]);
    connections.located(STREAM, UpstreamOutcome::Connected("r1"), &Names);
    assert_eq!(take(&mut connections, 999), []);
    assert_eq!(take(&mut connections, 1000), [STREAM]);
    let again = connections.located(STREAM, UpstreamOutcome::Connected("r1"), &Names);
    let (failed, reached) = (again.failed, again.reached);
    assert_eq!((failed, reached), (None, None), "nothing happened");
    assert_eq!(again.changed, [None, None]);
    connections.left_unserved(STREAM, "r1", Blame::Yes, &Names);
    assert_eq!(take(&mut connections, 2999), []);
    assert_eq!(take(&mut connections, 3000), [STREAM]);
    let moved = connections.located(STREAM, UpstreamOutcome::Reached("r2"), &Names);
    assert_eq!(moved.failed, None, "no connect failed");
    assert_eq!(moved.reached, Some(ReplicaId(1)));
    assert_eq!(moved.changed, [Some(ReplicaId(0)), Some(ReplicaId(1))]);
    assert_eq!(active(&connections), [0, 1, 0]);
    assert_eq!(totals(&connections), [(1, 0), (1, 0), (0, 0)]);

    connections.closed(STREAM, UpstreamOutcome::Reached("r3"), &Names);
    assert_eq!(active(&connections), [0, 0, 0]);
    assert_eq!(totals(&connections), [(1, 0), (1, 0), (1, 0)]);
    assert_eq!(connections.counts().here(ReplicaId(0)).unserved, 1);
}

#[test]
fn where_an_old_connection_is_does_not_change() {
    let mut connections = Connections::default();
    connections.opened(STREAM, LISTENER, ReplicaId(0));
    let mut looked_at = Vec::new();
    for second in 0..100 {
        let now = Moment::at(Duration::from_secs(second));
        for stream in connections.take_unsettled(9, now) {
            looked_at.push(second);
            connections.located(stream, UpstreamOutcome::Reached("r1"), &Names);
        }
    }
    assert_eq!(looked_at, [0, 1, 3, 7, 15, 31]);
}

#[test]
fn a_replicas_connections_are_found_by_listener() {
    let mut connections = Connections::default();
    connections.opened(StreamId(1), ListenerId(0), ReplicaId(0));
    connections.opened(StreamId(2), ListenerId(1), ReplicaId(0));
    connections.opened(StreamId(3), ListenerId(0), ReplicaId(1));
    let found: Vec<StreamId> = connections
        .of(ReplicaId(0), |listener| listener == ListenerId(0))
        .collect();
    assert_eq!(found, [StreamId(1)]);
}

#[test]
fn one_that_began_before_the_vm_is_open_and_was_counted() {
    let mut connections = Connections::default();
    connections.adopted(STREAM, LISTENER, ReplicaId(1));
    connections.located(STREAM, UpstreamOutcome::Connected("r2"), &Names);
    assert_eq!(active(&connections), [0, 1, 0]);
    let found: Vec<StreamId> = connections.of(ReplicaId(1), |_| true).collect();
    assert_eq!(found, [STREAM], "for one that is to be closed");
    connections.closed(STREAM, UpstreamOutcome::Reached("r2"), &Names);
    assert_eq!(active(&connections), [0, 0, 0]);
    let unchanged = [(0, 0); 3];
    assert_eq!(
        totals(&connections),
        unchanged,
        "the VM before it counted them"
    );
}

use super::*;
use crate::shared::memory_store::MemoryStore;

fn at(ms: u64) -> Moment {
    Moment::at(Duration::from_millis(ms))
}

/// A replica of which the configuration wants nothing.
const R1: (&str, Order) = ("r1", Order::Ready);

fn vm() -> (Sync, Random) {
    (Sync::new(Pace::new(1000, false)), Random::seeded(1))
}

#[test]
fn the_first_vm_probes_and_a_retired_one_hands_over_at_once() {
    let mut store = MemoryStore::default();
    let ((mut one, mut random), (mut two, mut other)) = (vm(), vm());
    assert!(one.is_beat_due(at(0)), "the first heartbeat is due at once");
    assert_eq!(one.beat(&mut store, &mut random, at(0)), Handover::Gained);
    assert_eq!(two.beat(&mut store, &mut other, at(0)), Handover::None);
    assert_ne!(random.bits(), other.bits(), "no two VMs choose alike");
    assert!(!one.is_beat_due(at(249)) && one.is_beat_due(at(250)));

    one.retire(&mut store);
    assert!(!one.is_holder());
    assert_eq!(two.beat(&mut store, &mut other, at(250)), Handover::Gained);
    assert_eq!(one.beat(&mut store, &mut random, at(9000)), Handover::None);
    one.resume();
    assert_eq!(one.beat(&mut store, &mut random, at(9001)), Handover::None);
    assert_eq!(
        one.beat(&mut store, &mut random, at(10_001)),
        Handover::Gained
    );
    assert_eq!(two.beat(&mut store, &mut other, at(10_002)), Handover::Lost);
}

#[test]
fn verdicts_are_announced_by_the_holder_and_seen_by_the_others() {
    let mut store = MemoryStore::default();
    let ((mut one, mut random), (mut two, _)) = (vm(), vm());
    assert!(two.is_behind(&mut store), "it has never looked");
    two.read_orders(&mut store);
    assert!(!two.is_behind(&mut store), "nothing was ever announced");
    two.has_news();
    assert!(!two.must_announce(), "only the holder's verdicts count");
    one.beat(&mut store, &mut random, at(0));
    assert!(one.must_announce(), "a new holder says what it knows");

    let claim = one.claim(&mut store);
    one.announce(&mut store, claim, &[((1, 2), Verdict::Unhealthy)]);
    assert!(!one.must_announce());
    assert!(one.are_details_due(at(0)), "and their reasons");
    assert!(
        one.is_behind(&mut store),
        "an order may have come before its own"
    );
    assert!(two.is_behind(&mut store));
    let verdicts = two.read_verdicts(&mut store);
    assert_eq!(verdicts, HashMap::from([((1, 2), Verdict::Unhealthy)]));
    two.read_orders(&mut store);
    assert!(!two.is_behind(&mut store));
    two.configure(Pace::new(1000, false));
    assert!(
        two.is_behind(&mut store),
        "read anew for another configuration"
    );
}

#[test]
fn what_could_not_be_announced_stays_news() {
    let mut store = MemoryStore::default();
    let (mut one, mut random) = vm();
    one.beat(&mut store, &mut random, at(0));
    store.refuses = true;
    let claim = one.claim(&mut store);
    one.announce(&mut store, claim, &[((1, 2), Verdict::Healthy)]);
    assert!(one.must_announce());
}

#[test]
fn a_holder_overtaken_after_its_renewal_overwrites_nothing() {
    let mut store = MemoryStore::default();
    let ((mut one, mut random), (mut two, mut other)) = (vm(), vm());
    one.beat(&mut store, &mut random, at(0));
    two.beat(&mut store, &mut other, at(0));
    let stale = one.claim(&mut store);
    assert_eq!(one.renew(&mut store, &mut random, at(0)), Handover::None);

    two.beat(&mut store, &mut other, at(10));
    assert_eq!(two.beat(&mut store, &mut other, at(2000)), Handover::Gained);
    let claim = two.claim(&mut store);
    two.announce(&mut store, claim, &[((1, 2), Verdict::Healthy)]);
    two.leave_details(&mut store, claim, &[], at(2000));

    let before = [VERDICTS, DETAILS].map(|key| store.read(key));
    one.announce(&mut store, stale, &[((1, 2), Verdict::Unhealthy)]);
    one.leave_details(&mut store, stale, &[], at(0));
    assert_eq!([VERDICTS, DETAILS].map(|key| store.read(key)), before);
    assert!(one.must_announce(), "it does not know yet");
    assert_eq!(one.look(&mut store, at(1)), Handover::Lost);
    assert_eq!(one.look(&mut store, at(2)), Handover::None, "once");
    one.drop_news();
    assert!(!one.must_announce());
}

#[test]
fn an_order_holds_since_it_was_first_given() {
    let mut store = MemoryStore::default();
    let ((mut one, _), (mut two, _)) = (vm(), vm());
    let cases = [
        ("given", Order::Drain, 100, Ok(100)),
        ("once more", Order::Drain, 200, Ok(100)),
        ("another", Order::Maintenance, 300, Ok(300)),
    ];
    for (why, order, unix_ms, expected) in cases {
        let held = one.order(&mut store, R1, order.into(), unix_ms);
        let since = held.map(|held| held.since_unix_ms);
        assert_eq!(since, expected.map(Some), "{why}");
        assert!(two.is_behind(&mut store), "{why}");
        let orders = two.read_orders(&mut store);
        let held = orders.of("r1", Order::Ready);
        assert_eq!(held.since_unix_ms.ok_or(Lost), expected, "{why}");
        assert_eq!(held.order, order, "{why}");
        let other = orders.of("r2", Order::Ready);
        assert_eq!(other, HeldOrder::default(), "{why}: of another");
    }
    let ready = one.order(&mut store, R1, Order::Ready.into(), 400);
    assert_eq!(ready, Ok(HeldOrder::default()));
    let held = two.read_orders(&mut store).of("r1", Order::Ready);
    assert_eq!(held, HeldOrder::default());
    store.refuses = true;
    let refused = one.order(&mut store, R1, Order::Drain.into(), 500);
    assert_eq!(refused, Err(Lost));
}

#[test]
fn the_first_counts_of_others_are_no_news() {
    let mut store = MemoryStore::default();
    let ((mut one, mut random), (mut two, mut other)) = (vm(), vm());
    let tally = Tally {
        active: 1,
        connections: 2,
        failures: 3,
        unserved: 4,
    };
    assert_eq!(
        one.share_counts(&mut store, &[(7, tally)], at(0)),
        None,
        "not before the first heartbeat"
    );
    one.beat(&mut store, &mut random, at(0));
    two.beat(&mut store, &mut other, at(0));
    one.share_counts(&mut store, &[(7, tally)], at(0));
    let expected = HashMap::from([(7, tally)]);
    for others in [Others::Unknown, Others::Known] {
        let learned = two.share_counts(&mut store, &[], at(0));
        assert_eq!(learned, Some((expected.clone(), others)));
    }
}

/// VMs of two versions of the filter share a board while one replaces the other.
#[test]
fn values_are_encoded_as_flat_lists() {
    let mut store = MemoryStore::default();
    let (mut one, mut random) = vm();
    one.beat(&mut store, &mut random, at(0));
    let claim = one.claim(&mut store);
    one.announce(&mut store, claim, &[((1, 2), Verdict::Unhealthy)]);
    one.leave_details(&mut store, claim, &[], at(0));
    let disk = NewOrder {
        order: Order::Drain,
        comment: Some("disk"),
        client: "",
    };
    one.order(&mut store, R1, disk, 300).unwrap();
    let cases: [(&str, &[u8]); 4] = [
        ("dtr.seats", &[2, 1]),
        ("dtr.verdicts", &[2, 1, 1, 2, 1]),
        ("dtr.orders", b"\x02\x01\x02r1\x01\xac\x02\x04disk\x00"),
        ("dtr.details", &[2, 0]),
    ];
    for (key, expected) in cases {
        let record = store.read(key).unwrap();
        assert_eq!(record.value, expected, "{key}");
    }
}

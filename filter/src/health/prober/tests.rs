use super::*;
use crate::health::probe_response::ReplySource;
use crate::sample;

const R1: ReplicaId = ReplicaId(0);

fn at(ms: u64) -> Reading {
    Reading {
        moment: Moment::at(Duration::from_millis(ms)),
        unix_ms: 1_000_000 + ms,
    }
}

fn ids(config: &Config) -> Vec<ReplicaId> {
    (0..config.replicas.len() as u32).map(ReplicaId).collect()
}

fn started(config: &Config) -> Prober {
    let mut prober = Prober::new(config, &ids(config), at(0).unix_ms);
    prober.start(at(0).moment);
    prober
}

fn send(prober: &mut Prober, ms: u64) -> Vec<ProbeRequest> {
    let mut effects = Effects::default();
    prober.probe(
        at(ms).moment,
        &mut Random::seeded(1),
        |_| false,
        &mut effects,
    );
    std::iter::from_fn(|| effects.pop())
        .map(|effect| match effect {
            Effect::Probe(request) => request,
            other => panic!("not a probe: {other:?}"),
        })
        .collect()
}

fn response(status: u16) -> ProbeResponse {
    ProbeResponse {
        status,
        source: ReplySource::Replica,
        body: Vec::new(),
    }
}

/// One probe of the only replica, answered with a status after 10 ms.
fn round(prober: &mut Prober, ms: u64, status: u16, effects: &mut Effects) -> Option<Change> {
    let request = send(prober, ms).pop().expect("a probe is due");
    prober.answered(request.probe, &response(status), at(ms + 10), effects)
}

fn texts(effects: &mut Effects) -> Vec<String> {
    std::iter::from_fn(|| effects.pop())
        .map(|effect| match effect {
            Effect::Log(level, text) => format!("{level:?}: {text}"),
            Effect::Report(report) => format!("{}+{}", report.name, report.value),
            other => panic!("neither a log nor a report: {other:?}"),
        })
        .collect()
}

#[test]
fn a_probe_goes_to_the_checks_cluster() {
    let config = sample::config(2);
    let requests = send(&mut started(&config), 0);
    let clusters: Vec<&str> = requests.iter().map(|it| it.cluster.as_str()).collect();
    assert_eq!(clusters, ["ping/r1", "ping/r2"]);
    assert_eq!(requests[0].timeout, Duration::from_millis(800));
}

#[test]
fn a_change_comes_with_its_log_and_counters() {
    let mut prober = started(&sample::config(1));
    let mut effects = Effects::default();
    let cases: [(u64, u16, Option<Verdict>, &[&str]); 5] = [
        (
            0,
            200,
            None,
            &[TOOK_10_MS, "dtr_lb.replica.r1.probes_ok_total+1"],
        ),
        (
            1000,
            503,
            None,
            &[TOOK_10_MS, "dtr_lb.replica.r1.probes_failed_total.status+1"],
        ),
        (
            1250,
            503,
            Some(Verdict::Unhealthy),
            &[
                TOOK_10_MS,
                "dtr_lb.replica.r1.probes_failed_total.status+1",
                "dtr_lb.replica.r1.changes_total+1",
                "Warn: replica \"r1\" is unhealthy (ping): status: status 503\treplica=\"r1\" \
                 address=\"10.0.0.1\" check=\"ping\" reason=\"status\" error=\"status 503\"",
            ],
        ),
        (
            1750,
            200,
            None,
            &[TOOK_10_MS, "dtr_lb.replica.r1.probes_ok_total+1"],
        ),
        (
            7250,
            200,
            Some(Verdict::Healthy),
            &[
                TOOK_10_MS,
                "dtr_lb.replica.r1.probes_ok_total+1",
                "dtr_lb.replica.r1.changes_total+1",
                "Info: replica \"r1\" is healthy (ping), after 6 s\treplica=\"r1\" \
                 address=\"10.0.0.1\" check=\"ping\"",
            ],
        ),
    ];
    for (ms, status, verdict, expected) in cases {
        let change = round(&mut prober, ms, status, &mut effects);
        assert_eq!(change.map(|it| it.verdict), verdict, "at {ms} ms");
        assert_eq!(texts(&mut effects), expected, "at {ms} ms");
    }
}

const TOOK_10_MS: &str = "dtr_lb.replica.r1.probe_duration_milliseconds+10";

#[test]
fn an_answer_is_taken_once_and_only_while_it_is_waited_for() {
    let config = sample::config(1);
    let mut prober = started(&config);
    let mut effects = Effects::default();
    let probe = send(&mut prober, 0)[0].probe;
    assert_eq!(prober.under_way(), 1);
    prober.answered(probe, &response(200), at(5), &mut effects);
    let before = prober.details();
    prober.answered(probe, &response(503), at(6), &mut effects);
    prober.answered(ProbeId(99), &response(503), at(6), &mut effects);
    assert_eq!(prober.details(), before, "answered already, or unknown");

    let probe = send(&mut prober, 1000)[0].probe;
    prober.stop();
    assert_eq!(prober.under_way(), 0);
    prober.answered(probe, &response(503), at(1001), &mut effects);
    assert_eq!(prober.details(), before, "another VM probes now");
}

#[test]
fn each_answer_is_judged_by_what_it_says_itself() {
    let mut prober = started(&sample::config(1));
    let answer = |status, body: &str| ProbeResponse {
        body: body.into(),
        ..response(status)
    };
    let (healthy, unhealthy) = (r#"{"Healthy":true}"#, r#"{"Healthy":false}"#);
    let long = format!("{healthy}{}", " ".repeat(REMEMBERED_BODY));
    let cases = [
        ("healthy", answer(200, healthy), (1, 0)),
        ("the same again", answer(200, healthy), (2, 0)),
        ("the same with another status", answer(503, healthy), (2, 1)),
        (
            "another body of the same length",
            answer(200, "{\"Healthy\":null}"),
            (3, 1),
        ),
        ("a body that says no", answer(200, unhealthy), (3, 2)),
        ("the same again, once more", answer(200, unhealthy), (3, 3)),
        ("too long to be kept", answer(200, &long), (4, 3)),
        (
            "by the proxy",
            ProbeResponse {
                source: ReplySource::Proxy,
                ..answer(200, healthy)
            },
            (4, 4),
        ),
    ];
    for (round, (why, response, expected)) in cases.into_iter().enumerate() {
        let ms = 10_000 * round as u64;
        let probe = send(&mut prober, ms)[0].probe;
        prober.answered(probe, &response, at(ms), &mut Effects::default());
        let state = &prober.watches()[0].state;
        assert_eq!((state.good, state.bad), expected, "{why}");
    }
}

#[test]
fn what_was_found_and_not_announced_does_not_count_after_the_lease_is_lost() {
    let config = sample::config(1);
    let mut prober = started(&config);
    let mut effects = Effects::default();
    round(&mut prober, 0, 200, &mut effects);
    let (announced, details) = (prober.verdicts(), prober.details());
    let mut late = (1..).map(|round_number| 10_000 * round_number);
    while round(&mut prober, late.next().unwrap(), 503, &mut effects).is_none() {}
    let pending = send(&mut prober, late.next().unwrap()).pop().unwrap();

    let changes = prober.leave(details.clone(), &announced.into_iter().collect());
    assert_eq!(changes[0].verdict, Verdict::Healthy);
    assert_eq!(prober.details(), details, "nor do the streaks");
    prober.answered(pending.probe, &response(503), at(99_000), &mut effects);
    assert_eq!(prober.details(), details, "nor late answers");
}

#[test]
fn silence_is_a_timeout_and_other_failures_are_not() {
    let config = sample::config(1);
    type Notice = fn(&mut Prober, ProbeId, &mut Effects) -> Vec<Change>;
    let cases: [(&str, Notice, Reason); 4] = [
        (
            "the host gives up in time",
            |prober, probe, effects| {
                let change = prober.answered(probe, &ProbeResponse::none(), at(790), effects);
                change.into_iter().collect()
            },
            Reason::Timeout,
        ),
        (
            "the answer breaks off early",
            |prober, probe, effects| {
                let change = prober.answered(probe, &ProbeResponse::none(), at(100), effects);
                change.into_iter().collect()
            },
            Reason::Reset,
        ),
        (
            "the answer got lost",
            |prober, _, effects| prober.expire(at(1050), effects),
            Reason::Timeout,
        ),
        (
            "it was never sent",
            |prober, probe, effects| {
                let change = prober.not_sent(probe, at(0), effects);
                change.into_iter().collect()
            },
            Reason::NoAddress,
        ),
    ];
    for (why, notice, expected) in cases {
        let mut prober = started(&config);
        let probe = send(&mut prober, 0)[0].probe;
        let changes = notice(&mut prober, probe, &mut Effects::default());
        assert_eq!(changes.len(), 1, "{why}: the first bad answer counts");
        let failure = prober.watches()[0].state.failure.clone().unwrap();
        assert_eq!(failure.reason, expected, "{why}");
    }
}

#[test]
fn what_is_known_is_kept_by_name() {
    let config = sample::config(2);
    let mut prober = started(&config);
    let mut effects = Effects::default();
    let probe = send(&mut prober, 0)[0].probe;
    prober.answered(probe, &response(503), at(1), &mut effects);

    let mut reversed = config.clone();
    reversed.replicas.reverse();
    prober.configure(&reversed, &[ReplicaId(1), R1], at(2).unix_ms);
    let verdicts: Vec<Verdict> = prober
        .watches()
        .iter()
        .map(|watch| watch.verdict().verdict)
        .collect();
    assert_eq!(verdicts, [Verdict::Healthy, Verdict::Unhealthy]);
    assert_eq!(prober.of(R1).count(), 1);
}

#[test]
fn another_vm_goes_on_with_details_and_newer_verdicts() {
    let config = sample::config(2);
    let mut first = started(&config);
    let probe = send(&mut first, 0)[0].probe;
    first.answered(probe, &response(503), at(1), &mut Effects::default());

    let mut second = Prober::new(&config, &ids(&config), at(9).unix_ms);
    let verdicts: HashMap<WatchKey, Verdict> = first.verdicts().into_iter().collect();
    let read = second.read(&verdicts);
    let expected = Change {
        replica: R1,
        check: 0,
        verdict: Verdict::Unhealthy,
    };
    assert_eq!(read[0], expected, "by the names' hashes");
    second.learn(first.details());
    assert_eq!(second.details(), first.details());

    let newer = verdicts.into_keys().map(|key| (key, Verdict::Unhealthy));
    let changes = second.take_over(first.details(), &newer.collect(), at(9).moment);
    let is_unhealthy = |change: &Change| change.verdict == Verdict::Unhealthy;
    assert!(
        changes.len() == 2 && changes.iter().all(is_unhealthy),
        "{changes:?}"
    );
    assert_eq!(send(&mut second, 9).len(), 2, "and probes at once");
    let health = second.watches()[1].state.health;
    assert_eq!((health.verdict, health.settled), (Verdict::Unhealthy, true));
}

#[test]
fn a_probe_that_the_proxy_never_sent_says_nothing_and_is_sent_again_soon() {
    let mut prober = started(&sample::config(1));
    let mut effects = Effects::default();
    let not_asked = ProbeResponse {
        status: 503,
        source: ReplySource::Proxy,
        body: b"upstream connect error or disconnect/reset before headers. reset reason: overflow"
            .to_vec(),
    };
    round(&mut prober, 0, 200, &mut effects);
    texts(&mut effects);
    // Far more often than would take it out.
    for again in 0..10 {
        let ms = 1000 + again * 250;
        assert!(send(&mut prober, ms - 1).is_empty(), "not before {ms} ms");
        let probe = send(&mut prober, ms)[0].probe;
        let change = prober.answered(probe, &not_asked, at(ms + 10), &mut effects);
        assert_eq!(change, None);
    }
    assert_eq!(texts(&mut effects), [""; 0], "nothing is logged or counted");
    let state = &prober.watches()[0].state;
    assert_eq!((state.good, state.bad, state.answers.len()), (1, 0, 1));
    let mut replica_said_so = not_asked;
    replica_said_so.source = ReplySource::Replica;
    assert!(!replica_said_so.is_not_asked(), "a replica's own words");
}

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;

use super::*;
use crate::captured_log::CapturedLog;

/// A resolver that gives each answer once, then the last for ever.
fn scripted(mut answers: Vec<Result<&'static str, &'static str>>) -> Lookup {
    answers.reverse();
    let answers = Mutex::new(answers);
    Arc::new(move |_| {
        let mut answers = answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop().unwrap()
        } else {
            answers[0]
        };
        Box::pin(std::future::ready(match answer {
            Ok(list) => Ok(list
                .split_terminator(' ')
                .map(|ip| ip.parse().unwrap())
                .collect()),
            Err(error) => Err(io::Error::other(error)),
        }))
    })
}

fn known(name: &DnsName) -> String {
    name.addresses()
        .iter()
        .map(IpAddr::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
async fn the_last_good_answer_stands_while_dns_fails() {
    let steps = [
        (
            Ok("10.0.0.1 10.0.0.2"),
            "10.0.0.1 10.0.0.2",
            "a first answer is taken",
        ),
        (
            Err("down"),
            "10.0.0.1 10.0.0.2",
            "a failure changes nothing",
        ),
        (Ok(""), "10.0.0.1 10.0.0.2", "nor does an empty answer"),
        (
            Ok("10.0.0.2 10.0.0.1"),
            "10.0.0.1 10.0.0.2",
            "nor does another order",
        ),
        (Ok("10.0.0.3"), "10.0.0.3", "a new answer is taken"),
    ];
    let mut resolver = Resolver::new(scripted(steps.iter().map(|step| step.0).collect()));
    let name = resolver.name("dtr.internal");
    assert_eq!(
        known(&name),
        "",
        "nothing is known before the first look-up"
    );
    for (_, expected, why) in steps {
        let all = resolver.names.iter();
        resolver.look_up(all, Duration::from_secs(1)).await;
        assert_eq!(known(&name), expected, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_lookup_does_not_hold_up_the_start() {
    let never: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let mut resolver = Resolver::new(never);
    let name = resolver.name("slow.internal");
    let limit = Duration::from_secs(2);
    let resolving = timeout(limit * 2, resolver.resolve(limit)).await;
    assert!(resolving.is_ok(), "waits longer than {limit:?}");
    assert_eq!(known(&name), "");
}

#[tokio::test]
async fn a_name_without_address_is_asked_again_soon() {
    let mut resolver = Resolver::new(scripted(vec![Err("not yet"), Ok("10.0.0.7")]));
    let name = resolver.name("late.internal");
    let refresh = Duration::from_secs(600);
    resolver.resolve(Duration::from_secs(1)).await;
    assert_eq!(resolver.pause(refresh), UNKNOWN_REFRESH);
    assert_eq!(
        resolver.pause(Duration::from_millis(1)),
        Duration::from_millis(1)
    );
    resolver.resolve(Duration::from_secs(1)).await;
    assert_eq!(known(&name), "10.0.0.7");
    assert_eq!(resolver.pause(refresh), refresh);
}

#[tokio::test(start_paused = true)]
async fn a_changed_answer_is_taken_at_the_next_refresh() {
    let mut resolver = Resolver::new(scripted(vec![Ok("10.0.0.7"), Ok("10.0.0.8")]));
    let name = resolver.name("moving.internal");
    resolver.resolve(Duration::from_secs(1)).await;
    let refresh = Duration::from_secs(30);
    let mut running = std::pin::pin!(resolver.run(refresh));
    let steps = [
        (refresh - Duration::from_secs(1), "10.0.0.7", "before"),
        (Duration::from_secs(2), "10.0.0.8", "after"),
    ];
    for (time, expected, when) in steps {
        assert!(timeout(time, &mut running).await.is_err());
        assert_eq!(known(&name), expected, "{when} the refresh");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_passes_to_the_next_plan_which_does_not_wait_for_it() {
    let mut first = Resolver::new(scripted(vec![Ok("10.0.0.7")]));
    first.name("known.internal");
    first.name("gone.internal");
    first.resolve(Duration::from_secs(1)).await;

    let never: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let mut next = Resolver::new(never).after(first.names());
    let name = next.name("known.internal");
    assert_eq!(known(&name), "10.0.0.7");
    assert_eq!(next.names().len(), 1, "what no plan names is forgotten");
    let limit = Duration::from_secs(2);
    let before = tokio::time::Instant::now();
    next.resolve(limit).await;
    assert_eq!(before.elapsed(), Duration::ZERO, "there is an answer");
    let new = next.name("new.internal");
    next.resolve(limit).await;
    assert_eq!(before.elapsed(), limit, "there is none for a new name");
    assert_eq!(
        (known(&name), known(&new)),
        ("10.0.0.7".into(), String::new())
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_plan_before_knew_is_looked_up_at_once_and_stays_while_dns_fails() {
    let mut first = Resolver::new(scripted(vec![Ok("10.0.0.7")]));
    first.name("moved.internal");
    first.resolve(Duration::from_secs(1)).await;
    let refresh = Duration::from_secs(600);
    for (answer, expected) in [(Err("down"), "10.0.0.7"), (Ok("10.0.0.8"), "10.0.0.8")] {
        let mut next = Resolver::new(scripted(vec![answer])).after(first.names());
        let name = next.name("moved.internal");
        next.resolve(Duration::from_secs(1)).await;
        let running = timeout(Duration::from_secs(1), next.run(refresh)).await;
        assert!(running.is_err(), "it goes on");
        assert_eq!(known(&name), expected);
    }
}

#[tokio::test]
async fn the_log_speaks_of_a_last_answer_only_where_there_is_one() {
    let (log, _guard) = CapturedLog::start();
    let mut resolver = Resolver::new(scripted(vec![Err("down")]));
    resolver.name("never.internal");
    resolver.resolve(Duration::from_secs(1)).await;
    let text = log.text();
    assert!(!text.contains("last good answer"), "{text}");
    assert!(text.contains("can't be reached until it does"), "{text}");
}

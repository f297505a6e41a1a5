use super::*;
use Verdict::{Healthy, Unhealthy};

const RULES: Health = Health {
    interval_ms: 2000,
    fast_interval_ms: 500,
    down_interval_ms: 1000,
    timeout_ms: 1000,
    rise: 2,
    fall: 3,
    jitter: 0.0,
    start: Start::Up,
};

fn after(start: Start, answers: &str) -> HealthState {
    let mut health = HealthState::before_any_answer(start);
    for answer in answers.chars() {
        health.take(if answer == '+' { Healthy } else { Unhealthy }, &RULES);
    }
    health
}

#[test]
fn streaks_decide() {
    let cases = [
        (Start::Up, "before any answer it is up", "", Healthy),
        (
            Start::Up,
            "the very first bad answer takes it out",
            "-",
            Unhealthy,
        ),
        (Start::Up, "one good answer settles it", "+-", Healthy),
        (Start::Up, "two failures are forgiven", "+--", Healthy),
        (Start::Up, "when a good answer follows", "+--+--", Healthy),
        (Start::Up, "three in a row are not", "+---", Unhealthy),
        (
            Start::Up,
            "one success is not a recovery",
            "+---+",
            Unhealthy,
        ),
        (
            Start::Up,
            "nor are two with a failure between",
            "+---+-+",
            Unhealthy,
        ),
        (Start::Up, "two in a row are", "+---++", Healthy),
        (
            Start::Up,
            "out at the first answer, it needs two as well",
            "-+",
            Unhealthy,
        ),
        (Start::Up, "and two bring it back", "-++", Healthy),
        (Start::Down, "before any answer it is down", "", Unhealthy),
        (Start::Down, "one good answer brings it in", "+", Healthy),
        (Start::Down, "after a bad one it takes two", "-+", Unhealthy),
        (Start::Down, "and two are enough", "-++", Healthy),
    ];
    for (start, why, answers, expected) in cases {
        assert_eq!(
            after(start, answers).verdict,
            expected,
            "{why}: {start:?} {answers}"
        );
    }
}

#[test]
fn the_first_answer_after_a_rest_decides() {
    let cases = [
        ("well before, and ill now", "+", "-", Unhealthy),
        ("ill before, and well now", "+---", "+", Healthy),
        ("then as ever", "+", "+--", Healthy),
        ("then as ever", "+", "+---", Unhealthy),
    ];
    for (why, before, after_it, expected) in cases {
        let mut health = after(Start::Up, before);
        health.unsettle();
        let kept = after(Start::Up, before).verdict;
        assert_eq!(health.verdict, kept, "{why}: an answer changes it");
        for answer in after_it.chars() {
            health.take(if answer == '+' { Healthy } else { Unhealthy }, &RULES);
        }
        assert_eq!(health.verdict, expected, "{why}: {before} {after_it}");
    }
}

#[test]
fn a_change_is_pending_while_the_newest_answer_contradicts() {
    let cases = [
        ("", true),
        ("+", false),
        ("+-", true),
        ("+--+", false),
        ("+---", false),
        ("+---+", true),
    ];
    for (answers, expected) in cases {
        assert_eq!(
            after(Start::Up, answers).is_pending(),
            expected,
            "{answers:?}"
        );
    }
}

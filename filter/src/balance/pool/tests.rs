use super::*;
use crate::balance::availability::Availability;
use crate::balance::order::Order;
use crate::contract::{Others, routes as routes_over};
use crate::sample;

const ON_443: ListenerId = ListenerId(0);
const START: Moment = Moment::START;

fn at(ms: u64) -> Moment {
    Moment::at(Duration::from_millis(ms))
}

/// A pool whose replicas all pass their check.
fn healthy(config: &Config) -> Pool {
    let mut pool = Pool::new(config, 1);
    let verdicts = pool.ring().to_vec().into_iter();
    let verdicts = verdicts.map(|id| (id, 0, Verdict::Healthy));
    pool.set_verdicts(config.checks.len(), verdicts, START);
    pool
}

fn availability(pool: &Pool, number: u32) -> Availability {
    let listener = pool.listener(ON_443).unwrap();
    listener.availability(ReplicaId(number))
}

/// The routes chosen one after the other, without connections that stay.
fn routes(pool: &mut Pool, times: usize) -> Vec<String> {
    let mut random = Random::seeded(1);
    let route = |_| {
        let chosen = pool.choose(ON_443, 0, &mut random).unwrap();
        pool.route(ON_443, chosen).unwrap().name().to_owned()
    };
    (0..times).map(route).collect()
}

#[test]
fn what_is_known_of_a_replica_decides_how_available_it_is() {
    type Change = fn(&mut Pool);
    let id = ReplicaId(0);
    let cases: [(&str, Change, Availability); 6] = [
        ("it is well", |_| (), Availability::Primary),
        (
            "it fails a check",
            |pool| pool.set_verdict(ReplicaId(0), 0, Verdict::Unhealthy, START),
            Availability::Down,
        ),
        (
            "it is in drain",
            |pool| pool.set_order(ReplicaId(0), Order::Drain.into(), START),
            Availability::Away,
        ),
        (
            "it has all it may have",
            |pool| pool.set_active(ReplicaId(0), 3, START),
            Availability::Full,
        ),
        (
            "one connect failure is forgiven",
            |pool| {
                assert_eq!(
                    pool.failed(ReplicaId(0), Failure::Connect, 1, Opening(0), START),
                    Ejection::Unchanged
                )
            },
            Availability::Primary,
        ),
        (
            "two are not",
            |pool| {
                assert_eq!(
                    pool.failed(ReplicaId(0), Failure::Connect, 2, Opening(0), START),
                    Ejection::Begins
                )
            },
            Availability::Ejected,
        ),
    ];
    for (why, change, expected) in cases {
        let mut config = sample::config(2);
        config.replicas[0].max_connections = Some(3);
        let mut pool = healthy(&config);
        change(&mut pool);
        assert_eq!(availability(&pool, 0), expected, "{why}");
        assert_eq!(availability(&pool, 1), Availability::Primary, "{why}");
        let is_first = |route: &String| route.starts_with("443/r1");
        let is_chosen = routes(&mut pool, 4).iter().any(is_first);
        assert_eq!(is_chosen, expected == Availability::Primary, "{why}");
        let is_usable = matches!(expected, Availability::Primary | Availability::Full);
        assert_eq!(pool.is_usable(id), is_usable, "{why}");
    }
}

#[test]
fn an_ejection_ends_with_its_time_or_with_a_connection() {
    let mut pool = healthy(&sample::config(2));
    pool.failed(ReplicaId(0), Failure::Connect, 2, Opening(0), START);
    assert_eq!(pool.next_wake(), Some(at(10_000)));
    pool.tick(at(9_999));
    assert_eq!(availability(&pool, 0), Availability::Ejected);
    pool.tick(at(10_000));
    assert_eq!(availability(&pool, 0), Availability::Primary);
    assert_eq!(pool.next_wake(), None);

    pool.failed(ReplicaId(0), Failure::Connect, 2, Opening(0), at(20_000));
    pool.reached(ReplicaId(0), Opening(1), at(20_001));
    assert_eq!(availability(&pool, 0), Availability::Primary);
}

#[test]
fn who_is_held_back_counts_as_ready_and_as_usable_while_no_other_is() {
    let mut pool = healthy(&sample::config(3));
    pool.failed(ReplicaId(0), Failure::Unserved, 9, Opening(0), START);
    pool.set_verdict(ReplicaId(1), 0, Verdict::Unhealthy, START);
    let listener = pool.listener(ON_443).unwrap();
    assert_eq!((pool.usable(listener), pool.ready(listener)), (1, 2));
    // There is no better one any more, and it is given connections.
    pool.failed(ReplicaId(2), Failure::Connect, 9, Opening(0), START);
    let listener = pool.listener(ON_443).unwrap();
    assert_eq!((pool.usable(listener), pool.ready(listener)), (2, 2));
    assert!(pool.is_usable(ReplicaId(0)) && !pool.is_usable(ReplicaId(1)));
}

#[test]
fn the_runner_up_is_the_best_that_the_route_has() {
    let mut config = sample::config(5);
    config.runners_up = 2;
    let mut pool = healthy(&config);
    pool.set_verdict(ReplicaId(1), 0, Verdict::Unhealthy, START);
    for id in [2, 3, 4] {
        pool.set_active(ReplicaId(id), 1, START);
    }
    let is_now = |pool: &mut Pool, expected: &str, why: &str| {
        assert_eq!(routes(pool, 1), [expected], "{why}");
    };
    is_now(&mut pool, "443/r1>r3>*", "r2 is down, r4 too far");
    pool.failed(ReplicaId(2), Failure::Connect, 2, Opening(0), START);
    is_now(&mut pool, "443/r1>r3>*", "held is better than down");
    pool.set_order(ReplicaId(2), Order::Drain.into(), START);
    is_now(&mut pool, "443/r1>r2", "down is better than nothing");
    pool.set_order(ReplicaId(1), Order::Maintenance.into(), START);
    is_now(&mut pool, "443/r1", "none is left");
    pool.set_order(ReplicaId(1), Order::Ready.into(), START);
    pool.set_order(ReplicaId(2), Order::Ready.into(), START);
    is_now(&mut pool, "443/r1>r3>*", "as before");
}

#[test]
fn others_are_tried_unless_one_of_them_must_not_be() {
    let mut config = sample::config(3);
    config.replicas[2].max_connections = Some(5);
    let mut pool = healthy(&config);
    for id in [1, 2] {
        pool.set_active(ReplicaId(id), id, START);
    }
    assert_eq!(routes(&mut pool, 1), ["443/r1>r2>*"]);
    pool.set_active(ReplicaId(2), 5, START);
    assert_eq!(routes(&mut pool, 1), ["443/r1>r2"], "r3 is full");
    config.replicas.pop();
    pool.configure(&config);
    let verdicts = pool.ring().to_vec().into_iter();
    pool.set_verdicts(1, verdicts.map(|id| (id, 0, Verdict::Healthy)), START);
    assert_eq!(routes(&mut pool, 1), ["443/r1>r2"], "r3 is gone");
    config.replicas.push(sample::config(3).replicas.remove(2));
    config.replicas[2].name = "r4".to_owned();
    pool.configure(&config);
    let verdicts = pool.ring().to_vec().into_iter();
    pool.set_verdicts(1, verdicts.map(|id| (id, 0, Verdict::Healthy)), START);
    pool.set_active(ReplicaId(3), 2, START);
    let goes_on = ["443/r1>r2>*"];
    assert_eq!(routes(&mut pool, 1), goes_on, "what is gone is no other");
}

#[test]
fn a_refusal_says_why_and_is_counted() {
    type Change = fn(&mut Pool);
    let cases: [(Change, Refusal); 3] = [
        (
            |pool| pool.set_verdict(ReplicaId(0), 0, Verdict::Unhealthy, START),
            Refusal::AllDown,
        ),
        (
            |pool| pool.set_order(ReplicaId(0), Order::Maintenance.into(), START),
            Refusal::AllAway,
        ),
        (
            |pool| pool.set_active(ReplicaId(0), 9, START),
            Refusal::AllFull,
        ),
    ];
    for (change, expected) in cases {
        let mut config = sample::config(1);
        config.replicas[0].max_connections = Some(9);
        let mut pool = healthy(&config);
        change(&mut pool);
        let refusal = pool.choose(ON_443, 0, &mut Random::seeded(1)).err();
        assert_eq!(refusal, Some(expected));
        assert_eq!(pool.listeners()[0].refused[&expected], 1);
    }
    let mut pool = healthy(&sample::config(1));
    let refusal = pool.choose(ListenerId(7), 0, &mut Random::seeded(1)).err();
    assert_eq!(refusal, Some(Refusal::UnknownListener));
}

#[test]
fn replicas_keep_their_numbers_by_name() {
    let mut pool = healthy(&sample::config(3));
    let drain = HeldOrder {
        order: Order::Drain,
        since_unix_ms: Some(5),
        comment: "disk".to_owned(),
    };
    pool.set_order(ReplicaId(2), drain.clone(), START);
    let mut config = sample::config(3);
    config.replicas.remove(0);
    config.replicas.reverse();
    pool.configure(&config);
    assert_eq!(pool.ring(), [ReplicaId(2), ReplicaId(1)]);
    assert_eq!(pool.id("r1"), Some(ReplicaId(0)), "also one that left");
    let replica = pool.get(ReplicaId(2)).unwrap();
    assert_eq!(replica.held, drain);
    assert_eq!(pool.get(ReplicaId(0)).unwrap().position, None);
}

/// Two ports, and every third replica a backup.
fn with_backups(replicas: usize) -> Config {
    let mut config = sample::config(replicas);
    let mut http = config.listeners[0].clone();
    http.port = 80;
    config.listeners.push(http);
    config.runners_up = match replicas {
        few @ 1..=8 => few - 1,
        _ => 3,
    };
    for replica in config.replicas.iter_mut().step_by(3) {
        replica.backup = true;
    }
    config
}

fn routes_of(config: &Config, port: u16) -> crate::contract::Routes {
    let names = config.replicas.iter().map(|replica| replica.name.as_str());
    routes_over(
        &config.cluster_names,
        port,
        &names.collect::<Vec<&str>>(),
        config.runners_up,
    )
}

#[test]
fn only_routes_of_the_contract_are_chosen_whatever_the_replicas_do() {
    let mut random = Random::seeded(5);
    for replicas in 1..=40 {
        let config = with_backups(replicas);
        let mut pool = healthy(&config);
        for step in 0..60 {
            let id = ReplicaId(random.below(replicas as u64) as u32);
            match random.below(5) {
                0 => pool.set_verdict(id, 0, Verdict::Unhealthy, START),
                1 => pool.set_verdict(id, 0, Verdict::Healthy, START),
                2 => {
                    pool.failed(id, Failure::Connect, random.below(3), Opening(0), START);
                }
                3 => {
                    let orders = [Order::Ready, Order::Drain];
                    pool.set_order(id, orders[random.below(2) as usize].into(), START);
                }
                _ => pool.set_active(id, random.below(9) as u32, START),
            }
            for (listener, port) in [(0, 443), (1, 80)] {
                let listener = ListenerId(listener);
                let Ok(chosen) = pool.choose(listener, 0, &mut random) else {
                    continue;
                };
                let name = pool.route(listener, chosen).map(Route::name);
                let routes = routes_of(&config, port);
                let known = routes.iter().any(|route| Some(route.name()) == name);
                assert!(known, "{replicas} replicas, step {step}: {name:?}");
            }
        }
    }
}

#[test]
fn every_route_of_the_contract_can_be_chosen() {
    for replicas in [1, 2, 3, 8, 9, 40] {
        let config = with_backups(replicas);
        for route in routes_of(&config, 443).iter() {
            let mut pool = healthy(&config);
            for number in 0..replicas {
                let id = ReplicaId(number as u32);
                if Some(number) == route.runner_up() {
                    pool.failed(id, Failure::Connect, 2, Opening(0), START);
                } else if number != route.first() {
                    match route.others() {
                        Others::Tried => pool.set_verdict(id, 0, Verdict::Unhealthy, START),
                        Others::Spared => pool.set_order(id, Order::Drain.into(), START),
                    }
                }
            }
            let name = route.name();
            assert_eq!(routes(&mut pool, 1), [name], "{replicas} replicas");
        }
    }
}

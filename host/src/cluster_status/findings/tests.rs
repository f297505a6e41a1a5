use super::*;

const NOW: i64 = 1_800_000_000;

/// What is said of each id: an error or "OK", and how many seconds ago.
fn view(sayings: &[(&str, &str, i64)]) -> Result<View, String> {
    let member = |(id, error, age): &(&str, &str, i64)| {
        let error = (*error != "OK").then(|| (*error).to_owned());
        let reported_unix_s = Some(NOW - age);
        (
            (*id).to_owned(),
            Member {
                error,
                reported_unix_s,
            },
        )
    };
    Ok(View(sayings.iter().map(member).collect()))
}

fn witness(name: &str, id: Option<&str>, view: Result<View, String>) -> Witness {
    Witness {
        name: name.to_owned(),
        id: id.map(str::to_owned),
        ping: Some(Ok(())),
        view,
    }
}

fn three(ids: [Option<&str>; 3], view: &Result<View, String>) -> Vec<Witness> {
    let names = ["r1", "r2", "r3"].into_iter().zip(ids);
    names
        .map(|(name, id)| witness(name, id, view.clone()))
        .collect()
}

const IDS: [Option<&str>; 3] = [Some("a1"), Some("b2"), Some("c3")];
const WELL: [(&str, &str, i64); 3] = [("a1", "OK", 10), ("b2", "OK", 20), ("c3", "OK", 30)];

/// Why, the witnesses, and the kinds and beginnings of what is found.
type Case = (&'static str, Vec<Witness>, Vec<(FindingKind, &'static str)>);

#[test]
fn what_is_worth_a_look_is_found_and_nothing_else() {
    use FindingKind::*;
    let well = view(&WELL);
    let mut one_more = WELL.to_vec();
    one_more.push(("d4", "OK", 5));
    let of_b2 = |error, age| view(&[WELL[0], ("b2", error, age), WELL[2]]);
    let with = |number: usize, change: &dyn Fn(&mut Witness)| {
        let mut witnesses = three(IDS, &well);
        change(&mut witnesses[number]);
        witnesses
    };
    let cases: Vec<Case> = vec![
        ("all is well", three(IDS, &well), vec![]),
        ("all is well, without ids", three([None; 3], &well), vec![]),
        (
            "a replica that gets no clients",
            three(IDS, &view(&one_more)),
            vec![(
                NotConfigured,
                "d4 is in the cluster and not configured here, so that it gets no",
            )],
        ),
        (
            "the same, without ids",
            three([None; 3], &view(&one_more)),
            vec![(
                NotConfigured,
                "1 of a1, b2, c3, d4 are in the cluster and not configured",
            )],
        ),
        (
            "a replica that left",
            three(IDS, &view(&WELL[..2])),
            vec![(
                NotInCluster,
                "r3 has the id c3, which is in no view of the cluster: it has left",
            )],
        ),
        (
            "the same, without ids",
            three([None; 3], &view(&WELL[..2])),
            vec![(
                NotInCluster,
                "1 of r1, r2, r3 are not in the cluster; give each its \"id\"",
            )],
        ),
        (
            "one of whom all say the same",
            three(IDS, &of_b2("rethinkdb: down", 20)),
            vec![
                (
                    Unhealthy,
                    "b2 (r2): r1, r2, r3 say rethinkdb: down; look into its log",
                ),
                (
                    PingDiffers,
                    "r2 answers /_ping as healthy, and the cluster says it is not",
                ),
            ],
        ),
        (
            "one of whom another is said",
            with(2, &|third| third.view = of_b2("no answer", 20)),
            vec![(
                Disagreement,
                "b2 (r2): r1, r2 say OK, r3 says no answer; look into",
            )],
        ),
        (
            "one that a view does not have",
            with(0, &|first| first.view = view(&WELL[..2])),
            vec![(
                Disagreement,
                "c3 (r3): r2, r3 say OK, 1 replica does not know it; look into",
            )],
        ),
        (
            "old news",
            three(IDS, &of_b2("OK", 840)),
            vec![(
                Stale,
                "b2 (r2): r1, r2, r3 last heard of it 14 min ago, which is more than 10 min",
            )],
        ),
        (
            "ten minutes are not old",
            three(IDS, &of_b2("OK", 600)),
            vec![],
        ),
        (
            "clocks that differ a little",
            three(IDS, &of_b2("OK", -50)),
            vec![],
        ),
        (
            "news of tomorrow",
            three(IDS, &of_b2("OK", -86_400)),
            vec![(
                Stale,
                "b2 (r2): its time at r1, r2, r3 is 1440 min ahead of ours: synchronise",
            )],
        ),
        (
            "one that fails its ping",
            with(1, &|second| {
                second.ping = Some(Err("garant: down".to_owned()))
            }),
            vec![(
                PingDiffers,
                "r2 does not pass /_ping (garant: down), and the cluster says it is OK",
            )],
        ),
        (
            "one that says nothing",
            with(1, &|second| {
                second.view = Err("401 Unauthorized".to_owned())
            }),
            vec![(
                Silent,
                "r2 does not say how the cluster is: 401 Unauthorized",
            )],
        ),
        (
            "none says anything: who is in the cluster is not known",
            three(IDS, &Err("refused".to_owned())),
            vec![
                (Silent, "r1 does"),
                (Silent, "r2 does"),
                (Silent, "r3 does"),
            ],
        ),
    ];
    for (why, witnesses, expected) in cases {
        let found = findings(&witnesses, NOW);
        let kinds: Vec<FindingKind> = found.iter().map(|finding| finding.kind).collect();
        let expected_kinds: Vec<FindingKind> = expected.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, expected_kinds, "{why}: {found:#?}");
        for (found, (_, text)) in found.iter().zip(expected) {
            assert!(found.text.starts_with(text), "{why}: {}", found.text);
        }
    }
}

#[test]
fn what_many_say_stays_short() {
    let witnesses: Vec<Witness> = (0..1000)
        .map(|number| {
            let error = format!("{number}: {}", "x".repeat(500));
            let name = format!("r{number}");
            witness(&name, None, view(&[("a1", &error, 900)]))
        })
        .collect();
    let found = findings(&witnesses, NOW);
    for one in &found {
        let longest = one.text.len().max(one.about.len());
        assert!(longest < 3000, "{longest}: {}", one.text);
    }
    let kinds: Vec<FindingKind> = found.iter().map(|one| one.kind).collect();
    let expected = [
        FindingKind::NotInCluster,
        FindingKind::Disagreement,
        FindingKind::Stale,
    ];
    assert_eq!(kinds, expected);
}

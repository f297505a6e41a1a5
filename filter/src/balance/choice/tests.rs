use super::*;

/// A choice among replicas of equal weight with this many open connections each.
fn random_two(active: &[u32]) -> Choice {
    let keys = (0..active.len() as u64).map(random::mix);
    let mut choice = Choice::among(Policy::RandomTwo, 1, keys);
    for (replica, active) in active.iter().enumerate() {
        choice.set(
            replica,
            Load {
                availability: Availability::Primary,
                active: *active,
                share: 1000,
            },
        );
    }
    choice
}

fn shares(choice: &mut Choice, seed: u64, times: u32) -> Vec<f64> {
    let mut random = Random::seeded(seed);
    let mut chosen = vec![0_u32; choice.candidates.len()];
    for _ in 0..times {
        if let Some(replica) = choice.choose(0, &mut random) {
            chosen[replica] += 1;
        }
    }
    let share = |count: &u32| f64::from(*count) / f64::from(times);
    chosen.iter().map(share).collect()
}

/// Of n replicas the k-th busiest is chosen when the other one drawn is busier:
/// with probability 2 (k - 1) / (n (n - 1)), so the busiest never, while a single
/// random draw would give each the share 1 / n.
#[test]
fn of_two_drawn_the_less_loaded_is_chosen() {
    for seed in 1..=20 {
        for replicas in [2, 3, 5, 8_usize] {
            let active: Vec<u32> = (0..replicas as u32).map(|rank| 10 * rank).collect();
            let shares = shares(&mut random_two(&active), seed, 4000);
            for (rank, share) in shares.iter().enumerate() {
                let busier = (replicas - 1 - rank) as f64;
                let expected = 2.0 * busier / (replicas * (replicas - 1)) as f64;
                assert!(
                    (share - expected).abs() < 0.04,
                    "seed {seed}: of {replicas} replicas, the one with {} connections got \
                     {share:.3}, not about {expected:.3}",
                    active[rank]
                );
            }
            assert!(
                shares.last().is_some_and(|share| *share == 0.0),
                "seed {seed}: the busiest of {replicas} loses to whichever is drawn with it: \
                 {shares:?}"
            );
        }
    }
}

#[test]
fn two_draws_follow_the_weights() {
    let candidate = |share| Candidate {
        share,
        ..Candidate::new(0)
    };
    let candidates = BestCandidates::of(
        [
            (0, candidate(1000)),
            (1, candidate(3000)),
            (2, candidate(0)),
        ]
        .into_iter(),
    );
    for seed in 1..=10 {
        let mut random = Random::seeded(seed);
        let mut first = [0_u32; 3];
        for _ in 0..4000 {
            let (one, other) = candidates.two(&mut random).unwrap();
            assert_ne!(one, other, "seed {seed}: two different ones");
            first[one] += 1;
        }
        assert_eq!(first[2], 0, "seed {seed}: no share, no draw");
        assert!(
            (2880..3120).contains(&first[1]),
            "seed {seed}: three of four draws: {first:?}"
        );
    }
}

#[test]
fn equal_loads_take_turns_by_weight() {
    let mut choice = Choice::among(Policy::LeastConnections, 1, [1, 2]);
    for (replica, share) in [(0, 1000), (1, 3000)] {
        let load = Load {
            availability: Availability::Primary,
            active: 0,
            share,
        };
        choice.set(replica, load);
    }
    assert_eq!(shares(&mut choice, 1, 40), [0.25, 0.75]);
}

#[test]
fn one_replica_more_takes_clients_and_moves_no_others() {
    // Replicas, and the least and most of 1000 clients that one more should be given.
    for (replicas, least, most) in [(3, 200, 300), (64, 3, 40), (65, 3, 40), (200, 1, 20)] {
        let choice = |replicas: u64| {
            let keys = (0..replicas).map(|replica| random::hash(&replica.to_le_bytes()));
            let mut choice = Choice::among(Policy::SourceHash, 1, keys);
            for replica in 0..replicas {
                let load = Load {
                    availability: Availability::Primary,
                    active: 0,
                    share: 1000,
                };
                choice.set(replica as usize, load);
            }
            choice
        };
        let (mut before, mut after) = (choice(replicas), choice(replicas + 1));
        let mut random = Random::seeded(1);
        let clients = (0..1000_u64).map(|client| random::hash(&client.to_le_bytes()));
        let moves = clients.filter_map(|client| {
            let was = before.choose(client, &mut random);
            let is = after.choose(client, &mut random);
            (was != is).then_some(is)
        });
        let moves: Vec<Option<usize>> = moves.collect();
        let elsewhere = moves.iter().filter(|is| **is != Some(replicas as usize));
        assert_eq!(
            elsewhere.count(),
            0,
            "{replicas} replicas, {} move",
            moves.len()
        );
        let moved = moves.len();
        assert!(
            (least..=most).contains(&moved),
            "{replicas} replicas: {moved} move"
        );
    }
}

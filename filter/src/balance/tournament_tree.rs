//! Who comes first among many, kept while their marks change: a tournament tree.
//! A change costs one match per level, ten with 1000 entrants; the winner is
//! read off the top.

/// A tree over entrants `0..n` with one key each; the smallest key wins, and of
/// equal keys the lower number.
#[derive(Clone, Debug)]
pub(crate) struct Contest<K> {
    keys: Vec<K>,
    /// Winners of the matches: `winners[1]` is the final, match `i` is played by
    /// the winners of `2 i` and `2 i + 1`; those past the matches are entrants.
    winners: Vec<u32>,
}

impl<K: Ord + Copy> Contest<K> {
    /// A contest of `size` entrants who all have the same key.
    pub(crate) fn new(size: usize, key: K) -> Contest<K> {
        let mut contest = Contest {
            keys: vec![key; size],
            winners: vec![0; size],
        };
        for game in (1..size).rev() {
            contest.play(game);
        }
        contest
    }

    /// Who has the smallest key; `None` without entrants.
    pub(crate) fn winner(&self) -> Option<usize> {
        match self.keys.len() {
            0 => None,
            1 => Some(0),
            _ => self.winners.get(1).map(|winner| *winner as usize),
        }
    }

    /// An entrant's key.
    pub(crate) fn key(&self, entrant: usize) -> Option<K> {
        self.keys.get(entrant).copied()
    }

    /// Gives an entrant another key; nobody hears of an entrant there is not.
    pub(crate) fn set(&mut self, entrant: usize, key: K) {
        match self.keys.get_mut(entrant) {
            Some(held) if *held != key => *held = key,
            _ => return,
        }
        let mut game = (entrant + self.keys.len()) / 2;
        while game >= 1 {
            self.play(game);
            game /= 2;
        }
    }

    fn play(&mut self, game: usize) {
        let (left, right) = (self.player(2 * game), self.player(2 * game + 1));
        let winner = match (self.keys.get(left as usize), self.keys.get(right as usize)) {
            (Some(one), Some(other)) if (other, right) < (one, left) => right,
            (Some(_), _) => left,
            (None, _) => right,
        };
        if let Some(slot) = self.winners.get_mut(game) {
            *slot = winner;
        }
    }

    /// Who comes from a place in the tree: an entrant, or the winner of a match.
    fn player(&self, place: usize) -> u32 {
        let size = self.keys.len();
        match place.checked_sub(size) {
            Some(entrant) => entrant as u32,
            None => self.winners.get(place).copied().unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_smallest_key_wins_after_any_change() {
        let mut random = Random::seeded(3);
        for size in [1, 2, 3, 5, 8, 13, 1000] {
            let mut contest = Contest::new(size, 0_u64);
            let mut keys = vec![0; size];
            for step in 0..500 {
                let (entrant, key) = (random.below(size as u64) as usize, random.below(20));
                contest.set(entrant, key);
                keys[entrant] = key;
                let first = (0..size).min_by_key(|entrant| (keys[*entrant], *entrant));
                assert_eq!(contest.winner(), first, "{size} entrants, step {step}");
            }
        }
        assert_eq!(Contest::new(0, 0).winner(), None);
    }
}

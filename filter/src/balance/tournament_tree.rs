//! The smallest of many keys, kept while they change: a tournament tree. A change
//! costs one comparison per level, ten with 1000 leaves; the winner is read off
//! the root.

/// A tree over leaves `0..n` with one key each; the smallest key wins, and of
/// equal keys the lower number.
#[derive(Clone, Debug)]
pub(crate) struct TournamentTree<K> {
    keys: Vec<K>,
    /// The winning leaf below each inner node: `winners[1]` is the root's, the
    /// children of node `i` are `2 i` and `2 i + 1`; numbers past the inner nodes
    /// are leaves.
    winners: Vec<u32>,
}

impl<K: Ord + Copy> TournamentTree<K> {
    /// A tree of `size` leaves that all have the same key.
    pub(crate) fn new(size: usize, key: K) -> TournamentTree<K> {
        let mut tree = TournamentTree {
            keys: vec![key; size],
            winners: vec![0; size],
        };
        for node in (1..size).rev() {
            tree.decide(node);
        }
        tree
    }

    /// The leaf with the smallest key; `None` without leaves.
    pub(crate) fn winner(&self) -> Option<usize> {
        match self.keys.len() {
            0 => None,
            1 => Some(0),
            _ => self.winners.get(1).map(|winner| *winner as usize),
        }
    }

    /// A leaf's key.
    pub(crate) fn key(&self, leaf: usize) -> Option<K> {
        self.keys.get(leaf).copied()
    }

    /// Gives a leaf another key. A number that is no leaf is ignored.
    pub(crate) fn set(&mut self, leaf: usize, key: K) {
        match self.keys.get_mut(leaf) {
            Some(held) if *held != key => *held = key,
            _ => return,
        }
        let mut node = (leaf + self.keys.len()) / 2;
        while node >= 1 {
            self.decide(node);
            node /= 2;
        }
    }

    /// Compares a node's children anew.
    fn decide(&mut self, node: usize) {
        let (left, right) = (self.best_below(2 * node), self.best_below(2 * node + 1));
        let winner = match (self.keys.get(left as usize), self.keys.get(right as usize)) {
            (Some(one), Some(other)) if (other, right) < (one, left) => right,
            (Some(_), _) => left,
            (None, _) => right,
        };
        if let Some(slot) = self.winners.get_mut(node) {
            *slot = winner;
        }
    }

    /// The winning leaf of a node: the node itself when it is a leaf.
    fn best_below(&self, node: usize) -> u32 {
        let size = self.keys.len();
        match node.checked_sub(size) {
            Some(leaf) => leaf as u32,
            None => self.winners.get(node).copied().unwrap_or(u32::MAX),
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
            let mut tree = TournamentTree::new(size, 0_u64);
            let mut keys = vec![0; size];
            for step in 0..500 {
                let (leaf, key) = (random.below(size as u64) as usize, random.below(20));
                tree.set(leaf, key);
                keys[leaf] = key;
                let first = (0..size).min_by_key(|leaf| (keys[*leaf], *leaf));
                assert_eq!(tree.winner(), first, "{size} leaves, step {step}");
            }
        }
        assert_eq!(TournamentTree::new(0, 0).winner(), None);
    }
}

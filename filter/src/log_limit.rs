//! How many lines what others do may have in the log.

use crate::time::Moment;
use std::time::Duration;

/// Lets some lines of a kind pass in a while, and counts the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogLimit {
    /// When the while began; `None`: there was none yet.
    began: Option<Moment>,
    passed: u32,
    left_out: u64,
}

impl LogLimit {
    /// Whether one more line may pass, and then how many were left out before it.
    pub fn admit(&mut self, now: Moment) -> Option<u64> {
        if self.began.is_none_or(|began| now.since(began) >= WHILE) {
            self.began = Some(now);
            self.passed = 0;
        }
        if self.passed >= MOST_LINES {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.passed = self.passed.saturating_add(1);
        Some(std::mem::take(&mut self.left_out))
    }
}

const WHILE: Duration = Duration::from_secs(60);
const MOST_LINES: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_few_lines_and_the_next_says_how_many_it_had() {
        let at = |seconds| Moment::at(Duration::from_secs(seconds));
        let mut limit = LogLimit::default();
        let passed = |limit: &mut LogLimit, seconds| {
            (0..1000)
                .filter_map(|_| limit.admit(at(seconds)))
                .collect::<Vec<_>>()
        };
        assert_eq!(passed(&mut limit, 100), [0; 10]);
        let more = passed(&mut limit, 159);
        assert!(more.is_empty(), "within the same minute: {more:?}");
        let mut next = [0; 10];
        next[0] = 1990;
        assert_eq!(passed(&mut limit, 160), next);
    }
}

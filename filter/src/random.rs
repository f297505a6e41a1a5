//! Random numbers that need no host: splitmix64. Not for secrets.

use std::hash::Hasher;

/// A sequence of numbers that follows from its seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts the sequence of this seed.
    pub const fn seeded(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `limit`; 0 when `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The high half of a product: no division, and as even as 64 bits allow.
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// A number from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }
}

/// Spreads a number evenly over all 64 bits.
pub const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// 64 even bits as a number from 0 up to, not including, 1.
pub fn unit(bits: u64) -> f64 {
    // 53 bits are what an f64 holds without rounding up to 1.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number for a text, the same in every VM and every version: FNV-1a, mixed.
pub fn hash(text: &[u8]) -> u64 {
    let mut hasher = NameHasher::default();
    hasher.write(text);
    hasher.finish()
}

/// Spreads names of our own over a table; others cannot choose them.
#[derive(Clone, Debug)]
pub(crate) struct NameHasher(u64);

impl Default for NameHasher {
    fn default() -> NameHasher {
        NameHasher(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, text: &[u8]) {
        let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        self.0 = text.iter().fold(self.0, fold);
    }

    fn finish(&self) -> u64 {
        mix(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_limit_and_reach_all_of_them() {
        let mut random = Random::seeded(7);
        let mut seen = [0_u32; 5];
        for _ in 0..5000 {
            seen[random.below(5) as usize] += 1;
            assert!((0.0..1.0).contains(&random.unit()));
        }
        assert!(
            seen.iter().all(|times| (850..1150).contains(times)),
            "{seen:?}"
        );
        assert_eq!(random.below(0), 0);
    }
}

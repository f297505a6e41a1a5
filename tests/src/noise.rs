//! Bytes that look random and can be made again from a seed, so that gigabytes
//! are compared without being kept.

/// An endless stream of bytes; two of one seed are equal.
#[derive(Clone, Debug)]
pub struct Noise {
    state: u64,
    word: [u8; 8],
    used: usize,
}

impl Noise {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        // Zero is the one state a xorshift never leaves.
        Self {
            state: seed | 1 << 63,
            word: [0; 8],
            used: 8,
        }
    }

    /// Writes the next bytes of the stream into all of `buffer`.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        let rest = (self.word.len() - self.used).min(buffer.len());
        let (head, buffer) = buffer.split_at_mut(rest);
        head.copy_from_slice(&self.word[self.used..self.used + rest]);
        self.used += rest;
        for part in buffer.chunks_mut(self.word.len()) {
            self.step();
            part.copy_from_slice(&self.word[..part.len()]);
            self.used = part.len();
        }
    }

    /// Where `bytes` first differs from the next bytes of the stream.
    pub fn first_difference(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut wanted = vec![0; bytes.len()];
        self.fill(&mut wanted);
        if wanted == bytes {
            return None;
        }
        wanted
            .iter()
            .zip(bytes)
            .position(|(wanted, byte)| wanted != byte)
    }

    fn step(&mut self) {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.word = self.state.to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::Noise;

    #[test]
    fn a_seed_makes_the_same_bytes_however_they_are_cut() {
        let mut whole = [0; 100];
        Noise::new(7).fill(&mut whole);
        let mut pieces = Noise::new(7);
        for piece in whole.chunks(13) {
            assert_eq!(pieces.first_difference(piece), None);
        }
    }

    #[test]
    fn one_changed_byte_is_found() {
        let mut bytes = [0; 100];
        Noise::new(7).fill(&mut bytes);
        bytes[42] ^= 1;
        assert_eq!(Noise::new(7).first_difference(&bytes), Some(42));
    }
}

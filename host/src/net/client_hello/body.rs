//! Reads the parts of a message.

/// What is still to be read of a message.
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl<'a> Body<'a> {
    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    pub(crate) fn number(&mut self, width: usize) -> Option<usize> {
        let (bytes, rest) = self.0.split_at_checked(width)?;
        self.0 = rest;
        Some(number(bytes))
    }

    /// Bytes after their length, which has this width.
    pub(crate) fn list(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self.number(width)?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// Of up to three bytes, the highest first.
fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

//! Paths of properties.

/// The segments of a path, in order. A zero byte at the end ends the last one.
pub(super) struct PathSegments<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for PathSegments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        match self.0.iter().position(|byte| *byte == 0) {
            Some(zero) => {
                let (segment, rest) = self.0.split_at(zero);
                self.0 = rest.get(1..).unwrap_or_default();
                Some(segment)
            }
            None => Some(std::mem::take(&mut self.0)),
        }
    }
}

//! Whether what a client has sent may be sent again, and how much of it.

/// Whether what was sent may be sent to a second replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resend {
    /// Yes; and it asks for an answer.
    Whole,
    /// Yes; but a server waits for more before it says anything.
    Part,
    Never,
}

/// Bytes. A ClientHello has a few hundred to two thousand, a request's head seldom
/// more than eight thousand.
pub(super) const MOST_KEPT: usize = 16 * 1024;

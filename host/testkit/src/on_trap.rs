//! What a trap means to a test.

/// What a trap that no [`Fault`](crate::Fault) brought about means to the test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTrap {
    /// The test panics and says why the guest trapped.
    #[default]
    Panic,
    /// The test goes on, as after a trap that a fault brought about.
    GoOn,
}

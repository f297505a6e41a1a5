//! What came of one upload.

use std::time::Duration;

/// What came of an upload that was begun, or was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The replica at which it was begun, by name.
    pub begun_at: String,
    /// Why it could not be.
    pub begun: Result<(), String>,
    /// The replicas that were asked for it, by name, and what they know.
    pub asked: Vec<(String, Seen)>,
    /// Why it is still there; one that could not be begun needs no deletion.
    pub deleted: Result<(), String>,
}

/// What another replica knows of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It knows it; only after this time, where that is not zero.
    Known(Duration),
    /// It does not believe its state: another secret signed it.
    OtherSecret,
    /// It has no such upload, for as long as it was asked.
    NotStored,
    /// It does not let the same user in, or not with the same token.
    LoginRefused(String),
    /// Something else.
    Failed(String),
}

//! How a replica is, and how the control port names that.

use std::str::FromStr;

/// How a replica is. It shows in its health endpoint; other requests are answered
/// in every condition but `Gone`, so that it can be seen where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// 200 and `"Healthy": true`.
    Healthy,
    /// 503 with this `Error`.
    Failing(String),
    /// 200, but `"Healthy": false` with this `Error`.
    Disagreeing(String),
    /// Health requests are never answered.
    Hanging,
    /// Nothing listens.
    Gone,
}

/// Not the name of a condition.
#[derive(Debug, thiserror::Error)]
#[error(
    "no such condition; expected healthy, failing [ERROR TEXT], disagreeing [ERROR TEXT], hanging or gone"
)]
pub struct UnknownCondition;

impl FromStr for Condition {
    type Err = UnknownCondition;

    fn from_str(text: &str) -> Result<Self, UnknownCondition> {
        let (name, error) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let error = match error.trim() {
            "" => "rethinkdb: no primary replica".to_owned(),
            error => error.to_owned(),
        };
        match name {
            "healthy" => Ok(Condition::Healthy),
            "failing" => Ok(Condition::Failing(error)),
            "disagreeing" => Ok(Condition::Disagreeing(error)),
            "hanging" => Ok(Condition::Hanging),
            "gone" => Ok(Condition::Gone),
            _ => Err(UnknownCondition),
        }
    }
}

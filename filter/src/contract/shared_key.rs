//! Keys of shared data.

use std::borrow::Cow;

/// The key of shared data under which a service has what is kept under `key` where there
/// is but one registry, which has no name: `None`.
#[must_use]
pub fn shared_key<'a>(key: &'a str, service: Option<&str>) -> Cow<'a, str> {
    match service {
        None => key.into(),
        // No key has this character.
        Some(service) => format!("{key}@{service}").into(),
    }
}

//! Who asks, and how that is proven.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::secret_file::{read_regular, read_secret};

/// A user of the registry and the password, as `Authorization: Basic` (RFC 7617) has
/// them. Its text for debugging shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    authorization: String,
}

impl Credentials {
    /// The password is the file's first line.
    ///
    /// # Errors
    /// The file can't be read, holds no password or more than one line; the user holds a
    /// colon or a control character. No text names the password.
    pub fn read(user: &str, password_file: &Path) -> Result<Credentials, String> {
        check_user(user)?;
        Ok(Self::of(user, &read_secret(PASSWORD, password_file)?))
    }

    /// The same where nothing may wait: what is no file, such as a pipe, is refused
    /// and not opened.
    ///
    /// # Errors
    /// As [`Credentials::read`]; it is no file.
    pub fn read_file(user: &str, password_file: &Path) -> Result<Credentials, String> {
        check_user(user)?;
        Ok(Self::of(user, &read_regular(PASSWORD, password_file)?))
    }

    fn of(user: &str, password: &str) -> Credentials {
        let both = BASE64.encode(format!("{user}:{password}"));
        Credentials {
            authorization: format!("Basic {both}"),
        }
    }

    /// The header's value.
    pub(crate) fn authorization(&self) -> &str {
        &self.authorization
    }
}

fn check_user(user: &str) -> Result<(), String> {
    match user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
        true => Err(format!(
            "the user {user:?} is no name: none, or with a colon in it"
        )),
        false => Ok(()),
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

const PASSWORD: &str = "password";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn user_and_password_are_sent_and_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        let credentials = Credentials::read("admin", file.path()).unwrap();
        assert_eq!(credentials.authorization(), "Basic YWRtaW46c2VjcmV0");
        assert_eq!(format!("{credentials:?}"), "Credentials");
        for user in ["ad:min", "", "a\nb"] {
            let refused = Credentials::read(user, file.path()).unwrap_err();
            let expected = format!("the user {user:?} is no name");
            assert!(refused.starts_with(&expected), "{refused}");
        }
    }
}

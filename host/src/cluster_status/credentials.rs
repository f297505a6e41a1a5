//! Who asks, and how that is proven.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

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
        if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
            return Err(format!(
                "the user {user:?} is no name: none, or with a colon in it"
            ));
        }
        let file = password_file.display();
        let mut text = String::new();
        File::open(password_file)
            .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
            .map_err(|error| format!("the password file {file} can't be read: {error}"))?;
        if text.len() as u64 > LONGEST {
            return Err(format!(
                "the password file {file} is longer than {LONGEST} bytes"
            ));
        }
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let password = text.strip_suffix('\r').unwrap_or(text);
        if password.is_empty() || password.chars().any(char::is_control) {
            return Err(format!(
                "the password file {file} must hold the password, on one line and nothing else"
            ));
        }
        let both = BASE64.encode(format!("{user}:{password}"));
        Ok(Credentials {
            authorization: format!("Basic {both}"),
        })
    }

    /// The header's value.
    pub(crate) fn authorization(&self) -> &str {
        &self.authorization
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// In bytes.
const LONGEST: u64 = 4096;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    fn read(user: &str, text: &str) -> Result<Credentials, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Credentials::read(user, file.path())
    }

    #[test]
    fn a_password_is_one_line() {
        for text in ["secret", "secret\n", "secret\r\n"] {
            let credentials = read("admin", text).unwrap();
            assert_eq!(
                credentials.authorization(),
                "Basic YWRtaW46c2VjcmV0",
                "{text:?}"
            );
            assert_eq!(format!("{credentials:?}"), "Credentials");
        }
        let cases = [
            ("admin", "", "must hold the password, on one line"),
            (
                "admin",
                "secret\nmore",
                "must hold the password, on one line",
            ),
            ("ad:min", "secret", "the user \"ad:min\" is no name"),
            ("", "secret", "the user \"\" is no name"),
        ];
        for (user, text, expected) in cases {
            let refused = read(user, text).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
        let long = read("admin", &"x".repeat(5000)).unwrap_err();
        assert!(long.ends_with("is longer than 4096 bytes"), "{long}");
        let missing = Credentials::read("admin", Path::new("/no/such/file")).unwrap_err();
        assert!(missing.starts_with("the password file /no/such/file can't be read"));
    }
}

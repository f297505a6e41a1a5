//! Who asks, and how that is proven.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
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
        // Editors of Windows begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let text = text.strip_suffix('\n').unwrap_or(text);
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

    /// The same where nothing may wait: what is no file, such as a pipe, is refused
    /// and not opened.
    ///
    /// # Errors
    /// As [`Credentials::read`]; it is no file.
    pub fn read_file(user: &str, password_file: &Path) -> Result<Credentials, String> {
        match password_file.metadata() {
            Ok(found) if !found.is_file() => Err(format!(
                "the password file {} is no file, and what it is may never end; give a file",
                password_file.display()
            )),
            _ => Credentials::read(user, password_file),
        }
    }

    /// What is wrong with a password file that others may read; `None`: nothing, or it is
    /// not there.
    #[must_use]
    pub fn exposure(password_file: &Path) -> Option<&'static str> {
        let mode = password_file.metadata().ok()?.permissions().mode();
        (mode & OTHERS != 0).then_some(
            "anybody on this machine may read or change it; have only the user that runs dtr-lb \
             read it (chmod 600)",
        )
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

/// What those may do who neither own a file nor are in its group.
const OTHERS: u32 = 0o007;

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
        for text in ["secret", "secret\n", "secret\r\n", "\u{feff}secret\n"] {
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

    #[test]
    fn where_nothing_may_wait_only_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, 0o600.into(), 0).unwrap();
        for path in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            let refused = Credentials::read_file("admin", path).unwrap_err();
            assert!(refused.contains(" is no file, "), "{refused}");
        }
    }
}

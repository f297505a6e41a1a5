//! Secrets in files of their own: a password, a token.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Reads the one line of a file. `what` names the secret, for messages: `password`.
///
/// # Errors
/// The file can't be read, holds nothing or more than one line. No text names the secret.
pub fn read_secret(what: &str, path: &Path) -> Result<String, String> {
    let file = path.display();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|error| format!("the {what} file {file} can't be read: {error}"))?;
    if text.len() as u64 > LONGEST {
        return Err(format!(
            "the {what} file {file} is longer than {LONGEST} bytes"
        ));
    }
    // Editors of Windows begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let secret = text.strip_suffix('\r').unwrap_or(text);
    if secret.is_empty() || secret.chars().any(char::is_control) {
        return Err(format!(
            "the {what} file {file} must hold the {what}, on one line and nothing else"
        ));
    }
    Ok(secret.to_owned())
}

/// The same where nothing may wait: what is no file, such as a pipe, is refused and not
/// opened.
///
/// # Errors
/// As [`read_secret`]; it is no file.
pub(crate) fn read_regular(what: &str, path: &Path) -> Result<String, String> {
    match path.metadata() {
        Ok(found) if !found.is_file() => Err(format!(
            "the {what} file {} is no file, and what it is may never end; give a file",
            path.display()
        )),
        _ => read_secret(what, path),
    }
}

/// What is wrong with a file of a secret that others may read; `None`: nothing, or it is
/// not there.
#[must_use]
pub fn exposure(path: &Path) -> Option<&'static str> {
    let mode = path.metadata().ok()?.permissions().mode();
    (mode & OTHERS != 0).then_some(
        "anybody on this machine may read or change it; have only the user that runs dtr-lb \
         read it (chmod 600)",
    )
}

/// In bytes.
const LONGEST: u64 = 4096;

/// What those may do who neither own a file nor are in its group.
const OTHERS: u32 = 0o007;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_secret("password", file.path())
    }

    #[test]
    fn a_secret_is_one_line() {
        for text in ["secret", "secret\n", "secret\r\n", "\u{feff}secret\n"] {
            assert_eq!(read(text).as_deref(), Ok("secret"), "{text:?}");
        }
        for text in ["", "\n", "secret\nmore", "sec\0ret"] {
            let refused = read(text).unwrap_err();
            assert!(
                refused.contains("must hold the password, on one line"),
                "{refused}"
            );
            assert!(!refused.contains("secret"), "{refused}");
        }
        let long = read(&"x".repeat(5000)).unwrap_err();
        assert!(long.ends_with("is longer than 4096 bytes"), "{long}");
        let missing = read_secret("password", Path::new("/no/such/file")).unwrap_err();
        assert!(missing.starts_with("the password file /no/such/file can't be read"));
    }

    #[test]
    fn where_nothing_may_wait_only_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, 0o600.into(), 0).unwrap();
        for path in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            let refused = read_regular("password", path).unwrap_err();
            assert!(refused.contains(" is no file, "), "{refused}");
        }
    }
}

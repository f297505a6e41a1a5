//! The files of an import: the one that was named, and those it includes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::ImportError;

/// Reads the files that the old configuration includes.
pub trait Sources {
    /// Names and texts of the files that `pattern` stands for, in the order of their
    /// names. `pattern` is a path, absolute or from the folder of `from`, and may have
    /// `*` and `?` in its last part.
    ///
    /// # Errors
    /// One can't be read, or is too long.
    fn include(&mut self, pattern: &str, from: &str) -> io::Result<Vec<(String, String)>>;
}

/// No file can be included.
#[derive(Clone, Copy, Debug)]
pub struct NoSources;

impl Sources for NoSources {
    fn include(&mut self, _: &str, _: &str) -> io::Result<Vec<(String, String)>> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "no file can be included here",
        ))
    }
}

/// A file's text.
///
/// # Errors
/// It can't be read, or is longer than [`LARGEST_FILE`].
pub(super) fn read(path: &Path) -> Result<String, ImportError> {
    let refuse = |problem: String| ImportError::of_file(path.display().to_string(), problem);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            refuse(format!(
                "can't be read ({error}); check the path and its permissions"
            ))
        })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(refuse(format!("longer than {} MiB", LARGEST_FILE >> 20)));
    }
    // Comments in another encoding are no reason to refuse a file.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// In bytes.
pub(super) const LARGEST_FILE: u64 = 4 << 20;

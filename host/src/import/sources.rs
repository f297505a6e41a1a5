//! The files of an import: the one that was named, and those it includes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use glob::MatchOptions;

use super::error::ImportError;

/// An old configuration.
#[derive(Clone, Debug)]
pub struct OldFile {
    /// What notes and errors call it. Paths of files that it includes start at its
    /// folder.
    pub name: String,
    /// All of it.
    pub text: String,
}

impl OldFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, or is longer than 4 MiB.
    pub fn load(path: &Path) -> Result<Self, ImportError> {
        Self::read(path.display().to_string(), || File::open(path))
    }

    /// Reads standard input.
    ///
    /// # Errors
    /// It can't be read, or is longer than 4 MiB.
    pub fn from_stdin() -> Result<Self, ImportError> {
        Self::read("standard input".to_owned(), || Ok(io::stdin().lock()))
    }

    fn read<R: Read>(
        name: String,
        open: impl FnOnce() -> io::Result<R>,
    ) -> Result<Self, ImportError> {
        match open().and_then(read) {
            Ok(text) => Ok(OldFile { name, text }),
            Err(error) => {
                let problem =
                    format!("can't be read ({error}); check the path and its permissions");
                Err(ImportError::of_file(name, problem))
            }
        }
    }
}

/// Finds and reads the files that the old configuration includes.
pub trait Sources {
    /// The files that `pattern` stands for, in the order of their names: those beyond
    /// the hundred that may be included need not be listed. `pattern` is a path with or without `*`, `?` and
    /// `[]`, absolute or from the folder of the file `from`. What has none of these
    /// is listed whether it exists or not.
    ///
    /// # Errors
    /// The pattern is wrong, or a folder can't be read.
    fn list(&mut self, pattern: &str, from: &str) -> io::Result<Vec<String>>;

    /// The text of a file that was listed.
    ///
    /// # Errors
    /// It can't be read, or is longer than 4 MiB.
    fn read(&mut self, name: &str) -> io::Result<String>;
}

/// No file can be included.
#[derive(Clone, Copy, Debug)]
pub struct NoSources;

impl Sources for NoSources {
    fn list(&mut self, _: &str, _: &str) -> io::Result<Vec<String>> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "no file can be included here",
        ))
    }

    fn read(&mut self, _: &str) -> io::Result<String> {
        self.list("", "").map(|_| String::new())
    }
}

/// Files of this machine.
#[derive(Clone, Copy, Debug)]
pub struct FileSources;

impl Sources for FileSources {
    fn list(&mut self, pattern: &str, from: &str) -> io::Result<Vec<String>> {
        let folder = Path::new(from).parent().unwrap_or(Path::new(""));
        if !pattern.contains(['*', '?', '[']) {
            return Ok(vec![folder.join(pattern).display().to_string()]);
        }
        // What the folder is called is no pattern.
        let folder = glob::Pattern::escape(&folder.display().to_string());
        let pattern = Path::new(&folder).join(pattern).display().to_string();
        // As glob(3) has it: no pattern takes in hidden files.
        let options = MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..MatchOptions::new()
        };
        let paths = glob::glob_with(&pattern, options)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        paths
            .take(MOST_FILES + 1)
            .map(|path| Ok(path?.display().to_string()))
            .collect()
    }

    fn read(&mut self, name: &str) -> io::Result<String> {
        File::open(name).and_then(read)
    }
}

/// All of a text, when it is not too long.
fn read(source: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        let problem = format!("longer than {} MiB", LARGEST_FILE >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    // Comments in another encoding are no reason to refuse a file.
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Files that one file may include, itself or through others.
pub(super) const MOST_FILES: usize = 100;
/// In bytes.
const LARGEST_FILE: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

    use super::*;

    #[test]
    fn patterns_list_what_a_folder_has() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("a[b]");
        std::fs::create_dir(&inside).unwrap();
        for name in ["20.conf", "10.conf", ".hidden.conf", "other"] {
            std::fs::write(inside.join(name), "").unwrap();
        }
        let main = inside.join("nginx.conf").display().to_string();
        let listed = |pattern: &str| -> Vec<String> {
            let paths = FileSources.list(pattern, &main).unwrap();
            let name = |path: &String| {
                let name = Path::new(path).file_name().unwrap();
                name.to_string_lossy().into_owned()
            };
            paths.iter().map(name).collect()
        };
        let cases = [
            ("*.conf", vec!["10.conf", "20.conf"]),
            ("1?.conf", vec!["10.conf"]),
            ("[2-3]*", vec!["20.conf"]),
            ("*.none", vec![]),
            ("missing", vec!["missing"]),
            ("/etc/missing", vec!["missing"]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(listed(pattern), expected, "{pattern}");
        }
        assert!(FileSources.list("***", &main).is_err());
    }

    #[test]
    fn files_are_read_up_to_a_limit_and_without_a_byte_order_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, b"\xef\xbb\xbfuser \xff;").unwrap();
        assert_eq!(OldFile::load(&path).unwrap().text, "user \u{fffd};");
        std::fs::write(&path, vec![b'#'; 4 << 20]).unwrap();
        assert!(OldFile::load(&path).is_ok());
        std::fs::write(&path, vec![b'#'; (4 << 20) + 1]).unwrap();
        let error = OldFile::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("can't be read (longer than 4 MiB)"),
            "{error}"
        );
        let error = OldFile::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("can't be read"), "{error}");
    }
}

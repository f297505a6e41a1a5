//! A folder whose files nobody else can have written.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

/// Why a folder with compiled modules, or a file in it, is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It can't be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its owner could have this process run any code.
    #[error("{path} belongs to user {owner}, not to the user of this process ({user}) or root")]
    Owner {
        /// Which folder or file.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// The effective user's number.
        user: u32,
    },
    /// Others could have this process run any code.
    #[error("others than its owner may write to {path} (mode {mode:04o}); chmod go-w would do")]
    Mode {
        /// Which folder or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file is not what was once written.
    #[error("{path}: {reason}")]
    Spoilt {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// An open folder that belongs to this process's user or root, and that nobody else
/// may write to.
pub(super) struct Folder {
    path: PathBuf,
    /// All is looked at and opened through this: a path may change its meaning.
    folder: File,
}

impl Folder {
    /// Opens the folder; if there is none, makes one that only its owner may enter.
    pub(super) fn open(path: &Path) -> Result<Folder, CacheError> {
        let open = || {
            let mut options = OpenOptions::new();
            let directory = OFlags::DIRECTORY.bits().cast_signed();
            options.read(true).custom_flags(directory).open(path)
        };
        let opened = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut builder = DirBuilder::new();
                builder.recursive(true).mode(0o700);
                builder.create(path).and_then(|()| open())
            }
            opened => opened,
        };
        let folder = opened.map_err(|source| io_error(path, source))?;
        let metadata = folder.metadata();
        let metadata = metadata.map_err(|source| io_error(path, source))?;
        check(path, &metadata)?;
        let path = path.to_owned();
        Ok(Folder { path, folder })
    }

    /// What the file holds, if there is one.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CacheError> {
        let path = self.path.join(name);
        // Nor would a pipe be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(self.spoilt(name, "it is a symbolic link")),
            Err(errno) => return Err(io_error(&path, errno.into())),
        };
        let failed = |source| io_error(&path, source);
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(self.spoilt(name, "it is no file"));
        }
        check(&path, &metadata)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(failed)?;
        // So that it is not removed as one that is out of use. It may not be ours to mark.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(content))
    }

    /// Writes the file in one step, and removes files that are out of use.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> Result<(), CacheError> {
        // The process's number is not enough: containers may share the folder.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let unique = now.unwrap_or_default().as_nanos();
        let part = format!("{name}.{}.{unique}.{PART}", std::process::id());
        let written = self.write_part(&part, parts).and_then(|()| {
            renameat(&self.folder, &part, &self.folder, name)?;
            Ok(())
        });
        if let Err(source) = written {
            let _ = unlinkat(&self.folder, &part, AtFlags::empty());
            return Err(io_error(&self.path.join(name), source));
        }
        self.remove_old();
        Ok(())
    }

    /// Describes a file that is not what was once written.
    pub(super) fn spoilt(&self, name: &str, reason: impl Into<String>) -> CacheError {
        CacheError::Spoilt {
            path: self.path.join(name),
            reason: reason.into(),
        }
    }

    fn write_part(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(openat(&self.folder, name, flags, mode)?);
        parts.iter().try_for_each(|part| file.write_all(part))
    }

    /// Of the folder's files touches only those that bear names as given here.
    fn remove_old(&self) {
        let Ok(files) = std::fs::read_dir(&self.path) else {
            return;
        };
        let ours = |path: &Path| {
            let extension = path.extension();
            extension.is_some_and(|extension| extension == EXTENSION || extension == PART)
        };
        for old in files.flatten().filter(|file| ours(&file.path())) {
            let used = old.metadata().and_then(|metadata| metadata.modified());
            let age = used.map(|used| SystemTime::now().duration_since(used));
            if matches!(age, Ok(Ok(age)) if age > MAX_AGE) {
                let _ = unlinkat(&self.folder, old.file_name(), AtFlags::empty());
            }
        }
    }
}

/// Refuses what others can have written.
fn check(path: &Path, metadata: &Metadata) -> Result<(), CacheError> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let path = path.to_owned();
    if owner != user && owner != 0 {
        return Err(CacheError::Owner { path, owner, user });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(CacheError::Mode { path, mode });
    }
    Ok(())
}

fn io_error(path: &Path, source: io::Error) -> CacheError {
    let path = path.to_owned();
    CacheError::Io { path, source }
}

/// Of a file with compiled code.
pub(super) const EXTENSION: &str = "cwasm";
/// Of a file that is not written to its end.
const PART: &str = "part";
/// Files that were not used for longer are removed.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

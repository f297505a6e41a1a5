//! The path of the socket for the process that takes this one's place.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use super::problems::Problems;

/// The path, as the field has it: in a folder that is there, and with nothing there but a
/// socket of before.
pub(super) fn read(given: &str, problems: &mut Problems) -> PathBuf {
    let path = problems.source().folder().join(given);
    let length = path.as_os_str().len();
    if given.is_empty() || path.file_name().is_none() {
        let problem = "no file's path; give one in a folder that the user of dtr-lb may write to";
        problems.refuse("takeover_socket", given, problem);
    } else if length > LONGEST {
        let problem = format!(
            "{} is {length} bytes long, and a socket's path may have {LONGEST}; give a shorter one",
            path.display()
        );
        problems.refuse("takeover_socket", given, problem);
    } else if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        let problem = format!(
            "{} is no folder; make it, for the user that runs dtr-lb to write to",
            folder.display()
        );
        problems.refuse("takeover_socket", given, problem);
    } else if fs::symlink_metadata(&path).is_ok_and(|it| !it.file_type().is_socket()) {
        let problem = format!("{} is there and is no socket; give another", path.display());
        problems.refuse("takeover_socket", given, problem);
    }
    path
}

/// Bytes: what the system takes, less a process's number, by which it is called at first.
const LONGEST: usize = 99;

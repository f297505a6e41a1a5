//! Where the log goes.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use super::datagrams::Datagrams;
use super::descriptor::Descriptor;
use super::file::LogFile;
use super::output::{Output, Stream};
use super::{journald, syslog};

/// Where lines go. A word that is none of the others is the path of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    StandardError,
    Syslog,
    Journald,
    Off,
    File(PathBuf),
}

impl Destination {
    /// What writes to it; `None`: nothing does.
    ///
    /// # Errors
    /// A file that can't be opened.
    pub(super) fn open(&self) -> io::Result<Option<Box<dyn Output>>> {
        Ok(Some(match self {
            Destination::Off => return Ok(None),
            Destination::StandardError => Box::new(Stream::new(Descriptor(io::stderr()))),
            Destination::File(path) => Box::new(LogFile::open(path.clone())?),
            Destination::Syslog => Box::new(Datagrams::new(syslog::SOCKET, syslog::datagram)),
            Destination::Journald => Box::new(Datagrams::new(journald::SOCKET, journald::datagram)),
        }))
    }
}

impl FromStr for Destination {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Destination, &'static str> {
        Ok(match text {
            "stderr" => Destination::StandardError,
            "syslog" => Destination::Syslog,
            "journald" => Destination::Journald,
            "off" => Destination::Off,
            "" => return Err("expected stderr, syslog, journald, off or the path of a file"),
            path => Destination::File(path.into()),
        })
    }
}

/// As a message names it.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::StandardError => f.write_str("standard error"),
            Destination::Syslog => write!(f, "syslog ({})", syslog::SOCKET),
            Destination::Journald => write!(f, "journald ({})", journald::SOCKET),
            Destination::Off => f.write_str("nowhere"),
            Destination::File(path) => write!(f, "{path:?}"),
        }
    }
}

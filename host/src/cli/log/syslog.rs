//! The local syslog.

use std::borrow::Cow;
use std::fmt::{self, Write};

use tracing::Level;

/// Where it listens.
pub(super) const SOCKET: &str = "/dev/log";

/// What a line begins with: its priority, and who writes it, as
/// [RFC 3164](https://www.rfc-editor.org/rfc/rfc3164#section-4.1) has them. The time and
/// the host are added by who receives it, which is this machine.
///
/// Not RFC 5424: journald and busybox take none from this socket, nor does rsyslog unless
/// it is configured to.
pub(super) fn write_head(to: &mut impl Write, level: Level) -> fmt::Result {
    let priority = DAEMON << 3 | severity(level);
    write!(to, "<{priority}>{IDENTIFIER}[{}]: ", std::process::id())
}

/// The datagram of a line.
pub(super) fn datagram(line: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(line)
}

/// As syslog numbers severities.
pub(super) fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

pub(super) const IDENTIFIER: &str = "dtr-lb";
/// The facility of daemons.
const DAEMON: u8 = 3;

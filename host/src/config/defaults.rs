//! Defaults that both forms of the file share.

use std::time::Duration;

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
pub(super) const DNS_REFRESH: Duration = Duration::from_secs(5);
/// Long: a registry may take minutes to answer a client that has finished.
pub(super) const HALF_CLOSE_TIMEOUT: Duration = Duration::from_secs(60 * 60);
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

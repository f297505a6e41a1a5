//! Root ids of the filter's plugins.
//!
//! A plugin's root id says which of the service's ports its connections are for, so
//! that a connection need not be asked.

/// Root id of the plugin that answers on the admin listener.
pub const ADMIN_ROOT: &str = "dtr-lb-admin";

/// Root id of the plugin that picks a replica for each connection to a port of the
/// service, such as `dtr-lb/443`.
#[must_use]
pub fn listener_root(port: u16) -> String {
    format!("{LISTENER_ROOT}{port}")
}

/// The service's port that a root id stands for; `None`: it is no [`listener_root`].
#[must_use]
pub fn port_of_root(root_id: &[u8]) -> Option<u16> {
    let port = root_id.strip_prefix(LISTENER_ROOT.as_bytes())?;
    std::str::from_utf8(port).ok()?.parse().ok()
}

const LISTENER_ROOT: &str = "dtr-lb/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listeners_root_says_its_port() {
        for port in [0, 80, 443, u16::MAX] {
            assert_eq!(port_of_root(listener_root(port).as_bytes()), Some(port));
        }
        for other in [
            "",
            "dtr-lb",
            "dtr-lb/",
            "dtr-lb/70000",
            "other/443",
            ADMIN_ROOT,
        ] {
            assert_eq!(port_of_root(other.as_bytes()), None, "{other}");
        }
    }
}

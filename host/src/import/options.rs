//! What the operator adds to an import.

use std::collections::BTreeMap;

/// What the operator adds to the file.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The name clients use, where the file does not say it or says another.
    pub fqdn: Option<String>,
    /// How probes verify certificates (`system`, `none` or a PEM file), instead of
    /// what the file says.
    pub verify: Option<String>,
    /// Only the services of these names or ports; empty: all.
    pub only: Vec<String>,
    /// Addresses of AWS instances, by id.
    pub instances: BTreeMap<String, String>,
    /// The token that the admin listener is given, where the file has a page.
    pub token: String,
}

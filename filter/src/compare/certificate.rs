//! What a replica's certificate says.

use serde::{Deserialize, Serialize};

/// What a replica showed in the TLS handshake. A host that sees it hands it over with
/// the answer, in the header [`PEER_CERTIFICATE`](crate::contract::PEER_CERTIFICATE).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 of its DER form, in hexadecimal.
    pub sha256: String,
    /// Who signed it, such as `CN=DTR CA`.
    pub issuer: String,
    /// The DNS names and IP addresses it is for.
    pub names: Vec<String>,
    /// Unix seconds until which it is valid.
    pub not_after: i64,
}

impl Certificate {
    /// The header's value, in visible ASCII.
    pub fn to_header(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let ascii = |letter: char| match letter {
            ' '..='~' => letter.to_string(),
            _ => letter
                .encode_utf16(&mut [0; 2])
                .iter()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect(),
        };
        json.chars().map(ascii).collect()
    }

    /// What [`Certificate::to_header`] wrote; `None`: it is something else.
    pub fn from_header(value: &str) -> Option<Certificate> {
        let is_short = value.len() <= LONGEST_HEADER;
        is_short.then(|| serde_json::from_str(value).ok()).flatten()
    }

    /// Its first names, and how many more there are.
    pub fn names_in_short(&self) -> String {
        let shown = self.names.iter().take(MOST_NAMES).map(String::as_str);
        let shown = shown.collect::<Vec<_>>().join(", ");
        match (
            self.names.len(),
            self.names.len().saturating_sub(MOST_NAMES),
        ) {
            (0, _) => "no name".to_owned(),
            (_, 0) => shown,
            (_, more) => format!("{shown} and {more} more"),
        }
    }

    /// Whether it is for this name.
    pub fn covers(&self, fqdn: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            // A wildcard stands for one label (RFC 6125, 6.4.3).
            Some(parent) => {
                let rest = fqdn.split_once('.').map(|(_, rest)| rest);
                rest.is_some_and(|rest| rest.eq_ignore_ascii_case(parent))
            }
            None => name.eq_ignore_ascii_case(fqdn),
        })
    }
}

/// Names listed in a sentence.
const MOST_NAMES: usize = 3;

/// In bytes.
const LONGEST_HEADER: usize = 16 * 1024;

//! Networks of clients and proxies.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use dtr_lb_filter::clients::Networks;
use ipnet::{IpNet, Ipv4Net};

use super::problems::Problems;
use super::text::{Text, deserialize_as_text};

/// A network, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network(IpNet);

impl Text for Network {
    const PATTERN: &'static str = r"^[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?$";

    fn kind() -> Cow<'static, str> {
        "a network or an address".into()
    }

    fn expected(f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            r#"a network or an address, such as "10.0.0.0/8", "192.0.2.7" or "2001:db8::/32""#,
        )
    }

    fn read(text: &str) -> Option<Self> {
        let network = match text.parse::<IpNet>() {
            Ok(network) => network,
            Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
        };
        (network.addr() == network.network()).then(|| Self(canonical(network)))
    }

    fn hint(text: &str) -> Option<&'static str> {
        let network = text.parse::<IpNet>().ok()?;
        (network.addr() != network.network())
            .then_some("the bits after the prefix must be zero, as in 10.0.0.0/8")
    }
}

/// An IPv4 network in IPv6's form is one of IPv4: so are clients' addresses compared.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(inner) = network
        && let Some(address) = inner.network().to_ipv4_mapped()
        && let Some(prefix) = inner.prefix_len().checked_sub(96)
        && let Ok(network) = Ipv4Net::new(address, prefix)
    {
        return network.into();
    }
    network
}

/// The networks of a field; `None`: it is refused.
pub(super) fn read(given: &[Network], field: &str, problems: &mut Problems) -> Option<Networks> {
    if given.is_empty() {
        let problem = r#"no network; name one, such as "10.0.0.0/8", or leave the field out"#;
        problems.refuse(field, serde_json::json!([]), problem);
        return None;
    }
    if given.len() > MOST_NETWORKS {
        let problem = format!(
            "each connection is compared with all of them; give at most {MOST_NETWORKS}, by joining some into larger ones"
        );
        let found = format!("a list of {}", given.len());
        problems.refuse(field, found, problem);
        return None;
    }
    Some(Networks::new(given.iter().map(|network| network.0)))
}

/// Compared with one after the other.
pub(super) const MOST_NETWORKS: usize = 1000;

deserialize_as_text!(Network);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_network_is_read_as_operators_write_it() {
        let cases = [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.0.0.7", Some("10.0.0.7/32")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::1", Some("::1/128")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:10.0.0.7", Some("10.0.0.7/32")),
            ("10.0.0.7/8", None),
            ("10.0.0.0/33", None),
            ("10.0.0/8", None),
            ("10.0.0.0/255.0.0.0", None),
            ("all", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let read = Network::read(text).map(|network| network.0);
            let expected: Option<IpNet> = expected.map(|text| text.parse().unwrap());
            assert_eq!(read, expected, "{text}");
        }
    }
}

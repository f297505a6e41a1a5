use std::time::Duration;

use super::*;
use crate::config::ProxyProtocol;

#[test]
fn what_is_no_network_of_proxies_is_refused_with_the_remedy() {
    assert_refused(vec![
        (
            with(r#""accept_proxy_from": ["10.0.0.7/8"]"#),
            r#"lb.json: accept_proxy_from[0] is "10.0.0.7/8"; expected a network or an address, such as "10.0.0.0/8", "192.0.2.7" or "2001:db8::/32"; the bits after the prefix must be zero"#,
        ),
        (
            with(r#""accept_proxy_from": []"#),
            r#"lb.json: accept_proxy_from is []; no network; name one, such as "10.0.0.0/8", or leave the field out"#,
        ),
        (
            with(r#""proxy_protocol_timeout": "0s""#),
            r#"lb.json: proxy_protocol_timeout is "0s"; expected"#,
        ),
    ]);
}

#[test]
fn a_port_speaks_one_version_of_the_proxy_protocol() {
    assert_refused(vec![
        (
            with(r#""listeners": [{"bind": "0.0.0.0:443", "proxy_protocol": "2"}]"#),
            r#"lb.json: listeners[0].proxy_protocol is "2"; "#,
        ),
        (
            with(
                r#""listeners": [{"bind": "0.0.0.0:443", "proxy_protocol": "v2"}, {"bind": "[::]:443"}]"#,
            ),
            r#"lb.json: listeners[1].port is 443; listeners[0] serves the same port with another "proxy_protocol"; give both the same"#,
        ),
    ]);
}

#[test]
fn who_is_believed_is_read_and_by_default_nobody_is() {
    let text = with(
        r#""listeners": [{"bind": "0.0.0.0:443", "proxy_protocol": "v1"}],
        "accept_proxy_from": ["10.0.0.0/24"]"#,
    );
    let config = Config::parse(&text, "lb.json").unwrap();
    assert_eq!(config.listeners[0].proxy_protocol, Some(ProxyProtocol::V1));
    let proxies = config.trusted_proxies.unwrap();
    assert_eq!(proxies.timeout, Duration::from_secs(5));
    assert!(proxies.networks.contain([10, 0, 0, 9].into()));
    let nothing = Config::parse(&with(r#""watch": false"#), "lb.json").unwrap();
    assert_eq!(nothing.trusted_proxies, None);
    assert_eq!(nothing.listeners[0].proxy_protocol, None);
}

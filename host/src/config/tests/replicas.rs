use super::*;

#[test]
fn wrong_replicas_are_refused_with_field_value_and_remedy() {
    assert_refused(vec![
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"0443": 1}}]"#),
            "lb.json: replicas[0].ports",
        ),
        (
            with_replicas(r#"[{"address": "dtr1.internal"}, {"address": "DTR1.internal"}]"#),
            r#"lb.json: replicas[1].address is "DTR1.internal"; replicas[0] has the same address"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1"}, {"address": "::ffff:10.0.0.1"}]"#),
            r#"lb.json: replicas[1].address is "10.0.0.1"; replicas[0] has the same address"#,
        ),
        (
            with_replicas("[]"),
            r#"lb.json: replicas is []; no replica; add at least one, such as {"address": "10.0.0.11"}"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.300"}]"#),
            r#"lb.json: replicas[0].address is "10.0.0.300"; expected an IPv4 address, an IPv6 address or a DNS name"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.11:443"}]"#),
            r#"lb.json: replicas[0].address is "10.0.0.11:443"; expected an IPv4 address, an IPv6 address or a DNS name, without a port"#,
        ),
        (
            with_replicas(r#"[{"address": "0.0.0.0"}]"#),
            r#"lb.json: replicas[0].address is "0.0.0.0"; expected"#,
        ),
        (
            with_replicas(r#"[{"address": "a b"}]"#),
            r#"lb.json: replicas[0].address is "a b"; expected"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": 0}]"#),
            "lb.json: replicas[0].weight is 0; expected a whole number from 1 to 1000, without quotes",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": 1001}]"#),
            "lb.json: replicas[0].weight is 1001; expected a whole number from 1 to 1000",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": -1}]"#),
            "lb.json: replicas[0].weight is -1; expected a whole number from 1 to 1000",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": 1.5}]"#),
            "lb.json: replicas[0].weight is 1.5; expected a whole number from 1 to 1000",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "weight": "2"}]"#),
            r#"lb.json: replicas[0].weight is "2"; expected a whole number from 1 to 1000, without quotes"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "backup": "yes"}]"#),
            r#"lb.json: replicas[0].backup is "yes"; expected true or false, without quotes"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "max_connections": 0}]"#),
            "lb.json: replicas[0].max_connections is 0; expected a whole number from 1 to 1000000",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "name": "a/b"}]"#),
            r#"lb.json: replicas[0].name is "a/b"; expected a name of 1 to 63 letters, digits"#,
        ),
        (
            with_replicas(&format!(
                r#"[{{"address": "10.0.0.1", "name": "{}"}}]"#,
                "a".repeat(64)
            )),
            "lb.json: replicas[0].name is \"aaaa",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "name": ""}]"#),
            r#"lb.json: replicas[0].name is ""; expected a name of 1 to 63"#,
        ),
        (
            with_replicas(
                r#"[{"address": "10.0.0.1", "name": "a"}, {"address": "10.0.0.2", "name": "a"}]"#,
            ),
            r#"lb.json: replicas[1].name is "a"; replicas[0] has the same name; give each its own"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "name": "r2"}, {"address": "10.0.0.2"}]"#),
            r#"lb.json: replicas[1].name is "r2"; replicas[0] has the same name; give each its own"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1"}, {"address": "10.0.0.1"}]"#),
            r#"lb.json: replicas[1].address is "10.0.0.1"; replicas[0] has the same address and ports"#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"444": 8443}}]"#),
            "lb.json: replicas[0].ports.444 is 8443; no listener and no check uses port 444; known: 80, 443",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"443": 0}}]"#),
            "lb.json: replicas[0].ports.443 is 0; expected a whole number from 1 to 65535",
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1", "ports": {"https": 8443}}]"#),
            r#"lb.json: replicas[0].ports.https is 8443; expected ports of the service as names, such as {"443": 8443}"#,
        ),
    ]);
}

#[test]
fn an_entry_that_stands_for_many_has_nothing_that_one_replica_has() {
    let discovering = |entry: &str, fields: &str| {
        format!(
            r#"{{"fqdn": "dtr.example.com", "replicas": [{{{entry}, "discover": "dns"}}]{fields}}}"#
        )
    };
    let one_port = r#", "listeners": [{"bind": "0.0.0.0:443"}]"#;
    let srv = r#""address": "_https._tcp.dtr""#;
    assert_refused(vec![
        (
            discovering(r#""address": "10.0.0.1""#, ""),
            r#"lb.json: replicas[0].discover is "dns"; its address is no DNS name, and stands for one replica; give a name, or leave "discover" out"#,
        ),
        (
            discovering(r#""address": "tasks.dtr", "name": "seventeen-letters""#, ""),
            r#"lb.json: replicas[0].name is "seventeen-letters"; each replica that it stands for has its own address added to this name; give at most 16 characters"#,
        ),
        (
            discovering(r#""address": "tasks.dtr", "id": "abc""#, ""),
            r#"lb.json: replicas[0].id is "abc"; an id is that of one replica"#,
        ),
        (
            discovering(srv, ""),
            r#"lb.json: replicas[0].address is "_https._tcp.dtr"; an SRV record has one port, and the listeners serve several; give a name whose addresses are the replicas, or serve one port"#,
        ),
        (
            discovering(&format!(r#"{srv}, "ports": {{"443": 8443}}"#), one_port),
            "lb.json: replicas[0].ports: an SRV record has its own ports; leave this out",
        ),
        (
            discovering(&format!(r#"{srv}, "weight": 2"#), one_port),
            "lb.json: replicas[0].weight: an SRV record has its own weight; leave this out",
        ),
        (
            with_replicas(r#"[{"address": "tasks.dtr", "discover": "consul"}]"#),
            r#"lb.json: replicas[0].discover is "consul"; "#,
        ),
        (
            with_replicas(r#"[{"address": "10.0.0.1"}, {"address": "_https._tcp.dtr"}]"#),
            r#"lb.json: replicas[1].address is "_https._tcp.dtr"; the name is one of SRV records, and has no address of its own; add "discover": "dns", or give the name of one host"#,
        ),
        (
            with(r#""nameservers": ["ns.example.com"]"#),
            r#"lb.json: nameservers[0] is "ns.example.com"; expected the IP address of a name server, and its port where that is not 53, such as "127.0.0.11" or "10.0.0.2:8600""#,
        ),
    ]);
}

#[test]
fn a_name_server_has_its_own_port_or_that_of_dns() {
    let given = r#""nameservers": ["127.0.0.11", "10.0.0.2:8600", "::1", "[::1]:5353"]"#;
    let config = Config::parse(&with(given), "lb.json").unwrap();
    let found: Vec<String> = config.nameservers.iter().map(ToString::to_string).collect();
    let expected = ["127.0.0.11:53", "10.0.0.2:8600", "[::1]:53", "[::1]:5353"];
    assert_eq!(found, expected);
}

#[test]
fn who_discovers_replicas_may_want_any_number_of_them() {
    let text = r#"{"fqdn": "dtr.example.com", "min_healthy": 3,
        "replicas": [{"address": "tasks.dtr", "discover": "dns"}]}"#;
    Config::parse(text, "lb.json").unwrap();
}

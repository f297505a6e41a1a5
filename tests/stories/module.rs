//! Where Envoy gets the filter from.

use dtr_lb_tests::{FILTER, Healthy, Replica, ReservedPort, Traffic, on_envoy};
use serde_json::json;

on_envoy!(the_filter_is_fetched_from_a_server, |world| {
    let server = world
        .replica(Replica::serves(Traffic::Delivers(FILTER)))
        .await;
    let replica = world.replica(Replica::healthy()).await;
    let config = json!({ "replicas": [replica.config()] });

    // As docs/envoy.md has it.
    let address = server.address();
    let remote = json!({
        "http_uri": {
            "uri": format!("http://{address}/dtr_lb_filter.wasm"),
            "cluster": "files",
            "timeout": "10s",
        },
        "sha256": dtr_lb::sha256(FILTER),
    });
    let socket_address = json!({
        "address": address.ip(),
        "port_value": address.port(),
    });
    let cluster = json!({
        "name": "files",
        "load_assignment": {
            "cluster_name": "files",
            "endpoints": [{
                "lb_endpoints": [{ "endpoint": { "address": { "socket_address": socket_address } } }],
            }],
        },
    });
    let proxy = world
        .edited_proxy(config, |bootstrap| {
            let bootstrap = bootstrap.replace("local:\n", &format!("remote: {remote}\n"));
            let is_of_a_file = |line: &&str| line.trim_start().starts_with("filename: ");
            let lines = bootstrap.lines().filter(|line| !is_of_a_file(line));
            let lines: Vec<&str> = lines.collect();
            lines.join("\n").replace(
                "\n  clusters:\n",
                &format!("\n  clusters:\n  - {cluster}\n"),
            )
        })
        .await;

    proxy.sees(&replica, Healthy).await;
    proxy.connect().await.answered_by(&replica).await;
    let asked = server.requests();
    assert!(!asked.is_empty(), "nobody has asked for the filter");
    for request in asked {
        assert_eq!(request.path, "/dtr_lb_filter.wasm");
    }
});

on_envoy!(
    the_filter_lives_where_it_is_given_next_to_nothing,
    |world| {
        let reserved = ReservedPort::new();
        let arrives = reserved.number();
        let replica = || Replica::healthy().serves_port(arrives);
        let rests = world.replica(replica()).await;
        let serves = world.replica(replica()).await;
        let config = json!({ "listeners": [
            { "bind": "127.0.0.1:0", "port": 443 },
            { "bind": format!("127.0.0.1:{arrives}"), "port": arrives },
        ]});

        // As in a mesh: no id of the VM, no body, roots of any name. One plugin is given its
        // port, the other must look where connections arrive.
        let proxy = world
            .edited_proxy(config, |bootstrap| {
                let first = bootstrap.find("\"fqdn\"").unwrap();
                let (before, after) = bootstrap.split_at(first);
                let mut edited = format!("{before}\"port\": 443, {after}");
                for (from, to) in [
                    ("root_id: dtr-lb/443\n".to_owned(), "root_id: mine\n"),
                    (format!("root_id: dtr-lb/{arrives}\n"), "root_id: other\n"),
                    ("vm_id: dtr-lb\n".to_owned(), "vm_id: \"\"\n"),
                    ("allow_on_headers_stop_iteration: true\n".to_owned(), "\n"),
                ] {
                    assert!(edited.contains(&from), "{from} is not in {edited}");
                    edited = edited.replace(&from, to);
                }
                edited
            })
            .await;
        proxy.sees(&rests, Healthy).await;
        proxy.sees(&serves, Healthy).await;

        let answer = proxy
            .request_admin("PUT", "/replicas/r1?state=drain", &[], b"")
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        proxy.is_in_state(&rests, "drain").await;
        for listener in [0, 1] {
            for _ in 0..4 {
                proxy.connect_to(listener).await.answered_by(&serves).await;
            }
        }
    }
);

//! Where Envoy gets the filter from.

use dtr_lb_tests::{FILTER, Healthy, Replica, Traffic, on_envoy};
use serde_json::json;

on_envoy!(the_filter_is_fetched_from_a_server, |world| {
    let server = world
        .replica(Replica::serves(Traffic::Delivers(FILTER)))
        .await;
    let replica = world.replica(Replica::healthy()).await;
    let config = json!({ "replicas": [replica.config()] });

    // As envoy/README.md has it.
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
        .edited_proxy(config, |bootstrap, wasm| {
            let wasm = wasm.display().to_string();
            let bootstrap = bootstrap.replace("local:\n", &format!("remote: {remote}\n"));
            let lines = bootstrap.lines().filter(|line| !line.contains(&wasm));
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

//! The registry's own word on its replicas: a second witness, in the standalone host.

use dtr_lb_tests::{Healthy, LIMIT, Ping, Replica, eventually, on_host};
use serde_json::{Value, json};

on_host!(
    what_the_registry_says_of_itself_is_shown_and_no_verdict,
    |world| {
        std::fs::write(world.folder().join("password"), "secret\n").unwrap();
        let says = |health: Value| {
            let now = "2026-01-01T00:00:00Z";
            let times: Value = json!({ "a1": now, "b2": now });
            let status = json!({ "replica_health": health, "replica_timestamp": times });
            let healthy = r#"{"Error":"","Healthy":true}"#;
            let status = status.to_string();
            Ping::by_path(&[("/_ping", 200, healthy), (PATH, 200, &status)])
        };
        let all_well = || says(json!({ "a1": "OK", "b2": "OK" }));
        let first = world
            .replica(Replica::pings(all_well()).with("id", "a1"))
            .await;
        let second = world.replica(Replica::pings(all_well())).await;
        let config = json!({ "cluster_status": {
        "user": "admin", "password_file": "password", "interval": "1s", "insecure": true,
    } });
        let mut proxy = world.proxy_with(config).await;
        proxy.sees(&first, Healthy).await;
        proxy.measures(&findings("stale"), 2.0).await;
        proxy.measures(&findings("unhealthy"), 0.0).await;
        proxy.measures(&findings("not-configured"), 0.0).await;
        let asked = first.probes();
        let asked = asked.iter().find(|probe| probe.path == PATH).unwrap();
        assert_eq!(
            asked.header("authorization"),
            Some("Basic YWRtaW46c2VjcmV0")
        );

        for replica in [&first, &second] {
            replica.now_pings(says(
                json!({ "a1": "OK", "b2": "rethinkdb: down", "c3": "OK" }),
            ));
        }
        proxy.measures(&findings("unhealthy"), 1.0).await;
        proxy.measures(&findings("not-configured"), 1.0).await;
        // The first who says it is logged, be it one or both.
        proxy.logs("cluster status: b2: ").await;
        proxy.sees(&second, Healthy).await;
        let status = proxy.request_admin("GET", "/status", &[], b"").await;
        let status: Value = serde_json::from_slice(&status.body).unwrap();
        let shown = &status["cluster_status"];
        assert_eq!(
            shown["replicas"][0]["says"]["b2"]["error"], "rethinkdb: down",
            "{shown}"
        );
        assert!(!status.to_string().contains("YWRtaW4"), "{status}");

        world.reload(&mut proxy, json!({})).await;
        eventually(LIMIT, "nobody is asked", async || {
            let status = proxy.request_admin("GET", "/status", &[], b"").await;
            let status: Value =
                serde_json::from_slice(&status.body).map_err(|error| error.to_string())?;
            let is_over = status["cluster_status"].is_null();
            is_over.then_some(()).ok_or(status.to_string())
        })
        .await;
        proxy.does_not_measure(&findings("unhealthy")).await;
    }
);

fn findings(kind: &str) -> String {
    format!(r#"dtr_lb_host_cluster_findings{{kind="{kind}"}}"#)
}

const PATH: &str = "/api/v0/meta/cluster_status";

//! Who may see what on the admin listener, and how.

use dtr_lb_tests::{Authority, Healthy, Replica, on_each_proxy};
use serde_json::json;

on_each_proxy!(
    all_but_the_balancers_own_health_may_need_the_token,
    |world| {
        let _replica = world.replica(Replica::healthy()).await;
        let admin = json!({ "token": "s3cret-token", "protect": "all" });
        let proxy = world.proxy_with(json!({ "admin": admin })).await;
        let bearer = [("authorization", "Bearer s3cret-token")];
        // Base64 of anybody:s3cret-token, as a browser sends it.
        let basic = [("authorization", "Basic YW55Ym9keTpzM2NyZXQtdG9rZW4=")];
        let wrong = [("authorization", "Bearer s3cret-tokem")];

        for path in ["/", "/status"] {
            for (headers, status) in [(&[][..], 401), (&wrong, 401), (&bearer, 200), (&basic, 200)]
            {
                let answer = proxy.request_admin("GET", path, headers, b"").await;
                assert_eq!(answer.status, status, "{path}: {headers:?}");
                let challenge = answer.header("www-authenticate");
                let expected = (status == 401).then_some("Basic realm=\"dtr-lb\"");
                assert_eq!(challenge, expected, "{path}: {headers:?}");
            }
        }
        let ping = proxy.request_admin("GET", "/_ping", &[], b"").await;
        assert_eq!(ping.status, 200, "{}", ping.text());
    }
);

on_each_proxy!(the_admin_listener_shows_its_certificate, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let authority = Authority::new();
    let pem = authority.certificate("lb.example.com");
    std::fs::write(world.folder().join("admin.pem"), pem).unwrap();
    let tls = json!({ "certificate": "admin.pem", "key": "admin.pem" });
    let proxy = world.proxy_with(json!({ "admin": { "tls": tls } })).await;

    let answer = proxy
        .get_admin_over_tls("/status", &authority, "lb.example.com")
        .await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("\"program\""), "{}", answer.text());
    let in_the_clear = proxy.try_admin("/status").await;
    assert!(
        in_the_clear
            .as_ref()
            .map_or(true, |answer| answer.status == 400),
        "{in_the_clear:?}"
    );
    proxy.connect().await.answered_by(&replica).await;
});

on_each_proxy!(
    what_the_file_keeps_away_stays_away_until_it_is_ordered,
    |world| {
        let serves = world.replica(Replica::healthy()).await;
        let rests = world
            .replica(Replica::healthy().with("state", "maintenance"))
            .await;
        let proxy = world.proxy().await;
        proxy.sees(&serves, Healthy).await;
        for _ in 0..10 {
            proxy.connect().await.answered_by(&serves).await;
        }
        assert_eq!(rests.probes().len(), 0, "it is left alone");
        let status = proxy.status_of(&rests).await.unwrap();
        assert_eq!(status["state"], "maintenance", "{status}");
        assert!(status["since_unix_ms"].is_null(), "{status}");

        proxy.order(&rests, "ready").await;
        proxy.reaches(&rests).await;

        let order = r#"{"state":"drain","comment":"a new disk"}"#;
        let answer = proxy.put_replica("r2", &[], order).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let status = proxy.status_of(&rests).await.unwrap();
        assert_eq!(status["comment"], "a new disk", "{status}");
        proxy.logs("by order of the operator: a new disk").await;
    }
);

//! What goes through is not touched.

use dtr_lb_tests::{FQDN, Replica, Traffic, on_each_proxy};
use serde_json::json;

on_each_proxy!(host_path_and_body_arrive_byte_for_byte, |world| {
    let replica = world.replica(Replica::healthy()).await;
    let proxy = world.proxy().await;
    let body = [b"\0\xff\r\n\r\nPOST ".as_slice(), &[b'x'; 3000]].concat();
    let head = format!(
        "PUT /v2/a%2Fb/blobs/uploads/?n=1&n=2#x HTTP/1.1\r\nhOST:   {FQDN}:8443 \r\nX-Odd:a\tb\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), &body].concat();

    let answer = proxy.connect().await.request(&request).await;

    assert_eq!(answer.status, 200);
    let arrived = replica.requests();
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    assert!(
        arrived[0].bytes == request,
        "sent {request:?}, arrived {:?}",
        arrived[0].bytes
    );
});

on_each_proxy!(
    sixty_four_mebibytes_each_way_arrive_byte_for_byte,
    |world| {
        const BYTES: usize = 64 << 20;
        let traffic = Traffic::Noise {
            bytes: BYTES,
            seed: 1,
            wanted: 2,
        };
        let replica = world.replica(Replica::serves(traffic)).await;
        let proxy = world.proxy().await;

        let received = proxy.connect().await.exchange_noise(BYTES, 2, 1).await;

        assert_eq!(
            received,
            (BYTES, None),
            "towards the client: bytes, first difference"
        );
        let arrived = replica.noise().await;
        assert_eq!(
            arrived,
            (BYTES, None),
            "towards the replica: bytes, first difference"
        );
    }
);

on_each_proxy!(a_client_that_half_closes_still_gets_its_answer, |world| {
    let _replica = world
        .replica(Replica::serves(Traffic::CountsToTheEnd))
        .await;
    let proxy = world.proxy().await;

    let mut connection = proxy.connect().await;
    connection.send(&[b'x'; 1234]).await;
    connection.half_close().await;

    assert_eq!(connection.rest().await, "1234 bytes");
});

on_each_proxy!(a_replica_that_half_closes_still_hears_the_client, |world| {
    let replica = world.replica(Replica::serves(Traffic::EndsFirst)).await;
    let proxy = world.proxy().await;

    let mut connection = proxy.connect().await;
    assert_eq!(connection.rest().await, "bye");
    connection.send(&[b'x'; 1234]).await;
    connection.half_close().await;

    replica.receives_after_its_end(1234).await;
});

on_each_proxy!(a_server_may_speak_first, |world| {
    let _replica = world.replica(Replica::serves(Traffic::EndsFirst)).await;
    let proxy = world.proxy().await;

    assert_eq!(proxy.connect().await.rest().await, "bye");
});

on_each_proxy!(a_silent_connection_outlives_every_timer, |world| {
    let replica = world.replica(Replica::serves(Traffic::Echoes)).await;
    let proxy = world
        .proxy_with(json!({ "passive": { "window": "1s", "hold": "1s" } }))
        .await;
    let mut connection = proxy.connect().await;
    connection.echoes(b"before").await;

    // Every timer of the configuration is at most a second long; this many probes
    // take over two.
    let started = std::time::Instant::now();
    while started.elapsed() < std::time::Duration::from_millis(2200) {
        replica.is_probed(4).await;
    }

    connection.echoes(b"after").await;
});

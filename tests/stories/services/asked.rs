//! Each client gets the registry that it asks for.

use dtr_lb_tests::{ClientHello, LIMIT, Standin, eventually, on_each_proxy};

use super::{service_of, two_services};

on_each_proxy!(a_client_gets_the_registry_it_asks_for_in_tls, |world| {
    let (_replicas, services) = two_services(world).await;
    let proxy = world.proxy_with(services).await;
    let quay = || ClientHello::for_name("quay.example.com");
    let named = ClientHello::for_name;
    let cases = [
        ("its fqdn", "dtr", named("dtr.example.com")),
        ("another's", "quay", quay()),
        ("in capitals", "quay", named("QUAY.Example.COM")),
        ("another name", "quay", named("quay.example.org")),
        ("a wildcard", "quay", named("mirror.quay.example.com")),
        ("deeper", "quay", named("a.b.quay.example.com")),
        ("a name of nobody", "dtr", named("harbor.example.com")),
        ("no name", "dtr", ClientHello::new()),
        (
            "a certificate's challenge",
            "quay",
            quay().alpn("acme-tls/1"),
        ),
        (
            "an encrypted ClientHello's outer name",
            "quay",
            quay().encrypted(),
        ),
        (
            "after much else",
            "quay",
            ClientHello::new()
                .padding(12_000)
                .and_name("quay.example.com"),
        ),
        ("over many records", "quay", quay().in_records_of(7)),
    ];
    for (why, expected, hello) in &cases {
        let sent = hello.bytes();
        let found = service_of(&proxy, why, &[&sent]).await;
        assert_eq!(found, *expected, "{why}");
    }

    let sent = quay().bytes();
    let (begin, rest) = sent.split_at(4);
    let (middle, end) = rest.split_at(rest.len() / 2);
    let found = service_of(&proxy, "in segments", &[begin, middle, end]).await;
    assert_eq!(found, "quay", "in segments");
    let early = vec![0x17; 100_000];
    let found = service_of(&proxy, "with early data", &[&sent, &early]).await;
    assert_eq!(found, "quay", "with early data");
});

on_each_proxy!(a_client_gets_the_registry_it_asks_for_as_host, |world| {
    let (_replicas, services) = two_services(world).await;
    let proxy = world.proxy_with(services).await;
    let cases: [(&str, &str, &[&[u8]]); 9] = [
        (
            "its fqdn",
            "dtr",
            &[b"GET / HTTP/1.1\r\nHost: dtr.example.com\r\n\r\n"],
        ),
        (
            "another's",
            "quay",
            &[b"GET / HTTP/1.1\r\nHost: quay.example.com\r\n\r\n"],
        ),
        (
            "with a port",
            "quay",
            &[b"GET / HTTP/1.1\r\nhost:QUAY.example.com:80\r\n\r\n"],
        ),
        (
            "a wildcard",
            "quay",
            &[b"PUT /x HTTP/1.1\r\nA: b\r\nHost: a.quay.example.com\r\n\r\n"],
        ),
        (
            "a name of nobody",
            "dtr",
            &[b"GET / HTTP/1.1\r\nHost: harbor\r\n\r\n"],
        ),
        ("no Host", "dtr", &[b"GET / HTTP/1.0\r\n\r\n"]),
        ("another protocol", "dtr", &[b"SSH-2.0-OpenSSH_9.2\r\n"]),
        ("no ClientHello", "dtr", &[b"\x16\x03\x01\x00\x04what"]),
        (
            "in segments",
            "quay",
            &[
                b"GET / HTTP/1.1\r\nHo",
                b"st: quay.examp",
                b"le.com\r\n\r\n",
            ],
        ),
    ];
    for (why, expected, pieces) in cases {
        let found = service_of(&proxy, why, pieces).await;
        assert_eq!(found, expected, "{why}");
    }

    let head = b"PUT /x HTTP/1.1\r\nHost: quay.example.com\r\nContent-Length: 300000\r\n\r\n";
    let body = vec![b'x'; 300_000];
    let found = service_of(&proxy, "with a body", &[head, &body]).await;
    assert_eq!(found, "quay", "with a body");
});

on_each_proxy!(who_asks_for_nothing_gets_the_default, |world| {
    let (_replicas, mut services) = two_services(world).await;
    services["default"] = "quay".into();
    let proxy = world.proxy_with(services).await;
    let cases = [
        ("no name", ClientHello::new().bytes(), "quay"),
        (
            "a name of nobody",
            ClientHello::for_name("x.example").bytes(),
            "quay",
        ),
        ("another protocol", b"hello, world".to_vec(), "quay"),
        (
            "the other's name",
            ClientHello::for_name("dtr.example.com").bytes(),
            "dtr",
        ),
    ];
    for (why, sent, expected) in cases {
        assert_eq!(service_of(&proxy, why, &[&sent]).await, expected, "{why}");
    }
});

on_each_proxy!(who_does_not_ask_in_time_is_closed, |world| {
    let (replicas, mut services) = two_services(world).await;
    services["hello_timeout"] = "1s".into();
    let proxy = world.proxy_with(services).await;
    let hello = ClientHello::for_name("quay.example.com").bytes();
    let cases: [&[u8]; 3] = [b"", &hello[..40], b"GET / HTTP/1.1\r\nHost: quay"];
    for begun in cases {
        let mut connection = proxy.connect().await;
        connection.send(begun).await;
        connection.is_refused().await;
    }
    let mut in_time = proxy.connect().await;
    in_time.send(&hello).await;
    assert_eq!(in_time.line().await, "r3");
    let reached: usize = replicas.iter().map(Standin::connections).sum();
    assert_eq!(reached, 1, "no replica is troubled with the others");
});

on_each_proxy!(the_log_says_what_was_asked_for_and_what_was_not, |world| {
    let (_replicas, mut services) = two_services(world).await;
    services["hello_timeout"] = "1s".into();
    let proxy = world.proxy_with(services).await;
    let hello = ClientHello::for_name("quay.example.com").bytes();
    service_of(&proxy, "in TLS", &[&hello]).await;
    let named = [r#"service="quay""#, r#"server_name="quay.example.com""#];
    eventually(LIMIT, "what the client asked for", async || {
        let lines = proxy.logged(r#"replica="quay/r3""#);
        let is_named = |line: &String| named.iter().any(|one| line.contains(one));
        lines
            .iter()
            .any(is_named)
            .then_some(())
            .ok_or(lines.join("\n"))
    })
    .await;

    let mut late = proxy.connect().await;
    late.send(b"GET / HTTP/1.1\r\n").await;
    late.is_refused().await;
    proxy.logs(r#"reason="hello-timeout""#).await;
});

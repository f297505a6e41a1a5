//! The admin listener.

use crate::guest::Guest;
use crate::replica::Replica;
use crate::running::{admin, connect, get, post, start};

#[tokio::test]
async fn the_admin_listener_answers_itself_or_asks_the_guest() {
    let r0 = Replica::start("r0").await;
    let host = start(Guest::PLAIN, &[&r0]).await;
    let _open = connect(&host).await;
    let cases = [
        (get("/ready"), "HTTP/1.1 200 OK\r\n", "{\"ready\":true}"),
        (
            get("/metrics"),
            "HTTP/1.1 200 OK\r\n",
            "\ndtr_lb_host_connections_active 1\n",
        ),
        (
            get("/metrics"),
            "HTTP/1.1 200 OK\r\n",
            "content-type: text/plain; version=0.0.4",
        ),
        (
            post("/ready", 0),
            "HTTP/1.1 405 Method Not Allowed\r\n",
            "\"error\"",
        ),
        (
            get("/anything"),
            "HTTP/1.1 200 OK\r\n",
            "hello from the guest",
        ),
        (
            post("/anything", 10),
            "HTTP/1.1 404 Not Found\r\n",
            "\"error\"",
        ),
        (
            post("/anything", 70_000),
            "HTTP/1.1 413 Payload Too Large\r\n",
            "65536",
        ),
    ];
    for (request, status, part) in cases {
        let answer = admin(&host, &request).await;
        let asked = request.lines().next().unwrap();
        assert!(answer.starts_with(status), "{asked}: {answer}");
        assert!(
            answer.contains(part),
            "{asked}: {part:?} is missing in {answer}"
        );
    }
}

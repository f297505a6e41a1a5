//! Several registries behind one address.

mod apart;
mod asked;
mod changes;

use dtr_lb_tests::{Proxy, Replica, Standin, Traffic, World, service};
use serde_json::{Value, json};

/// Two services, `dtr` with two replicas and `quay` with one, whose replicas name
/// themselves: `quay` is asked for by other names as well.
async fn two_services(world: &World) -> ([Standin; 3], Value) {
    let replica = || Replica::serves(Traffic::NamesItself);
    let replicas = [
        world.replica(replica()).await,
        world.replica(replica()).await,
        world.replica(replica()).await,
    ];
    let [one, two, other] = &replicas;
    let more = json!({ "names": ["*.quay.example.com", "quay.example.org"] });
    let services = json!({ "services": [
        service("dtr", &[one, two], json!({})),
        service("quay", &[other], more),
    ] });
    (replicas, services)
}

/// The service whose replica gets what a client sends in these pieces, each of which comes
/// back as it was sent.
async fn service_of(proxy: &Proxy, why: &str, pieces: &[&[u8]]) -> &'static str {
    let mut connection = proxy.connect().await;
    for piece in pieces {
        connection.send(piece).await;
        // Or the kernel would make one segment of several.
        tokio::task::yield_now().await;
    }
    let name = connection.line().await;
    connection.receives(&pieces.concat()).await;
    connection.echoes(b"and more").await;
    match name.as_str() {
        "r1" | "r2" => "dtr",
        "r3" => "quay",
        other => panic!("{why}: {other} answers"),
    }
}

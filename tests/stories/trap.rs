//! A filter that dies takes nothing with it.

use dtr_lb_tests::{
    Arg, FILTER, Healthy, Ping, Replica, Traffic, Unhealthy, on_each_proxy, on_host, trap_when,
};
use serde_json::json;

/// A probe's answer of this size kills the VM that asked.
const DEADLY: usize = 4242;

fn filter_that_dies_of_an_answer() -> Vec<u8> {
    // Parameters: root, call, headers, bytes of the body, trailers.
    trap_when(FILTER, "proxy_on_http_call_response", Arg(3), DEADLY as i32)
}

on_each_proxy!(the_vm_that_probes_dies_and_another_takes_over, |world| {
    let well = world.replica(Replica::healthy()).await;
    let sick = world.replica(Replica::healthy()).await;
    let proxy = world
        .proxy_of(&filter_that_dies_of_an_answer(), json!({}))
        .await;
    proxy.sees(&sick, Healthy).await;

    sick.pings_once(Ping::healthy_in_bytes(DEADLY));
    proxy.logs("unreachable").await;

    sick.is_probed(3).await;
    sick.now_pings(Ping::fails("registry: gone"));
    proxy.sees(&sick, Unhealthy).await;
    for _ in 0..10 {
        proxy.connect().await.answered_by(&well).await;
    }
});

on_host!(
    a_filter_that_traps_cuts_no_established_connection,
    |world| {
        let replica = world.replica(Replica::serves(Traffic::Echoes)).await;
        let proxy = world
            .proxy_of(&filter_that_dies_of_an_answer(), json!({}))
            .await;
        proxy.sees(&replica, Healthy).await;
        let mut held = Vec::new();
        for _ in 0..8 {
            let mut connection = proxy.connect().await;
            connection.echoes(b"before").await;
            held.push(connection);
        }

        for death in 1..=3 {
            replica.pings_once(Ping::healthy_in_bytes(DEADLY));
            proxy.logs_times("unreachable", death).await;
            for connection in &mut held {
                connection.echoes(b"after").await;
            }
            // A VM may still be missing: new connections get through all the same.
            let mut connection = proxy.connect().await;
            connection.echoes(b"new").await;
            held.push(connection);
            replica.is_probed(2).await;
        }
    }
);

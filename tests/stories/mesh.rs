//! What `dtr-lb envoy --istio` writes, put together in Envoy as Istio puts it together.

use dtr_lb::envoy::{IstioOptions, istio};
use dtr_lb_tests::{
    Authority, ClientHello, Healthy, Ping, Replica, Traffic, Unhealthy, World, on_envoy, service,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The documents of a file, of one kind.
fn documents(yaml: &str, kind: &str) -> Vec<Value> {
    let documents = yaml_serde::Deserializer::from_str(yaml);
    let documents = documents.map(|one| Value::deserialize(one).unwrap());
    documents.filter(|one| one["kind"] == kind).collect()
}

/// The values of the patches of one kind.
fn patches(yaml: &str, applied_to: &str) -> Vec<Value> {
    let filter = &documents(yaml, "EnvoyFilter")[0];
    let patches = filter["spec"]["configPatches"].as_array().unwrap().iter();
    let patches = patches.filter(|patch| patch["applyTo"] == applied_to);
    patches
        .map(|patch| patch["patch"]["value"].clone())
        .collect()
}

/// What the configuration comes to for Istio.
fn written(world: &World, config: Value) -> String {
    let system_roots = world.folder().join("gateway.pem");
    Authority::new().write(&system_roots);
    let options = IstioOptions {
        url: "oci://registry.example.com/dtr-lb-filter:1".to_owned(),
        gateway: "ingressgateway".to_owned(),
        system_roots,
    };
    istio(&world.config(config), &options)
}

/// A bootstrap of the same configuration, as a gateway of Istio comes to have it.
fn as_in_a_mesh(bootstrap: &str, written: &str) -> String {
    let mut bootstrap: Value = yaml_serde::from_str(bootstrap).unwrap();
    let plugin = documents(written, "WasmPlugin").remove(0)["spec"].take();
    assert_eq!(plugin["type"], "NETWORK");
    let parts = &mut bootstrap["static_resources"];
    parts["clusters"] = patches(written, "CLUSTER").into();
    let configuration = json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": plugin["pluginConfig"].to_string(),
    });
    let listeners = parts["listeners"].as_array_mut().unwrap();
    for listener in &mut *listeners {
        let filter = &mut listener["filter_chains"][0]["filters"][0];
        let wasm = match filter.pointer("/typed_config/http_filters") {
            Some(_) => "/typed_config/http_filters/0/typed_config/config",
            None => "/typed_config/config",
        };
        let wasm = filter.pointer_mut(wasm).unwrap();
        // Istio gives neither.
        let vm = wasm["vm_config"].as_object_mut().unwrap();
        assert!(vm.remove("vm_id").is_some());
        wasm.as_object_mut()
            .unwrap()
            .remove("allow_on_headers_stop_iteration");
        wasm["configuration"] = configuration.clone();
    }
    let listener = listeners[0].as_object_mut().unwrap();
    for field in ["listener_filters", "listener_filters_timeout"] {
        listener.remove(field);
    }
    let inspectors = patches(written, "LISTENER_FILTER");
    if !inspectors.is_empty() {
        listener.insert("listener_filters".to_owned(), inspectors.into());
    }
    for patch in patches(written, "LISTENER") {
        listener.extend(patch.as_object().unwrap().clone());
    }
    let traffic = &mut listener["filter_chains"][0]["filters"];
    traffic[0]["typed_config"]["config"]["root_id"] = plugin["pluginName"].clone();
    // What the VirtualService comes to, and the patch over it.
    traffic[1]["typed_config"] = json!({
        "stat_prefix": "outbound|443||dtr.example.com",
        "cluster": "outbound|443||dtr.example.com",
    });
    let patch = patches(written, "NETWORK_FILTER").remove(0);
    for (field, value) in patch["typed_config"].as_object().unwrap() {
        traffic[1]["typed_config"][field] = value.clone();
    }
    bootstrap.to_string()
}

on_envoy!(the_filter_balances_where_a_mesh_has_put_it, |world| {
    let stays = world.replica(Replica::healthy()).await;
    let sick = world
        .replica(Replica::pings(Ping::fails("garant: down")))
        .await;
    let breaks = world.replica(Replica::healthy()).await;
    let written = written(world, json!({}));
    let proxy = world
        .edited_proxy(json!({}), |bootstrap| as_in_a_mesh(&bootstrap, &written))
        .await;

    proxy.sees(&stays, Healthy).await;
    proxy.sees(&breaks, Healthy).await;
    proxy.sees(&sick, Unhealthy).await;
    let first = proxy.answers(8).await;
    assert_eq!(first.len(), 2, "{first:?}");
    breaks.refuses_clients().await;
    let later = proxy.answers(8).await;
    assert_eq!(later.get(stays.name()), Some(&8), "{later:?}");
    let path = format!("/replicas/{}?state=drain", breaks.name());
    let answer = proxy.request_admin("PUT", &path, &[], b"").await;
    assert_eq!(
        answer.status,
        403,
        "no token, and no listener of its own: {}",
        answer.text()
    );
});

on_envoy!(several_registries_share_a_gateway_of_a_mesh, |world| {
    let dtr = world.replica(Replica::serves(Traffic::NamesItself)).await;
    let quay = world.replica(Replica::serves(Traffic::NamesItself)).await;
    let config = json!({
        "services": [service("dtr", &[&dtr], json!({})), service("quay", &[&quay], json!({}))],
        "hello_timeout": "500ms",
    });
    let written = written(world, config.clone());
    let entries = documents(&written, "ServiceEntry");
    let names: Vec<&Value> = entries.iter().map(|one| &one["metadata"]["name"]).collect();
    assert_eq!(names, ["dtr-lb-1", "dtr-lb-2"]);
    let proxy = world
        .edited_proxy(config, |bootstrap| as_in_a_mesh(&bootstrap, &written))
        .await;

    let request = |name: &str| format!("GET / HTTP/1.1\r\nHost: {name}.example.com\r\n\r\n");
    for (name, replica) in [("dtr", &dtr), ("quay", &quay)] {
        let hello = ClientHello::for_name(&format!("{name}.example.com"));
        for asked in [hello.bytes(), request(name).into_bytes()] {
            let mut connection = proxy.connect().await;
            connection.send(&asked).await;
            assert_eq!(connection.line().await, replica.name(), "{name}");
        }
    }
    proxy.connect().await.is_refused().await;
});

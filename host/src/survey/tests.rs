#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dtr_lb_filter::health::reason::Reason;

use super::*;
use crate::config::Config;
use crate::standin::{Registry, Replica};
use crate::upstream::resolver::Lookup;

const FQDN: &str = "dtr.example.com";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

async fn standin(registry: &Registry, name: &str) -> Replica {
    let any = SocketAddr::new(HERE, 0);
    registry.replica(name, any, any).await.unwrap()
}

/// Two addresses, one of them of nobody; another name has none.
fn lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            match name.as_str() {
                "two.internal" => Ok(vec![HERE, THERE]),
                _ => Err(io::Error::other("no such name")),
            }
        })
    })
}

#[tokio::test]
async fn a_name_is_asked_at_each_of_its_addresses() {
    let registry = Registry::new(FQDN).unwrap();
    let replica = standin(&registry, "r1").await;
    let text = serde_json::json!({
        "fqdn": FQDN,
        "replicas": [
            { "address": "two.internal", "ports": { "443": replica.https().port() } },
            { "address": "none.internal" },
        ],
        "listeners": [{ "bind": "127.0.0.1:0", "port": 443 }],
        "health": { "verify": "none" },
    });
    let config = Config::parse(&text.to_string(), "lb.json").unwrap();
    let options = SurveyOptions {
        at_once: 1,
        lookup: lookup(),
        ..SurveyOptions::default()
    };
    let seen = Cell::new(Progress { done: 0, all: 0 });
    let survey = survey(&config, &options, |progress| seen.set(progress))
        .await
        .unwrap();
    let found = survey.results.iter().map(|result| {
        let failure = result.failure.as_ref();
        let reason = failure.map(|failure| failure.failure.reason);
        (result.replica.as_str(), result.address.as_str(), reason)
    });
    let expected = [
        ("r1", "127.0.0.1", None),
        ("r1", "127.0.0.2", Some(Reason::Refused)),
        ("r2", "none.internal", Some(Reason::NoAddress)),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let nowhere = survey.results[2].failure.as_ref().unwrap();
    assert_eq!(
        nowhere.advice,
        "its name has no address (no such name); correct \"address\", or DNS"
    );
    assert_eq!(survey.failing().len(), 2);
    let all = 6;
    assert_eq!(seen.get(), Progress { done: all, all }, "checks and logins");
    let seen = replica.pings();
    assert_eq!(seen[0].host.as_deref(), Some(FQDN), "as the balancer asks");
    assert_eq!(seen[0].sni.as_deref(), Some(FQDN));
}

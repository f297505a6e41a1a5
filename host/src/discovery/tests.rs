#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use tokio::net::UdpSocket;

use super::lookup::SystemConfig;
use super::*;

/// What the system's configuration names; `None`: it can't be read.
static SYSTEM: Mutex<Option<SocketAddr>> = Mutex::new(None);

fn system() -> Result<SystemConfig, NetError> {
    let address = SYSTEM.lock().unwrap().ok_or(io::ErrorKind::NotFound);
    let address = address.map_err(io::Error::from)?;
    let mut udp = ConnectionConfig::udp();
    udp.port = address.port();
    let server = NameServerConfig::new(address.ip(), true, vec![udp]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    Ok((config, ResolverOpts::default()))
}

/// Waits until a query comes.
async fn is_asked(discovery: &mut Discovery, server: &UdpSocket, why: &str) {
    let mut query = [0; 512];
    let asked = async {
        loop {
            tokio::select! {
                () = discovery.looked_up() => {}
                query = server.recv(&mut query) => return query.unwrap(),
            }
        }
    };
    let asked = timeout(Duration::from_secs(10), asked).await;
    assert!(asked.is_ok(), "not asked: {why}");
}

#[tokio::test]
async fn the_systems_name_servers_may_come_later_and_be_others_after_a_reload() {
    let text = r#"{"fqdn": "dtr.example.com", "dns_refresh": "20ms",
        "replicas": [{"address": "tasks.dtr", "discover": "dns"}]}"#;
    let file = ConfigFile::read(text.as_bytes(), "lb.json").unwrap();
    let mut discovery = Discovery {
        servers: NameServers::with_system(system),
        ..Discovery::default()
    };
    discovery.follow(&file, Duration::from_secs(10)).await;
    let problem = discovery.names[0].problem.clone().unwrap().reason;
    assert!(problem.starts_with("the system's name servers can't be read: "));

    let (first, second) = (loopback().await, loopback().await);
    *SYSTEM.lock().unwrap() = Some(first.local_addr().unwrap());
    is_asked(&mut discovery, &first, "it can be read now").await;

    *SYSTEM.lock().unwrap() = Some(second.local_addr().unwrap());
    discovery.follow(&file, Duration::ZERO).await;
    is_asked(&mut discovery, &second, "it is another since the reload").await;

    *SYSTEM.lock().unwrap() = None;
    discovery.follow(&file, Duration::ZERO).await;
    is_asked(&mut discovery, &second, "it is the last that is known").await;
}

async fn loopback() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_what_is_wrong() {
    let silent = loopback().await;
    let file = format!(
        r#"{{"fqdn": "dtr.example.com", "nameservers": ["{}"],
            "replicas": [{{"address": "tasks.dtr", "discover": "dns"}}]}}"#,
        silent.local_addr().unwrap()
    );
    let file = ConfigFile::parse(&file, "lb.json").unwrap();
    let mut discovery = Discovery::default();
    discovery.follow(&file, Duration::from_millis(10)).await;
    let expected = "tasks.dtr: no replica is found by it now (DNS has not answered within 10ms)";
    assert_eq!(discovery.shortfall().as_deref(), Some(expected));
}

#[test]
fn a_name_of_which_a_part_is_found_falls_short_too() {
    let refused = |failing| Problem {
        failing,
        reason: "refused".to_owned(),
    };
    let part = "not all replicas are found by it now (refused)";
    let none = "no replica is found by it now (refused)";
    let cases = [
        (Some(Answer::new()), None, None),
        (
            Some(Answer::new()),
            Some(refused(Failing::Target)),
            Some(part),
        ),
        (None, Some(refused(Failing::Name)), Some(none)),
    ];
    for (answer, problem, expected) in cases {
        let name = Name {
            answer,
            problem,
            ..Name::new("tasks.dtr")
        };
        assert_eq!(name.shortfall().as_deref(), expected);
    }
}

#[test]
fn a_name_is_looked_up_again_when_its_answer_is_over() {
    let seconds = Duration::from_secs;
    let cases = [
        ("as the answer says", Some(seconds(12)), 5, 12),
        ("not before dns_refresh", Some(seconds(0)), 5, 5),
        ("Docker's ten minutes", Some(seconds(600)), 5, 30),
        ("a longer dns_refresh", Some(seconds(600)), 60, 60),
        ("no answer", None, 5, 5),
    ];
    for (why, good_for, refresh, expected) in cases {
        let found = until_next_look(good_for, seconds(refresh));
        assert_eq!(found, seconds(expected), "{why}");
    }
}

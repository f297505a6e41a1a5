//! HAProxy, as its manual would have it for this: checks, and another server for a
//! connection that can't be opened.

use std::path::PathBuf;

use anyhow::{Result, bail};
use dtr_lb_tests::FQDN;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::binary::binary;
use super::config::{self, CONNECT_TIMEOUT, Check, DRAIN_TIMEOUT, FAST_INTERVAL, INTERVAL, Site};
use super::{Kind, Places};

pub(super) fn command(site: &Site, places: &Places) -> Result<Command> {
    write(site, places)?;
    let mut command = Command::new(binary(Kind::Haproxy)?);
    // With a master, which alone can reload.
    command.args(["-W", "-db", "-f"]).arg(path(places));
    Ok(command)
}

pub(super) fn write(site: &Site, places: &Places) -> Result<()> {
    let socket = places.folder.join("haproxy.sock");
    let mut text = format!(
        "global\n  nbthread 2\n  log stderr format raw local0\n  hard-stop-after {DRAIN_TIMEOUT}\n  \
         stats socket {} mode 600 level admin expose-fd listeners\n\
         resolvers dns\n  parse-resolv-conf\n  hold valid 1s\n  resolve_retries 1\n  \
         timeout resolve 1s\n  timeout retry 1s\n\
         defaults\n  mode tcp\n  log global\n  option tcplog\n  option redispatch 1\n  retries 3\n  \
         timeout connect {CONNECT_TIMEOUT}\n  timeout client 1h\n  timeout server 1h\n  \
         timeout check {INTERVAL}\n  balance leastconn\n  option httpchk\n  \
         http-check send meth GET uri /_ping ver HTTP/1.1 hdr Host {FQDN}\n  \
         http-check expect status 200\n  \
         default-server inter {INTERVAL} fastinter {FAST_INTERVAL} fall 3 rise 2\n",
        socket.display()
    );
    let mut listeners = vec![("plain", places.traffic), ("tls", places.tls)];
    if site.extra_listener {
        listeners.push(("extra", places.extra));
    }
    for (name, bind) in listeners {
        text.push_str(&format!("listen {name}\n  bind {bind} backlog 4096\n"));
        for one in &site.replicas {
            let port = if name == "tls" { one.tls } else { one.plain };
            let check = match &site.check {
                Check::Plain => format!("check port {}", one.plain),
                Check::Tls(authority) => format!(
                    "check port {} check-ssl verify required ca-file {} check-sni {FQDN} verifyhost {FQDN}",
                    one.tls,
                    authority.display()
                ),
            };
            let names = if one.host.parse::<std::net::IpAddr>().is_ok() {
                ""
            } else {
                " resolvers dns resolve-prefer ipv4 init-addr last,libc,none"
            };
            text.push_str(&format!(
                "  server {} {}:{port} {check}{names}\n",
                one.name, one.host
            ));
        }
    }
    Ok(config::write(&path(places), &text)?)
}

/// By the socket, as operators do it.
pub(super) async fn order(places: &Places, replica: &str, state: &str) -> Result<()> {
    for listener in ["plain", "tls"] {
        let mut socket = UnixStream::connect(places.folder.join("haproxy.sock")).await?;
        let command = format!("set server {listener}/{replica} state {state}\n");
        socket.write_all(command.as_bytes()).await?;
        let mut said = String::new();
        socket.read_to_string(&mut said).await?;
        if !said.trim().is_empty() {
            bail!("haproxy: {said}");
        }
    }
    Ok(())
}

fn path(places: &Places) -> PathBuf {
    places.folder.join("haproxy.cfg")
}

//! NGINX's stream module. It has no checks of its own: what it knows of a server it
//! knows from its clients.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use super::binary::binary;
use super::config::{self, CONNECT_TIMEOUT, Site};
use super::{Kind, Places};

pub(super) fn command(site: &Site, places: &Places) -> Result<Command> {
    write(site, places)?;
    let mut command = Command::new(binary(Kind::Nginx)?);
    command.arg("-c").arg(path(places)).arg("-e").arg("stderr");
    Ok(command)
}

pub(super) fn write(site: &Site, places: &Places) -> Result<()> {
    // Debian has the stream module in a file of its own.
    let module = Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
    let load = if module.is_file() {
        format!("load_module {};\n", module.display())
    } else {
        String::new()
    };
    let mut listeners = vec![("plain", places.traffic), ("tls", places.tls)];
    if site.extra_listener {
        listeners.push(("extra", places.extra));
    }
    let servers = listeners.iter().map(|(name, bind)| {
        let servers: String = site
            .replicas
            .iter()
            .map(|one| {
                let port = if *name == "tls" { one.tls } else { one.plain };
                format!("server {}:{port} max_fails=1 fail_timeout=5s; ", one.host)
            })
            .collect();
        format!(
            "upstream {name} {{ least_conn; {servers} }}\n\
             server {{ listen {bind} backlog=4096; proxy_pass {name}; \
             proxy_connect_timeout {CONNECT_TIMEOUT}; proxy_timeout 1h; \
             proxy_half_close on; }}\n"
        )
    });
    let servers: String = servers.collect();
    let folder = places.folder.display();
    // Without root there is no other user to run as.
    let text = format!(
        "{load}daemon off;\nuser root;\npid {folder}/nginx.pid;\nerror_log stderr warn;\n\
         worker_processes 2;\nevents {{ worker_connections 16000; }}\nstream {{\n{servers}}}\n"
    );
    Ok(config::write(&path(places), &text)?)
}

fn path(places: &Places) -> PathBuf {
    places.folder.join("nginx.conf")
}

//! Envoy, with the bootstrap that `dtr-lb envoy` writes.

use anyhow::{Result, bail};
use dtr_lb_tests::dtr_lb_binary;
use tokio::process::Command;

use super::binary::binary;
use super::config::Site;
use super::{Kind, Places, host};

pub(super) async fn command(site: &Site, places: &Places) -> Result<Command> {
    host::write(site, places)?;
    let out = places.folder.join("envoy");
    let mut write = Command::new(dtr_lb_binary()?);
    write
        .arg("envoy")
        .arg("--config")
        .arg(host::path(places))
        .arg("--out")
        .arg(&out);
    write.arg("--envoy-admin").arg(places.envoy.to_string());
    let output = write.output().await?;
    if !output.status.success() {
        bail!("dtr-lb envoy: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut command = Command::new(binary(Kind::Envoy)?);
    command.arg("--config-path").arg(out.join("envoy.yaml"));
    command.args([
        "--use-dynamic-base-id",
        "--concurrency",
        "2",
        "--log-level",
        "warning",
    ]);
    command.args(["--component-log-level", "wasm:info"]);
    Ok(command)
}

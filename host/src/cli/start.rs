//! Starts the host, and says where it is.

use std::io;

use dtr_lb::plan::Plan;
use dtr_lb::{FILTER, Host, HostOptions, PassedSockets, StartError};

/// Binds what does not listen already, and starts the filter.
pub(super) async fn start(
    sockets: PassedSockets,
    plan: &Plan,
    options: HostOptions,
) -> Result<Host, anyhow::Error> {
    Host::start_on(sockets, plan.clone(), FILTER, options)
        .await
        .map_err(with_remedy)
}

/// What is shown of it by `systemctl status`.
pub(super) fn serving(host: &Host) -> String {
    let addresses: Vec<String> = host.listeners().iter().map(ToString::to_string).collect();
    format!("accepts connections on {}", addresses.join(", "))
}

pub(super) fn log_addresses(host: &Host, plan: &Plan) {
    for (address, listener) in host.listeners().iter().zip(&plan.listeners) {
        match plan.balancer {
            Some(_) => tracing::info!("balancing port {} on {address}", listener.port),
            None => tracing::info!("forwarding {address} to {}", listener.fallback),
        }
    }
    if let Some(admin) = host.admin() {
        let tls = plan.admin.as_ref().and_then(|admin| admin.tls.as_ref());
        let scheme = tls.map_or("http", |_| "https");
        tracing::info!("status, API and metrics on {scheme}://{admin}");
    }
}

pub(super) fn with_remedy(error: StartError) -> anyhow::Error {
    match &error {
        StartError::Bind { address, source }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            anyhow::anyhow!(
                "can't listen on {address}: {source}; ports below 1024 need a permission: \
                 run as root, or once `setcap cap_net_bind_service=+ep {}` as root, \
                 or listen on another port (\"bind\", --listen)",
                std::env::current_exe().map_or_else(
                    |_| "dtr-lb".to_owned(),
                    |program| program.display().to_string()
                )
            )
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_port_names_the_address_and_the_ways_out() {
        let address = ([0, 0, 0, 0], 443).into();
        let source = io::ErrorKind::PermissionDenied.into();
        let message = with_remedy(StartError::Bind { address, source }).to_string();
        assert!(
            message.starts_with("can't listen on 0.0.0.0:443: permission denied; "),
            "{message}"
        );
        assert!(
            message.contains("setcap cap_net_bind_service=+ep /"),
            "{message}"
        );
        assert!(message.contains("run as root"), "{message}");
    }
}

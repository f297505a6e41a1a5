//! `dtr-lb run`: the balancer from its first socket to its last connection.

use std::io;

use anyhow::Context;
use dtr_lb::plan::Plan;
use dtr_lb::{FILTER, Host, HostOptions, StartError};

use super::config_args::ConfigArgs;
use super::failure::Failure;
use super::reload::{Cause, Causes, Running};
use super::service_manager;
use super::signal::{SignalAction, Signals};

/// Balances until a signal, then drains. SIGHUP has the configuration read again.
pub(super) fn run(config_args: &ConfigArgs, options: HostOptions) -> Result<(), Failure> {
    let config = config_args.read()?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let result = runtime.block_on(async {
        let mut signals = Signals::new().context("signals can't be awaited")?;
        let (reloads, mut causes) = Causes::new(config_args);
        causes.follow(&config)?;
        let options = HostOptions {
            reloads: Some(reloads),
            ..options
        };
        let plan = Plan::of_file(&config);
        let mut running = Running {
            host: start(&plan, options).await?,
            config_args,
            config,
            plan,
        };
        log_addresses(&running.host, &running.plan);
        service_manager::ready(&serving(&running.host));
        tokio::spawn(service_manager::feed_watchdog());
        let signal = loop {
            let cause = tokio::select! {
                action = signals.next() => match action {
                    SignalAction::End(signal) => break signal,
                    SignalAction::Reload => Cause::Signal,
                },
                cause = causes.next() => cause,
            };
            service_manager::reloading();
            running.reload(cause, &mut causes).await;
            service_manager::ready(&serving(&running.host));
        };
        // Who waits for a reload is told that there is none.
        drop(causes);
        drain(running.host, &running.plan, signal, signals).await;
        Ok(())
    });
    // A look-up of a name may block a thread for as long as the resolver waits.
    runtime.shutdown_background();
    result
}

/// Binds everything and starts the filter.
pub(super) async fn start(plan: &Plan, options: HostOptions) -> Result<Host, anyhow::Error> {
    Host::start(plan.clone(), FILTER, options)
        .await
        .map_err(with_remedy)
}

/// Announces the drain, then lets the open connections end; a second signal ends
/// them at once.
pub(super) async fn drain(host: Host, plan: &Plan, signal: &str, mut signals: Signals) {
    host.announce_drain();
    let (delay, limit) = (plan.drain_delay, plan.drain_timeout);
    service_manager::stopping(delay.saturating_add(limit));
    if !delay.is_zero() {
        tracing::info!(
            "{signal}: /ready and /_ping say 503; connections are accepted for {} more; \
             a second signal cuts them",
            humantime::format_duration(delay)
        );
        if let Some(signal) = signals.end_within(delay).await {
            log_cut(signal);
            host.drain_until(std::future::ready(())).await;
            return;
        }
    }
    tracing::info!(
        "{signal}: no more connections are accepted; the open ones have {} to end; \
         a second signal cuts them",
        humantime::format_duration(limit)
    );
    let over = async {
        if let Some(signal) = signals.end_within(limit).await {
            log_cut(signal);
        }
    };
    host.drain_until(over).await;
}

fn log_cut(signal: &str) {
    tracing::warn!("{signal}: the open connections are cut");
}

/// What is shown of it by `systemctl status`.
fn serving(host: &Host) -> String {
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

//! `dtr-lb run`: the balancer from its first socket to its last connection.

use anyhow::Context;
use dtr_lb::plan::Plan;
use dtr_lb::{Discovery, Host, HostOptions};

use super::config_args::ConfigArgs;
use super::failure::Failure;
use super::log::Log;
use super::reload::{Cause, Causes, Running};
use super::service_manager;
use super::signal::{SignalAction, Signals};
use super::socket_activation::passed_sockets;
use super::start::{log_addresses, serving, start};

/// Balances until a signal, then drains. SIGHUP has the configuration read again.
pub(super) fn run(
    config_args: &ConfigArgs,
    options: HostOptions,
    log: &Log,
) -> Result<(), Failure> {
    let config = config_args.read()?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let sockets = passed_sockets()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let result = runtime.block_on(async {
        let mut signals = Signals::new().context("signals can't be awaited")?;
        let reopening = log.reopen_on_hang_up();
        tokio::spawn(reopening.context("signals can't be awaited")?);
        let (reloads, mut causes) = Causes::new(config_args);
        causes.follow(&config)?;
        let options = HostOptions {
            reloads: Some(reloads),
            ..options
        };
        let mut discovery = Discovery::default();
        discovery.follow(&config, options.resolve_limit).await;
        let expanded = discovery.expand(&config);
        let plan = Plan::of_file(&expanded);
        let mut running = Running {
            host: start(sockets, &plan, options).await?,
            config_args,
            config,
            discovery,
            expanded,
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
                () = running.rediscovered() => Cause::Dns,
            };
            service_manager::reloading();
            running.reload(cause, &mut causes).await;
            service_manager::ready(&serving(&running.host));
        };
        // A request that waits for a reload is answered that there is none.
        drop(causes);
        drain(running.host, &running.plan, signal, signals).await;
        Ok(())
    });
    // A look-up of a name may block a thread for as long as the resolver waits.
    runtime.shutdown_background();
    result
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

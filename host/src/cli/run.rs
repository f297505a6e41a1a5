//! `dtr-lb run`: the balancer from its first socket to its last connection.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use dtr_lb::plan::Plan;
use dtr_lb::{
    Candidate, Discovery, FILTER, Host, HostOptions, Predecessor, Successor, TakeoverError,
};
use tokio::time::timeout;

use super::config_args::ConfigArgs;
use super::failure::Failure;
use super::log::Log;
use super::reload::{Cause, Causes, Running};
use super::service_manager;
use super::signal::{SignalAction, Signals};
use super::socket_activation::passed_sockets;
use super::start::{log_addresses, serving, start, with_remedy};
use super::upgrade::{Family, Upgrade, socket_of};

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    config_args: ConfigArgs,
    /// Go on in the place of the balancer that runs, which then drains; its socket, unless
    /// it is where the configuration has it.
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, require_equals = true)]
    takeover: Option<Option<PathBuf>>,
}

/// What ends the balancer.
enum End {
    Signal(&'static str),
    TakenOver(Successor),
}

impl Run {
    /// Balances until a signal, or until another process takes over, then drains. SIGHUP
    /// has the configuration read again, SIGUSR2 another process started.
    pub(super) fn run(&self, options: HostOptions, log: &Log) -> Result<(), Failure> {
        let config = self.config_args.read()?;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        let result = runtime.block_on(async {
            let mut signals = Signals::new().context("signals can't be awaited")?;
            let reopening = log.reopen_on_hang_up();
            tokio::spawn(reopening.context("signals can't be awaited")?);
            let mut upgrade = Upgrade::new()?;
            let (reloads, mut causes) = Causes::new(&self.config_args);
            causes.follow(&config)?;
            let options = HostOptions {
                reloads: Some(reloads),
                ..options
            };
            let mut discovery = Discovery::on_this_machine();
            discovery.follow(&config, options.resolve_limit).await;
            let expanded = discovery.expand(&config);
            let plan = Plan::of_file(&expanded);
            let host = match &self.takeover {
                None => {
                    let sockets = passed_sockets()?;
                    // Before there is anything to take over: where that can't be, it can
                    // be known at once.
                    upgrade.listen(&config).await?;
                    start(sockets, &plan, options).await?
                }
                Some(socket) => {
                    // The process that runs may know replicas, which would be lost with it.
                    if let Some(shortfall) = discovery.shortfall() {
                        return Err(Failure::Runtime(anyhow::anyhow!(
                            "{shortfall}; the balancer that runs goes on with those it knows"
                        )));
                    }
                    let socket = socket.clone().or_else(|| socket_of(&config));
                    let host = take_over(socket, &plan, options).await?;
                    if let Err(error) = upgrade.listen(&config).await {
                        tracing::error!("{error}; no process can take over from this one");
                    }
                    host
                }
            };
            let mut running = Running {
                host,
                config_args: &self.config_args,
                config,
                discovery,
                expanded,
                plan,
                refusal: None,
            };
            log_addresses(&running.host, &running.plan);
            service_manager::ready(&serving(&running.host));
            tokio::spawn(service_manager::feed_watchdog());
            let end = balance(&mut running, &mut causes, &mut upgrade, &mut signals).await;
            // A request that waits for a reload is answered that there is none.
            drop(causes);
            let Running { host, plan, .. } = running;
            match end {
                End::Signal(signal) => {
                    drop(upgrade);
                    drain(host, &plan, signal, signals).await;
                    Ok(())
                }
                End::TakenOver(successor) => {
                    let family = upgrade.finish();
                    retire(
                        host,
                        plan.drain_timeout,
                        successor,
                        &mut signals,
                        family.as_ref(),
                    )
                    .await;
                    match family {
                        Some(family) => Ok(family.end(&mut signals).await?),
                        None => Ok(()),
                    }
                }
            }
        });
        // A look-up of a name may block a thread for as long as the resolver waits.
        runtime.shutdown_background();
        result
    }
}

/// Serves, reloads and starts other processes, until the end.
async fn balance(
    running: &mut Running<'_>,
    causes: &mut Causes<'_>,
    upgrade: &mut Upgrade,
    signals: &mut Signals,
) -> End {
    loop {
        let cause = tokio::select! {
            action = signals.next() => match action {
                SignalAction::End(signal) => return End::Signal(signal),
                SignalAction::Reload => Cause::Signal,
                SignalAction::Upgrade => {
                    upgrade.start(running.config_args);
                    continue;
                }
            },
            cause = causes.next() => cause,
            () = running.rediscovered() => Cause::Dns,
            candidate = upgrade.next() => {
                let process = candidate.process();
                match hand_over(&mut running.host, candidate, upgrade, signals).await {
                    Ok(Some(end)) => return end,
                    Ok(None) => {}
                    Err(error @ TakeoverError::NoCandidate) => {
                        tracing::debug!("no takeover: {error}");
                    }
                    Err(error) => {
                        tracing::error!("a takeover failed: {error}; this process goes on");
                        upgrade.failed(process);
                    }
                }
                continue;
            }
        };
        service_manager::reloading();
        running.reload(cause, causes).await;
        service_manager::ready(&serving(&running.host));
        if let Err(error) = upgrade.listen(&running.config).await {
            tracing::error!("{error}; another process takes over where it did before");
        }
    }
}

/// Goes on in the place of the process that listens there.
async fn take_over(
    socket: Option<PathBuf>,
    plan: &Plan,
    options: HostOptions,
) -> Result<Host, Failure> {
    let socket = socket.ok_or_else(|| {
        Failure::Usage(anyhow::anyhow!(
            "--takeover: where the balancer that runs is to be reached is not known; give \
             --takeover=SOCKET, or a \"takeover_socket\""
        ))
    })?;
    let predecessor = Predecessor::meet(&socket).await;
    let predecessor = predecessor.map_err(anyhow::Error::from)?;
    let host = Host::take_over(predecessor, plan.clone(), FILTER, options).await;
    Ok(host.map_err(with_remedy)?)
}

/// Gives this process's place to a candidate; a signal meanwhile ends this process as
/// without one, unless the candidate is about to accept. `None`: it was sent away.
///
/// # Errors
/// When it does not come to accept: all is as before.
async fn hand_over(
    host: &mut Host,
    candidate: Candidate,
    upgrade: &Upgrade,
    signals: &mut Signals,
) -> Result<Option<End>, TakeoverError> {
    if let Some(objection) = upgrade.objection(&candidate) {
        tracing::warn!("a takeover is refused: {objection}");
        candidate.refuse(objection).await;
        return Ok(None);
    }
    let ready = tokio::select! {
        ready = host.offer(candidate) => ready?,
        signal = signals.end() => return Ok(Some(End::Signal(signal))),
        () = upgrade.refuse_others() => return Ok(None),
    };
    let successor = host.hand_over(ready).await?;
    if let Some(process) = successor.process() {
        service_manager::main_process(process);
    }
    Ok(Some(End::TakenOver(successor)))
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

/// Lets the open connections end, now that another process accepts. A service manager
/// that ends the service sends its signal to both: so it takes two to end them at once.
async fn retire(
    host: Host,
    limit: Duration,
    successor: Successor,
    signals: &mut Signals,
    family: Option<&Family>,
) {
    tracing::info!(
        "another process accepts now; the open connections have {} to end",
        humantime::format_duration(limit)
    );
    let cut = async {
        let mut is_first = true;
        loop {
            let signal = signals.any().await;
            if let Some(family) = family {
                family.signal(signal);
            }
            match SignalAction::of(signal) {
                SignalAction::End(signal) if is_first => {
                    is_first = false;
                    tracing::info!(
                        "{signal}: the open connections go on; a second signal cuts them"
                    );
                }
                SignalAction::End(signal) => return log_cut(signal),
                other if family.is_none() => other.log_ignored(),
                SignalAction::Reload | SignalAction::Upgrade => {}
            }
        }
    };
    let over = async {
        // An error: the limit is over.
        let _ = timeout(limit, cut).await;
    };
    host.retire(successor, over).await;
}

fn log_cut(signal: &str) {
    tracing::warn!("{signal}: the open connections are cut");
}

//! `dtr-lb status --watch`.

use std::io;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Signal as StopSignal, getpid, kill_process};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::screen::Screen;
use super::text::{Freshness, Look};
use crate::cli::admin_client::AdminClient;
use crate::cli::balancer_status::BalancerStatus;
use crate::cli::failure::{Failure, with_causes};
use crate::cli::output::write_line;
use crate::cli::terminal::{Palette, Terminal};

/// Shows the status every so often, until a signal ends it: on a terminal in place, else
/// one below the other.
pub(super) async fn watch(client: &AdminClient, every: Duration) -> Result<(), Failure> {
    let mut signals = Signals::new().context("signals can't be awaited")?;
    let screen = match Terminal::find() {
        Some(_) => Some(Screen::enter().context(NO_TERMINAL)?),
        None => None,
    };
    let mut known = Known::nothing();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A balancer that does not answer must not look well for long.
    let patience = every.clamp(PATIENCE.0, PATIENCE.1);
    loop {
        let event = tokio::select! {
            event = signals.next() => event,
            asked = async {
                ticks.tick().await;
                timeout(patience, BalancerStatus::ask(client)).await
            } => {
                match asked {
                    Ok(Ok(status)) => known.learn(status),
                    Ok(Err(error)) => known.lost(with_causes(&error)),
                    Err(_) => known.lost(format!("nothing within {patience:?}")),
                }
                Event::Redraw
            }
        };
        match (event, &screen) {
            (Event::End, _) => return Ok(()),
            (Event::Redraw, Some(screen)) => {
                let terminal = Terminal::find();
                let lines = known.lines(client, terminal.map_or(usize::MAX, |it| it.width));
                let height = terminal.map_or(usize::MAX, |it| it.height);
                screen.show(&fitting(&lines, height)).context(NO_TERMINAL)?;
            }
            (Event::Redraw, None) => {
                let lines = known.lines(client, usize::MAX);
                match write_line(format_args!("{}\n", lines.join("\n"))) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    written => written.context("standard output can't be written")?,
                }
            }
            (Event::Stop, screen) => {
                if let Some(screen) = screen {
                    screen.suspend().context(NO_TERMINAL)?;
                }
                // Goes on from here when the shell continues it.
                kill_process(getpid(), StopSignal::STOP)
                    .map_err(io::Error::from)
                    .context("can't stop")?;
                if let Some(screen) = screen {
                    screen.resume().context(NO_TERMINAL)?;
                }
            }
        }
    }
}

/// The last status, and whether there is one since.
struct Known {
    status: Option<BalancerStatus>,
    /// When it was got, or when there was first an attempt.
    since: Instant,
    /// Why there is no newer one; `None`: there is.
    lost: Option<String>,
}

impl Known {
    fn nothing() -> Known {
        Known {
            status: None,
            since: Instant::now(),
            lost: None,
        }
    }

    fn learn(&mut self, status: BalancerStatus) {
        *self = Known {
            status: Some(status),
            ..Known::nothing()
        };
    }

    fn lost(&mut self, why: String) {
        self.lost = Some(why);
    }

    fn lines(&self, client: &AdminClient, width: usize) -> Vec<String> {
        let look = Look {
            address: client.server().address,
            width,
            palette: Palette::find(),
        };
        let age = self.since.elapsed();
        match (&self.status, &self.lost) {
            (Some(status), None) => look.lines(status, Freshness::Fresh),
            (Some(status), Some(why)) => look.lines(status, Freshness::Stale { age, why }),
            (None, why) => look.without_status(age, why.as_deref().unwrap_or("not asked yet")),
        }
    }
}

/// What the display has to do.
enum Event {
    Redraw,
    /// The shell stops the process, by ctrl-Z.
    Stop,
    End,
}

struct Signals {
    resize: Signal,
    stop: Signal,
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    quit: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            resize: signal(SignalKind::window_change())?,
            stop: signal(SignalKind::from_raw(StopSignal::TSTP.as_raw()))?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.resize.recv() => Event::Redraw,
            _ = self.stop.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::End,
            _ = self.terminate.recv() => Event::End,
            _ = self.hang_up.recv() => Event::End,
            _ = self.quit.recv() => Event::End,
        }
    }
}

/// As many lines as fit, and how many do not.
fn fitting(lines: &[String], height: usize) -> Vec<String> {
    if lines.len() <= height {
        return lines.to_vec();
    }
    let shown = height.saturating_sub(1);
    let rest = lines.len() - shown;
    let more = format!("... {rest} more lines; dtr-lb status without --watch has all");
    lines.iter().take(shown).cloned().chain([more]).collect()
}

/// How long an answer may take, at least and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
const NO_TERMINAL: &str = "the terminal can't be written to";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let lines: Vec<String> = (1..=5).map(|line| line.to_string()).collect();
        assert_eq!(fitting(&lines, 5), lines);
        let expected = [
            "1",
            "2",
            "... 3 more lines; dtr-lb status without --watch has all",
        ];
        assert_eq!(fitting(&lines, 3), expected);
        assert_eq!(fitting(&lines, 0).len(), 1);
    }
}

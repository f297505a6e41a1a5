//! How long a service waits.

use std::rc::Rc;
use std::time::Duration;

use super::ledger::Ledger;
use super::line::Line;
use super::settings::{Set, Settings};
use super::source::Source;
use crate::import::error::ImportError;
use crate::import::found::{At, Service};
use crate::import::written;

/// Sets the times of a service from what its frontend and its backend say.
///
/// # Errors
/// A value is no time.
pub(super) fn set(
    source: &Source<'_>,
    service: &mut Service,
    (front, back): (&Settings, &Settings),
    ledger: &mut Ledger,
) -> Result<(), ImportError> {
    let connect = back.time(source, "timeout connect")?;
    service.connect_timeout = taken(connect, "connect_timeout", ledger);
    let client = front.time(source, "timeout client")?;
    let server = back.time(source, "timeout server")?;
    let sides: Vec<_> = client.into_iter().chain(server).collect();
    let tunnel = back.time(source, "timeout tunnel")?;
    let held = match &tunnel {
        Some(_) => tunnel,
        None => sides.iter().min_by_key(|(time, _)| time.value).cloned(),
    };
    if let Some((held, line)) = held {
        for (side, other) in sides.iter().filter(|(_, other)| !Rc::ptr_eq(other, line)) {
            let name = line.text(1);
            match side.value == held.value {
                true => drop(taken(Some((side.clone(), *other)), "idle_timeout", ledger)),
                false => ledger.not_taken(
                    other,
                    format!(
                        "{}: {} holds for TCP instead, {}, and there is one \"idle_timeout\" both ways",
                        title(other),
                        if name == "tunnel" { "timeout tunnel" } else { "the shorter one" },
                        written::time(held.value)
                    ),
                ),
            }
        }
        service.idle_timeout = taken(Some((held, line)), "idle_timeout", ledger);
    }
    let fins = [
        front.time(source, "timeout client-fin")?,
        back.time(source, "timeout server-fin")?,
    ];
    let longest = fins.iter().flatten().max_by_key(|(time, _)| time.value);
    if let Some((longest, _)) = longest {
        for (time, line) in fins.iter().flatten() {
            match time.value == longest.value {
                true => {
                    let fin = Some((time.clone(), *line));
                    service.half_close_timeout = taken(fin, "half_close_timeout", ledger);
                }
                false => ledger.not_taken(
                    line,
                    format!(
                        "{}: there is one limit for both ways, and the longer is taken",
                        title(line)
                    ),
                ),
            }
        }
    }
    let all = [
        (front, "timeout client"),
        (front, "timeout client-fin"),
        (back, "timeout server"),
        (back, "timeout server-fin"),
        (back, "timeout connect"),
        (back, "timeout tunnel"),
    ];
    for (settings, name) in all {
        if let (Some(line), None) = (settings.line(name), settings.time(source, name)?) {
            ledger.taken(line, format!("{}: 0, which is the default", title(line)));
        }
    }
    Ok(())
}

fn taken(
    time: Set<'_, Duration>,
    field: &'static str,
    ledger: &mut Ledger,
) -> Option<At<Duration>> {
    let (time, line) = time?;
    let value = written::time(time.value);
    ledger.taken_as(line, field, &title(line), &value);
    Some(time)
}

/// A line's name, in its old or its new form.
fn title(line: &Line) -> String {
    match line.text(0) {
        "timeout" => format!("timeout {}", line.text(1)),
        old => old.to_owned(),
    }
}

//! What `describe-load-balancer-attributes` prints, and what a template calls alike.

use std::time::Duration;

use super::json::Node;
use crate::import::error::ImportError;
use crate::import::found::At;
use crate::import::note::Notes;
use crate::import::written::time;

/// Whether a field is an attribute, wherever it stands.
pub(super) fn is_one(field: &str) -> bool {
    [
        "ConnectionSettings",
        "ConnectionDraining",
        "ConnectionDrainingPolicy",
        "CrossZone",
        "CrossZoneLoadBalancing",
        "AccessLog",
        "AccessLoggingPolicy",
        "AdditionalAttributes",
    ]
    .contains(&field)
}

/// Notes an attribute; the idle timeout, when it is that.
///
/// # Errors
/// The timeout can't be read.
pub(super) fn read(
    field: &str,
    value: &Node<'_>,
    notes: &mut Notes,
) -> Result<Option<At<Duration>>, ImportError> {
    let place = value.place();
    let reason = match field {
        "ConnectionSettings" => {
            let Some(timeout) = value.get("IdleTimeout") else {
                notes.not_taken(&place, format!("{field}: there is no IdleTimeout in it"));
                return Ok(None);
            };
            let (seconds, place) = (timeout.number(1, 4000)?, timeout.place());
            let value = Duration::from_secs(seconds.into());
            let old = format!("{field}: IdleTimeout {seconds}");
            notes.taken_as(&place, "idle_timeout", &old, &time(value));
            return Ok(Some(At { value, place }));
        }
        "ConnectionDraining" | "ConnectionDrainingPolicy" => {
            "connections of a replica in drain go on until they end; \"on_down\" says what becomes of \
             those of one that is unhealthy"
        }
        "CrossZone" | "CrossZoneLoadBalancing" => {
            "there are no zones: all replicas are given connections"
        }
        "AccessLog" | "AccessLoggingPolicy" => {
            "dtr-lb logs to standard error, with a line for each connection"
        }
        _ => "there is no equivalent here",
    };
    notes.not_taken(&place, format!("{field}: {reason}"));
    Ok(None)
}

//! What NGINX does by default, against what the registry's guide asks of a balancer.

use super::upstream::{Upstream, Zone};
use crate::import::found::Service;
use crate::import::note::{Notes, Place};
use crate::import::written::time;

/// Advises on defaults, at the place of the stream.
pub(super) fn on_defaults<'a>(
    services: &[Service],
    upstreams: impl Iterator<Item = &'a Upstream>,
    place: &Place,
    notes: &mut Notes,
) {
    let mut idle = services.iter().map(|service| &service.idle_timeout);
    if !services.is_empty() && idle.all(Option::is_none) {
        notes.advice(
            place,
            "NGINX ends a connection that is silent for 10 minutes unless proxy_timeout says \
             otherwise, and the registry's guide wants more than 10 minutes or no limit; there is \
             none now",
        );
    }
    if upstreams
        .into_iter()
        .any(|upstream| upstream.zone == Zone::OfEachWorker)
    {
        notes.advice(
            place,
            "an upstream without \"zone\" is known to each of NGINX's workers for itself, with its \
             own count of failures and connections; here all workers share it",
        );
    }
    let mut passive = services
        .iter()
        .filter_map(|service| service.passive.as_ref());
    if let Some(passive) = passive.next() {
        notes.advice(
            place,
            format!(
                "when all replicas fail for a moment, NGINX turns clients away for fail_timeout \
                 ({}); here a replica that is held back is tried when no other is left",
                time(passive.value.hold)
            ),
        );
    }
}

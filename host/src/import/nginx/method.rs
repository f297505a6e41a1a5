//! How one of an upstream's servers is chosen.

use super::directive::Directive;
use super::files::Files;
use crate::import::found::{At, Policy};
use crate::import::note::Notes;

/// Reads `least_conn`, `least_time`, `random` or `hash`. `None`: as if it were not
/// there, in turn.
pub(super) fn read(
    directive: &Directive,
    files: &Files<'_>,
    notes: &mut Notes,
) -> Option<At<Policy>> {
    let place = files.place_of(directive);
    let shown = directive.shown();
    let argument = |index| directive.argument(index).unwrap_or_default();
    let (policy, field) = match directive.name.text.as_str() {
        // Times are not measured here.
        "least_conn" | "least_time" => (Policy::LeastConnections, "least-connections"),
        // The less busy of two, even where it was one.
        "random" => (Policy::RandomTwo, "random-two"),
        _ if ["$remote_addr", "$binary_remote_addr"].contains(&argument(0)) => {
            (Policy::SourceHash, "source-hash")
        }
        _ => {
            let text = format!(
                "{shown}: only the client's address can be hashed (\"source-hash\"); replicas are \
                 chosen in turn"
            );
            notes.not_taken(&place, text);
            return None;
        }
    };
    notes.taken_as(&place, "policy", &shown, field);
    Some(At {
        value: policy,
        place,
    })
}

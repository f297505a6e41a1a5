//! What people are shown.

use std::collections::BTreeSet;

use dtr_lb::cluster_status::{Finding, Member, Witness};

use crate::cli::age::age;
use crate::cli::table::{Align, Table, wrap};

/// A row for each replica the cluster has, a column for each that says something of it;
/// then what is worth a look.
pub(super) fn text(witnesses: &[Witness], found: &[Finding], now_unix_s: i64) -> String {
    let views: Vec<_> = witnesses
        .iter()
        .filter_map(|witness| Some((witness, witness.view.as_ref().ok()?)))
        .collect();
    let ids: BTreeSet<&String> = views.iter().flat_map(|(_, view)| view.0.keys()).collect();
    let is_empty = ids.is_empty();
    let mut table = Table::new()
        .column("id", Align::Left, 14)
        .column("replica", Align::Left, 12)
        .column("own /_ping", Align::Left, 12);
    for (witness, _) in &views {
        table = table.column(format!("{} says", witness.name), Align::Left, 12);
    }
    for id in ids {
        let named = witnesses
            .iter()
            .find(|witness| witness.id.as_ref() == Some(id));
        let mut row = vec![
            id.clone(),
            named.map_or_else(|| "?".to_owned(), |witness| witness.name.clone()),
            named.map_or_else(|| "?".to_owned(), ping),
        ];
        for (_, view) in &views {
            row.push(match view.0.get(id) {
                Some(member) => saying(member, now_unix_s),
                None => "nothing".to_owned(),
            });
        }
        table.row(row);
    }
    let mut lines = match is_empty {
        true => Vec::new(),
        false => table.lines(WIDTH),
    };
    for witness in witnesses.iter().filter(|witness| witness.id.is_none()) {
        let own = ping(witness);
        lines.push(format!(
            "{}: own /_ping {own}; its \"id\" is not configured",
            witness.name
        ));
    }
    if found.is_empty() {
        lines.push("\nok: all say the same, and that all is well".to_owned());
    } else {
        lines.push("\nworth a look:".to_owned());
        let texts = found
            .iter()
            .map(|one| wrap(&format!("  {}", one.text), WIDTH));
        lines.extend(texts);
    }
    lines.join("\n")
}

fn ping(witness: &Witness) -> String {
    match &witness.ping {
        None => "not asked".to_owned(),
        Some(Ok(())) => "OK".to_owned(),
        Some(Err(why)) => why.clone(),
    }
}

fn saying(member: &Member, now_unix_s: i64) -> String {
    let text = member.error.as_deref().unwrap_or("OK");
    match member.reported_unix_s {
        None => format!("{text} (no time)"),
        Some(time) => format!("{text} ({})", age(now_unix_s.saturating_sub(time))),
    }
}

/// In characters.
const WIDTH: usize = 100;

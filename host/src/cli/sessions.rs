//! `dtr-lb sessions`: which connections are open, and the end of those of a replica.

use anyhow::{Context, anyhow};
use clap::Args;
use dtr_lb::{KilledSessions, SessionList};
use dtr_lb_filter::printable::printable;
use http::{Method, StatusCode};
use serde_json::json;

use super::admin_client::{AdminArgs, AdminClient, Answer, block_on};
use super::age::age;
use super::failure::Failure;
use super::log::Log;
use super::output::print;
use super::table::{Align, Table};
use super::terminal::Terminal;

#[derive(Debug, Args)]
pub(crate) struct Sessions {
    #[command(flatten)]
    admin: AdminArgs,
    /// Only those of this replica.
    #[arg(long, value_name = "NAME", conflicts_with = "kill")]
    replica: Option<String>,
    /// End those of this replica, at once and in the middle of whatever they do.
    #[arg(long, value_name = "NAME")]
    kill: Option<String>,
    /// Print one JSON object; docs/admin.md describes it.
    #[arg(long)]
    json: bool,
}

impl Sessions {
    /// Lists the open connections, or ends those of a replica.
    pub(super) fn run(self, log: &Log) -> Result<(), Failure> {
        let client = self.admin.client(log);
        let done = client.and_then(|client| match &self.kill {
            Some(replica) => block_on(self.kill(&client, replica)),
            None => block_on(self.list(&client)),
        });
        if let Err(failure) = &done
            && self.json
        {
            print(json!({ "error": failure.to_string() }))?;
        }
        print(done?)
    }

    async fn list(&self, client: &AdminClient) -> Result<String, anyhow::Error> {
        let path = match &self.replica {
            Some(replica) => path_of(replica)?,
            None => PATH.to_owned(),
        };
        let answer = client.get(&path).await?;
        let list: SessionList = serde_json::from_str(&body(client, answer).await?)
            .with_context(|| format!("what {} answers is no list", client.server()))?;
        Ok(match self.json {
            true => serde_json::to_string(&list)?,
            false => text(&list),
        })
    }

    async fn kill(&self, client: &AdminClient, replica: &str) -> Result<String, anyhow::Error> {
        let path = path_of(replica)?;
        let answer = client.ask(Method::DELETE, &path, None).await?;
        let KilledSessions { replica, killed } = serde_json::from_str(&body(client, answer).await?)
            .with_context(|| format!("what {} answers is no number", client.server()))?;
        Ok(match (self.json, killed) {
            (true, _) => serde_json::to_string(&KilledSessions { replica, killed })?,
            (false, 1) => format!("{}: 1 connection was ended", printable(&replica)),
            (false, _) => format!("{}: {killed} connections were ended", printable(&replica)),
        })
    }
}

/// A row for each, and how many there are.
fn text(list: &SessionList) -> String {
    let mut table = Table::new()
        .column("client", Align::Left, 9)
        .column("listener", Align::Left, 9)
        .column("service", Align::Left, 8)
        .column("replica", Align::Left, 8)
        .column("age", Align::Right, 6)
        .column("up", Align::Right, 6)
        .column("down", Align::Right, 6);
    for session in &list.sessions {
        let seconds = i64::try_from(session.age_ms / 1000).unwrap_or(i64::MAX);
        table.row([
            session.client.to_string(),
            session.listener.to_string(),
            printable(session.service.as_deref().unwrap_or_default()),
            printable(session.replica.as_deref().unwrap_or("-")),
            age(seconds),
            bytes(session.up),
            bytes(session.down),
        ]);
    }
    let (shown, total) = (list.sessions.len(), list.total);
    let count = match (shown, total) {
        (1, 1) => "1 connection".to_owned(),
        _ if shown < total => format!("the {shown} oldest of {total} connections"),
        _ => format!("{total} connections"),
    };
    if list.sessions.is_empty() {
        return count;
    }
    let width = Terminal::find().map_or(usize::MAX, |terminal| terminal.width);
    let mut lines = table.lines(width);
    lines.push(count);
    lines.join("\n")
}

/// In few letters, by powers of 1024.
fn bytes(bytes: u64) -> String {
    let mut value = bytes;
    let mut rest = 0;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1024
        && let Some(next) = units.next()
    {
        (value, rest, unit) = (value / 1024, value % 1024, next);
    }
    match unit {
        "B" => format!("{value} B"),
        _ => format!("{value}.{} {unit}", rest * 10 / 1024),
    }
}

/// How many a replica has; `None`: this balancer does not list them.
pub(super) async fn count(client: &AdminClient, replica: &str) -> Option<u64> {
    let answer = client.get(&path_of(replica).ok()?).await.ok()?;
    let list: SessionList = serde_json::from_str(&answer.into_body().ok()?).ok()?;
    u64::try_from(list.total).ok()
}

/// # Errors
/// No replica has such a name.
fn path_of(replica: &str) -> Result<String, anyhow::Error> {
    let is_plain = |letter: char| letter.is_ascii_graphic() && !"&#%+".contains(letter);
    match !replica.is_empty() && replica.chars().all(is_plain) {
        true => Ok(format!("{PATH}?replica={replica}")),
        false => Err(anyhow!("there is no replica \"{}\"", printable(replica))),
    }
}

/// What a balancer that knows its connections says of them.
async fn body(client: &AdminClient, answer: Answer) -> Result<String, anyhow::Error> {
    // Nothing is there, or no such replica: it is asked once more, for none.
    if answer.status() == StatusCode::NOT_FOUND
        && client.ask(Method::HEAD, PATH, None).await?.status() == StatusCode::NOT_FOUND
    {
        return Err(anyhow!(
            "there is nothing at {}{PATH}: Envoy does not tell its connections; its own \
             admin listener counts them, at /clusters and /stats",
            client.server()
        ));
    }
    answer.into_body()
}

const PATH: &str = "/sessions";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn bytes_are_shown_in_few_letters() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_900_000, "1.8 MiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (number, expected) in cases {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn a_name_that_no_replica_has_asks_for_nothing() {
        for name in [
            "r1",
            "quay/r1",
            "10.0.0.1:443",
            "[::1]:443",
            "web.internal:443",
        ] {
            assert_eq!(path_of(name).unwrap(), format!("/sessions?replica={name}"));
        }
        for name in ["", "r 1", "r1&replica=r2", "r1#", "r\u{e9}", "r%31"] {
            let refused = path_of(name).unwrap_err().to_string();
            assert!(refused.starts_with("there is no replica "), "{refused}");
        }
    }

    #[test]
    fn a_list_that_was_cut_says_so() {
        let session = dtr_lb::ListedSession {
            client: ([192, 0, 2, 7], 50_000).into(),
            listener: ([0, 0, 0, 0], 443).into(),
            service: None,
            replica: Some("r1".to_owned()),
            age_ms: 7_500_000,
            up: 2048,
            down: 5,
        };
        let dialling = dtr_lb::ListedSession {
            replica: None,
            ..session.clone()
        };
        let mut list = SessionList {
            total: 2,
            sessions: vec![session, dialling],
        };
        let expected = "\
client           listener     replica  age       up  down
192.0.2.7:50000  0.0.0.0:443  r1       2 h  2.0 KiB   5 B
192.0.2.7:50000  0.0.0.0:443  -        2 h  2.0 KiB   5 B
";
        assert_eq!(text(&list), format!("{expected}2 connections"));
        list.total = 12_000;
        assert_eq!(
            text(&list),
            format!("{expected}the 2 oldest of 12000 connections")
        );
        assert_eq!(text(&SessionList::default()), "0 connections");
    }
}

//! How an event becomes a line, by where it goes.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::format::{self, Format, Full, Json};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::access_line::{self, AccessLines};
use super::destination::Destination;
use super::syslog;

/// How lines of the log and of the access log are formatted.
pub(super) struct LineFormats {
    pub(super) log: LineFormat,
    pub(super) access: LineFormat,
}

/// How an event becomes a line.
pub(super) enum LineFormat {
    /// With colours where the layer has them.
    Coloured(AccessLines<Format>),
    Text(AccessLines<Format>),
    Json(Format<Json>),
    SyslogText(Format<Full, ()>),
    SyslogJson(Format<Json>),
}

/// What an operator can choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FormatName {
    #[default]
    Text,
    Json,
}

impl LineFormat {
    /// The one for a destination, which has colours when standard error is a terminal.
    pub(super) fn of(name: FormatName, destination: &Destination) -> LineFormat {
        let json = || format::json().flatten_event(true);
        match (destination, name) {
            (Destination::Syslog, FormatName::Text) => {
                LineFormat::SyslogText(format::format().without_time())
            }
            (Destination::Syslog, FormatName::Json) => LineFormat::SyslogJson(json()),
            // It is taken apart again.
            (Destination::Journald, _) | (_, FormatName::Json) => LineFormat::Json(json()),
            (Destination::StandardError, FormatName::Text) => {
                LineFormat::Coloured(AccessLines(format::format()))
            }
            (Destination::File(_) | Destination::Off, FormatName::Text) => {
                LineFormat::Text(AccessLines(format::format()))
            }
        }
    }
}

impl<S, N> FormatEvent<S, N> for LineFormats
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let format = match metadata.target() {
            access_line::TARGET => &self.access,
            _ => &self.log,
        };
        match format {
            // A writer of its own has no colours; each line costs more by it.
            LineFormat::Text(text) if writer.has_ansi_escapes() => {
                text.format_event(context, Writer::new(&mut writer), event)
            }
            LineFormat::Coloured(text) | LineFormat::Text(text) => {
                text.format_event(context, writer, event)
            }
            LineFormat::Json(json) => json.format_event(context, writer, event),
            LineFormat::SyslogText(text) => {
                syslog::write_head(&mut writer, *metadata.level())?;
                let mut line = String::new();
                text.format_event(context, Writer::new(&mut line), event)?;
                // One line is one message.
                writeln!(writer, "{}", line.trim_end().replace('\n', "\\n"))
            }
            LineFormat::SyslogJson(json) => {
                syslog::write_head(&mut writer, *metadata.level())?;
                json.format_event(context, writer, event)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;
    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry;

    use super::*;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Lines of a log on a terminal, and of an access log elsewhere.
    fn logged(name: FormatName, log: &Destination, access: &Destination) -> Vec<String> {
        let text = Text::default();
        let writer = text.clone();
        let formats = LineFormats {
            log: LineFormat::of(name, log),
            access: LineFormat::of(name, access),
        };
        let layer = layer()
            .with_writer(move || writer.clone())
            .with_ansi(true)
            .event_format(formats);
        with_default(registry().with(layer), || {
            tracing::error!(target: "balancer", replica = "r1", "one\ntwo");
            tracing::info!(target: access_line::TARGET, up = 7_u64, "connection");
        });
        let text = text.0.lock().unwrap().clone();
        let text = String::from_utf8(text).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_file_has_no_colours_where_a_terminal_has() {
        let file = Destination::File("log".into());
        let lines = logged(FormatName::Text, &Destination::StandardError, &file);
        let [one, two, access] = &lines[..] else {
            panic!("{lines:#?}");
        };
        assert!(
            one.contains('\u{1b}') && two.starts_with("two"),
            "{lines:#?}"
        );
        assert!(
            access.ends_with(" INFO access: connection up=7"),
            "{access:?}"
        );
    }

    #[test]
    fn a_message_of_syslog_is_one_line_with_its_priority() {
        let head = format!("dtr-lb[{}]: ", std::process::id());
        let syslog = Destination::Syslog;
        let lines = logged(FormatName::Text, &syslog, &syslog);
        let expected = [
            format!("<27>{head}ERROR balancer: one\\ntwo replica=\"r1\""),
            format!("<30>{head} INFO access: connection up=7"),
        ];
        assert_eq!(lines, expected);
        let lines = logged(FormatName::Json, &syslog, &syslog);
        let begin = format!("<27>{head}{{\"timestamp\":\"");
        assert!(lines[0].starts_with(&begin), "{lines:#?}");
        assert!(
            lines[0].contains(r#""message":"one\ntwo","replica":"r1""#),
            "{lines:#?}"
        );
    }
}

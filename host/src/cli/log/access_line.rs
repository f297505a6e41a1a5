//! The access log as text.

use std::fmt::{self, Debug};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats events as another formatter does, and those of the access log without what is
/// for colours: there is one for each connection, and that is most of what a line costs.
pub(super) struct AccessLines<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for AccessLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        if metadata.target() != TARGET || writer.has_ansi_escapes() {
            return self.0.format_event(context, writer, event);
        }
        let now = humantime::format_rfc3339_micros(SystemTime::now());
        write!(writer, "{now} {:>5} {TARGET}:", metadata.level())?;
        let mut fields = Fields {
            writer,
            result: Ok(()),
        };
        event.record(&mut fields);
        fields.result?;
        fields.writer.write_char('\n')
    }
}

/// Writes fields, of which the message has no name. Their values are addresses, numbers,
/// and text in quotes: none has characters that a terminal would obey.
struct Fields<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        self.result = self.result.and_then(|()| {
            self.writer.write_char(' ')?;
            if field.name() != "message" {
                self.writer.write_str(field.name())?;
                self.writer.write_char('=')?;
            }
            value(&mut self.writer)
        });
    }
}

impl Visit for Fields<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        let mut digits = itoa::Buffer::new();
        self.write(field, |writer| writer.write_str(digits.format(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, |writer| write!(writer, "{value:?}"));
    }
}

/// Of the events that are lines of the access log.
pub(super) const TARGET: &str = "access";

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;
    use tracing_subscriber::fmt::format::{DefaultFields, Format};
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{fmt, registry};

    use super::*;

    #[test]
    fn lines_are_as_those_of_the_formatter_but_for_the_time() {
        let (usual, ours) = (Text::default(), Text::default());
        log_some(registry().with(layer(&usual)));
        log_some(registry().with(layer(&ours).map_event_format(AccessLines)));
        let usual = usual.without_digits_of_time();
        assert_eq!(usual.len(), 3);
        assert_eq!(ours.without_digits_of_time(), usual);
    }

    fn layer<S>(text: &Text) -> fmt::Layer<S, DefaultFields, Format, impl Fn() -> Text + use<S>> {
        let text = text.clone();
        fmt::layer()
            .with_writer(move || text.clone())
            .with_ansi(false)
    }

    fn log_some(to: impl Subscriber + Send + Sync) {
        with_default(to, || {
            tracing::info!(
                target: "access",
                client = %"[2001:db8::1]:40000",
                replica = "r\u{1b}1",
                up = 0_u64,
                down = u64::MAX,
                reason = "client-closed",
                "connection"
            );
            tracing::warn!(target: "access", attempts = 3_u32, "another {}", 1);
            tracing::info!(target: "balancer", replica = "r2", "it is healthy");
        });
    }

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Text {
        /// Its lines, in whose times all digits are the same.
        fn without_digits_of_time(&self) -> Vec<String> {
            let text = self.0.lock().expect("nobody panicked").clone();
            let text = String::from_utf8(text).expect("a log is text");
            let lines = text.lines().map(|line| {
                let (time, rest) = line.split_once(' ').expect("a time");
                let form = time.replace(|it: char| it.is_ascii_digit(), "0");
                format!("{form} {rest}")
            });
            lines.collect()
        }
    }

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

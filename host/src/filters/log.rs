//! Log lines of filters, named as an operator knows filters.

use dtr_lb_filter::contract::{LogField, LogFields};
use proxy_wasm_engine::LogLine;
use tracing::Level;

/// Whose lines a VM logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogSource {
    /// The balancer: target `balancer`, and the fields of its lines.
    Balancer,
    /// Filters somebody else wrote: target `filter`, and the filter's name.
    Filters,
}

/// Calls a macro of `tracing` with a level, which it must know when it is compiled.
macro_rules! with_level {
    ($level:expr, $macro:ident!($($before:tt)*) $($after:tt)*) => {
        match $level {
            Level::TRACE => tracing::$macro!($($before)*, Level::TRACE $($after)*),
            Level::DEBUG => tracing::$macro!($($before)*, Level::DEBUG $($after)*),
            Level::INFO => tracing::$macro!($($before)*, Level::INFO $($after)*),
            Level::WARN => tracing::$macro!($($before)*, Level::WARN $($after)*),
            Level::ERROR => tracing::$macro!($($before)*, Level::ERROR $($after)*),
        }
    };
}

impl LogSource {
    pub(super) fn write(self, line: &LogLine<'_>) {
        let (filter, message) = (line.plugin, line.message);
        match self {
            LogSource::Balancer => {
                let (message, fields) = LogFields::split(message);
                with_level!(
                    line.level,
                    event!(target: "balancer"),
                    service = fields.get(LogField::Service),
                    replica = fields.get(LogField::Replica),
                    address = fields.get(LogField::Address),
                    check = fields.get(LogField::Check),
                    reason = fields.get(LogField::Reason),
                    component = fields.get(LogField::Component),
                    error = fields.get(LogField::Error),
                    client = fields.get(LogField::Client),
                    "{message}"
                );
            }
            LogSource::Filters => {
                with_level!(line.level, event!(target: "filter"), filter, "{message}");
            }
        }
    }

    /// Whether anybody reads lines of a level.
    pub(super) fn enabled(self, level: Level) -> bool {
        match self {
            LogSource::Balancer => with_level!(level, enabled!(target: "balancer")),
            LogSource::Filters => with_level!(level, enabled!(target: "filter")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use dtr_lb_filter::contract;

    use super::*;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_operator_sees_which_filter_logs_and_nothing_of_its_vm() {
        let text = Text::default();
        let writer = text.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_max_level(Level::INFO)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let line = |level, message| LogLine {
                level,
                vm_id: "dtr-lb",
                plugin: "audit",
                message,
            };
            let fields = contract::LogLine::of_replica("r1", "10.0.0.11", " is down")
                .with(LogField::Reason, "refused")
                .with(LogField::Error, "\"no\"\n way=\"out\"")
                .into_string();
            LogSource::Balancer.write(&line(Level::WARN, &fields));
            LogSource::Balancer.write(&line(Level::ERROR, "a text"));
            LogSource::Filters.write(&line(Level::INFO, "a client came"));
            LogSource::Filters.write(&line(Level::DEBUG, "and went"));
            assert!(LogSource::Balancer.enabled(Level::INFO));
            assert!(!LogSource::Filters.enabled(Level::DEBUG));
        });
        let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        let expected = [
            " WARN balancer: replica \"r1\" is down replica=\"r1\" address=\"10.0.0.11\" \
             reason=\"refused\" error=\"\\\"no\\\"\\\\u{a} way=\\\"out\\\"\"",
            "ERROR balancer: a text",
            " INFO filter: a client came filter=\"audit\"",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}

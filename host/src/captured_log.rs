//! What tests see of the log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::sync::{Arc, Mutex, Once};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

/// What a thread, and the hosts it starts, log.
#[derive(Clone, Default)]
pub(crate) struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    /// Captures until the guard is dropped.
    pub(crate) fn start() -> (CapturedLog, DefaultGuard) {
        subscribe_every_thread();
        let log = CapturedLog::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// While a process has a single subscriber, `tracing` asks only the thread that meets
/// an event first whether anybody wants it; a test without one then silences the event
/// for all others.
fn subscribe_every_thread() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let nobody = tracing_subscriber::registry().with(LevelFilter::OFF);
        tracing::subscriber::set_global_default(nobody).unwrap();
    });
}

impl Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

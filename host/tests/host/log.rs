//! What the tests of this process log.

use std::sync::{Arc, Mutex};

/// Text that several threads write.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What every test of this process logs. It must be there before the first test
/// logs: what `tracing` finds nobody listening to at its first use it may leave out.
pub(crate) fn log() -> Log {
    static LOG: std::sync::LazyLock<Log> = std::sync::LazyLock::new(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log
    });
    LOG.clone()
}

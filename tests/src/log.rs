//! What a proxy wrote to its log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing::Dispatch;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// Text that grows; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// All of it so far.
    pub(crate) fn text(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A dispatcher that writes everything from `info` up here.
    pub(crate) fn dispatch(&self) -> Dispatch {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(self.clone())
            .into()
    }
}

/// Gives every thread of the process a subscriber, before anything logs.
///
/// While a process has a single one, `tracing` asks only the thread that meets an
/// event first whether anybody wants it. A thread without a subscriber, such as
/// one that runs a testkit, then silences the event for all others.
pub fn subscribe_every_thread() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let nobody = tracing_subscriber::registry().with(LevelFilter::OFF);
        tracing::subscriber::set_global_default(nobody).unwrap();
    });
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

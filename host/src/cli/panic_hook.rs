//! What becomes of a panic's message.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::thread;

use tracing::error;

/// Has panics logged. The standard library prints them, which waits as long as nobody
/// reads standard error.
pub(super) fn install() {
    panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let message = panic.payload_as_str().unwrap_or("without a message");
    let place = panic.location().map(ToString::to_string);
    let place = place.as_deref().unwrap_or("an unknown place");
    // When RUST_BACKTRACE asks for one.
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => {
            error!("panic in thread {thread:?} at {place}: {message}\n{backtrace}");
        }
        _ => error!("panic in thread {thread:?} at {place}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Sends what is written to it.
    #[derive(Clone)]
    struct Lines(Sender<Vec<u8>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_a_line_of_the_log_with_its_place() {
        let (sender, lines) = channel();
        let writer = Lines(sender);
        let usual = panic::take_hook();
        install();
        let thread = thread::Builder::new().name("worker-7".to_owned());
        let panics = thread.spawn(|| {
            let subscriber = tracing_subscriber::fmt().with_ansi(false);
            let subscriber = subscriber.with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(subscriber, || panic!("no {}", "way"));
        });
        let panicked = panics.unwrap().join();
        panic::set_hook(usual);
        assert!(panicked.is_err());
        let line = String::from_utf8(lines.recv().unwrap()).unwrap();
        let place = format!(
            "ERROR dtr_lb::cli::panic_hook: panic in thread \"worker-7\" at {}:",
            file!()
        );
        assert!(line.contains(&place), "{line}");
        assert!(line.contains(": no way\n"), "{line}");
    }
}

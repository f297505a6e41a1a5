#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use Outcome::{Fails, Takes};

use super::super::output::{Loss, Stream};
use super::*;

/// What a write is to come to.
enum Outcome {
    /// It takes this many bytes at most.
    Takes(usize),
    Fails(ErrorKind),
}

/// A file that waits at each write until the test says what comes of it.
struct Script {
    writing: Sender<()>,
    outcomes: Receiver<Outcome>,
    text: Arc<Mutex<String>>,
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writing.send(()).unwrap();
        match self.outcomes.recv() {
            Ok(Takes(most)) => {
                let taken = bytes.len().min(most);
                let text = std::str::from_utf8(&bytes[..taken]).unwrap();
                self.text.lock().unwrap().push_str(text);
                Ok(taken)
            }
            Ok(Fails(kind)) => Err(kind.into()),
            // The test is over.
            Err(_) => loop {
                thread::park();
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Test {
    writer: LogWriter,
    writing: Receiver<()>,
    outcomes: Sender<Outcome>,
    text: Arc<Mutex<String>>,
    dropped: Arc<AtomicU64>,
    failures: Receiver<ErrorKind>,
}

impl Test {
    /// With room for this many bytes in the queue.
    fn start(limit: usize) -> Test {
        let (writing_sender, writing) = channel();
        let (outcomes, outcomes_receiver) = channel();
        let text = Arc::default();
        let script = Script {
            writing: writing_sender,
            outcomes: outcomes_receiver,
            text: Arc::clone(&text),
        };
        let dropped = Arc::default();
        let (failing, failures) = channel();
        let log = Arc::new(OnceLock::<LogWriter>::new());
        let logs = Arc::clone(&log);
        let report = move |report| {
            let lines = match report {
                Report::Dropped(lines) => lines,
                Report::Failing(error) | Report::NotReopened(error) => {
                    // The test may be over.
                    let _ = failing.send(error.kind());
                    return;
                }
            };
            let mut writer = logs.wait().clone();
            let line = format!("{lines} lost\n");
            writer.write_all(line.as_bytes()).unwrap();
        };
        let writer = LogWriter::start(
            Box::new(Stream::new(script)),
            limit,
            Arc::clone(&dropped),
            report,
        )
        .unwrap();
        let writer = log.get_or_init(|| writer).clone();
        Test {
            writer,
            writing,
            outcomes,
            text,
            dropped,
            failures,
        }
    }

    fn log(&self, lines: &[&str]) {
        for line in lines {
            self.writer.clone().write_all(line.as_bytes()).unwrap();
        }
    }

    /// Waits for a write to begin.
    fn writes(&self) {
        self.writing.recv_timeout(LIMIT).unwrap();
    }

    fn outcome(&self, outcome: Outcome) {
        self.outcomes.send(outcome).unwrap();
    }

    /// Waits until there is no more to write; all that was written.
    fn written(&self) -> String {
        self.writer.flush(LIMIT);
        let more = self.writing.try_recv();
        assert!(more.is_err(), "a write that the test did not allow");
        self.text.lock().unwrap().clone()
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

#[test]
fn what_does_not_fit_is_dropped_counted_and_reported_once() {
    let test = Test::start(8);
    test.log(&["one\n"]);
    test.writes();
    // Nobody reads: the queue fills, and threads that log go on.
    test.log(&["two\n", "tri\n", "lost\n", "lost\n", "4\n"]);
    assert_eq!(test.dropped(), 3, "each is counted at once");
    test.outcome(ALL);
    test.writes();
    test.outcome(ALL);
    test.writes();
    test.outcome(ALL);
    assert_eq!(test.written(), "one\ntwo\ntri\n3 lost\n");
    assert_eq!(test.dropped(), 3);

    test.log(&["more\n"]);
    test.writes();
    test.outcome(ALL);
    let text = test.written();
    assert!(text.ends_with("3 lost\nmore\n"), "reported once: {text}");
}

#[test]
fn a_write_that_fails_ends_nothing() {
    for kind in [ErrorKind::BrokenPipe, ErrorKind::StorageFull] {
        let test = Test::start(1000);
        for _ in 0..3 {
            test.log(&["lost\n"]);
            test.writes();
            test.outcome(Fails(kind));
            assert_eq!(test.written(), "", "{kind}");
        }
        assert_eq!(test.dropped(), 3, "{kind}");
        let reported: Vec<ErrorKind> = test.failures.try_iter().collect();
        assert_eq!(reported, [kind], "once");
        // There is room on the disk again.
        test.log(&["one\n"]);
        test.writes();
        test.outcome(ALL);
        test.writes();
        test.outcome(ALL);
        assert_eq!(test.written(), "one\n3 lost\n", "{kind}");
    }
}

#[test]
fn half_a_line_is_ended_before_the_next() {
    let test = Test::start(1000);
    test.log(&["one\nhalf of this\n", "lost\n"]);
    test.writes();
    test.outcome(Takes(8));
    test.writes();
    test.outcome(Fails(ErrorKind::StorageFull));
    assert_eq!(test.written(), "one\nhalf");
    assert_eq!(test.dropped(), 2);
    test.log(&["lost\n"]);
    test.writes();
    test.outcome(Fails(ErrorKind::StorageFull));
    assert_eq!(test.written(), "one\nhalf");
    assert_eq!(test.dropped(), 3, "the end of the half is no line");
    test.log(&["two\n"]);
    test.writes();
    test.outcome(Fails(ErrorKind::Interrupted));
    test.writes();
    test.outcome(ALL);
    test.writes();
    test.outcome(ALL);
    assert_eq!(test.written(), "one\nhalf\ntwo\n3 lost\n");
}

#[test]
fn a_flush_waits_for_what_is_queued_and_not_for_ever() {
    let test = Test::start(1000);
    test.writer.flush(LIMIT);
    test.log(&["one\n"]);
    test.writes();
    test.log(&["two\n"]);
    test.writer.flush(Duration::from_millis(1));
    assert_eq!(*test.text.lock().unwrap(), "", "nobody read");
    test.outcome(ALL);
    test.outcome(ALL);
    test.writer.flush(LIMIT);
    assert_eq!(*test.text.lock().unwrap(), "one\ntwo\n");
}

#[test]
fn lines_of_a_while_are_one_write() {
    let test = Test::start(1000);
    test.log(&["one\n"]);
    test.writes();
    test.log(&["two\n", "three\n", "four\n"]);
    test.outcome(ALL);
    test.writes();
    test.outcome(ALL);
    assert_eq!(test.written(), "one\ntwo\nthree\nfour\n");
    let more = test.writing.recv_timeout(Duration::ZERO);
    assert_eq!(more, Err(RecvTimeoutError::Timeout));
}

const ALL: Outcome = Takes(usize::MAX);
/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// Counts how often it is opened anew before each line.
struct Numbered {
    number: u32,
    lines: Sender<String>,
}

impl Output for Numbered {
    fn write_lines(&mut self, lines: &[u8]) -> Result<(), Loss> {
        let text = std::str::from_utf8(lines).unwrap();
        for line in text.lines() {
            self.lines.send(format!("{}: {line}", self.number)).unwrap();
        }
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.number += 1;
        match self.number {
            2 => Err(ErrorKind::PermissionDenied.into()),
            _ => Ok(()),
        }
    }
}

#[test]
fn what_is_logged_after_a_file_was_to_be_opened_anew_is_in_the_new_one() {
    let (sender, lines) = channel();
    let (reporting, reports) = channel();
    let out = Numbered {
        number: 0,
        lines: sender,
    };
    let report = move |report| {
        let Report::NotReopened(error) = report else {
            return;
        };
        reporting.send(error.kind()).unwrap();
    };
    let mut writer = LogWriter::start(Box::new(out), 1000, Arc::default(), report).unwrap();
    for number in 0..4 {
        let line = format!("line {number}");
        writer.write_all(format!("{line}\n").as_bytes()).unwrap();
        let written = lines.recv_timeout(LIMIT).unwrap();
        assert_eq!(written, format!("{number}: {line}"));
        writer.reopen();
    }
    writer.flush(LIMIT);
    let reported: Vec<ErrorKind> = reports.try_iter().collect();
    assert_eq!(reported, [ErrorKind::PermissionDenied], "and went on");
}

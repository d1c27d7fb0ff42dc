//! Lines on their way to the log. Who logs hands a line over and goes on: however slow what takes it is, the thread of the
//! protocol does not wait. What finds no room is dropped, and how much that was is told when there is room again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

/// Lines that wait for whoever takes them.
const WAITING_MAX: usize = 4096;

/// What waits is written when the program ends, unless that takes longer.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// How often it is seen whether there is room to say that the program ends.
const LOOK: Duration = Duration::from_millis(5);

/// Takes whole lines, one at each call. Never fails, and never waits.
pub(super) struct Lines {
    items: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

/// The log of this program. What was logged before is written when this is dropped.
pub(crate) struct Log {
    items: SyncSender<Item>,
}

enum Item {
    Line(Vec<u8>),
    /// The program ends: whoever listens is told once everything before is written.
    End(SyncSender<()>),
}

/// Writes lines on a thread of its own.
struct Writer<S> {
    sink: S,
    items: Receiver<Item>,
    dropped: Arc<AtomicU64>,
}

/// Hands lines to `sink`, on a thread of its own.
///
/// # Errors
/// If the system gives no thread.
pub(super) fn to(sink: impl Write + Send + 'static) -> io::Result<(Lines, Log)> {
    let (items, waiting) = mpsc::sync_channel(WAITING_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    let writer = Writer {
        sink,
        items: waiting,
        dropped: Arc::clone(&dropped),
    };
    thread::Builder::new()
        .name("lockstep-log".to_owned())
        .spawn(|| writer.run())?;
    let log = Log {
        items: items.clone(),
    };
    Ok((Lines { items, dropped }, log))
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.items.try_send(Item::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Write> Writer<S> {
    fn run(mut self) {
        while let Ok(item) = self.items.recv() {
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                let told =
                    format!("(the log was not taken in time: {dropped} lines are missing here)\n");
                self.write(told.as_bytes());
            }
            match item {
                Item::Line(line) => self.write(&line),
                Item::End(listener) => {
                    // Whoever ended the program may not wait any more.
                    let _ = listener.send(());
                }
            }
        }
    }

    /// A line that nobody takes is lost.
    fn write(&mut self, line: &[u8]) {
        let _ = self.sink.write_all(line);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let until = Instant::now() + END_PATIENCE;
        let (listener, written) = mpsc::sync_channel(1);
        let mut end = Item::End(listener);
        while let Err(TrySendError::Full(back)) = self.items.try_send(end) {
            if Instant::now() > until {
                return;
            }
            end = back;
            thread::sleep(LOOK);
        }
        let _ = written.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes a line only when it is let, and tells that it is about to.
    struct Held {
        about_to: SyncSender<()>,
        go_on: Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Held {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.about_to.send(());
            // Free once the test has let go.
            let _ = self.go_on.recv();
            self.taken.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whoever_logs_does_not_wait_and_what_is_missing_is_told() {
        let (about_to, held) = mpsc::sync_channel(2 * WAITING_MAX);
        let (let_go, go_on) = mpsc::sync_channel(0);
        let taken = Arc::default();
        let sink = Held {
            about_to,
            go_on,
            taken: Arc::clone(&taken),
        };
        let (mut lines, log) = to(sink).unwrap();
        lines.write_all(b"first\n").unwrap();
        held.recv().unwrap();
        // Nobody takes anything, and nothing waits.
        for number in 0..WAITING_MAX + 7 {
            lines.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(let_go);
        drop(log);
        let taken = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let told: Vec<&str> = taken.lines().take(3).collect();
        assert_eq!(told[0], "first");
        assert!(told[1].contains("7 lines are missing"), "{told:?}");
        assert_eq!(told[2], "0");
        let last = taken.lines().last().unwrap();
        assert_eq!(last, (WAITING_MAX - 1).to_string(), "written to its end");
    }
}

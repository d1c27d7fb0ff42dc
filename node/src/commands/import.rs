//! `import`: many writes on their way at once, each repeated until it is acknowledged or its time is over.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use async_std::channel::{self, Receiver, Sender};
use async_std::task;
use futures_lite::FutureExt;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use lockstep_bench::latencies;
use lockstep_core::operation::Rejection;
use serde_json::json;

use crate::args::{Format, ImportArgs};
use crate::assemble;
use crate::import::reader::{Batch, Item, Line, Reader};
use crate::import::window::Window;
use crate::output::{self, Exit, Failure};
use crate::signals::EndSignals;
use crate::store::{NotWritten, Store};

/// Bytes on their way at once: a fraction of what a primary takes by default.
const WINDOW_BYTES_MAX: usize = 16 << 20;
/// Bad lines that are shown one by one.
const BAD_LINES_SHOWN: u64 = 20;

/// `lockstep import`.
pub(crate) async fn import(args: ImportArgs, format: Format) -> Result<Exit, Failure> {
    let reader = Reader::open(&args.file)?;
    let in_flight = args.in_flight as usize;
    let store = assemble::client(&args.connection, args.deadline, in_flight).await?;
    let progress = progress(&reader, format);
    let mut signals = EndSignals::watch()?;
    let (sender, written) = channel::unbounded();
    let import = Import {
        store: store.clone(),
        skip_bad: args.skip_bad,
        window: Window::new(in_flight, WINDOW_BYTES_MAX),
        sender,
        written,
        progress,
        tally: Tally::new(args.in_flight),
        open: BTreeSet::new(),
        last: 0,
    };
    let (tally, result) = import.run(&reader.batches, &mut signals).await;
    store.close().await;
    let reason = result.as_ref().err().map(Failure::to_string);
    match format {
        Format::Text if result.is_err() && tally.lines_done > 0 => {
            output::print(&format!(
                "{}; {}",
                tally.text(),
                tally.how_to_go_on(&args.file)
            ))?;
        }
        Format::Text if tally.records > 0 || result.is_ok() => output::print(&tally.text())?,
        Format::Text => {}
        Format::Json => {
            output::print_json(&tally.json(reason.as_deref()))?;
            return Ok(result.err().map_or(Exit::Done, |failure| failure.exit()));
        }
    }
    result.map(|()| Exit::Done)
}

/// An import at work.
///
/// - What is on its way is in `window`; each has a task that reports to `written`, so that holds no more than the window.
struct Import {
    store: Store,
    skip_bad: bool,
    window: Window,
    sender: Sender<Written>,
    written: Receiver<Written>,
    progress: ProgressBar,
    tally: Tally,
    /// Lines that were taken up and are not written.
    open: BTreeSet<u64>,
    /// The last line that was taken up.
    last: u64,
}

/// What became of one record.
struct Written {
    line: Line,
    result: Result<(), Failure>,
    latency: Duration,
}

enum Next {
    Batch(Batch),
    EndOfInput,
    Written(Box<Written>),
    Signal,
}

impl Import {
    async fn run(
        mut self,
        batches: &Receiver<Batch>,
        signals: &mut EndSignals,
    ) -> (Tally, Result<(), Failure>) {
        let mut waiting = Vec::new().into_iter();
        let mut is_reading = true;
        let mut result = Ok(());
        loop {
            while result.is_ok() && self.window.has_room() {
                let Some(item) = waiting.next() else { break };
                result = self.take(item);
            }
            if result.is_err() {
                // What is on its way is waited for, so that the summary is true; nothing else is sent.
                self.window.drop_waiting();
                waiting = Vec::new().into_iter();
                is_reading = false;
            }
            if !is_reading && waiting.len() == 0 && self.window.is_empty() {
                break;
            }
            let is_wanted = is_reading && waiting.len() == 0;
            match self.next(batches, is_wanted, signals).await {
                // What is on its way is waited for once.
                Next::Signal if result.is_err() => break,
                Next::Signal => result = Err(Failure::Interrupted),
                Next::Batch(batch) => {
                    self.progress.set_position(batch.read);
                    waiting = batch.items.into_iter();
                }
                Next::EndOfInput => is_reading = false,
                Next::Written(written) => {
                    let outcome = self.on_written(*written);
                    result = result.and(outcome);
                }
            }
        }
        self.progress.finish_and_clear();
        self.tally.lines_done = self.open.first().map_or(self.last, |line| line - 1);
        self.tally.seconds = self.tally.begun.elapsed().as_secs_f64();
        (self.tally, result)
    }

    /// The next thing that happens: a signal comes, a write is done, or, if wanted, there is more to write.
    async fn next(
        &self,
        batches: &Receiver<Batch>,
        is_wanted: bool,
        signals: &mut EndSignals,
    ) -> Next {
        let signal = async {
            signals.next().await;
            Next::Signal
        };
        let written = async {
            let written = self.written.recv().await;
            Next::Written(Box::new(
                written.expect("the sender is beside the receiver"),
            ))
        };
        if !is_wanted {
            return signal.or(written).await;
        }
        let batch = async {
            match batches.recv().await {
                Ok(batch) => Next::Batch(batch),
                Err(_) => Next::EndOfInput,
            }
        };
        signal.or(written).or(batch).await
    }

    fn take(&mut self, item: Item) -> Result<(), Failure> {
        match item {
            Item::Line(line) => {
                self.last = line.number;
                self.open.insert(line.number);
                if let Some(line) = self.window.offer(line) {
                    self.send(line);
                }
                Ok(())
            }
            Item::Bad { number, error } => self.on_bad(number, &error.to_string()),
            Item::Failed(error) => Err(Failure::broken("cannot read on", &error)),
        }
    }

    fn send(&self, line: Line) {
        let (store, sender) = (self.store.clone(), self.sender.clone());
        // Ends with its deadline at the latest.
        task::spawn(async move {
            let written = write(&store, line).await;
            // Nobody waits for it when the import was given up.
            let _ = sender.send(written).await;
        });
    }

    fn on_written(&mut self, written: Written) -> Result<(), Failure> {
        let Written {
            line,
            result,
            latency,
        } = written;
        let size = line.record.size();
        if let Some(next) = self.window.finish(&line.record.key, size) {
            self.send(next);
        }
        match result {
            Ok(()) => {
                self.open.remove(&line.number);
                self.tally.add(size, latency);
                if self.tally.records.is_multiple_of(64) {
                    self.progress.set_message(self.tally.rate());
                }
                Ok(())
            }
            Err(Failure::Rejected {
                reason: reason @ Rejection::TooLarge { .. },
            }) => {
                self.on_bad(line.number, &reason.to_string())?;
                self.open.remove(&line.number);
                Ok(())
            }
            Err(failure) => Err(Failure::InLine {
                number: line.number,
                failure: Box::new(failure),
            }),
        }
    }

    fn on_bad(&mut self, number: u64, error: &str) -> Result<(), Failure> {
        if !self.skip_bad {
            let text = format!("{error} (--skip-bad goes on after such lines)");
            let failure = Box::new(Failure::Usage(text));
            return Err(Failure::InLine { number, failure });
        }
        self.last = self.last.max(number);
        self.tally.bad_lines += 1;
        if self.tally.bad_lines <= BAD_LINES_SHOWN {
            self.progress
                .suspend(|| output::say(&format!("lockstep: skipped line {number}: {error}")));
        }
        if self.tally.bad_lines == BAD_LINES_SHOWN {
            self.progress
                .suspend(|| output::say("lockstep: further bad lines are only counted"));
        }
        Ok(())
    }
}

/// Writes a record. The client repeats the request until it is acknowledged or its time is over.
async fn write(store: &Store, line: Line) -> Written {
    let begun = Instant::now();
    let (key, value) = (line.record.key.clone(), line.record.value.clone());
    let result = store.put(key, value).await;
    Written {
        line,
        result: result
            .map(|_| ())
            .map_err(|NotWritten { failure, .. }| failure),
        latency: begun.elapsed(),
    }
}

/// What an import has done so far.
struct Tally {
    begun: Instant,
    writers: u32,
    records: u64,
    bytes: u64,
    bad_lines: u64,
    /// All lines up to this one are written, or were skipped.
    lines_done: u64,
    seconds: f64,
    latencies: Histogram<u64>,
}

impl Tally {
    fn new(writers: u32) -> Self {
        Self {
            begun: Instant::now(),
            writers,
            records: 0,
            bytes: 0,
            bad_lines: 0,
            lines_done: 0,
            seconds: 0.0,
            latencies: latencies::histogram(),
        }
    }

    fn add(&mut self, size: usize, latency: Duration) {
        self.records += 1;
        self.bytes += size as u64;
        latencies::record(&mut self.latencies, latency);
    }

    fn rate(&self) -> String {
        let rate = per_second(self.records, self.begun.elapsed().as_secs_f64());
        format!(
            "{} records, {}/s",
            output::count(self.records),
            output::count(rate as u64)
        )
    }

    fn text(&self) -> String {
        let mut text = format!(
            "imported {} records ({}) in {:.1} s: {} records/s",
            output::count(self.records),
            output::bytes(self.bytes),
            self.seconds,
            output::count(per_second(self.records, self.seconds) as u64),
        );
        if let (Some(p50), Some(p99)) = (self.millis(0.5), self.millis(0.99)) {
            text.push_str(&format!(
                ", a write takes {p50:.1} ms (p50), {p99:.1} ms (p99)"
            ));
        }
        if self.bad_lines > 0 {
            text.push_str(&format!(
                "; {} bad lines were skipped",
                output::count(self.bad_lines)
            ));
        }
        text
    }

    /// Where an import of the rest begins.
    fn how_to_go_on(&self, file: &Path) -> String {
        let (done, next) = (self.lines_done, self.lines_done + 1);
        let rest = match file.as_os_str() == "-" {
            true => format!("go on with line {next}"),
            false => format!(
                "go on with `tail -n +{next} {} | lockstep import -`",
                file.display()
            ),
        };
        format!("all lines up to {done} are done, {rest}")
    }

    fn json(&self, error: Option<&str>) -> serde_json::Value {
        json!({
            "records": self.records,
            "bytes": self.bytes,
            "seconds": output::round(self.seconds),
            "writers": self.writers,
            "writes_per_second": output::round(per_second(self.records, self.seconds)),
            "p50_ms": self.millis(0.5).map(output::round),
            "p99_ms": self.millis(0.99).map(output::round),
            "max_ms": self.millis(1.0).map(output::round),
            "bad_lines": self.bad_lines,
            "lines_done": self.lines_done,
            "error": error,
        })
    }

    fn millis(&self, share: f64) -> Option<f64> {
        let nanos = self.latencies.value_at_quantile(share);
        (!self.latencies.is_empty()).then(|| latencies::millis(nanos))
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(1e-6)
}

/// A bar where the length is known, a counter where it is not, nothing where no person looks.
fn progress(reader: &Reader, format: Format) -> ProgressBar {
    if format == Format::Json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match reader.length {
        Some(length) => (
            ProgressBar::new(length),
            "{bar:30} {percent:>3} %  {msg}  {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    bar.set_style(style);
    bar
}

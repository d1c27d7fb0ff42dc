//! A bench from its beginning to its end: keys are written, clients work, somebody watches, keys are read back and taken away.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_std::task;
use futures_lite::FutureExt;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use lockstep_bench::client::{self, Bench, Course};
use lockstep_bench::findings::Trouble;
use lockstep_bench::keys::Chooser;
use lockstep_bench::schedule::Schedule;
use lockstep_bench::spread::{self, Errand};
use lockstep_bench::tally::{Kind, Totals};
use serde_json::Value as Json;

use crate::args::Format;
use crate::bench::costs::{Costs, Sample};
use crate::bench::keys_left::{self, KeysLeft};
use crate::bench::observer::Observer;
use crate::bench::report::{Filled, KindResult, Outcome, Second, Verified};
use crate::bench::settings::Settings;
use crate::output;
use crate::output::Failure;
use crate::signals::EndSignals;
use crate::store::Store;

/// How often the watcher has something to say.
const TICK: Duration = Duration::from_secs(1);

/// Runs a bench. `stores`: a connection each.
pub(crate) async fn run(
    settings: &Settings,
    stores: &[Store],
    format: Format,
) -> Result<Outcome, Failure> {
    let replica = match &settings.replica {
        Some(name) => Some(stores[0].find_replica(name).await?),
        None => None,
    };
    let (keys, values) = (settings.keys()?, settings.values(rand::random())?);
    let bench = Bench::new(settings.workload, settings.level, keys, values);
    let bench = Arc::new(Bench { replica, ..bench });
    let (begun, load) = (Instant::now(), &settings.load);
    let outcome = outcome(settings, &bench, stores, format).await;
    let keys = match bench.findings.found().mismatches {
        _ if load.mem.is_some() => KeysLeft::WithTheCluster,
        _ if load.keep => KeysLeft::Kept,
        0 => {
            let progress = progress("taking the keys away", format);
            keys_left::remove(&bench, stores, begun.elapsed(), progress).await
        }
        _ => KeysLeft::AsEvidence,
    };
    match outcome {
        Ok(outcome) => Ok(Outcome { keys, ..outcome }),
        Err(failure) => {
            if let Some(left) = keys.text(&load.prefix).filter(|_| keys.is_failure()) {
                output::say(&format!("lockstep: {left}"));
            }
            Err(failure)
        }
    }
}

/// What comes of it, while the keys are there.
async fn outcome(
    settings: &Settings,
    bench: &Arc<Bench<Failure>>,
    stores: &[Store],
    format: Format,
) -> Result<Outcome, Failure> {
    let filled = match settings.loads {
        true => Some(fill(bench, stores, format).await?),
        false => None,
    };
    let measured = measure(settings, bench, stores, format).await?;
    if let Some(fatal) = bench.findings.found().fatal {
        return Err(match fatal {
            Trouble::Failed(failure) => failure,
            Trouble::NoMoreKeys => {
                Failure::Usage(format!("{fatal}: give more bytes with --key-size"))
            }
        });
    }
    let verified = match settings.load.no_verify {
        true => None,
        false => Some(verify(bench, stores, format).await?),
    };
    let found = bench.findings.found();
    Ok(Outcome {
        settings: settings.clone(),
        filled,
        seconds: measured.length.as_secs_f64(),
        is_interrupted: measured.is_interrupted,
        operations: measured.totals.operations(),
        errors: measured.totals.errors,
        first_error: found.first_error,
        not_begun: measured.not_begun,
        kinds: Kind::ALL
            .into_iter()
            .map(|kind| KindResult {
                kind,
                operations: measured.totals.done[kind as usize],
                latencies: bench.tally.latencies(kind),
            })
            .filter(|result| result.operations > 0)
            .collect(),
        series: measured.series,
        besides: measured.besides,
        costs: measured.costs,
        verified,
        mismatches: found.mismatches,
        examples: found.examples,
        keys: KeysLeft::Kept,
        unknown_writes: bench.ledger.unknown_count(),
    })
}

async fn fill(
    bench: &Arc<Bench<Failure>>,
    stores: &[Store],
    format: Format,
) -> Result<Filled, Failure> {
    let begun = Instant::now();
    let progress = progress("writing the keys", format);
    let keys = spread::all_keys(bench, stores, Errand::Load, progress).await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Filled { keys, seconds })
}

async fn verify(
    bench: &Arc<Bench<Failure>>,
    stores: &[Store],
    format: Format,
) -> Result<Verified, Failure> {
    let begun = Instant::now();
    let progress = progress("reading back what was written", format);
    let keys = spread::all_keys(bench, stores, Errand::Verify, progress).await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Verified { keys, seconds })
}

/// What was measured.
struct Measured {
    length: Duration,
    is_interrupted: bool,
    totals: Totals,
    not_begun: u64,
    series: Vec<Second>,
    besides: Option<(String, Json)>,
    costs: Costs,
}

async fn measure(
    settings: &Settings,
    bench: &Arc<Bench<Failure>>,
    stores: &[Store],
    format: Format,
) -> Result<Measured, Failure> {
    let load = &settings.load;
    let mut observer = Observer::new(&settings.subject, &stores[0]).await?;
    let mut signals = EndSignals::watch()?;
    let length = load.warm_up + settings.duration();
    let schedule = Schedule::begin(length, load.rate);
    let course = Arc::new(Course::new(schedule, load.warm_up, settings.notes()));
    let chooser = Chooser::new(settings.distribution(), load.keys);
    let clients = settings.clients() as usize;
    let clients = client::start(bench, &course, stores, clients, chooser, settings.seed);
    observer.begin(&course);

    let mut watcher = Watcher::new(bench, &course.schedule, format);
    let watched = async {
        watcher.watch(course.measured_from, Phase::WarmUp).await;
        let end = course.measured_from + settings.duration();
        // Beside the watching: a node that does not answer must not hold it up.
        let sampling = task::spawn(sample(bench.clone(), stores[0].clone()));
        watcher.watch(end, Phase::Measured).await;
        (Some(sampling), false)
    };
    let interrupted = async {
        signals.next().await;
        (None, true)
    };
    let (sampling, is_interrupted) = watched.or(interrupted).await;
    let totals = bench.tally.totals();
    let ended = Instant::now();
    course.schedule.end();
    let costs = match sampling {
        Some(sampling) => {
            let after = sample(bench.clone(), stores[0].clone()).await;
            Costs::between(&sampling.await, &after)
        }
        None => Costs::default(),
    };
    for client in clients {
        client.await;
    }
    let before = watcher.measured_since.unwrap_or(totals);
    let whole = (ended - course.schedule.begun()).min(length);
    Ok(Measured {
        length: ended.saturating_duration_since(course.measured_from),
        is_interrupted,
        totals: totals.since(&before),
        not_begun: course.schedule.not_begun(whole),
        series: watcher.series,
        besides: observer.end(&course, ended).await,
        costs,
    })
}

/// What the nodes have used so far, and for how many operations.
async fn sample(bench: Arc<Bench<Failure>>, store: Store) -> Sample {
    // Without an answer there is nothing to tell, and nothing else is wrong.
    let answers = store.statuses().await.unwrap_or_default();
    Sample::new(&answers, bench.tally.totals().operations())
}

/// In which part of the run something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measured,
}

/// Says and notes down every second what was done in it.
struct Watcher<'a> {
    bench: &'a Bench<Failure>,
    schedule: &'a Schedule,
    format: Format,
    /// What was done when it looked last, and when that was.
    last: (Instant, Totals),
    /// What was done before the time that is measured.
    measured_since: Option<Totals>,
    series: Vec<Second>,
}

impl<'a> Watcher<'a> {
    fn new(bench: &'a Bench<Failure>, schedule: &'a Schedule, format: Format) -> Self {
        bench.tally.take_recent();
        Self {
            bench,
            schedule,
            format,
            last: (schedule.begun(), bench.tally.totals()),
            measured_since: None,
            series: Vec::new(),
        }
    }

    async fn watch(&mut self, until: Instant, phase: Phase) {
        if phase == Phase::Measured {
            self.measured_since = Some(self.last.1);
        }
        while !self.schedule.is_over(Instant::now()) {
            let tick = (self.last.0 + TICK).min(until);
            let rest = tick.saturating_duration_since(Instant::now());
            task::sleep(rest).await;
            self.look(phase);
            if tick == until {
                return;
            }
        }
    }

    fn look(&mut self, phase: Phase) {
        let now = Instant::now();
        let totals = self.bench.tally.totals();
        let recent = self.bench.tally.take_recent();
        let done = totals.since(&self.last.1);
        let second = Second::new(
            now - self.schedule.begun(),
            now - self.last.0,
            &done,
            &recent,
        );
        self.last = (now, totals);
        if self.format == Format::Text {
            let note = match phase {
                Phase::WarmUp => "  (warm-up)",
                Phase::Measured => "",
            };
            output::say(&format!("{}{note}", second.text()));
        }
        if phase == Phase::Measured {
            self.series.push(second);
        }
    }
}

/// A bar where a person looks, which disappears when it is over.
fn progress(what: &'static str, format: Format) -> impl FnMut(u64, u64) {
    let bar = match format == Format::Json || !io::stderr().is_terminal() {
        true => ProgressBar::hidden(),
        false => ProgressBar::new(0).with_message(what),
    };
    let template = "{bar:30} {percent:>3} %  {msg}  {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    let bar = bar.with_style(style).with_finish(ProgressFinish::AndClear);
    move |begun, count| {
        bar.set_length(count);
        bar.set_position(begun);
    }
}

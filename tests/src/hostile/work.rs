//! What everybody else does meanwhile: writes, one after the other, and how long they take.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_std::task::{self, JoinHandle};
use hdrhistogram::Histogram;
use lockstep_core::driver;
use lockstep_core::driver::handle::{ClientOptions, Handle};

use crate::processes::{Cluster, Failure, Subject};

/// A writer rests this long between two writes.
const REST: Duration = Duration::from_millis(2);

/// What took longer counts as that.
const LONGEST_MICROS: u64 = 60_000_000;

/// Keys that a writer has.
const KEYS: u64 = 64;

/// How long writes took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latencies {
    /// Of how many.
    pub writes: u64,
    /// Further ones that failed.
    pub failed: u64,
    /// Half of them took no longer, in milliseconds.
    pub p50_ms: f64,
    /// And 99 of a hundred.
    pub p99_ms: f64,
    /// None took longer.
    pub max_ms: f64,
}

/// Writers at work. They stop when this is dropped.
pub(super) struct Work {
    taken: Arc<Taken>,
    writers: Vec<JoinHandle<()>>,
}

struct Taken {
    micros: Mutex<Histogram<u64>>,
    failed: AtomicU64,
    ended: AtomicBool,
}

impl Work {
    /// So many writers, each with a connection of its own.
    pub(super) fn start(cluster: &Cluster, writers: usize) -> Result<Self, Failure> {
        let taken = Arc::new(Taken {
            micros: Mutex::new(
                Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("bounds in order"),
            ),
            failed: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let writers = (0..writers).map(|number| {
            let transport = Arc::new(cluster.client()?);
            let options = ClientOptions::default();
            let handle = driver::connect(transport, cluster.addresses(), &options);
            let taken = Arc::clone(&taken);
            Ok(task::spawn(write(number, handle, taken)))
        });
        Ok(Self {
            writers: writers.collect::<Result<_, Failure>>()?,
            taken,
        })
    }

    /// What writes take for as long as `time`.
    pub(super) fn watch(&self, time: Duration) -> Latencies {
        self.taken.micros().reset();
        self.taken.failed.store(0, Ordering::Relaxed);
        thread::sleep(time);
        let micros = self.taken.micros();
        let millis = |micros: u64| micros as f64 / 1000.0;
        Latencies {
            writes: micros.len(),
            failed: self.taken.failed.load(Ordering::Relaxed),
            p50_ms: millis(micros.value_at_quantile(0.5)),
            p99_ms: millis(micros.value_at_quantile(0.99)),
            max_ms: millis(micros.max()),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.taken.ended.store(true, Ordering::Relaxed);
        for writer in self.writers.drain(..) {
            task::block_on(writer);
        }
    }
}

impl Taken {
    fn micros(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.micros.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(number: usize, handle: Handle, taken: Arc<Taken>) {
    let mut count = 0_u64;
    while !taken.ended.load(Ordering::Relaxed) {
        let key = format!("writer {number} key {}", count % KEYS);
        let begun = Instant::now();
        let written = handle.insert(key, count.to_string()).await;
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        match written {
            Ok(_) => taken.micros().saturating_record(micros),
            Err(_) => {
                taken.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        count += 1;
        task::sleep(REST).await;
    }
    handle.close().await;
}

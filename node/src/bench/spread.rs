//! The same for many keys, many at once: writing them before, and reading them after.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_std::future::timeout;
use indicatif::ProgressBar;
use lockstep_core::operation::ReadLevel;

use crate::bench::client::Bench;
use crate::output::Failure;
use crate::store::{Joined, Store};

/// Operations under way at once: enough to keep a cluster busy.
pub(crate) const AT_ONCE: usize = 512;

/// How often the progress is shown.
const SHOWN: Duration = Duration::from_millis(200);

/// What is done with each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Writes it.
    Load,
    /// Reads it, if it was written, and judges what it holds.
    Verify,
}

/// Does it with all keys. Returns with how many it was done.
pub(crate) async fn all_keys(
    bench: &Arc<Bench>,
    stores: &[Store],
    errand: Errand,
    progress: &ProgressBar,
) -> Result<u64, Failure> {
    let count = bench.keys.count();
    progress.set_length(count);
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<Joined<Result<u64, Failure>>> = stores
        .iter()
        .cycle()
        .take(AT_ONCE)
        .map(|store| {
            let (bench, store, next) = (bench.clone(), store.clone(), next.clone());
            let runner = store.clone();
            runner.spawn(async move {
                let mut done = 0;
                loop {
                    let key = next.fetch_add(1, Ordering::Relaxed);
                    if key >= count {
                        return Ok(done);
                    }
                    let outcome = one_key(&bench, &store, errand, key).await;
                    match outcome {
                        Ok(was_needed) => done += u64::from(was_needed),
                        Err(failure) => {
                            // The others need not go on.
                            next.store(count, Ordering::Relaxed);
                            return Err(failure);
                        }
                    }
                }
            })
        })
        .collect();
    let mut done = 0;
    let mut result = Ok(());
    for mut task in tasks {
        let outcome = loop {
            match timeout(SHOWN, &mut task).await {
                Ok(outcome) => break outcome,
                Err(_) => progress.set_position(next.load(Ordering::Relaxed).min(count)),
            }
        };
        match outcome {
            Ok(keys) => done += keys,
            Err(failure) => result = result.and(Err(failure)),
        }
    }
    progress.finish_and_clear();
    result.map(|()| done)
}

async fn one_key(bench: &Bench, store: &Store, errand: Errand, key: u64) -> Result<bool, Failure> {
    match errand {
        Errand::Load => {
            bench.write(store, key).await?;
            Ok(true)
        }
        Errand::Verify if !bench.ledger.is_touched(key) => Ok(false),
        Errand::Verify => {
            let name = bench.keys.name(key);
            let read = store.get(name, ReadLevel::Linearizable, None).await?;
            bench.judge_last(key, read.value.as_ref());
            Ok(true)
        }
    }
}
